"""Why something changes: the object, its version and who wrote it; for members the pods, the first few by name."""

from dataclasses import replace

from bridge.intake.causes import OF_OURSELVES
from bridge.model.identity import Kind, ObjectKey, Scope
from bridge.model.observed import Change
from bridge.policy.compile import Target
from bridge.state.batch import Batch
from tests.intake.fold import CLUSTER, EDGE, Bench, event
from tests.intake.objects import endpoints, external, namespace, pod, service, service_rule

PAY = ObjectKey(Kind.GROUP, CLUSTER, Scope.SERVICE, "shop", "pay")
BANK = ObjectKey(Kind.GROUP, CLUSTER, Scope.EXTERNAL, "shop", "bank")
ONE, TWO = "10.0.0.1", "10.0.0.2"


def _shop() -> Bench:
    bench = Bench()
    bench.see(namespace(), service("pay", app="pay"), external(), service_rule())
    return bench


def _causes(batch: Batch) -> dict[str, str]:
    return {key.name or str(key.kind): words for key, words in batch.causes.items()}


def test_pods_that_come_and_go_are_named_with_their_versions() -> None:
    bench = _shop()
    assert bench.see(pod("pay-1", ONE, resource_version="41")).causes[PAY] == "Pod shop/pay-1 at 41 joined"
    gone, new = pod("pay-1", ONE, resource_version="50"), pod("pay-2", TWO, resource_version="51")
    bench.take([event(Change.DELETED, gone), event(Change.UPSERT, new)])
    assert bench.commit().causes[PAY] == "Pod shop/pay-1 at 50 left, Pod shop/pay-2 at 51 joined"
    assert (
        bench.see(pod("pay-2", TWO, resource_version="60", phase="Succeeded")).causes[PAY]
        == "Pod shop/pay-2 at 60 left"
    )


def test_one_that_was_found_gone_has_no_version_of_its_going() -> None:
    bench = _shop()
    bench.see(pod("pay-1", ONE))
    assert bench.see(pod("pay-1", ONE), change=Change.GONE).causes[PAY] == "Pod shop/pay-1 left"


def test_an_address_that_changes_hands_names_both() -> None:
    bench = _shop()
    bench.see(service("cart", app="cart"), service_rule("cart-out", of="cart"), pod("pay-1", ONE, started=1))
    batch = bench.see(pod("cart-1", ONE, started=2, resource_version="77"))
    assert _causes(batch) == {"pay": "Pod shop/pay-1 left", "cart": "Pod shop/cart-1 at 77 joined"}


def test_the_first_few_and_how_many_more_each_pod_once() -> None:
    bench = _shop()
    batch = bench.see(*(pod(f"pay-{n}", f"10.0.0.{n}", f"fd00::{n}", resource_version=str(n)) for n in range(1, 8)))
    named = ", ".join(f"Pod shop/pay-{n} at {n} joined" for n in (1, 2, 3))
    assert batch.causes[PAY] == f"{named} and 4 more"


def test_what_moved_pods_that_did_not_change_comes_first() -> None:
    bench = _shop()
    bench.see(pod("pay-1", ONE), pod("cart-1", TWO))
    changed = replace(service("pay", app="cart"), resource_version="91", actor="ann")
    assert bench.see(changed).causes[PAY] in {
        "Service shop/pay at 91 by ann: Pod shop/pay-1 left, Pod shop/cart-1 joined",
        "Service shop/pay at 91 by ann: Pod shop/cart-1 joined, Pod shop/pay-1 left",
    }
    batch = bench.see(replace(namespace(governed=False), resource_version="92", actor="bob"))
    assert batch.causes[PAY] == "Namespace shop at 92 by bob"
    exempt = ObjectKey(Kind.GROUP, CLUSTER, Scope.BUILTIN, "", "exempt")
    assert batch.causes[exempt].startswith("Namespace shop at 92 by bob: Pod shop/")


def test_a_slice_is_named_where_it_selects() -> None:
    bench = Bench()
    bench.see(namespace(), service("pay"), external(), service_rule(), pod("pay-1", ONE))
    moved = replace(endpoints("a", "pay", ONE), resource_version="66")
    assert bench.see(moved).causes[PAY] == "EndpointSlice shop/a at 66: Pod shop/pay-1 joined"


def test_a_deletion_is_the_cause_of_what_goes() -> None:
    bench = _shop()
    bench.see(pod("pay-1", ONE))
    batch = bench.see(replace(service_rule(), resource_version="88", actor="ann"), change=Change.DELETED)
    assert batch.desired_gone
    assert {batch.causes[key] for _, key in batch.desired_gone} == {"ServiceEgressRule shop/pay-out deleted at 88"}
    batch = _shop().see(service_rule(), change=Change.GONE)
    assert {batch.causes[key] for _, key in batch.desired_gone} == {"ServiceEgressRule shop/pay-out found gone"}


def test_each_object_has_the_cause_that_is_its_own() -> None:
    bench = _shop()
    edit = replace(external("bank", "192.0.2.7", generation=2), resource_version="41", actor="ann")
    other = replace(external("mail", "192.0.2.8"), resource_version="42", actor="bob")
    rule = replace(service_rule("mail-out", to="mail"), resource_version="43", actor="cy")
    causes = {one.key: one.cause for one in bench.see(other, rule, edit).desired}
    assert causes[BANK] == "ExternalService shop/bank at 41 by ann"
    assert causes[replace(BANK, name="mail")] == (
        "ExternalService shop/mail at 42 by bob, ServiceEgressRule shop/mail-out at 43 by cy"
    )
    lists = [words for key, words in causes.items() if key.kind is Kind.RULE_LIST]
    assert lists == ["ServiceEgressRule shop/mail-out at 43 by cy"]


def test_what_nobody_wrote_comes_of_the_beginning_or_of_settings() -> None:
    bench = Bench()
    batch = bench.see(namespace())
    assert {one.cause for one in batch.desired} == {f"first picture of cluster {CLUSTER}"}
    core: Target = replace(EDGE, name="core")
    batch = Bench(EDGE, core, record=bench.record).commit()
    assert {(one.device, one.cause) for one in batch.desired} == {("core", OF_OURSELVES)}
