"""What became of things over time, over the API."""

import msgspec
import pytest

from bridge.api.routes.history import ChangeRow, History, LeaseRow, MemberRow
from tests.acceptance.site import CLUSTER, DEVICE, eventually
from tests.api.conftest import Api

GROUP = f"group:{CLUSTER}/service/shop/web"


def told(api: Api, subject: str, **more: object) -> History:
    return msgspec.convert(api.get("history", 200, subject=subject, **more), History)


def test_of_an_address_a_pod_a_group_a_rule_and_a_device(api: Api) -> None:
    for subject, kind in (
        ("10.244.1.1", LeaseRow),
        ("pod/shop/web-0", LeaseRow),
        (GROUP, MemberRow),
        ("rule/shop/web-provider", ChangeRow),
        (f"device/{DEVICE}", ChangeRow),
    ):
        found = told(api, subject)
        assert found.rows, subject
        assert {type(row) for row in found.rows} == {kind}, subject


def test_the_answer_is_that_of_the_command(api: Api) -> None:
    found = api.get("history", subject=GROUP)
    command = api.world.bridge.cli("history", GROUP, codes=(0,))
    assert found["subject"] == command["subject"]
    assert [{**row, "row": "member"} for row in command["rows"]] == found["rows"]


def test_pages_follow_one_another(api: Api) -> None:
    whole = [row["number"] for row in api.every("history", subject=f"device/{DEVICE}", limit=3)]
    assert whole == sorted(whole, reverse=True)
    assert len(set(whole)) == len(whole) > 3
    assert whole[-1] == 1
    addresses = [row["address"] for row in api.every("history", subject=GROUP, limit=1)]
    assert sorted(addresses) == ["10.244.1.1", "10.244.1.2"]


def test_who_moved_away_is_told_with_the_groups_he_was_in(api: Api) -> None:
    api.world.team("movers", "10.244.41.1")
    eventually(
        "it is recorded",
        lambda: api.client.get("/api/v1/history", params={"subject": "10.244.41.1"}).status_code == 200,
    )
    api.world.delete_pod("movers", "web-0")

    def left() -> bool:
        row = told(api, "10.244.41.1").rows[0]
        return isinstance(row, LeaseRow) and row.ended is not None and row.groups[0].left is not None

    eventually("it is recorded that it left", left)
    (row,) = told(api, "10.244.41.1").rows
    assert isinstance(row, LeaseRow)
    assert f"group:{CLUSTER}/service/movers/web" in {group.object for group in row.groups}


def test_words_that_can_mean_several_are_told_apart(api: Api) -> None:
    api.world.team("pair", "10.244.42.1")
    api.world.pod("pair", "web", "10.244.42.2")
    eventually(
        "the pod is known",
        lambda: api.client.get("/api/v1/history", params={"subject": "10.244.42.2"}).status_code == 200,
    )
    found = api.get("history", 422, subject="pair/web")["problems"]["subject"]
    assert f"group:{CLUSTER}/service/pair/web" in found
    assert "pod/pair/web" in found


@pytest.mark.parametrize("page", ["x", "1,2,3,4", "2026-W01-1,a,10.0.0.1", "99999999999999999999999", "-1"])
def test_a_place_that_is_none(api: Api, page: str) -> None:
    for subject in ("10.244.1.1", GROUP, f"device/{DEVICE}"):
        found = api.client.get("/api/v1/history", params={"subject": subject, "page": page})
        assert found.status_code in (200, 422), (subject, found.text)


def test_what_is_not_there(api: Api) -> None:
    assert "nothing is recorded" in api.get("history", 404, subject="shop/nobody")["detail"]
    assert "subject" in api.get("history", 422, subject="10.0.0.0/8")["problems"]
    assert "since" in api.get("history", 422, subject=GROUP, since="soon")["problems"]
