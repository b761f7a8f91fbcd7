"""Route domains: the number is the device's own, asked for at each full reading, and so is what an address without one means."""

import pytest

from adapters.bigip import factory
from bridge.errors import Denied
from bridge.lab.devices.bigip import Bigip, Packet
from bridge.model.intent import EVERYTHING
from tests.adapters.bigip.site import BANK, FOLDER, config, open_adapter, planned, reconcile, shop, wanted

PODS = "/Common/pods"
LIST = f"{FOLDER}/fb_prod_service_shop_cart"
ATTACH = {
    "mode": "ifEmpty",
    "namespace": {"routeDomain": PODS},
    "service": {"virtualServer": "/Common/egress"},
}


def with_domain(device: Bigip, number: int) -> None:
    device.put_object("net/route-domain", {"name": "pods", "partition": "Common", "id": number})
    device.put_object("ltm/virtual", {"name": "/Common/egress", "destination": "0.0.0.0:0", "mask": "any"})


def allowed(device: Bigip, source: str, domain: int) -> bool:
    packet = Packet(source, "198.51.100.9", port=443, route_domain=domain, virtual="/Common/egress")
    return device.judge(packet).action == "accept-decisively"


@pytest.mark.parametrize("scope", [{"routeDomain": PODS}, {}])
def test_the_number_is_taken_from_the_device(device: Bigip, scope: dict[str, str]) -> None:
    with_domain(device, 12)
    adapter = open_adapter(device, scope=scope, attach=ATTACH)
    state = shop("10.0.0.1", "2001:db8:9::1", "10.2.0.1-10.2.0.9")
    reconcile(adapter, state)
    assert device.members(LIST) == {"10.0.0.1%12", "2001:db8:9::1%12", "10.2.0.1%12-10.2.0.9%12"}
    assert allowed(device, "10.0.0.1", 12)
    assert not allowed(device, "10.0.0.1", 0)
    assert planned(adapter, adapter.read(EVERYTHING).objects, wanted(adapter, state)).empty


def test_a_number_that_changes_is_seen_at_the_next_reading(device: Bigip) -> None:
    with_domain(device, 12)
    adapter = open_adapter(device, scope={"routeDomain": PODS})
    state = shop("10.0.0.1")
    reconcile(adapter, state)
    device.delete_object("net/route-domain/~Common~pods")
    device.put_object("net/route-domain", {"name": "pods", "partition": "Common", "id": 13})
    reconcile(adapter, state)
    assert device.members(LIST) == {"10.0.0.1%13"}
    assert planned(adapter, adapter.read(EVERYTHING).objects, wanted(adapter, state)).empty


def test_an_address_without_a_number_is_in_the_domain_of_its_partition(device: Bigip) -> None:
    with_domain(device, 12)
    device.change_object("auth/partition/Common", {"defaultRouteDomain": 12})
    inside, outside = open_adapter(device, scope={"routeDomain": PODS}), open_adapter(device, scope={"routeDomain": 0})
    state = shop("10.0.0.1")
    reconcile(inside, state)
    assert device.members(LIST) == {"10.0.0.1"}
    assert inside.read(EVERYTHING).objects == wanted(inside, state)
    assert outside.read(EVERYTHING).objects[BANK] != wanted(outside, state)[BANK]
    reconcile(outside, state)
    assert device.members(LIST) == {"10.0.0.1%0"}


def test_a_route_domain_that_is_not_there_is_named(device: Bigip) -> None:
    adapter = open_adapter(device, scope={"routeDomain": PODS})
    with pytest.raises(Denied, match=PODS):
        adapter.read(EVERYTHING)
    assert not device.objects("security/firewall/address-list")


@pytest.mark.parametrize("wrong", ["pods", "/pods", -1, 65_535, True, ["/Common/0"]])
def test_what_is_neither_path_nor_number_is_no_setting(device: Bigip, wrong: object) -> None:
    assert list(factory.problems(config(device, scope={"routeDomain": wrong}))) == ["scope.routeDomain"]
