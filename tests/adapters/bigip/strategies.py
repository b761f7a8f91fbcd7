"""Random intents that hold together: every line names groups and ports that are there."""

from hypothesis import strategies as st

from bridge.model.identity import Kind, ObjectKey, Scope
from bridge.model.intent import DeviceObject, Policy, Ports, RuleEntry, RuleList
from bridge.model.policy import Action, PortRange, Protocol
from bridge.policy.shard import spread
from tests.adapters.bigip.site import CLUSTERS, SERVICES

_V4 = st.builds(lambda a, b: f"10.0.{a}.{b}", st.integers(0, 3), st.integers(1, 9))
_V6 = st.builds(lambda a: f"2001:db8::{a:x}", st.integers(1, 40))
_NETS = st.builds(lambda a: f"198.51.{a}.0/24", st.integers(0, 9))
_RANGES = st.builds(lambda a, b: f"203.0.113.{a}-203.0.113.{a + b}", st.integers(1, 90), st.integers(1, 90))
MEMBERS = st.frozensets(st.one_of(_V4, _V6, _NETS, _RANGES), max_size=12)
_LONG = "a" * 200

_GROUPS = [
    ObjectKey(Kind.GROUP, "prod", Scope.SERVICE, "shop", "cart"),
    ObjectKey(Kind.GROUP, "prod", Scope.NAMESPACE, "shop"),
    ObjectKey(Kind.GROUP, "prod", Scope.CLUSTER, "", "all"),
    ObjectKey(Kind.GROUP, "prod", Scope.EXTERNAL, "shop", _LONG),
    ObjectKey(Kind.GROUP, "test", Scope.ANNOTATION, "ops", "Team_A/x"),
    ObjectKey(Kind.GROUP, "test", Scope.BUILTIN, "", "outside"),
]
_PORTS = [ObjectKey(Kind.PORTS, "prod", Scope.EXTERNAL, "shop", name) for name in ("bank.tcp", _LONG + ".tcp")]
_LISTS = [
    ObjectKey(Kind.RULE_LIST, "prod", Scope.CLUSTER),
    ObjectKey(Kind.RULE_LIST, "prod", Scope.SERVICE, "shop"),
    ObjectKey(Kind.RULE_LIST, "test", Scope.SERVICE, "ops"),
    ObjectKey(Kind.RULE_LIST, "test", Scope.DEFAULT),
]
_PORT_SETS = st.lists(
    st.builds(lambda low, more: PortRange(low, low + more), st.integers(1, 60_000), st.integers(0, 9)),
    min_size=1,
    max_size=5,
).map(tuple)


@st.composite
def entries(draw: st.DrawFn, groups: list[ObjectKey], ports: list[ObjectKey]) -> tuple[RuleEntry, ...]:
    names = draw(st.lists(st.sampled_from([f"rule-{at}.bank.tcp" for at in range(6)] + ["first", _LONG]), unique=True))
    sides = st.lists(st.sampled_from(groups), min_size=1, max_size=2).map(tuple)
    made = []
    for name in names:
        protocol = draw(st.sampled_from(list(Protocol)))
        takes_ports = protocol in (Protocol.TCP, Protocol.UDP, Protocol.SCTP) and bool(ports)
        port = draw(st.sampled_from([None, *ports])) if takes_ports else None
        action, log = draw(st.sampled_from(list(Action))), draw(st.booleans())
        made.append(RuleEntry(name, action, draw(sides), draw(sides), protocol, port, log))
    return tuple(made)


@st.composite
def intents(draw: st.DrawFn) -> dict[ObjectKey, DeviceObject]:
    groups = draw(st.lists(st.sampled_from(_GROUPS), min_size=1, unique=True))
    ports = draw(st.lists(st.sampled_from(_PORTS), unique=True))
    objects: list[DeviceObject] = []
    for key in groups:
        objects += spread(key, draw(MEMBERS), draw(st.sampled_from([0, 0, 0, 2, 4])))
    objects += [Ports(key, draw(_PORT_SETS)) for key in ports]
    lists = draw(st.lists(st.sampled_from(_LISTS), unique=True))
    objects += [RuleList(key, draw(entries(groups, ports))) for key in lists]
    for policy, scopes in ((CLUSTERS, (Scope.CLUSTER,)), (SERVICES, (Scope.SERVICE, Scope.DEFAULT))):
        listed = draw(st.permutations([key for key in lists if key.scope in scopes]))
        objects.append(Policy(policy, tuple(listed)))
    return {value.key: value for value in objects}
