"""What the bridge may do in a cluster, and nothing beyond: every verb that some call of ours needs, from which roles are made.

list, watch   every kind that is watched                                 reflector
get           the Namespace kube-system, whose uid is the cluster's      Connection.identity
patch         our kinds' status; the annotation of ours on Namespaces
              and Services, and on other programs' policy, of which
              also the status where it has a phase                       writes
patch         the condition of ours on pods that are gated               writes
create        Events                                                     writes
get           the Secrets that the settings name, each by its name       credentials
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final

from bridge.cluster.kinds import KINDS
from bridge.model.observed import Resource

_RBAC: Final = "rbac.authorization.k8s.io"
CARRIERS: Final = (Resource.NAMESPACES, Resource.SERVICES)
"""Of Kubernetes' own kinds, those that are told by an annotation what became of the address groups they ask for."""


@dataclass(frozen=True, slots=True)
class Right:
    """One verb on one resource: on all objects of the cluster, or on those of a `namespace`, or of these `names`."""

    verb: str
    resource: str
    group: str = ""
    subresource: str = ""
    namespace: str = ""
    names: tuple[str, ...] = ()

    def __str__(self) -> str:
        """As the errors of a call that lacks it begin: verb and resource."""
        return f"{self.verb} {self.resource}" + (f"/{self.subresource}" if self.subresource else "")

    @property
    def asked(self) -> str:
        """The resource as a role names it, without its group."""
        plural = str(self.resource.partition(".")[0])
        return f"{plural}/{self.subresource}" if self.subresource else plural


def rights(watched: Iterable[Resource], secrets: Iterable[tuple[str, str]] = ()) -> tuple[Right, ...]:
    """What it takes to watch these resources, to tell their objects what became of them, and to read these Secrets (namespace, name)."""
    resources = tuple(watched)
    found = [right for resource in resources for right in _of(resource)]
    named = [Right("get", "secrets", namespace=namespace, names=(name,)) for namespace, name in sorted(set(secrets))]
    return (*found, Right("get", "namespaces", names=("kube-system",)), Right("create", "events"), *named)


def roles(name: str, granted: Iterable[Right]) -> list[dict[str, Any]]:
    """A ClusterRole for what reaches the whole cluster, and a Role in each namespace for the rest, all of that name."""
    every = list(granted)
    namespaces = sorted({right.namespace for right in every} - {""})
    return [_role(name, space, [one for one in every if one.namespace == space]) for space in ("", *namespaces)]


def bindings(name: str, granted: Iterable[Right], account: str, home: str) -> list[dict[str, Any]]:
    """What gives these roles to the service account of that name in the namespace `home`."""
    subject = {"kind": "ServiceAccount", "name": account, "namespace": home}
    found = []
    for role in roles(name, granted):
        kind = role["kind"]
        reference = {"apiGroup": _RBAC, "kind": kind, "name": name}
        found.append(
            {
                "apiVersion": role["apiVersion"],
                "kind": f"{kind}Binding",
                "metadata": role["metadata"],
                "roleRef": reference,
                "subjects": [subject],
            }
        )
    return found


def _of(resource: Resource) -> Iterator[Right]:
    kind = KINDS[resource]
    yield Right("list", resource, kind.group)
    yield Right("watch", resource, kind.group)
    if resource in CARRIERS or kind.foreign:
        yield Right("patch", resource, kind.group)
    if resource is Resource.PODS:
        yield Right("patch", resource, kind.group, "status")
    if kind.brings is not None and (kind.phases or not kind.foreign):
        yield Right("patch", resource, kind.group, "status")


def _role(name: str, namespace: str, granted: list[Right]) -> dict[str, Any]:
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
    kind = "Role" if namespace else "ClusterRole"
    return {"apiVersion": f"{_RBAC}/v1", "kind": kind, "metadata": metadata, "rules": _rules(granted)}


def _rules(granted: list[Right]) -> list[dict[str, Any]]:
    """One rule for each set of verbs in a group, in an order that does not depend on that of the rights."""
    verbs: dict[tuple[str, tuple[str, ...], str], set[str]] = {}
    for right in granted:
        verbs.setdefault((right.group, right.names, right.asked), set()).add(right.verb)
    rows = sorted((group, names, sorted(found), asked) for (group, names, asked), found in verbs.items())
    return [
        {"apiGroups": [group], "resources": [asked for *_, asked in rest]}
        | ({"resourceNames": list(names)} if names else {})
        | {"verbs": said}
        for (group, names, said), rest in groupby(rows, key=lambda row: row[:3])
    ]
