"""Calls to a Palisade, and the one meaning of each way in which it says no.

401, 403, a redirect, an untrusted certificate    Denied
404, 409, 412                                     Drifted: read again
429, 5xx, no JSON, no answer                      Busy
any other 4xx                                     Refusal of a write, which names an object; Denied for a read
"""

import re
from typing import TypeVar

import httpx
import msgspec

from bridge.contract import DeviceConfig, Kept, trust, unanswered
from bridge.errors import Busy, Denied, Drifted
from palisade.wire import Document, Problem, Session

T = TypeVar("T")


class Refusal(Exception):
    """The device does not take an object."""

    def __init__(self, record: str, words: str) -> None:
        self.record, self.words = record, words
        super().__init__(words)


class Client:
    """One device. Remembers nothing but its connection."""

    def __init__(self, config: DeviceConfig) -> None:
        self.calls = 0
        self._config = config
        self._http = Kept(config, _connection)

    def session(self) -> Session:
        """Which device it is. Raises Busy, Denied, Drifted."""
        return self._decoded(self._send("GET", "/session"), Session)

    def read(self) -> tuple[Document, str]:
        """Everything, and its version."""
        answer = self._send("GET", "/config")
        return self._decoded(answer, Document), answer.headers.get("ETag", "")

    def write(self, document: Document, version: str) -> tuple[Document, str]:
        """Replace everything of that version; what stands there then. Never repeated by itself. Raises Refusal besides."""
        answer = self._send("PUT", "/config", document, {"If-Match": version})
        return self._decoded(answer, Document), answer.headers.get("ETag", "")

    def close(self) -> None:
        """End the connection; a later call opens another."""
        self._http.close()

    def _send(
        self, method: str, path: str, body: object = None, headers: dict[str, str] | None = None
    ) -> httpx.Response:
        token, http = self._token(), self._http.get()
        content = None if body is None else msgspec.json.encode(body)
        if method != "GET":
            self._config.permit()  # immediately before each call that changes something
        self.calls += 1
        try:
            answer = http.request(
                method, path, content=content, headers={"Authorization": f"Bearer {token}", **(headers or {})}
            )
        except httpx.TransportError as error:
            failure = error
        else:
            return self._judged(answer, f"{method} {path}", token)
        self.close()
        raise unanswered(self._config.name, failure, harmless=method == "GET")

    def _judged(self, answer: httpx.Response, what: str, token: str) -> httpx.Response:
        device, status = self._config.name, answer.status_code
        if status < 300:
            return answer
        problem = _problem(answer)
        words = f"{what} answered {status}: {problem.error}".replace(token, "…")
        if status in (401, 403) or status < 400:
            raise Denied(device, words)
        if status in (404, 409, 412):
            raise Drifted(device, words)
        if status == 429 or status >= 500:
            wait = answer.headers.get("Retry-After", "")
            raise Busy(device, words, float(wait) if re.fullmatch(r"[0-9]+", wait) else None)
        if what.startswith("GET"):
            raise Denied(device, words)
        raise Refusal(problem.record, words)

    def _decoded(self, answer: httpx.Response, kind: type[T]) -> T:
        try:
            return msgspec.json.decode(answer.content, type=kind)
        except msgspec.MsgspecError as error:
            reason = str(error)
        raise Busy(self._config.name, f"an answer is not what a Palisade says: {reason}")

    def _token(self) -> str:
        """Read at each use: a rotated one is taken without a restart."""
        try:
            return self._config.credentials.value("token")
        except KeyError as error:
            reason = str(error.args[0])
        raise Denied(self._config.name, f"no token: {reason}")


def _connection(config: DeviceConfig) -> httpx.Client:
    verify = trust(config) if config.url.startswith("https:") else False
    timeout = httpx.Timeout(config.timeout / 4, read=config.timeout / 2)
    return httpx.Client(base_url=config.url, verify=verify, timeout=timeout, trust_env=False)


def _problem(answer: httpx.Response) -> Problem:
    try:
        return msgspec.json.decode(answer.content, type=Problem)
    except msgspec.MsgspecError:
        return Problem("no JSON")
