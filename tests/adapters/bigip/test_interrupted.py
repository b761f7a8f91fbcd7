"""Stopped after any call, with the call done or not: the next read and plan finish the work."""

import pytest

from bridge.errors import Drifted
from bridge.lab.devices.bigip import Bigip
from bridge.model.identity import Kind, ObjectKey, Scope
from bridge.model.intent import EVERYTHING, DeviceObject, Group
from tests.adapters.bigip.site import (
    FENCE,
    WEB,
    line,
    open_adapter,
    planned,
    reconcile,
    sharded,
    shop,
    wanted,
)

LONG = ObjectKey(Kind.GROUP, "prod", Scope.EXTERNAL, "shop", "x" * 200)
LARGE = ObjectKey(Kind.GROUP, "prod", Scope.SERVICE, "shop", "large")


def before() -> dict[ObjectKey, DeviceObject]:
    lines = [line("a"), line("b"), line("c"), line("d")]
    extra = [Group(LONG, frozenset({"192.0.2.1"})), *sharded(LARGE, {"10.5.0.1", "10.5.0.2"}, 2)]
    return shop("10.0.0.1", lines=lines, extra=extra)


def after() -> dict[ObjectKey, DeviceObject]:
    lines = [line("d"), line("b", WEB), line("new"), line("a")]
    return shop("10.0.0.2", "10.0.0.3", lines=lines, extra=[Group(LARGE, frozenset({"10.5.0.3"}))])


def test_a_device_that_was_wiped_is_built_again(device: Bigip) -> None:
    adapter = open_adapter(device)
    reconcile(adapter, before())
    plan = planned(adapter, adapter.read(EVERYTHING).objects, wanted(adapter, after()))
    device.wipe()
    with pytest.raises(Drifted):
        adapter.apply(plan, FENCE)
    reconcile(adapter, after())
    snapshot = adapter.read(EVERYTHING)
    assert snapshot.objects == wanted(adapter, after())
    assert snapshot.fence.epoch == FENCE.epoch
