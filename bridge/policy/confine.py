"""A device for some namespaces only: whom the whole cluster's rules and the default reach there, and who is exempt from them."""

from dataclasses import replace

from bridge.model.identity import ObjectKey, Scope
from bridge.model.intent import RuleList
from bridge.model.policy import Operator, Requirement, Selector, Source
from bridge.policy.compiled import Compiled
from bridge.policy.select import NAME_LABEL


def confine(result: Compiled, device: str, namespaces: frozenset[str]) -> None:
    """Groups that reach over namespaces become the device's own, told by a name that no object of Kubernetes can have."""
    inside = Requirement(NAME_LABEL, Operator.IN, tuple(sorted(namespaces)))
    renamed: dict[ObjectKey, ObjectKey] = {}
    for groups in (result.groups, result.watched):
        for key in [key for key in groups if own_key(key, device) != key]:
            renamed[key] = own = own_key(key, device)
            groups[own] = tuple(_within(source, inside) for source in groups.pop(key))
    for key, value in result.objects.items():
        if isinstance(value, RuleList):
            entries = (
                replace(entry, sources=tuple(renamed.get(one, one) for one in entry.sources)) for entry in value.entries
            )
            result.objects[key] = RuleList(key, tuple(entries))
    for ref, keys in result.placed.items():
        result.placed[ref] = {renamed.get(key, key) for key in keys}


def own_key(key: ObjectKey, device: str) -> ObjectKey:
    """The key of a group that reaches over namespaces, as this device has it; others have the same everywhere."""
    return replace(key, name=f"{key.name}-.{device}") if key.scope in (Scope.CLUSTER, Scope.BUILTIN) else key


def _within(source: Source, inside: Requirement) -> Source:
    return replace(source, namespaces=Selector((*source.namespaces.requirements, inside)))
