"""Devices of every form in memory keep the contract: the suite asks of each what its form can."""

from adapters.conformance import Conformance
from bridge.model.capabilities import Capabilities, Form
from bridge.model.intent import RuleEntry
from bridge.model.policy import Action, Protocol
from tests.adapters.conformance.memory import Factory, MemoryAdapter, memory_rig


class AtomicAdapter(MemoryAdapter):
    can = Capabilities(Form.TIERED, atomic=True, icmp_types=True, protocols=True, schedules=True)


class FlatAdapter(MemoryAdapter):
    can = Capabilities(Form.FLAT, icmp_types=True)

    def entry(self, entry: RuleEntry) -> RuleEntry:
        if entry.protocol is Protocol.OTHER:
            raise ValueError("it knows names only")
        return super().entry(entry)


class AllowingAdapter(MemoryAdapter):
    can = Capabilities(Form.ALLOW_ONLY, deny=False, reject=False, log=False, ipv6=False)

    def members(self, members: frozenset[str]) -> frozenset[str]:
        if any(":" in member for member in members):
            raise ValueError("no IPv6")
        return super().members(members)

    def entry(self, entry: RuleEntry) -> RuleEntry:
        if entry.action is not Action.ALLOW or entry.log or entry.icmp or entry.protocol is Protocol.OTHER:
            raise ValueError("it allows plain traffic, silently")
        return super().entry(entry)


class TestTiered(Conformance):
    factory = Factory(MemoryAdapter)
    rig = staticmethod(memory_rig)
    skips = frozenset({"atomic"})


class TestAtomic(Conformance):
    factory = Factory(AtomicAdapter)
    rig = staticmethod(memory_rig)


class TestFlat(Conformance):
    factory = Factory(FlatAdapter)
    rig = staticmethod(memory_rig)
    skips = frozenset({"atomic", "protocols", "schedules"})


class TestAllowOnly(Conformance):
    factory = Factory(AllowingAdapter)
    rig = staticmethod(memory_rig)
    skips = frozenset({"atomic", "ipv6", "icmp_types", "protocols", "schedules"})
