"""What a live plan changes in what workloads can reach: between all that the device holds now and all that it would hold."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from bridge.cli.assembly import governance
from bridge.cli.comparison import Comparison
from bridge.model.identity import ObjectKey
from bridge.model.intent import DeviceObject
from bridge.model.policy import Ref
from bridge.policy.compile import ClusterPolicy
from bridge.policy.reach import difference
from bridge.policy.remainder import outside
from bridge.report.reachability import People, Reaching, Sender, reachings
from bridge.settings import Settings
from bridge.state.database import Database
from bridge.state.report_store import ReportStore

if TYPE_CHECKING:
    from bridge.policy.reach import Difference


def consequence(settings: Settings, found: Comparison, database: Database) -> tuple[Reaching, ...]:
    """Exact for both states of the device as it was read; as if our policy were attached in both."""
    if found.plan is None or found.snapshot is None or found.plan.empty:
        return ()
    after: dict[ObjectKey, DeviceObject] = dict(found.snapshot.objects)
    for step in found.plan.steps:
        if step.after is None:
            after.pop(step.key, None)
        else:
            after[step.key] = step.after
    device = next(one for one in settings.devices if one.name == found.device)
    served = [one for one in settings.clusters if one.name in device.scope.clusters]
    policies = {one.name: ClusterPolicy(one.name, governance(one), (), {}) for one in served}
    changed = difference(found.snapshot.objects, after, {name: outside(one) for name, one in policies.items()})
    shared = {address for one in served for view in device.views(one.name) for address in view.addresses}
    people = _people(changed, ReportStore(database), [one.name for one in served], shared)
    return reachings(changed, people, clusters=len(served) > 1)


def _people(found: "Difference", store: ReportStore, clusters: list[str], shared: Iterable[str]) -> People:
    """Who is known to hold the addresses that are told of; a shared one stands for everybody behind it, as a node's does."""
    told = {one for shift in found.shifts for one in shift.sources}
    holders = {address: Sender("", "", "", address) for address in shared}
    rules: set[Ref] = set()
    for cluster in clusters if found.shifts else ():
        for address, one in store.holders(cluster, told).items():
            pod = Sender(one.namespace, one.workload, one.pod)
            holders[address] = Sender("", "", "", one.node) if one.node else pod
        rules.update(store.verdicts(cluster))
    known: Mapping[str, Sender] = holders
    return People(known.get, (), rules)
