"""The same report as text, JSON and CSV, whatever people call their objects."""

import csv
import io
import json
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone

import jsonschema
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import StateError
from bridge.model.identity import Kind, ObjectKey, Scope
from bridge.model.intent import Foreign, Group, RuleList, Snapshot
from bridge.model.plan import Held, Op, Plan, Step
from bridge.report.build import device_report
from bridge.report.document import plan_document, report_document, report_from, report_schema, report_text
from bridge.report.model import DeviceReport, Report, of_devices, summary_of
from bridge.report.rows import COLUMNS, csv_text, harmless
from bridge.report.text import Sheet, kept_sheet, plan_sheets, report_sheets
from bridge.report.words import clock, report_line, span
from bridge.state.desired import ObjectState
from bridge.state.reported import KeptReport
from tests.report.samples import PAY, POLICY, RULES, START, calm, entry, evidence, full, group, report, silent, standing


def sheets(found: Report, *, objects: bool = False, members: bool = False) -> dict[str, Sheet]:
    """The tables by title."""
    return {sheet.title: sheet for sheet in report_sheets(found, objects=objects, members=members)}


def test_the_report_in_words() -> None:
    found = report(full(), silent())
    assert report_line(found) == "4 groups, 5 members, 3 rules on 2 devices, 1 missing, 1 extra"
    shown = sheets(found)
    assert [row[:3] for row in shown["Devices"].rows] == [
        ("edge", "bigip", "differs"),
        ("away", "bigip", "unreadable"),
    ]
    assert shown["edge: differences"].rows == ((str(PAY), "10.64.0.2", "10.64.0.1"),)
    assert shown["edge: refused by the device"].rows == (("group:east/external/shop/refused", "01070712: no"),)
    drift = shown["edge: changed by somebody else since report 11 of 2026-03-01T06:00:00Z"]
    assert drift.rows[0][2:] == (
        "changed on the device, not by this bridge",
        "{10.64.0.1}",
        "{10.64.0.1, 198.51.100.66}",
        "repaired",
    )
    told = shown["edge: since report 11 of 2026-03-01T06:00:00Z"].rows
    assert {row[0]: row[1] for row in told} == {
        "changes": "40 changes (4 create, 36 update); 1 refused; from cluster to device: median 31 ms, longest 1.4 s",
        "live flows": "what is under way stays: a flow that the device tracks ends by itself, though its permission was revoked",
        "audit": f"row 41, hash {'9f' * 32}",
    }
    assert "edge: objects" not in shown
    assert shown["away: in the last 24 hours"].rows[0] == ("not compared", "no answer within 30 s")


def test_short_unless_more_is_asked_for() -> None:
    found = report(full())
    assert len(sheets(found)) < len(sheets(found, objects=True)) < len(sheets(found, members=True))
    rules = sheets(found, objects=True)["edge: rules in order"]
    assert rules.rows[0] == (
        "service",
        "east/shop",
        "1",
        "pay_bank_tcp",
        "Allow",
        "service shop/pay",
        "external service shop/bank",
        "TCP 443,8000-8080",
        "log",
        "ok",
    )
    members = sheets(found, members=True)["edge: members"].rows
    assert (str(PAY), "10.64.0.9", "shop/pay-9", "ReplicaSet/pay", "held") in members
    for sheet in sheets(found, members=True).values():
        assert all(len(row) == len(sheet.columns) for row in sheet.rows), sheet.title


def test_the_report_as_json() -> None:
    found = report_document(report(full()), members=True)
    assert (found["schema"], found["at"], found["origin"]) == (1, "2026-03-01T12:00:00Z", "asked")
    device = found["byDevice"][0]
    assert device["held"][0]["since"] == "2026-03-01T12:00:00Z"
    (pay,) = [one for one in device["objects"] if one["object"] == str(PAY)]
    assert (pay["desiredItems"], pay["actualItems"]) == (["10.64.0.2", "10.64.0.8", "10.64.0.9"], ["10.64.0.1"])
    assert pay["items"][0] == {
        "item": "10.64.0.1",
        "state": "extra",
        "onDevice": True,
        "namespace": "shop",
        "pod": "pay-1",
        "workload": "ReplicaSet/pay",
    }
    assert "desiredItems" not in report_document(report(full()))["byDevice"][0]["objects"][0]


