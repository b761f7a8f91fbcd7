"""Groups without any custom resource: the annotation `fusionbridge.io/address-group` on a Namespace, a Service or a pod.

Its value names one group or several, separated by commas. A group belongs to the namespace: the same name on several objects of one
namespace is their union, and no annotation reaches the group of another namespace (SEMANTICS 2). On a Namespace it takes all pods of
the namespace, on a Service the pods behind it, on a pod that pod.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from bridge.dialects.fields import dns_label, shown
from bridge.dialects.kinds import GROUP
from bridge.errors import PolicyError
from bridge.model.observed import Labels, Namespace, Pod, Service
from bridge.model.policy import Ref, Source, SourceKind

ADDRESS_GROUP = f"{GROUP}/address-group"
STATUS = f"{GROUP}/status"
KNOWN = (ADDRESS_GROUP, STATUS)

_Annotated = TypeVar("_Annotated", Namespace, Service, Pod)
GroupName = tuple[str, str]
"""Namespace and value."""


@dataclass(frozen=True, slots=True)
class Groups:
    """Each group with the sources whose union it is, and what was wrong on which object; an object in error adds to no group.

    `carriers` are the Namespaces and Services with the groups that they ask for; pods are not told apart.
    """

    sources: Mapping[GroupName, tuple[Source, ...]]
    errors: Mapping[Ref, PolicyError]
    carriers: Mapping[Ref, tuple[GroupName, ...]] = field(default_factory=dict)


def group_names(annotations: Labels) -> tuple[str, ...]:
    """The groups that an object's annotations name, in order and once each; PolicyError on a value that cannot be taken."""
    text = annotations.get(ADDRESS_GROUP)
    if text is None:
        return ()
    names = [name.strip() for name in text.split(",")]
    try:
        return tuple(sorted({dns_label(name) for name in names}))
    except ValueError as error:
        reason = str(error) if text.strip() else f"{shown(text)} names no group; remove the annotation or write a name"
        raise PolicyError(f'metadata.annotations["{ADDRESS_GROUP}"]', reason) from None


def annotation_groups(namespaces: Iterable[Namespace], services: Iterable[Service], pods: Iterable[Pod] = ()) -> Groups:
    """The groups that these objects ask for. Neither their order nor repetition counts; one bad object spoils no other."""
    found: dict[GroupName, set[Source]] = {}
    errors: dict[Ref, PolicyError] = {}
    carriers: dict[Ref, tuple[GroupName, ...]] = {}

    def add(about: Ref, namespace: str, annotations: Labels, source: Source | None) -> None:
        try:
            names = tuple((namespace, name) for name in group_names(annotations))
        except PolicyError as error:
            errors[about] = error
            return
        for name in names:
            found.setdefault(name, set()).add(source or annotated(*name))
        if names and source:
            carriers[about] = names

    for item in _asking(namespaces):
        whole = Source(SourceKind.NAMESPACE, namespace=item.name)
        add(Ref("Namespace", "", item.name), item.name, item.annotations, whole)
    for service in _asking(services):
        behind = Source(SourceKind.SERVICE, namespace=service.namespace, service=service.name)
        add(Ref("Service", service.namespace, service.name), service.namespace, service.annotations, behind)
    for pod in _asking(pods):
        add(Ref("Pod", pod.namespace, pod.name), pod.namespace, pod.annotations, None)
    return Groups({name: tuple(sorted(sources)) for name, sources in sorted(found.items())}, errors, carriers)


def _asking(items: Iterable[_Annotated]) -> Iterator[_Annotated]:
    """Those that ask for a group, as hardly any does: all are looked at whenever policy is compiled."""
    return (item for item in items if ADDRESS_GROUP in item.annotations)


def annotated(namespace: str, name: str) -> Source:
    """The pods of a namespace that carry the annotation with this name themselves."""
    return Source(SourceKind.ANNOTATION, namespace=namespace, service=name)
