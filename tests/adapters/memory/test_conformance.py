"""The device in memory keeps the contract in both of its forms."""

from adapters.conformance import Conformance
from bridge.lab.devices.memory import factory
from bridge.lab.devices.memory.rig import memory_rig
from bridge.model.capabilities import Form


class TestAllowOnly(Conformance):
    factory = factory
    rig = staticmethod(memory_rig(Form.ALLOW_ONLY))
    skips = frozenset({"atomic"})


class TestFlat(Conformance):
    factory = factory
    rig = staticmethod(memory_rig(Form.FLAT))
    skips = frozenset({"atomic"})
