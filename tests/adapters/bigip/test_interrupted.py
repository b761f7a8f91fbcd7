"""Stopped after any call, with the call done or not: the next read and plan finish the work."""

from contextlib import suppress

import pytest

from bridge.errors import Busy, Drifted
from bridge.lab.devices.bigip import Bigip
from bridge.model.identity import Kind, ObjectKey, Scope
from bridge.model.intent import EVERYTHING, DeviceObject, Group
from tests.adapters.bigip.site import (
    FENCE,
    WEB,
    firewall,
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


def _run_cut(device: Bigip, call: int, effect: str) -> bool:
    """Load, then change with every call cut from the given one on; whether any was cut."""
    device.wipe()
    adapter = open_adapter(device)
    reconcile(adapter, before())
    plan = planned(adapter, adapter.read(EVERYTHING).objects, wanted(adapter, after()))
    fault = device.faults.add("cut", skip=call, times=None, effect=effect)
    with suppress(Busy):
        adapter.apply(plan, FENCE)
    device.faults.clear()
    return fault.hits > 0


@pytest.mark.parametrize("effect", ["before", "after"])
def test_an_apply_cut_at_any_call_converges(device: Bigip, effect: str) -> None:
    straight = open_adapter(device)
    reconcile(straight, after())
    expected = firewall(device)
    call = 0
    while _run_cut(device, call, effect):
        adapter = open_adapter(device)
        reconcile(adapter, after())
        have = adapter.read(EVERYTHING)
        assert have.objects == wanted(adapter, after()), f"cut at call {call}"
        assert have.foreign == ()
        adapter.close()
        call += 1
    assert call > 10
    assert firewall(device) == expected


def test_the_same_plan_twice_does_no_harm(device: Bigip) -> None:
    adapter = open_adapter(device)
    reconcile(adapter, before())
    plan = planned(adapter, adapter.read(EVERYTHING).objects, wanted(adapter, after()))
    adapter.apply(plan, FENCE)
    with pytest.raises(Drifted):  # its creations and deletions are done already
        adapter.apply(plan, FENCE)
    assert adapter.read(EVERYTHING).objects == wanted(adapter, after())


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
