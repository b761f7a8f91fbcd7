"""What a dialect is: policy as somebody writes it, turned into the model.

A dialect is one small module with a value of `Dialect`, named by an entry point of the group `fusion_bridge.dialects`. It looks at one
object at a time: whether references lead anywhere, and whether a namespace is governed, is the business of the caller.
"""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from importlib.metadata import entry_points
from typing import Any

from bridge.dialects.specs import Invalid
from bridge.errors import PolicyError, SettingsError
from bridge.model.kinds import Kind, Resource, register
from bridge.model.observed import NO_LABELS, Labels, PolicyObject
from bridge.model.policy import AddressGroupSpec, ExternalService, Ref, Rule

ENTRY_POINTS = "fusion_bridge.dialects"
NATIVE = "native"

Policy = Rule | ExternalService | AddressGroupSpec


def _not_shared(_annotation: str, _value: str) -> bool:
    return False


def _nothing_known(_namespace: str) -> Labels:
    return NO_LABELS


@dataclass(frozen=True, slots=True)
class Context:
    """What a dialect may know beside the object: the cluster's pod ranges, what the settings say to this dialect, and the annotations of a
    namespace by its name, as far as the dialect asks for them. `shared` says of such an annotation and its value whether several namespaces
    carry it."""

    pod_ranges: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    annotations: Callable[[str], Labels] = _nothing_known
    shared: Callable[[str, str], bool] = _not_shared


@dataclass(frozen=True, slots=True)
class Dialect:
    """One dialect.

    `read` makes the value of an object of one of `kinds`, or raises PolicyError, which says the field and what is wrong there; nothing
    else may come out of it, whatever JSON the spec is. `cautions` are fields and warnings about what is taken and seldom meant. With
    `first_seen` rules of one priority keep the order in which they were first seen. `namespace_annotations` are what `read` looks up.
    """

    name: str
    kinds: tuple[Kind, ...]
    read: Callable[[PolicyObject, Context], Policy]
    cautions: Callable[[PolicyObject], Iterable[tuple[str, str]]] = lambda _: ()
    first_seen: bool = False
    namespace_annotations: tuple[str, ...] = ()


class Dialects:
    """The dialects in use in one cluster, and what the settings say to each by its name."""

    def __init__(self, dialects: Iterable[Dialect], options: Mapping[str, Mapping[str, Any]] | None = None) -> None:
        self._dialects = tuple(dialects)
        self._options = options or {}
        self._of = {kind.resource: dialect for dialect in self._dialects for kind in dialect.kinds}
        for dialect in self._dialects:
            register(dialect.kinds, dialect.namespace_annotations)

    @cached_property
    def kinds(self) -> Mapping[Resource, Kind]:
        """Every kind that is read."""
        return {kind.resource: kind for dialect in self._dialects for kind in dialect.kinds}

    @cached_property
    def namespace_annotations(self) -> frozenset[str]:
        """What rules may hang on, of a Namespace."""
        return frozenset(name for dialect in self._dialects for name in dialect.namespace_annotations)

    def first_seen(self, resource: Resource) -> bool:
        """Whether rules of this kind keep the order in which they were first seen."""
        return resource in self._of and self._of[resource].first_seen

    def read(self, obj: PolicyObject, around: Context | None = None) -> Policy:
        """The value of an object. PolicyError when it cannot be taken, or is of no kind that is read here."""
        dialect = self._of.get(obj.resource)
        if dialect is None:
            raise PolicyError("", f"no dialect in use reads {obj.resource}: see clusters[].dialects in the settings")
        around = around or Context()
        found = dialect.read(
            obj,
            Context(
                around.pod_ranges, self._options.get(dialect.name, around.options), around.annotations, around.shared
            ),
        )
        if dialect.first_seen and isinstance(found, Rule):
            return replace(found, sequence=obj.sequence)
        return found

    def problems(self, obj: PolicyObject, around: Context | None = None) -> list[PolicyError]:
        """Everything that is wrong with an object; empty when it can be taken."""
        try:
            self.read(obj, around)
        except Invalid as invalid:
            return list(invalid.problems)
        except PolicyError as error:
            return [error]
        return []

    def cautions(self, obj: PolicyObject) -> list[tuple[str, str]]:
        """Fields and warnings about an object that can be taken."""
        return list(self._of[obj.resource].cautions(obj))


def ref_of(kind: Kind, obj: PolicyObject) -> Ref:
    """What other objects and status call this one."""
    return Ref(kind.ref, obj.namespace if kind.namespaced else "", obj.name)


def installed() -> tuple[str, ...]:
    """The names of the dialects that there are."""
    return tuple(sorted(point.name for point in entry_points(group=ENTRY_POINTS)))


@cache
def reader(api_version: str, kind: str) -> str:
    """The name of the installed dialect of another program that reads these objects; "" when there is none."""
    for name in installed():
        with suppress(SettingsError):
            if any(one.foreign and (one.api_version, one.name) == (api_version, kind) for one in _load(name).kinds):
                return name
    return ""


def load(names: Iterable[str], options: Mapping[str, Mapping[str, Any]] | None = None) -> Dialects:
    """These dialects. SettingsError for one that is not installed, or cannot be loaded."""
    return Dialects((_load(name) for name in dict.fromkeys(names)), options)


def _load(name: str) -> Dialect:
    for point in entry_points(group=ENTRY_POINTS, name=name):
        try:
            found = point.load()
        except (ImportError, AttributeError) as error:
            words = f"the dialect {point.value} cannot be loaded: {error}"
            raise SettingsError({name: words}, "the installation") from error
        if not isinstance(found, Dialect):
            raise SettingsError({name: f"{point.value} is no dialect"}, "the installation")
        return found
    raise SettingsError({"dialects": f"there is no dialect {name}; there are {', '.join(installed())}"})
