"""Two reports side by side."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from bridge.model.identity import ObjectKey
from bridge.model.intent import DeviceObject, Group, Policy, RuleList, Snapshot
from bridge.model.plan import Op, Plan, Step
from bridge.report.build import device_report
from bridge.report.difference import DeviceDifference, difference
from bridge.report.document import difference_document
from bridge.report.model import Report
from bridge.report.text import difference_line, difference_sheets
from bridge.state.desired import ObjectState
from tests.report.samples import BANK, PAY, POLICY, RULES, calm, entry, evidence, full, group, report, silent, standing


def holding(*objects: DeviceObject, wanted: DeviceObject | None = None, state: ObjectState | None = None) -> Report:
    """A report of a device that holds these; one of them may be wanted otherwise."""
    present = {value.key: value for value in objects}
    steps = (Step(Op.UPDATE, wanted.key, present.get(wanted.key), wanted),) if wanted else ()
    rows = [standing(value.key, state) for value in objects] if state else []
    return report(device_report("bigip", Snapshot("edge", present), Plan("edge", (steps,)), rows, evidence(calm=True)))


def between(before: Report, after: Report) -> DeviceDifference:
    """The one device's part."""
    (found,) = difference(before, after).by_device
    return found


def test_a_report_is_as_itself() -> None:
    one = report(full(), calm(), silent())
    found = difference(one, one)
    assert (found.equal, found.by_device) == (True, ())
    assert difference_line(found).startswith("no difference between now")


def test_objects_and_items_that_came_and_went() -> None:
    found = between(holding(group("10.64.0.1", "10.64.0.2")), holding(group("10.64.0.2", "10.64.0.9"), Group(BANK)))
    assert (found.came, found.went) == ((str(BANK),), ())
    (pay,) = found.items
    assert (pay.key, [one.item for one in pay.came], [one.item for one in pay.went]) == (
        PAY,
        ["10.64.0.9"],
        ["10.64.0.1"],
    )
    assert pay.came[0].stands_for == "shop/pay-9"
    back = between(holding(Group(BANK)), holding())
    assert (back.came, back.went) == ((), (str(BANK),))


def test_what_is_held_counts_and_not_what_is_wanted() -> None:
    one, other = holding(group("10.64.0.1")), holding(group("10.64.0.1"), wanted=group("10.64.0.1", "10.64.0.5"))
    found = between(one, other)
    assert found.items == ()
    assert [(state.what, state.before, state.after) for state in found.states] == [("in step", "yes", "no")]


def test_rules_in_another_order() -> None:
    lines = tuple(entry(name) for name in "abc")
    one, other = holding(RuleList(RULES, lines)), holding(RuleList(RULES, lines[::-1]))
    found = between(one, other)
    assert [(change.object, change.before, change.after) for change in found.order] == [
        (str(RULES), ("a", "b", "c"), ("c", "b", "a"))
    ]
    assert found.items == ()
    added = between(one, holding(RuleList(RULES, (*lines, entry("d")))))
    assert added.order == ()
    assert [[item.item.partition(" ")[0] for item in change.came] for change in added.items] == [["d"]]


def test_a_line_out_of_place_on_one_side_is_no_item() -> None:
    lines = tuple(entry(name) for name in "ab")
    one = holding(RuleList(RULES, lines))
    other = holding(RuleList(RULES, lines[::-1]), wanted=RuleList(RULES, lines))
    found = between(one, other)
    assert found.items == ()
    assert [(change.before, change.after) for change in found.order] == [(("a", "b"), ("b", "a"))]


def test_states_of_devices_and_objects() -> None:
    one, other = (
        holding(group("10.64.0.1"), state=ObjectState.PROGRAMMED),
        holding(group("10.64.0.1"), state=ObjectState.HELD),
    )
    assert [(state.what, state.before, state.after) for state in between(one, other).states] == [
        (str(PAY), "Programmed", "Held")
    ]
    away = report(msgspec.structs.replace(silent("edge")))
    told = {state.what: (state.before, state.after) for state in between(one, away).states}
    assert told["readable"] == ("yes", "no answer within 30 s")
    assert between(one, away).went == (), "what it holds is not known"
    assert {state.what for state in between(report(), one).states} >= {"in the report"}


def test_held_look_alikes_and_attachment() -> None:
    told = {state.what for state in between(report(calm("edge")), report(full("edge"))).states}
    assert told >= {f"held {PAY}", "look-alike /Common/fb_acme_x", "service policy", "group:east/external/shop/refused"}


members = st.frozensets(st.integers(1, 20).map(lambda number: f"10.64.0.{number}"), max_size=8)


@given(members, members)
def test_what_came_one_way_went_the_other(one: frozenset[str], other: frozenset[str]) -> None:
    def texts(before: frozenset[str], after: frozenset[str]) -> tuple[set[str], set[str]]:
        found = difference(holding(group(*before)), holding(group(*after)))
        items = [each for device in found.by_device for each in device.items]
        return {item.item for each in items for item in each.came}, {item.item for each in items for item in each.went}

    came, went = texts(one, other)
    assert (came, went) == (set(other - one), set(one - other))
    assert texts(other, one) == (went, came)


def test_in_words_and_as_json() -> None:
    found = difference(report(full(), calm()), msgspec.structs.replace(report(full(), silent("calm")), number=9))
    sheets = {sheet.title: sheet for sheet in difference_sheets(found)}
    assert ("readable", "yes", "no answer within 30 s") in sheets["calm: stands otherwise"].rows
    assert difference_line(found).startswith(
        "from now, 2026-03-01T12:00:00Z to report 9 of 2026-03-01T12:00:00Z: 1 devices"
    )
    document = difference_document(found)
    assert (document["equal"], document["after"]["number"]) == (False, 9)
    assert [one["device"] for one in document["byDevice"]] == ["calm"]


def test_lists_of_policies_are_items_too() -> None:
    other = ObjectKey.parse("rules:east/service/small/")
    found = between(holding(Policy(POLICY, (RULES,))), holding(Policy(POLICY, (RULES, other))))
    assert [[item.item for item in change.came] for change in found.items] == [[str(other)]]
