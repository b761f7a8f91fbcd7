"""HTTP to one unit: TLS, one connection, time-outs, and what a broken exchange means. Knows no object.

The token goes into the header only: in an address it would stand in logs. No exception leaves here with a request hanging on it.
"""

from collections.abc import Callable, Mapping

import httpx
import tenacity

from bridge.contract import DeviceConfig, always, trust, trust_mark
from bridge.errors import Busy, Denied, DeviceError


class Transport:
    """Sends single calls. A call that surely never reached the unit, or that only reads, is sent once more."""

    def __init__(self, config: DeviceConfig) -> None:
        self.device = config.name
        self.calls = 0
        self._config = config
        self._client: httpx.Client | None = None
        self._mark: tuple[object, ...] = ()
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
        client = self._opened()
        sent = {"Authorization": f"Bearer {self._secret()}", **(headers or {})}
        if body is not None:
            sent["Content-Type"] = "application/json"
        failure: httpx.TransportError
        try:
            for attempt in _attempts(repeatable=permit is None):
                with attempt:
                    (permit or always)()
                    self.calls += 1
                    return client.request(method, path, content=body, headers=sent)
        except httpx.TransportError as error:
            failure = error
        raise self._meaning(failure, reads=permit is None)

    def hide(self, text: str) -> str:
        """The unit's words without the token that it may repeat in them."""
        return text.replace(self._token, "…") if self._token else text

    def close(self) -> None:
        """End the connection; a later call opens another."""
        if self._client is not None:
            self._client.close()
            self._client = None

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

    def _meaning(self, error: httpx.TransportError, *, reads: bool) -> DeviceError:
        reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        if "CERTIFICATE_VERIFY_FAILED" in reason:
            text = "its certificate is not trusted; give its authority in caFile, or switch verification off for this device"
            return Denied(self.device, f"{text} ({reason})")
        if "ALERT_" in reason:
            text = "it does not accept the certificate that it was shown, if any; give one that it trusts in certFile and keyFile"
            return Denied(self.device, f"{text} ({reason})")
        if reads or isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
            return Busy(self.device, f"no answer ({reason})")
        return Busy(self.device, f"no answer to a write, which may have taken effect: read again ({reason})")

    def _opened(self) -> httpx.Client:
        mark = trust_mark(self._config)
        if self._client is not None and mark != self._mark:
            self.close()  # a certificate was changed: what was made with the old one ends
        if self._client is None:
            # A quarter each for connecting and sending, half for the answer: together the longest that a call may take.
            part = self._config.timeout / 4
            self._client = httpx.Client(
                base_url=self._config.url,
                verify=trust(self._config) if self._config.url.startswith("https:") else False,
                timeout=httpx.Timeout(part, read=2 * part),
                limits=httpx.Limits(max_connections=1, keepalive_expiry=60),
                headers={"User-Agent": "fusion-bridge"},
                trust_env=False,
            )
            self._mark = mark
        return self._client


def _attempts(*, repeatable: bool) -> tenacity.Retrying:
    safe: tuple[type[Exception], ...] = (httpx.ConnectError,)
    if repeatable:
        safe += (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError)
    return tenacity.Retrying(
        stop=tenacity.stop_after_attempt(2), retry=tenacity.retry_if_exception_type(safe), reraise=True
    )
