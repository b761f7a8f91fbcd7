"""What people ask for: rules, external services and address groups, in the words of the design and free of any dialect."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple


class Tier(StrEnum):
    """Whose rule it is. A lower tier never overrides a higher one; the order of the members is the order of the tiers."""

    CLUSTER = "cluster"
    NAMESPACE = "namespace"
    SERVICE = "service"

    @property
    def rank(self) -> int:
        """0 is the highest tier."""
        return list(Tier).index(self)


class Action(StrEnum):
    """What a rule does. Allow, Deny and Reject are final; Pass leaves the tier for the next."""

    ALLOW = "Allow"
    DENY = "Deny"
    REJECT = "Reject"
    PASS = "Pass"  # noqa: S105

    @property
    def rank(self) -> int:
        """Order inside one priority: Deny and Reject before Pass before Allow (SEMANTICS 4)."""
        return {Action.DENY: 0, Action.REJECT: 0, Action.PASS: 1, Action.ALLOW: 2}[self]


class Protocol(StrEnum):
    """An IP protocol that a rule can name; ANY is every one, OTHER the one of which a number beside it tells."""

    ANY = "Any"
    TCP = "TCP"
    UDP = "UDP"
    SCTP = "SCTP"
    ICMP = "ICMP"
    ICMPV6 = "ICMPv6"
    OTHER = "IP"


NUMBERS: Mapping[Protocol, int] = {
    Protocol.ICMP: 1,
    Protocol.TCP: 6,
    Protocol.UDP: 17,
    Protocol.ICMPV6: 58,
    Protocol.SCTP: 132,
}
"""The IP protocols that have a name here. OTHER never stands for one of these."""

WITH_PORTS, WITH_TYPES = (Protocol.TCP, Protocol.UDP, Protocol.SCTP), (Protocol.ICMP, Protocol.ICMPV6)
"""The protocols that have ports, and those that have types of messages."""


@dataclass(frozen=True, slots=True, order=True)
class PortRange:
    """Ports first to last, both included; one port is a range of one."""

    first: int
    last: int

    def __str__(self) -> str:
        return str(self.first) if self.first == self.last else f"{self.first}-{self.last}"


@dataclass(frozen=True, slots=True)
class IcmpType:
    """Messages of ICMP or ICMPv6 of one type, and of one code unless that is None."""

    type: int
    code: int | None = None

    def __str__(self) -> str:
        return str(self.type) if self.code is None else f"{self.type}/{self.code}"

    def __lt__(self, other: "IcmpType") -> bool:
        return self.span < other.span

    @property
    def span(self) -> PortRange:
        """The messages as numbers, type * 256 + code: what is exact about ranges of ports is so about these."""
        first = self.type * 256
        return PortRange(first, first + 255) if self.code is None else PortRange(first + self.code, first + self.code)


@dataclass(frozen=True, slots=True, order=True)
class Traffic:
    """A protocol with its ports, or with its types of ICMP; none means every one, and was written so. `number` is that of OTHER."""

    protocol: Protocol
    ports: tuple[PortRange, ...] = ()
    icmp: tuple[IcmpType, ...] = ()
    number: int = 0

    @property
    def spans(self) -> tuple[PortRange, ...]:
        """The ports, or the types of ICMP as ranges of numbers; none means every one."""
        return self.ports or tuple(one.span for one in self.icmp)

    def overlaps(self, other: "Traffic") -> bool:
        """Whether a packet can be both."""
        if Protocol.ANY in (self.protocol, other.protocol):
            return True
        if (self.protocol, self.number) != (other.protocol, other.number):
            return False
        mine, theirs = self.spans, other.spans
        return not mine or not theirs or any(a.first <= b.last and b.first <= a.last for a in mine for b in theirs)


class Operator(StrEnum):
    """How a label requirement compares; Kubernetes' own words."""

    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"


