"""What is no proof of an end: a status that was emptied, and a namespace that lists leave out while its pods are there."""

from bridge.model.identity import Scope
from bridge.model.observed import Change
from tests.intake.fold import Bench
from tests.intake.objects import external, namespace, pod, service, service_rule

ONE, TWO = "10.0.0.1", "10.0.0.2"


def _shop() -> Bench:
    """A governed namespace whose Service `pay` may reach the bank, and a pod of it."""
    bench = Bench()
    bench.see(namespace(), service("pay", app="pay"), external(), service_rule(), pod("pay-1", ONE))
    assert _pay(bench) == {ONE}
    return bench


def _pay(bench: Bench) -> set[str]:
    return bench.record.group(Scope.SERVICE, "pay")


def test_an_emptied_status_takes_nobody_out_over_a_restart_too() -> None:
    bench = _shop()
    bench.see(pod("pay-1"))
    assert _pay(bench) == {ONE}
    bench.restart()
    bench.see(pod("pay-1"))
    assert _pay(bench) == {ONE}


def test_after_it_another_address_an_end_or_another_pod_counts() -> None:
    for last, left in ((pod("pay-1", TWO), {TWO}), (pod("pay-1", phase="Succeeded"), set[str]())):
        bench = _shop()
        bench.see(pod("pay-1"))
        bench.see(last)
        assert _pay(bench) == left
    bench = _shop()
    bench.see(pod("pay-1"))
    bench.see(pod("cart-1", ONE, labels={"app": "cart"}, started=2))
    assert _pay(bench) == set()
    bench = _shop()
    bench.see(pod("pay-1"))
    bench.see(pod("pay-1"), change=Change.DELETED)
    assert _pay(bench) == set()
    assert bench.record.leases == {}


def test_a_namespace_that_is_not_listed_goes_after_its_pods() -> None:
    bench = _shop()
    bench.see(namespace(), change=Change.GONE)
    assert _pay(bench) == {ONE}
    bench.restart()
    bench.see(namespace(), change=Change.GONE)
    assert _pay(bench) == {ONE}
    bench.see(pod("pay-1", ONE), change=Change.DELETED)
    assert not any(
        one.kind == "group" and one.name == "pay" for one in bench.record.members if bench.record.members[one]
    )
    assert not any(value.name == "shop" for place, value in bench.record.objects.items() if place[0] == "namespaces")


def test_a_namespace_that_is_listed_again_is_not_doubted_any_longer() -> None:
    bench = _shop()
    bench.see(namespace(), change=Change.GONE)
    bench.see(namespace())
    bench.see(pod("pay-1", ONE), change=Change.DELETED)
    bench.see(pod("pay-2", TWO))
    assert _pay(bench) == {TWO}


def test_a_namespace_that_was_seen_to_go_goes() -> None:
    bench = _shop()
    bench.see(namespace(), change=Change.DELETED)
    assert not any(bench.record.members.values())
