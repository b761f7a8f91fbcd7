"""Who is a member of what, case by case (SEMANTICS 1 and 2)."""

from dataclasses import replace

import pytest

from bridge.model.identity import Scope
from bridge.model.observed import Change, Observed, Resource, Undecodable
from bridge.state.batch import MemberChange, Slim
from tests.intake.fold import EXEMPT, Bench, event
from tests.intake.objects import endpoints, external, namespace, pod, service, service_rule

ONE, TWO = "10.0.0.1", "10.0.0.2"


def _shop() -> Bench:
    """A governed namespace whose Service `pay` may reach the bank."""
    bench = Bench()
    bench.see(namespace(), service("pay", app="pay"), external(), service_rule())
    return bench


def _pay(bench: Bench) -> set[str]:
    return bench.record.group(Scope.SERVICE, "pay")


def test_a_pod_joins_with_its_address_and_leaves_with_it() -> None:
    bench = _shop()
    bench.see(pod("pay-1"))
    assert _pay(bench) == set()
    assert bench.record.pods == {}, "nothing to record of a pod without an address"
    bench.see(pod("pay-1", ONE, "fd00::1"))
    assert _pay(bench) == {ONE, "fd00::1"}
    bench.see(pod("pay-1", TWO))
    assert _pay(bench) == {TWO}
    bench.see(pod("pay-1", TWO), change=Change.DELETED)
    assert _pay(bench) == set()
    assert bench.record.leases == {}


@pytest.mark.parametrize(
    "changes", [{"phase": "Succeeded"}, {"phase": "Failed"}, {"host_network": True}, {"labels": {"app": "cart"}}]
)
def test_who_is_no_member(changes: dict[str, object]) -> None:
    bench = _shop()
    bench.see(pod("pay-1", ONE))
    bench.see(pod("pay-1", ONE, **changes))
    assert _pay(bench) == set()


@pytest.mark.parametrize("changes", [{"phase": "Pending"}, {"deleting": True}, {"phase": "Unknown"}])
def test_from_init_containers_to_the_last_flush(changes: dict[str, object]) -> None:
    bench = _shop()
    bench.see(pod("pay-1", ONE, **changes))
    assert _pay(bench) == {ONE}


def test_an_address_outside_the_pod_ranges_is_held_and_never_a_member() -> None:
    bench = _shop()
    bench.see(pod("pay-1", "192.0.2.77", ONE))
    assert set(bench.record.leases) == {"192.0.2.77", ONE}
    assert _pay(bench) == {ONE}


def test_a_service_without_selector_takes_only_addresses_of_pods_of_its_namespace() -> None:
    bench = Bench()
    bench.see(namespace(), namespace("bank"), service("pay"), external(), service_rule())
    bench.see(
        pod("other-1", ONE),
        pod("thief-1", TWO, namespace="bank"),
        endpoints("a", "pay", ONE, TWO, "10.0.0.9", "192.0.2.9"),
    )
    assert _pay(bench) == {ONE}
    bench.see(endpoints("a", "pay", "10.0.0.9"), pod("late-1", "10.0.0.9"))
    assert _pay(bench) == {"10.0.0.9"}
    bench.see(endpoints("a", "pay", "10.0.0.9"), change=Change.DELETED)
    assert _pay(bench) == set()


def test_a_slice_that_changes_its_service_leaves_the_old_one() -> None:
    bench = Bench()
    bench.see(namespace(), service("pay"), external(), service_rule(), pod("x-1", ONE), endpoints("a", "pay", ONE))
    assert _pay(bench) == {ONE}
    bench.see(endpoints("a", "else", ONE))
    assert _pay(bench) == set()


def test_an_empty_selector_with_no_slices_matches_nobody() -> None:
    bench = Bench()
    bench.see(namespace(), service("pay"), external(), service_rule(), pod("pay-1", ONE))
    assert _pay(bench) == set()


def test_the_latest_start_owns_an_address_and_the_loser_does_not_take_it_back() -> None:
    bench = _shop()
    bench.see(pod("pay-1", ONE, started=10))
    bench.see(pod("cart-1", ONE, started=20))
    assert bench.record.leases == {ONE: "uid-cart-1"}
    assert _pay(bench) == set()
    bench.see(pod("pay-1", ONE, started=10, annotations={"touched": "again"}))
    assert bench.record.leases == {ONE: "uid-cart-1"}
    bench.see(pod("cart-1", ONE, started=20), change=Change.DELETED)
    assert bench.record.leases == {ONE: "uid-pay-1"}
    assert _pay(bench) == {ONE}


def test_a_loser_whose_own_addresses_change_may_take_one() -> None:
    bench = _shop()
    bench.see(pod("pay-1", TWO, started=-50), pod("cart-1", ONE, started=-20))
    bench.see(pod("pay-1", ONE, started=-50))
    assert bench.record.leases == {ONE: "uid-pay-1"}


def test_equal_starts_are_settled_by_uid_in_any_order() -> None:
    pods = [pod("a-1", ONE, uid="1"), pod("b-1", ONE, uid="2")]
    for order in (pods, pods[::-1]):
        bench = _shop()
        for one in order:
            bench.see(one)
        assert bench.record.leases == {ONE: "2"}


def test_a_terminal_pod_gives_its_address_to_a_running_one() -> None:
    bench = _shop()
    bench.see(pod("cart-1", ONE, started=20), pod("pay-1", ONE, started=10))
    bench.see(pod("cart-1", ONE, started=20, phase="Succeeded"))
    assert _pay(bench) == {ONE}


