"""Reconciliation reports over the API: made, kept, listed, written and compared."""

import csv
import io

import msgspec
import pytest

from bridge.api.documents import Page
from bridge.api.routes.reports import Differences, Differs, KeptReport
from bridge.api.turns import LIVE, WHOLE
from bridge.report.model import Origin, Report
from tests.acceptance.site import CLUSTER, DEVICE, eventually
from tests.api.conftest import Api

GROUP = f"group:{CLUSTER}/service/ledger/web"


@pytest.fixture(scope="module")
def two(api: Api) -> tuple[KeptReport, KeptReport]:
    """Two reports that are kept: between them a team came."""
    first = msgspec.convert(api.post("reports", {}, 201), KeptReport)
    api.world.team("ledger", "10.244.50.1")
    eventually("the device holds it", lambda: api.world.group("service", "ledger", "web") == {"10.244.50.1"})
    return first, msgspec.convert(api.post("reports", {"devices": [DEVICE]}, 201), KeptReport)


def test_one_that_is_made_is_kept_and_listed(api: Api, two: tuple[KeptReport, KeptReport]) -> None:
    first, second = two
    assert (second.number, second.origin, second.devices) == (first.number + 1, Origin.ASKED, (DEVICE,))
    assert second.groups > first.groups
    listed = [msgspec.convert(row, KeptReport) for row in api.every("reports", limit=1)]
    assert listed[: len(two)] == [second, first]
    assert api.world.bridge.cli("report", "list")["reports"] == api.every("reports")
    assert msgspec.convert(api.get("reports", origin="scheduled"), Page[KeptReport]).rows == ()


def test_one_is_written_as_the_command_writes_it(api: Api, two: tuple[KeptReport, KeptReport]) -> None:
    number = two[1].number
    found = api.get(f"reports/{number}")
    assert found == api.world.bridge.cli("report", "show", str(number), codes=(0,))
    assert msgspec.convert(found, Report).number == number
    table = api.client.get(f"/api/v1/reports/{number}", params={"format": "csv"})
    assert table.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(table.text)))
    mine = [row for row in rows if (row["namespace"], row["kind"]) == ("ledger", "group")]
    assert [row["item"] for row in mine if row["name"] == "web"] == ["10.244.50.1"]
    page = api.client.get(f"/api/v1/reports/{number}", params={"format": "html"})
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    policy = page.headers["content-security-policy"]
    assert "sandbox" in policy
    assert "script-src" not in policy
    assert "default-src 'none'" in policy
    assert "service ledger/web" in page.text


def test_what_came_between_two(api: Api, two: tuple[KeptReport, KeptReport]) -> None:
    sides = {"before": str(two[0].number), "after": str(two[1].number)}
    found = msgspec.convert(api.get("reports/difference", 200, **sides), Differences)
    assert (found.before.number, found.after.number, found.equal) == (two[0].number, two[1].number, False)
    came = {row.what for row in found.rows if row.differs is Differs.OBJECT_CAME}
    assert GROUP in came
    assert len(api.every("reports/difference", limit=1, **sides)) == found.count
    assert (
        api.get("reports/difference", before="previous", after="last")["rows"]
        == api.get("reports/difference", 200, **sides)["rows"]
    )
    alike = msgspec.convert(api.get("reports/difference", before="last", after=str(two[1].number)), Differences)
    assert (alike.equal, alike.rows, alike.next) == (True, (), None)
    live = msgspec.convert(api.get("reports/difference", before="last", after="now"), Differences)
    assert live.after.number is None
    assert not [row for row in live.rows if GROUP in row.what]


def test_what_is_not_there_and_what_is_wrong(api: Api, two: tuple[KeptReport, KeptReport]) -> None:
    assert api.get("reports/999999", 404)["detail"]
    assert api.get("reports/999999", 404, format="csv")["detail"]
    assert "number" in api.get("reports/0", 422)["problems"]
    assert "format" in api.get(f"reports/{two[0].number}", 422, format="pdf")["problems"]
    assert "before" in api.get("reports/difference", 422, before="yesterday")["problems"]
    assert api.get("reports/difference", 404, before="999999")["detail"]
    assert DEVICE in api.post("reports", {"devices": ["faraway"]}, 404)["detail"]
    assert api.post("reports", {"device": [DEVICE]}, 422)["problems"]
    assert api.post("reports", {"devices": ["a\0"]}, 422)["problems"]


def test_only_a_few_are_made_or_written_at_a_time(api: Api, two: tuple[KeptReport, KeptReport]) -> None:
    kept = f"/api/v1/reports/{two[0].number}"
    for turns, method, path in ((LIVE, "POST", "/api/v1/reports"), (WHOLE, "GET", kept)):
        with turns.one(), turns.one():
            found = api.client.request(method, path, json={} if method == "POST" else None)
            assert (found.status_code, int(found.headers["retry-after"]) > 0) == (503, True)
    assert api.client.get(kept).status_code == 200
