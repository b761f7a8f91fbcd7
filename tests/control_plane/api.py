"""A thin client of the Kubernetes API for tests: JSON objects in and out, kept apart from the product's own client."""

import contextlib
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias, TypeVar

import httpx

Json: TypeAlias = dict[str, Any]
T = TypeVar("T")

MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"


class Api:
    """Calls with an administrator's token. Thread-safe. A status of 400 or more raises httpx.HTTPStatusError with the server's words."""

    def __init__(self, url: str, token: str, tls: ssl.SSLContext) -> None:
        self._http = httpx.Client(
            base_url=url,
            headers={"Authorization": f"Bearer {token}"},
            verify=tls,
            trust_env=False,
            timeout=httpx.Timeout(10, read=30),
        )

    def close(self) -> None:
        self._http.close()

    def get(self, path: str) -> Json:
        return self._call("GET", path)

    def find(self, path: str) -> Json | None:
        """The object, or None where there is none."""
        try:
            return self.get(path)
        except httpx.HTTPStatusError as error:
            if error.response.status_code == httpx.codes.NOT_FOUND:
                return None
            raise

    def items(self, path: str) -> list[Json]:
        """The objects of a list."""
        found: list[Json] = self.get(path)["items"]
        return found

    def post(self, path: str, body: Json) -> Json:
        return self._call("POST", path, body)

    def patch(self, path: str, body: Json, kind: str = MERGE) -> Json:
        return self._call("PATCH", path, body, kind)

    def delete(self, path: str, body: Json | None = None) -> Json:
        return self._call("DELETE", path, body)

    def ready(self) -> bool:
        """Whether the server answers /readyz with 200; False while nobody answers."""
        try:
            return self._http.get("/readyz").is_success
        except httpx.TransportError:
            return False

    def watch(self, path: str, resource_version: str, silence: float = 90) -> "Watch":
        """Events after this version. Nothing heard for `silence` seconds (the server sends a bookmark a minute) is httpx.ReadTimeout."""
        return Watch(self._http, path, resource_version, silence)

    def _call(self, method: str, path: str, body: Json | None = None, kind: str = "application/json") -> Json:
        content = None if body is None else json.dumps(body).encode()
        answer = self._http.request(method, path, content=content, headers={"Content-Type": kind})
        _raise_for_status(answer)
        value: Json = answer.json()
        return value


class Watch:
    """One watch request. Iterating opens it and gives its events until the server ends it; `stop` ends it from another thread."""

    def __init__(self, http: httpx.Client, path: str, resource_version: str, silence: float) -> None:
        self._http = http
        self._path = path
        self._query = {"watch": "1", "resourceVersion": resource_version, "allowWatchBookmarks": "true"}
        self._silence = silence
        self._lock = threading.Lock()
        self._stopped = False
        self._socket: socket.socket | None = None

    def __iter__(self) -> Iterator[Json]:
        timeout = httpx.Timeout(10, read=self._silence)
        with self._http.stream("GET", self._path, params=self._query, timeout=timeout) as answer:
            _raise_for_status(answer)
            with self._lock:
                self._socket = answer.extensions["network_stream"].get_extra_info("socket")
                stopped = self._stopped
            if not stopped:
                yield from map(json.loads, answer.iter_lines())

    def stop(self) -> None:
        """The iteration ends soon, with httpx.ReadError or without."""
        with self._lock:
            self._stopped = True
            if self._socket:
                with contextlib.suppress(OSError):
                    # Not the method of an SSLSocket: that one forgets TLS, and a reader in the middle gets ciphertext for lines.
                    socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


def eventually(what: str, probe: Callable[[], T | None], seconds: float = 60) -> T:
    """The first value of `probe` that is neither None nor False; AssertionError naming `what` after `seconds`.

    A probe may fail while the API server is away: that counts as not yet, and the last such failure is shown.
    """
    deadline = time.monotonic() + seconds
    trouble: Exception | None = None
    while True:
        try:
            if (value := probe()) is not None and value is not False:
                return value
        except (httpx.HTTPError, AssertionError) as error:
            trouble = error
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what}") from trouble
        time.sleep(0.05)


def _raise_for_status(answer: httpx.Response) -> None:
    if answer.is_error:
        words = answer.read().decode(errors="replace")
        message = f"{answer.request.method} {answer.request.url.path}: {answer.status_code} {words}"
        raise httpx.HTTPStatusError(message, request=answer.request, response=answer)
