"""The audit over the API: its rows, the heads of the chains, and whether one is whole."""

import msgspec
import pytest

from bridge.api.routes.audit import AuditRow, ChainHead, Verification
from bridge.api.turns import CHAINS
from bridge.state.verification import Answer
from tests.acceptance.site import CLUSTER, DEVICE
from tests.api.conftest import Api

GROUP = f"group:{CLUSTER}/service/shop/web"


def test_rows_come_newest_first_of_a_device_or_of_all(api: Api) -> None:
    numbers = [row["number"] for row in api.every("audit", device=DEVICE, limit=4)]
    assert numbers == list(range(numbers[0], 0, -1))
    assert {row["device"] for row in api.every("audit")} == {DEVICE}


def test_rows_of_an_object_an_operation_a_time(api: Api) -> None:
    found = [msgspec.convert(row, AuditRow) for row in api.every("audit", object=GROUP)]
    assert {row.object for row in found} == {GROUP}
    last = found[0]
    assert api.get(f"audit/{DEVICE}/{last.number}") == msgspec.to_builtins(last)
    assert api.get("audit", object=GROUP, op="drift")["rows"] == []
    assert {row["op"] for row in api.every("audit", op=last.op)} == {last.op}
    late = [row["number"] for row in api.every("audit", object=GROUP, since=last.at.isoformat())]
    assert late == [row.number for row in found if row.at >= last.at]


def test_heads_and_the_chain_as_the_command_finds_it(api: Api) -> None:
    (head,) = [msgspec.convert(row, ChainHead) for row in api.every("audit/heads", limit=1)]
    assert (head.device, head.number > 0, len(head.hash)) == (DEVICE, True, 64)
    asked = [f"{head.number}:{head.hash}", "0" * 64]
    found = msgspec.convert(api.get(f"audit/{DEVICE}/verification", head=asked), Verification)
    assert (found.sound, found.device, found.rows >= head.number, found.problems) == (True, DEVICE, True, ())
    assert {one.hash: one.answer for one in found.asked} == {head.hash: Answer.PART, "0" * 64: Answer.DENIED}
    with CHAINS.one():
        crowded = api.client.get(f"/api/v1/audit/{DEVICE}/verification")
    assert (crowded.status_code, crowded.headers["retry-after"]) == (503, "10")


def test_what_is_not_there_and_what_is_wrong(api: Api) -> None:
    assert api.get(f"audit/{DEVICE}/99999999", 404)["detail"]
    assert DEVICE in api.get("audit/faraway/verification", 404)["detail"]
    assert DEVICE in api.get("audit", 404, device="faraway")["detail"]
    assert "head" in api.get(f"audit/{DEVICE}/verification", 422, head="short")["problems"]
    assert "number" in api.get(f"audit/{DEVICE}/none", 422)["problems"]


@pytest.mark.parametrize("page", ["x", "WyJhIl0", "W10", "!!"])
def test_a_place_that_is_none(api: Api, page: str) -> None:
    assert "page" in api.get("audit", 422, page=page)["problems"]
