"""HTTP to one device: TLS, one connection, time-outs, and what a broken exchange means. Knows no token and no object.

No exception leaves here with a request hanging on it: requests carry passwords and tokens.
"""

import logging
import re
from collections.abc import Callable, Mapping

import httpx
import tenacity

from bridge.contract import DeviceConfig, always, trust, trust_mark
from bridge.errors import Busy, Denied, DeviceError

_TOKEN_PATH = re.compile(r"(/authz/tokens/)[^/?\s\"]+")

# The alerts by which a TLS server says so (RFC 8446, 6.2), as OpenSSL names them.
_REFUSES_OURS = re.compile(
    r"ALERT_(CERTIFICATE_REQUIRED|BAD_CERTIFICATE|CERTIFICATE_\w+|UNKNOWN_CA|HANDSHAKE_FAILURE|ACCESS_DENIED)"
)


class _TokenFree(logging.Filter):
    """The client library logs addresses, and the address of a token is the token."""

    def filter(self, record: logging.LogRecord) -> bool:
        text = record.getMessage()
        if "/authz/tokens/" in text:
            record.msg, record.args = _TOKEN_PATH.sub(r"\1…", text), ()
        return True


logging.getLogger("httpx").addFilter(_TokenFree())


class Transport:
    """Sends single calls. A call that surely never reached the device, or that only reads, is sent once more."""

    def __init__(self, config: DeviceConfig) -> None:
        self.device = config.name
        self.url = config.url
        self.calls = 0
        self._config = config
        self._client: httpx.Client | None = None
        self._mark: tuple[object, ...] = ()

    def send(
        self,
        method: str,
        path: str,
        body: bytes | None,
        headers: Mapping[str, str],
        *,
        repeatable: bool,
        permit: Callable[[], None] = always,
    ) -> httpx.Response:
        """One call; the answer, whatever its status. Busy when there is none, Denied when the certificate is not trusted.

        `permit` is asked at the last moment, once more for a repetition.
        """
        client = self._opened()
        failure: httpx.TransportError
        try:
            for attempt in self._attempts(repeatable):
                with attempt:
                    permit()
                    self.calls += 1
                    return client.request(method, path, content=body, headers=dict(headers))
        except httpx.TransportError as error:
            failure = error
        raise self._meaning(failure, repeatable)

    def close(self) -> None:
        """End the connection; a later call opens another."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def _attempts(self, repeatable: bool) -> tenacity.Retrying:
        safe: tuple[type[Exception], ...] = (httpx.ConnectError,)
        if repeatable:
            safe += (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError)
        return tenacity.Retrying(
            stop=tenacity.stop_after_attempt(2), retry=tenacity.retry_if_exception_type(safe), reraise=True
        )

    def _meaning(self, error: httpx.TransportError, repeatable: bool) -> DeviceError:
        reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        if "CERTIFICATE_VERIFY_FAILED" in reason:
            text = "its certificate is not trusted; give its authority in caFile, or switch verification off for this device"
            return Denied(self.device, f"{text} ({reason})")
        if _REFUSES_OURS.search(reason):
            text = "it does not accept the certificate that it was shown, if any; give one that it trusts in certFile and keyFile"
            return Denied(self.device, f"{text} ({reason})")
        if "UNEXPECTED_EOF" in reason:
            reason += "; a device that asks for a certificate of ours may end a call so: see certFile and keyFile"
        if repeatable or isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
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
