"""Random policies on an account whose interfaces are every destination: read back, and each packet decided as the evaluator decides it."""

import os
from collections.abc import Callable
from dataclasses import replace
from random import Random

import pytest

from adapters.aws import factory
from bridge.lab.devices.aws import Aws
from bridge.lab.devices.aws.item import State
from bridge.lab.devices.aws.referee import Interfaces
from bridge.lab.devices.aws.rig import AwsRig, verdict
from bridge.model.capabilities import Form
from bridge.policy.evaluate import Verdict
from tests.adapters.forms.fleet import Fleet, drawn, questions
from tests.adapters.forms.judges import Judge, Senders, decided
from tests.adapters.forms.test_forms import FENCE, push
from tests.policy.world import INSIDE, OUTSIDE

SEED = int(os.environ["BRIDGE_TEST_SEED"])
WORLDS, AT_ONCE, PACKETS = 40, 10, 40


def _judges(state: State, interfaces: Interfaces) -> Callable[[str], Judge]:
    """The referee, asked with those rules alone whose list holds the sender."""
    senders = Senders({one.id: [prefix for prefix, _ in one.entries] for one in state.prefix_lists()})
    rules = [rule for rule in state.rules() if not rule.egress]

    def narrow(sender: str) -> Judge:
        holding = senders.holding(sender)
        admitting = [rule for rule in rules if rule.peer in holding]
        kept = State({name: state[name] for rule in admitting for name in (rule.id, rule.peer)})
        return lambda packet: verdict(kept, interfaces, packet)

    return narrow


@pytest.mark.timeout(120)
def test_every_packet_is_decided_as_the_evaluator_decides_it() -> None:
    print(f"BRIDGE_TEST_SEED={SEED}")
    chance, seen = Random(SEED), set[Verdict]()
    worlds = chance.sample(drawn(5 * WORLDS, SEED), WORLDS)  # neighbours among those drawn are much alike
    behind = [f"{to}/{128 if ':' in to else 32}" for to in (*OUTSIDE, *INSIDE)]
    with Aws(tls=False) as device:
        rig = AwsRig(device, behind, rules=1000)
        config = rig.config()
        adapter = factory.open(replace(config, scope={**config.scope, "headroom": 0}))
        adapter.raise_fence(FENCE)
        for start in range(0, WORLDS, AT_ONCE):
            together = worlds[start : start + AT_ONCE]
            fleet, asked = Fleet.of(together, adapter.capabilities), questions(together, PACKETS, chance)
            push(adapter, fleet.objects)
            answers = list(decided(asked, _judges(device.state(), dict(device.interfaces))))
            wrong = [(together[one.world], one, found) for one, found in fleet.wrong(Form.ALLOW_ONLY, answers)]
            assert not wrong, (f"seed {SEED}", len(wrong), wrong[0])
            assert len(fleet.closed) < AT_ONCE / 2, "too little was compiled as written"
            seen |= {found for _, found in answers}
        adapter.close()
    assert seen == {Verdict.ALLOW, Verdict.UNMATCHED}
