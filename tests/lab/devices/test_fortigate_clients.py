"""Clients that others wrote drive the simulated FortiGate over verified TLS: fortigate-api and pyfgt.

Each has its own idea of a FortiGate. They are run where they are installed, and skipped by name where they are not.
"""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from bridge.lab.devices.fortigate import Fortigate

Untyped = Any
"""Objects of the clients, which carry no types, or types of their own."""


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> Iterator[Fortigate]:
    """With its authority in the environment, where clients built on requests look for it."""
    with Fortigate() as fortigate:
        for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
            monkeypatch.setenv(name, str(fortigate.ca))
        yield fortigate


@pytest.fixture
def fortigate_api(device: Fortigate) -> Iterator[Untyped]:
    library = pytest.importorskip("fortigate_api", reason="fortigate-api is not installed")
    port = urlsplit(device.url).port
    client = library.FortiGateAPI(host="127.0.0.1", port=port, token=device.password, verify=True)
    client.login()
    with client.fortigate.get_session():
        yield client


@pytest.fixture
def pyfgt(device: Fortigate) -> Iterator[Untyped]:
    library = pytest.importorskip("pyFGT.fortigate", reason="pyfgt is not installed")
    client = library.FortiGate(urlsplit(device.url).netloc, apikey=device.password, verify_ssl=True, timeout=5)
    with client.fgt_session:
        yield client.login()


def test_fortigate_api_addresses_and_groups(device: Fortigate, fortigate_api: Untyped) -> None:
    firewall = fortigate_api.cmdb.firewall
    for name, subnet in (("a", "127.0.0.100/30"), ("b/c", "10.0.0.1/32")):
        made = firewall.address.create({"name": name, "obj-type": "ip", "subnet": subnet, "type": "ipmask"})
        assert made.status_code == 200
    assert firewall.address.get(name="a")[0]["subnet"] == "127.0.0.100 255.255.255.252"
    assert [one["name"] for one in firewall.address.get(filter="name=@b/")] == ["b/c"]
    assert firewall.address.update({"name": "a", "subnet": "127.0.0.255/30"}).status_code == 200
    assert firewall.address.is_exist("b/c")
    assert firewall.addrgrp.create({"name": "g", "member": [{"name": "a"}, {"name": "b/c"}]}).status_code == 200
    assert device.members("firewall/addrgrp", "g") == {"a", "b/c"}
    assert firewall.addrgrp.update({"name": "g", "member": [{"name": "a"}]}).status_code == 200
    assert firewall.address.delete("a").status_code == 500
    assert firewall.address.delete("b/c").status_code == 200
    assert not firewall.address.is_exist("b/c")
    assert firewall.address.create({"name": "a", "subnet": "10.0.0.2/32"}).json()["error"] == -5


def test_fortigate_api_policies_and_their_order(device: Fortigate, fortigate_api: Untyped) -> None:
    policy = fortigate_api.cmdb.firewall.policy
    body = {
        "status": "enable",
        "action": "accept",
        "srcintf": [{"name": "any"}],
        "dstintf": [{"name": "any"}],
        "srcaddr": [{"name": "all"}],
        "dstaddr": [{"name": "all"}],
        "service": [{"name": "ALL"}],
        "schedule": "always",
    }
    for name in ("one", "two", "three"):
        assert policy.create({"name": name, **body}).status_code == 200
    assert policy.move(policyid=3, position="before", neighbor=1).status_code == 200
    assert policy.move(policyid=1, position="after", neighbor=9).status_code != 200
    assert device.order() == [3, 1, 2]
    assert [one["name"] for one in policy.get()] == ["three", "one", "two"]
    assert policy.get(efilter="srcaddr==192.168.1.1/32") == []  # reads every policy, its addresses and groups
    assert {one["policyid"] for one in policy.get(efilter="srcaddr==0.0.0.0/0")} == {1, 2, 3}
    assert policy.update({"policyid": 2, "status": "disable"}).status_code == 200
    assert policy.get(policyid=2)[0]["status"] == "disable"
    assert policy.delete(filter="name==two").status_code == 200


def test_fortigate_api_services_schedules_feeds(fortigate_api: Untyped) -> None:
    cmdb = fortigate_api.cmdb
    assert cmdb.firewall_service.custom.create({"name": "s", "protocol": "TCP/UDP/SCTP", "tcp-portrange": "8080"}).ok
    assert cmdb.firewall_service.group.create({"name": "sg", "member": [{"name": "s"}]}).ok
    assert cmdb.firewall_schedule.onetime.create(
        {"name": "o", "start": "00:00 2026/11/23", "end": "00:00 2026/11/24"}
    ).ok
    feed = {"name": "f", "type": "address", "update-method": "push", "resource": "https://bridge.invalid"}
    assert cmdb.system.external_resource.create(feed).ok
    assert cmdb.system.external_resource.get(name="f")[0]["update-method"] == "push"
    assert cmdb.firewall_service.group.delete("sg").ok


def test_pyfgt(device: Fortigate, pyfgt: Untyped) -> None:
    path = "/cmdb/firewall/address"
    status, told = pyfgt.post(path, "vdom=root", name="a", subnet="10.0.0.1 255.255.255.255")
    assert (status, told["mkey"]) == (200, "a")
    status, told = pyfgt.get(f"{path}/a", "vdom=root")
    assert (status, told["results"][0]["subnet"]) == (200, "10.0.0.1 255.255.255.255")
    status, told = pyfgt.post(path, "vdom=root", name="a", subnet="10.0.0.2/32")
    assert (status, told["error"]) == (500, -5)
    status, _ = pyfgt.put(f"{path}/a", "vdom=root", comment="changed")
    assert status == 200
    status, told = pyfgt.get("/monitor/system/status")
    assert (status, told["serial"]) == ("success", device.identity.units[0].serial)
    status, _ = pyfgt.delete(f"{path}/a")
    assert (status, "a" in device.objects("firewall/address")) == (200, False)
