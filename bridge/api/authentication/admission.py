"""Whoever asks shows a token, with each request or once for a browser's session."""

from typing import Final

import structlog
from fastapi import Request

from bridge.api.access import Forbidden, Person, Unknown
from bridge.api.authentication.attempts import Attempts
from bridge.api.authentication.sessions import Sessions, shown
from bridge.api.authentication.verifier import Remembered

log = structlog.get_logger(__name__)

_LONGEST: Final = 16_384  # characters of a token; those with many groups are long
_WAYS: Final = "log in at /login, or send a token: Authorization: Bearer …"


class Admission:
    """Lets in whoever the verifier knows, and slows down whoever it does not."""

    __slots__ = ("_attempts", "_sessions", "_verifier")

    def __init__(self, verifier: Remembered, sessions: Sessions, attempts: Attempts) -> None:
        self._verifier = verifier
        self._sessions = sessions
        self._attempts = attempts

    def person(self, request: Request) -> Person:
        """Whoever sent the request."""
        token = _bearer(request)
        if token is None:
            by_hand = request.headers.get("sec-fetch-mode", "navigate") == "navigate"
            token = self._sessions.token(shown(request), used=by_hand)
        if token is None:
            raise Unknown(_WAYS)
        return self._verified(token, request)

    def login(self, request: Request, token: str) -> str:
        """Begin a session with this token, in place of the one that is shown; what the browser has to show from now on.

        Raises as `person` does.
        """
        person = self._verified(token.strip(), request)
        log.info("logged in", name=person.name, role=person.role.name.lower(), address=_address(request))
        self.logout(request)
        return self._sessions.begin(token.strip())

    def logout(self, request: Request) -> None:
        """End the session that the request shows."""
        self._sessions.end(shown(request))

    def _verified(self, token: str, request: Request) -> Person:
        address = _address(request)
        met = self._verifier.met(token)  # whoever was let in before is not kept out by others' failures
        if not met:
            self._attempts.take(address)
        try:
            _check(token)
            found = self._verifier.verified(token)
        except (Unknown, Forbidden) as error:
            log.warning("not let in", address=address, why=str(error))
            raise
        if not met:
            self._attempts.give_back(address)
        return found


def _bearer(request: Request) -> str | None:
    """The token of the Authorization header; None without one. Unknown for another kind of it."""
    header = request.headers.get("authorization")
    if header is None:
        return None
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer":
        raise Unknown(_WAYS)
    return token.strip()


def _check(token: str) -> None:
    if not 0 < len(token) <= _LONGEST or not token.isascii() or not token.isprintable():
        raise Unknown("that is no token")


def _address(request: Request) -> str:
    return request.client.host if request.client else ""
