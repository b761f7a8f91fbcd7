"""The FortiGate adapter keeps the contract where the box has no transactions."""

from adapters.fortigate import factory
from tests.adapters.fortigate.restored import Restored
from tests.adapters.fortigate.rig import single_calls


class TestFortigateCallByCall(Restored):
    factory = factory
    rig = staticmethod(single_calls)
    skips = frozenset({"limit groups", "atomic"})
