"""Calls of the REST API: the VDOM with each, and one meaning for each way in which a unit says no.

401, 403, -14, -37, redirects             Denied
429, -360, a locked table, 5xx without a number, not JSON   Busy
413                       Refusal, JSON or not: the same call is refused again
any other number                          Refusal: what it means depends on the write

The number in the body decides where there is one: FortiOS says 500 to nearly everything it refuses.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeVar
from urllib.parse import quote, urlencode

import httpx
import msgspec

from adapters.fortigate import wire
from adapters.fortigate.transport import Transport
from bridge.contract import always
from bridge.errors import Busy, Denied

_T = TypeVar("_T")
NOT_FOUND, EXISTS, FULL, IN_USE, TWINS, INVALID = -3, -5, -4, -23, -163, -651
_DENIED = frozenset({-14, -37})
_BUSY = frozenset({-360})
_LOCKED = re.compile(r"(?<![\w.-])(locked|transaction)(?![\w.-])")  # as words, for refusals quote names
_TOO_LARGE = 413
_QUERY = 3_700  # characters of names in one address

TRANSACTION = "X-TRANSACTION-ID"


class Refusal(Exception):
    """The unit refuses a call for what it asks. `error` is FortiOS's number, 0 where it gives none; `text` are its own words."""

    def __init__(self, status: int, error: int, text: str) -> None:
        self.status = status
        self.error = error
        self.text = text
        super().__init__(f"{status} {error}: {text}")

    @property
    def missing(self) -> bool:
        """What the call is about is not there."""
        return self.error == NOT_FOUND or (self.status == 404 and not self.error)


class Locked(Busy):
    """A transaction holds the table."""


def place(table: str, *names: str) -> str:
    """A table, an entry of it, or rows of an entry, below `cmdb/`."""
    return "/".join(("cmdb", table, *(quote(name, safe="") for name in names)))


def named(names: Iterable[str]) -> dict[str, str]:
    """A query for the entries of these names; the unit ignores case, so that others may come with them."""
    return {"filter": ",".join(f"name=={name}" for name in names)}


def parcels(names: Iterable[str]) -> Iterator[list[str]]:
    """Names in lots each of which a query can name, so that its address stays short."""
    waiting: list[str] = []
    size = 0
    for name in names:
        length = len(quote(f"name=={name},", safe=""))
        if waiting and size + length > _QUERY:
            yield waiting
            waiting, size = [], 0
        waiting.append(name)
        size += length
    if waiting:
        yield waiting


class Client:
    """Calls below /api/v2. Whatever is no GET needs the permit, the calls of a transaction included.

    `serial` is that of the unit that answered last; empty before the first answer.
    """

    def __init__(self, transport: Transport, vdom: str, permit: Callable[[], None] = always) -> None:
        self.device = transport.device
        self._transport = transport
        self._vdom = vdom
        self._permit = permit
        self.serial = ""

    @property
    def calls(self) -> int:
        """How many calls were made so far."""
        return self._transport.calls

    def get(self, path: str, query: Mapping[str, str] | None = None) -> wire.Answer:
        """What stands at the path, such as `cmdb/firewall/address`. Raises Busy, Denied, Refusal."""
        return self._judged("GET", path, self._transport.send("GET", self._address(path, query), None))

    def find(self, path: str, kind: type[_T], query: Mapping[str, str] | None = None) -> _T | None:
        """The one object at the path, None when there is none. Denied for any other refusal."""
        try:
            answer = self.get(path, query)
        except Refusal as refusal:
            if refusal.missing:
                return None
            raise self.denied(path, refusal) from None
        found = self.decoded(answer.results, list[kind])  # type: ignore[valid-type]
        return found[0] if found else None

    def entries(self, table: str, kind: type[_T], query: Mapping[str, str] | None = None) -> Iterator[_T]:
        """Every entry of a table that the query leaves, in order. Raises Busy, Denied."""
        path, start = place(table), 0
        while True:
            try:
                answer = self.get(path, {**(query or {}), **({"start": str(start)} if start else {})})
            except Refusal as refusal:
                raise self.denied(path, refusal) from None
            found = self.decoded(answer.results, list[kind])  # type: ignore[valid-type]
            yield from found
            start += len(found)
            if not found or start >= answer.matched_count:
                return

    def write(
        self,
        method: str,
        path: str,
        body: object = None,
        query: Mapping[str, str] | None = None,
        transaction: int | None = None,
    ) -> wire.Answer:
        """One call that changes something. Raises Busy, Denied, Refusal, Locked."""
        content = None if body is None else msgspec.json.encode(body)
        headers = {} if transaction is None else {TRANSACTION: str(transaction)}
        address = self._address(path, query)
        answer = self._transport.send(method, address, content, headers=headers, permit=self._permit)
        return self._judged(method, path, answer)

    def decoded(self, raw: bytes | msgspec.Raw, kind: type[_T]) -> _T:
        """The results as `kind`; Busy when they are something else."""
        try:
            return msgspec.json.decode(raw, type=kind)
        except msgspec.MsgspecError as error:
            reason = str(error)
        raise Busy(self.device, f"an answer is not what FortiOS says: {reason}")

    def denied(self, path: str, refusal: Refusal) -> Denied:
        """For what must be readable and is not."""
        return Denied(self.device, f"{path} refused with {refusal.status}: {refusal.text}")

    def close(self) -> None:
        """End the connection."""
        self._transport.close()

    def _address(self, path: str, query: Mapping[str, str] | None) -> str:
        given = {**({"vdom": self._vdom} if self._vdom else {}), **(query or {})}
        return f"/api/v2/{path}{f'?{urlencode(given)}' if given else ''}"

    def _judged(self, method: str, path: str, answer: httpx.Response) -> wire.Answer:
        status, what = answer.status_code, f"{method} {path}"
        told = _envelope(answer.content)
        if status < 300 and told is not None and told.status == "success":
            self.serial = told.serial or self.serial
            return told
        text = self._transport.hide(_words(told))[:500]
        if status in (401, 403) or (told is not None and told.error in _DENIED):
            raise Denied(
                self.device,
                f"{what} refused with {status}: {text or 'check the token, its trusted hosts and its profile'}",
            )
        if 300 <= status < 400:
            raise Denied(self.device, f"{what} answered with a redirect; is the url that of the management interface?")
        if status == _TOO_LARGE:
            raise Refusal(status, told.error or 0 if told else 0, text or "too large for the unit in one piece")
        if told is None or status == 429 or told.error in _BUSY:
            raise Busy(self.device, f"{what} answered {status}: {text or 'no JSON'}")
        if _LOCKED.search(text):
            raise Locked(self.device, f"{what}: {text}")
        if told.error is None and status >= 500:
            raise Busy(self.device, f"{what} answered {status}")
        raise Refusal(status, told.error or 0, text or f"refused with {status} and no reason")


def _envelope(content: bytes) -> wire.Answer | None:
    """None for HTML, and for whatever else is no answer of the API."""
    try:
        return msgspec.json.decode(content, type=wire.Answer)
    except msgspec.MsgspecError:
        return None


def _words(told: wire.Answer | None) -> str:
    """The words of the command line, in one line, with the number."""
    if told is None or told.error is None:
        return ""
    words = " ".join(line for line in told.cli_error.split("\n") if line and not line.startswith("Command fail"))
    return f"error {told.error}{': ' if words else ''}{words}"
