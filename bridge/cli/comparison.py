"""One device, read live, against what the state wants of it: the plan that delivery would carry out now, and what remains to be said.

Nothing is written, neither to the device nor to the state.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace

from bridge.cli.adapters import InstalledAdapters
from bridge.cli.assembly import secret_store
from bridge.contract import Adapter
from bridge.delivery import drift
from bridge.delivery.enforcement import Enforcement
from bridge.delivery.holds import Holds
from bridge.delivery.quarantine import Quarantine
from bridge.delivery.wanted import Wanted
from bridge.errors import BridgeError, Rejected, SettingsError, StateError
from bridge.model.identity import ObjectKey
from bridge.model.intent import EVERYTHING, Objects, Snapshot
from bridge.model.plan import Plan
from bridge.policy.guard import GuardLimits
from bridge.report.words import unnamed
from bridge.settings import DeviceSettings, Settings
from bridge.state.database import Database
from bridge.state.delivery_store import DeliveryStore
from bridge.state.desired import ObjectState
from bridge.state.report_store import ReportStore
from bridge.state.reported import ObjectStanding

_REFUSED = (ObjectState.QUARANTINED, ObjectState.UNSUPPORTED)


@dataclass(frozen=True, slots=True)
class Comparison:
    """One device. With an `error` there is neither snapshot nor plan."""

    device: str
    kind: str
    snapshot: Snapshot | None = None
    plan: Plan | None = None
    standings: tuple[ObjectStanding, ...] = ()
    error: str = ""
    closes_flows: bool = False


def compare_all(settings: Settings, names: Iterable[str], database: Database) -> Iterator[Comparison]:
    """Each device named, or every one. A device that cannot be read is said so, and the others go on.

    Raises SettingsError for a name that is none, StateUnavailable.
    """
    adapters, secrets = InstalledAdapters(), secret_store(settings)
    stores = DeliveryStore(database), ReportStore(database)
    for device in _chosen(settings, names):
        unknown = _unrecorded(device, stores[1])
        if unknown:
            yield Comparison(device.name, device.kind, error=unknown)
            continue
        try:
            adapter = adapters.factory(device.kind).open(device.config(settings.owner, secrets))
            with closing(adapter):
                found = compare(adapter, device.kind, *stores, settings.delivery.guard.limits())
                yield replace(found, closes_flows=device.close_flows and adapter.capabilities.close_flows)
        except StateError:
            raise
        except BridgeError as error:
            yield Comparison(device.name, device.kind, error=unnamed(device.name, str(error)))


def compare(
    adapter: Adapter, kind: str, delivery: DeliveryStore, reports: ReportStore, limits: GuardLimits
) -> Comparison:
    """Read the device and the state whole, and plan. Raises what the adapter and the stores raise."""
    snapshot = adapter.read(EVERYTHING)
    standings = reports.device_objects(adapter.device)
    work = delivery.complete_work(adapter.device)
    enforcement = Enforcement(adapter)
    enforcement.take(snapshot)
    holds = Holds(adapter.device)
    holds.load(delivery.held_lists(adapter.device))
    wanted = Wanted(adapter.limits, limits, holds)
    verified = delivery.verified(adapter.device)
    changed = drift.touched_groups(drift.unwatched(verified, snapshot.objects), verified)

    def unproven(removals: Mapping[ObjectKey, frozenset[str]]) -> Mapping[ObjectKey, frozenset[str]]:
        return delivery.unproven(removals, changed)

    wanted.load(work, snapshot.objects, unproven, frozenset(), delivery.doubtful)
    _set_aside(enforcement.quarantine, standings, wanted, snapshot.objects)
    while True:
        wanted.load(work, snapshot.objects, unproven, enforcement.quarantine.keys, delivery.doubtful)
        try:
            plan = enforcement.plan(wanted, wanted.todo, complete=True)
        except Rejected:
            continue  # set aside now, and what stands below it is withheld
        return Comparison(adapter.device, kind, snapshot, plan, standings)


def _set_aside(quarantine: Quarantine, standings: Iterable[ObjectStanding], wanted: Wanted, present: Objects) -> None:
    """What the worker has set aside and would not try now: it refused this very content."""
    refused = {one.key: one for one in standings if one.state in _REFUSED and one.waiting_since is None}
    if not refused:
        return
    asked = wanted.everything()
    for key, value in asked.items():
        standing = refused.get(key.group)
        if standing is not None and present.get(key) != value:
            quarantine.put({key: standing.message}, asked)
    quarantine.put({key: one.message for key, one in refused.items() if one.gone}, {})


def _chosen(settings: Settings, names: Iterable[str]) -> tuple[DeviceSettings, ...]:
    asked = list(names)
    known = {device.name: device for device in settings.devices}
    unknown = {name: f"no such device; there are {', '.join(known)}" for name in asked if name not in known}
    if unknown:
        raise SettingsError(unknown, "the command line")
    return tuple(known[name] for name in asked) if asked else settings.devices


def _unrecorded(device: DeviceSettings, reports: ReportStore) -> str:
    """Why nothing can be said: a cluster that was never read wants nothing, which is not the same as wanting nothing."""
    recorded = {one.name for one in reports.clusters() if one.revision > 0}
    missing = [name for name in device.scope.clusters if name not in recorded]
    if missing:
        return (
            f"cluster {', '.join(missing)} has not been recorded yet: what it wants is unknown; see `fusion-bridge run`"
        )
    return ""
