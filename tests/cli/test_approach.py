"""The way to a device is gone before the lease is ours, without a write and without a word."""

from dataclasses import dataclass, field

import pytest

from bridge.cli.approach import Approach
from bridge.cli.tenure import Elsewhere
from bridge.cli.units import DeviceUnit
from bridge.clock import SystemClock
from bridge.contract import Adapter, DeviceConfig
from bridge.errors import DeviceError, LostLease
from bridge.model.intent import EVERYTHING, ReadScope, Snapshot
from bridge.model.plan import Fence
from tests.cli.replica import Device, NoCredentials
from tests.delivery.memory import MemoryAdapter

CLOCK = SystemClock()


@dataclass
class Noted(Device):
    """Notes what is asked of it; `broken` does not answer."""

    asked: list[ReadScope] = field(default_factory=list)
    opened: int = 0
    closed: int = 0
    broken: bool = False

    def open(self, config: DeviceConfig) -> Adapter:
        device = self
        device.opened += 1

        class Asked(MemoryAdapter):
            def read(self, scope: ReadScope) -> Snapshot:
                device.asked.append(scope)
                if device.broken:
                    raise DeviceError(self.device, "no route")
                return super().read(scope)

            def close(self) -> None:
                device.closed += 1
                if device.broken:
                    raise DeviceError(self.device, "no route")

        return Asked(self.memory, config.name)


def approach(device: Noted, *, warm: bool = True) -> Approach:
    config = DeviceConfig("edge", "memory", "", "test", NoCredentials())

    def nobody() -> None:
        raise LostLease("it is not ours")

    return Approach(DeviceUnit(device, config, ()), nobody, warm=warm)


def test_who_is_silent_has_a_successor_on_his_way() -> None:
    device = Noted()
    way = approach(device)
    for elsewhere in (Elsewhere.NOBODY, Elsewhere.HELD, Elsewhere.DOUBTED, Elsewhere.DOUBTED, Elsewhere.NOBODY):
        way.meanwhile(elsewhere, CLOCK)
    assert device.asked == [ReadScope(frozenset())], "no object is read, and nothing is written"
    way.arrive().read(EVERYTHING)
    assert (device.opened, device.closed) == (1, 0)
    assert way.arrive() is not None
    assert device.opened == 2


def test_who_goes_on_is_left_alone() -> None:
    device = Noted()
    way = approach(device)
    way.meanwhile(Elsewhere.DOUBTED, CLOCK)
    way.meanwhile(Elsewhere.HELD, CLOCK)
    assert (device.opened, device.closed) == (1, 1)


def test_a_device_that_is_away_ends_nothing() -> None:
    device = Noted(broken=True)
    way = approach(device)
    way.meanwhile(Elsewhere.DOUBTED, CLOCK)
    assert (device.opened, device.closed) == (1, 1), "not even that it cannot be left in good order ends the wait"
    adapter = way.arrive()
    with pytest.raises(DeviceError):
        adapter.read(EVERYTHING)
    adapter.raise_fence(Fence(1, ""))


def test_a_cold_one_waits() -> None:
    device = Noted()
    way = approach(device, warm=False)
    way.meanwhile(Elsewhere.DOUBTED, CLOCK)
    assert device.opened == 0
