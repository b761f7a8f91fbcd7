"""Tokens of the settings: each names a person and a role, and its secret lies where credentials lie."""

import hashlib
import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from bridge.api.access import Person, Unknown
from bridge.errors import BridgeError

SHORTEST: Final = 20  # characters: nobody guesses those, however often he may try


@dataclass(frozen=True, slots=True)
class StaticToken:
    """One token. `read` brings its secret, read anew each time; KeyError or BridgeError, which hold none of it, where it is not there."""

    person: Person
    read: Callable[[], str] = field(repr=False)


class Tokens:
    """All of them. Every one is compared with what somebody shows, in the same time whatever it is."""

    __slots__ = ("_tokens",)

    def __init__(self, tokens: Sequence[StaticToken]) -> None:
        self._tokens = tuple(tokens)

    def verified(self, token: str) -> Person:
        """Whose it is. Unknown for nobody's, or for that of two persons."""
        shown = _digest(token)
        values = [self._value(one) for one in self._tokens]
        same = [hmac.compare_digest(shown, _digest(value)) for value in values]
        found = [one for one, value, right in zip(self._tokens, values, same, strict=True) if right and usable(value)]
        if len(found) != 1:
            raise Unknown("no token of the settings is this one")
        return found[0].person

    def problems(self) -> dict[str, str]:
        """What keeps a token from being taken, by the name of its person."""
        found: dict[str, str] = {}
        first: dict[bytes, str] = {}
        for one in self._tokens:
            name = one.person.name
            try:
                value = one.read()
            except (KeyError, BridgeError) as error:
                found[name] = str(error.args[0])
                continue
            other = first.setdefault(_digest(value), name)
            if not usable(value):
                found[name] = f"its token is not {SHORTEST} or more characters of ASCII without spaces"
            elif other != name:
                found[name] = found[other] = f"{other} and {name} have the same token"
        return found

    @staticmethod
    def _value(one: StaticToken) -> str:
        try:
            return one.read()
        except (KeyError, BridgeError):  # said at the start; others are not kept out by it
            return ""


def usable(value: str) -> bool:
    """Whether a secret can be a token: it fits into a header, and is not to be guessed."""
    return len(value) >= SHORTEST and value.isascii() and value.isprintable() and " " not in value


def _digest(value: str) -> bytes:
    return hashlib.sha256(value.encode()).digest()
