"""Sessions of browsers: what somebody showed when logging in, kept here and nowhere else."""

import hashlib
import secrets
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from fastapi import Request

from bridge.api.screening import host_of
from bridge.clock import Clock
from bridge.model.addresses import is_loopback

_MOST: Final = 10_000  # sessions at a time; beyond that the one that was idle longest ends


@dataclass(slots=True)
class _Session:
    token: str = field(repr=False)
    began: float
    used: float


class Sessions:
    """Which token stands behind a browser's cookie. A session ends when it was idle for so long, when it is so old, or with the process.

    The token is verified with each request, as if it had been sent: a session never outlives it.
    """

    __slots__ = ("_clock", "_idle", "_lock", "_longest", "_sessions")

    def __init__(self, clock: Clock, idle: float, longest: float) -> None:
        self._clock = clock
        self._idle = idle
        self._longest = longest
        self._sessions: OrderedDict[bytes, _Session] = OrderedDict()  # the one that was idle longest first
        self._lock = threading.Lock()

    def begin(self, token: str) -> str:
        """A new one; what the browser has to show from now on."""
        shown, now = secrets.token_urlsafe(32), self._clock.elapsed()
        with self._lock:
            self._sessions[_key(shown)] = _Session(token, now, now)
            while len(self._sessions) > _MOST:
                self._sessions.popitem(last=False)
        return shown

    def token(self, shown: str, *, used: bool = True) -> str | None:
        """The token of the session; None where there is none any more. `used`: somebody does something, and not a page by itself."""
        key, now = _key(shown), self._clock.elapsed()
        with self._lock:
            self._expire(now)
            found = self._sessions.get(key)
            if found is None or now - found.began >= self._longest:
                self._sessions.pop(key, None)
                return None
            if used:
                found.used = now
                self._sessions.move_to_end(key)
            return found.token

    def end(self, shown: str) -> None:
        """Forget it."""
        with self._lock:
            self._sessions.pop(_key(shown), None)

    def __len__(self) -> int:
        return len(self._sessions)

    def _expire(self, now: float) -> None:
        while self._sessions:
            key, oldest = next(iter(self._sessions.items()))
            if now - oldest.used < self._idle:
                return
            del self._sessions[key]


def shown(request: Request) -> str:
    """What the browser shows of its session; "" for nothing."""
    return request.cookies.get(cookie(request), "")


def cookie(request: Request) -> str:
    """The name of the cookie: where it is kept to TLS, one that browsers take from nobody else on this host."""
    return "__Host-fusion-bridge" if secure(request) else "fusion-bridge"


def secure(request: Request) -> bool:
    """Whether the cookie is kept to TLS: ours, or that of what stands before us when we are asked by another name than loopback's."""
    return request.url.scheme == "https" or not is_loopback(host_of(request.headers.get("host", "")))


def attributes(request: Request) -> Mapping[str, object]:
    """How the cookie is set and taken back: for no script, for no other site."""
    return {"httponly": True, "samesite": "strict", "secure": secure(request), "path": "/"}


def _key(shown: str) -> bytes:
    """Found by a digest: how long it takes says nothing of what would have been right."""
    return hashlib.sha256(shown.encode()).digest()
