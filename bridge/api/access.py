"""Who asks, and what that person may do."""

from collections.abc import Callable
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


class Access(Protocol):
    """Finds out who asks."""

    def person(self, request: Request) -> Person:
        """Whoever sent the request. Raises Unknown."""
        ...


class Everybody:
    """On loopback, without authentication: whoever is on this machine may do everything."""

    def person(self, request: Request) -> Person:  # noqa: ARG002 (it may be anybody's)
        """Nobody in particular."""
        return Person("", Role.SECURITY)


def needs(role: Role) -> Callable[[Request], Person]:
    """A dependency of a route: the person, who has at least this role. Raises Unknown, Forbidden."""

    def allowed(request: Request) -> Person:
        access: Access = request.app.state.access
        person = access.person(request)
        if person.role < role:
            raise Forbidden(f"it takes the role {role.name.lower()}; {person.name} has {person.role.name.lower()}")
        request.state.person = person
        return person

    return allowed


Viewer = Annotated[Person, Depends(needs(Role.VIEWER))]
Operator = Annotated[Person, Depends(needs(Role.OPERATOR))]
Security = Annotated[Person, Depends(needs(Role.SECURITY))]
