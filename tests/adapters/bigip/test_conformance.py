"""BIG-IP keeps the contract."""

from adapters.bigip import factory
from adapters.conformance import Conformance
from bridge.lab.devices.bigip.rig import bigip_rig


class TestBigip(Conformance):
    factory = factory
    rig = staticmethod(bigip_rig)
    skips = frozenset({"limit groups", "schedules"})
