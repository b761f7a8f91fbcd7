"""BIG-IP keeps the contract where its firewall resolves names and ends rules by itself, and where it is one unit of two."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from adapters.bigip import factory
from adapters.conformance import Conformance
from bridge.contract import DeviceConfig
from bridge.lab.devices.bigip import Pair
from bridge.lab.devices.bigip.rig import BigipRig


class _Rig(BigipRig):
    """The rig of one unit, with what sites have besides."""

    def __init__(self, pair: Pair) -> None:
        super().__init__(pair.units[0])
        self._pair = pair

    def config(self, *, owner: str = "fb", batch: int | None = None, timeout: float = 10.0) -> DeviceConfig:
        """The first unit, its firewall resolving names and ending rules by itself, beside the second."""
        plain = super().config(owner=owner, batch=batch, timeout=timeout)
        ha = {"deviceGroup": self._pair.name, "peers": [self._pair.units[1].url]}
        return replace(plain, scope={**plain.scope, "fqdn": "device", "schedules": True, "ha": ha})

    def reset(self) -> None:
        """With a resolver."""
        super().reset()
        self.device.give_resolver()
        self._since = self.device.writes()[-1].number


@contextmanager
def _rig() -> Iterator[_Rig]:
    with Pair(tls=False) as pair:
        yield _Rig(pair)


@pytest.mark.slow
class TestBigipMore(Conformance):
    factory = factory
    rig = staticmethod(_rig)
    skips = frozenset({"limit groups"})
