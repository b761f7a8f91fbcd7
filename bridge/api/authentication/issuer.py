"""The keys of an OIDC issuer: found as its discovery document says, kept for a while, read anew for a key that is not among them."""

import ssl
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import msgspec

from bridge.api.access import Unavailable
from bridge.clock import Clock
from bridge.model.addresses import is_loopback

_SECONDS: Final = 5.0  # for one answer
_LARGEST: Final = 1 << 20  # bytes of one answer
_FRESH: Final = 600.0  # seconds for which keys are taken as they were read
_LONGEST: Final = 3600.0  # and for which they are taken while the issuer does not answer
_PAUSE: Final = 30.0  # seconds between two readings, whatever is asked for
_DISCOVERY: Final = "/.well-known/openid-configuration"

Key = dict[str, Any]


class _Discovered(msgspec.Struct):
    issuer: str
    jwks_uri: str


class _Keys(msgspec.Struct):
    keys: list[Key]


@dataclass(frozen=True, slots=True)
class _Read:
    at: float
    keys: Sequence[Key] = field(default_factory=tuple)


class Issuer:
    """One issuer, by its URL; asked over TLS that `ca_file` or the system vouches for. Safe to use from many threads."""

    __slots__ = ("_ca_file", "_clock", "_lock", "_read", "_tried", "url")

    def __init__(self, url: str, ca_file: Path | None, clock: Clock) -> None:
        self.url = url
        self._ca_file = ca_file
        self._clock = clock
        self._read: _Read | None = None
        self._tried: float | None = None
        self._lock = threading.Lock()

    def keys(self, kid: str | None) -> list[Key]:
        """The keys of this id; all for None. Unavailable where they cannot be read."""
        with self._lock:
            now = self._clock.elapsed()
            found = _of(self._read, kid)
            stale = self._read is None or now - self._read.at >= _FRESH
            if (stale or not found) and (self._tried is None or now - self._tried >= _PAUSE):
                self._tried = now
                self._renew(now)
                found = _of(self._read, kid)
            if self._read is None or now - self._read.at >= _LONGEST:
                raise Unavailable(f"the issuer {self.url} did not answer as it should; it is asked again in a moment")
            return found

    def _renew(self, now: float) -> None:
        """Read them; what was read before stays where the issuer does not answer now."""
        try:
            self._read = _Read(now, self._asked())
        except (httpx.HTTPError, httpx.InvalidURL, msgspec.MsgspecError, OSError, ValueError) as error:
            if self._read is None or now - self._read.at >= _LONGEST:
                raise Unavailable(
                    f"the issuer {self.url} did not answer as it should ({type(error).__name__})"
                ) from error

    def _asked(self) -> list[Key]:
        context = ssl.create_default_context(cafile=self._ca_file)
        with httpx.Client(verify=context, timeout=_SECONDS, follow_redirects=False, trust_env=False) as client:
            discovered = msgspec.json.decode(_body(client, self.url.rstrip("/") + _DISCOVERY), type=_Discovered)
            if discovered.issuer != self.url:
                raise ValueError("another issuer's document")
            if not guarded(discovered.jwks_uri):
                raise ValueError("keys without TLS")
            return msgspec.json.decode(_body(client, discovered.jwks_uri), type=_Keys).keys


def guarded(url: str) -> bool:
    """Whether nobody on the way can change what comes from there: TLS, or this very machine."""
    parts = urlsplit(url)
    return parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))


def _of(read: _Read | None, kid: str | None) -> list[Key]:
    return [key for key in (read.keys if read else ()) if kid is None or key.get("kid") == kid]


def _body(client: httpx.Client, url: str) -> bytes:
    with client.stream("GET", url, headers={"Accept": "application/json"}) as answer:
        if answer.status_code != httpx.codes.OK:
            raise ValueError(f"status {answer.status_code}")
        body = b""
        for part in answer.iter_bytes():
            body += part
            if len(body) > _LARGEST:
                raise ValueError("too long")
        return body
