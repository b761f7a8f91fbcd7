"""The reference evaluator, against a second writing of the same pages that knows nothing of pods, and against cases stated by hand."""

import pytest
from hypothesis import given

from bridge.model.observed import Namespace, Pod
from bridge.model.policy import Action
from bridge.policy.evaluate import Decision, Packet, Verdict, evaluate
from bridge.policy.select import service_selects
from tests.policy import reference
from tests.policy.world import NAMESPACES, PACKETS, SERVICES, Holder, World, worlds
from tests.policy.world import Packet as Seen


class Scene:
    """The small world as the evaluator asks for it."""

    def __init__(self, world: World) -> None:
        self._world = world

    def holder(self, address: str) -> tuple[Pod, Namespace | None] | None:
        held = self._world.holders.get(address)
        return None if held is None else (_pod(address, held), _namespace(held.namespace))

    def behind(self, namespace: str, service: str, pod: Pod) -> bool:
        return service_selects(SERVICES[namespace, service], pod)


def _pod(address: str, held: Holder) -> Pod:
    return Pod(
        uid=address,
        namespace=held.namespace,
        name=address.replace(".", "-").replace(":", "-"),
        resource_version="1",
        labels=held.labels,
        annotations={},
        service_account=held.account,
        owner="",
        node="node",
        phase="Running",
        host_network=False,
        addresses=(address,),
        started=None,
        deleting=False,
        gates=(),
    )


def _namespace(name: str) -> Namespace:
    return Namespace(name, name, "1", NAMESPACES[name], {}, deleting=False)


def _packet(each: Seen) -> Packet:
    return Packet(each.source, each.destination, each.protocol, each.port, each.icmp, each.number)


def _decided(world: World, packet: Packet) -> Decision:
    return evaluate(world.policy, world.defaults, Scene(world), packet)


@given(worlds())
def test_two_writings_of_the_semantics_agree(world: World) -> None:
    for each in PACKETS:
        packet = _packet(each)
        assert _decided(world, packet).verdict.value == reference.decide(world, each).value, packet


@given(worlds())
def test_a_decision_names_the_rule_that_took_it(world: World) -> None:
    rules = {rule.ref: rule for rule in world.rules}
    for each in PACKETS:
        found = _decided(world, _packet(each))
        assert all(rules[ref].action is Action.PASS for ref in found.passed)
        if found.rule is None:
            assert found.why
            assert found.verdict in (Verdict.DENY, Verdict.UNMATCHED)
        else:
            assert rules[found.rule].action.value == found.verdict.value
            assert rules[found.rule].tier is found.tier


@pytest.mark.parametrize("verdict", Verdict)
def test_only_deny_and_reject_stop(verdict: Verdict) -> None:
    assert verdict.stops == (verdict.value in ("Deny", "Reject"))


@given(worlds(most=3))
def test_a_destination_that_is_not_there_reaches_nothing(world: World) -> None:
    bare = World(world.holders, world.rules, {}, world.defaults)
    for each in PACKETS:
        found = _decided(bare, _packet(each))
        assert found.rule is None
        assert not found.passed