def test_ungoverned_namespaces_are_exempt_and_unknown_ones_are_not() -> None:
    """A pod may be seen before its namespace: it must not go free meanwhile."""
    bench = _shop()
    bench.see(namespace("free", governed=False), pod("x-1", ONE, namespace="free"), pod("y-1", TWO, namespace="new"))
    assert bench.record.members[EXEMPT] == {ONE}
    bench.see(namespace("new", governed=False))
    assert bench.record.members[EXEMPT] == {ONE, TWO}
    bench.see(namespace("new"))
    assert bench.record.members[EXEMPT] == {ONE}
    bench.see(namespace("free", governed=False), change=Change.DELETED)
    assert bench.record.members[EXEMPT] == set()


def test_labels_of_a_namespace_decide_at_once() -> None:
    bench = _shop()
    bench.see(pod("pay-1", ONE))
    bench.see(namespace(governed=False))
    assert bench.record.members == {EXEMPT: {ONE}}
    bench.see(namespace())
    assert _pay(bench) == {ONE}


@pytest.mark.parametrize("order", [1, -1])
def test_groups_by_annotation_are_a_union_within_one_namespace(order: int) -> None:
    bench = Bench()
    objects: list[Observed] = [
        namespace(),
        namespace("bank"),
        service("pay", annotation="out", app="pay"),
        service("cart", annotation="out, more", app="cart"),
        service("pay", annotation="out", place="bank", app="pay"),
        pod("pay-1", ONE),
        pod("cart-1", TWO),
        pod("pay-2", "10.0.0.3", namespace="bank"),
    ]
    bench.see(*objects[::order])
    assert bench.record.group(Scope.ANNOTATION, "out") == {ONE, TWO}
    assert bench.record.group(Scope.ANNOTATION, "more") == {TWO}
    assert bench.record.group(Scope.ANNOTATION, "out", "bank") == {"10.0.0.3"}
    bench.see(service("cart", app="cart"))
    assert bench.record.group(Scope.ANNOTATION, "out") == {ONE}


def test_a_whole_namespace_by_annotation_and_a_bad_value_on_another() -> None:
    bench = Bench()
    bench.see(namespace(annotation="all"), service("pay", annotation="Not A Name", app="pay"), pod("pay-1", ONE))
    assert bench.record.group(Scope.ANNOTATION, "all") == {ONE}
    assert [verdict.ref.name for verdict in bench.record.verdicts.values() if not verdict.ok] == ["pay"]


def test_removals_by_event_are_proven_and_by_absence_are_not() -> None:
    bench = _shop()
    bench.see(pod("pay-1", ONE), pod("pay-2", TWO))
    batch = bench.see(pod("pay-1", ONE), change=Change.DELETED)
    assert [one.inferred for one in batch.left] == [False]
    batch = bench.see(pod("pay-2", TWO), change=Change.GONE)
    assert batch.left == [MemberChange(batch.left[0].group, TWO, inferred=True, unproven=True)]
    assert [end.inferred for end in bench.record.ended] == [False, True]


def test_absence_whose_address_another_holds_is_proven() -> None:
    bench = _shop()
    bench.see(pod("pay-1", ONE, started=1))
    bench.take([event(Change.GONE, pod("pay-1", ONE, started=1)), event(Change.UPSERT, pod("cart-1", ONE, started=2))])
    batch = bench.commit()
    assert [one.inferred for one in batch.left] == [False]
    assert [end.inferred for end in batch.leases_ended] == [True], "that it ended is proven, not when"


def test_a_deletion_seen_after_an_absence_of_another_is_proven() -> None:
    bench = _shop()
    bench.see(pod("old-1", ONE, started=1), pod("pay-1", ONE, started=2))
    bench.take([event(Change.GONE, pod("old-1", ONE, started=1)), event(Change.DELETED, pod("pay-1", ONE, started=2))])
    assert [one.inferred for one in bench.commit().left] == [False]


def test_what_cannot_be_read_keeps_its_last_good_version_until_it_goes() -> None:
    bench = _shop()
    bench.see(pod("pay-1", ONE))
    broken = Undecodable(Resource.PODS, "uid-pay-1", "shop", "pay-1", "9", "status.podIP: no address")
    bench.take([replace(event(Change.UPSERT, pod("pay-1", ONE)), value=broken)])
    bench.commit()
    assert _pay(bench) == {ONE}
    bench.take([replace(event(Change.DELETED, pod("pay-1", ONE)), value=broken)])
    bench.commit()
    assert _pay(bench) == set()
    assert bench.record.leases == {}


def test_an_unreadable_service_goes_when_it_is_deleted() -> None:
    bench = _shop()
    bench.see(pod("pay-1", ONE))
    broken = Undecodable(Resource.SERVICES, "svc-pay", "shop", "pay", "9", "spec.selector: no mapping")
    bench.take([replace(event(Change.DELETED, service("pay")), value=broken)])
    bench.commit()
    assert _pay(bench) == set()


def test_the_end_of_a_predecessor_does_not_take_its_successor_along() -> None:
    """After an outage a list shows the new object first; the end of the one that had its name before comes after."""
    bench = _shop()
    bench.see(pod("pay-1", ONE))
    old: list[Slim] = [namespace(), service("pay", app="pay"), external(), service_rule()]
    new: list[Slim] = [replace(one, uid=f"new-{one.uid}") for one in old]
    bench.take([event(Change.UPSERT, one) for one in new])
    bench.take([event(Change.DELETED, one) for one in old])
    bench.commit()
    assert _pay(bench) == {ONE}
    assert bench.record.destination("bank") == {"192.0.2.1"}
    assert all(verdict.ok for verdict in bench.record.verdicts.values())
    bench.see(*new, change=Change.DELETED)
    assert not [key for key in bench.record.members if key.scope is not Scope.BUILTIN]
