"""Late compile, save and reboot, history, and the controls over HTTP."""

import httpx
import pytest

from bridge.lab.device import Simulator, SimulatorFactory
from bridge.lab.devices.bigip import Bigip, Packet, decide, simulator
from tests.lab.devices.conftest import FIREWALL

LIST = f"{FIREWALL}/address-list"
STAT = f"{FIREWALL}/container-stat/stats"


def enforce(device: Bigip) -> None:
    """A global policy that drops what comes from /Common/bad."""
    device.put_object("security/firewall/address-list", {"name": "bad", "addresses": ["10.0.0.1"]})
    device.put_object("security/firewall/policy", {"name": "p"})
    rule = {"name": "r", "action": "drop", "place-after": "last", "source": {"addressLists": ["/Common/bad"]}}
    device.put_object("security/firewall/policy/~Common~p/rules", rule)
    device.change_object("security/firewall/global-rules", {"enforcedPolicy": "/Common/p"})


def activation(http: httpx.Client) -> tuple[str, str]:
    (entry,) = http.get(STAT).json()["entries"].values()
    shown = entry["nestedStats"]["entries"]
    return shown["activationTime"]["description"], shown["compilePending"]["description"]


def test_it_is_a_simulator(device: Bigip) -> None:
    factory: SimulatorFactory = simulator
    assert isinstance(factory(), Simulator)
    assert isinstance(device, Simulator)


def test_a_change_is_active_some_time_after_it_is_stored(device: Bigip, http: httpx.Client) -> None:
    enforce(device)
    first = activation(http)
    device.store.compiler.delay = 30
    http.patch(f"{LIST}/~Common~bad", json={"addresses": ["10.0.0.2"]})
    assert not device.decide("10.0.0.2", "192.0.2.1").allowed
    assert device.decide("10.0.0.2", "192.0.2.1", config="active").allowed
    assert activation(http) == (first[0], "yes")
    device.clock.advance(31)
    assert not device.decide("10.0.0.2", "192.0.2.1", config="active").allowed
    assert activation(http)[0] > first[0]
    assert activation(http)[1] == "no"


def test_only_contexts_that_a_change_reaches_are_compiled(device: Bigip, http: httpx.Client) -> None:
    enforce(device)
    first = activation(http)
    device.clock.advance(5)
    device.put_object("security/firewall/address-list", {"name": "other", "addresses": ["10.0.0.1"]})
    assert activation(http) == first


def test_manual_compile_waits_for_a_person(device: Bigip, http: httpx.Client) -> None:
    enforce(device)
    assert not device.decide("10.0.0.1", "192.0.2.1", config="active").allowed
    device.store.compiler.manual = True
    http.patch(f"{LIST}/~Common~bad", json={"addresses": ["10.0.0.2"]})
    device.clock.advance(3600)
    assert device.decide("10.0.0.2", "192.0.2.1", config="active").allowed
    device.deploy()
    assert not device.decide("10.0.0.2", "192.0.2.1", config="active").allowed


def test_reboot_loses_what_was_not_saved(device: Bigip, http: httpx.Client) -> None:
    http.post(LIST, json={"name": "kept", "addresses": ["10.0.0.1"]})
    saved = device.digest()
    http.post("/mgmt/tm/sys/config", json={"command": "save"})
    http.post(LIST, json={"name": "lost", "addresses": ["10.0.0.1"]})
    http.patch(f"{LIST}/~Common~kept", json={"addresses": ["10.0.0.2"]})
    device.reboot()
    assert device.digest() == saved == device.digest("active")
    assert device.members("/Common/kept") == {"10.0.0.1"}
    assert http.get(f"{LIST}/~Common~lost").status_code == 404


def test_wipe(device: Bigip, http: httpx.Client) -> None:
    http.post(LIST, json={"name": "x", "addresses": ["10.0.0.1"]})
    device.wipe()
    assert http.get("/mgmt/tm/sys/folder/~Common~fb").status_code == 404
    device.reboot()
    assert device.objects("security/firewall/address-list") == {}


def test_history_tells_every_state_and_who_made_it(device: Bigip, http: httpx.Client) -> None:
    start = len(device.writes())
    http.post(LIST, json={"name": "x", "addresses": ["10.0.0.1"]}, headers={"User-Agent": "ours/1"})
    first = device.digest()
    device.change_object("security/firewall/address-list/~Common~x", {"addresses": ["10.0.0.2"]}, user="alice")
    device.change_object("security/firewall/address-list/~Common~x", {"addresses": ["10.0.0.1"]}, user="bob")
    told = device.history()[start:]
    assert [one["user"] for one in told] == [device.username, "alice", "bob"]
    assert told[0]["agent"] == "ours/1"
    assert told[0]["digest"] == first == told[2]["digest"] != told[1]["digest"]
    at = device.state(f"at:{told[1]['number']}")
    assert at["security/firewall/address-list", "/Common/x"].body["addresses"] == ("10.0.0.2",)
    told_over_http = http.get("/__lab/history").json()[start:]
    assert [one["digest"] for one in told_over_http] == [one["digest"] for one in told]


