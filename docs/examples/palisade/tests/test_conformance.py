"""The suite that every adapter passes, bound to ours."""

from palisade import factory
from palisade.rig import palisade_rig

from adapters.conformance import Conformance


class TestPalisade(Conformance):
    factory = factory
    rig = staticmethod(palisade_rig)
    skips = frozenset({"icmp_types", "protocols", "schedules", "limit name_length"})
