"""The log profile beside our policy: put where the virtual server has none, taken out with the policy, others never replaced."""

import pytest

from adapters.bigip import BigipAdapter, factory
from bridge.lab.devices.bigip import Bigip
from bridge.model.identity import Kind
from bridge.model.intent import EVERYTHING
from bridge.model.policy import Tier
from bridge.model.tiers import attachment
from tests.adapters.bigip.site import config, open_adapter, planned, reconcile, shop, wanted

VIRTUAL, PROFILE = "/Common/egress", "/Common/fw-log"
ATTACH = {"mode": "ifEmpty", "service": {"virtualServer": VIRTUAL, "logProfile": PROFILE}}


def profiles(device: Bigip) -> list[str]:
    found: list[str] = device.objects("ltm/virtual")[VIRTUAL].get("securityLogProfiles", [])
    return found


@pytest.fixture
def adapter(device: Bigip) -> BigipAdapter:
    device.put_object("ltm/virtual", {"name": VIRTUAL, "destination": "0.0.0.0:0", "mask": "any"})
    for name in ("fw-log", "site-log"):
        device.put_object("security/log/profile", {"name": name, "partition": "Common"})
    return open_adapter(device, attach=ATTACH)


def test_it_comes_and_goes_with_the_policy_in_one_write_each(device: Bigip, adapter: BigipAdapter) -> None:
    reconcile(adapter, shop("10.0.0.1"))
    assert profiles(device) == [PROFILE]
    assert len([one for one in device.writes() if one.path.endswith("ltm/virtual/~Common~egress")]) == 1
    assert planned(adapter, adapter.read(EVERYTHING).objects, wanted(adapter, shop("10.0.0.1"))).empty
    reconcile(adapter, {})
    assert profiles(device) == []
    assert len([one for one in device.writes() if one.path.endswith("ltm/virtual/~Common~egress")]) == 2


def test_one_of_the_site_serves_as_well_and_stays(device: Bigip, adapter: BigipAdapter) -> None:
    device.change_object("ltm/virtual/~Common~egress", {"securityLogProfiles": ["/Common/site-log"]})
    reconcile(adapter, shop("10.0.0.1"))
    assert profiles(device) == ["/Common/site-log"]
    assert planned(adapter, adapter.read(EVERYTHING).objects, wanted(adapter, shop("10.0.0.1"))).empty
    reconcile(adapter, {})
    assert profiles(device) == ["/Common/site-log"]


def test_one_that_somebody_put_beside_it_stays_too(device: Bigip, adapter: BigipAdapter) -> None:
    reconcile(adapter, shop("10.0.0.1"))
    both = [PROFILE, "/Common/site-log"]
    device.change_object("ltm/virtual/~Common~egress", {"securityLogProfiles": both})
    reconcile(adapter, {})
    assert profiles(device) == both


def test_what_lost_it_gets_it_back(device: Bigip, adapter: BigipAdapter) -> None:
    reconcile(adapter, shop("10.0.0.1"))
    device.change_object("ltm/virtual/~Common~egress", {"securityLogProfiles": []})
    snapshot = adapter.read(EVERYTHING)
    assert snapshot.attached[Tier.SERVICE]
    assert attachment(Tier.SERVICE).key not in snapshot.objects
    reconcile(adapter, shop("10.0.0.1"))
    assert profiles(device) == [PROFILE]


def test_one_that_the_device_has_not_is_refused_and_nothing_is_attached(device: Bigip, adapter: BigipAdapter) -> None:
    device.delete_object("security/log/profile/~Common~fw-log")
    outcome = reconcile(adapter, shop("10.0.0.1"))
    assert PROFILE in outcome.refused[attachment(Tier.SERVICE).key]
    assert [key.kind for key in outcome.refused] == [Kind.ATTACHMENT]
    assert "fwEnforcedPolicy" not in device.objects("ltm/virtual")[VIRTUAL]


def test_the_line_for_a_person_names_it(adapter: BigipAdapter) -> None:
    assert f"security-log-profiles add {{ {PROFILE} }}" in adapter.attach_hint(Tier.SERVICE)


@pytest.mark.parametrize("wrong", ["fw-log", 3, ["/Common/x"]])
def test_it_is_named_by_its_path(device: Bigip, wrong: object) -> None:
    attach = {"service": {"virtualServer": VIRTUAL, "logProfile": wrong}}
    assert list(factory.problems(config(device, attach=attach))) == ["attach.service.logProfile"]
