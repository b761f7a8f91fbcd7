"""Names of hosts in address lists, where the settings let the device resolve them and its firewall has a resolver."""

import pytest

from adapters.bigip import BigipAdapter
from bridge.errors import Rejected, Unsupported
from bridge.lab.devices.bigip import Bigip
from bridge.model.examination import Condition
from bridge.model.identity import ObjectKey
from bridge.model.intent import EVERYTHING, DeviceObject, Group
from tests.adapters.bigip.site import BANK, CART, FOLDER, open_adapter, planned, reconcile, shop, wanted

LIST = f"{FOLDER}/fb_prod_external_shop_bank"


@pytest.fixture
def adapter(device: Bigip) -> BigipAdapter:
    device.give_resolver()
    return open_adapter(device, scope={"fqdn": "device"})


def named(*names: str, members: frozenset[str] = frozenset()) -> dict[ObjectKey, DeviceObject]:
    return shop("10.0.0.1") | {BANK: Group(BANK, members, frozenset(names))}


def shown(device: Bigip) -> tuple[list[str], list[str]]:
    body = device.objects("security/firewall/address-list")[LIST]
    return [one["name"] for one in body.get("fqdns", [])], [one["name"] for one in body.get("addresses", [])]


def test_names_are_written_read_back_changed_and_taken_away(device: Bigip, adapter: BigipAdapter) -> None:
    both = named("pay.example.com", members=frozenset({"198.51.100.0/24"}))
    for state, expected in (
        (named("pay.example.com"), (["pay.example.com"], [])),
        (named("api.example.com", "pay.example.com"), (["api.example.com", "pay.example.com"], [])),
        (both, (["pay.example.com"], ["198.51.100.0/24"])),
        (named(members=frozenset({"198.51.100.0/24"})), ([], ["198.51.100.0/24"])),
        (named(), ([], ["::1:5ee:bad:c0de"])),
        (both, (["pay.example.com"], ["198.51.100.0/24"])),
    ):
        reconcile(adapter, state)
        assert shown(device) == expected
        assert planned(adapter, adapter.read(EVERYTHING).objects, wanted(adapter, state)).empty


def test_a_name_is_one_name_however_it_is_spelled(adapter: BigipAdapter) -> None:
    reconcile(adapter, named("pay.example.com"))
    spelled = named("Pay.Example.COM.")
    assert planned(adapter, adapter.read(EVERYTHING).objects, wanted(adapter, spelled)).empty


def test_without_a_resolver_the_group_is_refused_by_name_and_not_written(device: Bigip, adapter: BigipAdapter) -> None:
    device.change_object("security/firewall/global-fqdn-policy", {"dnsResolver": "none"})
    with pytest.raises(Rejected, match="resolver") as refused:
        reconcile(adapter, named("pay.example.com"))
    assert set(refused.value.objects) == {str(BANK)}
    assert not device.objects("security/firewall/address-list")


def test_a_look_at_the_device_tells_of_the_resolver(device: Bigip, adapter: BigipAdapter) -> None:
    for name, condition in (("/Common/lab-dns", Condition.OK), ("none", Condition.ERROR)):
        device.change_object("security/firewall/global-fqdn-policy", {"dnsResolver": name})
        (found,) = (one for one in adapter.examine() if one.subject == "resolver")
        assert found.condition is condition


def test_a_name_that_somebody_else_wrote_is_taken_out(device: Bigip, adapter: BigipAdapter) -> None:
    state = named("pay.example.com")
    reconcile(adapter, state)
    rest = f"security/firewall/address-list/{LIST.replace('/', '~')}"
    device.change_object(rest, {"fqdns": [{"name": "pay.example.com"}, {"name": "evil.example"}]})
    device.change_object(rest.replace("external_shop_bank", "service_shop_cart"), {"fqdns": [{"name": "evil.example"}]})
    found = adapter.read(EVERYTHING).objects
    assert {key for key in (BANK, CART) if found[key] != wanted(adapter, state)[key]} == {BANK, CART}
    reconcile(adapter, state)
    assert shown(device) == (["pay.example.com"], [])
    assert planned(adapter, adapter.read(EVERYTHING).objects, wanted(adapter, state)).empty


def test_what_the_firewall_cannot_take_is_named(device: Bigip, adapter: BigipAdapter) -> None:
    for opened, state in ((adapter, named("*.example.com")), (open_adapter(device), named("pay.example.com"))):
        with pytest.raises(Unsupported) as caught:
            wanted(opened, state)
        assert set(caught.value.objects) == {str(BANK)}
    assert adapter.capabilities.fqdn
    assert not adapter.capabilities.wildcards
