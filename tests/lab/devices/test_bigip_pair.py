"""Two simulated units of one group: what they say of themselves, of each other, and of what is not synchronized."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from bridge.lab.devices.bigip import Bigip, Pair
from tests.lab.devices.conftest import Untyped

LIST = "security/firewall/address-list"
ENTRY = {"name": "a", "partition": "Common", "addresses": [{"name": "192.0.2.1"}]}
OTHER = ENTRY | {"name": "b"}


@pytest.fixture
def pair() -> Iterator[Pair]:
    with Pair(tls=False) as units:
        yield units


def get(unit: Bigip, path: str) -> Any:  # noqa: ANN401
    return httpx.get(f"{unit.url}/mgmt/tm/{path}", auth=(unit.username, unit.password)).raise_for_status().json()


def push(unit: Bigip, group: str) -> httpx.Response:
    body = {"command": "run", "utilCmdArgs": f"config-sync to-group {group}"}
    return httpx.post(f"{unit.url}/mgmt/tm/cm", json=body, auth=(unit.username, unit.password))


def told(unit: Bigip) -> tuple[str, list[str]]:
    """The word for it, and the lines of detail, as clients dig them out."""
    entries = get(unit, "cm/sync-status")["entries"]["https://localhost/mgmt/tm/cm/sync-status/0"]["nestedStats"][
        "entries"
    ]
    details = entries.get("https://localhost/mgmt/tm/cm/syncStatus/0/details", {"nestedStats": {"entries": {}}})
    lines = [
        one["nestedStats"]["entries"]["details"]["description"] for one in details["nestedStats"]["entries"].values()
    ]
    return entries["status"]["description"], lines


def test_each_unit_knows_itself_and_the_other(pair: Pair) -> None:
    for unit in pair.units:
        listed = {one["name"]: one for one in get(unit, "cm/device")["items"]}
        assert [one["failoverState"] for one in listed.values()] == ["active", "standby"]
        own = [name for name, one in listed.items() if one["selfDevice"] == "true"]
        assert own == [unit.identity.hostname]
        assert get(unit, f"cm/device/~Common~{own[0]}")["chassisId"] == unit.identity.serial
        assert get(unit, "cm/device-group/~Common~failover")["autoSync"] == "disabled"
        members = get(unit, "cm/device-group/~Common~failover/devices")["items"]
        assert {one["name"] for one in members} == {f"/Common/{name}" for name in listed}
    pair.failover()
    states = {one["name"]: one["failoverState"] for one in get(pair.active, "cm/device")["items"]}
    assert states == {"bigip1.lab.example": "standby", "bigip2.lab.example": "active"}


def test_who_is_ahead_is_recommended_and_a_push_makes_the_other_alike(pair: Pair) -> None:
    first, second = pair.units
    assert told(first) == ("In Sync", [])
    first.put_object(LIST, ENTRY)
    for unit in pair.units:
        status, lines = told(unit)
        assert status == "Changes Pending"
        assert lines[-1] == " - Recommended action: Synchronize bigip1.lab.example to group failover"
    assert not second.objects(LIST)
    assert push(first, "nobody").status_code == 400
    assert push(first, "failover").status_code == 200
    assert second.digest() == first.digest()
    assert told(second) == ("In Sync", [])


def test_a_push_from_the_unit_that_is_behind_undoes_what_is_ahead(pair: Pair) -> None:
    first, second = pair.units
    first.put_object(LIST, ENTRY)
    push(second, "failover")
    assert not first.objects(LIST)


def test_changes_on_both_are_a_conflict(pair: Pair) -> None:
    first, second = pair.units
    first.put_object(LIST, ENTRY)
    second.put_object(LIST, OTHER)
    status, lines = told(first)
    assert status == "Changes Pending"
    assert "possible change conflict" in lines[0]
    assert "Synchronize bigip2.lab.example" in lines[1]


def test_an_automatic_group_is_in_step_at_once() -> None:
    with Pair(tls=False, automatic=True) as pair:
        first, second = pair.units
        first.put_object(LIST, ENTRY)
        second.put_object(LIST, OTHER)
        assert set(first.objects(LIST)) == set(second.objects(LIST)) == {"/Common/a", "/Common/b"}
        assert told(first)[0] == "In Sync"
        assert get(first, "cm/device-group")["items"][0]["autoSync"] == "enabled"


def test_the_vendor_sdk_finds_the_group_and_brings_one_unit_to_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    from f5.bigip import ManagementRoot

    with Pair() as pair:
        first, second = pair.units
        for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
            monkeypatch.setenv(name, str(first.ca))
        port = httpx.URL(first.url).port
        root: Untyped = ManagementRoot("127.0.0.1", first.username, first.password, port=port, verify=first.ca)
        with root.icrs.session:
            group = root.tm.cm.device_groups.device_group.load(name="failover", partition="Common")
            assert group.autoSync == "disabled"
            assert len(group.devices_s.get_collection()) == 2
            states = {one.name: one.failoverState for one in root.tm.cm.devices.get_collection()}
            assert states == {"bigip1.lab.example": "active", "bigip2.lab.example": "standby"}
            first.put_object(LIST, ENTRY)
            status = root.tm.cm.sync_status
            status.refresh()
            assert "Recommended action: Synchronize bigip1.lab.example to group failover" in str(status.entries)
            root.tm.cm.exec_cmd("run", utilCmdArgs="config-sync to-group failover")
        assert second.digest() == first.digest()
        assert second.objects(LIST)
