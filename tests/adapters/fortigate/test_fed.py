"""The FortiGate adapter keeps the contract where groups are pushed feeds: each that may be one, for a Deny names none that is."""

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace

import pytest

from adapters.fortigate.adapter import FortigateAdapter, FortigateFactory
from adapters.fortigate.canonical import UNUSED
from bridge.contract import DeviceConfig
from bridge.model.identity import ObjectKey
from bridge.model.intent import DeviceObject, Group, Intent, Objects, RuleList
from bridge.model.plan import Fence, Outcome, Plan, Step
from bridge.model.policy import Action
from tests.adapters.fortigate.restored import Restored
from tests.adapters.fortigate.rig import Rig, fortigate_rig

_COUNTED = ("test_a_permit_is_asked_for_each_change", "test_a_write_is_never_repeated_by_itself")
"""Checks that count a call by the changes of the device: one push may be of several feeds, so on a box where it takes effect as a whole."""


class Fed(FortigateAdapter):
    """Whatever may be a feed is one, as if each group had much change; in plans that the bridge did not make, too."""

    _stopped: frozenset[ObjectKey] = frozenset()

    def normalize(self, intent: Intent) -> Objects:
        self._stopped = frozenset(stopped(intent.objects.values()))
        return super().normalize(replace(intent, objects={key: self._fed(one) for key, one in intent.objects.items()}))

    def apply(self, plan: Plan, fence: Fence) -> Outcome:
        return super().apply(replace(plan, phases=tuple(tuple(map(self._step, phase)) for phase in plan.phases)), fence)

    def _step(self, step: Step) -> Step:
        return replace(step, before=step.before and self._fed(step.before), after=step.after and self._fed(step.after))

    def _fed(self, one: DeviceObject) -> DeviceObject:
        """Addresses, in one piece, that no line stops."""
        if not isinstance(one, Group) or one.key in self._stopped or one.key == UNUSED or one.fqdns or one.shards:
            return one
        return replace(one, pushed=True)


class FedFactory(FortigateFactory):
    def open(self, config: DeviceConfig) -> Fed:
        return Fed(config)


def stopped(objects: Iterable[DeviceObject]) -> Iterator[ObjectKey]:
    """The groups of lines that stop something: none of those is ever a feed."""
    for one in objects:
        for line in one.entries if isinstance(one, RuleList) else ():
            if line.action is not Action.ALLOW:
                yield from (*line.sources, *line.destinations)


def fed_rig() -> AbstractContextManager[Rig]:
    return fortigate_rig(tls=False, feeds={"most": 64})


class TestFortigateFed(Restored):
    factory = FedFactory()
    rig = staticmethod(fed_rig)
    skips = frozenset({"limit groups", "atomic"})

    @pytest.fixture(autouse=True)
    def _pushed_at_once(self, conformance_rig: Rig, request: pytest.FixtureRequest) -> Iterator[None]:
        conduct = conformance_rig.device.conduct
        conduct.push_atomic = request.node.originalname in _COUNTED
        yield
        conduct.push_atomic = False
