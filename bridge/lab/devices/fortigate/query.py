"""What a list call may ask for: filters, attributes, order, a window.

`filter=name==x`: repeated filters must all hold, of those with commas between one must. Letters are compared without regard to
case. `start` and `count` count entries that the filters left.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl

from bridge.lab.devices.fortigate.answers import FortiError, Json

_FILTER = re.compile(r"(?P<key>[A-Za-z0-9_.-]+?)(?P<op>==|!=|=@|!@|=\*|!\*|<=|>=|<|>)(?P<pattern>.*)\Z", re.DOTALL)
_COMMA = re.compile(r"(?<!\\),")


@dataclass(frozen=True, slots=True)
class Window:
    """A part of a list. `size` counts the table, `matched` what the filters left, `last` is the index of the last entry shown."""

    shown: list[Json]
    size: int
    matched: int
    last: int


def arguments(query: str) -> dict[str, list[str]]:
    """The parameters of a query, each with all its values."""
    told: dict[str, list[str]] = {}
    for name, given in parse_qsl(query, keep_blank_values=True):
        told.setdefault(name, []).append(given)
    return told


def single(given: dict[str, list[str]], name: str, default: str = "") -> str:
    """The last value of a parameter."""
    return given.get(name, [default])[-1]


def plain(given: dict[str, list[str]]) -> bool:
    """Whether the call asks for the entries as they are."""
    return not given.keys() & {"filter", "format", "sort", "start", "count", "with_meta", "exclude-default-values"}


def window(entries: Iterable[Json], given: dict[str, list[str]]) -> Window:
    """The part that was asked for."""
    told = list(entries)
    size = len(told)
    for text in given.get("filter", ()):
        told = [one for one in told if _any(one, text)]
    told = _sorted(told, single(given, "sort"))
    matched = len(told)
    start = whole(given, "start", 0)
    count = whole(given, "count", 0)
    told = told[start : start + count] if count else told[start:]
    return Window(told, size, matched, max(0, start + len(told) - 1))


def formatted(entries: Sequence[Json], given: dict[str, list[str]]) -> list[Json]:
    """Only the attributes that `format` names, where it is given; `name|subnet`, or repeated."""
    wanted = {name for text in given.get("format", ()) for name in re.split(r"[|,]", text) if name}
    if not wanted:
        return list(entries)
    return [{name: held for name, held in one.items() if name in wanted or name == "q_origin_key"} for one in entries]


def whole(given: dict[str, list[str]], name: str, default: int) -> int:
    """A parameter that is a number."""
    text = single(given, name)
    if not text:
        return default
    if not text.isdecimal():
        raise FortiError(400)
    return int(text)


def _sorted(entries: list[Json], text: str) -> list[Json]:
    if not text:
        return entries
    key, _, order = text.partition(",")
    return sorted(entries, key=lambda one: _comparable(one.get(key)), reverse=order == "dsc")


def _comparable(value: Any) -> tuple[int, int, str]:  # noqa: ANN401 - JSON
    if isinstance(value, int):
        return (0, value, "")
    return (1, 0, str(value).lower())


def _any(entry: Json, text: str) -> bool:
    return any(_holds(entry, part) for part in _parts(text))


@dataclass(frozen=True, slots=True)
class _Part:
    """One condition: what stands at the path, compared with a pattern in small letters."""

    path: tuple[str, ...]
    op: str
    pattern: str


@lru_cache(maxsize=64)
def _parts(text: str) -> tuple[_Part, ...]:
    """The conditions of a filter, of which one must hold; 400 for what is none."""
    found = []
    for part in _COMMA.split(text):
        parsed = _FILTER.match(part)
        if parsed is None:
            raise FortiError(400)
        pattern = re.sub(r"\\(.)", r"\1", parsed["pattern"])
        found.append(_Part(tuple(parsed["key"].split(".")), parsed["op"], pattern.lower()))
    return tuple(found)


def _holds(entry: Json, one: _Part) -> bool:
    if len(one.path) == 1 and one.op == "==" and isinstance(held := entry.get(one.path[0]), str):
        return held.lower() == one.pattern
    found = list(_values(entry, one.path))
    if one.op.startswith("!"):
        return not any(_compare(held, "=" + one.op[1], one.pattern) for held in found)
    return any(_compare(held, one.op, one.pattern) for held in found)


def _values(entry: object, path: Sequence[str]) -> Iterable[object]:
    """What stands at the path; lists are entered."""
    if isinstance(entry, list):
        for one in entry:
            yield from _values(one, path)
    elif isinstance(entry, dict):
        if not path:
            yield entry.get("name", "")
        elif path[0] in entry:
            yield from _values(entry[path[0]], path[1:])
    elif not path:
        yield entry


def _compare(value: object, op: str, pattern: str) -> bool:
    held, wanted = str(value).lower(), pattern
    if op in ("==", "=*"):
        return held == wanted
    if op == "=@":
        return wanted in held
    try:
        number, bound = float(held), float(wanted)
    except ValueError:
        return False
    return {"<": number < bound, "<=": number <= bound, ">": number > bound, ">=": number >= bound}[op]