def test_what_is_kept_is_read_back_exactly() -> None:
    found = report(full(), calm(), silent())
    assert report_from(report_text(found)) == found
    more = json.loads(report_text(found)) | {"aNameOfALaterVersion": 1}
    assert report_from(json.dumps(more)) == found
    with pytest.raises(StateError, match="another version"):
        report_from("{}")


def test_json_is_as_its_schema_says() -> None:
    schema = report_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    validator.validate(report_document(report(full(), calm(), silent()), members=True))
    broken = report_document(report(full()))
    broken["byDevice"][0]["objects"][0]["items"][0]["state"] = "well"
    assert not validator.is_valid(broken)
    names = set(schema["$defs"]["Report"]["properties"])
    assert names >= {
        "schema",
        "version",
        "at",
        "number",
        "inStep",
        "held",
        "devices",
        "missing",
        "extra",
        "drift",
        "byDevice",
    }


def rows(found: Report) -> Iterator[dict[str, str]]:
    """The rows of the CSV by column."""
    return iter(csv.DictReader(io.StringIO(csv_text(found), newline="")))


def test_one_row_of_csv_for_each_item() -> None:
    found = list(rows(report(full(), silent())))
    assert tuple(found[0]) == COLUMNS
    states = [row["state"] for row in found if row["device"] == "edge"]
    assert (states.count("missing"), states.count("extra"), states.count("held")) == (1, 1, 2)
    (missing,) = [row for row in found if row["state"] == "missing"]
    assert missing == {
        "device": "edge",
        "cluster": "east",
        "scope": "service",
        "namespace": "shop",
        "name": "pay",
        "kind": "group",
        "item": "10.64.0.2",
        "stands_for": "shop/pay-2",
        "workload": "ReplicaSet/pay",
        "state": "missing",
        "proven_at": "2026-03-01T12:00:00+00:00",
    }
    assert [row["item"] for row in found if row["name"] == "refused"] == [""], "what is not there is told too"
    assert [(row["kind"], row["state"]) for row in found if row["device"] == "away"] == [("device", "unknown")]


@pytest.mark.parametrize("cell", ["=cmd()", "+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1", " =1", "＝1", "|calc"])  # noqa: RUF001
def test_no_cell_is_calculated(cell: str) -> None:
    assert harmless(cell).startswith("'")


@given(st.text())
def test_a_cell_is_one_line_of_text(cell: str) -> None:
    found = harmless(cell)
    assert found.isprintable()
    assert not found.lstrip(" ").startswith(("=", "+", "-", "@"))


def test_addresses_and_names_stay_as_they_are() -> None:
    assert [harmless(one) for one in ("10.0.0.0/8", "fd00::1", "shop", "")] == ["10.0.0.0/8", "fd00::1", "shop", ""]


HOSTILE = ("<script>alert(1)</script>", "[red]x[/red]", "=cmd()|' /C calc'!A0", "\x1b[31m", '"><img src=x onerror=y>')


def hostile() -> DeviceReport:
    """A device, cluster and people who put what they like where they can."""
    key = ObjectKey(Kind.GROUP, "east", Scope.ANNOTATION, "shop", HOSTILE[1])
    lookalikes = tuple(Foreign(name, name) for name in HOSTILE)
    snapshot = Snapshot(HOSTILE[0], {key: Group(key, fqdns=frozenset(HOSTILE))}, foreign=lookalikes)
    row = standing(key, ObjectState.QUARANTINED, " ".join(HOSTILE))
    return device_report(HOSTILE[0], snapshot, Plan("edge"), [row], evidence())


def test_hostile_names_are_text_everywhere() -> None:
    found = report(hostile())
    cells = [cell for row in rows(found) for cell in row.values()]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "@", "-"))]
    assert all(cell.isprintable() for cell in cells)
    assert report_from(report_text(found)) == found
    shown = sheets(found, members=True)
    assert {row[1] for row in shown[f"{HOSTILE[0]}: members"].rows} == set(HOSTILE)


