"""The definitions on a real API server: served, the samples taken, and each rule of theirs refusing its bad example in its own words."""

from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from bridge.dialects import kinds, native
from bridge.dialects.manifests import Severity, check
from bridge.model.kinds import ORDERS
from bridge.resources import shipped
from tests.control_plane.plane import ControlPlane
from tests.dialects.objects import (
    GOOD,
    RULE,
    SERVICE,
    SERVICE_RULE,
    Spec,
    manifest,
    nodes,
    policy,
    ports,
    samples,
    schema,
)

TRY = "?dryRun=All&fieldValidation=Strict"


@pytest.fixture(scope="module")
def server(control_plane: ControlPlane) -> ControlPlane:
    """The control plane with our definitions."""
    names = control_plane.install_crds(shipped("config/crd"))
    assert sorted(names) == sorted(f"{kind.resource}.{kinds.GROUP}" for kind in (*kinds.KINDS, *ORDERS))
    return control_plane


def create(server: ControlPlane, kind: str, spec: Any) -> Spec:  # noqa: ANN401
    """What the server makes of an object, without keeping it."""
    of = kinds.BY_NAME[kind]
    folder = "/namespaces/default" if of.namespaced else ""
    item = manifest(kind, spec, namespace="default")
    return server.api.post(f"/apis/{kinds.API_VERSION}{folder}/{of.resource}{TRY}", item)


