"""Kinds of attributes: what each takes, how it is kept, how it reads back, what it refers to.

Kept values are plain strings and numbers; a list of names is kept as a tuple and reads back as objects with a `name`.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bridge.lab.devices.fortigate.answers import (
    FULL,
    MARKUP,
    NAME_TOO_LONG,
    TOO_LONG,
    TWICE,
    FortiError,
    Json,
    bad_value,
)
from bridge.lab.devices.fortigate.conduct import Limits

Parse = Callable[[str, Any, Limits], Any]

_MARKUP = re.compile(r"[<>\"']")
_LONGEST_MEMBER = 79


@dataclass(frozen=True, slots=True)
class Field:
    """One attribute. `tables` are where its names may stand; `types`, where given, are the only values of `type` with which it shows."""

    parse: Parse
    default: Any
    tables: tuple[str, ...] = ()
    listed: bool = False
    types: frozenset[str] = frozenset()
    most: Callable[[Limits], int] | None = None

    def check_length(self, name: str, count: int, limits: Limits) -> None:
        """Refuse a list of more names than the box takes."""
        if self.most is not None and count > self.most(limits):
            raise FortiError(500, FULL, f"the maximum number of entries in {name} has been reached")

    def show(self, value: Any) -> Any:  # noqa: ANN401 - JSON
        """As GET answers it."""
        return [row(name) for name in value] if self.listed else value

    def names(self, value: Any) -> tuple[str, ...]:  # noqa: ANN401 - as kept
        """What it refers to."""
        if not self.tables or not value:
            return ()
        return tuple(value) if self.listed else (str(value),)


def row(name: str) -> Json:
    """One row of a list of names."""
    return {"name": name, "q_origin_key": name}


def valid_name(value: object, longest: int) -> str:
    """The name of an entry. Length is counted in bytes."""
    if not isinstance(value, str | int) or isinstance(value, bool):
        raise bad_value("name", value)
    text = str(value)
    if _MARKUP.search(text):
        raise FortiError(500, MARKUP, "the string contains XSS vulnerability characters")
    if len(text.encode()) > longest:
        raise FortiError(500, NAME_TOO_LONG, "name is too long")
    return text


def text(longest: int, default: str = "", *, types: str = "", markup: bool = True) -> Field:
    """Free text of so many bytes at most."""

    def parse(name: str, value: Any, _limits: Limits) -> str:  # noqa: ANN401
        if not isinstance(value, str | int) or isinstance(value, bool):
            raise bad_value(name, value)
        given = str(value)
        if len(given.encode()) > longest:
            raise FortiError(500, TOO_LONG, f"{name} is too long")
        if not markup and _MARKUP.search(given):
            raise FortiError(500, MARKUP, "the string contains XSS vulnerability characters")
        return given

    return Field(parse, default, types=frozenset(types.split()))


def choice(*options: str, default: str | None = None) -> Field:
    """One of these words."""

    def parse(name: str, value: Any, _limits: Limits) -> str:  # noqa: ANN401
        if value not in options:
            raise bad_value(name, value)
        return str(value)

    return Field(parse, options[0] if default is None else default)


def switch(default: str = "disable") -> Field:
    """`enable` or `disable`."""
    return choice("enable", "disable", default=default)


def number(low: int, high: int, default: int | str, *, types: str = "") -> Field:
    """A whole number, as a number or its text. An empty text stands for none where that is the default."""

    def parse(name: str, value: Any, _limits: Limits) -> int | str:  # noqa: ANN401
        if value == "" and default == "":
            return ""
        if isinstance(value, bool) or not str(value).lstrip("-").isdecimal() or not low <= int(value) <= high:
            raise bad_value(name, value)
        return int(value)

    return Field(parse, default, types=frozenset(types.split()))


def value(read: Callable[[str, object], str], default: str = "", *, types: str = "") -> Field:
    """A text that a function of `values` reads. Empty where the default is."""

    def parse(name: str, given: Any, _limits: Limits) -> str:  # noqa: ANN401
        return "" if given == "" and default == "" else read(name, given)

    return Field(parse, default, types=frozenset(types.split()))


def reference(*tables: str, default: str = "") -> Field:
    """The name of one entry of one of these tables; empty for none."""

    def parse(name: str, given: Any, _limits: Limits) -> str:  # noqa: ANN401
        if not isinstance(given, str):
            raise bad_value(name, given)
        return given

    return Field(parse, default, tables)


def names(*tables: str, most: Callable[[Limits], int] | None = None) -> Field:
    """A list of objects with a `name`, each naming an entry of one of these tables."""

    def parse(name: str, given: Any, limits: Limits) -> tuple[str, ...]:  # noqa: ANN401
        if not isinstance(given, list):
            raise bad_value(name, given)
        told = tuple(row_name(name, one) for one in given)
        if len(set(told)) != len(told):
            raise FortiError(500, TWICE, f"duplicate entry in {name}")
        found.check_length(name, len(told), limits)
        return told

    found = Field(parse, (), tables, listed=True, most=most)
    return found


def row_name(attribute: str, given: object) -> str:
    """The name in one row of a list."""
    told = given.get("name") if isinstance(given, dict) else None
    if not isinstance(told, str) or not told:
        raise bad_value(attribute, given)
    return valid_name(told, _LONGEST_MEMBER)
