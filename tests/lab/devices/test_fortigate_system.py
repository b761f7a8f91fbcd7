"""What the simulated FortiGate tells of itself: its pair, its limits, its manager, its VDOMs; and what a restart does."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from bridge.lab.devices.fortigate import Fortigate
from tests.lab.devices.fortigate import ADDRESS, ENTRIES, GROUP, POLICY, Api, rule


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


def test_in_a_policy_based_vdom_security_policies_decide(box: Fortigate, api: Api) -> None:
    api.policy()
    assert box.decide("10.0.0.1", "192.0.2.1").allowed
    api.put("cmdb/system/settings", {"ngfw-mode": "policy-based"})
    assert not box.decide("10.0.0.1", "192.0.2.1").allowed
    for name, action in (("two", "accept"), ("one", "deny")):
        assert api.post("cmdb/firewall/security-policy", rule(name=name, action=action)).status == 200
    assert box.decide("10.0.0.1", "192.0.2.1").policy == 1
    assert api.put("cmdb/firewall/security-policy/1?action=move&after=2").status == 200
    assert box.decide("10.0.0.1", "192.0.2.1").name == "one"
    assert api.post("cmdb/firewall/security-policy", rule(name="one")).error == -5


def test_what_a_table_is_can_be_asked(api: Api) -> None:
    told = api.get(GROUP, params={"action": "schema"}).results
    assert (told["path"], told["name"], told["mkey"]) == ("firewall", "addrgrp", "name")
    assert told["children"]["member"]["datasource"] == ["firewall/address", "firewall/addrgrp"]
    assert api.get(POLICY, params={"action": "default"}).results["logtraffic"] == "utm"
    assert "mkey" not in api.get("cmdb/system/global", params={"action": "schema"}).results
    assert api.get(GROUP, params={"action": "meta"}).status == 400


def test_a_wipe_leaves_one_box_that_nobody_manages(box: Fortigate, api: Api) -> None:
    serial = box.identity.units[0].serial
    box.pair()
    box.failover()
    box.manage()
    assert api.get("monitor/web-ui/state").results["centrally_managed"] is True
    box.wipe()
    assert api.get("monitor/web-ui/state").results["centrally_managed"] is False
    assert api.get("monitor/system/ha-peer").results == []
    assert api.get(ADDRESS).body["serial"] == serial


def test_calls_beside_each_other_are_too_many(box: Fortigate, api: Api) -> None:
    box.limits.in_flight = 1
    box.endpoint.latency = 0.1
    with ThreadPoolExecutor(4) as pool:
        told = list(pool.map(lambda _one: api.http.get(ADDRESS), range(4)))
    assert {answer.status_code for answer in told} == {200, 429}
    assert all("html" in answer.headers["content-type"] for answer in told if answer.status_code == 429)
    assert api.get(ADDRESS).status == 200


def test_a_reboot_keeps_the_configuration(box: Fortigate, api: Api) -> None:
    api.address("a")
    before = box.digest()
    box.reboot()
    assert box.digest() == before
    box.wipe()
    assert api.get(f"{ADDRESS}/a").error == -3
