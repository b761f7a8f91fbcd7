"""Reports are pure functions of what was read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.model.identity import ObjectKey
from bridge.model.intent import DeviceObject, Group, Policy, RuleList, Shard, Snapshot
from bridge.model.plan import Held, HoldKind, Op, Plan, Step
from bridge.report.build import after, compared, counts, device_report, held_parts, rejected_parts
from bridge.report.evidence import Evidence
from bridge.report.items import joined
from bridge.report.model import Counts, Item, ItemState
from bridge.state.desired import ObjectState
from bridge.state.reported import HeldPlan
from tests.report.samples import (
    BANK,
    DEFAULT,
    PAY,
    POLICY,
    RULES,
    START,
    calm,
    entry,
    evidence,
    full,
    group,
    report,
    silent,
    standing,
)


def one(desired: DeviceObject | None, actual: DeviceObject | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What is missing and what is extra of one object."""
    (found,) = compared(_objects(desired), _objects(actual), Plan("edge"), {}, Evidence())
    assert [item.item for item in found.items if item.state is ItemState.MISSING] == [
        text for text in found.missing if text != "(empty)"
    ], "what is missing is told item by item too"
    assert [item.item for item in found.items if item.state is ItemState.EXTRA] == list(found.extra)
    return found.missing, found.extra


@pytest.mark.parametrize(
    ("desired", "actual", "missing", "extra"),
    [
        (group("10.0.0.1"), group("10.0.0.1"), (), ()),
        (group("10.0.0.2", "10.0.0.10"), group("10.0.0.3"), ("10.0.0.2", "10.0.0.10"), ("10.0.0.3",)),
        (group("10.0.0.1"), None, ("10.0.0.1",), ()),
        (None, group("10.0.0.1"), (), ("10.0.0.1",)),
        (group(), None, ("(empty)",), ()),
        (group(), group("10.0.0.1"), (), ("10.0.0.1",)),
    ],
)
def test_groups(
    desired: DeviceObject | None, actual: DeviceObject | None, missing: tuple[str, ...], extra: tuple[str, ...]
) -> None:
    assert one(desired, actual) == (missing, extra)


def test_the_order_of_lines_counts() -> None:
    missing, extra = one(
        RuleList(RULES, (entry("a"), entry("b"), entry("c"))), RuleList(RULES, (entry("b"), entry("a"), entry("c")))
    )
    assert [text.partition(" Allow")[0] for text in missing] == ["1. a", "2. b"]
    assert [text.partition(" Allow")[0] for text in extra] == ["1. b", "2. a"]


def test_a_policy_that_lacks_a_list() -> None:
    assert one(Policy(POLICY, (RULES,)), Policy(POLICY, ())) == ((str(RULES),), ())


members = st.frozensets(st.integers(0, 30).map(lambda n: f"10.0.0.{n}"), max_size=12)


@given(members, members)
def test_missing_and_extra_are_exactly_the_difference(desired: frozenset[str], actual: frozenset[str]) -> None:
    missing, extra = one(Group(PAY, desired), Group(PAY, actual))
    assert (frozenset(missing), frozenset(extra)) == (desired - actual, actual - desired)


@given(members, st.integers(2, 4), st.integers(2, 4))
def test_how_a_group_is_split_is_no_difference(addresses: frozenset[str], one_way: int, other_way: int) -> None:
    def split(parts: int) -> dict[ObjectKey, DeviceObject]:
        shards = [Shard(PAY.shard(at, parts), frozenset(sorted(addresses)[at::parts])) for at in range(parts)]
        return {PAY: Group(PAY, shards=parts), **{shard.key: shard for shard in shards}}

    assert all(
        found.equal
        for found in compared(joined(split(one_way)), joined(split(other_way)), Plan("edge"), {}, Evidence())
    )
    assert counts(joined(split(one_way))) == Counts(1, len(addresses), 0)


def test_what_the_plan_leads_to_is_what_should_be() -> None:
    plan = Plan(
        "edge",
        (
            (Step(Op.UPDATE, PAY, group("10.0.0.1", "10.0.0.2"), group("10.0.0.2")),),
            (Step(Op.UPDATE, PAY, group("10.0.0.2"), group("10.0.0.2", "10.0.0.3")),),
            (Step(Op.DELETE, BANK, Group(BANK), None),),
        ),
    )
    assert after({PAY: group("10.0.0.1", "10.0.0.2"), BANK: Group(BANK)}, plan) == {PAY: group("10.0.0.2", "10.0.0.3")}


def test_everything_about_one_device() -> None:
    found = full()
    assert (found.desired, found.actual) == (Counts(4, 5, 3), Counts(4, 5, 3))
    assert [(one.key, one.missing, one.extra) for one in found.differences] == [(PAY, ("10.64.0.2",), ("10.64.0.1",))]
    assert (found.missing, found.extra, found.in_step) == (1, 1, False)
    assert (found.foreign, [one.name for one in found.look_alikes]) == (2, ["/Common/fb_acme_x"])
    (held,) = found.held
    assert (held.members, held.since, held.digest) == (("10.64.0.8", "10.64.0.9"), START, "feed")
    assert "fusion-bridge release feed --device edge" in held.decide
    (refused,) = found.quarantined
    assert (refused.object, refused.message, refused.state) == (
        "group:east/external/shop/refused",
        "01070712: no",
        "Quarantined",
    )
    assert found.attached == {"cluster": True, "service": False}
    assert found.attach_by.keys() == {"service"}
    assert (found.audit.number, len(found.audit.hash)) == (41, 64)
    assert (found.drift_total, found.drift[0].outcome) == (1, "repaired")