def test_definitions_are_without_objection(server: ControlPlane) -> None:
    for kind in (*kinds.KINDS, *ORDERS):
        item = server.api.get(f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{kind.resource}.{kinds.GROUP}")
        conditions = {condition["type"]: condition["status"] for condition in item["status"]["conditions"]}
        assert conditions["Established"] == "True"
        assert conditions["NamesAccepted"] == "True"
        assert "NonStructuralSchema" not in conditions


@pytest.mark.parametrize("way", [[], ["--server-side"]])
def test_samples_are_taken_and_kept_as_written(server: ControlPlane, fresh_namespace: str, way: list[str]) -> None:
    ours = [item for item in samples() if item["apiVersion"] == kinds.API_VERSION]
    for item in ours:
        if "namespace" in item["metadata"]:
            item["metadata"]["namespace"] = fresh_namespace
    told = server.kubectl(
        "apply", "--dry-run=server", "--output=yaml", *way, "--filename=-", input=yaml.safe_dump_all(ours)
    )
    kept = yaml.safe_load(told)["items"]
    assert [_kept(item["spec"], after["spec"]) for item, after in zip(ours, kept, strict=True)] == [True] * len(ours)


def _kept(written: object, after: object) -> bool:
    """Whether nothing that was written is lost or changed; defaults may have been added."""
    if isinstance(written, dict) and isinstance(after, dict):
        return all(key in after and _kept(value, after[key]) for key, value in written.items())
    if isinstance(written, list) and isinstance(after, list):
        return len(written) == len(after) and all(map(_kept, written, after))
    return written == after


@pytest.mark.parametrize("kind", GOOD)
def test_defaults_are_those_of_the_bridge(server: ControlPlane, kind: str) -> None:
    spec = create(server, kind, GOOD[kind])["spec"]
    if kind.endswith("Rule"):
        assert (spec["priority"], spec["log"]) == (1000, False)
        targets = {target.get("kind") for target in spec["to"]}
        assert targets == ({None} if kind == "ClusterEgressRule" else {"ExternalService"})


def test_status_is_a_subresource_with_conditions_and_devices(server: ControlPlane, fresh_namespace: str) -> None:
    folder = f"/apis/{kinds.API_VERSION}/namespaces/{fresh_namespace}/externalservices"
    ignored = manifest("ExternalService", SERVICE, namespace=fresh_namespace) | {"status": {"observedGeneration": 9}}
    assert "status" not in server.api.post(folder, ignored)
    condition = {
        "type": "Programmed",
        "status": "False",
        "reason": "Pending",
        "message": "",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    status = {
        "observedGeneration": 1,
        "conditions": [condition],
        "devices": [{"name": "edge-1", "generation": 1, "state": "Pending", "message": "busy"}],
    }
    assert server.api.patch(f"{folder}/it/status", {"status": status})["status"] == status
    lines = server.kubectl("get", "fbes", "--namespace", fresh_namespace, "--output=wide").splitlines()
    cells = dict(zip(lines[0].split(), lines[1].replace("[]", "").split(), strict=False))
    assert cells["NAME"] == "it"
    assert "Pending" in lines[1]


def addresses(*items: str) -> Spec:
    return SERVICE | {"addresses": list(items)}


def fqdns(*items: str) -> Spec:
    return {"fqdns": list(items), "ports": "Any"}


def expression(**parts: object) -> Spec:
    return {"podSelector": {"matchExpressions": [{"key": "a", **parts}]}}


OFFICE: Spec = {"days": ["Mon", "Tue"], "start": "08:00", "end": "18:00", "timeZone": "Europe/Berlin"}
BAD: list[tuple[str, Spec, str]] = [
    ("ExternalService", {"ports": "Any"}, "at least one of addresses and fqdns is needed"),
    ("ClusterExternalService", {"ports": "Any"}, "at least one of addresses and fqdns is needed"),
    ("ExternalService", {"addresses": ["192.0.2.1"]}, "spec.ports: Required value"),
    ("ExternalService", {"addresses": ["192.0.2.1"], "ports": "any"}, "spec.ports"),
    ("ExternalService", {"addresses": ["192.0.2.1"], "ports": None}, "spec.ports: Required value"),
    ("ExternalService", addresses(), "spec.addresses"),
    ("ExternalService", addresses("300.1.2.3"), "is not an address, prefix or range; a name goes under fqdns"),
    ("ExternalService", addresses("bank.example"), "a name goes under fqdns"),
    ("ExternalService", addresses("192.0.2.0/33"), "is not a prefix: write address/length"),
    ("ExternalService", addresses("192.0.2.0/255.255.255.0"), "is not a prefix: write address/length"),
    ("ExternalService", addresses("192.0.2.1/24"), "has host bits set"),
    ("ExternalService", addresses("2001:db8::1/64"), "has host bits set"),
    ("ExternalService", addresses("192.0.2.1-300.1.2.3"), "is not a range: write first-last, two addresses"),
    ("ExternalService", addresses("192.0.2.1-192.0.2.2-192.0.2.3"), "is not a range: write first-last, two addresses"),
    ("ExternalService", addresses("192.0.2.1-2001:db8::1"), "mixes IPv4 and IPv6"),
    ("ExternalService", addresses("192.0.2.1", "192.0.2.1"), "Duplicate value"),
    ("ExternalService", fqdns("192.0.2.1"), "spec.fqdns[0]"),
    ("ExternalService", fqdns("a.*.example"), "spec.fqdns[0]"),
    ("ExternalService", ports({"protocol": "TCP", "port": 0}), "spec.ports[0].port"),
    ("ExternalService", ports({"protocol": "GRE"}), "spec.ports[0].protocol"),
    ("ExternalService", ports({"protocol": 6}), "spec.ports[0].protocol"),
    ("ExternalService", ports({"protocol": 255}), "spec.ports[0].protocol"),
    ("ExternalService", ports({"protocol": "TCP"}), "spec.ports[0]"),
    ("ExternalService", ports({"protocol": "ICMP", "port": 8}), "spec.ports[0]"),
    ("ExternalService", ports({"protocol": "ICMP", "code": 0}), "spec.ports[0].type"),
    ("ExternalService", ports({"protocol": "ICMP", "type": 255}), "spec.ports[0].type"),
    ("ExternalService", ports({"protocol": 89, "port": 8}), "spec.ports[0]"),
    ("ClusterEgressRule", RULE | {"from": {"serviceAccounts": ["payer"]}}, "spec.from.serviceAccounts[0]"),
    ("NamespaceEgressRule", RULE | {"from": {"serviceAccounts": ["shop/payer"]}}, "spec.from.serviceAccounts[0]"),
    ("NamespaceEgressRule", RULE | {"notAfter": "2026-07-01T08:00:00"}, "spec.notAfter"),
    ("NamespaceEgressRule", RULE | {"notAfter": "2026-02-30T08:00:00Z"}, "spec.notAfter"),
    (
        "ServiceEgressRule",
        SERVICE_RULE | {"notBefore": "2026-07-01T08:00:00+02:00", "notAfter": "2026-07-01T06:00:00Z"},
        "must be later than notBefore",
    ),
    ("ClusterEgressRule", RULE | {"windows": [OFFICE | {"timeZone": "localtime"}]}, "spec.windows[0].timeZone"),
    ("ClusterEgressRule", RULE | {"windows": [OFFICE | {"start": "8:00"}]}, "spec.windows[0].start"),
    ("ClusterEgressRule", RULE | {"windows": [OFFICE | {"days": ["Mon", "Mon"]}]}, "spec.windows[0].days"),
    (
        "ClusterEgressRule",
        RULE | {"windows": [OFFICE | {"end": "08:00"}]},
        "must differ from start; a whole day is from 00:00 to 24:00",
    ),
    ("ServiceEgressRule", SERVICE_RULE | {"action": "Pass"}, 'supported values: \\"Allow\\", \\"Deny\\", \\"Reject\\"'),
    ("ServiceEgressRule", RULE, "spec.service: Required value"),
    ("ServiceEgressRule", SERVICE_RULE | {"from": {}}, 'unknown field \\"spec.from\\"'),
    (
        "NamespaceEgressRule",
        RULE | {"to": [{"name": "a"}, {"name": "a", "kind": "ExternalService"}]},
        "Duplicate value",
    ),
    ("NamespaceEgressRule", RULE | {"to": []}, "spec.to"),
    ("NamespaceEgressRule", RULE | {"priority": 10001}, "less than or equal to 10000"),
    ("NamespaceEgressRule", RULE | {"devices": []}, "spec.devices"),
    ("ClusterEgressRule", RULE | {"acceptShared": "yes"}, "spec.acceptShared"),
    ("NamespaceEgressRule", RULE | {"acceptShared": 1}, "spec.acceptShared"),
    ("ServiceEgressRule", SERVICE_RULE | {"acceptShared": "true"}, "spec.acceptShared"),
    (
        "ClusterEgressRule",
        RULE | {"to": [{"name": "a", "kind": "ExternalService"}]},
        'unknown field \\"spec.to[0].kind\\"',
    ),
    ("AddressGroup", expression(operator="In"), "In and NotIn need at least one value"),
    ("AddressGroup", expression(operator="NotIn", values=[]), "In and NotIn need at least one value"),
    ("AddressGroup", expression(operator="Exists", values=["b"]), "Exists and DoesNotExist take no values"),
    ("AddressGroup", {"podSelector": {"matchLabels": {"a": "-"}}}, "spec.podSelector.matchLabels.a"),
]


RULES = {
    rule["message"]
    for kind in GOOD
    for _, node in nodes(schema(kind))
    for rule in node.get("x-kubernetes-validations", [])
}


def test_every_rule_has_its_bad_example() -> None:
    assert {message for _, _, message in BAD} >= RULES


@pytest.mark.parametrize(("kind", "spec", "message"), BAD)
def test_a_bad_object_is_refused_in_clear_words(server: ControlPlane, kind: str, spec: Spec, message: str) -> None:
    with pytest.raises(httpx.HTTPStatusError) as refused:
        create(server, kind, spec)
    assert message in str(refused.value)


@pytest.mark.parametrize(("kind", "spec", "message"), BAD)
def test_it_is_refused_offline_and_by_the_bridge_in_the_same_words(
    tmp_path: Path, kind: str, spec: Spec, message: str
) -> None:
    """The words of the schema's own rules are part of ours, which may name the value and the remedy too."""
    file = tmp_path / "it.yaml"
    file.write_text(yaml.safe_dump(manifest(kind, spec)))
    offline = [(one.field, one.message) for one in check([file]) if one.severity is Severity.ERROR]
    bridge = [(one.path, one.reason) for one in native.problems(policy(kind, spec))]
    assert offline == bridge != []
    if message in RULES:
        assert any(message in reason for _, reason in bridge)


def test_every_address_form_is_taken(server: ControlPlane) -> None:
    forms = [
        "192.0.2.1",
        "198.51.100.0/24",
        "192.0.2.1-192.0.2.9",
        "2001:db8::1",
        "2001:db8::/32",
        "2001:db8::1-2001:db8::9",
        "::/0",
    ]
    assert create(server, "ExternalService", addresses(*forms))["spec"]["addresses"] == forms


def test_every_form_of_traffic_and_time_is_taken(server: ControlPlane) -> None:
    lines: list[Spec] = [
        {"protocol": "ICMP"},
        {"protocol": "ICMP", "type": 8},
        {"protocol": "ICMPv6", "type": 1, "code": 4},
        {"protocol": 89},
        {"protocol": "SCTP", "port": "Any"},
    ]
    assert create(server, "ExternalService", ports(*lines))["spec"]["ports"] == lines
    times = {"notBefore": "2026-07-01T08:00:00.25+02:00", "notAfter": "2027-01-01T00:00:00Z"}
    windows = [OFFICE, OFFICE | {"start": "22:00", "end": "06:00"}, OFFICE | {"start": "00:00", "end": "24:00"}]
    rule = RULE | times | {"windows": windows, "from": {"serviceAccounts": ["shop/payer"]}}
    kept = create(server, "ClusterEgressRule", rule)["spec"]
    assert {key: kept[key] for key in (*times, "windows", "from")} == {
        key: rule[key] for key in (*times, "windows", "from")
    }


def test_the_largest_service_stays_inside_the_cost_budget(server: ControlPlane) -> None:
    many = [
        f"2001:db8:{index:x}:ffff:ffff:ffff:ffff:0-2001:db8:{index:x}:ffff:ffff:ffff:ffff:ffff" for index in range(512)
    ]
    names = [f"*.{'a' * 60}.{'b' * 60}.n{index}.example.com" for index in range(512)]
    assert len(create(server, "ExternalService", addresses(*many) | fqdns(*names))["spec"]["addresses"]) == 512
