"""Calls of iControl REST: a token with each, and one meaning for each way in which a device says no.

401                          log in once more and repeat once, then Denied
403, redirects               Denied
429, 5xx, not JSON, a device that starts, "active asynchronous task"   Busy
any other 4xx                Refusal: what it means depends on the write
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar
from urllib.parse import quote, urlencode

import httpx
import msgspec

from adapters.bigip import wire
from adapters.bigip.tokens import Tokens, retry_after
from adapters.bigip.transport import Transport
from bridge.contract import always
from bridge.errors import Busy, Denied

_T = TypeVar("_T")
_ASYNC_WAIT = 10.0  # what other clients wait after "active asynchronous task"


class Refusal(Exception):
    """The device refuses a call for what it asks. `text` is the device's own words."""

    def __init__(self, status: int, text: str) -> None:
        self.status = status
        self.text = text
        super().__init__(f"{status}: {text}")


class Client:
    """Calls below /mgmt/tm. Whatever is no GET needs the permit, the steps of a transaction included."""

    def __init__(
        self,
        transport: Transport,
        tokens: Tokens,
        page_size: int,
        permit: Callable[[], None] = always,
        others: Sequence[tuple[Transport, Tokens]] = (),
    ) -> None:
        self.device = transport.device
        self._units = ((transport, tokens), *others)
        self._transport = transport
        self._tokens = tokens
        self._page_size = page_size
        self._permit = permit

    @property
    def calls(self) -> int:
        """How many calls were made so far, to whichever unit, logins included."""
        return sum(transport.calls for transport, _ in self._units)

    @property
    def units(self) -> int:
        """How many units the device has, as far as the settings say."""
        return len(self._units)

    @property
    def url(self) -> str:
        """Where the unit is that calls go to."""
        return self._transport.url

    def turn(self) -> None:
        """Make every later call to the next unit."""
        at = self._units.index((self._transport, self._tokens))
        self._transport, self._tokens = self._units[(at + 1) % len(self._units)]

    def get(self, path: str, query: Mapping[str, str] | None = None) -> bytes:
        """The object at the path. Raises Busy, Denied, Refusal."""
        return self.call("GET", f"{path}?{_query(query)}" if query else path, repeatable=True)

    def find(self, path: str, kind: type[_T], query: Mapping[str, str] | None = None) -> _T | None:
        """The object as `kind`, None when there is none. Denied for any other refusal."""
        try:
            raw = self.get(path, query)
        except Refusal as refusal:
            if refusal.status == 404:
                return None
            raise self.denied(path, refusal) from None
        return self.decoded(raw, kind)

    def items(self, collection: str, *, expand: bool = False, partition: str = "") -> Iterator[msgspec.Raw]:
        """Every object of a collection, or of one partition of it, page by page. Raises Busy, Denied."""
        query = {"$top": str(self._page_size)} | ({"expandSubcollections": "true"} if expand else {})
        query |= {"$filter": f"partition eq {partition}"} if partition else {}
        skip = 0
        while True:
            try:
                raw = self.get(collection, query | ({"$skip": str(skip)} if skip else {}))
            except Refusal as refusal:
                raise self.denied(collection, refusal) from None
            page = self.decoded(raw, wire.Page)
            yield from page.items
            skip += len(page.items)
            if not page.next_link or not page.items:
                return

    def call(
        self, method: str, path: str, body: object = None, *, transaction: str = "", repeatable: bool = False
    ) -> bytes:
        """One call; the body of its answer, which is JSON or empty. Raises Busy, Denied, Refusal."""
        return self._judged(method, path, self.exchange(method, path, body, transaction, repeatable=repeatable))

    def exchange(
        self, method: str, path: str, body: object = None, transaction: str = "", *, repeatable: bool = False
    ) -> httpx.Response:
        """One call, repeated once with a new token; its answer, whatever it says. A path from the root is taken as it is."""
        answer = self._send(method, path, body, transaction, repeatable)
        if answer.status_code == 401:
            self._tokens.forget()
            answer = self._send(method, path, body, transaction, repeatable)
        return answer

    def hide(self, text: str) -> str:
        """The device's words without the secrets that it may repeat in them."""
        return self._tokens.hide(text)

    def decoded(self, raw: bytes, kind: type[_T]) -> _T:
        """The answer as `kind`; Busy when it is something else."""
        try:
            return msgspec.json.decode(raw, type=kind)
        except msgspec.MsgspecError as error:
            reason = str(error)
        raise Busy(self.device, f"an answer is not what iControl REST says: {reason}")

    def denied(self, path: str, refusal: Refusal) -> Denied:
        """For what must be readable and is not."""
        hint = "; is AFM provisioned?" if path.startswith("security/") else ""
        return Denied(self.device, f"{path.partition('?')[0]} refused with {refusal.status}: {refusal.text}{hint}")

    def close(self) -> None:
        """Give back the tokens and end the connections."""
        for transport, tokens in self._units:
            tokens.give_back()
            transport.close()

    def _send(self, method: str, path: str, body: object, transaction: str, repeatable: bool) -> httpx.Response:
        headers = self._tokens.headers()
        if transaction:
            headers["X-F5-REST-Coordination-Id"] = transaction
        content = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            content = msgspec.json.encode(body)
        permit = always if method == "GET" else self._permit
        place = path if path.startswith("/") else f"/mgmt/tm/{path}"
        return self._transport.send(method, place, content, headers, repeatable=repeatable, permit=permit)

    def _judged(self, method: str, path: str, answer: httpx.Response) -> bytes:
        status = answer.status_code
        what = f"{method} {path.partition('?')[0]}"
        if status < 300:
            if answer.content and not _is_json(answer.content):
                raise Busy(self.device, f"{what}: the answer is cut or not JSON; read again")
            return answer.content
        text = self._tokens.hide(_words(answer))[:500]
        if status in (401, 403):
            raise Denied(self.device, f"{what} refused with {status}: {text or 'no reason given'}")
        if status < 400:
            raise Denied(self.device, f"{what} answered with a redirect; is the url that of the management interface?")
        if "asynchronous task" in text:
            raise Busy(self.device, f"{what}: {text}", retry_after(answer) or _ASYNC_WAIT)
        if status == 429 or status >= 500 or not text or "URI path not registered" in text:
            raise Busy(self.device, f"{what} answered {status}: {text or 'no JSON'}", retry_after(answer))
        raise Refusal(status, text)


def _query(query: Mapping[str, str]) -> str:
    return urlencode(query, safe="$", quote_via=quote)


def _is_json(content: bytes) -> bool:
    try:
        msgspec.json.decode(content, type=msgspec.Raw)
    except msgspec.MsgspecError:
        return False
    return True


def _words(answer: httpx.Response) -> str:
    """What the device says in either of its shapes; empty for HTML."""
    try:
        return msgspec.json.decode(answer.content, type=wire.Error).message
    except msgspec.MsgspecError:
        return ""