def test_each_member_says_how_it_stands_and_whom_for() -> None:
    (pay,) = [one for one in full().objects if one.key == PAY]
    assert pay.items == (
        Item("10.64.0.1", ItemState.EXTRA, True, "shop", "pay-1", "ReplicaSet/pay"),
        Item("10.64.0.2", ItemState.MISSING, False, "shop", "pay-2", "ReplicaSet/pay"),
        Item("10.64.0.8", ItemState.HELD, False),
        Item("10.64.0.9", ItemState.HELD, False, "shop", "pay-9", "ReplicaSet/pay"),
    )
    assert (pay.items[0].stands_for, pay.items[2].stands_for) == ("shop/pay-1", "")
    assert (pay.state, pay.cause, pay.verified_at) == ("Held", "Pod shop/pay-7 at 8123", START)


def test_all_of_a_refused_object_is_its_last_good_version() -> None:
    snapshot = Snapshot("edge", {PAY: group("10.64.0.1")})
    found = device_report("bigip", snapshot, Plan("edge"), [standing(PAY, ObjectState.QUARANTINED, "no")], evidence())
    assert [item.state for one in found.objects for item in one.items] == [ItemState.QUARANTINED]
    assert not found.in_step


def test_rules_stand_in_the_order_in_which_they_are_asked() -> None:
    lines = full().rules
    assert [(one.tier, one.object, one.position, one.name) for one in lines] == [
        ("service", str(RULES), 1, "pay_bank_tcp"),
        ("service", str(RULES), 2, "b"),
        ("default", str(DEFAULT), 1, "default-deny"),
    ]
    first = lines[0]
    assert (first.action, first.sources, first.destinations) == (
        "Allow",
        ("service shop/pay",),
        ("external service shop/bank",),
    )
    assert (first.protocol, first.ports, first.log, first.state) == ("TCP", ("443", "8000-8080"), True, ItemState.OK)
    assert lines[1].ports == ()
    assert (lines[2].sources, lines[2].destinations) == (("pod ranges",), ("everything outside the cluster",))


def test_a_line_that_is_missing_stands_where_it_should_be_and_one_too_much_where_it_is() -> None:
    actual = RuleList(RULES, (entry("foreign"), entry("b")))
    plan = Plan("edge", ((Step(Op.UPDATE, RULES, actual, RuleList(RULES, (entry("a"), entry("b")))),),))
    found = device_report("bigip", Snapshot("edge", {RULES: actual}), plan, (), Evidence())
    assert [(one.position, one.name, one.state) for one in found.rules] == [
        (1, "a", ItemState.MISSING),
        (2, "b", ItemState.OK),
        (1, "foreign", ItemState.EXTRA),
    ]


def test_a_report_is_in_step_when_every_device_is() -> None:
    assert report(calm()).in_step
    assert not report(calm(), full()).in_step
    assert not report(calm(), silent()).in_step
    assert report(full()).held
    assert not report(calm()).held
    empty = report()
    assert (empty.in_step, empty.devices, empty.actual) == (True, 0, Counts())


def test_of_a_device_that_does_not_answer_the_record_is_told() -> None:
    found = silent()
    assert (found.error, found.in_step, found.objects) == ("no answer within 30 s", False, ())


def _objects(value: DeviceObject | None) -> dict[ObjectKey, DeviceObject]:
    return {} if value is None else {value.key: value}


def _plan(*held: Held) -> Plan:
    return Plan("edge", (), held)


def test_what_was_rejected_is_told_with_who_and_why_and_waits_for_nobody() -> None:
    both = Held(PAY, frozenset({"10.64.0.8", "10.64.0.9"}), "growth by 2")
    one = Held(PAY, frozenset({"10.64.0.9"}), "growth by 1")
    lists = [HeldPlan("edge", "feed", (one,), START, "rejected", "east", by="ann", reason="not ours")]
    (waits,) = held_parts(_plan(both), lists)
    assert (waits.members, waits.digest) == (("10.64.0.8",), ""), "what came up since is not in any list yet"
    (rejected,) = rejected_parts(_plan(both), lists)
    assert (rejected.members, rejected.by, rejected.why) == (("10.64.0.9",), "ann", "not ours")
    assert held_parts(_plan(one), lists) == ()
    assert rejected_parts(_plan(), lists) == ()


def test_the_same_members_waiting_for_something_else_are_another_matter() -> None:
    leaving = Held(PAY, frozenset({"10.64.0.9"}), "removal of 1", HoldKind.REMOVAL)
    joining = Held(PAY, frozenset({"10.64.0.9"}), "growth by 1", HoldKind.GROWTH)
    lists = [HeldPlan("edge", "feed", (leaving,), START, "rejected", "east", by="ann", reason="not ours")]
    assert [part.reason for part in held_parts(_plan(joining), lists)] == ["growth by 1"]
