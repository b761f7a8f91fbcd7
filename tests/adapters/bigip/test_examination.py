"""A look at a BIG-IP: its version, its unit, AFM, and what the account may."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from adapters.bigip import factory
from bridge.lab.devices.bigip.rig import BigipRig, bigip_rig
from bridge.model.examination import Condition, Finding


@pytest.fixture
def rig() -> Iterator[BigipRig]:
    with bigip_rig() as made:
        made.reset()
        yield made


def look(rig: BigipRig, **scope: object) -> dict[str, Finding]:
    config = rig.config()
    attach = {"mode": "none"} if "mode" in scope else config.attach
    adapter = factory.open(replace(config, scope={**config.scope, **scope}, attach=attach))
    try:
        return {one.subject: one for one in adapter.examine()}
    finally:
        adapter.close()


def test_a_unit_that_is_fit_but_for_an_account_that_may_everything(rig: BigipRig) -> None:
    found = look(rig)
    assert set(found) == {"device", "version", "AFM", "reading", "rights"}
    assert {one.subject for one in found.values() if one.condition is not Condition.OK} == {"rights"}
    rig.device.identity.role = "firewall-manager"
    assert look(rig)["rights"] == Finding("rights", Condition.OK, "firewall-manager of all-partitions")


def test_a_unit_that_stands_by(rig: BigipRig) -> None:
    rig.device.identity.failover = "standby"
    told = look(rig)["device"]
    assert (told.condition, "not active" in told.message) == (Condition.WARNING, True)


def test_without_afm_nothing_of_the_firewall_can_be_read(rig: BigipRig) -> None:
    rig.device.identity.provisioned = False
    found = look(rig)
    assert found["AFM"].condition is found["reading"].condition is Condition.ERROR
    assert "security/firewall/address-list" in found["reading"].message


@pytest.mark.parametrize("installed", [True, False])
def test_as3_is_looked_for_where_it_is_used(rig: BigipRig, installed: bool) -> None:
    rig.device.as3.installed = installed
    told = look(rig, mode="as3")["AS3"]
    assert told.condition is (Condition.OK if installed else Condition.ERROR)
    assert ("tenant fb_egress" if installed else "install it on each unit") in told.message
