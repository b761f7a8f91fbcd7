"""Where each object stands, told as a difference to what is recorded."""

from dataclasses import replace

from bridge.model.identity import Kind, Scope
from bridge.model.observed import Change
from bridge.model.policy import Ref, Tier
from bridge.state.batch import Placement
from tests.intake.fold import EDGE, Bench, substance
from tests.intake.objects import external, namespace, policy, service, service_rule

RULE, BANK = Ref("ServiceEgressRule", "shop", "pay-out"), Ref("ExternalService", "shop", "bank")


def _shop() -> Bench:
    bench = Bench(EDGE, replace(EDGE, name="core"))
    bench.see(namespace(), service("pay", app="pay"), external(), service_rule())
    return bench


def _of(bench: Bench, ref: Ref) -> dict[str, Placement]:
    return {device: one for (about, device), one in bench.record.placements.items() if about == ref}


def test_one_for_each_device_that_a_rule_concerns() -> None:
    bench = _shop()
    found = _of(bench, RULE)
    assert set(found) == {"edge", "core"}
    assert {(key.kind, key.scope) for key in found["edge"].keys} == {
        (Kind.RULE_LIST, Scope.SERVICE),
        (Kind.GROUP, Scope.SERVICE),
        (Kind.GROUP, Scope.EXTERNAL),
    }
    assert found["edge"].tier is Tier.SERVICE
    assert _of(bench, BANK)["core"].tier is None
    batch = bench.see(service_rule(generation=2, devices=["edge"]))
    assert set(_of(bench, RULE)) == {"edge"}
    assert batch.placements == []
    assert set(batch.placements_gone) == {(RULE, "core"), (BANK, "core")}


def test_only_what_changed_is_told() -> None:
    bench = _shop()
    batch = bench.see(external("other", "198.51.100.1"), service_rule("second", to="other"))
    assert {one.ref.name for one in batch.placements} == {"second", "other"}
    bench.see(service_rule("second", to="other"), external("other", "198.51.100.1"), change=Change.DELETED)
    assert {ref for ref, _ in bench.record.placements} == {RULE, BANK}
    bench.restart()
    assert not substance(bench.commit())


def test_what_a_device_cannot_do_is_said_about_that_device() -> None:
    able = replace(EDGE, capabilities=replace(EDGE.capabilities, fqdn=True, wildcards=True))
    bench = Bench(able, replace(EDGE, name="core"))
    named = policy("ExternalService", "named", fqdns=["*.example.com"], ports="Any")
    deny = service_rule("no", to="named", action="Deny")
    bench.see(namespace(), service("pay", app="pay"), named, external(), deny, service_rule())
    no = _of(bench, Ref("ServiceEgressRule", "shop", "no"))
    assert (no["edge"].reason, no["core"].reason, no["core"].keys) == ("", "Unsupported", ())
    out = _of(bench, RULE)
    assert (out["edge"].reason, out["core"].reason) == ("", "Withheld")
    assert "ServiceEgressRule shop/no" in out["core"].message
    assert bench.record.verdicts[RULE].ok, "a person wrote it well"


def test_an_external_service_that_nobody_names_stands_nowhere() -> None:
    bench = Bench()
    bench.see(namespace(), external())
    assert bench.record.placements == {}
    assert bench.record.verdicts[BANK].ok


def test_carriers_of_annotations() -> None:
    bench = Bench()
    bench.see(namespace(annotation="all"), service("pay", annotation="all, some", app="pay"))
    assert {
        (str(ref), device): [key.name for key in one.keys] for (ref, device), one in bench.record.placements.items()
    } == {
        ("Namespace shop", "edge"): ["all"],
        ("Service shop/pay", "edge"): ["all", "some"],
    }
    bench.see(service("pay", annotation="Not A Name", app="pay"))
    assert {str(ref) for ref, _ in bench.record.placements} == {"Namespace shop"}
    verdict = bench.record.verdicts[Ref("Service", "shop", "pay")]
    assert (verdict.ok, verdict.uid) == (False, "svc-pay")
