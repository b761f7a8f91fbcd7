"""Label and field selectors, decided on stored bytes: only the few fields in question are decoded."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import msgspec

from bridge.lab.apiserver.kinds import Json
from bridge.lab.apiserver.refusal import bad_request

Requirement = Callable[[str | None], bool]
_PARTS = re.compile(r",(?![^(]*\))")
_SET = re.compile(r"^(\S+)\s+(in|notin)\s+\(([^)]*)\)$")
_EQUAL = re.compile(r"^([^\s=!]+)\s*(==|!=|=)\s*([^\s=!]*)$")
_NAME = re.compile(r"^(!?)\s*([A-Za-z0-9][A-Za-z0-9._/-]*)$")


class _Meta(msgspec.Struct):
    labels: dict[str, str] | None = None


class _Labelled(msgspec.Struct):
    metadata: _Meta


_labelled = msgspec.json.Decoder(_Labelled)


@dataclass(frozen=True, slots=True)
class Selector:
    """Both kinds of selector of one request; all requirements must hold."""

    labels: tuple[tuple[str, Requirement], ...]
    fields: tuple[tuple[str, Requirement], ...]

    def matches(self, body: bytes) -> bool:
        """Whether the stored object meets every requirement."""
        if self.labels:
            found = _labelled.decode(body).metadata.labels or {}
            if not all(holds(found.get(name)) for name, holds in self.labels):
                return False
        if self.fields:
            tree = msgspec.json.decode(body)
            return all(holds(_at(tree, path)) for path, holds in self.fields)
        return True


def parse(labels: str, fields: str, known: frozenset[str]) -> Selector | None:
    """The selector of two query parameters, None when both are empty. Raises Refusal 400 for what it cannot read.

    `known` are the field paths that the resource takes; another one is refused, as the real server does.
    """
    if not labels and not fields:
        return None
    selector = Selector(tuple(_requirements(labels)), tuple(_requirements(fields)))
    for path, _ in selector.fields:
        if path not in known:
            raise bad_request(f"field label not supported: {path}")
    return selector


def _requirements(text: str) -> Iterator[tuple[str, Requirement]]:
    for part in filter(None, (part.strip() for part in _PARTS.split(text))):
        if found := _SET.match(part):
            name, operator, listed = found.groups()
            yield name, _among(frozenset(value.strip() for value in listed.split(",")), wanted=operator == "in")
        elif found := _EQUAL.match(part):
            name, operator, value = found.groups()
            yield name, _among(frozenset({value}), wanted=operator != "!=")
        elif found := _NAME.match(part):
            yield found.group(2), _present(wanted=not found.group(1))
        else:
            raise bad_request(f"unable to parse requirement: {part!r}")


def _among(values: frozenset[str], *, wanted: bool) -> Requirement:
    return lambda value: (value is not None and value in values) is wanted


def _present(*, wanted: bool) -> Requirement:
    return lambda value: (value is not None) is wanted


def _at(tree: Json, path: str) -> str:
    """A field as text; an absent one counts as empty, as field selectors see it."""
    for name in path.split("."):
        tree = tree.get(name) if isinstance(tree, dict) else None
    return "" if tree is None else str(tree)
