"""What the API tells of flows, of the past, of what waits and of proofs: the same as the commands, of a site where steps are held."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from bridge.api.documents import Page
from bridge.api.routes.audit import AuditRow, Verification
from bridge.api.routes.held import HeldList, WaitingMember, WaitingStep
from bridge.api.routes.history import ChangeRow, History, MemberRow
from bridge.api.routes.plan import DevicePlan
from bridge.api.routes.reports import Differences, KeptReport
from bridge.api.routes.who import Who
from bridge.report.model import Report
from bridge.report.trace_model import Trace
from tests.acceptance.site import CLUSTER, DEVICE
from tests.acceptance.world import LEFT, STAY, World, half_unseen
from tests.api.conftest import Api, api_of

GROUP = f"group:{CLUSTER}/service/shop/web"
TO = "192.0.2.1:443"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A team of 60 pods, of which half are gone and nobody saw it: their removal is held."""
    with half_unseen(tmp_path_factory.mktemp("site")) as made:
        yield made


@pytest.fixture(scope="module")
def api(site: World) -> Iterator[Api]:
    with api_of(site) as found:
        yield found


def _told(site: World, *words: str) -> Any:  # noqa: ANN401 (any JSON)
    """What a command says, whatever it finds."""
    return site.bridge.cli(*words, codes=(0, 1, 3))


@pytest.mark.acceptance("api: what becomes of a packet, why, and what each device does, as `trace` says it")
def test_trace(api: Api, site: World) -> None:
    for source in ("shop/web-40", LEFT[0]):
        found = msgspec.convert(api.get("trace", 200, **{"from": source, "to": TO}), Trace)
        told = msgspec.convert(_told(site, "trace", "--from", source, "--to", TO), Trace)
        assert (found.headline, found.agrees, found.answers[0].decisions) == (
            told.headline,
            told.agrees,
            told.answers[0].decisions,
        )
        assert [(one.verdict, one.state) for one in found.answers[0].devices] == [
            (one.verdict, one.state) for one in told.answers[0].devices
        ]


@pytest.mark.acceptance("api: who held an address, now and then, as `who` says it")
def test_who(api: Api, site: World) -> None:
    at = datetime.now(UTC).isoformat()
    for address in (LEFT[0], STAY[0]):
        found = api.get("who", address=address, at=at)
        assert found["answers"] == _told(site, "who", address, "--at", at)["answers"]
    assert msgspec.convert(api.get("who", address=STAY[0]), Who).answers[0].holders[0].pod == "web-30"


@pytest.mark.acceptance("api: what became of a group, a rule and a device, page by page, as `history` says it")
def test_history(api: Api, site: World) -> None:
    whole = api.every("history", subject=GROUP, limit=7)
    assert whole == [{**row, "row": "member"} for row in _told(site, "history", GROUP, "--limit", "100")["rows"]]
    rows = [msgspec.convert(row, MemberRow) for row in whole]
    assert {row.address for row in rows if row.left and row.inferred} == set(LEFT)
    found = msgspec.convert(api.get("history", subject=f"device/{DEVICE}", limit=1), History)
    assert (len(found.rows), bool(found.next), type(found.rows[0])) == (1, True, ChangeRow)


@pytest.mark.acceptance("api: held steps, what would change, and whom it is about")
def test_held(api: Api, site: World) -> None:
    (told,) = _told(site, "held")["held"]
    (one,) = msgspec.convert(api.get("held", state="waiting"), Page[HeldList]).rows
    assert (one.digest, one.members, list(one.whys), one.waits) == (told["digest"], len(LEFT), told["why"], True)
    where = f"held/{DEVICE}/{one.digest}"
    assert msgspec.convert(api.get(where), HeldList) == one
    steps = [msgspec.convert(row, WaitingStep) for row in api.every(f"{where}/steps", limit=1)]
    assert [(step.object, step.kind, step.members) for step in steps] == [(GROUP, "removal", len(LEFT))]
    members = [msgspec.convert(row, WaitingMember) for row in api.every(f"{where}/members", limit=7)]
    assert {row.member for row in members} == set(LEFT)
    assert {(row.namespace, row.pod) for row in members} == {("shop", f"web-{number}") for number in range(len(LEFT))}
    assert all(row.until for row in members), "they are gone"
    assert api.get(f"{where}/members", object="group:none")["rows"] == []
    assert api.get(f"held/{DEVICE}/{'0' * 16}", 404)["detail"]
    assert api.get("held", kind="freeze")["rows"] == []
    assert "page" in api.get("held", 422, page="WyJhIiwiYiIsImMiXQ")["problems"]


@pytest.mark.acceptance("api: the plan of a device, read now, with what is held of it, as `plan` says it")
def test_plan(api: Api, site: World) -> None:
    (told,) = _told(site, "plan", DEVICE)["devices"]
    found = msgspec.convert(api.get(f"devices/{DEVICE}/plan"), DevicePlan)
    assert (found.plan.digest, found.changes, found.held_steps) == (told["digest"], told["changes"], 1)
    (held,) = found.plan.held
    assert (held.object, set(held.members), held.reason) == (GROUP, set(LEFT), told["held"][0]["reason"])
    assert DEVICE in api.get("devices/faraway/plan", 404)["detail"]


@pytest.mark.acceptance("api: reports are made, kept, listed, written and compared as the commands do it")
def test_reports(api: Api, site: World) -> None:
    made = [msgspec.convert(api.post("reports", {}, 201), KeptReport) for _ in range(2)]
    assert [one.held for one in made] == [1, 1]
    first, second = (one.number for one in made)
    found = api.get(f"reports/{second}")
    assert found == _told(site, "report", "show", str(second))
    (device,) = msgspec.convert(found, Report).by_device
    assert [set(part.members) for part in device.held] == [set(LEFT)]
    listed = api.every("reports", limit=1)
    assert [row["number"] for row in listed] == [row["number"] for row in _told(site, "report", "list")["reports"]]
    differs = msgspec.convert(api.get("reports/difference", before=str(first), after=str(second)), Differences)
    assert differs.equal is _told(site, "report", "--diff", str(first), str(second))["equal"]


@pytest.mark.acceptance("api: the audit's rows and heads, and whether a chain is whole, as `audit` says it")
def test_audit(api: Api, site: World) -> None:
    rows = [msgspec.convert(row, AuditRow) for row in api.every("audit", device=DEVICE, limit=5)]
    assert [row.number for row in rows] == list(range(rows[0].number, 0, -1))
    (head,) = api.get("audit/heads")["rows"]
    (told,) = _told(site, "audit", "heads")["devices"]
    assert (head["device"], head["number"] <= told["number"]) == (DEVICE, True)
    found = msgspec.convert(
        api.get(f"audit/{DEVICE}/verification", head=f"{head['number']}:{head['hash']}"), Verification
    )
    assert (found.sound, [one.row for one in found.asked]) == (True, [head["number"]])
    assert _told(site, "audit", "verify")["sound"]
