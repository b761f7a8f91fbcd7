"""Manifests as text: YAML or JSON, several documents in one, each value with the line it stands on.

Scalars are read as Kubernetes reads them: no dates, no base sixty, so that an address or a time of day stays a string.
"""

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import yaml

_Base: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_STEP = re.compile(r'\["([^"]*)"\]|\[(\d+)\]|\.?([^.\[]+)')
_DEEPEST = 100  # our deepest field stands ten levels down; the parser's own end is a crash of the process
_OURS = ("int", "float", "timestamp", "value")


class _Loader(_Base):  # type: ignore[misc, valid-type]
    """Strings stay strings where Kubernetes keeps them so."""

    yaml_implicit_resolvers = {  # noqa: RUF012
        first: [(tag, form) for tag, form in resolvers if tag.rpartition(":")[2] not in _OURS]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:int", re.compile(r"[-+]?(?:0[0-7]*|[1-9][0-9]*|0x[0-9a-fA-F]+)$"), list("-+0123456789")
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(
        r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?$|[-+]?\.(?:inf|Inf|INF)$|\.(?:nan|NaN|NAN)$"
    ),
    list("-+.0123456789"),
)


@dataclass(frozen=True, slots=True)
class Document:
    """One value. `node` is None where the lines are not known."""

    value: Any
    node: yaml.Node | None = None

    def line(self, path: str = "") -> int | None:
        """The line of the field at this path, or of what is nearest above it."""
        node = self.node
        if node is None:
            return None
        for quoted, index, name in _STEP.findall(path):
            step = _child(node, int(index) if index else quoted or name)
            if step is None:
                break
            node = step
        return int(node.start_mark.line) + 1

    def at(self, path: str) -> "Document":
        """The part at this path, which must be there, as a document of its own."""
        value, node = self.value, self.node
        for quoted, index, name in _STEP.findall(path):
            key = int(index) if index else quoted or name
            value = value[key]
            node = _child(node, key) if node is not None else None
        return Document(value, node)


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Text that is no document, from this line on."""

    line: int | None
    reason: str


def documents(text: str) -> Iterator[Document | Unreadable]:
    """The documents of a text in order, without the empty ones; after an error in the syntax nothing more can be read."""
    if text.lstrip().startswith("{"):
        yield from _json(text)
    else:
        yield from _yaml(text)


def _json(text: str) -> Iterator[Document | Unreadable]:
    """JSON is YAML but for its tabs, so YAML, which knows lines, is tried first."""
    found = list(_yaml(text))
    if any(isinstance(item, Unreadable) for item in found):
        with suppress(ValueError, RecursionError):  # where it is no JSON either, what YAML said is the better message
            found = [Document(json.loads(text))]
    yield from found


def _yaml(text: str) -> Iterator[Document | Unreadable]:
    try:
        deep = _too_deep(text)
        loader = _Loader(text)
    except (yaml.YAMLError, ValueError) as error:
        yield Unreadable(None, _reason(error))
        return
    if deep is not None:
        yield Unreadable(deep, "is nested too deeply")
        return
    try:
        while loader.check_node():
            document = _document(loader, loader.get_node())
            if not isinstance(document, Document) or document.value is not None:
                yield document
    except yaml.MarkedYAMLError as error:
        yield Unreadable(_line(error), _reason(error))
    except (yaml.YAMLError, RecursionError) as error:
        yield Unreadable(None, _reason(error))
    finally:
        loader.dispose()


def _too_deep(text: str) -> int | None:
    """The line where the nesting passes every measure; errors of syntax are left to be found again when the text is read."""
    depth = 0
    with suppress(yaml.MarkedYAMLError):
        for event in yaml.parse(text, Loader=_Loader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > _DEEPEST:
                return event.start_mark.line + 1 if event.start_mark else 1
    return None


def _document(loader: _Loader, node: yaml.Node) -> Document | Unreadable:
    """The value of a node; what is no JSON value (unknown tags, keys twice, an anchor inside itself) is unreadable."""
    try:
        twice = _key_twice(node, set(), ())
        if twice is not None:
            return Unreadable(int(twice.start_mark.line) + 1, f"the key {twice.value!r} stands here twice")
        return Document(loader.construct_document(node), node)
    except yaml.MarkedYAMLError as error:
        return Unreadable(_line(error), _reason(error))
    except (ValueError, TypeError, RecursionError) as error:
        return Unreadable(int(node.start_mark.line) + 1, _reason(error))


def _key_twice(node: yaml.Node, done: set[int], inside: tuple[int, ...]) -> yaml.ScalarNode | None:
    """The first key that repeats one of its mapping; ValueError on a node inside itself."""
    if id(node) in inside:
        raise ValueError("an anchor refers to itself")
    if id(node) in done or isinstance(node, yaml.ScalarNode):
        return None
    done.add(id(node))
    keys: set[str] = set()
    for key, child in _children(node):
        if isinstance(key, yaml.ScalarNode):
            if key.value in keys:
                return key
            keys.add(key.value)
        twice = _key_twice(child, done, (*inside, id(node)))
        if twice is not None:
            return twice
    return None


def _children(node: yaml.Node) -> Iterator[tuple[yaml.Node | None, yaml.Node]]:
    for item in node.value:
        yield item if isinstance(node, yaml.MappingNode) else (None, item)


def _child(node: yaml.Node, step: int | str) -> yaml.Node | None:
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        return _as_node(node.value[step])
    if isinstance(node, yaml.MappingNode):
        for key, child in node.value:
            if key.value == step:
                return _as_node(child)
    return None


def _as_node(value: object) -> yaml.Node | None:
    return value if isinstance(value, yaml.Node) else None


def _line(error: yaml.MarkedYAMLError) -> int | None:
    mark = error.problem_mark or error.context_mark
    return mark.line + 1 if mark else None


def _reason(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "is nested too deeply"
    if isinstance(error, yaml.MarkedYAMLError):
        return ", ".join(part for part in (error.context, error.problem) if part)
    return str(error).partition("\n")[0]
