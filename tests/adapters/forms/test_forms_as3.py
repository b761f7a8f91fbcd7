"""Random policies on a BIG-IP whose policies AS3 makes: one list at a virtual server, decided as the evaluator decides it."""

from dataclasses import replace
from random import Random

import pytest

from adapters.bigip import factory
from bridge.lab.devices.bigip.as3_rig import as3_rig
from bridge.lab.devices.bigip.item import State
from bridge.lab.devices.bigip.kinds import VIRTUAL
from bridge.model.capabilities import Form
from bridge.policy.evaluate import Verdict
from tests.adapters.forms.fleet import Fleet, drawn, questions
from tests.adapters.forms.judges import bigip_judges, decided
from tests.adapters.forms.test_forms import AT_ONCE, FENCE, PACKETS, SEED, push


def seen(state: State) -> State:
    """The virtual server of the tenant where the judges look for one."""
    served = state[VIRTUAL, "/fb_egress/firewall/egress"]
    return {**state, (VIRTUAL, "/Common/egress"): replace(served, path="/Common/egress")}


@pytest.mark.timeout(120)
def test_every_packet_is_decided_as_the_evaluator_decides_it() -> None:
    """AS3 has no types of ICMP, so more is closed than elsewhere."""
    worlds = Random(SEED).sample(drawn(2 * AT_ONCE, SEED), AT_ONCE)  # neighbours among those drawn are much alike
    with as3_rig() as rig:
        rig.reset()
        adapter = factory.open(rig.config())
        adapter.raise_fence(FENCE)
        fleet = Fleet.of(worlds, adapter.capabilities)
        push(adapter, fleet.objects)
        adapter.close()
        answers = list(decided(questions(worlds, PACKETS, Random(SEED)), bigip_judges(seen(rig.device.state()))))
    wrong = list(fleet.wrong(Form.FLAT, answers))
    assert not wrong, (f"seed {SEED}", len(wrong), worlds[wrong[0][0].world], wrong[0])
    assert len(fleet.closed) < AT_ONCE / 2, "too little was compiled as written"
    assert {found for _, found in answers} == set(Verdict)