def test_timeline_can_be_judged_moment_by_moment(device: Bigip) -> None:
    enforce(device)
    start = len(device.writes())
    path = "security/firewall/address-list/~Common~bad"
    for addresses in (["10.0.0.2"], ["10.0.0.1", "10.0.0.2"]):
        device.change_object(path, {"addresses": addresses})
    packets = [Packet("10.0.0.1", "192.0.2.1"), Packet("10.0.0.2", "192.0.2.1")]
    judged = [[decide(state, packet).allowed for packet in packets] for _, state in device.timeline()[start - 1 :]]
    assert judged == [[False, True], [True, False], [False, False]]


def test_reads_and_refusals_write_nothing(device: Bigip, http: httpx.Client) -> None:
    before = len(device.writes())
    http.get(LIST)
    http.post(LIST, json={"name": "x"})
    assert len(device.writes()) == before


def test_controls_over_http(device: Bigip) -> None:
    assert device.ca is not None
    with httpx.Client(base_url=device.url, verify=False) as lab:  # noqa: S501 - the controls ask for no credentials
        body = {"name": "foreign", "addresses": ["10.0.0.1"]}
        assert (
            lab.post("/__lab/objects", json={"collection": "security/firewall/address-list", "body": body}).status_code
            == 200
        )
        assert device.members("/Common/foreign") == {"10.0.0.1"}
        refused = lab.post(
            "/__lab/objects", json={"collection": "security/firewall/address-list", "body": {"name": "x"}}
        )
        assert refused.status_code == 400
        assert lab.post("/__lab/faults", json={"kind": "busy"}).status_code == 200
        assert lab.get(LIST).status_code == 503
        assert lab.post("/__lab/faults", json={"kind": "earthquake"}).status_code == 400
        assert [one["fault"] for one in lab.get("/__lab/requests").json()] == ["busy"]
        now = device.clock.now()
        lab.post("/__lab/clock", json={"advance": 1000})
        assert device.clock.now() - now >= 1000
        lab.post("/__lab/settings", json={"serial": "chs-other", "compileDelay": 3, "tokenLimit": 1})
        assert (device.identity.serial, device.store.compiler.delay, device.tokens.limit) == ("chs-other", 3.0, 1)
        (shown,) = lab.get("/__lab/state", params={"collection": "security/firewall/address-list"}).json()["objects"]
        assert shown["fullPath"] == "/Common/foreign"
        decision = lab.get(
            "/__lab/decide",
            params={"source": "10.0.0.1", "destination": "192.0.2.1", "icmp": "8:0", "protocol": "icmp"},
        )
        assert decision.json() == {"action": "accept", "matches": [], "allowed": True}
        gone = lab.request("DELETE", "/__lab/objects", json={"path": "security/firewall/address-list/~Common~foreign"})
        assert gone.status_code == 200
        assert device.members("/Common/foreign") == frozenset()
        assert lab.post("/__lab/absent").status_code == 404
        lab.post("/__lab/wipe")
        assert "/Common/fb" not in device.objects("sys/folder")


def test_identity_and_sync_show(device: Bigip, http: httpx.Client) -> None:
    device.identity.failover = "standby"
    device.identity.sync = "Changes Pending"
    assert http.get("/mgmt/tm/cm/device").json()["items"][0]["failoverState"] == "standby"
    assert "Changes Pending" in http.get("/mgmt/tm/cm/sync-status").text
    assert device.identity.serial in http.get("/mgmt/tm/sys/hardware").text
    http.post("/mgmt/tm/cm", json={"command": "run", "utilCmdArgs": "config-sync to-group g"})
    assert "In Sync" in http.get("/mgmt/tm/cm/sync-status").text
    assert "17.1.1" in http.get("/mgmt/tm/sys/version").text


def test_without_afm_there_is_no_firewall(device: Bigip, http: httpx.Client) -> None:
    device.identity.provisioned = False
    assert http.get("/mgmt/tm/sys/provision/afm").json()["level"] == "none"
    assert http.get(LIST).status_code == 400
    assert http.get("/mgmt/tm/sys/folder").status_code == 200


def test_put_object_changes_what_is_there(device: Bigip) -> None:
    for address in ("10.0.0.1", "10.0.0.2"):
        device.put_object("security/firewall/address-list", {"name": "x", "addresses": [address]})
    assert device.members("/Common/x") == {"10.0.0.2"}


@pytest.mark.parametrize(
    "text", ["10.0.0.1%2", "10.0.0.0%2/24", "10.0.0.1%2-10.0.0.9%2", "2001:db8::/32", "::1:5ee:bad:c0de"]
)
def test_addresses_read_back_as_given(device: Bigip, text: str) -> None:
    shown = device.put_object("security/firewall/address-list", {"name": "x", "addresses": [{"name": text}]})
    assert shown["addresses"] == [{"name": text}]
