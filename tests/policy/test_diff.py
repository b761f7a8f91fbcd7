"""From one policy to another, step by step: the end is right, nothing dangles on the way, and nothing opens that neither end allows."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bridge.model.capabilities import Capabilities, Form, Limits
from bridge.model.identity import Kind, ObjectKey, Scope
from bridge.model.intent import DeviceObject, Group, Intent, Objects, Policy, RuleEntry, RuleList, Shard
from bridge.model.plan import Op, Plan, Step
from bridge.model.policy import (
    Action,
    DefaultAction,
    Defaults,
    ExternalService,
    Operator,
    PortRange,
    Protocol,
    Ref,
    Requirement,
    Rule,
    Selector,
    Source,
    SourceKind,
    Tier,
    Traffic,
    UnknownAddresses,
)
from bridge.policy.compile import compile_policy
from bridge.policy.diff import diff, plan
from bridge.policy.shard import spread
from tests.policy import device
from tests.policy.world import CLUSTER_EXTERNALS, PACKETS, Holder, World, worlds

ATOMIC = Capabilities(Form.TIERED, atomic=True)
STEPWISE = Capabilities(Form.TIERED)
Held = dict[ObjectKey, DeviceObject]


def _held(world: World, size: int | None) -> Held:
    return device.holdings(compile_policy(world.policy, world.target()), world, size)


def _plan(have: Objects, want: Objects, can: Capabilities = STEPWISE, limits: Limits | None = None) -> Plan:
    steps = diff(have, Intent("edge", want))
    return plan("edge", steps, have, can, limits or Limits())


def _applied(have: Objects, step: Step) -> Held:
    """The device after a step; a step says what it starts from."""
    after = dict(have)
    assert have.get(step.key) == step.before, f"{step.key} was not as the step supposes"
    assert (step.op is Op.CREATE, step.op is Op.DELETE) == (step.before is None, step.after is None)
    if step.after is None:
        del after[step.key]
    else:
        after[step.key] = step.after
    return after


def _states(have: Objects, made: Plan) -> Iterator[Held]:
    """Every state on the way."""
    current = dict(have)
    for step in made.steps:
        current = _applied(current, step)
        yield current


SIZES = st.sampled_from((None, 1, 2, 4))


@given(worlds(), worlds(), SIZES, SIZES, st.sampled_from((ATOMIC, STEPWISE)), st.integers(1, 40))
def test_the_steps_lead_from_one_to_the_other(
    before: World, after: World, was: int | None, size: int | None, can: Capabilities, batch: int
) -> None:
    have, want = _held(before, was), _held(after, size)
    made = _plan(have, want, can, Limits(batch=batch))
    end = dict(have)
    for end in _states(have, made):
        assert not device.dangling(end)
        assert all(entry.sources and entry.destinations for entry in _entries(end))
    assert end == want
    assert _plan(end, want).empty


@given(worlds(most=4), worlds(most=4), SIZES, SIZES)
def test_no_state_on_the_way_allows_what_neither_end_allows(
    before: World, after: World, was: int | None, size: int | None
) -> None:
    _check_the_way(_held(before, was), _held(after, size))


@given(worlds(most=4), worlds(most=4), st.data())
def test_nor_does_one_when_rules_stay_and_their_meaning_changes(
    before: World, after: World, data: st.DataObject
) -> None:
    """The same rules over other members, ports and destinations, or the same of these under other rules."""
    if data.draw(st.booleans()):
        after = replace(before, holders=after.holders, externals=after.externals)
    else:
        after = replace(after, holders=before.holders, externals=before.externals, defaults=before.defaults)
    _check_the_way(_held(before, None), _held(after, None))


@given(worlds(most=4), worlds(most=4), st.data(), st.sampled_from((Action.PASS, Action.DENY)))
def test_nor_does_one_when_a_line_there_can_no_longer_be_read(
    before: World, after: World, data: st.DataObject, read_as: Action
) -> None:
    """Whatever it may be, it is never written again, and what it stopped stays stopped, as long as groups keep their members."""
    after = replace(after, holders=before.holders, externals=before.externals)
    real, want = _held(before, None), _held(after, None)
    places = [(one.key, at) for one in _lists(real) for at in range(len(one.entries))]
    assume(places)
    key, place = data.draw(st.sampled_from(places))
    listed = real[key]
    assert isinstance(listed, RuleList)
    odd = RuleEntry(listed.entries[place].name, read_as, (), ())
    seen = replace(listed, entries=(*listed.entries[:place], odd, *listed.entries[place + 1 :]))
    stopped = [p for p in PACKETS if device.decide(real, p).stopped and device.decide(want, p).stopped]
    state = dict(real)
    made = _plan({**real, key: seen}, want)
    for number, step in enumerate(made.steps, 1):
        if step.after is None:
            del state[step.key]
        else:
            state[step.key] = step.after
        assert all(entry.sources and entry.destinations for entry in _entries(state))
        assert not device.dangling(state)
        for packet in stopped:
            assert device.decide(state, packet).stopped, f"{packet} gets through after step {number}"
    assert state == want


def _check_the_way(have: Held, want: Held) -> None:
    stopped = [p for p in PACKETS if device.decide(have, p).stopped and device.decide(want, p).stopped]
    for number, state in enumerate(_states(have, _plan(have, want)), 1):
        names = [len({entry.name for entry in one.entries}) == len(one.entries) for one in _lists(state)]
        assert all(names)
        for packet in stopped:
            assert device.decide(state, packet).stopped, f"{packet} gets through after step {number}"


def _lists(objects: Objects) -> list[RuleList]:
    return [value for value in objects.values() if isinstance(value, RuleList)]


def _entries(objects: Objects) -> list[RuleEntry]:
    return [entry for one in _lists(objects) for entry in one.entries]


def _group(name: str, *members: str) -> Group:
    return Group(ObjectKey(Kind.GROUP, "east", Scope.SERVICE, "shop", name), frozenset(members))


PAY, CART = _group("pay", "10.0.0.1"), _group("cart", "10.0.0.2")


def test_one_transaction_where_the_steps_fit() -> None:
    want = {PAY.key: PAY, CART.key: CART}
    assert len(_plan({}, want, ATOMIC, Limits(batch=2)).phases) == 1
    assert _plan({}, want, ATOMIC, Limits(batch=2)).digest == _plan({}, want, STEPWISE).digest


def test_one_changed_member_is_one_write() -> None:
    want = {PAY.key: replace(PAY, members=frozenset({"10.0.0.9"}))}
    assert len(_plan({PAY.key: PAY}, want, STEPWISE).steps) == 1


def test_a_moved_address_leaves_before_it_arrives() -> None:
    rules = ObjectKey(Kind.RULE_LIST, "east", Scope.SERVICE, "shop")
    names = tuple(RuleEntry(g.key.name, Action.ALLOW, (g.key,), (g.key,)) for g in (PAY, CART))
    fixed: Held = {rules: RuleList(rules, names)}
    want: Held = {PAY.key: replace(PAY, members=frozenset()), CART.key: _group("cart", "10.0.0.1", "10.0.0.2")}
    states = list(
        _states(
            {**fixed, PAY.key: PAY, CART.key: CART}, _plan({**fixed, PAY.key: PAY, CART.key: CART}, {**fixed, **want})
        )
    )
    assert device.members(states[0], PAY.key) == frozenset()
    assert device.members(states[0], CART.key) == {"10.0.0.2"}


ONE, TWO = Holder("shop", {"app": "pay"}), Holder("shop", {"app": "cart"})
MAIL, DB = CLUSTER_EXTERNALS
SHOP = Source(SourceKind.NAMESPACE, "shop")
WHOLE = Source(SourceKind.CLUSTER)
EVERYONE = Source(SourceKind.CLUSTER, pods=Selector((Requirement("app", Operator.EXISTS),)))


def _rule(name: str, tier: Tier, action: Action, ref: Ref, source: Source = SHOP, priority: int = 1) -> Rule:
    place = Ref("Rule", "" if tier is Tier.CLUSTER else "shop", name)
    return Rule(place, tier, priority, action, source, (ref,), log=False)


def _world(*rules: Rule, port: int = 80) -> World:
    services = {
        ref: ExternalService(ref, ("192.0.2.0/30",), (), (Traffic(Protocol.TCP, (PortRange(80, 443),)),))
        for ref in (MAIL, DB)
    }
    services[DB] = replace(services[DB], traffic=(Traffic(Protocol.TCP, (PortRange(port, port),)),))
    defaults = Defaults(DefaultAction.NONE, UnknownAddresses.PASS)
    return World({"10.0.0.1": ONE, "10.0.0.2": TWO}, rules, services, defaults)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(
            _world(
                _rule("deny", Tier.CLUSTER, Action.DENY, MAIL, EVERYONE),
                _rule("allow", Tier.NAMESPACE, Action.ALLOW, MAIL),
            ),
            _world(
                _rule("deny", Tier.NAMESPACE, Action.DENY, MAIL, priority=0),
                _rule("allow", Tier.NAMESPACE, Action.ALLOW, MAIL),
                _rule("other", Tier.SERVICE, Action.DENY, MAIL, Source(SourceKind.SERVICE, "shop", "pay")),
            ),
            id="a Deny moves to a lower tier",
        ),
        pytest.param(
            _world(_rule("deny", Tier.NAMESPACE, Action.DENY, MAIL), _rule("allow", Tier.SERVICE, Action.ALLOW, DB)),
            _world(
                _rule("deny", Tier.CLUSTER, Action.DENY, MAIL, EVERYONE),
                _rule("allow", Tier.SERVICE, Action.ALLOW, DB),
                port=443,
            ),
            id="ports change to others while a Deny moves up",
        ),
        pytest.param(
            _world(
                _rule("pass", Tier.CLUSTER, Action.PASS, MAIL, EVERYONE),
                _rule("deny", Tier.NAMESPACE, Action.DENY, MAIL),
                _rule("allow", Tier.CLUSTER, Action.ALLOW, MAIL, EVERYONE, 9),
            ),
            _world(
                _rule("deny", Tier.CLUSTER, Action.DENY, MAIL, EVERYONE),
                _rule("allow", Tier.NAMESPACE, Action.ALLOW, MAIL),
            ),
            id="a Pass goes and the Deny below it moves up",
        ),
        pytest.param(
            _world(
                _rule("deny", Tier.NAMESPACE, Action.DENY, DB),
                _rule("allow", Tier.NAMESPACE, Action.ALLOW, DB, priority=2),
            ),
            _world(
                _rule("deny", Tier.NAMESPACE, Action.DENY, MAIL),
                _rule("allow", Tier.NAMESPACE, Action.ALLOW, DB),
                port=443,
            ),
            id="one set of ports for an Allow and a Deny",
        ),
        pytest.param(
            _world(
                _rule("deny", Tier.CLUSTER, Action.DENY, MAIL, WHOLE),
                _rule("allow", Tier.CLUSTER, Action.ALLOW, MAIL, WHOLE),
            ),
            replace(
                _world(
                    _rule("pass", Tier.CLUSTER, Action.PASS, MAIL, WHOLE),
                    _rule("allow", Tier.CLUSTER, Action.ALLOW, MAIL, WHOLE),
                ),
                defaults=Defaults(DefaultAction.DENY, UnknownAddresses.DENY),
            ),
            id="a Pass of the whole cluster in place of a Deny, and the default that stops it comes last",
        ),
    ],
)
def test_the_ways_on_which_something_could_open(before: World, after: World) -> None:
    _check_the_way(_held(before, None), _held(after, None))
    _check_the_way(_held(after, None), _held(before, None))


def test_a_part_of_an_intent_leaves_the_rest() -> None:
    have: Held = {PAY.key: PAY, CART.key: CART}
    assert diff(have, Intent("edge", {PAY.key: PAY}, complete=False)) == []
    gone = diff(have, Intent("edge", {}, complete=False, absent=frozenset({CART.key, _group("never").key})))
    assert [(step.op, step.key) for step in gone] == [(Op.DELETE, CART.key)]


@pytest.mark.parametrize("can", [ATOMIC, STEPWISE])
def test_the_policy_comes_after_its_lists_and_goes_before_them(can: Capabilities) -> None:
    rules = ObjectKey(Kind.RULE_LIST, "east", Scope.CLUSTER)
    policy = Policy(ObjectKey(Kind.POLICY, "", Scope.CLUSTER), (rules,))
    want: Held = {
        PAY.key: PAY,
        rules: RuleList(rules, (RuleEntry("a", Action.DENY, (PAY.key,), (PAY.key,)),)),
        policy.key: policy,
    }
    kinds = [Kind.GROUP, Kind.RULE_LIST, Kind.POLICY]
    assert [step.key.kind for step in _plan({}, want, can).steps] == kinds
    assert [step.key.kind for step in _plan(want, {}, can).steps][-3:] == kinds[::-1]


def test_a_part_that_does_not_change_is_as_it_was_in_the_end() -> None:
    """Where a device writes a range as prefixes, these lie in the part of the range, and on the way wherever their own texts lead."""
    key = ObjectKey(Kind.GROUP, "prod", Scope.SERVICE, "shop", "cart")
    prefixes = frozenset({"203.0.113.48/29", "203.0.113.56/30", "203.0.113.60/31", "203.0.113.62"})

    def held(other: str) -> Held:
        parts = {one.key: one for one in spread(key, {other}, 4)}
        lone = key.shard(0, 4)
        return {**parts, lone: Shard(lone, frozenset(prefixes | getattr(parts[lone], "members", frozenset())))}

    for at in range(1, 20):
        now, want = held("10.0.0.1"), held(f"10.0.0.{at}")
        for step in _plan(now, want).steps:
            now = _applied(now, step)
        assert now == want
