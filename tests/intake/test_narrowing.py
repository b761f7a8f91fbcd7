"""Whom a group of everyone but some loses: living pods without proof, pods that are new or have taken an address over with it."""

from collections.abc import Iterable

import pytest

from bridge.model.addresses import overlap
from bridge.model.capabilities import Capabilities, Form
from bridge.model.identity import Kind, ObjectKey, Scope
from bridge.model.observed import Change
from bridge.policy.compile import Target
from bridge.state.batch import Batch, MemberChange
from tests.delivery.sequences import DENY
from tests.intake.fold import CLUSTER, EXEMPT, Bench, event
from tests.intake.objects import namespace, pod, policy

EVERYONE = ObjectKey(Kind.GROUP, CLUSTER, Scope.BUILTIN, "", "everyone")
ONE, TWO, FAR = "10.0.0.1", "10.0.0.2", "10.0.0.200"
FORMS = pytest.mark.parametrize("form", [Form.FLAT, Form.ALLOW_ONLY])
SOME = [{"protocol": "TCP", "port": "Any"}]


def _bench(form: Form) -> Bench:
    """One pod of a governed namespace, one of another, and everybody may reach the partner."""
    bench = Bench(Target("edge", Capabilities(form), DENY))
    bench.see(
        namespace(),
        namespace("free", governed=False),
        policy("ClusterExternalService", "partner", addresses=["192.0.2.1"], ports=SOME),
        policy("ClusterEgressRule", "allow-all", action="Allow", to=[{"name": "partner"}], priority=1),
        pod("pay-1", ONE),
        pod("free-1", "10.0.0.100", namespace="free"),
    )
    return bench


def _with(changes: Iterable[MemberChange], key: ObjectKey, address: str) -> list[bool]:
    """Of the members of a group that have the address, whether nothing proves their change."""
    return [one.unproven for one in changes if one.group == key and overlap([one.address], [address])]


def _lost(batch: Batch, address: str) -> list[bool]:
    return _with(batch.left, EVERYONE, address)


@FORMS
@pytest.mark.parametrize("restart", [False, True])
def test_living_pods_of_a_namespace_that_is_governed_no_longer_leave_without_proof(form: Form, restart: bool) -> None:
    bench = _bench(form)
    if restart:
        bench.restart()
    batch = bench.see(namespace(governed=False))
    assert _lost(batch, ONE) == [True]
    assert not any(one.unproven for one in batch.joined if one.group == EVERYONE)


@FORMS
def test_a_new_pod_and_one_that_takes_an_address_over_are_proof(form: Form) -> None:
    bench = _bench(form)
    assert _lost(bench.see(pod("free-2", TWO, namespace="free")), TWO) == [False]
    assert _lost(bench.see(pod("free-3", ONE, namespace="free", started=9)), ONE) == [False]


@FORMS
def test_of_two_in_one_batch_only_the_prefix_of_the_living_one_is_in_doubt(form: Form) -> None:
    bench = _bench(form)
    bench.take([event(Change.UPSERT, namespace(governed=False))])
    batch = bench.see(pod("free-2", FAR, namespace="free"))
    assert _lost(batch, ONE) == [True]
    assert _lost(batch, FAR) == [False]


def test_living_pods_become_exempt_without_proof_and_new_ones_with_it() -> None:
    bench = _bench(Form.TIERED)
    batch = bench.see(namespace(governed=False), pod("pay-2", TWO))
    assert _with(batch.joined, EXEMPT, ONE) == [True]
    assert _with(batch.joined, EXEMPT, TWO) == [False]
    bench.see(namespace("bank"))
    batch = bench.see(pod("cart-1", "10.0.0.100", namespace="bank", started=9))
    assert _with(batch.left, EXEMPT, "10.0.0.100") == [False]
