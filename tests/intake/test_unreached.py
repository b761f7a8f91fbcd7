"""A pod that is let through nowhere although a rule or a group is about it finds the reason on itself."""

from dataclasses import replace

import pytest

from bridge.model.observed import Change
from bridge.model.policy import Ref
from bridge.state.batch import Verdict
from tests.intake.fold import Bench, event
from tests.intake.objects import endpoints, external, namespace, pod, service, service_rule

ONE, TWO, STRANGE = "10.0.0.1", "10.0.0.2", "192.0.2.77"


def _shop() -> Bench:
    bench = Bench()
    bench.see(namespace(), service("pay", app="pay"), external(), service_rule())
    return bench


def _said(bench: Bench) -> dict[str, Verdict]:
    return {ref.name: verdict for ref, verdict in bench.record.verdicts.items() if ref.kind == "Pod"}


def _reasons(bench: Bench) -> dict[str, str]:
    return {name: verdict.reason for name, verdict in _said(bench).items()}


def test_an_address_outside_the_pod_ranges() -> None:
    bench = _shop()
    batch = bench.see(pod("pay-1", STRANGE, ONE), pod("pay-2", TWO))
    (said,) = batch.verdicts
    assert (said.ref, said.uid, said.ok, said.reason) == (
        Ref("Pod", "shop", "pay-1"), "uid-pay-1", False, "OutsidePodRanges",
    )  # fmt: skip
    assert STRANGE in said.message
    assert "10.0.0.0/24" in said.message
    bench.see(pod("pay-1", ONE))
    assert _said(bench) == {}


def test_the_network_of_a_node() -> None:
    bench = _shop()
    bench.see(pod("pay-1", "192.168.7.1", host_network=True), pod("agent-1", "192.168.7.1", host_network=True))
    assert _reasons(bench) == {"pay-1": "HostNetwork"}
    assert "node-1" in _said(bench)["pay-1"].message
    bench.see(pod("pay-1", "192.168.7.1", host_network=True), change=Change.DELETED)
    assert _said(bench) == {}


def test_an_address_that_another_pod_holds() -> None:
    bench = _shop()
    bench.see(pod("pay-1", ONE, started=1), pod("thief-1", ONE, started=2))
    assert _reasons(bench) == {"pay-1": "AddressConflict"}, (
        "the later one holds it, and no rule is about the thief anyway"
    )
    assert "Pod shop/thief-1" in _said(bench)["pay-1"].message
    bench.see(pod("thief-1", ONE, started=2), change=Change.DELETED)
    assert _said(bench) == {}


def test_who_gives_up_its_address_is_no_conflict() -> None:
    bench = _shop()
    bench.see(pod("pay-1", ONE, started=1, deleting=True), pod("pay-2", ONE, started=2))
    assert _said(bench) == {}
    bench.see(pod("pay-2", ONE, started=2, phase="Succeeded"))
    assert _said(bench) == {}


@pytest.mark.parametrize("trouble", ["strange", "host", "lost"])
def test_only_where_it_is_governed_and_something_is_about_it(trouble: str) -> None:
    bench = _shop()
    troubled = {
        "strange": pod("pay-1", STRANGE),
        "host": pod("pay-1", STRANGE, host_network=True),
        "lost": pod("pay-1", ONE, started=1),
    }
    bench.see(pod("other-1", ONE, started=9), troubled[trouble])
    assert set(_said(bench)) == {"pay-1"}
    said = _said(bench)
    bench.see(namespace(governed=False))
    assert _said(bench) == {}
    bench.see(namespace())
    assert _said(bench) == said
    bench.see(service_rule(), change=Change.DELETED)
    assert _said(bench) == {}
    bench.see(service_rule())
    assert _said(bench) == said
    bench.see(service("pay", app="cart"))
    assert _said(bench) == {}
    bench.see(service("pay", app="pay"))
    bench.restart()  # a pod that holds no address is not recorded: the list shows it
    assert not bench.see(troubled[trouble]).verdicts
    assert _said(bench) == said
    bench.see(replace(troubled[trouble], phase="Succeeded"))
    assert _said(bench) == {}


def test_over_a_restart_it_is_taken_back_when_it_is_no_longer_so() -> None:
    bench = _shop()
    bench.see(pod("pay-1", STRANGE), pod("pay-2", STRANGE, host_network=True))
    assert set(_said(bench)) == {"pay-1", "pay-2"}
    bench.restart()
    bench.take([event(Change.GONE, pod("pay-1", STRANGE))])
    bench.commit()
    assert _said(bench) == {}


def test_a_namesake_is_another_pod() -> None:
    bench = _shop()
    bench.see(pod("pay-0", STRANGE))
    bench.take([event(Change.UPSERT, pod("pay-0", STRANGE, uid="new")), event(Change.DELETED, pod("pay-0", STRANGE))])
    bench.commit()
    assert {verdict.uid for verdict in _said(bench).values()} == {"new"}
    bench.take(
        [event(Change.UPSERT, pod("pay-0", ONE, uid="good")), event(Change.DELETED, pod("pay-0", STRANGE, uid="new"))]
    )
    bench.commit()
    assert _said(bench) == {}


def test_a_service_without_selector_speaks_for_the_pods_of_its_slices() -> None:
    bench = Bench()
    bench.see(namespace(), service("pay"), external(), service_rule(), endpoints("a", "pay", STRANGE))
    bench.see(pod("x-1", STRANGE), pod("y-1", "192.0.2.78"))
    assert _reasons(bench) == {"x-1": "OutsidePodRanges"}


def test_a_mistake_in_its_annotation_is_told_first_and_with_its_uid() -> None:
    bench = _shop()
    bench.see(pod("pay-1", STRANGE, annotations={"fusionbridge.io/address-group": "Not A Name"}))
    assert [(one.reason, one.uid) for one in _said(bench).values()] == [("Invalid", "uid-pay-1")]
    bench.see(pod("pay-1", STRANGE))
    assert _reasons(bench) == {"pay-1": "OutsidePodRanges"}
    bench.see(namespace(annotation="Not A Name"))
    assert bench.record.verdicts[Ref("Namespace", "", "shop")].uid == "ns-shop"
