"""The same trial on every kind of device: each holds what its adapter claims, and nothing of the trial stays."""

from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from dataclasses import replace
from typing import Any

import pytest

import adapters.aws
import adapters.bigip
import adapters.fortigate
import bridge.lab.devices.memory
from adapters.conformance.site import Terms
from bridge.cli.canary import Canary, Leave
from bridge.contract import AdapterFactory
from bridge.lab.devices.aws.rig import aws_rig
from bridge.lab.devices.bigip.as3_rig import as3_rig
from bridge.lab.devices.bigip.rig import bigip_rig
from bridge.lab.devices.memory.rig import memory_rig
from bridge.model.capabilities import Form
from bridge.model.examination import Condition
from bridge.model.intent import EVERYTHING, Intent
from bridge.model.plan import Fence
from bridge.policy.diff import diff, plan
from tests.adapters.fortigate.rig import fortigate_rig, single_calls
from tests.adapters.nftables.rig import flat_rig, nftables_rig, rigged
from tests.cli.test_canary import Hurried

Lend = Callable[[], AbstractContextManager[Any]]
FLEET: dict[str, tuple[AdapterFactory, Lend]] = {
    "aws": (adapters.aws.factory, aws_rig),
    "bigip": (adapters.bigip.factory, bigip_rig),
    "bigip, AS3": (adapters.bigip.factory, as3_rig),
    "fortigate": (adapters.fortigate.factory, fortigate_rig),
    "fortigate, feeds": (adapters.fortigate.factory, lambda: fortigate_rig(tls=False, feeds={"most": 4})),
    "fortigate, call by call": (adapters.fortigate.factory, single_calls),
    "memory, flat": (bridge.lab.devices.memory.factory, memory_rig(Form.FLAT)),
    "memory, allow-only": (bridge.lab.devices.memory.factory, memory_rig(Form.ALLOW_ONLY)),
    "nftables": (rigged, nftables_rig),
    "nftables, flat": (rigged, flat_rig),
}


@pytest.mark.parametrize("kind", FLEET)
def test_each_claim_holds_and_nothing_stays(kind: str) -> None:
    factory, lend = FLEET[kind]
    with lend() as rig:
        rig.reset()
        rig.plant()
        before = dict(rig.contents())
        clock = Hurried()
        config = rig.config(owner="fb")
        found = list(Canary(factory, config, Leave(clock, 120.0, lambda: None), clock).run())
        assert {one.subject: one.message for one in found if one.condition is not Condition.OK} == {}
        assert {one.subject for one in found} >= {
            "create",
            "restart",
            "member change",
            "fenced off",
            "delete",
            "foreign",
        }
        can, told = factory.capabilities(config), {one.subject: one.message for one in found}
        left = told["not tried"].partition(";")[0].removeprefix("not declared: ").split(", ")
        for word in ("atomic", "dry_run", "member_deltas", "close_flows"):
            assert (word in told, word in left) == (getattr(can, word), not getattr(can, word)), word
        if can.dry_run:
            assert ("not tried" in told["dry_run"]) is ("nftables" in kind), (
                "its adapter sends nothing that the kernel refuses"
            )
        after = dict(rig.contents())
        assert {name: after.get(name) for name in before} == before, "what others own was changed"


def test_a_tenant_that_the_settings_name_is_not_the_trials() -> None:
    """What the owner of the settings declared there stands, and the trial declares beside it."""
    factory = adapters.bigip.factory
    with as3_rig() as rig:
        rig.reset()
        config = rig.config()
        config = replace(config, scope={**config.scope, "tenant": "site_egress"})
        with closing(factory.open(config)) as adapter:
            fence = Fence(1, "an installation")
            adapter.raise_fence(fence)
            wanted = adapter.normalize(Intent("edge", Terms.of(factory.capabilities(config)).shop("10.0.0.1")))
            adapter.apply(
                plan("edge", diff({}, Intent("edge", wanted)), {}, adapter.capabilities, adapter.limits), fence
            )
            before = dict(rig.contents())
            clock = Hurried()
            found = list(Canary(factory, config, Leave(clock, 120.0, lambda: None), clock).run())
            assert {one.subject: one.message for one in found if one.condition is not Condition.OK} == {}
            assert adapter.read(EVERYTHING).objects == wanted
        after = dict(rig.contents())
        ours = {name for name in before if "/site_egress/" in name}
        assert ours
        assert {name: after.get(name) for name in ours} == {name: before[name] for name in ours}
        assert not [name for name in after if "/site_egress_fbc/" in name], "something of the trial is left"
