"""Live flows are asked for and closed by those who opened them, by who keeps the device, and by nobody else."""

import pytest

from adapters.conformance.bench import FENCE, Bench
from adapters.conformance.site import SOURCES
from bridge.errors import FencedOff
from bridge.model.flows import Flow
from bridge.model.plan import Fence
from bridge.model.policy import Protocol

_FLOW = Flow(SOURCES[0], "192.0.2.10", Protocol.TCP, 40000, 443)


class Flowing(Bench):
    """What delivery asks for where the settings say `closeFlows`."""

    def test_without_a_source_nothing_is_asked_or_closed(self) -> None:
        closes = self.adapter.capabilities.close_flows
        calls, stood = self.device.calls(), dict(self.device.contents())
        assert not self.adapter.flows(())
        assert self.adapter.close_flows((), FENCE) == 0
        if not closes:
            assert not self.adapter.flows((_FLOW.source,)), "flows of a device that declares none"
            assert self.adapter.close_flows((_FLOW,), FENCE) == 0
        assert self.device.calls() == calls, "a call about nobody's flows"
        assert dict(self.device.contents()) == stood

    def test_after_a_take_over_nothing_is_closed(self) -> None:
        newer = self.open()
        newer.raise_fence(Fence(FENCE.epoch + 1, FENCE.installation))
        stood = dict(self.device.contents())
        if self.adapter.capabilities.close_flows:
            with pytest.raises(FencedOff):
                self.adapter.close_flows((_FLOW,), FENCE)
        else:
            assert self.adapter.close_flows((_FLOW,), FENCE) == 0
        assert dict(self.device.contents()) == stood
