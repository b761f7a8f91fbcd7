"""What the simulated FortiGate tells of itself: its pair, its limits, its manager, its VDOMs; and what a restart does."""

import pytest

from bridge.lab.devices.fortigate import Fortigate
from tests.lab.devices.fortigate import ADDRESS, ENTRIES, Api


def test_status(box: Fortigate, api: Api) -> None:
    told = api.get("monitor/system/status")
    assert told.results["hostname"] == "edge"
    assert "http_status" not in told.body
    assert (told.body["serial"], told.body["version"], told.body["build"]) == (
        box.identity.units[0].serial,
        "v7.4.8",
        2795,
    )


def test_limits_can_be_read(box: Fortigate, api: Api) -> None:
    box.limits.tables["firewall-addrgrp"] = 7
    api.address("a")
    api.group("g", "a")
    told = api.get("monitor/system/vdom-resource").results
    assert {key: told["firewall-addrgrp"][key] for key in ("max_custom_value", "global_max", "current_usage")} == {
        "max_custom_value": 7,
        "global_max": 7,
        "current_usage": 1,
    }
    assert told["firewall-address"]["current_usage"] == 5
    assert told["firewall-policy"]["max_custom_value"] == box.limits.tables["firewall-policy"]


def test_a_box_that_stands_alone(api: Api) -> None:
    assert api.get("monitor/system/ha-checksums").results == []
    assert api.get("monitor/system/ha-peer").results == []
    assert api.get("cmdb/system/ha").results["mode"] == "standalone"


def test_a_pair(box: Fortigate, api: Api) -> None:
    box.pair()
    assert api.get("cmdb/system/ha").results["mode"] == "a-p"
    first, second = api.get("monitor/system/ha-peer").results
    assert (first["primary"], "primary" in second) == (True, False)
    assert first["serial_no"] == api.get(ADDRESS).body["serial"]
    sums = api.get("monitor/system/ha-checksums").results
    assert [one["is_manage_primary"] for one in sums] == [1, 0]
    assert sums[0]["checksum"] == sums[1]["checksum"]
    api.address("a")
    changed = api.get("monitor/system/ha-checksums").results[0]["checksum"]
    assert changed["root"] != sums[0]["checksum"]["root"]
    assert changed["vdoms"]["root"] == changed["root"]
    assert changed["global"] == sums[0]["checksum"]["global"]
    box.identity.synced = False
    behind = api.get("monitor/system/ha-checksums").results
    assert behind[0]["checksum"]["all"] != behind[1]["checksum"]["all"]


@pytest.mark.parametrize(("reach", "held"), [(False, 0), (True, 1)])
def test_a_failover(box: Fortigate, api: Api, reach: bool, held: int) -> None:
    box.pair()
    box.conduct.feeds_reach_peer = reach
    api.address("a")
    api.feed("f")
    api.push("add", "f", "10.0.0.1")
    before = api.get(ADDRESS).body["serial"]
    box.failover()
    after = api.get(ADDRESS).body
    assert after["serial"] != before
    assert after["size"] == 3
    assert api.get(ENTRIES, params={"mkey": "f"}).results["valid_count"] == held
    assert api.get("monitor/system/ha-peer").results[0]["serial_no"] == after["serial"]


def test_no_failover_without_a_pair(box: Fortigate) -> None:
    with pytest.raises(ValueError, match="no other unit"):
        box.failover()


def test_a_manager(api: Api) -> None:
    assert api.get("monitor/web-ui/state").results["centrally_managed"] is False
    assert api.get("monitor/system/central-management/status").results["registration_status"] == "unknown"
    body = {"type": "fortimanager", "fmg": "192.0.2.9", "serial-number": "FMG1"}
    assert api.put("cmdb/system/central-management", body).status == 200
    assert api.get("monitor/web-ui/state").results["centrally_managed"] is True
    told = api.get("monitor/system/central-management/status").results
    assert (told["status"], told["registration_status"], told["mgmt_ip"]) == ("up", "registered", "192.0.2.9")


def test_policy_based_vdoms() -> None:
    with Fortigate(tls=False, vdoms=("root", "dmz")) as box:
        api = Api(box)
        with api.http:
            api.put("cmdb/system/settings", {"ngfw-mode": "policy-based"}, params={"vdom": "dmz"})
            told = api.get("monitor/web-ui/state").results
            assert {name: held["ngfw_mode"] for name, held in told["vdom_info"].items()} == {
                "root": "profile-based",
                "dmz": "policy-based",
            }
            assert (told["vdom_mode"], told["management_vdom"]) == ("multi-vdom", "root")
            assert api.get("cmdb/system/settings", params={"vdom": "dmz"}).results["ngfw-mode"] == "policy-based"


def test_a_reboot_keeps_the_configuration(box: Fortigate, api: Api) -> None:
    api.address("a")
    before = box.digest()
    box.reboot()
    assert box.digest() == before
    box.wipe()
    assert api.get(f"{ADDRESS}/a").error == -3
