"""HTTP to one unit: TLS, one connection, time-outs, and what a broken exchange means. Knows no object.

The token goes into the header only: in an address it would stand in logs. No exception leaves here with a request hanging on it.
"""

from collections.abc import Callable, Mapping

import httpx
import tenacity

from bridge.contract import DeviceConfig, Kept, always, trust, unanswered
from bridge.errors import Denied

_HEADERS = {
    "Accept": "*/*",
    "Accept-Encoding": "gzip, deflate",
    "Connection": "keep-alive",
    "User-Agent": "fusion-bridge",
}


class Transport:
    """Sends single calls. A call that surely never reached the unit, or that only reads, is sent once more."""

    def __init__(self, config: DeviceConfig) -> None:
        self.device = config.name
        self.calls = 0
        self._config = config
        self._client = Kept(config, _client)
        self._token = ""

    def send(
        self,
        method: str,
        path: str,
        body: bytes | None,
        *,
        headers: Mapping[str, str] | None = None,
        permit: Callable[[], None] | None = None,
    ) -> httpx.Response:
        """One call; the answer, whatever its status. Busy when there is none, Denied without token or trust.

        `permit` is asked at the last moment, once more for a repetition; a call without one only reads.
        """
        client = self._client.get()
        sent = {**_HEADERS, "Authorization": f"Bearer {self._secret()}", **(headers or {})}
        if body is not None:
            sent["Content-Type"] = "application/json"
        url = f"{self._config.url.rstrip('/')}{path}"
        failure: httpx.TransportError
        try:
            for attempt in _attempts(repeatable=permit is None):
                with attempt:
                    (permit or always)()
                    self.calls += 1
                    return self._exchanged(client, httpx.Request(method, url, content=body, headers=sent))
        except httpx.TransportError as error:
            failure = error
        unsent = isinstance(failure, httpx.ConnectError | httpx.ConnectTimeout)
        raise unanswered(self.device, failure, harmless=permit is None or unsent)

    def _exchanged(self, client: httpx.HTTPTransport, request: httpx.Request) -> httpx.Response:
        """One exchange. A part of the time is for connecting, one for sending, two for the answer: together the longest a call may take."""
        part = self._config.timeout / 4
        request.extensions = {"timeout": httpx.Timeout(part, read=2 * part).as_dict()}
        response = client.handle_request(request)
        try:
            response.read()
        finally:
            response.close()
        return response

    def hide(self, text: str) -> str:
        """The unit's words without the token that it may repeat in them."""
        return text.replace(self._token, "…") if self._token else text

    def close(self) -> None:
        """End the connection; a later call opens another."""
        self._client.close()

    def _secret(self) -> str:
        """The token as it is now, so that a new one is taken without a restart."""
        try:
            self._token = self._config.credentials.value("token").strip()
        except KeyError:
            self._token = ""
        if not self._token:
            raise Denied(self.device, "its credentials have no token; make an API user on the unit, and give its token")
        if not (self._token.isascii() and self._token.isprintable()):
            raise Denied(self.device, "its token has characters that no header can have")  # and an error would quote it
        return self._token


def _client(config: DeviceConfig) -> httpx.HTTPTransport:
    """One connection and no more around it: a client's redirects, cookies and logins are not for a unit, and cost half of each call."""
    return httpx.HTTPTransport(
        verify=trust(config) if config.url.startswith("https:") else False,
        limits=httpx.Limits(max_connections=1, keepalive_expiry=60),
        trust_env=False,
    )


def _attempts(*, repeatable: bool) -> tenacity.Retrying:
    safe: tuple[type[Exception], ...] = (httpx.ConnectError,)
    if repeatable:
        safe += (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError)
    return tenacity.Retrying(
        stop=tenacity.stop_after_attempt(2), retry=tenacity.retry_if_exception_type(safe), reraise=True
    )
