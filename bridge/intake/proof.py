"""What proves that a workload no longer has an address (SEMANTICS 8): its end was seen, or another has the address. The rest is guarded."""

from collections.abc import Collection, Iterable

from bridge.intake.dirty import Dirty
from bridge.intake.prefix_index import PrefixIndex
from bridge.intake.workloads import Workloads
from bridge.model.identity import ObjectKey, Scope
from bridge.model.observed import Pod


def unproven(address: str, owner: Pod | None, before: str | None, workloads: Workloads, dirty: Dirty) -> bool:
    """Whether nothing proves that the workload of uid `before` is gone from the address, which `owner` has now.

    A pod that lives on proves nothing, whatever its labels, its addresses or a selector say now.
    """
    if owner is not None:
        return owner.uid == before
    pod = workloads.pods.get(before) if before is not None else None
    return before is None or address in dirty.unproven or (pod is not None and not pod.terminal)


def service_gone(key: ObjectKey, dirty: Dirty) -> bool:
    """Whether a group empties because its Service was deleted: somebody did that, to one object."""
    return key.scope is Scope.SERVICE and (key.namespace, key.name) in dirty.services_deleted


def around(members: Iterable[str], addresses: Collection[str]) -> set[str]:
    """The members that hold one of the addresses."""
    if not addresses:
        return set()
    index: PrefixIndex[str] = PrefixIndex()
    for member in members:
        index.add(member, (member,))
    return {member for address in addresses for member in index.of(address)}
