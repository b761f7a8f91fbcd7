"""The native dialect: what the samples mean, which mistakes are told where, and that nothing but PolicyError ever comes out."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.dialects import kinds, native
from bridge.dialects.specs import Invalid
from bridge.model.policy import (
    ALWAYS,
    Action,
    AddressGroupSpec,
    Day,
    ExternalService,
    IcmpType,
    Operator,
    PortRange,
    Protocol,
    Ref,
    Requirement,
    Rule,
    Selector,
    Source,
    SourceKind,
    Tier,
    Traffic,
    Validity,
    Window,
)
from tests.dialects.objects import GOOD, RULE, SERVICE_RULE, Spec, policy, ports, sample, samples


def test_every_sample_of_ours_parses() -> None:
    parsed = {item["kind"] for item in samples() if item["apiVersion"] == kinds.API_VERSION}
    assert parsed == set(kinds.BY_NAME)
    for item in samples():
        if item["kind"] in parsed:
            native.parse(sample(item["kind"], item["metadata"]["name"]))


def test_a_service_rule() -> None:
    assert native.parse_rule(sample("ServiceEgressRule", "allow-payment-provider")) == Rule(
        ref=Ref("ServiceEgressRule", "shop", "allow-payment-provider"),
        tier=Tier.SERVICE,
        priority=1000,
        action=Action.ALLOW,
        source=Source(SourceKind.SERVICE, namespace="shop", service="paymentservice"),
        destinations=(
            Ref("ClusterExternalService", "", "corporate-dns"),
            Ref("ExternalService", "shop", "payment-provider"),
        ),
        log=True,
    )


def test_a_namespace_rule() -> None:
    assert native.parse_rule(sample("NamespaceEgressRule", "no-payments-from-batch")) == Rule(
        ref=Ref("NamespaceEgressRule", "shop", "no-payments-from-batch"),
        tier=Tier.NAMESPACE,
        priority=200,
        action=Action.REJECT,
        source=Source(
            SourceKind.NAMESPACE,
            namespace="shop",
            pods=Selector((Requirement("workload", Operator.IN, ("batch",)),)),
        ),
        destinations=(Ref("ExternalService", "shop", "payment-network"),),
        log=True,
    )


def test_a_cluster_rule() -> None:
    rule = native.parse_rule(sample("ClusterEgressRule", "allow-corporate-dns"))
    assert (rule.tier, rule.priority, rule.log, rule.devices) == (Tier.CLUSTER, 100, False, ())
    assert rule.destinations == (Ref("ClusterExternalService", "", "corporate-dns"),)
    assert rule.source == Source(
        SourceKind.CLUSTER,
        pods=Selector((Requirement("network-zone", Operator.NOT_IN, ("isolated",)),)),
        namespaces=Selector((Requirement("fusionbridge.io/egress", Operator.IN, ("governed",)),)),
    )


@pytest.mark.parametrize("source", [None, {}, {"podSelector": {}}, {"podSelector": {"matchLabels": {}}}])
def test_an_empty_source_is_the_whole_of_the_tier(source: Spec | None) -> None:
    spec = RULE if source is None else RULE | {"from": source}
    assert native.parse_rule(policy("ClusterEgressRule", spec)).source.whole_cluster
    in_namespace = native.parse_rule(policy("NamespaceEgressRule", spec)).source
    assert in_namespace == Source(SourceKind.NAMESPACE, namespace="shop")


def test_an_external_service() -> None:
    assert native.parse_external_service(sample("ExternalService", "payment-provider")) == ExternalService(
        ref=Ref("ExternalService", "shop", "payment-provider"),
        addresses=("198.51.100.0/26", "2001:db8:a11::/48"),
        fqdns=("api.payments.example.com", "webhooks.payments.example.com"),
        traffic=(Traffic(Protocol.TCP, (PortRange(443, 443), PortRange(8443, 8447))),),
    )


def test_ports_any_is_all_traffic() -> None:
    everything = native.parse_external_service(sample("ExternalService", "payment-network"))
    assert everything.traffic == (Traffic(Protocol.ANY),)


def test_types_of_icmp_and_protocols_by_number() -> None:
    lines = (
        {"protocol": "ICMP", "type": 8},
        {"protocol": "ICMP", "type": 3, "code": 4},
        {"protocol": "ICMP", "type": 8, "code": 0},
        {"protocol": "ICMPv6", "type": 128},
        {"protocol": "ICMPv6"},
        {"protocol": 89},
        {"protocol": 47},
        {"protocol": 89},
    )
    assert native.parse_external_service(policy("ExternalService", ports(*lines))).traffic == (
        Traffic(Protocol.ICMP, icmp=(IcmpType(3, 4), IcmpType(8))),
        Traffic(Protocol.ICMPV6),
        Traffic(Protocol.OTHER, number=47),
        Traffic(Protocol.OTHER, number=89),
    )


def test_service_accounts_carry_their_namespace() -> None:
    assert native.parse_rule(policy("NamespaceEgressRule", accounts("b", "a"))).source == Source(
        SourceKind.NAMESPACE, "shop", service_accounts=("shop/a", "shop/b")
    )
    source = native.parse_rule(policy("ClusterEgressRule", accounts("shop/payer", "bank/x.y"))).source
    assert source == Source(SourceKind.CLUSTER, service_accounts=("bank/x.y", "shop/payer"))
    assert not source.whole_cluster
    group = native.parse_address_group(policy("AddressGroup", {"serviceAccounts": ["shop/payer"]}))
    assert group.source.service_accounts == ("shop/payer",)


def test_times() -> None:
    spec = window(end="24:00") | {"notBefore": "2026-07-01T08:00:00+02:00", "notAfter": "2026-12-31T23:59:59.5Z"}
    assert native.parse_rule(policy("NamespaceEgressRule", spec)).validity == Validity(
        datetime(2026, 7, 1, 6, tzinfo=UTC),
        datetime(2026, 12, 31, 23, 59, 59, 500_000, tzinfo=UTC),
        frozenset({Window(frozenset({Day.MON, Day.FRI}), 480, 1440, "Europe/Berlin")}),
    )
    assert native.parse_rule(policy("NamespaceEgressRule", RULE)).validity == ALWAYS


def test_an_address_group() -> None:
    group = native.parse_address_group(sample("AddressGroup", "card-network"))
    assert group.ref == Ref("AddressGroup", "", "card-network")
    assert group.source.namespaces.matches({"team": "settlement"})
    assert not group.source.namespaces.matches({"team": "search"})
    assert group.source.pods == Selector((Requirement("card-network", Operator.IN, ("true",)),))


def test_an_empty_address_group_is_the_whole_cluster() -> None:
    parsed = native.parse(policy("AddressGroup", {"devices": ["edge-2", "edge-1"]}))
    assert isinstance(parsed, AddressGroupSpec)
    assert parsed.source.whole_cluster
    assert parsed.devices == ("edge-1", "edge-2")


def test_notation_and_order_do_not_matter() -> None:
    one = {
        "addresses": ["192.0.2.0-192.0.2.3", "2001:DB8:0::1"],
        "fqdns": ["B.example.com", "a.example.com"],
        "ports": "Any",
    }
    two = {
        "addresses": ["2001:db8::1/128", "192.0.2.0/30"],
        "fqdns": ["a.example.com", "b.example.com"],
        "ports": "Any",
    }
    assert native.parse(policy("ExternalService", one)) == native.parse(policy("ExternalService", two))


def test_selectors_that_say_the_same_are_equal() -> None:
    labels = {"matchLabels": {"b": "2", "a": "1"}}
    expressions = {
        "matchExpressions": [
            {"key": "a", "operator": "In", "values": ["1", "1"]},
            {"key": "b", "operator": "In", "values": ["2"]},
        ]
    }
    one, two = (native.parse(policy("AddressGroup", {"podSelector": selector})) for selector in (labels, expressions))
    assert one == two


def test_touching_and_overlapping_ports_become_one_range() -> None:
    spec = ports(
        {"protocol": "UDP", "port": 53},
        {"protocol": "TCP", "port": 90, "endPort": 99},
        {"protocol": "TCP", "port": 80, "endPort": 89},
        {"protocol": "TCP", "port": 85, "endPort": 95},
        {"protocol": "ICMPv6"},
    )
    service = native.parse_external_service(policy("ExternalService", spec))
    assert service.traffic == (
        Traffic(Protocol.ICMPV6),
        Traffic(Protocol.TCP, (PortRange(80, 99),)),
        Traffic(Protocol.UDP, (PortRange(53, 53),)),
    )


def test_port_any_swallows_the_others_of_its_protocol_only() -> None:
    spec = ports({"protocol": "TCP", "port": 1}, {"protocol": "TCP", "port": "Any"}, {"protocol": "UDP", "port": 1})
    service = native.parse_external_service(policy("ExternalService", spec))
    assert service.traffic == (Traffic(Protocol.TCP), Traffic(Protocol.UDP, (PortRange(1, 1),)))


def test_parsers_refuse_to_guess_the_kind() -> None:
    with pytest.raises(ValueError, match="no rules"):
        native.parse_rule(policy("AddressGroup", {}))


def addresses(*items: object) -> Spec:
    return {"addresses": list(items), "ports": "Any"}


def fqdns(*items: object) -> Spec:
    return {"fqdns": list(items), "ports": "Any"}


def pods(**selector: object) -> Spec:
    return {"podSelector": selector}


def accounts(*names: str) -> Spec:
    return RULE | {"from": {"serviceAccounts": list(names)}}


def window(**parts: object) -> Spec:
    office = {"days": ["Mon", "Fri"], "start": "08:00", "end": "18:00", "timeZone": "Europe/Berlin"}
    return RULE | {"windows": [office | parts]}


MISTAKES: list[tuple[str, Spec, str, str]] = [
    ("ExternalService", addresses("300.1.2.3"), "spec.addresses[0]", "not an address, prefix or range"),
    ("ExternalService", addresses("192.0.2.1", "bank.example"), "spec.addresses[1]", "a name goes under fqdns"),
    ("ExternalService", addresses("192.0.2.1/24"), "spec.addresses[0]", "host bits set; write 192.0.2.0/24"),
    ("ExternalService", addresses("192.0.2.0/255.255.255.0"), "spec.addresses[0]", "length in bits"),
    ("ExternalService", addresses("192.0.2.0/33"), "spec.addresses[0]", "is not a prefix: write address/length"),
    ("ExternalService", addresses("192.0.2.9-192.0.2.1"), "spec.addresses[0]", "runs backwards"),
    ("ExternalService", addresses("192.0.2.9-2001:db8::1"), "spec.addresses[0]", "mixes IPv4 and IPv6"),
    (
        "ExternalService",
        addresses("192.0.2.1-9"),
        "spec.addresses[0]",
        "is not a range: write first-last, two addresses",
    ),
    ("ExternalService", addresses("fe80::1%eth0"), "spec.addresses[0]", "without a zone"),
    ("ExternalService", addresses("::ffff:192.0.2.1"), "spec.addresses[0]", "IPv4 as IPv4"),
    ("ExternalService", addresses("010.0.0.1"), "spec.addresses[0]", "not an address"),
    ("ExternalService", addresses("192.0.2.1 "), "spec.addresses[0]", "not an address"),
    ("ExternalService", addresses(""), "spec.addresses[0]", "not an address"),
    ("ExternalService", addresses(3221225985), "spec.addresses[0]", "must be a string"),
    ("ExternalService", addresses("192.0.2.1", "192.0.2.1/32"), "spec.addresses", "twice (item 1"),
    ("ExternalService", addresses(), "spec.addresses", "at least 1 item"),
    ("ExternalService", addresses() | {"addresses": "192.0.2.1"}, "spec.addresses", "must be a list"),
    ("ExternalService", {"ports": "Any"}, "spec", "at least one of addresses and fqdns"),
    ("ExternalService", fqdns("192.0.2.1"), "spec.fqdns[0]", "an address goes under addresses"),
    ("ExternalService", fqdns("bank"), "spec.fqdns[0]", "not fully qualified"),
    ("ExternalService", fqdns("*.com"), "spec.fqdns[0]", "not fully qualified"),
    ("ExternalService", fqdns("*"), "spec.fqdns[0]", "whole first label"),
    ("ExternalService", fqdns("api*.bank.example"), "spec.fqdns[0]", "whole first label"),
    ("ExternalService", fqdns("*.*.bank.example"), "spec.fqdns[0]", "whole first label"),
    ("ExternalService", fqdns("a..example"), "spec.fqdns[0]", "no DNS name"),
    ("ExternalService", fqdns("-a.example"), "spec.fqdns[0]", "no DNS name"),
    ("ExternalService", fqdns("https://a.example"), "spec.fqdns[0]", "no DNS name"),
    ("ExternalService", fqdns("a.example."), "spec.fqdns[0]", "ends in a dot"),
    ("ExternalService", fqdns("bücher.example"), "spec.fqdns[0]", "xn--"),
    ("ExternalService", fqdns("a.example", "A.example"), "spec.fqdns", "twice"),
    ("ExternalService", {"addresses": ["192.0.2.1"]}, "spec.ports", "is required"),
    ("ExternalService", addresses("192.0.2.1") | {"ports": None}, "spec.ports", "the word Any, or a list"),
    ("ExternalService", addresses("192.0.2.1") | {"ports": "any"}, "spec.ports", "the word Any, or a list"),
    ("ExternalService", ports(), "spec.ports", "at least 1 item"),
    ("ExternalService", ports({"protocol": "TCP"}), "spec.ports[0].port", "TCP needs a port, or the word Any"),
    ("ExternalService", ports({"port": 80}), "spec.ports[0].protocol", "is required"),
    ("ExternalService", ports({"protocol": "tcp", "port": 80}), "spec.ports[0].protocol", "must be TCP, UDP"),
    ("ExternalService", ports({"protocol": "TCP", "port": 0}), "spec.ports[0].port", "at least 1"),
    ("ExternalService", ports({"protocol": "TCP", "port": 65536}), "spec.ports[0].port", "at most 65535"),
    ("ExternalService", ports({"protocol": "TCP", "port": "http"}), "spec.ports[0].port", "number, or the word Any"),
    ("ExternalService", ports({"protocol": "TCP", "port": True}), "spec.ports[0].port", "number, or the word Any"),
    ("ExternalService", ports({"protocol": "ICMP", "port": 8}), "spec.ports[0].port", "ICMP has no ports"),
    ("ExternalService", ports({"protocol": "ICMPv6", "endPort": 8}), "spec.ports[0].endPort", "number under port"),
    (
        "ExternalService",
        ports({"protocol": "UDP", "port": 1}, {"protocol": "TCP", "port": 90, "endPort": 80}),
        "spec.ports[1].endPort",
        "runs backwards: endPort 80 is below port 90",
    ),
    (
        "ExternalService",
        ports({"protocol": "TCP", "port": "Any", "endPort": 9}),
        "spec.ports[0].endPort",
        "a number under",
    ),
    (
        "ExternalService",
        ports({"protocol": "TCP", "port": 1, "prot": 9}),
        "spec.ports[0].prot",
        "no field of this object",
    ),
    ("ExternalService", ports({"protocol": True}), "spec.ports[0].protocol", "must be TCP, UDP"),
    ("ExternalService", ports({"protocol": 6}), "spec.ports[0].protocol", "6 is TCP; write its name"),
    ("ExternalService", ports({"protocol": 0}), "spec.ports[0].protocol", "at least 1"),
    ("ExternalService", ports({"protocol": 255}), "spec.ports[0].protocol", "at most 254"),
    ("ExternalService", ports({"protocol": 89, "port": 1}), "spec.ports[0].port", "IP protocol 89 has no ports"),
    ("ExternalService", ports({"protocol": 89, "type": 1}), "spec.ports[0].type", "IP protocol 89 has no types"),
    ("ExternalService", ports({"protocol": "TCP", "port": 1, "type": 8}), "spec.ports[0].type", "TCP has no types"),
    ("ExternalService", ports({"protocol": "ICMP", "type": 255}), "spec.ports[0].type", "at most 254"),
    ("ExternalService", ports({"protocol": "ICMP", "type": "8"}), "spec.ports[0].type", "must be a whole number"),
    ("ExternalService", ports({"protocol": "ICMP", "type": None}), "spec.ports[0].type", "or left out"),
    ("ExternalService", ports({"protocol": "ICMP", "code": 0}), "spec.ports[0].code", "state that too"),
    ("ClusterEgressRule", accounts("payments"), "spec.from.serviceAccounts[0]", "write namespace/name"),
    ("NamespaceEgressRule", accounts("shop/payments"), "spec.from.serviceAccounts[0]", "is no object name"),
    ("NamespaceEgressRule", accounts(), "spec.from.serviceAccounts", "at least 1 item"),
    ("NamespaceEgressRule", accounts("a", "a"), "spec.from.serviceAccounts", "twice"),
    ("ServiceEgressRule", SERVICE_RULE | {"notAfter": "2026-07-01"}, "spec.notAfter", "is no moment: write it"),
    (
        "ServiceEgressRule",
        SERVICE_RULE | {"notAfter": "2026-07-01T08:00:00"},
        "spec.notAfter",
        "is no moment: write it",
    ),
    ("ServiceEgressRule", SERVICE_RULE | {"notAfter": "2026-02-30T08:00:00Z"}, "spec.notAfter", "no such day"),
    ("ServiceEgressRule", SERVICE_RULE | {"notAfter": None}, "spec.notAfter", "or left out"),
    (
        "NamespaceEgressRule",
        RULE | {"notBefore": "2026-07-01T08:00:00+02:00", "notAfter": "2026-07-01T06:00:00Z"},
        "spec.notAfter",
        "must be later than notBefore",
    ),
    ("NamespaceEgressRule", RULE | {"windows": []}, "spec.windows", "at least 1 item"),
    ("NamespaceEgressRule", window(days=[]), "spec.windows[0].days", "at least 1 item"),
    ("NamespaceEgressRule", window(days=["Mon", "Mon"]), "spec.windows[0].days", "twice"),
    ("NamespaceEgressRule", window(days=["Monday"]), "spec.windows[0].days[0]", "must be 'Mon', 'Tue'"),
    ("NamespaceEgressRule", window(start="8:00"), "spec.windows[0].start", "is no time of the day"),
    ("NamespaceEgressRule", window(start="24:00"), "spec.windows[0].start", "is no time of the day"),
    ("NamespaceEgressRule", window(end="25:00"), "spec.windows[0].end", "is no time of the day"),
    ("NamespaceEgressRule", window(end="08:00"), "spec.windows[0].end", "must differ from start"),
    ("NamespaceEgressRule", window(timeZone="Berlin"), "spec.windows[0].timeZone", "write UTC, or a name"),
    ("NamespaceEgressRule", window(timeZone="Europe/Nowhere"), "spec.windows[0].timeZone", "known here"),
    ("NamespaceEgressRule", window(timeZone="Europe/../UTC"), "spec.windows[0].timeZone", "write UTC, or a name"),
    (
        "NamespaceEgressRule",
        RULE | {"windows": [{"days": ["Mon"], "start": "08:00", "end": "09:00"}]},
        "spec.windows[0].timeZone",
        "is required",
    ),
    ("ServiceEgressRule", SERVICE_RULE | {"action": "Pass"}, "spec.action", "the service tier is the last"),
    ("ServiceEgressRule", SERVICE_RULE | {"service": "Payments"}, "spec.service", "is no name"),
    ("ServiceEgressRule", RULE, "spec.service", "is required"),
    ("ServiceEgressRule", SERVICE_RULE | {"from": {}}, "spec.from", "no field of this object"),
    ("NamespaceEgressRule", RULE | {"action": "allow"}, "spec.action", "must be 'Allow', 'Deny', 'Reject' or 'Pass'"),
    ("NamespaceEgressRule", RULE | {"from": {"namespaceSelector": {}}}, "spec.from.namespaceSelector", "no field"),
    ("NamespaceEgressRule", RULE | {"from": None}, "spec.from", "must be a mapping"),
    ("NamespaceEgressRule", {"action": "Deny"}, "spec.to", "is required"),
    ("NamespaceEgressRule", RULE | {"to": []}, "spec.to", "at least 1 item"),
    (
        "NamespaceEgressRule",
        RULE | {"to": [{"name": "a"}, {"name": "a"}]},
        "spec.to",
        "'ExternalService a' stands here twice",
    ),
    (
        "NamespaceEgressRule",
        RULE | {"to": [{"name": "a", "kind": "Service"}]},
        "spec.to[0].kind",
        "must be 'ExternalService'",
    ),
    ("NamespaceEgressRule", RULE | {"to": [{"name": "a/b"}]}, "spec.to[0].name", "is no object name"),
    ("NamespaceEgressRule", RULE | {"priority": 10001}, "spec.priority", "at most 10000"),
    ("NamespaceEgressRule", RULE | {"priority": -1}, "spec.priority", "at least 0"),
    ("NamespaceEgressRule", RULE | {"priority": "5"}, "spec.priority", "whole number"),
    ("NamespaceEgressRule", RULE | {"log": "yes"}, "spec.log", "true or false"),
    ("NamespaceEgressRule", RULE | {"devices": []}, "spec.devices", "at least 1 item"),
    ("NamespaceEgressRule", RULE | {"devices": ["a", "a"]}, "spec.devices", "twice"),
    ("ClusterEgressRule", RULE | {"to": [{"name": "a", "kind": "ExternalService"}]}, "spec.to[0].kind", "no field"),
    ("ClusterEgressRule", RULE | {"frm": {}}, "spec.frm", "no field of this object"),
    ("AddressGroup", pods(matchLabels={"a b": "c"}), "spec.podSelector.matchLabels.a b (a key)", "is no label key"),
    ("AddressGroup", pods(matchLabels={"a": "-"}), "spec.podSelector.matchLabels.a", "is no label value"),
    ("AddressGroup", pods(matchLabels={"a": True}), "spec.podSelector.matchLabels.a", "must be a string"),
    (
        "AddressGroup",
        pods(matchExpressions=[{"key": "a", "operator": "In"}]),
        "spec.podSelector.matchExpressions[0].values",
        "In and NotIn need at least one value",
    ),
    (
        "AddressGroup",
        pods(matchExpressions=[{"key": "a", "operator": "Exists", "values": ["b"]}]),
        "spec.podSelector.matchExpressions[0].values",
        "Exists and DoesNotExist take no values",
    ),
    (
        "AddressGroup",
        pods(matchExpressions=[{"key": "a", "operator": "Equals", "values": ["b"]}]),
        "spec.podSelector.matchExpressions[0].operator",
        "must be 'In', 'NotIn'",
    ),
]


@pytest.mark.parametrize(("kind", "spec", "path", "reason"), MISTAKES)
def test_a_mistake_is_told_at_its_field(kind: str, spec: Spec, path: str, reason: str) -> None:
    (problem,) = native.problems(policy(kind, spec))
    assert problem.path == path
    assert reason in problem.reason


@pytest.mark.parametrize("kind", GOOD)
def test_what_the_mistakes_start_from_is_none(kind: str) -> None:
    assert native.problems(policy(kind, GOOD[kind])) == []


def test_all_problems_are_told_at_once() -> None:
    spec = {
        "addresses": ["192.0.2.1", "300.1.2.3", "x"],
        "ports": [{"protocol": "TCP", "port": 2, "endPort": 1}],
        "port": 1,
    }
    with pytest.raises(Invalid) as caught:
        native.parse(policy("ExternalService", spec))
    expected = ["spec.addresses[1]", "spec.addresses[2]", "spec.ports[0].endPort", "spec.port"]
    assert [problem.path for problem in caught.value.problems] == expected
    assert all(path in str(caught.value) for path in expected)
    assert caught.value.path == expected[0]


def test_a_long_value_is_not_repeated_in_full() -> None:
    (problem,) = native.problems(policy("ExternalService", addresses("x" * 100_000)))
    assert len(problem.reason) < 200


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
KEYS = [
    "action", "addresses", "devices", "endPort", "fqdns", "from", "kind", "log", "matchExpressions", "matchLabels", "name",
    "namespaceSelector", "operator", "podSelector", "port", "ports", "priority", "protocol", "service", "to", "values",
]  # fmt: skip
WORDS = [
    "Allow",
    "Pass",
    "Any",
    "TCP",
    "ICMP",
    "192.0.2.1",
    "192.0.2.9-192.0.2.1",
    "::/0",
    "*.a.example",
    "a",
    "In",
    "%",
    "-",
    "/",
]


def nearly(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """JSON made of our own field names and words: far more of it gets past the first check."""
    return st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=6)


NEARLY = st.recursive(st.sampled_from(WORDS) | st.integers(-1, 65536) | SCALARS, nearly, max_leaves=20)


@given(
    st.sampled_from(sorted(GOOD)),
    st.dictionaries(st.text(max_size=6), JSON) | st.dictionaries(st.sampled_from(KEYS), NEARLY),
)
def test_any_json_gives_a_value_or_a_policy_error(kind: str, spec: Spec) -> None:
    _value_or_policy_error(kind, spec)


@given(st.data(), st.sampled_from(sorted(set(GOOD) - {"AddressGroup"})))
def test_a_good_spec_with_one_field_of_nonsense_gives_a_value_or_a_policy_error(data: st.DataObject, kind: str) -> None:
    field = data.draw(st.sampled_from(sorted(GOOD[kind])))
    _value_or_policy_error(kind, GOOD[kind] | {field: data.draw(NEARLY)})


@given(st.text(max_size=30) | st.text("0123456789abcdef.:-/*%", max_size=40))
def test_any_text_as_address_or_name_gives_a_value_or_a_policy_error(text: str) -> None:
    _value_or_policy_error("ExternalService", addresses(text))
    _value_or_policy_error("ExternalService", fqdns(text))


def _value_or_policy_error(kind: str, spec: Spec) -> None:
    obj = policy(kind, spec)
    found = native.problems(obj)
    assert all(problem.path.startswith("spec") and problem.reason and str(problem).encode() for problem in found)
    assert found or native.parse(obj).ref.name == "it"
