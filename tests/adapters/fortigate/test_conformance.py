"""The FortiGate adapter keeps the contract: with transactions, and call by call."""

from adapters.conformance import Conformance
from adapters.fortigate import factory
from tests.adapters.fortigate.rig import fortigate_rig, single_calls


class TestFortigate(Conformance):
    factory = factory
    rig = staticmethod(fortigate_rig)
    skips = frozenset({"limit groups"})


class TestFortigateCallByCall(Conformance):
    factory = factory
    rig = staticmethod(single_calls)
    skips = frozenset({"limit groups", "atomic"})
