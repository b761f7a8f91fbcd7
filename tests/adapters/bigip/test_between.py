"""What the device enforces between two transactions of one phase: no packet that neither the state before nor the state after allows."""

from itertools import product

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.lab.devices.bigip import Bigip, Packet
from bridge.lab.devices.bigip.item import State
from bridge.lab.devices.bigip.referee import decide
from bridge.model.identity import Kind, ObjectKey, Scope
from bridge.model.intent import EVERYTHING, DeviceObject, Group, Policy, RuleEntry, RuleList
from bridge.model.policy import Action
from tests.adapters.bigip.site import CLUSTERS, FENCE, SERVICES, SHOP, open_adapter, planned, reconcile, wanted

VIRTUAL = "/Common/egress"
ATTACH = {"mode": "ifEmpty", "service": {"virtualServer": VIRTUAL}}
SOURCES, DESTINATIONS = ("10.0.0.1", "10.0.0.2", "10.0.0.3"), ("198.51.100.1", "198.51.100.2")
PACKETS = [Packet(source, to, virtual=VIRTUAL) for source, to in product(SOURCES, DESTINATIONS)]
_GROUPS = {
    ObjectKey(Kind.GROUP, "prod", Scope.SERVICE, "shop", name): pool
    for name, pool in (("a", SOURCES), ("b", SOURCES), ("x", DESTINATIONS), ("y", DESTINATIONS))
}
_LISTS = {SHOP: SERVICES, ObjectKey(Kind.RULE_LIST, "prod", Scope.CLUSTER): CLUSTERS}


@st.composite
def dense(draw: st.DrawFn) -> dict[ObjectKey, DeviceObject]:
    """A few addresses in a few groups in a few lines, so that nearly every step opens or closes something."""
    a, b, x, y = _GROUPS
    objects: list[DeviceObject] = [
        Group(key, draw(st.frozensets(st.sampled_from(pool)))) for key, pool in _GROUPS.items()
    ]
    sides = st.tuples(st.sampled_from([a, b]), st.sampled_from([x, y]))
    for key, policy in _LISTS.items():
        names = draw(st.lists(st.sampled_from("pqrs"), unique=True, max_size=4))
        lines = []
        for name in names:
            source, to = draw(sides)
            lines.append(RuleEntry(name, draw(st.sampled_from(list(Action))), (source,), (to,)))
        objects += [RuleList(key, tuple(lines)), Policy(policy, (key,))]
    return {value.key: value for value in objects}


def _allowed(state: State) -> set[Packet]:
    return {packet for packet in PACKETS if decide(state, packet, default="drop").allowed}


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(dense(), dense())
def test_a_phase_cut_into_transactions_lets_no_wrong_packet_through(
    device: Bigip, old: dict[ObjectKey, DeviceObject], new: dict[ObjectKey, DeviceObject]
) -> None:
    device.wipe()
    device.put_object("ltm/virtual", {"name": VIRTUAL, "destination": "0.0.0.0:0", "mask": "any"})
    adapter = open_adapter(device, attach=ATTACH)
    reconcile(adapter, old)
    before, first = _allowed(device.state()), len(device.writes())
    plan = planned(adapter, adapter.read(EVERYTHING).objects, wanted(adapter, new))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(adapter._writer, "batch", max(1, len(plan.steps)))
        adapter.apply(plan, FENCE)
    after = _allowed(device.state())
    for write in device.writes()[first:]:
        between = _allowed(device.state(f"at:{write.number}"))
        assert between <= before | after, write
    adapter.close()
