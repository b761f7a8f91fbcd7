"""What of the written policy is in force, and what its author is told (SEMANTICS 4)."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import permutations

import pytest

from bridge.intake.causes import together
from bridge.model.identity import Kind, ObjectKey, Scope
from bridge.model.intent import RuleList
from bridge.model.observed import Change, PolicyObject, Resource, Undecodable
from bridge.model.policy import Action, Ref
from bridge.policy.compile import Target
from bridge.state.batch import Verdict
from tests.intake.fold import EDGE, Bench, event
from tests.intake.objects import external, namespace, pod, policy, service, service_rule

BACKWARDS = [{"protocol": "TCP", "port": 90, "endPort": 80}]


def _shop() -> Bench:
    bench = Bench()
    bench.see(namespace(), service("pay", app="pay"), pod("pay-1", "10.0.0.1"), external(), service_rule())
    return bench


def _verdict(bench: Bench, name: str) -> Verdict:
    (found,) = [verdict for ref, verdict in bench.record.verdicts.items() if ref.name == name]
    return found


def _lists(bench: Bench, scope: Scope = Scope.SERVICE) -> list[str]:
    return [str(key) for _, key in bench.record.desired if key.kind is Kind.RULE_LIST and key.scope is scope]


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (external("bad", "300.1.2.3"), "300.1.2.3"),
        (replace(external("bad"), spec={"addresses": ["192.0.2.1"], "ports": BACKWARDS}), "backwards"),
        (service_rule("bad", to="nowhere"), "nowhere"),
        (policy("ServiceEgressRule", "bad", service="pay", action="Pass", to=[{"name": "bank"}]), "action"),
        (policy("AddressGroup", "bad", podSelector=7), "podSelector"),
    ],
)
def test_a_mistake_is_told_and_stops_nothing_else(bad: PolicyObject, words: str) -> None:
    bench = _shop()
    before = dict(bench.record.desired)
    bench.see(bad, external("other", "198.51.100.1"), service_rule("second", to="other"))
    verdict = _verdict(bench, "bad")
    assert not verdict.ok
    assert verdict.reason == "Invalid"
    assert words in verdict.message
    assert _verdict(bench, "second").ok
    assert bench.record.desired.keys() > before.keys()


def test_a_rejected_edit_leaves_the_last_accepted_version_over_a_restart_too() -> None:
    bench = _shop()
    bench.see(external("bank", "300.1.2.3", generation=2))
    for _ in range(2):
        assert bench.record.destination("bank") == {"192.0.2.1"}
        assert "stays in force" in _verdict(bench, "bank").message
        bench.restart()
        bench.commit()
    bench.see(external("bank", "192.0.2.2", generation=3))
    assert bench.record.destination("bank") == {"192.0.2.2"}
    assert _verdict(bench, "bank").ok


def test_a_rule_edited_to_name_nothing_keeps_what_it_did() -> None:
    bench = _shop()
    before = dict(bench.record.desired)
    bench.see(service_rule(to="nowhere", generation=2))
    assert bench.record.desired == before
    bench.see(service_rule(to="nowhere", generation=2), change=Change.DELETED)
    assert _lists(bench) == []


def test_what_is_not_even_readable_keeps_its_last_version_until_deleted() -> None:
    bench = _shop()
    broken = Undecodable(Resource.EXTERNAL_SERVICES, external().uid, "shop", "bank", "7", "spec: not a mapping")
    bench.take([replace(event(Change.UPSERT, external()), value=broken)])
    bench.commit()
    assert bench.record.destination("bank") == {"192.0.2.1"}
    assert "not a mapping" in _verdict(bench, "bank").message
    bench.see(service_rule(), change=Change.DELETED)
    bench.take([replace(event(Change.DELETED, external()), value=broken)])
    bench.commit()
    assert not bench.record.verdicts
    assert not [place for place in bench.record.objects if place[0] is Resource.EXTERNAL_SERVICES]


def test_a_deleted_external_service_stays_while_it_is_named() -> None:
    bench = _shop()
    bench.see(external(), change=Change.DELETED)
    assert bench.record.destination("bank") == {"192.0.2.1"}
    assert _verdict(bench, "bank").reason == "Missing"
    bench.restart()
    bench.commit()
    assert bench.record.destination("bank") == {"192.0.2.1"}
    bench.see(service_rule(), change=Change.DELETED)
    assert not bench.record.verdicts


def test_a_deleted_external_service_that_comes_back_otherwise() -> None:
    bench = _shop()
    bench.see(external(), change=Change.DELETED)
    bench.see(external("bank", "192.0.2.9", uid="new"))
    assert bench.record.destination("bank") == {"192.0.2.9"}
    assert _verdict(bench, "bank").ok


def test_a_rule_deleted_and_written_anew_has_no_earlier_version_to_fall_back_on() -> None:
    bench = _shop()
    bench.see(replace(service_rule(to="nowhere"), uid="new"))
    assert _lists(bench) == []
    assert "stays in force" not in _verdict(bench, "pay-out").message


def test_an_ungoverned_namespace_has_no_rules() -> None:
    bench = _shop()
    bench.see(namespace(governed=False))
    assert _verdict(bench, "pay-out").reason == "NamespaceNotGoverned"
    assert _lists(bench) == []
    bench.see(namespace())
    assert _verdict(bench, "pay-out").ok
    assert len(_lists(bench)) == 1


def test_a_rule_before_what_it_names() -> None:
    bench = Bench()
    bench.see(service_rule())
    assert _verdict(bench, "pay-out").reason == "NamespaceNotGoverned"
    bench.see(namespace())
    assert _verdict(bench, "pay-out").reason == "Invalid"
    bench.see(external())
    assert _verdict(bench, "pay-out").ok


def _orders() -> Iterator[tuple[PolicyObject, ...]]:
    rules = (service_rule(), service_rule("deny", action="Deny"))
    yield from permutations((*rules, external()))


@pytest.mark.parametrize("order", list(_orders()))
def test_in_whatever_order_they_go_nothing_is_left(order: tuple[PolicyObject, ...]) -> None:
    bench = Bench()
    bench.see(namespace(), service("pay", app="pay"), external(), service_rule(), service_rule("deny", action="Deny"))
    empty = Bench()
    empty.see(namespace(), service("pay", app="pay"))
    for one in order:
        bench.see(one, change=Change.DELETED)
    assert bench.record.desired == empty.record.desired
    assert bench.record.verdicts == {}


def test_names_with_a_star_on_a_device_without_names() -> None:
    bench = Bench(replace(EDGE, capabilities=replace(EDGE.capabilities, fqdn=False)))
    named = policy("ExternalService", "named", fqdns=["*.example.com"], ports="Any")
    bench.see(namespace(), service("pay", app="pay"), named, external(), service_rule("no", to="named", action="Deny"))
    bench.see(service_rule())
    assert _verdict(bench, "no").reason == "Unsupported"
    assert "edge" in _verdict(bench, "no").message
    assert _verdict(bench, "pay-out").ok
    assert _verdict(bench, "pay-out").message == ""


def test_each_device_gets_what_concerns_it() -> None:
    core: Target = replace(EDGE, name="core", namespaces=frozenset({"bank"}))
    bench = Bench(EDGE, core)
    bench.see(namespace(), namespace("bank"), service("pay", app="pay"), external(), service_rule(devices=["edge"]))
    assert {
        device for device, key in bench.record.desired if key.kind is Kind.RULE_LIST and key.scope is Scope.SERVICE
    } == {"edge"}


def test_the_cause_names_who_did_what() -> None:
    bench = _shop()
    batch = bench.see(replace(external("bank", "192.0.2.7", generation=2), actor="ann", resource_version="41"))
    assert [one.cause for one in batch.desired] == ["ExternalService shop/bank at 41 by ann"]
    assert together(str(number) for number in range(5)) == "0, 1, 2 and 2 more"


def _of_another_version(bench: Bench, *names: str) -> None:
    """These objects, accepted once, are not to be read by the version that starts now."""
    for ref, verdict in bench.record.verdicts.items():
        if ref.name in names and verdict.accepted is not None:
            later = replace(verdict.accepted, spec={**verdict.accepted.spec, "fromALaterVersion": 1})
            bench.record.verdicts[ref] = replace(verdict, accepted=later)
            bench.record.objects[later.resource, later.namespace, later.name] = later
    bench.restart()
    bench.commit()


def _reason(bench: Bench, name: str) -> str:
    (found,) = [one.reason for (ref, _), one in bench.record.placements.items() if ref.name == name]
    return found


def _withheld(bench: Bench, scope: Scope) -> set[str]:
    lists = [
        value for value in bench.record.bodies.values() if isinstance(value, RuleList) and value.key.scope is scope
    ]
    return {entry.name.partition("_")[0] for each in lists for entry in each.entries if entry.withheld}


def test_an_accepted_rule_whose_destination_cannot_be_read_any_more_is_closed() -> None:
    bench = _shop()
    deny = policy("NamespaceEgressRule", "no", action="Deny", to=[{"name": "bank"}, {"name": "other"}])
    bench.see(external("other", "198.51.100.1"), deny)
    _of_another_version(bench, "bank")
    assert (_reason(bench, "no"), _reason(bench, "pay-out")) == ("Unsupported", "Unsupported")
    assert "cannot read ExternalService shop/bank" in _verdict(bench, "no").message
    lines = bench.record.bodies["edge", ObjectKey(Kind.RULE_LIST, "east", Scope.NAMESPACE, "shop")]
    assert isinstance(lines, RuleList)
    assert [entry.name for entry in lines.entries] == ["no_other_any"], "what is left of a Deny still denies"
    bench.see(service_rule("second", to="other"))
    assert _withheld(bench, Scope.SERVICE) == {"second"}
    bench.see(external("bank", generation=2))
    assert _withheld(bench, Scope.SERVICE) == set()
    assert _verdict(bench, "no").ok


def test_an_accepted_deny_that_cannot_be_read_any_more_withholds_what_is_below_it() -> None:
    bench = _shop()
    bench.see(policy("NamespaceEgressRule", "no", action="Deny", to=[{"name": "bank"}]))
    _of_another_version(bench, "no")
    assert _reason(bench, "no") == "Unsupported"
    assert "stays in force" not in _verdict(bench, "no").message
    assert _withheld(bench, Scope.SERVICE) == {"pay-out"}
    bench.restart()
    bench.commit()
    assert _withheld(bench, Scope.SERVICE) == {"pay-out"}, "over another restart too"
    bench.see(policy("NamespaceEgressRule", "no", action="Deny", to=[{"name": "bank"}]), change=Change.DELETED)
    assert _withheld(bench, Scope.SERVICE) == set()


def test_an_allow_that_cannot_be_read_any_more_is_gone() -> None:
    bench = _shop()
    _of_another_version(bench, "pay-out")
    assert _lists(bench) == []
    assert not _verdict(bench, "pay-out").ok


def test_a_reject_that_a_device_cannot_answer_is_accepted_with_a_warning() -> None:
    silent = replace(EDGE, name="silent", capabilities=replace(EDGE.capabilities, reject=False))
    bench = Bench(EDGE, silent)
    bench.see(namespace(), service("pay", app="pay"), external(), service_rule(action="Reject"))
    verdict = _verdict(bench, "pay-out")
    assert (verdict.ok, verdict.reason) == (True, "Accepted")
    assert verdict.message == "on silent: the device cannot answer: Reject is Deny there, which is silent"
    key = ObjectKey(Kind.RULE_LIST, "east", Scope.SERVICE, "shop")
    lists = [bench.record.bodies[device, key] for device in ("edge", "silent")]
    assert [each.entries[0].action for each in lists if isinstance(each, RuleList)] == [Action.REJECT, Action.DENY]
    ref = Ref("ServiceEgressRule", "shop", "pay-out")
    placed = {device: one for (about, device), one in bench.record.placements.items() if about == ref}
    assert (placed["silent"].reason, placed["edge"].message) == ("", "")
    assert "silent" in placed["silent"].message
