"""Limits of the rate: an iRule of /Common beside a line, by its name; only those that the settings name."""

from collections.abc import Mapping
from dataclasses import replace

import msgspec
import pytest

from adapters.bigip import factory, wire
from adapters.bigip.adapter import BigipAdapter
from adapters.bigip.names import Names
from adapters.bigip.translate import Translator
from bridge.errors import Rejected
from bridge.lab.devices.bigip import Bigip
from bridge.model.identity import ObjectKey
from bridge.model.intent import EVERYTHING, DeviceObject
from bridge.model.policy import Protocol
from tests.adapters.bigip.site import FOLDER, HTTPS, SHOP, config, line, open_adapter, planned, reconcile, shop, wanted

SLOW = "bwc-1mbps-irule"
RULES = f"{FOLDER}/fb_prod_service_shop"


@pytest.fixture
def adapter(device: Bigip) -> BigipAdapter:
    """For a device that has one such iRule, and settings that name it."""
    device.put_object("ltm/rule", {"name": SLOW, "partition": "Common"})
    return open_adapter(device, scope={"bandwidth": [SLOW, "missing"]})


def limited(name: str) -> Mapping[ObjectKey, DeviceObject]:
    return shop("10.1.0.1", lines=[replace(line("pay", protocol=Protocol.TCP, ports=HTTPS), bandwidth=name)])


def shown(device: Bigip) -> list[object]:
    """The iRule of each line, as the device has it."""
    holder = device.objects("security/firewall/rule-list", FOLDER)[RULES]
    return [one.get("irule") for one in holder["rulesReference"]["items"]]


def test_a_limit_is_written_read_back_and_taken_away(device: Bigip, adapter: BigipAdapter) -> None:
    for name, irule in ((SLOW, f"/Common/{SLOW}"), ("", None), (SLOW, f"/Common/{SLOW}")):
        reconcile(adapter, limited(name))
        assert shown(device) == [irule]
        have, want = adapter.read(EVERYTHING).objects, wanted(adapter, limited(name))
        assert have[SHOP] == want[SHOP]
        assert not planned(adapter, have, want).steps


def test_an_irule_that_the_device_has_not_is_refused_for_that_list(adapter: BigipAdapter) -> None:
    with pytest.raises(Rejected) as refused:
        reconcile(adapter, limited("missing"))
    assert str(SHOP) in refused.value.objects


@pytest.mark.parametrize(
    ("irule", "limit"), [("/Common/fast", "fast"), ("/Common/sub/fast", None), ("/Other/fast", None)]
)
def test_an_irule_that_is_not_ours_is_seen(irule: str, limit: str | None) -> None:
    translator = Translator(Names("fb"))
    body = {"name": "pay"} | translator.line(line("pay")) | {"irule": irule}
    found = translator.read_line(msgspec.convert(body, wire.Rule))
    assert found.bandwidth == (limit or "")
    assert bool(found.sources) is (limit is not None)


def test_what_the_settings_name_is_what_the_compiler_is_told(device: Bigip) -> None:
    assert factory.capabilities(config(device)).bandwidth == ()
    assert factory.capabilities(config(device, scope={"bandwidth": [SLOW]})).bandwidth == (SLOW,)
    for wrong in (SLOW, ["/Common/x"], [7]):
        assert "scope.bandwidth" in factory.problems(config(device, scope={"bandwidth": wrong}))
