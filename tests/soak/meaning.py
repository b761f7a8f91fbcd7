"""What packets from a cluster should meet, by the reference evaluator: as things are, and as they were at any moment of a while."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import product

from bridge.cluster.decode import Codec
from bridge.intake.policies import PolicyBook
from bridge.lab.apiserver import LabCluster
from bridge.lab.apiserver.objects import encode
from bridge.model.capabilities import Form
from bridge.model.identity import Kind, ObjectKey, Scope
from bridge.model.observed import Namespace, Observed, Pod, PolicyObject, Resource, Service
from bridge.model.policy import DefaultAction, Defaults, Governance, Operator, Requirement, Selector, UnknownAddresses
from bridge.policy.compile import ClusterPolicy
from bridge.policy.evaluate import Packet, Verdict, evaluate
from bridge.policy.select import governed, selectable, service_selects

CLUSTER = "east"
RANGES, INSIDE = ("10.244.0.0/16", "fd00:244::/64"), ("10.96.0.0/12", "172.18.0.0/16")
GOVERNANCE = Governance(
    RANGES, RANGES + INSIDE, Selector((Requirement("fusionbridge.io/egress", Operator.IN, ("governed",)),))
)
DENY = Defaults(DefaultAction.DENY, UnknownAddresses.DENY)
WRITTEN = (
    Resource.NAMESPACES,
    Resource.SERVICES,
    Resource.CLUSTER_RULES,
    Resource.NAMESPACE_RULES,
    Resource.SERVICE_RULES,
    Resource.CLUSTER_EXTERNAL_SERVICES,
    Resource.EXTERNAL_SERVICES,
)
"""What of a cluster is neither a pod nor left alone here. Each comes in a stream of its own: nobody promises an order between two."""

Values = tuple[Observed, ...]
_EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Dweller:
    """A pod. `born` tells the younger from the older."""

    uid: str
    namespace: str
    name: str
    app: str
    addresses: tuple[str, ...]
    born: int
    phase: str = "Running"

    @property
    def started(self) -> datetime:
        """As its status has it."""
        return _EPOCH + timedelta(seconds=self.born)

    @property
    def ends(self) -> bool:
        """Whether it will never run again."""
        return self.phase in ("Succeeded", "Failed")

    def pod(self) -> Pod:
        """As policy sees it."""
        return Pod(
            self.uid, self.namespace, self.name, "1", {"app": self.app}, {}, "default", "", "node-0001", self.phase,
            host_network=False, addresses=self.addresses, started=self.started, deleting=False, gates=(),
        )  # fmt: skip


def owners(dwellers: Iterable[Dweller]) -> dict[str, Dweller]:
    """Who has each address: the youngest that still runs, ties by uid (SEMANTICS 2)."""
    found: dict[str, Dweller] = {}
    for one in sorted(dwellers, key=lambda one: (one.born, one.uid)):
        if not one.ends:
            found.update(dict.fromkeys(one.addresses, one))
    return found


def read(store: LabCluster, resource: Resource) -> Values:
    """All objects of a resource, as values."""
    body = {"metadata": {"resourceVersion": "1"}, "items": list(store.list(resource))}
    values = Codec(resource).page(encode(body, 0)).values
    assert all(isinstance(one, Namespace | Service | PolicyObject) for one in values), values
    return tuple(one for one in values if isinstance(one, Namespace | Service | PolicyObject))


class Reading:
    """One state of all that is written; decides packets by who sends them."""

    def __init__(self, parts: Sequence[Values]) -> None:
        values = [one for part in parts for one in part]
        self.namespaces = {one.name: one for one in values if isinstance(one, Namespace)}
        self.services = {(one.namespace, one.name): one for one in values if isinstance(one, Service)}
        book = PolicyBook({})
        for one in values:
            if isinstance(one, PolicyObject):
                book.put(one)
        force = book.settle(lambda name: governed(self.namespaces.get(name), GOVERNANCE))
        self.refused = [f"{ref}: {one.message}" for ref, one in force.verdicts.items() if not one.ok]
        self.policy = ClusterPolicy(CLUSTER, GOVERNANCE, force.rules, force.externals)
        self._known: dict[tuple[str, ...], Verdict] = {}
        self._sender: Dweller | None = None

    def decide(self, sender: Dweller | None, packet: Packet) -> Verdict:
        """What should become of a packet if this is who sends it; None: nobody is known to."""
        who = (sender.namespace, sender.app) if sender else ()
        asked = (packet.destination, packet.protocol.value, str(packet.port), packet.source if not who else "", *who)
        if asked not in self._known:
            self._sender = sender
            self._known[asked] = evaluate(self.policy, DENY, self, packet).verdict
        return self._known[asked]

    def holder(self, _address: str) -> tuple[Pod, Namespace | None] | None:
        """For the evaluator."""
        return (self._sender.pod(), self.namespaces.get(self._sender.namespace)) if self._sender else None

    def behind(self, namespace: str, service: str, pod: Pod) -> bool:
        """For the evaluator."""
        known = self.services.get((namespace, service))
        return known is not None and service_selects(known.selector, pod)

    def members(self, dwellers: Mapping[str, Dweller]) -> dict[str, frozenset[str]]:
        """Who stands behind each Service, by the key of its group: governed or not, for a rule is not compiled where it is not."""
        found: dict[str, frozenset[str]] = {}
        for namespace, name in self.services:
            key = ObjectKey(Kind.GROUP, CLUSTER, Scope.SERVICE, namespace, name)
            found[str(key)] = frozenset(
                address
                for address, one in dwellers.items()
                if one.namespace == namespace and selectable(one.pod()) and self.behind(namespace, name, one.pod())
            )
        return found


@dataclass
class While:
    """What there was between a beginning and now: everybody who had an address, and every version of each stream."""

    senders: dict[str, set[Dweller | None]]
    versions: dict[Resource, list[Values]]
    _readings: list[Reading] = field(default_factory=list)

    def had(self, address: str, sender: Dweller | None) -> None:
        """Somebody had this address."""
        self.senders.setdefault(address, {None}).add(sender)

    def wrote(self, resource: Resource, values: Values) -> None:
        """A stream came to this."""
        self.versions[resource].append(values)
        self._readings.clear()

    @property
    def readings(self) -> list[Reading]:
        """Every state that somebody who follows the streams at their own speeds can have seen."""
        if not self._readings:
            self._readings = [Reading(parts) for parts in product(*(self.versions[one] for one in WRITTEN))]
        return self._readings

    def may_pass(self, form: Form, packet: Packet) -> bool:
        """Whether there was a moment at which the packet would have got through."""
        return any(passes(form, verdict) for verdict in self._verdicts(packet))

    def _verdicts(self, packet: Packet) -> Iterator[Verdict]:
        for sender in self.senders.get(packet.source, {None}):
            for reading in self.readings:
                yield reading.decide(sender, packet)


def passes(form: Form, verdict: Verdict) -> bool:
    """Whether a packet gets through; what nothing matches goes on where the device is a list, and is dropped where it only allows."""
    return verdict is Verdict.ALLOW or (verdict is Verdict.UNMATCHED and form is not Form.ALLOW_ONLY)