def test_a_part_of_a_report() -> None:
    whole = msgspec.structs.replace(report(full(), calm()), number=7)
    part = of_devices(whole, ["calm"])
    assert (part.number, part.devices, part.missing, part.in_step) == (7, 1, 0, True)


def test_the_numbers_of_a_list() -> None:
    found = summary_of(report(full(), calm(), silent()))
    assert (found.devices, found.audit["edge"]) == (("edge", "calm", "away"), 41)
    assert (found.missing, found.extra, found.held, found.quarantined, found.drift, found.in_step) == (
        1,
        1,
        1,
        1,
        1,
        False,
    )


def test_not_attached_and_not_yet_enforced_are_said() -> None:
    def state(**more: object) -> str:
        device = DeviceReport("edge", "bigip", **more)  # type: ignore[arg-type]
        return sheets(report(device))["Devices"].rows[0][2]

    assert state() == "in step"
    assert sheets(report(full()))["Devices"].rows[0][2] == "differs"
    assert state(attached={"cluster": False, "service": True}) == "in step, not attached: cluster"
    assert state(active=False) == "stored, not yet enforced"


def test_a_list_of_reports_says_what_is_not_attached() -> None:
    def line(device: DeviceReport) -> str:
        summary = json.dumps(msgspec.to_builtins(summary_of(report(device))))
        return kept_sheet([KeptReport(1, START, "asked", None, summary)]).rows[0][-1]

    assert line(calm()) == "yes"
    assert line(msgspec.structs.replace(calm(), attached={"service": False})) == "yes, not attached"
    assert line(full()) == "no, not attached"


def test_a_policy_is_as_this_report_read_it() -> None:
    shown = sheets(report(full()), objects=True)["edge: objects"].rows
    (policy,) = [row for row in shown if row[0] == str(POLICY)]
    assert policy[5:] == ("ok", "0 ms before", "-")
    plan = Plan("edge", ((Step(Op.DELETE, PAY, group("10.64.0.1"), None),),))
    extra = device_report("bigip", Snapshot("edge", {PAY: group("10.64.0.1")}), plan, [], evidence())
    assert sheets(report(extra), objects=True)["edge: objects"].rows[0][5:] == ("differs", "never", "-")


def test_one_spelling_of_times_whatever_the_zone() -> None:
    east = timezone(timedelta(hours=2))
    assert clock(datetime(2026, 3, 1, 14, 0, 0, 250_000, tzinfo=east)) == "2026-03-01T12:00:00Z"
    assert clock(None) == "-"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 ms"), (0.35, "350 ms"), (1.44, "1.4 s"), (12.2, "12 s"), (150, "2 min"), (86400, "24 h"), (9e5, "10 d")],
)
def test_spans(seconds: float, words: str) -> None:
    assert span(seconds) == words


def test_a_plan_in_words_and_as_json() -> None:
    moved = Step(Op.UPDATE, RULES, RuleList(RULES, (entry("a"), entry("b"))), RuleList(RULES, (entry("b"), entry("a"))))
    made = Step(Op.CREATE, PAY, None, group("10.0.0.2", "10.0.0.1"))
    plan = Plan("edge", ((made,), (moved,)), (Held(PAY, frozenset({"10.0.0.9"}), "growth"),))
    sheet, held = plan_sheets(plan)
    assert [row[:3] for row in sheet.rows] == [("1", "1", "create"), ("2", "2", "update")]
    assert [row[4] for row in sheet.rows] == ["+10.0.0.1, +10.0.0.2", "in another order"]
    assert held.rows == ((str(PAY), "1", "growth"),)
    (sheet,) = plan_sheets(Plan("edge", ((Step(Op.DELETE, PAY, group(), None),),)))
    assert [row[4] for row in sheet.rows] == ["empty"]
    document = plan_document("bigip", plan)
    assert (document["digest"], document["changes"]) == (plan.digest, 2)
    assert [(step["phase"], step["add"]) for step in document["steps"]] == [(1, ["10.0.0.1", "10.0.0.2"]), (2, [])]
