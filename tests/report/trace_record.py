"""Small worlds of the policy tests, recorded in a real state as intake would: the next one over the one before, at a later time."""

from collections.abc import Iterator
from datetime import datetime

from bridge.dialects import kinds
from bridge.dialects.dialect import Context, Dialect, Dialects
from bridge.model.identity import ObjectKey
from bridge.model.kinds import REF_KINDS
from bridge.model.observed import Namespace, Pod, PolicyObject, Service
from bridge.model.policy import ExternalService, Protocol, Ref, Rule
from bridge.policy.evaluate import is_source
from bridge.policy.lines import source_key
from bridge.policy.select import service_selects
from bridge.report.destination import destination
from bridge.report.sender import source
from bridge.report.trace import Site, Tracer
from bridge.report.trace_model import Trace
from bridge.state.batch import Batch, LeaseEnd, LeaseStart, MemberChange, Verdict
from bridge.state.database import Database
from bridge.state.trace_store import TraceStore
from tests.policy.world import CLUSTER, GOVERNANCE, NAMESPACES, SERVICES, Holder, Packet, World
from tests.state.builders import Stores

_RESOURCES = {kind: resource for resource, kind in REF_KINDS.items()}


class Scene:
    """A world as the evaluator asks for it."""

    def __init__(self, world: World) -> None:
        self._world = world

    def holder(self, address: str) -> tuple[Pod, Namespace | None] | None:
        held = self._world.holders.get(address)
        return None if held is None else (pod(address, held), namespace(held.namespace))

    def behind(self, namespace: str, service: str, pod: Pod) -> bool:
        return service_selects(SERVICES[namespace, service], pod)


def pod(address: str, held: Holder) -> Pod:
    """The pod that holds the address; another one for another holder."""
    name = "-".join((address.replace(".", "-").replace(":", "-"), held.labels["app"], held.account))
    return Pod(
        uid=f"{held.namespace}-{name}",
        namespace=held.namespace,
        name=f"p{name}",
        resource_version="1",
        labels=held.labels,
        annotations={},
        service_account=held.account,
        owner="",
        node="node",
        phase="Running",
        host_network=False,
        addresses=(address,),
        started=None,
        deleting=False,
        gates=(),
    )


def namespace(name: str) -> Namespace:
    return Namespace(name, name, "1", NAMESPACES[name], {}, deleting=False)


class Recorded:
    """A state that follows worlds. Policy is kept as the place of its value in a list: no dialect has to be able to write it."""

    def __init__(self, database: Database) -> None:
        self.stores = Stores(database)
        self._store = TraceStore(database)
        self._values: list[Rule | ExternalService] = []
        self._world: World | None = None
        self.dialects = Dialects([Dialect("places", kinds.KINDS, self._read)])

    def record(self, world: World, at: datetime) -> None:
        """The world as it is from then on."""
        before, self._world = self._world, world
        batch = Batch(at)
        if before is None:
            batch.objects += [namespace(name) for name in NAMESPACES]
            batch.objects += [Service(f"{a}/{b}", a, b, "1", {}, {}, selector) for (a, b), selector in SERVICES.items()]
        was = before.holders if before else {}
        for address, held in was.items():
            if world.holders.get(address) != held:
                batch.leases_ended.append(LeaseEnd(address, pod(address, held).uid))
                batch.pods_gone.append(pod(address, held).uid)
        for address, held in world.holders.items():
            if was.get(address) != held:
                batch.pods.append(pod(address, held))
                batch.leases.append(LeaseStart(address, pod(address, held)))
        self._policy(batch, before, world)
        had, has = (dict(members(one)) if one else {} for one in (before, world))
        batch.groups = [key for key in has if key not in had]
        batch.groups_gone = [key for key in had if key not in has]
        for key, addresses in has.items():
            old = had.get(key, frozenset())
            batch.joined += [MemberChange(key, one) for one in addresses - old]
            batch.left += [MemberChange(key, one) for one in old - addresses]
        self.stores.commit(batch)

    def trace(self, sender: str, to: str, world: World, now: datetime, at: datetime | None = None) -> Trace:
        """What the tracer says, with the defaults of that world."""
        site = Site(GOVERNANCE, (world.target(),), self.dialects)
        with self._store.reading() as reading:
            return Tracer(reading, {CLUSTER: site}, at, now).trace(source(sender), destination(to))

    def _policy(self, batch: Batch, before: World | None, world: World) -> None:
        was, now = (dict(_values(one)) if one else {} for one in (before, world))
        batch.verdicts_gone = [ref for ref in was if ref not in now]
        for ref, value in now.items():
            if was.get(ref) != value:
                self._values.append(value)
                spec = {"place": len(self._values) - 1}
                made = PolicyObject(_RESOURCES[ref.kind], str(ref), ref.namespace, ref.name, "1", 1, {}, spec)
                batch.verdicts.append(Verdict(ref, str(ref), 1, True, "Accepted", "", made))

    def _read(self, obj: PolicyObject, _context: Context) -> Rule | ExternalService:
        place: int = obj.spec["place"]
        return self._values[place]


def members(world: World) -> Iterator[tuple[ObjectKey, frozenset[str]]]:
    """The groups that the rules' sources are, with whom they select."""
    for rule in world.rules:
        if not rule.source.whole_cluster:
            chosen = (one for one in world.holders if is_source(rule, Scene(world), one))
            yield source_key(CLUSTER, rule), frozenset(chosen)


def fresh(database: Database) -> Recorded:
    """Everything that an example before this one has recorded is gone."""
    with database.transaction() as connection:
        rows = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        names = ", ".join(f'"{name}"' for (name,) in rows if name != "alembic_version")
        connection.execute(f"TRUNCATE {names} CASCADE".encode())
    return Recorded(database)


def to_text(packet: Packet) -> str:
    """The destination of a packet as people write it."""
    host = f"[{packet.destination}]" if ":" in packet.destination else packet.destination
    if packet.icmp is not None:
        return f"{packet.destination}/{packet.protocol.lower()}:{packet.icmp}"
    if packet.protocol is Protocol.OTHER:
        return f"{packet.destination}/{packet.number}"
    return f"{host}:{packet.port}/{packet.protocol.lower()}"


def _values(world: World) -> Iterator[tuple[Ref, Rule | ExternalService]]:
    yield from ((rule.ref, rule) for rule in world.rules)
    yield from world.externals.items()
