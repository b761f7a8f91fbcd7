"""Reports are pure functions of what was read."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.model.identity import Kind, ObjectKey, Scope
from bridge.model.intent import DeviceObject, Foreign, Group, Policy, RuleEntry, RuleList, Shard, Snapshot
from bridge.model.plan import Held, Op, Plan, Step
from bridge.model.policy import Action, Tier
from bridge.report.build import after, compared, counts, device_report, joined
from bridge.report.document import plan_document, report_document
from bridge.report.model import Counts, DeviceReport, Report
from bridge.report.text import plan_sheets, report_line, report_sheets
from bridge.state.desired import ObjectState
from bridge.state.reported import HeldPlan, ObjectStanding

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
PAY = ObjectKey(Kind.GROUP, "east", Scope.SERVICE, "shop", "pay")
BANK = ObjectKey(Kind.GROUP, "east", Scope.EXTERNAL, "shop", "bank")
RULES = ObjectKey(Kind.RULE_LIST, "east", Scope.SERVICE, "shop")
POLICY = ObjectKey(Kind.POLICY, "", Scope.SERVICE)


def entry(name: str) -> RuleEntry:
    return RuleEntry(name, Action.ALLOW, (PAY,), (BANK,))


def group(*members: str) -> Group:
    return Group(PAY, frozenset(members))


def one(desired: DeviceObject | None, actual: DeviceObject | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What is missing and what is extra of one object."""
    (found,) = compared(_objects(desired), _objects(actual))
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

    assert all(found.equal for found in compared(joined(split(one_way)), joined(split(other_way))))
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


def standing(key: ObjectKey, state: ObjectState, message: str = "") -> ObjectStanding:
    return ObjectStanding("edge", "east", key, None, False, 1, "d", 1, "d", state, message, 0, "", START, None, START)


def full() -> DeviceReport:
    """A device with something of everything."""
    snapshot = Snapshot(
        "edge",
        {PAY: group("10.0.0.1"), RULES: RuleList(RULES, (entry("a"),))},
        foreign=(Foreign("/Common/theirs"), Foreign("/Common/fb_acme_x", "our name without our mark")),
        identity="serial-1",
        attached={Tier.SERVICE: False, Tier.CLUSTER: True},
    )
    held = Held(PAY, frozenset({"10.0.0.9", "10.0.0.8"}), "growth")
    plan = Plan("edge", ((Step(Op.UPDATE, PAY, group("10.0.0.1"), group("10.0.0.2")),),), (held,))
    rows = [standing(PAY, ObjectState.HELD), standing(BANK, ObjectState.QUARANTINED, "01070712: no")]
    recorded = [
        HeldPlan("edge", "feed", (held,), START, "held"),
        HeldPlan("edge", "old", (held,), START, "released"),
    ]
    return device_report("bigip", snapshot, plan, rows, recorded)


def test_everything_about_one_device() -> None:
    found = full()
    assert (found.desired, found.actual) == (Counts(1, 1, 1), Counts(1, 1, 1))
    assert [(one.key, one.missing, one.extra) for one in found.differences] == [(PAY, ("10.0.0.2",), ("10.0.0.1",))]
    assert (found.foreign, [one.name for one in found.look_alikes]) == (2, ["/Common/fb_acme_x"])
    assert [(one.members, one.since, one.digest) for one in found.held] == [(("10.0.0.8", "10.0.0.9"), START, "feed")]
    assert [(one.key, one.message) for one in found.quarantined] == [(BANK, "01070712: no")]
    assert found.attached == {"cluster": True, "service": False}


def test_the_same_report_in_words() -> None:
    report = Report(START, (full(), DeviceReport("other", "bigip", error="other: no answer")))
    assert report_line(report) == "1 groups, 1 members, 1 rules on 2 devices, 1 missing, 1 extra"
    sheets = {sheet.title: sheet for sheet in report_sheets(report, objects=True)}
    assert [row[:3] for row in sheets["Devices"].rows] == [
        ("edge", "bigip", "differs"),
        ("other", "bigip", "other: no answer"),
    ]
    assert all(len(row) == len(sheet.columns) for sheet in sheets.values() for row in sheet.rows)
    assert sheets["edge: differences"].rows == ((str(PAY), "10.0.0.2", "10.0.0.1"),)
    assert sheets["edge: refused by the device"].rows == ((str(BANK), "01070712: no"),)
    assert not report.in_step
    assert report.held


def test_the_same_report_as_json() -> None:
    found = report_document(Report(START, (full(),)), members=True)
    assert found["at"] == "2026-03-01T12:00:00+00:00"
    device = found["byDevice"][0]
    assert device["held"][0]["since"] == "2026-03-01T12:00:00+00:00"
    first = device["objects"][0]
    assert (first["object"], first["desiredItems"], first["actualItems"]) == (str(PAY), ["10.0.0.2"], ["10.0.0.1"])


def test_not_attached_and_not_yet_enforced_are_said() -> None:
    def state(**more: object) -> str:
        device = DeviceReport("edge", "bigip", **more)  # type: ignore[arg-type]
        return next(iter(report_sheets(Report(START, (device,))))).rows[0][2]

    assert state() == "in step"
    assert state(attached={"cluster": False, "service": True}) == "in step, not attached: cluster"
    assert state(active=False) == "stored, not yet enforced"


def test_a_plan_in_words_and_as_json() -> None:
    moved = Step(Op.UPDATE, RULES, RuleList(RULES, (entry("a"), entry("b"))), RuleList(RULES, (entry("b"), entry("a"))))
    made = Step(Op.CREATE, PAY, None, group("10.0.0.2", "10.0.0.1"))
    plan = Plan("edge", ((made,), (moved,)), (Held(PAY, frozenset({"10.0.0.9"}), "growth"),))
    sheet, held = plan_sheets(plan)
    assert [row[:3] for row in sheet.rows] == [("1", "1", "create"), ("2", "2", "update")]
    assert [row[4] for row in sheet.rows] == ["+10.0.0.1, +10.0.0.2", "in another order"]
    assert held.rows == ((str(PAY), "1", "growth"),)
    document = plan_document("bigip", plan)
    assert (document["digest"], document["changes"]) == (plan.digest, 2)
    assert [(step["phase"], step["add"]) for step in document["steps"]] == [(1, ["10.0.0.1", "10.0.0.2"]), (2, [])]


def test_no_devices_are_in_step() -> None:
    empty = Report(START, ())
    assert empty.in_step
    assert report_line(empty) == "0 groups, 0 members, 0 rules on 0 devices, 0 missing, 0 extra"


def _objects(value: DeviceObject | None) -> dict[ObjectKey, DeviceObject]:
    return {} if value is None else {value.key: value}
