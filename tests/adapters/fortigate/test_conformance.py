"""The FortiGate adapter keeps the contract, on a box with transactions."""

from adapters.fortigate import factory
from tests.adapters.fortigate.restored import Restored
from tests.adapters.fortigate.rig import fortigate_rig


class TestFortigate(Restored):
    factory = factory
    rig = staticmethod(fortigate_rig)
    skips = frozenset({"limit groups"})
