"""HTTP to one device: TLS, one connection, time-outs, and what a broken exchange means. Knows no token and no object.

No exception leaves here with a request hanging on it: requests carry passwords and tokens.
"""

import logging
import re
from collections.abc import Callable, Mapping

import httpx
import tenacity

from bridge.contract import DeviceConfig, Kept, always, trust, unanswered

_TOKEN_PATH = re.compile(r"(/authz/tokens/)[^/?\s\"]+")


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
        self._client = Kept(config, _client)

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
        client = self._client.get()
        failure: httpx.TransportError
        try:
            for attempt in self._attempts(repeatable):
                with attempt:
                    permit()
                    self.calls += 1
                    return client.request(method, path, content=body, headers=dict(headers))
        except httpx.TransportError as error:
            failure = error
        unsent = isinstance(failure, httpx.ConnectError | httpx.ConnectTimeout)
        raise unanswered(self.device, failure, harmless=repeatable or unsent)

    def close(self) -> None:
        """End the connection; a later call opens another."""
        self._client.close()

    def _attempts(self, repeatable: bool) -> tenacity.Retrying:
        safe: tuple[type[Exception], ...] = (httpx.ConnectError,)
        if repeatable:
            safe += (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError)
        return tenacity.Retrying(
            stop=tenacity.stop_after_attempt(2), retry=tenacity.retry_if_exception_type(safe), reraise=True
        )


def _client(config: DeviceConfig) -> httpx.Client:
    # A quarter each for connecting and sending, half for the answer: together the longest that a call may take.
    part = config.timeout / 4
    return httpx.Client(
        base_url=config.url,
        verify=trust(config) if config.url.startswith("https:") else False,
        timeout=httpx.Timeout(part, read=2 * part),
        limits=httpx.Limits(max_connections=1, keepalive_expiry=60),
        headers={"User-Agent": "fusion-bridge"},
        trust_env=False,
    )
