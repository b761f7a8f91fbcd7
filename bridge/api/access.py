"""Who asks, and what that person may do."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated, Protocol

from fastapi import Depends, Request


class Role(IntEnum):
    """What somebody may do; each may what those before it may.

    A viewer reads what the state says. An operator also has devices read now, stops them and starts them. Security also decides about what
    is held.
    """

    VIEWER = 1
    OPERATOR = 2
    SECURITY = 3


@dataclass(frozen=True, slots=True)
class Person:
    """Who asks. `name` is "" where nobody is asked who he is: whoever decides then has to say it himself."""

    name: str
    role: Role


class Unknown(Exception):
    """Who asks is not known; the message says how he makes himself known."""


class Forbidden(Exception):
    """Who asks may not do this; the message says which role it takes."""


class Unavailable(Exception):
    """Who asks cannot be found out now; the message says who did not answer."""


class TooMany(Exception):
    """Too many who were not known came from there. `retry_after` in seconds."""

    def __init__(self, retry_after: int) -> None:
        self.retry_after = retry_after
        super().__init__("too many logins failed; wait before the next")


class Access(Protocol):
    """Finds out who asks."""

    def person(self, request: Request) -> Person:
        """Whoever sent the request. Raises Unknown, Forbidden for somebody without a role, Unavailable, TooMany."""
        ...


class Everybody:
    """On loopback, without authentication: whoever is on this machine may do everything."""

    def person(self, request: Request) -> Person:  # noqa: ARG002 (it may be anybody's)
        """Nobody in particular."""
        return Person("", Role.SECURITY)


@dataclass(frozen=True, slots=True)
class Needs:
    """A dependency of a route: the person, who has at least this role. Raises what Access does, and Forbidden."""

    role: Role

    def __call__(self, request: Request) -> Person:
        """Whoever asks."""
        access: Access = request.app.state.access
        person = access.person(request)
        request.state.person = person
        if person.role < self.role:
            raise Forbidden(f"it takes the role {self.role.name.lower()}; {person.name} has {person.role.name.lower()}")
        return person


Viewer = Annotated[Person, Depends(Needs(Role.VIEWER))]
Operator = Annotated[Person, Depends(Needs(Role.OPERATOR))]
Security = Annotated[Person, Depends(Needs(Role.SECURITY))]
