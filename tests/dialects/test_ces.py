"""The dialect of F5 CES in intake: order of sight, prefixes of a namespace, limits of the rate, and whatever JSON."""

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.dialects import ces
from bridge.dialects.dialect import Context
from bridge.model.capabilities import Capabilities, Form
from bridge.model.identity import Kind, ObjectKey, Scope
from bridge.model.intent import RuleList
from bridge.model.observed import Change
from bridge.model.policy import DefaultAction, Defaults, Ref, UnknownAddresses
from bridge.policy.compile import Target
from tests.dialects.any_json import ANY
from tests.dialects.ces_objects import BY_NAME, dialects, rule, service, subnet, written
from tests.intake.fold import CLUSTER, EDGE, Bench
from tests.intake.objects import pod

DEFAULTS = Defaults(DefaultAction.DENY, UnknownAddresses.DENY)


def bench(*targets: Target) -> Bench:
    made = Bench(*targets, dialects=dialects())
    made.see(subnet(None), pod("pay-1", "10.0.0.1"), service())
    return made


def lines(made: Bench, device: str = "edge") -> list[str]:
    """The rules on the device in their order."""
    body = made.record.bodies[device, ObjectKey(Kind.RULE_LIST, CLUSTER, Scope.NAMESPACE, "shop")]
    assert isinstance(body, RuleList)
    return [entry.name.partition("-.")[0] for entry in body.entries]


def test_what_was_seen_first_comes_first_whatever_it_does() -> None:
    made = bench()
    made.see(rule("c", "accept-decisively"))
    made.see(rule("b", "drop"))
    made.see(rule("a", "accept"))
    assert lines(made) == ["c", "b", "a"]


def test_what_is_seen_at_once_stands_by_its_age() -> None:
    made = bench()
    made.see(
        rule("a", "drop", created="2026-01-03T00:00:00Z"),
        rule("b", "drop", created="2026-01-02T00:00:00Z"),
        rule("c", "drop", created="2026-01-01T00:00:00Z"),
    )
    assert lines(made) == ["c", "b", "a"]


def test_the_order_stands_over_restarts_and_edits_and_ends_with_a_deletion() -> None:
    made = bench()
    made.see(rule("b", "drop"))
    made.see(rule("a", "drop"))
    assert lines(made) == ["b", "a"]
    for _ in range(2):
        made.restart()
        assert not made.commit().desired
        made.see(rule("b", "accept-decisively"), rule("c", "drop", created="2000-01-01T00:00:00Z"))
        assert lines(made) == ["b", "a", "c"]
        made.see(rule("b", "drop"))
    made.see(rule("b", "drop"), change=Change.DELETED)
    made.see(rule("b", "drop", uid="another"))
    assert lines(made) == ["a", "c", "b"]


def test_a_namesake_created_while_nobody_watched_is_seen_anew() -> None:
    made = bench()
    made.see(rule("b", "drop"))
    made.see(rule("a", "drop"))
    made.restart()
    made.see(rule("b", "drop", uid="another"))
    assert lines(made) == ["a", "b"]


def test_a_rule_that_is_mended_keeps_its_place() -> None:
    made = bench()
    made.see(rule("b", "nonsense"))
    made.see(rule("a", "drop"))
    made.restart()
    made.commit()
    made.see(rule("b", "drop"))
    assert lines(made) == ["b", "a"]


def group(made: Bench) -> set[str]:
    """Whom the namespace's rule is about, as the device is told."""
    entries = made.record.bodies["edge", ObjectKey(Kind.RULE_LIST, CLUSTER, Scope.NAMESPACE, "shop")]
    assert isinstance(entries, RuleList)
    (source,) = entries.entries[0].sources
    return made.record.members[source]


def test_the_source_follows_the_annotation_of_the_namespace() -> None:
    made = bench()
    made.see(rule("out", "accept-decisively"), pod("pay-2", "10.0.0.129"))
    assert group(made) == {"10.0.0.1", "10.0.0.129"}
    made.see(subnet("10.0.0.128/25"))
    assert "10.0.0.1" not in group(made)
    assert group(made)
    made.see(subnet(None))
    assert group(made) == {"10.0.0.1", "10.0.0.129"}


def test_prefixes_that_namespaces_share_stand_for_no_one_of_them() -> None:
    made = bench()
    made.see(rule("out", "accept-decisively"), pod("other", "10.0.0.130", namespace="bank"))
    made.see(subnet("10.0.0.0/24"))
    alone = set(group(made))
    assert "10.0.0.1" not in alone
    assert alone, "the prefix itself"
    made.see(subnet("10.0.0.0/24", "bank"))
    assert group(made) == {"10.0.0.1"}, "the pods of the namespace, and of no other"
    made.restart()
    assert not made.commit().desired
    assert group(made) == {"10.0.0.1"}
    made.see(subnet(None, "bank"))
    assert group(made) == alone