@dataclass(frozen=True, slots=True, order=True)
class Requirement:
    """One condition on one label."""

    key: str
    operator: Operator
    values: tuple[str, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Kubernetes' rules: NotIn and DoesNotExist hold for an absent label."""
        value = labels.get(self.key)
        if self.operator is Operator.IN:
            return value is not None and value in self.values
        if self.operator is Operator.NOT_IN:
            return value is None or value not in self.values
        return (value is not None) == (self.operator is Operator.EXISTS)


@dataclass(frozen=True, slots=True, order=True)
class Selector:
    """Label requirements that must all hold; none at all selects everything, as in Kubernetes."""

    requirements: tuple[Requirement, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether these labels satisfy every requirement."""
        return all(requirement.matches(labels) for requirement in self.requirements)


EVERYTHING = Selector()


class Ref(NamedTuple):
    """An object of a cluster by kind, namespace ("" when cluster-scoped) and name. Kinds of another program have its group behind a dot.

    A named tuple, because tables are looked into by these for every object whenever policy is compiled.
    """

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"

    @property
    def label(self) -> str:
        """The name as names on devices hold it: another program's object is told from ours by what no object can be called."""
        group = self.kind.partition(".")[2]
        return f"{self.name}-.{group}" if group else self.name

    @classmethod
    def labelled(cls, kind: str, namespace: str, label: str) -> "Ref":
        """The object of that label; `kind` is ours, and that of another program is taken to be called the same."""
        name, _, group = label.partition("-.")
        return cls(f"{kind}.{group}" if group else kind, namespace, name)


class AddressSource(StrEnum):
    """Which address of a workload a device sees (SEMANTICS 3)."""

    POD = "Pod"
    NODE = "Node"  # of the nodes that hold members
    EGRESS = "Egress"  # stated in the settings


@dataclass(frozen=True, slots=True, order=True)
class View:
    """How a device sees the workloads of a cluster in packets to `destinations`; none: to whatever no other view of the device is about.

    `addresses` are those stated for EGRESS, by which the pods of `namespaces` leave, or of every namespace where there are none. `name`
    tells the views of one cluster apart in the names of groups; "" is the view as Pod.
    """

    source: AddressSource = AddressSource.POD
    destinations: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ()
    name: str = ""


AS_POD = View()


class SourceKind(StrEnum):
    """How a group is selected."""

    SERVICE = "service"  # the pods behind `service` in `namespace`
    NAMESPACE = "namespace"  # the pods of `namespace` that `pods` selects
    CLUSTER = "cluster"  # the pods that `pods` selects in namespaces that `namespaces` selects
    ANNOTATION = "annotation"  # pods and Services of `namespace` annotated with `service` as group name
    PREFIXES = "prefixes"  # `namespace` as prefixes that are its own, whoever holds an address there
    BUILTIN = "builtin"  # kept by the bridge itself: governed, exempt, known, everyone


@dataclass(frozen=True, slots=True, order=True)
class Source:
    """Who a rule or group is about. Which fields count depends on `kind`; a source that selects nobody matches nothing.

    Members are the addresses of those selected, as `view` sees them; with `also` and `unless` only addresses that are members of every one
    of `also` too and of none of `unless`, which all have the same view. BUILTIN "everyone" is the pod ranges less the exempt and less
    `unless`, whoever is known there: its members are prefixes.
    """

    kind: SourceKind
    namespace: str = ""
    service: str = ""
    pods: Selector = EVERYTHING
    namespaces: Selector = EVERYTHING
    service_accounts: tuple[str, ...] = ()  # as namespace/name; none: whatever a pod runs as
    governed_only: bool = False  # rules reach governed namespaces only; groups by name reach all
    prefixes: tuple[str, ...] = ()
    also: "tuple[Source, ...]" = ()
    unless: "tuple[Source, ...]" = ()
    view: View = AS_POD

    @property
    def whole_cluster(self) -> bool:
        """Everyone in the cluster: taken as the pod ranges less the exempt, never as any."""
        return (
            self.kind is SourceKind.CLUSTER
            and not self.pods.requirements
            and not self.namespaces.requirements
            and not self.service_accounts
            and not self.also
            and not self.unless
        )


@dataclass(frozen=True, slots=True)
class ExternalService:
    """A named destination outside the cluster: canonical members, names, and what traffic it takes.

    `bandwidth` names, for a protocol, what limits the rate on devices that can.
    """

    ref: Ref
    addresses: tuple[str, ...]
    fqdns: tuple[str, ...]
    traffic: tuple[Traffic, ...]
    bandwidth: tuple[tuple[Protocol, str], ...] = ()

    def limit(self, protocol: Protocol) -> str:
        """The name of what limits this protocol; "" for nothing."""
        return dict(self.bandwidth).get(protocol, "")


class Day(StrEnum):
    """A day of the week; the order of the members is that of the week, which begins with Monday."""

    MON = "Mon"
    TUE = "Tue"
    WED = "Wed"
    THU = "Thu"
    FRI = "Fri"
    SAT = "Sat"
    SUN = "Sun"


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of time that comes again on each of `days`: from `start` to `end` on the clocks of a time zone.

    Both in minutes of the day; an end that is not later than the start is on the day after.
    """

    days: frozenset[Day]
    start: int
    end: int
    time_zone: str


@dataclass(frozen=True, slots=True)
class Validity:
    """When a rule counts: from `not_before`, up to and without `not_after`, and in one of `windows` where there are any. Times in UTC."""

    not_before: datetime | None = None
    not_after: datetime | None = None
    windows: frozenset[Window] = frozenset()


ALWAYS = Validity()


@dataclass(frozen=True, slots=True)
class Rule:
    """One egress rule. `devices` empty means every device of the cluster.

    `sequence` orders rules of one priority before their actions do, for dialects that keep the order in which rules were first seen.
    """

    ref: Ref
    tier: Tier
    priority: int
    action: Action
    source: Source
    destinations: tuple[Ref, ...]
    log: bool
    devices: tuple[str, ...] = ()
    validity: Validity = ALWAYS
    accept_shared: bool = False
    sequence: int = 0

    # The sort key of SEMANTICS 4, tier first; creation time is no part of it. A text that is kept, as policies are sorted at every edit.
    order: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        numbers = f"{self.tier.rank}{self.priority:05}{self.sequence:012}{self.action.rank}"
        object.__setattr__(self, "order", f"{numbers}{self.ref.namespace}\0{self.ref.name}")


@dataclass(frozen=True, slots=True)
class AddressGroupSpec:
    """A group that people asked for by name, on `devices` or on every device of the cluster."""

    ref: Ref
    source: Source
    devices: tuple[str, ...] = ()


class DefaultAction(StrEnum):
    """What follows the last tier for governed workloads."""

    DENY = "Deny"
    NONE = "None"


class UnknownAddresses(StrEnum):
    """What happens to addresses of the pod ranges that nobody is known to hold."""

    DENY = "Deny"
    PASS = "Pass"  # noqa: S105


@dataclass(frozen=True, slots=True)
class Defaults:
    """What follows the last tier of one cluster on one device; stated in the settings, never silent."""

    action: DefaultAction
    unknown_addresses: UnknownAddresses


@dataclass(frozen=True, slots=True)
class Governance:
    """What of a cluster is governed, and which prefixes are inside it."""

    pod_ranges: tuple[str, ...]
    internal: tuple[str, ...]  # pod, service and node ranges and further prefixes: never a destination
    namespaces: Selector
    never: frozenset[str] = frozenset({"kube-system"})  # never governed, whatever their labels
    named: frozenset[str] = frozenset()  # governed because the settings name them one by one
    node_ranges: tuple[str, ...] = ()  # no address of a node counts outside them
    ungated: frozenset[str] = frozenset({"kube-system"})  # namespaces whose pods never wait for a firewall
