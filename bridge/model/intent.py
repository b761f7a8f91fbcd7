"""What a device should hold, and what it does hold: the same values for both, so that they can be compared."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from bridge.model.identity import Kind, ObjectKey
from bridge.model.policy import Action, IcmpType, PortRange, Protocol, Tier


@dataclass(frozen=True, slots=True)
class Group:
    """An address group: its members, or the number of shards that hold them. Empty and without shards it matches nothing.

    `pushed`: its members are sent to the device beside its configuration, in one piece of whatever size, where `Limits.feeds` says so.
    """

    key: ObjectKey
    members: frozenset[str] = frozenset()
    fqdns: frozenset[str] = frozenset()
    shards: int = 0
    pushed: bool = False

    def references(self) -> Iterator[ObjectKey]:
        """What must exist before this object."""
        for index in range(self.shards):
            yield self.key.shard(index, self.shards)


@dataclass(frozen=True, slots=True)
class Shard:
    """A stable part of a large group: one change of a member rewrites one shard."""

    key: ObjectKey
    members: frozenset[str] = frozenset()

    def references(self) -> Iterator[ObjectKey]:
        """Nothing: a shard holds addresses only."""
        return iter(())


@dataclass(frozen=True, slots=True)
class Ports:
    """A named set of ports."""

    key: ObjectKey
    ports: tuple[PortRange, ...]

    def references(self) -> Iterator[ObjectKey]:
        """Nothing."""
        return iter(())


@dataclass(frozen=True, slots=True)
class Schedule:
    """The moment from which on the device itself takes lines that name it for not there: a whole minute, in UTC.

    It is a net below the bridge, which ends what is over to the second: it closes a permission that nobody is there to take away.
    """

    key: ObjectKey
    until: datetime

    def references(self) -> Iterator[ObjectKey]:
        """Nothing."""
        return iter(())


@dataclass(frozen=True, slots=True)
class RuleEntry:
    """One line of a rule list. Sources and destinations are groups, each at least one: an empty list would match any.

    `name` is unique in its list and readable. `icmp` is of ICMP and ICMPv6 only, none for every type; `number` tells which protocol OTHER
    is. A device whose capabilities say that it knows neither is never given them. A `withheld` Allow must be neither added nor widened
    (SEMANTICS 4): delivery settles what that means on a device, and no adapter ever sees one. `bandwidth` names a limit of the rate.
    Only an Allow has a `schedule`, and only on devices whose capabilities say so.
    """

    name: str
    action: Action
    sources: tuple[ObjectKey, ...]
    destinations: tuple[ObjectKey, ...]
    protocol: Protocol = Protocol.ANY
    ports: ObjectKey | None = None
    log: bool = False
    withheld: bool = False
    icmp: tuple[IcmpType, ...] = ()
    number: int = 0
    bandwidth: str = ""
    schedule: ObjectKey | None = None

    @property
    def traffic(self) -> str:
        """The protocol as a person reads it: `TCP`, `ICMP 8,3/4`, `IP 89`. Its ports are an object of their own."""
        more = str(self.number) if self.protocol is Protocol.OTHER else ",".join(str(one) for one in self.icmp)
        return f"{self.protocol} {more}" if more else str(self.protocol)

    def references(self) -> Iterator[ObjectKey]:
        """The groups, ports and schedule that this line names."""
        yield from self.sources
        yield from self.destinations
        if self.ports:
            yield self.ports
        if self.schedule:
            yield self.schedule


@dataclass(frozen=True, slots=True)
class RuleList:
    """An ordered list of lines about one cluster, or one namespace of it, in one tier."""

    key: ObjectKey
    entries: tuple[RuleEntry, ...]

    def references(self) -> Iterator[ObjectKey]:
        """All that its lines name, each once."""
        yield from dict.fromkeys(ref for entry in self.entries for ref in entry.references())


@dataclass(frozen=True, slots=True)
class Policy:
    """The rule lists of one tier, in order, over all clusters of the device."""

    key: ObjectKey
    lists: tuple[ObjectKey, ...]

    def references(self) -> Iterator[ObjectKey]:
        """The lists."""
        yield from self.lists


@dataclass(frozen=True, slots=True)
class Attachment:
    """Our policy of one tier stands in the enforcement slot that the settings name for it."""

    key: ObjectKey
    policy: ObjectKey

    def references(self) -> Iterator[ObjectKey]:
        """The policy."""
        yield self.policy


DeviceObject = Group | Shard | Ports | Schedule | RuleList | Policy | Attachment
Objects = Mapping[ObjectKey, DeviceObject]


def whole(value: DeviceObject, objects: Objects) -> DeviceObject | None:
    """A group with the members of its parts, for a device that takes groups of any size; None for a part of one that is there.

    ValueError where a part is not among the objects.
    """
    if isinstance(value, Shard) and value.key.group in objects:
        return None
    if not isinstance(value, Group) or not value.shards:
        return value
    held = [part.members for key in value.references() if isinstance(part := objects.get(key), Shard)]
    if len(held) != value.shards:
        raise ValueError("groups have no parts here, and parts of this one are not in the intent")
    return replace(value, members=value.members.union(*held), shards=0)


@dataclass(frozen=True, slots=True)
class Intent:
    """Everything, or the named part of everything, that one device should hold.

    `complete` is False for a part: objects that it does not name are then left as they are, and a name in `absent` is to go.
    """

    device: str
    objects: Objects
    complete: bool = True
    absent: frozenset[ObjectKey] = frozenset()


@dataclass(frozen=True, slots=True)
class Foreign:
    """Something on the device that is not ours.

    `look_alike` says why it could be mistaken for ours (name or mark, not both), or that it lets through more than we do.
    """

    name: str
    look_alike: str = ""


@dataclass(frozen=True, slots=True)
class FenceState:
    """What the fence object on a device says; epoch 0 and no installation when there is none."""

    epoch: int = 0
    installation: str = ""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything of ours that a device holds, or the named part of it, and the names of what is not ours.

    `identity` is the serial of the device; `attached` says for each tier whether our policy is reachable from an enforced slot, and
    `attach_by` how a person attaches what is not, in the device's own words;
    `active` is False while what is stored is not yet what is enforced.
    """

    device: str
    objects: Objects
    foreign: tuple[Foreign, ...] = ()
    fence: FenceState = FenceState()
    identity: str = ""
    token: str = ""
    attached: Mapping[Tier, bool] = field(default_factory=dict)
    attach_by: Mapping[Tier, str] = field(default_factory=dict)
    active: bool = True
    complete: bool = True


@dataclass(frozen=True, slots=True)
class ReadScope:
    """What to read: everything, or just these objects."""

    keys: frozenset[ObjectKey] | None = None

    @property
    def everything(self) -> bool:
        """Whether this is a full read."""
        return self.keys is None


EVERYTHING = ReadScope()

# Objects that others refer to come first; read backwards it is the order in which they can go.
CREATION_ORDER = (Kind.SHARD, Kind.PORTS, Kind.SCHEDULE, Kind.GROUP, Kind.RULE_LIST, Kind.POLICY, Kind.ATTACHMENT)
