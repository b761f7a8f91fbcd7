"""The FortiGate adapter keeps the contract, on a box with transactions."""

from adapters.conformance import Conformance
from adapters.fortigate import factory
from tests.adapters.fortigate.rig import fortigate_rig


class TestFortigate(Conformance):
    factory = factory
    rig = staticmethod(fortigate_rig)
    skips = frozenset({"limit groups"})
