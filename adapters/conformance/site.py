"""The small sites that the suite builds on a device: written for what its adapter says that it can, and random ones."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import product

from hypothesis import strategies as st

from bridge.model.capabilities import Capabilities, Form
from bridge.model.identity import Kind, ObjectKey, Scope
from bridge.model.intent import DeviceObject, Group, Policy, Ports, RuleEntry, RuleList, Schedule
from bridge.model.policy import Action, IcmpType, PortRange, Protocol
from bridge.model.schedules import schedule_after
from bridge.policy.evaluate import Packet
from bridge.policy.shard import spread

Site = dict[ObjectKey, DeviceObject]


def group_key(name: str, scope: Scope = Scope.SERVICE, namespace: str = "shop") -> ObjectKey:
    """The key of a group."""
    return ObjectKey(Kind.GROUP, "prod", scope, namespace, name)


CART, WEB = group_key("cart"), group_key("web")
BANK, MAIL = group_key("bank", Scope.EXTERNAL), group_key("mail", Scope.EXTERNAL)
HTTPS = ObjectKey(Kind.PORTS, "prod", Scope.EXTERNAL, "shop", "bank.tcp")
SOURCES, DESTINATIONS = ("10.0.0.1", "10.0.0.2", "10.0.0.3"), ("198.51.100.1", "198.51.100.2")
PACKETS = tuple(
    Packet(source, to, protocol, port)
    for source, to, (protocol, port) in product(
        SOURCES, DESTINATIONS, ((Protocol.TCP, 443), (Protocol.TCP, 80), (Protocol.UDP, 443))
    )
)
"""Enough to tell apart whatever `dense` builds."""

LATE, LATER = (schedule_after("prod", datetime(2036, 5, day, 10, 30, tzinfo=UTC)) for day in (4, 25))
"""Ends that no run of the suite comes to, and that the clocks of 32 bits still know."""

_TIERS = (Scope.CLUSTER, Scope.NAMESPACE, Scope.SERVICE)


def objects(*values: DeviceObject) -> Site:
    """By key."""
    return {value.key: value for value in values}


@dataclass(frozen=True, slots=True)
class Terms:
    """What may be asked of a device: its capabilities, and the tiers in which it takes rules."""

    can: Capabilities
    tiers: tuple[Scope, ...]

    @classmethod
    def of(cls, can: Capabilities) -> "Terms":
        """All three: a device without tiers takes their policies one after the other, or in no order at all."""
        return cls(can, _TIERS)

    @property
    def actions(self) -> tuple[Action, ...]:
        """What a line can do: Pass only where there is a next tier, Deny and Reject only where the device has them."""
        offered = {
            Action.ALLOW: True,
            Action.DENY: self.can.deny,
            Action.REJECT: self.can.reject,
            Action.PASS: self.can.form is Form.TIERED,
        }
        return tuple(action for action, can in offered.items() if can)

    def list_key(self, tier: Scope, cluster: str = "prod") -> ObjectKey:
        """The key of a rule list of the tier."""
        return ObjectKey(Kind.RULE_LIST, cluster, tier, "" if tier is Scope.CLUSTER else "shop")

    def policies(self, *lists: RuleList) -> Site:
        """The lists and the policy of each tier, whether or not it has any."""
        keys = {tier: tuple(one.key for one in lists if one.key.scope is tier) for tier in self.tiers}
        return objects(*lists, *(Policy(ObjectKey(Kind.POLICY, "", tier), held) for tier, held in keys.items()))

    def lines(self, *entries: RuleEntry) -> Site:
        """The lines as the one list of the last tier."""
        return self.policies(RuleList(self.list_key(self.tiers[-1]), entries))

    def shop(self, *members: str, lines: Sequence[RuleEntry] = (), more: Iterable[DeviceObject] = ()) -> Site:
        """A group, its way to a bank, and what else is given."""
        entries = lines or (line("pay", ports=HTTPS, protocol=Protocol.TCP),)
        return {
            **objects(
                Group(CART, frozenset(members)),
                Group(WEB, frozenset({SOURCES[2]})),
                Group(BANK, frozenset({"198.51.100.0/24"})),
                Ports(HTTPS, (PortRange(443, 443), PortRange(8000, 8010))),
            ),
            **self.lines(*entries),
            **objects(*more),
        }

    def schedules(self, action: Action) -> st.SearchStrategy[ObjectKey | None]:
        """What may end a line of this action by itself, or nothing."""
        ends = [LATE.key, LATER.key] if self.can.schedules and action is Action.ALLOW else []
        return st.sampled_from([None, *ends])

    # ---- random ones

    def dense(self) -> st.SearchStrategy[Site]:
        """A few addresses in a few groups in a few lines, so that nearly every step opens or closes something."""
        return _dense(self)

    def rich(self) -> st.SearchStrategy[Site]:
        """All that an object can be: long names, IPv6, prefixes and ranges, shards, every protocol and action."""
        return _rich(self)


def line(
    name: str,
    source: ObjectKey = CART,
    action: Action = Action.ALLOW,
    to: ObjectKey = BANK,
    *,
    protocol: Protocol = Protocol.ANY,
    ports: ObjectKey | None = None,
    log: bool = False,
    schedule: ObjectKey | None = None,
) -> RuleEntry:
    """One line."""
    return RuleEntry(name, action, (source,), (to,), protocol, ports, log, schedule=schedule)


_PORTED = (Protocol.TCP, Protocol.UDP, Protocol.SCTP)


@st.composite
def _dense(draw: st.DrawFn, terms: Terms) -> Site:
    sources, destinations = (
        (*SOURCES, "10.0.0.0/30", "10.0.0.2/31"),
        (*DESTINATIONS, "198.51.100.0/30", "198.51.100.2/31"),
    )
    pools = {CART: sources, WEB: sources, BANK: destinations, MAIL: destinations}
    groups = [Group(key, draw(st.frozensets(st.sampled_from(pool)))) for key, pool in pools.items()]
    ports = Ports(HTTPS, draw(st.sampled_from([(PortRange(443, 443),), (PortRange(80, 443),), (PortRange(80, 80),)])))
    sides = st.tuples(st.sampled_from([CART, WEB]), st.sampled_from([BANK, MAIL]))
    lists = []
    for tier in terms.tiers:
        entries = []
        for name in draw(st.lists(st.sampled_from("pqrs"), unique=True, max_size=3)):
            source, to = draw(sides)
            action = draw(st.sampled_from(terms.actions))
            protocol, named = draw(st.sampled_from([(Protocol.ANY, None), (Protocol.TCP, HTTPS), (Protocol.UDP, None)]))
            end = draw(terms.schedules(action))
            entries.append(line(name, source, action, to, protocol=protocol, ports=named, schedule=end))
        lists.append(RuleList(terms.list_key(tier), tuple(entries)))
    return {**objects(*groups, ports, *_named(lists)), **terms.policies(*lists)}


def _named(lists: Iterable[RuleList]) -> list[Schedule]:
    """The schedules that these lines name."""
    refs = {entry.schedule for one in lists for entry in one.entries}
    return [one for one in (LATE, LATER) if one.key in refs]


_LONG = "a" * 200
_V4 = st.builds(lambda a, b: f"10.0.{a}.{b}", st.integers(0, 3), st.integers(1, 9))
_V6 = st.builds(lambda a: f"2001:db8::{a:x}", st.integers(1, 40))
_NETS = st.builds(lambda a: f"198.51.{a}.0/24", st.integers(0, 9))
_NETS_V6 = st.builds(lambda a: f"2001:db8:{a:x}::/48", st.integers(1, 9))
_RANGES = st.builds(lambda a, b: f"203.0.113.{a}-203.0.113.{a + b}", st.integers(1, 90), st.integers(1, 90))
_GROUPS = (
    CART,
    ObjectKey(Kind.GROUP, "prod", Scope.NAMESPACE, "shop"),
    ObjectKey(Kind.GROUP, "prod", Scope.CLUSTER, "", "all"),
    group_key(_LONG, Scope.EXTERNAL),
    ObjectKey(Kind.GROUP, "test", Scope.ANNOTATION, "ops", "Team_A/x"),
    ObjectKey(Kind.GROUP, "test", Scope.BUILTIN, "", "outside"),
)
_PORT_KEYS = (HTTPS, ObjectKey(Kind.PORTS, "prod", Scope.EXTERNAL, "shop", _LONG + ".tcp"))
_PORT_SETS = st.lists(
    st.builds(lambda low, more: PortRange(low, low + more), st.integers(1, 60_000), st.integers(0, 9)),
    min_size=1,
    max_size=5,
).map(tuple)
_TYPED = (Protocol.ICMP, Protocol.ICMPV6)
_TYPES = st.lists(st.builds(IcmpType, st.integers(1, 9), st.sampled_from([None, 0, 3])), max_size=3).map(tuple)
_NAMES = (*(f"rule-{at}.bank.tcp" for at in range(6)), "first", _LONG)


def members(can: Capabilities) -> st.SearchStrategy[frozenset[str]]:
    """Members of every form; IPv6 where the device has it."""
    forms = [_V4, _NETS, _RANGES, *((_V6, _NETS_V6) if can.ipv6 else ())]
    return st.frozensets(st.one_of(forms), max_size=12)


@st.composite
def _entries(draw: st.DrawFn, terms: Terms, groups: list[ObjectKey], ports: list[ObjectKey]) -> tuple[RuleEntry, ...]:
    sides = st.lists(st.sampled_from(groups), min_size=1, max_size=2).map(tuple)
    made = []
    for name in draw(st.lists(st.sampled_from(_NAMES), unique=True)):
        protocol = draw(st.sampled_from([one for one in Protocol if terms.can.protocols or one is not Protocol.OTHER]))
        icmp = draw(_TYPES) if protocol in _TYPED and terms.can.icmp_types else ()
        number = draw(st.sampled_from([4, 47, 89])) if protocol is Protocol.OTHER else 0
        named = draw(st.sampled_from([None, *ports])) if protocol in _PORTED else None
        log = terms.can.log and draw(st.booleans())
        action = draw(st.sampled_from(terms.actions))
        end = draw(terms.schedules(action))
        entry = RuleEntry(name, action, draw(sides), draw(sides), protocol, named, log, icmp=icmp, number=number)
        made.append(replace(entry, schedule=end))
    return tuple(made)


@st.composite
def _rich(draw: st.DrawFn, terms: Terms) -> Site:
    groups = draw(st.lists(st.sampled_from(_GROUPS), min_size=1, unique=True))
    ports = draw(st.lists(st.sampled_from(_PORT_KEYS), unique=True))
    values: list[DeviceObject] = []
    for key in groups:
        values += spread(key, draw(members(terms.can)), draw(st.sampled_from([0, 0, 0, 2, 4])))
    values += [Ports(key, draw(_PORT_SETS)) for key in ports]
    keys = [terms.list_key(tier, cluster) for tier in terms.tiers for cluster in ("prod", "test")]
    chosen = draw(st.lists(st.sampled_from(keys), unique=True))
    lists = [RuleList(key, draw(_entries(terms, groups, ports))) for key in chosen]
    return {**objects(*values, *_named(lists)), **terms.policies(*lists)}
