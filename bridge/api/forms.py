"""Forms of pages: each bears a word that only a page of ours could know.

A template writes `<input type="hidden" name="form_token" value="{{ form_token }}">` into each POST form, and the route that takes the
form has a parameter of the type `Posted`.
"""

import hashlib
import hmac
import secrets
from typing import Annotated

from fastapi import Depends, Form, Request

from bridge.api.access import Forbidden, Person
from bridge.api.authentication.sessions import shown


class Forms:
    """The word of each session, or, where there are none, of each person; it holds as long as the process lives."""

    __slots__ = ("_key",)

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)

    def token(self, request: Request) -> str:
        """The word for forms of a page that answers this request."""
        person: Person | None = getattr(request.state, "person", None)
        session = shown(request)
        return self.word(f"session {session}" if session else f"person {person.name if person else ''}")

    def word(self, who: str) -> str:
        """The word for forms of this session or person, or of whoever is about to become one."""
        return hmac.new(self._key, who.encode(), hashlib.sha256).hexdigest()

    def check(self, expected: str, given: str) -> None:
        """Raise Forbidden for another word than that of a page of ours."""
        if not hmac.compare_digest(expected.encode(), given.encode()):
            raise Forbidden(
                "the form is not, or no longer, one of this session: go back, load the page again and send it anew"
            )


def token(request: Request) -> str:
    """The word for forms of the page that answers this request."""
    forms: Forms = request.app.state.forms
    return forms.token(request)


def posted(request: Request, form_token: Annotated[str, Form(max_length=128)] = "") -> None:
    """Raise Forbidden for a form that is not from a page of ours."""
    forms: Forms = request.app.state.forms
    forms.check(forms.token(request), form_token)


Posted = Annotated[None, Depends(posted)]
