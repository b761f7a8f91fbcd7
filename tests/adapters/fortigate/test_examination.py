"""A look at a FortiGate: what is told of the unit, and of a token that may too little or too much."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import pytest

from adapters.fortigate import factory
from bridge.lab.devices.fortigate.tokens import FULL
from bridge.model.examination import Condition, Finding
from tests.adapters.fortigate.rig import Rig, fortigate_rig

NEEDED = {area: right if area.startswith("fwgrp") else "none" for area, right in FULL.items()} | {"sysgrp.cfg": "read"}


@pytest.fixture
def rig() -> Iterator[Rig]:
    with fortigate_rig() as made:
        made.reset()
        yield made


def look(rig: Rig, **scope: object) -> dict[str, Finding]:
    config = rig.config()
    adapter = factory.open(replace(config, scope={**config.scope, **scope}))
    try:
        return {one.subject: one for one in adapter.examine()}
    finally:
        adapter.close()


def grant(rig: Rig, areas: Mapping[str, str]) -> None:
    for user in rig.device.tokens.users():
        user.areas = areas


def test_a_token_that_may_everything_is_too_much(rig: Rig) -> None:
    found = look(rig)
    assert found["version"].message == "7.4.8 build 2795"
    assert found["rights"].condition is Condition.WARNING
    assert "system/zone" in found["rights"].message
    assert found["reading"].condition is Condition.OK


def test_a_token_for_the_firewall_alone_is_fine(rig: Rig) -> None:
    grant(rig, NEEDED)
    found = look(rig)
    assert {one.subject for one in found.values() if one.condition is not Condition.OK} == set()


def test_what_cannot_be_read_is_named(rig: Rig) -> None:
    grant(rig, NEEDED | {"fwgrp.service": "none"})
    found = look(rig)["reading"]
    assert found.condition is Condition.ERROR
    assert found.message == "refused for firewall.service/custom, firewall.service/group"


def test_a_unit_that_nobody_named_and_one_that_is_too_old(rig: Rig) -> None:
    assert look(rig, units=["FG-OTHER"])["device"].condition is Condition.WARNING
    rig.device.identity.version = "v6.2.16"
    assert look(rig)["version"].condition is Condition.ERROR
    assert "takes no pushed feeds" in look(rig, feeds={"most": 4})["feeds"].message
