"""What iControl REST answers, as far as we look at it. Unknown attributes are passed over: versions differ in them."""

from collections.abc import Iterator
from typing import Any

import msgspec


class Named(msgspec.Struct):
    """`{"name": …}`."""

    name: str


class Item(msgspec.Struct, rename="camel"):
    """What every object has."""

    name: str
    full_path: str = ""
    description: str = ""


class AddressList(Item, rename="camel"):
    """security/firewall/address-list."""

    addresses: list[Named] = []
    address_lists: list[str] = []
    fqdns: list[Named] = []
    geo: list[Named] = []


class PortList(Item, rename="camel"):
    """security/firewall/port-list."""

    ports: list[Named] = []
    port_lists: list[str] = []


class Schedule(Item, rename="camel"):
    """security/firewall/schedule; what is not shown is as by default."""

    date_valid_start: str = "epoch"
    date_valid_end: str = "indefinite"
    daily_hour_start: str = "0:00"
    daily_hour_end: str = "24:00"
    days_of_week: list[str] = []


class Side(msgspec.Struct, rename="camel"):
    """Source or destination of a rule; everything but the lists is something that we never write."""

    address_lists: list[str] = []
    port_lists: list[str] = []
    addresses: Any = None
    ports: Any = None
    fqdns: Any = None
    geo: Any = None
    vlans: Any = None
    zones: Any = None
    identity: Any = None

    @property
    def odd(self) -> bool:
        """Whether it says more than lists of ours can."""
        return any((self.addresses, self.ports, self.fqdns, self.geo, self.vlans, self.zones, self.identity))


class Rule(msgspec.Struct, rename="camel"):
    """A rule of a policy or a rule list."""

    name: str
    action: str = ""
    ip_protocol: str = "any"
    log: str = "no"
    status: str = "enabled"
    rule_list: str = ""
    schedule: str = ""
    irule: str = ""
    icmp: list[Named] | None = None
    source: Side = msgspec.field(default_factory=Side)
    destination: Side = msgspec.field(default_factory=Side)


class Rules(msgspec.Struct):
    """The expanded subcollection of rules."""

    items: list[Rule] = []


class RuleHolder(Item, rename="camel"):
    """security/firewall/rule-list and security/firewall/policy, with expandSubcollections."""

    rules_reference: Rules = msgspec.field(default_factory=Rules)


class Record(msgspec.Struct):
    """One record of a data group."""

    name: str
    data: str = ""


class DataGroup(Item, rename="camel"):
    """ltm/data-group/internal."""

    records: list[Record] = []


class Slot(msgspec.Struct, rename="camel"):
    """What a context enforces: the global one calls it enforcedPolicy, the others fwEnforcedPolicy."""

    enforced_policy: str = ""
    fw_enforced_policy: str = ""
    security_log_profiles: list[str] = []

    @property
    def log_profiles(self) -> list[str]:
        """The paths of the log profiles; the device puts some in quotation marks."""
        return [path.strip('"') for path in self.security_log_profiles]


class RouteDomain(msgspec.Struct):
    """One of net/route-domain."""

    id: int


class Partition(msgspec.Struct, rename="camel"):
    """One of auth/partition."""

    default_route_domain: int = 0


class FqdnPolicy(msgspec.Struct, rename="camel"):
    """security/firewall/global-fqdn-policy: who resolves the names in firewall objects."""

    dns_resolver: str = ""


class Page(msgspec.Struct, rename="camel"):
    """One page of a collection, its items undecoded so that a strange one spoils nothing."""

    items: list[msgspec.Raw] = []
    next_link: str = ""


class Cluster(msgspec.Struct, rename="camel"):
    """One unit of cm/device."""

    name: str = ""
    chassis_id: str = ""
    self_device: str | bool = "false"
    failover_state: str = ""

    @property
    def answers(self) -> bool:
        """Whether it is the unit that was asked."""
        return str(self.self_device).lower() == "true"


class DeviceGroup(msgspec.Struct, rename="camel"):
    """One of cm/device-group."""

    auto_sync: str = "disabled"


class Described(msgspec.Struct):
    """One value of statistics: text, or a number of which we know nothing."""

    description: Any = None


class Context(msgspec.Struct):
    """The values of one context, by name."""

    entries: dict[str, Described] = {}


class Nested(msgspec.Struct, rename={"nested": "nestedStats"}):
    """One entry of statistics."""

    nested: Context = msgspec.field(default_factory=Context)


class Statistics(msgspec.Struct):
    """What `…/stats` answers; no context, no entries."""

    entries: dict[str, Nested] = {}


class Details(msgspec.Struct):
    """Statistics within statistics, at any depth; values have a description."""

    description: Any = None
    nested: "Branch | None" = msgspec.field(name="nestedStats", default=None)


class Branch(msgspec.Struct):
    """The inside of `nestedStats`."""

    entries: dict[str, Details] = {}

    def texts(self) -> Iterator[str]:
        """Every description below, in order."""
        for entry in self.entries.values():
            if entry.nested is not None:
                yield from entry.nested.texts()
            elif entry.description is not None:
                yield str(entry.description)

    def text(self, name: str) -> str:
        """The first value of that name below; empty where there is none."""
        for key, entry in self.entries.items():
            found = str(entry.description) if key == name and entry.description is not None else ""
            found = found or (entry.nested.text(name) if entry.nested is not None else "")
            if found:
                return found
        return ""


class Transaction(msgspec.Struct, rename="camel"):
    """The state of a transaction."""

    trans_id: int
    state: str = ""
    failure_reason: str = ""


class Error(msgspec.Struct):
    """Both shapes of error bodies have these two."""

    code: int = 0
    message: str = ""


class TokenBody(msgspec.Struct):
    """A token as login tells it."""

    token: str
    timeout: int = 1200


class Login(msgspec.Struct):
    """The answer of a login."""

    token: TokenBody
