"""Feeds whose entries are pushed: commands, read-back, overflow, reboot."""

from collections.abc import Iterator
from typing import Any

import pytest

from bridge.lab.devices.fortigate import Fortigate
from tests.lab.devices.fortigate import ENTRIES, FEED, POLICY, PUSH, Api, named


def entry_list(api: Api, name: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401
    told = api.get(ENTRIES, params={"mkey": name, **more})
    assert told.status == 200, told
    found: dict[str, Any] = told.results
    return found


def names(told: dict[str, Any]) -> list[str]:
    return [one["entry"] for one in told["entries"]]


@pytest.fixture
def fed(api: Api) -> Api:
    api.feed("f")
    return api


def test_add_remove_and_snapshot(box: Fortigate, fed: Api) -> None:
    told = fed.push("add", "f", "10.0.0.1", "10.0.0.2", "10.0.0.1")
    assert told.status == 200
    assert "http_status" not in told.body
    assert (told.body["status"], told.body["path"], told.body["name"], told.body["action"]) == (
        "success",
        "system",
        "external-resource",
        "dynamic",
    )
    assert names(entry_list(fed, "f")) == ["10.0.0.1", "10.0.0.2"]
    fed.push("add", "f", "10.0.0.2", "10.0.0.3")
    fed.push("remove", "f", "10.0.0.1", "10.9.9.9")
    assert names(entry_list(fed, "f")) == ["10.0.0.2", "10.0.0.3"]
    fed.push("snapshot", "f", "10.0.0.3", "10.0.0.4")
    assert set(box.entries("f")) == {"10.0.0.3", "10.0.0.4"}


def test_what_entry_list_tells(fed: Api) -> None:
    assert entry_list(fed, "f")["resource_file_status"] == "unavailable"
    fed.push("add", "f", "10.0.0.0/24", "10.1.0.1-10.1.0.9", "2001:db8::1", "not-an-address")
    told = entry_list(fed, "f", include_notes="true")
    assert [(one["entry"], one["valid"]) for one in told["entries"]] == [
        ("10.0.0.0/24", True),
        ("10.1.0.1-10.1.0.9", True),
        ("2001:db8::1", True),
        ("not-an-address", False),
    ]
    assert (told["valid_count"], told["invalid_count"], told["overflow"]) == (3, 1, False)
    assert told["notes"] == []
    assert "notes" not in entry_list(fed, "f")
    counts = entry_list(fed, "f", counts_only="true")
    assert "entries" not in counts
    assert counts["valid_count"] == 3
    assert "http_status" not in fed.get(ENTRIES, params={"mkey": "f"}).body


def test_refused_pushes(box: Fortigate, fed: Api) -> None:
    fed.push("add", "f", "10.0.0.1")
    fed.feed("pulled", **{"update-method": "feed"})
    before = box.digest()
    assert fed.push("add", "nobody", "10.0.0.1").error == -3
    assert fed.push("add", "pulled", "10.0.0.1").error == -651
    assert fed.push("replace", "f", "10.0.0.1").status == 400
    assert fed.post(PUSH, {"commands": []}).status == 400
    assert fed.post(PUSH, {"commands": [{"name": "f", "command": "add", "entries": [1]}]}).status == 400
    assert fed.get(ENTRIES).status == 400
    assert fed.get(ENTRIES, params={"mkey": "x"}).error == -3
    assert box.digest() == before


@pytest.mark.parametrize(("conduct", "held"), [("refuse", 1), ("ignore", 1), ("take", 0)])
def test_an_empty_snapshot_is_as_the_box_has_it(box: Fortigate, fed: Api, conduct: Any, held: int) -> None:  # noqa: ANN401
    box.conduct.empty_snapshot = conduct
    fed.push("add", "f", "10.0.0.1")
    told = fed.push("snapshot", "f")
    assert told.body["status"] == ("error" if conduct == "refuse" else "success")
    assert len(box.entries("f")) == held


@pytest.mark.parametrize(("atomic", "held"), [(False, ("10.0.0.1",)), (True, ())])
def test_several_commands_of_which_one_is_refused(
    box: Fortigate, fed: Api, atomic: bool, held: tuple[str, ...]
) -> None:
    box.conduct.push_atomic = atomic
    commands = [{"name": name, "command": "add", "entries": ["10.0.0.1"]} for name in ("f", "nobody", "f")]
    assert fed.post(PUSH, {"commands": commands}).error == -3
    assert box.entries("f") == held


@pytest.mark.parametrize(("survive", "held"), [(False, 0), (True, 1)])
def test_a_reboot_empties_feeds_unless_the_box_keeps_them(box: Fortigate, fed: Api, survive: bool, held: int) -> None:
    box.conduct.feeds_survive_reboot = survive
    fed.push("add", "f", "10.0.0.1")
    fed.policy(srcaddr=named("f"))
    box.reboot()
    assert fed.get(f"{FEED}/f").status == 200
    assert entry_list(fed, "f")["valid_count"] == held
    assert box.decide("10.0.0.1", "192.0.2.1").allowed is bool(held)


def test_a_feed_that_goes_takes_its_entries_along(box: Fortigate, fed: Api) -> None:
    fed.push("add", "f", "10.0.0.1")
    fed.put(f"{FEED}/f", {"name": "h"})
    assert (box.entries("f"), box.entries("h")) == ((), ("10.0.0.1",))
    fed.delete(f"{FEED}/h")
    fed.feed("h")
    assert entry_list(fed, "h")["valid_count"] == 0


def test_no_more_than_256_feeds(box: Fortigate, fed: Api) -> None:
    box.limits.feeds = 2
    assert fed.feed("g").status == 200
    assert fed.feed("h").error == -4
    box.limits.feeds, box.limits.feeds_box = 9, 3
    assert fed.feed("h").status == 200
    assert fed.feed("i").error == -4


@pytest.fixture
def crowded() -> Iterator[tuple[Fortigate, Api]]:
    """Three feeds in two VDOMs and a global one, of three entries each, in a box with room for ten."""
    with Fortigate(tls=False, vdoms=("root", "dmz")) as box:
        api = Api(box)
        box.limits.feed_entries = 10
        with api.http:
            for vdom, name in (("root", "z"), ("root", "a"), ("dmz", "d"), ("", "g-all")):
                where = {"vdom": vdom} if vdom else {"global": "1"}
                body = {"name": name, "type": "address", "update-method": "push", "resource": "x"}
                assert api.http.post(FEED, json=body, params=where).status_code == 200
            yield box, api


def test_overflow_cuts_in_the_order_of_the_box(crowded: tuple[Fortigate, Api]) -> None:
    box, api = crowded
    for number, (vdom, name) in enumerate((("root", "z"), ("root", "a"), ("dmz", "d"), ("root", "g-all"))):
        told = api.push("add", name, *(f"10.{number}.0.{host}" for host in (1, 2, 3)), params={"vdom": vdom})
        assert told.body["status"] == "success"
    seen = {
        name: api.get(ENTRIES, params={"mkey": name, "vdom": vdom}).results
        for vdom, name in (("root", "g-all"), ("dmz", "d"), ("root", "z"), ("root", "a"))
    }
    assert {name: (told["valid_count"], told["overflow"]) for name, told in seen.items()} == {
        "g-all": (3, False),
        "d": (3, False),
        "z": (3, False),
        "a": (1, True),
    }
    assert names(seen["a"]) == ["10.1.0.1"]
    api.policy(srcaddr=named("a"))
    assert box.decide("10.1.0.1", "192.0.2.1").allowed
    assert not box.decide("10.1.0.2", "192.0.2.1").allowed
    api.push("remove", "z", "10.0.0.1", "10.0.0.2")
    assert api.get(ENTRIES, params={"mkey": "a"}).results["overflow"] is False
    assert box.decide("10.1.0.2", "192.0.2.1").allowed


def test_before_7_4_4_each_feed_has_its_own_room(crowded: tuple[Fortigate, Api]) -> None:
    box, api = crowded
    box.identity.version = "v7.4.3"
    box.limits.feed_entries_each = 2
    api.push("add", "z", *(f"10.0.0.{host}" for host in range(1, 4)))
    assert entry_list(api, "z")["overflow"] is True
    assert entry_list(api, "z")["valid_count"] == 2


def test_a_disabled_feed_matches_nothing(box: Fortigate, fed: Api) -> None:
    fed.push("add", "f", "10.0.0.1")
    assert fed.policy(srcaddr=named("f")).status == 200
    assert box.decide("10.0.0.1", "192.0.2.1").allowed
    fed.put(f"{FEED}/f", {"status": "disable"})
    assert not box.decide("10.0.0.1", "192.0.2.1").allowed


def test_pushes_are_in_the_history_and_change_no_revision(box: Fortigate, fed: Api) -> None:
    revision = fed.get(FEED).body["revision"]
    count = len(box.writes())
    fed.push("add", "f", "10.0.0.1")
    fed.push("add", "f", "10.0.0.1")  # changes nothing
    assert len(box.writes()) == count + 1
    assert box.writes()[-1].touched == ("root:system/external-resource/f",)
    assert fed.get(FEED).body["revision"] == revision
    assert fed.get(POLICY).status == 200
