"""What trace says that devices hold: reconstructed from the audit for every moment, and from the rows as they stand now."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings

from bridge.dialects.dialect import Dialects
from bridge.model.capabilities import Capabilities, Form
from bridge.model.identity import Kind, ObjectKey, Scope
from bridge.model.intent import DeviceObject, Group, Objects, RuleEntry, RuleList
from bridge.model.policy import (
    Action,
    AddressSource,
    DefaultAction,
    Defaults,
    ExternalService,
    PortRange,
    Protocol,
    Ref,
    Rule,
    Source,
    SourceKind,
    Tier,
    Traffic,
    UnknownAddresses,
    View,
)
from bridge.model.rendering import change_lines
from bridge.model.resolution import Resolution
from bridge.policy.compile import Target, compile_policy
from bridge.policy.shard import spread
from bridge.report.considered import Piece, Verdict
from bridge.report.destination import destination
from bridge.report.enforced import Enforcement
from bridge.report.held import Holdings
from bridge.report.sender import NotTraceable, source
from bridge.report.trace import Site, Tracer
from bridge.report.trace_model import OnDevice, Sender, Trace, trace_document, trace_schema
from bridge.report.trace_text import trace_sheets
from bridge.state.batch import Batch, DesiredObject, MemberChange, Placement
from bridge.state.batch import Verdict as Said
from bridge.state.database import Database
from bridge.state.desired import Applied, AuditEntry, DeviceHealth, ObjectState
from bridge.state.pruning import prune
from bridge.state.trace_store import TraceStore
from tests.dialects import tiny
from tests.policy.device import holdings
from tests.policy.device import members as members_of
from tests.policy.world import ADDRESSES as SENDERS
from tests.policy.world import CLUSTER, GOVERNANCE, PACKETS, Holder, World, worlds
from tests.report.trace_record import Recorded, fresh, members, to_text
from tests.state.builders import Stores, at, group

WEB = group("web")
ADDRESSES = [f"10.0.0.{number}" for number in range(1, 40)] + ["fd00::1", "fd00::a:b"]


def rows_of(before: Objects, after: Objects) -> list[AuditEntry]:
    """What the audit says of such a change."""
    keys = sorted({*before, *after})
    changed = [key for key in keys if before.get(key) != after.get(key)]
    return [AuditEntry(key, "update", "", *change_lines(before.get(key), after.get(key)), "done") for key in changed]


@pytest.mark.parametrize("seed", range(4))
def test_members_of_every_moment_come_from_the_audit(database: Database, seed: int) -> None:
    """A group that grows, shrinks, is split into parts and joined again, deleted and made anew."""
    random, stores = Random(seed), Stores(database)
    story: list[frozenset[str]] = []
    there: dict[ObjectKey, DeviceObject] = {}
    chosen: set[str] = set()
    for number in range(40):
        for address in random.sample(ADDRESSES, random.randint(0, 6)):
            chosen ^= {address}
        gone = random.random() < 0.1
        parts = random.choice((0, 0, 2, 3))
        after = {} if gone else {one.key: one for one in spread(WEB, chosen, parts)}
        stores.delivery.record("edge", 1, [], rows_of(there, after), "plan", at(number))
        there = dict(after)
        story.append(frozenset() if gone else frozenset(chosen))
    with TraceStore(database).reading() as reading:
        for number, members_then in enumerate(story):
            holdings = Holdings(reading, at(number + 0.5), now=False)
            for address in ADDRESSES[:: 1 + number % 3]:
                fact = holdings.member("edge", WEB, address, None, joined=False)
                assert fact.held == (address in members_then), (number, address, fact)
        early = Holdings(reading, at(-1), now=False).member("edge", WEB, ADDRESSES[0], None, joined=False)
        assert early.held is None
        assert "begins at" in early.why


@pytest.mark.parametrize("seed", range(3))
def test_lines_of_every_moment_come_from_the_audit(database: Database, seed: int) -> None:
    random, stores = Random(seed), Stores(database)
    key = ObjectKey(Kind.RULE_LIST, "east", Scope.SERVICE, "shop")
    possible = [
        RuleEntry(f"{rule}_{to}_tcp", action, (WEB,), (group(to),), Protocol.TCP)
        for rule in ("web", "web-api", "pay")
        for to in ("bank", "mail")
        for action in (Action.ALLOW, Action.DENY)
    ]
    story: list[tuple[RuleEntry, ...]] = []
    there: dict[ObjectKey, DeviceObject] = {}
    for number in range(40):
        lines = tuple(random.sample(possible, random.randint(0, 5)))
        after: dict[ObjectKey, DeviceObject] = {key: RuleList(key, lines)} if lines else {}
        stores.delivery.record("edge", 1, [], rows_of(there, after), "plan", at(number))
        there = after
        story.append(lines)
    with TraceStore(database).reading() as reading:
        for number, then in enumerate(story):
            found = Holdings(reading, at(number + 0.5), now=False).lines("edge", key, "web_", None)
            wanted = sorted((one.name, str(one.action)) for one in then if one.name.startswith("web_"))
            if found.fact.held is None:
                assert all(not lines for lines in story[: number + 1]), "nothing was ever there"
            else:
                assert sorted((one.name, one.action) for one in found.lines) == wanted, number


# ---- a whole trace, with a device that holds what is recorded of it

_DENY = Defaults(DefaultAction.DENY, UnknownAddresses.DENY)
_OPEN = Defaults(DefaultAction.NONE, UnknownAddresses.PASS)
_DB = Ref("ExternalService", "shop", "db")
_RULE = Rule(
    Ref("ServiceEgressRule", "shop", "pay-db"),
    Tier.SERVICE,
    10,
    Action.ALLOW,
    Source(SourceKind.SERVICE, "shop", "pay"),
    (_DB,),
    log=False,
)
_EXTERNAL = ExternalService(_DB, ("192.0.2.0/30",), (), (Traffic(Protocol.TCP, (PortRange(443, 443),)),))
_WORLD = World({"10.0.0.1": Holder("shop", {"app": "pay"})}, (_RULE,), {_DB: _EXTERNAL}, _DENY)
_MORE = World(
    {**_WORLD.holders, "10.0.0.2": Holder("shop", {"app": "pay"}, "payer")}, _WORLD.rules, _WORLD.externals, _DENY
)


class Device:
    """The device `edge` and what is recorded that it holds, brought up to date when told."""

    def __init__(self, database: Database) -> None:
        self.recorded = Recorded(database)
        self._there: dict[ObjectKey, DeviceObject] = {}
        self._desired: set[ObjectKey] = set()

    def want(self, world: World, time: datetime) -> None:
        """What intake records that the device should hold."""
        made = compile_policy(world.policy, world.target())
        batch = Batch(time)
        batch.desired = [DesiredObject("edge", key, body, str(hash(body))) for key, body in made.objects.items()]
        batch.desired += [DesiredObject("edge", key, None, "selected") for key in made.groups]
        batch.groups = [key for key in made.groups if key not in dict(members(world))]
        batch.desired_gone = [("edge", key) for key in self._desired if key not in {*made.objects, *made.groups}]
        self._desired = {*made.objects, *made.groups}
        batch.placements = [
            Placement(rule.ref, "edge", tuple(sorted(made.placed.get(rule.ref, ()))), rule.tier) for rule in world.rules
        ]
        self.recorded.stores.commit(batch)
        self._wanted = {**made.objects, **{key: Group(key, held) for key, held in members(world)}}

    def apply(self, time: datetime, *, state: ObjectState = ObjectState.PROGRAMMED) -> None:
        """The device takes all of it."""
        delivery = self.recorded.stores.delivery
        work = delivery.complete_work("edge")
        applied = [Applied(row.key, row.generation, state) for row in work.rows]
        delivery.record("edge", 1, applied, rows_of(self._there, self._wanted), "plan", time)
        self._there = dict(self._wanted)
        health = DeviceHealth("ok", attached={"cluster": True, "namespace": True, "service": True})
        delivery.record_health("edge", health, time)

    def trace(self, sender: str, to: str, world: World, time: datetime, then: datetime | None = None) -> Trace:
        """The answer at that time."""
        return self.recorded.trace(sender, to, world, time, then)


@pytest.fixture
def device(database: Database) -> Device:
    made = Device(database)
    made.recorded.record(_WORLD, at(0))
    made.want(_WORLD, at(1))
    return made


def row_of(trace: Trace) -> OnDevice:
    """What is said of the one device."""
    ((row,),) = [answer.devices for answer in trace.answers]
    return row


def test_before_anything_is_applied_the_device_lacks_it(device: Device) -> None:
    found = device.trace("10.0.0.1", "192.0.2.1:443", _WORLD, at(2))
    row = row_of(found)
    assert not found.agrees
    assert row.state == "DeviceUnreachable", "it was not read yet"
    assert found.headline.startswith("Allow by ServiceEgressRule shop/pay-db (service tier, priority 10); but")


def test_a_default_that_is_not_in_force_is_told_in_its_word(device: Device) -> None:
    without = World(_WORLD.holders, _WORLD.rules, _WORLD.externals, _OPEN)
    device.want(without, at(2))
    device.apply(at(3))
    batch = Batch(at(4))
    batch.verdicts = [Said(Ref("Default", "", "edge"), "", 0, False, "OverBroad", "behind it stands free/x")]
    device.recorded.stores.commit(batch)
    found = device.trace("10.0.0.1", "192.0.2.1:80", _WORLD, at(5))
    row = row_of(found)
    assert (row.line, row.state, row.message) == (False, "OverBroad", "behind it stands free/x")
    assert "does not hold the default: OverBroad" in found.headline


@pytest.mark.parametrize(("reason", "told"), [("OverBroad", False), ("Invalid", True)])
def test_of_an_edit_that_is_not_accepted_and_of_nothing_else_it_says_so(
    device: Device, database: Database, reason: str, *, told: bool
) -> None:
    with TraceStore(database).reading() as reading:
        (stands,) = reading.written_as(CLUSTER, [_RULE.ref], None)
    batch = Batch(at(2))
    batch.verdicts = [Said(_RULE.ref, str(_RULE.ref), 2, False, reason, "words", stands.accepted)]
    device.recorded.stores.commit(batch)
    ((rule,),) = [answer.rules for answer in device.trace("10.0.0.1", "192.0.2.1:443", _WORLD, at(5)).answers]
    assert ("its last edit is not accepted" in rule.why) is told


def test_a_device_that_holds_all_of_it_agrees_and_says_since_when(device: Device) -> None:
    device.apply(at(3))
    found = device.trace("10.0.0.1", "192.0.2.1:443", _WORLD, at(4))
    row = row_of(found)
    assert found.agrees, found
    assert (row.line, row.member, row.attached, row.state) == (True, True, True, "ok")
    assert (row.member_since, row.proven_at) == (at(3), at(3))
    assert row.row is not None
    denied = device.trace("10.0.0.1", "192.0.2.1:80", _WORLD, at(4))
    assert denied.agrees, denied
    assert denied.headline.startswith("Deny by default")


def test_who_comes_later_waits_and_the_past_stays_as_it_was(device: Device) -> None:
    device.apply(at(3))
    device.recorded.record(_MORE, at(10))
    late = device.trace("10.0.0.2", "192.0.2.1:443", _MORE, at(11))
    row = row_of(late)
    assert (row.line, row.member, row.state, row.agrees) == (True, False, "Pending", False)
    assert "edge (shop/" in late.headline
    assert row_of(device.trace("10.0.0.1", "192.0.2.1:443", _MORE, at(11))).agrees, "it stands there as before"
    device.want(_MORE, at(12))
    device.apply(at(13))
    assert row_of(device.trace("10.0.0.2", "192.0.2.1:443", _MORE, at(14))).member_since == at(13)
    then = row_of(device.trace("10.0.0.2", "192.0.2.1:443", _MORE, at(14), at(12.5)))
    assert (then.member, then.state, then.agrees) == (False, "not held then", False)
    assert row_of(device.trace("10.0.0.1", "192.0.2.1:443", _MORE, at(14), at(12.5))).agrees


def test_who_left_and_is_still_let_through_is_told(device: Device) -> None:
    device.apply(at(3))
    other = World({"10.0.0.1": Holder("shop", {"app": "cart"})}, _WORLD.rules, _WORLD.externals, _DENY)
    device.recorded.record(other, at(10))
    found = device.trace("10.0.0.1", "192.0.2.1:443", other, at(11))
    assert found.answers[0].decisions[0].verdict == "Deny"
    assert [row.rule for row in found.answers[0].devices if row.stale] == ["ServiceEgressRule shop/pay-db"]
    assert "still lets 10.0.0.1 through" in found.headline
    device.want(other, at(12))
    device.apply(at(13))
    assert device.trace("10.0.0.1", "192.0.2.1:443", other, at(14)).agrees


def test_a_deleted_rule_that_a_device_still_holds_is_told(device: Device) -> None:
    device.apply(at(3))
    without = World(_WORLD.holders, (), _WORLD.externals, _DENY)
    device.recorded.record(without, at(10))
    device.want(without, at(10))
    found = device.trace("10.0.0.1", "192.0.2.1:443", without, at(11))
    assert found.answers[0].decisions[0].verdict == "Deny"
    (row,) = [row for row in found.answers[0].devices if row.stale]
    assert (row.rule, row.verdict, row.member, row.state, row.agrees) == (
        "service rule shop/pay-db",
        "Allow",
        True,
        "Pending",
        False,
    )
    assert "still lets 10.0.0.1 through by service rule shop/pay-db: Pending" in found.headline
    for other in ("192.0.2.1:80", "192.0.2.9:443", "192.0.2.1/udp"):
        assert device.trace("10.0.0.1", other, without, at(11)).agrees, f"the rule was not about {other}"
    device.apply(at(12))
    assert device.trace("10.0.0.1", "192.0.2.1:443", without, at(13)).agrees


@pytest.mark.parametrize(("tier", "sure"), [(Tier.CLUSTER, True), (Tier.SERVICE, False)])
def test_a_deleted_deny_that_a_device_still_holds_is_told(device: Device, tier: Tier, *, sure: bool) -> None:
    """Nobody knows of a line of the tier that decides whether it stands above the line that decides."""
    kind = "ClusterEgressRule" if tier is Tier.CLUSTER else "ServiceEgressRule"
    ref = Ref(kind, "" if tier is Tier.CLUSTER else "shop", "no")
    source = Source(SourceKind.CLUSTER) if tier is Tier.CLUSTER else _RULE.source
    deny = replace(_RULE, ref=ref, tier=tier, priority=1, action=Action.DENY, source=source)
    both = World(_WORLD.holders, (deny, _RULE), _WORLD.externals, _DENY)
    device.recorded.record(both, at(2))
    device.want(both, at(2))
    device.apply(at(3))
    assert device.trace("10.0.0.1", "192.0.2.1:443", both, at(4)).agrees
    device.recorded.record(_WORLD, at(10))
    device.want(_WORLD, at(10))
    found = device.trace("10.0.0.1", "192.0.2.1:443", _WORLD, at(11))
    assert not found.agrees, found
    assert [row.agrees for row in found.answers[0].devices if row.stale] == [False if sure else None]
    words = "still stops 10.0.0.1 by cluster rule no" if sure else "it still holds Deny by service rule shop/no"
    assert words in found.headline
    device.apply(at(12))
    assert device.trace("10.0.0.1", "192.0.2.1:443", _WORLD, at(13)).agrees


def test_what_is_left_over_below_the_rule_that_decides_is_no_matter(device: Device) -> None:
    ref = Ref("ClusterEgressRule", "", "no")
    deny = replace(_RULE, ref=ref, tier=Tier.CLUSTER, action=Action.DENY, source=Source(SourceKind.CLUSTER))
    both, alone = (World(_WORLD.holders, rules, _WORLD.externals, _DENY) for rules in ((deny, _RULE), (deny,)))
    device.recorded.record(both, at(2))
    device.want(both, at(2))
    device.apply(at(3))
    device.recorded.record(alone, at(10))
    device.want(alone, at(10))
    found = device.trace("10.0.0.1", "192.0.2.1:443", alone, at(11))
    assert found.answers[0].decisions[0].rule == "ClusterEgressRule no"
    assert found.agrees, found


def test_an_edit_of_the_action_that_a_device_has_not_heard_of_is_told(device: Device) -> None:
    deny = World(_WORLD.holders, (replace(_RULE, action=Action.DENY),), _WORLD.externals, _DENY)
    device.recorded.record(deny, at(2))
    device.want(deny, at(2))
    device.apply(at(3))
    assert device.trace("10.0.0.1", "192.0.2.1:443", deny, at(4)).agrees
    device.recorded.record(_WORLD, at(10))
    device.want(_WORLD, at(10))
    found = device.trace("10.0.0.1", "192.0.2.1:443", _WORLD, at(11))
    row = next(row for row in found.answers[0].devices if not row.stale)
    assert (row.verdict, row.line, row.lines, row.state, row.agrees) == ("Allow", False, (), "Pending", False)
    device.apply(at(12))
    row = row_of(device.trace("10.0.0.1", "192.0.2.1:443", _WORLD, at(13)))
    assert (row.line, row.agrees) == (True, True)


class _Plain(World):
    """A world before a device that cannot reject."""

    def target(self, *, fqdn: bool = True, icmp: bool = True, reject: bool = False, form: Form = Form.TIERED) -> Target:
        return super().target(fqdn=fqdn, icmp=icmp, reject=reject, form=form)


def test_a_reject_is_a_deny_where_the_device_cannot_reject(device: Device) -> None:
    reject = _Plain(_WORLD.holders, (replace(_RULE, action=Action.REJECT),), _WORLD.externals, _DENY)
    device.recorded.record(reject, at(2))
    device.want(reject, at(2))
    device.apply(at(3))
    row = row_of(device.trace("10.0.0.1", "192.0.2.1:443", reject, at(4)))
    assert (row.verdict, row.line, row.agrees) == ("Reject", True, True)
    assert all(" Deny " in line for line in row.lines)


def test_a_list_of_which_the_record_tells_too_much_to_look_through_is_not_known(device: Device) -> None:
    """Changed by hand over and over: whether a line of a rule that is gone is left over there cannot be told."""
    device.apply(at(3))
    key = ObjectKey(Kind.RULE_LIST, CLUSTER, Scope.SERVICE, "shop")
    rows = [AuditEntry(key, "update", "", f"-['other_{n}_tcp']", f"+['other_{n + 1}_tcp']", "done") for n in range(500)]
    device.recorded.stores.delivery.record("edge", 1, [], rows, "plan", at(4))
    without = World(_WORLD.holders, (), _WORLD.externals, _DENY)
    device.recorded.record(without, at(10))
    device.want(without, at(10))
    found = device.trace("10.0.0.1", "192.0.2.1:443", without, at(11))
    assert not found.agrees, "the device still holds the rule"
    (row,) = [row for row in found.answers[0].devices if row.stale]
    assert (row.line, row.state, row.agrees) == (None, "not known", None)
    assert (
        "it is not known whether edge (shop/p10-0-0-1-pay-default) does so: which service rules of shop it holds is not known, "
        in found.headline
    )
    assert any(sheet.rows for sheet in trace_sheets(found))
    device.apply(at(12))
    assert device.trace("10.0.0.1", "192.0.2.1:443", without, at(13)).agrees


def test_a_destination_that_a_device_has_not_heard_of_is_told_in_both_directions(device: Device) -> None:
    device.apply(at(3))
    moved = World(_WORLD.holders, (_RULE,), {_DB: replace(_EXTERNAL, addresses=("198.51.100.0/24",))}, _DENY)
    device.recorded.record(moved, at(10))
    device.want(moved, at(10))
    before = device.trace("10.0.0.1", "192.0.2.1:443", moved, at(11))
    assert "still lets 10.0.0.1 through by service rule shop/pay-db" in before.headline, before
    after = device.trace("10.0.0.1", "198.51.100.1:443", moved, at(11))
    assert after.answers[0].decisions[0].verdict == "Allow"
    assert (after.agrees, row_of(after).line, row_of(after).state) == (False, False, "Pending")
    device.apply(at(12))
    assert device.trace("10.0.0.1", "192.0.2.1:443", moved, at(13)).agrees
    assert device.trace("10.0.0.1", "198.51.100.1:443", moved, at(13)).agrees


@pytest.mark.parametrize("state", [ObjectState.QUARANTINED, ObjectState.HELD, ObjectState.WITHHELD])
def test_what_a_device_does_not_take_is_told_in_its_word(device: Device, state: ObjectState) -> None:
    device.apply(at(3))
    device.recorded.record(_MORE, at(10))
    delivery = device.recorded.stores.delivery
    key = next(key for key, _ in members(_MORE))
    pending = next(row for row in delivery.complete_work("edge").rows if row.key == key)
    delivery.record("edge", 1, [Applied(key, pending.generation, state, message="its words")], [], "", at(11))
    row = row_of(device.trace("10.0.0.2", "192.0.2.1:443", _MORE, at(12)))
    assert (row.member, row.state, row.message, row.agrees) == (False, str(state), "its words", False)
    assert row_of(device.trace("10.0.0.1", "192.0.2.1:443", _MORE, at(12))).agrees


def test_not_attached_is_no_enforcement(device: Device) -> None:
    device.apply(at(3))
    health = DeviceHealth("ok", attached={"service": False}, attach_by={"service": "attach it so"})
    device.recorded.stores.delivery.record_health("edge", health, at(4))
    row = row_of(device.trace("10.0.0.1", "192.0.2.1:443", _WORLD, at(5)))
    assert (row.state, row.message, row.agrees) == ("NotAttached", "attach it so", False)


def test_the_document_fits_its_schema_and_the_text_says_the_same(device: Device) -> None:
    device.apply(at(3))
    found = device.trace("shop/p10-0-0-1-pay-default", "192.0.2.1", _WORLD, at(4))
    document = trace_document(found)
    _fits(document, trace_schema(), trace_schema()["$defs"])
    sheets = list(trace_sheets(found))
    words = "\n".join(" ".join((one.title, *(" ".join(row) for row in one.rows))) for one in sheets)
    for part in (found.headline, "TCP 443", "everything else", "service shop/pay", "decides"):
        assert part in words


def _fits(value: object, schema: Mapping[str, object], definitions: Mapping[str, Mapping[str, object]]) -> None:
    """Names and required fields, all the way down."""
    reference = schema.get("$ref")
    if isinstance(reference, str):
        _fits(value, definitions[reference.rpartition("/")[2]], definitions)
        return
    if isinstance(value, dict) and isinstance(properties := schema.get("properties"), dict):
        assert set(value) <= set(properties)
        required = schema.get("required")
        assert not isinstance(required, list) or set(required) <= set(value)
        for name, one in value.items():
            _fits(one, properties[name], definitions)
    if isinstance(value, list) and isinstance(items := schema.get("items"), dict):
        for one in value:
            _fits(one, items, definitions)


def test_no_device_in_scope_is_said(device: Device) -> None:
    assert CLUSTER == "east"
    found = device.trace("10.0.0.9", "192.0.2.1:443", _WORLD, at(4))
    assert found.answers[0].decisions[0].verdict == "Deny"


def test_a_service_is_told_for_all_its_pods_and_the_kinds_are_told_apart(device: Device) -> None:
    device.apply(at(3))
    device.recorded.record(_MORE, at(10))
    found = device.trace("shop/pay", "192.0.2.1:443", _MORE, at(11))
    (answer,) = found.answers
    assert sorted(one.address for one in answer.senders) == ["10.0.0.1", "10.0.0.2"]
    assert [row.agrees for row in answer.devices] == [True, False]
    then = device.trace("service/shop/pay", "192.0.2.1:443", _MORE, at(11), at(5))
    assert [one.address for one in then.answers[0].senders] == ["10.0.0.1"]
    with pytest.raises(NotTraceable, match="nothing is recorded"):
        device.trace("shop/nobody", "192.0.2.1:443", _MORE, at(11))
    with pytest.raises(NotTraceable, match="no address of IPv6"):
        device.trace("shop/pay", "[2001:db8::1]:443", _MORE, at(11))


def _by_name(addresses: tuple[str, ...] = (), *names: str) -> World:
    return replace(_WORLD, externals={_DB: replace(_EXTERNAL, addresses=addresses, fqdns=names)})


def test_hosts_by_name_and_addresses_that_hang_on_a_name(database: Database) -> None:
    recorded = Recorded(database)
    world = _by_name((), "db.example.com", "*.cdn.example.com")
    recorded.record(world, at(0))

    def verdict(to: str, then: datetime | None = None) -> str:
        return recorded.trace("10.0.0.1", to, world, at(100), then).answers[0].decisions[0].verdict

    assert verdict("db.example.com:443") == verdict("a.cdn.example.com:443") == "Allow"
    assert verdict("other.example.com:443") == "Deny"
    assert verdict("192.0.2.9:443") == "unknown", "nobody knows what the names stand for"
    plain = _by_name((), "db.example.com")
    recorded.record(plain, at(10))
    resolved = Batch(at(20))
    resolved.names = [Resolution("db.example.com", ("192.0.2.9",))]
    recorded.stores.commit(resolved)
    assert [verdict("192.0.2.9:443"), verdict("192.0.2.8:443")] == ["Allow", "Deny"]
    assert [verdict("192.0.2.9:443", at(15)), verdict("192.0.2.9:443", at(25))] == ["unknown", "Allow"]
    recorded.record(_by_name(("192.0.2.0/28",)), at(30))
    assert verdict("api.example.com:443") == "unknown", "its address is not known"


def test_as_a_device_sees_it(database: Database) -> None:
    recorded = Recorded(database)
    recorded.record(_WORLD, at(0))
    views = (View(), View(AddressSource.EGRESS, ("192.0.2.0/24",), ("198.18.0.1",), name="out"))
    target = replace(_WORLD.target(), views=views)
    with TraceStore(database).reading() as reading:
        tracer = Tracer(reading, {CLUSTER: Site(GOVERNANCE, (target,), recorded.dialects)}, None, at(5))
        row = row_of(tracer.trace(source("10.0.0.1"), destination("192.0.2.1:443")))
        assert (row.view, row.address) == ("Egress", ("198.18.0.1",))
        row = row_of(tracer.trace(source("10.0.0.1"), destination("198.51.100.1:443")))
        assert (row.view, row.address) == ("Pod", ("10.0.0.1",))


def test_a_pass_in_the_words_of_another_dialect_is_looked_up_in_its_tier(database: Database) -> None:
    """Kinds of others may be called as they like."""
    Dialects([tiny.DIALECT])
    target = replace(_WORLD.target(), capabilities=replace(_WORLD.target().capabilities, form=Form.FLAT))
    passed = Piece(destination("192.0.2.1:443").what, Verdict.DENY, None, (Ref(tiny.WALL.ref, "shop", "wall"),))
    with TraceStore(database).reading() as reading:
        enforcement = Enforcement(reading, CLUSTER, None, at(5))
        sender = Sender(CLUSTER, "10.0.0.1", "shop", "pay")
        row = enforcement.of_piece(target, sender, enforcement.seen(target, sender, "192.0.2.1"), passed, None)
    assert (row.verdict, row.line) == ("Deny", None), "nothing is recorded of the device yet"


def test_versions_are_pruned_with_history(database: Database) -> None:
    recorded = Recorded(database)
    recorded.record(_WORLD, at(0))
    recorded.record(replace(_WORLD, rules=()), at(10))
    prune(database, at(5))
    assert recorded.trace("10.0.0.1", "192.0.2.1:443", _WORLD, at(20), at(8)).answers[0].decisions[0].verdict == "Allow"
    prune(database, at(15))
    with pytest.raises(NotTraceable, match="begins at"):
        recorded.trace("10.0.0.1", "192.0.2.1:443", _WORLD, at(20), at(8))
    with database.transaction() as connection:
        rows = connection.execute("SELECT name FROM version WHERE kind = 'ServiceEgressRule'").fetchall()
    assert rows == []


_SOME = [packet for packet in PACKETS if packet.source in SENDERS][::11]


@pytest.mark.parametrize("form", Form)
@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(world=worlds(most=6, dense=True))
def test_a_device_that_holds_what_was_compiled_agrees_in_every_form(
    database: Database, form: Form, world: World
) -> None:
    """By its rows as they are now, and by its audit."""
    recorded = fresh(database)
    recorded.record(world, at(0))
    can = Capabilities(form, icmp_types=True, protocols=True)
    target = Target("edge", can, world.defaults)
    made = compile_policy(world.policy, target)
    holds = holdings(made, world)
    batch = Batch(at(1))
    batch.desired = [DesiredObject("edge", key, body, str(key)) for key, body in made.objects.items()]
    batch.desired += [DesiredObject("edge", key, None, "selected") for key in made.groups]
    batch.groups = [key for key in made.groups if key not in dict(members(world))]
    batch.joined = [MemberChange(key, one) for key in made.groups for one in members_of(holds, key)]
    batch.placements = [
        Placement(rule.ref, "edge", tuple(sorted(made.placed.get(rule.ref, ()))), rule.tier) for rule in world.rules
    ]
    recorded.stores.commit(batch)
    delivery = recorded.stores.delivery
    applied = [Applied(row.key, row.generation, ObjectState.PROGRAMMED) for row in delivery.complete_work("edge").rows]
    there = {key: value for key, value in holds.items() if key.kind is not Kind.POLICY}
    delivery.record("edge", 1, applied, rows_of({}, there), "plan", at(2))
    delivery.record_health("edge", DeviceHealth("ok", attached={}), at(2))
    recorded.stores.commit(Batch(at(9)))
    told = [remark for remark in made.remarks.values() if remark.reason not in ("", "NoDestination")]
    for each in _SOME:
        for then in (None, at(5)):
            with TraceStore(database).reading() as reading:
                site = Site(GOVERNANCE, (target,), recorded.dialects)
                found = Tracer(reading, {CLUSTER: site}, then, at(10)).trace(
                    source(each.source), destination(to_text(each))
                )
            assert found.agrees or told, (each, then, found, made)
