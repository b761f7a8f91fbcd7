"""Which live flows are stopped now, against the reference for every packet of small worlds."""

from dataclasses import replace

from hypothesis import given, settings

from bridge.model.capabilities import Form
from bridge.model.flows import Flow
from bridge.model.identity import ObjectKey
from bridge.model.intent import DeviceObject, Group
from bridge.model.policy import WITH_PORTS
from bridge.policy.compile import compile_policy
from bridge.policy.live import Court, senders
from tests.policy import device
from tests.policy.world import PACKETS, Packet, World, worlds

_FLOWS = [
    (Flow(one.source, one.destination, one.protocol, 40000, one.port), one)
    for one in PACKETS
    if one.protocol in WITH_PORTS
]


def _held(world: World, form: Form) -> dict[ObjectKey, DeviceObject]:
    target = world.target()
    target = replace(target, capabilities=replace(target.capabilities, form=form))
    return device.holdings(compile_policy(world.policy, target), world)


def _stops(objects: dict[ObjectKey, DeviceObject], packet: Packet, *names: str) -> bool:
    return device.decide(objects, packet, names).stopped


@settings(max_examples=60, deadline=None)
@given(worlds(), worlds())
def test_a_flow_is_stopped_where_its_packets_are_whatever_a_name_stands_for(before: World, now: World) -> None:
    for form in (Form.TIERED, Form.FLAT):
        was, held = _held(before, form), _held(now, form)
        names = {name for one in held.values() if isinstance(one, Group) for name in one.fqdns}
        found = {flow for flow, _ in Court(held).stopped(flow for flow, _ in _FLOWS)}
        asked = set(senders(was, held))
        named = {member for one in held.values() if isinstance(one, Group) for member in one.members}
        for flow, packet in _FLOWS:
            if flow in found:
                assert _stops(held, packet)
                assert _stops(held, packet, *names)
            elif not names:
                assert not _stops(held, packet)
            if flow in found and not _stops(was, packet) and flow.source in named:
                assert flow.source in asked
