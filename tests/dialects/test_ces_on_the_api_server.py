"""The definitions of CES on a real API server: what it refuses is refused offline and by the bridge too; statuses go where they can."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from bridge.cluster.answers import RequestRefused
from bridge.cluster.client import Connection
from bridge.cluster.settings import ClusterConfig
from bridge.cluster.writes import apply_annotations, apply_status
from bridge.dialects import ces
from bridge.dialects.manifests import check, failed
from bridge.errors import ClusterError, PolicyError
from bridge.resources import shipped
from tests.control_plane.plane import ControlPlane
from tests.dialects.ces_objects import BY_NAME, dialects, written

DEFINITIONS = Path(__file__).parent / "ces-crds"
RULES = f"/apis/{ces.API_VERSION}/namespaces/{{}}/namespaceegressrules"
RULE: dict[str, Any] = {"action": "drop", "externalServices": ["bank"]}
GOOD: list[tuple[str, dict[str, Any]]] = [
    ("ClusterEgressRule", RULE | {"logging": True}),
    ("NamespaceEgressRule", RULE | {"action": "accept-decisively"}),
    ("ServiceEgressRule", RULE | {"action": "accept", "service": "web"}),
    ("ExternalService", {"addresses": ["192.0.2.1", "192.0.2.0/28", "192.0.2.3-192.0.2.9", "www.example.com"]}),
    (
        "ExternalService",
        {"addresses": ["192.0.2.1"], "ports": None},
    ),
    (
        "ExternalService",
        {
            "addresses": ["192.0.2.1"],
            "ports": [{"name": "web", "bandwidth": None, "protocol": "TCP", "port": "443,8443-8450"}],
        },
    ),
]
# What the schema of CES refuses, and the field that all three name.
REFUSED_EVERYWHERE: list[tuple[str, dict[str, Any], str]] = [
    ("ClusterEgressRule", RULE | {"action": "allow"}, "spec.action"),
    ("NamespaceEgressRule", {"action": "drop"}, "spec.externalServices"),
    ("NamespaceEgressRule", RULE | {"logging": "yes"}, "spec.logging"),
    ("NamespaceEgressRule", RULE | {"externalServices": "bank"}, "spec.externalServices"),
    ("ServiceEgressRule", RULE, "spec.service"),
    ("ServiceEgressRule", RULE | {"service": 7}, "spec.service"),
    ("ExternalService", {"ports": []}, "spec.addresses"),
    ("ExternalService", {"addresses": [7]}, "spec.addresses[0]"),
    (
        "ExternalService",
        {"addresses": ["192.0.2.1"], "ports": [{"protocol": "TCP", "port": "80-"}]},
        "spec.ports[0].port",
    ),
    ("ExternalService", {"addresses": ["192.0.2.1"], "ports": [{"protocol": "TCP", "port": 80}]}, "spec.ports[0].port"),
]
# What the schema of CES lets through, and we do not.
REFUSED_BY_US: list[tuple[str, dict[str, Any], str]] = [
    ("ClusterEgressRule", RULE | {"externalServices": []}, "spec.externalServices"),
    ("ServiceEgressRule", RULE | {"service": "Web"}, "spec.service"),
    ("ExternalService", {"addresses": []}, "spec.addresses"),
    ("ExternalService", {"addresses": ["300.1.2.3"]}, "spec.addresses[0]"),
    ("ExternalService", {"addresses": ["192.0.2.1"], "ports": [{"protocol": "TCP"}]}, "spec.ports[0].port"),
    ("ExternalService", {"addresses": ["192.0.2.1"], "ports": [{"protocol": "ICMP", "port": "8"}]}, "spec.ports[0].protocol"),
    ("ExternalService", {"addresses": ["192.0.2.1"], "ports": [{"protocol": "TCP", "port": "0"}]}, "spec.ports[0].port"),
    ("ExternalService", {"addresses": ["192.0.2.1"], "ports": [{"protocol": "TCP", "port": "9-8"}]}, "spec.ports[0].port"),
]  # fmt: skip


@pytest.fixture(scope="module")
def server(control_plane: ControlPlane) -> ControlPlane:
    """The control plane with the definitions of CES beside ours: no name of one takes a name of the other."""
    control_plane.install_crds(shipped("config/crd"))
    assert sorted(control_plane.install_crds(DEFINITIONS)) == sorted(kind.resource for kind in ces.KINDS)
    return control_plane


@pytest.fixture
def connection(server: ControlPlane) -> Iterator[Connection]:
    """As the bridge speaks to it, which knows these kinds."""
    dialects()
    made = Connection(ClusterConfig("real", kubeconfig=server.kubeconfig))
    yield made
    made.close()


def manifest(kind: str, spec: Any, namespace: str = "default") -> dict[str, Any]:  # noqa: ANN401
    place = {"namespace": namespace} if BY_NAME[kind].namespaced else {}
    return {"apiVersion": ces.API_VERSION, "kind": kind, "metadata": {"name": "it", **place}, "spec": spec}


def create(server: ControlPlane, kind: str, spec: Any) -> None:  # noqa: ANN401
    of = BY_NAME[kind]
    folder = "/namespaces/default" if of.namespaced else ""
    server.api.post(f"/apis/{ces.API_VERSION}{folder}/{of.plural}?dryRun=All", manifest(kind, spec))


def offline(folder: Path, kind: str, spec: Any) -> list[tuple[str, str]]:  # noqa: ANN401
    """What `validate` says: field and words of each error."""
    file = folder / "it.yaml"
    file.write_text(yaml.safe_dump(manifest(kind, spec)))
    found = check([file], dialects=dialects())
    return [(one.field, one.message) for one in found if one.severity == "error"]


def controller(kind: str, spec: Any) -> list[tuple[str, str]]:  # noqa: ANN401
    """What the bridge says on the object."""
    return [(one.path, one.reason) for one in dialects().problems(written(kind, "it", spec))]


def test_short_names_do_not_clash(server: ControlPlane) -> None:
    kept = server.api.items("/apis/apiextensions.k8s.io/v1/customresourcedefinitions")
    conditions = [one["status"]["conditions"] for one in kept]
    assert all(
        {"type": "NamesAccepted", "status": "True"}.items() <= found[0].items() | found[1].items()
        for found in conditions
    )


@pytest.mark.parametrize(("kind", "spec"), GOOD)
def test_what_the_server_takes_is_taken_at_every_depth(
    server: ControlPlane, tmp_path: Path, kind: str, spec: dict[str, Any]
) -> None:
    create(server, kind, spec)
    assert offline(tmp_path, kind, spec) == controller(kind, spec) == []


@pytest.mark.parametrize(("kind", "spec", "field"), REFUSED_EVERYWHERE)
def test_what_the_server_refuses_is_refused_at_every_depth(
    server: ControlPlane, tmp_path: Path, kind: str, spec: dict[str, Any], field: str
) -> None:
    with pytest.raises(httpx.HTTPStatusError) as refused:
        create(server, kind, spec)
    assert field in str(refused.value)
    assert offline(tmp_path, kind, spec) == controller(kind, spec)
    assert [where for where, _ in controller(kind, spec)] == [field]


@pytest.mark.parametrize(("kind", "spec", "field"), REFUSED_BY_US)
def test_what_only_we_refuse_is_refused_offline_in_the_words_of_the_status(
    server: ControlPlane, tmp_path: Path, kind: str, spec: dict[str, Any], field: str
) -> None:
    create(server, kind, spec)
    assert offline(tmp_path, kind, spec) == controller(kind, spec)
    assert [where for where, _ in controller(kind, spec)] == [field]
    with pytest.raises(PolicyError) as refused:
        dialects().read(written(kind, "it", spec))
    assert refused.value.path == field


def test_a_phase_is_written_and_a_condition_could_not_be(
    server: ControlPlane, connection: Connection, fresh_namespace: str
) -> None:
    made = server.api.post(RULES.format(fresh_namespace), manifest("NamespaceEgressRule", RULE, fresh_namespace))
    place = (connection, ces.NAMESPACE_EGRESS_RULE.resource, fresh_namespace, "it")
    server.api.patch(f"{RULES.format(fresh_namespace)}/it/status", {"status": {"phase": "Syncing"}})
    apply_status(*place, made["metadata"]["uid"], {"phase": "Success"})
    after = server.api.get(f"{RULES.format(fresh_namespace)}/it")
    assert after["status"] == {"phase": "Success"}
    assert after["metadata"]["generation"] == made["metadata"]["generation"]
    # Which is why our conditions are told in the annotation.
    with pytest.raises(ClusterError, match="not declared in schema"):
        apply_status(*place, made["metadata"]["uid"], {"phase": "Success", "conditions": []})


def test_an_external_service_has_no_status_and_is_told_by_annotation(
    server: ControlPlane, connection: Connection, fresh_namespace: str
) -> None:
    folder = f"/apis/{ces.API_VERSION}/namespaces/{fresh_namespace}/externalservices"
    made = server.api.post(folder, manifest("ExternalService", {"addresses": ["192.0.2.1"]}, fresh_namespace))
    place = (connection, ces.EXTERNAL_SERVICE.resource, fresh_namespace, "it", made["metadata"]["uid"])
    with pytest.raises(RequestRefused) as missing:
        apply_status(*place, {"phase": "Success"})
    assert missing.value.code == 404
    apply_annotations(*place, {"fusionbridge.io/status": "{}"})
    after = server.api.get(f"{folder}/it")
    assert after["metadata"]["annotations"] == {"fusionbridge.io/status": "{}"}
    assert after["metadata"]["generation"] == made["metadata"]["generation"]


def test_validate_fails_on_them(tmp_path: Path) -> None:
    file = tmp_path / "it.yaml"
    file.write_text(yaml.safe_dump(manifest("ClusterEgressRule", RULE | {"action": "allow"})))
    assert failed(check([file], dialects=dialects()))
    (only,) = check([file])
    assert (only.severity, only.field) == ("warning", "apiVersion")
    assert "--dialect ces" in only.message
