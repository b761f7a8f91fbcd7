"""What iControl REST answers, as far as we look at it. Unknown attributes are passed over: versions differ in them."""

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


class Page(msgspec.Struct, rename="camel"):
    """One page of a collection, its items undecoded so that a strange one spoils nothing."""

    items: list[msgspec.Raw] = []
    next_link: str = ""


class Cluster(msgspec.Struct, rename="camel"):
    """One unit of cm/device."""

    chassis_id: str = ""
    self_device: str | bool = "false"


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
