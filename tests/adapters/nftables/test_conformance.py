"""The Linux gateway keeps the contract, on the real kernel."""

from adapters.conformance import Conformance
from tests.adapters.nftables.machine import kernel
from tests.adapters.nftables.rig import nftables_rig, rigged


@kernel
class TestNftables(Conformance):
    factory = rigged
    rig = staticmethod(nftables_rig)
    skips = frozenset({"limit group_members", "limit groups", "limit rules"})
