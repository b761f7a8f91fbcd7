"""Ends that devices know by themselves: what they leave is the policy without what is over, and never more."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.model.capabilities import Form
from bridge.model.identity import Kind, ObjectKey
from bridge.model.intent import DeviceObject, Objects, RuleList, Schedule
from bridge.model.policy import (
    ALWAYS,
    Action,
    Day,
    DefaultAction,
    Defaults,
    ExternalService,
    Protocol,
    Ref,
    Rule,
    Source,
    SourceKind,
    Tier,
    Traffic,
    UnknownAddresses,
    Validity,
    Window,
)
from bridge.model.schedules import check_schedule, schedule_after
from bridge.policy.allow_only import compile_allow_only
from bridge.policy.compile import compile_policy
from bridge.policy.flat import compile_flat
from bridge.policy.tiered import compile_tiered
from bridge.policy.validity import ends, resting
from tests.policy import device, reference
from tests.policy.reference import Decision
from tests.policy.test_forms import ANY_WORLD, barred, in_force, packets
from tests.policy.world import CLUSTER_EXTERNALS, Holder, Packet, World

NOW = datetime(2026, 3, 4, 12, 0, 7, tzinfo=UTC)
END = NOW + timedelta(hours=5)
COMPILERS = {Form.TIERED: compile_tiered, Form.FLAT: compile_flat, Form.ALLOW_ONLY: compile_allow_only}
CLOSED = Defaults(DefaultAction.DENY, UnknownAddresses.DENY)


def _over(objects: Objects) -> dict[ObjectKey, DeviceObject]:
    """What counts once every schedule is over, as the device would have it."""
    return {
        key: replace(value, entries=tuple(entry for entry in value.entries if entry.schedule is None))
        if isinstance(value, RuleList)
        else value
        for key, value in objects.items()
    }


@pytest.mark.parametrize("form", Form)
@settings(max_examples=120)
@given(world=ANY_WORLD, seed=st.integers(0, 1 << 32))
def test_once_allows_are_over_it_is_as_if_they_had_never_been_there(form: Form, world: World, seed: int) -> None:
    random = Random(seed)
    over = {rule.ref: END for rule in world.rules if rule.action is Action.ALLOW and random.random() < 0.5}
    compiled = COMPILERS[form](replace(world.policy, ends=over), world.target(form=form))
    objects = in_force(compiled, world)
    assert not device.dangling(objects)
    left, rest = _over(objects), replace(world, rules=tuple(rule for rule in world.rules if rule.ref not in over))
    for packet in packets(world, seed, 50):
        for held, meant in ((objects, reference.decide(world, packet)), (left, reference.decide(rest, packet))):
            if form is Form.ALLOW_ONLY:
                through = device.lets_through(held, packet)
                assert through == (meant is Decision.ALLOW) or (barred(compiled) and not through), packet
            else:
                got = device.decide(held, packet)
                assert got is meant or (barred(compiled) and got is not Decision.ALLOW), packet


@pytest.mark.parametrize("form", [Form.FLAT, Form.ALLOW_ONLY])
@settings(max_examples=120)
@given(world=ANY_WORLD, seed=st.integers(0, 1 << 32))
def test_what_a_pass_let_decide_ends_with_the_pass(form: Form, world: World, seed: int) -> None:
    """Where a default denies the rest, nothing that the Pass kept away comes through once it is over."""
    random = Random(seed)
    some = {rule.ref for rule in world.rules if random.random() < 0.6}
    stays = {rule.ref for rule in world.rules if rule.action in (Action.DENY, Action.REJECT)}
    world = replace(world, defaults=CLOSED)
    compiled = COMPILERS[form](replace(world.policy, ends=dict.fromkeys(some, END)), world.target(form=form))
    left = _over(in_force(compiled, world))
    rest = replace(world, rules=tuple(rule for rule in world.rules if rule.ref not in some - stays))
    for packet in packets(world, seed, 50):
        lets = device.lets_through if form is Form.ALLOW_ONLY else device.decide
        if lets(left, packet) in (True, Decision.ALLOW):
            assert reference.decide(rest, packet) is Decision.ALLOW, packet


@settings(max_examples=40)
@given(world=ANY_WORLD, form=st.sampled_from(Form))
def test_only_an_allow_ends_by_itself_and_only_where_the_device_can(world: World, form: Form) -> None:
    rules = tuple(replace(rule, validity=Validity(None, END)) for rule in world.rules)
    policy = replace(replace(world, rules=rules).policy, at=NOW)
    for able in (True, False):
        target = world.target(form=form)
        target = replace(target, capabilities=replace(target.capabilities, schedules=able))
        compiled = compile_policy(policy, target)
        entries = [entry for one in compiled.objects.values() if isinstance(one, RuleList) for entry in one.entries]
        schedules = {key: one for key, one in compiled.objects.items() if isinstance(one, Schedule)}
        assert {entry.schedule for entry in entries} - {None} == schedules.keys()
        assert {key.kind for key in schedules} <= {Kind.SCHEDULE}
        for entry in entries:
            ending = able and entry.action is Action.ALLOW
            assert (entry.schedule is not None) == ending, entry
        assert all(END < one.until <= END + timedelta(minutes=2) for one in schedules.values())


@given(st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001 - bounds are naive
def test_a_device_ends_a_minute_later_at_the_next_whole_one(end: datetime) -> None:
    made = schedule_after("east", end)
    check_schedule(made)
    assert timedelta(minutes=1) <= made.until - end < timedelta(minutes=2)
    assert ObjectKey.parse(str(made.key)) == made.key
    assert schedule_after("east", made.until - timedelta(minutes=1)) == made, "one name for one moment"


_BERLIN = "Europe/Berlin"
_WEEK = frozenset(Day)


def _daily(*spans: tuple[int, int]) -> Validity:
    return Validity(windows=frozenset(Window(_WEEK, 60 * start, 60 * end, _BERLIN) for start, end in spans))


@pytest.mark.parametrize(
    ("validity", "at", "expected"),
    [
        (ALWAYS, "2026-03-04T12:00Z", None),
        (Validity(None, END), "2026-03-04T12:00Z", END.isoformat()),
        (Validity(None, datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)), "2026-03-04T12:00Z", None),
        (_daily((8, 17)), "2026-03-04T12:00Z", "2026-03-04T16:00Z"),
        (_daily((8, 17), (17, 20)), "2026-03-04T12:00Z", "2026-03-04T19:00Z"),
        (_daily((8, 17), (16, 20), (21, 22)), "2026-03-04T12:00Z", "2026-03-04T19:00Z"),
        (_daily((0, 0)), "2026-03-04T12:00Z", None),
        (_daily((0, 12), (12, 24)), "2026-03-04T12:00Z", None),
        (replace(_daily((8, 17)), not_after=END - timedelta(hours=2)), "2026-03-04T12:00Z", "2026-03-04T15:00:07Z"),
        (_daily((8, 9)), "2026-03-04T12:00Z", None),
    ],
)
def test_when_what_counts_now_will_not(validity: Validity, at: str, expected: str | None) -> None:
    moment = datetime.fromisoformat(at).astimezone(UTC)
    assert _end(validity, moment) == (datetime.fromisoformat(expected) if expected else None)


@given(
    spans=st.lists(st.tuples(st.integers(0, 23), st.integers(0, 24)), min_size=1, max_size=4),
    hours=st.integers(0, 24 * 300),
)
def test_until_its_end_it_counts_and_then_not(spans: list[tuple[int, int]], hours: int) -> None:
    validity, at = _daily(*spans), NOW + timedelta(hours=hours)
    end = _end(validity, at)
    if resting(validity, at) is not None:
        assert end is None
    elif end is None:
        assert all(resting(validity, at + timedelta(minutes=30 * step)) is None for step in range(2 * 24 * 8))
    else:
        assert resting(validity, end) is not None
        steps = int((end - at) / timedelta(minutes=30))
        assert all(resting(validity, at + timedelta(minutes=30 * step)) is None for step in range(steps))


def _end(validity: Validity, at: datetime) -> datetime | None:
    return ends([replace(_RULE, validity=validity)], at).get(_RULE.ref)


_RULE = Rule(
    Ref("EgressRule", "shop", "pay"),
    Tier.SERVICE,
    100,
    Action.ALLOW,
    Source(SourceKind.NAMESPACE, "shop"),
    (),
    log=False,
)


def _rules(told: str) -> tuple[Rule, ...]:
    """Of everybody in the shop to one place, each `tier.Action`, in order of precedence in their tiers."""
    refs = {Tier.CLUSTER: ("ClusterEgressRule", "")}
    found = []
    for number, one in enumerate(told.split()):
        tier, action = Tier(one.partition(".")[0]), Action(one.partition(".")[2])
        ref = Ref(*refs.get(tier, ("EgressRule", "shop")), f"rule-{number}")
        source = Source(SourceKind.NAMESPACE, "shop")
        found.append(Rule(ref, tier, number, action, source, (CLUSTER_EXTERNALS[0],), log=False))
    return tuple(found)


@pytest.mark.parametrize(
    ("told", "over"),
    [
        ("cluster.Pass cluster.Deny namespace.Allow service.Allow", 2),
        ("cluster.Allow cluster.Pass cluster.Deny service.Allow", 0),
    ],
)
def test_a_line_that_ends_makes_no_other_needless(told: str, over: int) -> None:
    """On a list without tiers, where lines that never decide are left out: they decide once what stands before them is over."""
    made = _rules(told)
    service = ExternalService(CLUSTER_EXTERNALS[0], ("192.0.2.0/24",), (), (Traffic(Protocol.ANY),))
    world = World({"10.0.0.1": Holder("shop", {"app": "pay"})}, made, {service.ref: service}, CLOSED)
    compiled = compile_flat(replace(world.policy, ends={made[over].ref: END}), world.target(form=Form.FLAT))
    objects, packet = in_force(compiled, world), Packet("10.0.0.1", "192.0.2.1", Protocol.TCP, 443)
    rest = replace(world, rules=tuple(rule for rule in made if rule is not made[over]))
    assert device.decide(objects, packet) is reference.decide(world, packet) is Decision.ALLOW
    assert device.decide(_over(objects), packet) is reference.decide(rest, packet) is Decision.ALLOW
