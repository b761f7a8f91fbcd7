"""What people ask for: rules, external services and address groups, in the words of the design and free of any dialect."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


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
    """An IP protocol that a rule can name; ANY is every one."""

    ANY = "Any"
    TCP = "TCP"
    UDP = "UDP"
    SCTP = "SCTP"
    ICMP = "ICMP"
    ICMPV6 = "ICMPv6"


@dataclass(frozen=True, slots=True, order=True)
class PortRange:
    """Ports first to last, both included; one port is a range of one."""

    first: int
    last: int

    def __str__(self) -> str:
        return str(self.first) if self.first == self.last else f"{self.first}-{self.last}"


@dataclass(frozen=True, slots=True, order=True)
class Traffic:
    """A protocol and its ports; no ports means every port of it, and was written as `Any`."""

    protocol: Protocol
    ports: tuple[PortRange, ...] = ()

    def overlaps(self, other: "Traffic") -> bool:
        """Whether a packet can be both."""
        if Protocol.ANY in (self.protocol, other.protocol):
            return True
        if self.protocol != other.protocol:
            return False
        if not self.ports or not other.ports:
            return True
        return any(a.first <= b.last and b.first <= a.last for a in self.ports for b in other.ports)


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


@dataclass(frozen=True, slots=True, order=True)
class Ref:
    """An object of a cluster by resource kind, namespace ("" when cluster-scoped) and name."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"


class SourceKind(StrEnum):
    """How a group is selected."""

    SERVICE = "service"  # the pods behind `service` in `namespace`
    NAMESPACE = "namespace"  # the pods of `namespace` that `pods` selects
    CLUSTER = "cluster"  # the pods that `pods` selects in namespaces that `namespaces` selects
    ANNOTATION = "annotation"  # pods and Services of `namespace` annotated with `service` as group name
    BUILTIN = "builtin"  # kept by the bridge itself: governed, exempt, known


@dataclass(frozen=True, slots=True, order=True)
class Source:
    """Who a rule or group is about. Which fields count depends on `kind`; a source that selects nobody matches nothing."""

    kind: SourceKind
    namespace: str = ""
    service: str = ""
    pods: Selector = EVERYTHING
    namespaces: Selector = EVERYTHING
    service_accounts: tuple[str, ...] = ()
    governed_only: bool = False  # rules reach governed namespaces only; groups by name reach all

    @property
    def whole_cluster(self) -> bool:
        """Everyone in the cluster: taken as the pod ranges less the exempt, never as any."""
        return (
            self.kind is SourceKind.CLUSTER
            and not self.pods.requirements
            and not self.namespaces.requirements
            and not self.service_accounts
        )


@dataclass(frozen=True, slots=True)
class ExternalService:
    """A named destination outside the cluster: canonical members, names, and what traffic it takes."""

    ref: Ref
    addresses: tuple[str, ...]
    fqdns: tuple[str, ...]
    traffic: tuple[Traffic, ...]


@dataclass(frozen=True, slots=True)
class Rule:
    """One egress rule. `devices` empty means every device of the cluster."""

    ref: Ref
    tier: Tier
    priority: int
    action: Action
    source: Source
    destinations: tuple[Ref, ...]
    log: bool
    devices: tuple[str, ...] = ()

    @property
    def order(self) -> tuple[int, int, str, str]:
        """Sort key inside a tier (SEMANTICS 4); creation time is no part of it."""
        return (self.priority, self.action.rank, self.ref.namespace, self.ref.name)


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