def test_an_annotation_that_cannot_be_read_takes_an_allow_away_and_is_told() -> None:
    made = bench()
    made.see(rule("out", "accept-decisively"))
    made.see(subnet("172.16.0.0/16"))
    (verdict,) = [one for ref, one in made.record.verdicts.items() if ref.name == "out"]
    assert not verdict.ok
    assert "lies outside the pod ranges" in verdict.message
    place = ("edge", ObjectKey(Kind.RULE_LIST, CLUSTER, Scope.NAMESPACE, "shop"))
    assert place not in made.record.desired
    made.see(subnet("10.0.0.0/25"))
    assert place in made.record.desired


def test_a_deny_whose_annotation_cannot_be_read_holds_back_what_is_below() -> None:
    made = bench()
    below = written("ServiceEgressRule", "pay", {"action": "accept", "service": "pay", "externalServices": ["bank"]})
    made.see(rule("out", "drop"), below)
    made.see(subnet("nonsense"))
    placed = made.record.placements[Ref("ServiceEgressRule.kubeovn.io", "shop", "pay"), "edge"]
    assert placed.reason == "Withheld"


def test_bandwidth_goes_where_it_is_known_and_is_told_of_elsewhere() -> None:
    able = Target("able", Capabilities(Form.TIERED, bandwidth=("bwc-1mbps-irule",)), DEFAULTS)
    made = Bench(EDGE, able, dialects=dialects())
    port = {"protocol": "TCP", "port": "443", "bandwidth": "bwc-1mbps-irule"}
    made.see(subnet(None), pod("pay-1", "10.0.0.1"), service(ports=[port]), rule("out", "accept-decisively"))
    found = {}
    for device in ("edge", "able"):
        body = made.record.bodies[device, ObjectKey(Kind.RULE_LIST, CLUSTER, Scope.NAMESPACE, "shop")]
        assert isinstance(body, RuleList)
        found[device] = [entry.bandwidth for entry in body.entries]
    assert found == {"edge": [""], "able": ["bwc-1mbps-irule"]}
    verdict = made.record.verdicts[Ref("NamespaceEgressRule.kubeovn.io", "shop", "out")]
    assert verdict.ok
    assert (
        verdict.message
        == "on edge: the device has no limit of bandwidth named bwc-1mbps-irule: the rule stands without"
    )


@pytest.mark.parametrize("home", ["kube-system", "ces"])
def test_cluster_rules_look_where_the_controller_runs(home: str) -> None:
    made = Bench(dialects=dialects(home))
    everywhere = written("ClusterEgressRule", "all", {"action": "drop", "externalServices": ["bank"]})
    made.see(subnet(None), pod("pay-1", "10.0.0.1"), service(place="ces"), service(place="shop"), everywhere)
    assert made.record.verdicts[Ref("ClusterEgressRule.kubeovn.io", "", "all")].ok is (home == "ces")


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(kind=st.sampled_from(sorted(BY_NAME)), spec=ANY, base=st.booleans(), key=st.text(max_size=3))
def test_any_json_is_taken_or_refused_with_a_reason(kind: str, spec: object, base: bool, key: str) -> None:
    good = {
        "addresses": ["192.0.2.1"],
        "ports": [{"protocol": "TCP", "port": "443"}],
        "action": "drop",
        "service": "web",
        "externalServices": ["bank"],
    }
    fields = (
        ["addresses", "ports"] if kind == "ExternalService" else ["action", "externalServices", "logging", "service"]
    )
    whole = {name: value for name, value in good.items() if name in fields}
    if base:
        whole[fields[len(key) % len(fields)]] = spec
    elif isinstance(spec, dict):
        whole = spec
    assert all(error.reason for error in dialects().problems(written(kind, "it", whole), Context(("10.0.0.0/8",))))


@given(text=st.text(st.characters(codec="utf-8"), max_size=20))
def test_any_annotation_is_taken_or_refused_with_a_reason(text: str) -> None:
    around = Context(("10.0.0.0/8",), annotations=lambda _: {ces.CIDR: text})
    assert all(error.reason for error in dialects().problems(rule("it", "drop"), around))


def test_a_bad_object_leaves_the_others_as_they_are() -> None:
    made = bench()
    made.see(rule("good", "drop"))
    before = dict(made.record.bodies)
    bad = replace(rule("bad", "drop"), spec={"action": {"deep": [None]}, "externalServices": 7})
    made.see(bad, service("worse", "nowhere at all"))
    assert made.record.bodies == before
