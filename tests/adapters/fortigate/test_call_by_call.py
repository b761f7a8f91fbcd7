"""The FortiGate adapter keeps the contract where the box has no transactions."""

from adapters.conformance import Conformance
from adapters.fortigate import factory
from tests.adapters.fortigate.rig import single_calls


class TestFortigateCallByCall(Conformance):
    factory = factory
    rig = staticmethod(single_calls)
    skips = frozenset({"limit groups", "atomic"})
