"""BIG-IP with AS3 keeps the contract."""

from adapters.bigip import factory
from adapters.conformance import Conformance
from bridge.lab.devices.bigip.as3_rig import as3_rig


class TestBigipAs3(Conformance):
    factory = factory
    rig = staticmethod(as3_rig)
    skips = frozenset({"atomic", "icmp_types", "limit groups", "schedules"})
