"""`validate`: every kind of finding, with its file, line, object and field; and silence about what is fine or somebody else's."""

import io
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from bridge.dialects.manifests import Finding, Severity, check, failed
from bridge.resources import shipped
from tests.dialects.objects import RULE, SERVICE, SERVICE_RULE, Spec, manifest


def found(*objects: Spec | str) -> list[Finding]:
    """What is found in these objects, given as one text."""
    texts = [item if isinstance(item, str) else yaml.safe_dump(item, sort_keys=False) for item in objects]
    return check(["-"], io.StringIO("---\n".join(texts)))


def only(*objects: Spec | str) -> Finding:
    (finding,) = found(*objects)
    return finding


def test_the_samples_are_without_fault() -> None:
    assert check([shipped("config/samples")]) == []


def test_a_sample_alone_misses_what_it_refers_to() -> None:
    findings = check([shipped("config/samples") / "serviceegressrule.yaml"])
    assert [(finding.field, finding.severity) for finding in findings] == [
        ("spec.to[0].name", Severity.WARNING),
        ("spec.to[1].name", Severity.WARNING),
    ]
    assert "ExternalService shop/payment-provider is not among these manifests" in findings[0].message
    assert "ClusterExternalService corporate-dns" in findings[1].message
    assert not failed(findings)


def test_a_finding_says_where(tmp_path: Path) -> None:
    file = tmp_path / "bank.yaml"
    file.write_text(
        "apiVersion: fusionbridge.io/v1alpha1\nkind: ExternalService\nmetadata: {name: bank, namespace: shop}\n"
        "spec:\n  addresses:\n    - 192.0.2.1\n    - 300.1.2.3\n  ports: Any\n"
    )
    (finding,) = check([tmp_path])
    assert (finding.path, finding.line) == (str(file), 7)
    assert (finding.object, finding.field) == ("ExternalService shop/bank", "spec.addresses[1]")
    assert str(finding).startswith(f"{file}:7: error: ExternalService shop/bank: spec.addresses[1]: '300.1.2.3' is not")
    assert failed([finding])


def test_folders_are_read_to_the_bottom_and_other_files_passed_over(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    for name in ("a/b/one.yml", "a/two.json", "three.yaml"):
        (tmp_path / name).write_text("a: b: c")
    (tmp_path / "a" / "readme.md").write_text("a: b: c")
    places = [(Path(finding.path).name, finding.line) for finding in check([tmp_path])]
    assert places == [("one.yml", 1), ("two.json", 1), ("three.yaml", 1)]


def test_what_cannot_be_read_is_a_finding(tmp_path: Path) -> None:
    (tmp_path / "latin.yaml").write_bytes(b"a: \xe9\xff")
    (tmp_path / "empty").mkdir()
    findings = check([tmp_path / "latin.yaml", tmp_path / "missing.yaml", tmp_path / "empty"])
    assert [(Path(finding.path).name, finding.severity.value) for finding in findings] == [
        ("latin.yaml", "error"),
        ("missing.yaml", "error"),
        ("empty", "warning"),
    ]
    assert "No such file" in findings[1].message


@pytest.mark.parametrize(
    ("change", "where", "message"),
    [
        ({"apiVersion": "fusionbridge.io/v1"}, "apiVersion", "must be fusionbridge.io/v1alpha1"),
        ({"kind": "EgressRule"}, "kind", "'EgressRule' is no kind of fusionbridge.io: ClusterEgressRule"),
        ({"kind": 3}, "kind", "is no kind of fusionbridge.io"),
        ({"spec": None}, "spec", "must be a mapping"),
        ({"metadata": {"namespace": "shop"}}, "metadata.name", "is required"),
        ({"metadata": {"name": "Bank"}}, "metadata.name", "is no object name"),
        ({"metadata": {"name": "bank", "namespace": "a.b"}}, "metadata.namespace", "is no name"),
        ({"metadata": {"name": "bank", "namespace": 7}}, "metadata.namespace", "must be a string"),
        ({"specs": {}}, "specs", "is no field of this object"),
        ({"spec": {"addresses": ["192.0.2.1"]}}, "spec.ports", "is required"),
    ],
)
def test_what_is_wrong_with_an_object(change: Spec, where: str, message: str) -> None:
    finding = only(manifest("ExternalService", SERVICE) | change)
    assert (finding.field, finding.severity) == (where, Severity.ERROR)
    assert message in finding.message


def test_a_cluster_scoped_object_stands_in_no_namespace() -> None:
    item = manifest("ClusterExternalService", SERVICE)
    item["metadata"]["namespace"] = "shop"
    assert only(item).field == "metadata.namespace"
    assert only(item).severity is Severity.ERROR


def test_an_object_without_a_spec() -> None:
    item = manifest("AddressGroup", {})
    del item["spec"]
    assert (only(item).field, only(item).message) == ("spec", "is required")


def test_the_same_object_twice() -> None:
    item = manifest("ExternalService", SERVICE)
    finding = only(item, item, manifest("ExternalService", SERVICE, namespace="bank"))
    assert (finding.field, finding.severity) == ("metadata.name", Severity.ERROR)
    assert "first in <stdin>:1" in finding.message


def test_lists_are_opened() -> None:
    bad, twice = (manifest("ExternalService", spec, "bank") for spec in ({"ports": "Any"}, SERVICE))
    inner = {"apiVersion": "v1", "kind": "List", "items": [twice]}
    findings = found({"apiVersion": "v1", "kind": "List", "items": [bad, manifest("AddressGroup", {}), inner]})
    assert [(finding.field, finding.line) for finding in findings] == [("spec", 10), ("metadata.name", 22)]


def test_objects_of_others_are_passed_over() -> None:
    theirs = manifest("ClusterEgressRule", {"anything": 1}) | {"apiVersion": "example.com/v1"}
    values = {"replicas": 3}
    assert found(theirs, values, "- 1\n", "just text\n", {"kind": "Deployment", "spec": 3}, {"kind": ["x"]}) == []


def test_references_across_files_are_found(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(yaml.safe_dump(manifest("NamespaceEgressRule", RULE)))
    (tmp_path / "b.yaml").write_text(yaml.safe_dump(manifest("ExternalService", SERVICE, "bank")))
    assert check([tmp_path]) == []
    assert [finding.field for finding in check([tmp_path / "a.yaml"])] == ["spec.to[0].name"]


def test_a_service_of_another_namespace_is_no_answer() -> None:
    finding = only(manifest("NamespaceEgressRule", RULE), manifest("ExternalService", SERVICE, "bank", "elsewhere"))
    assert finding.message == "ExternalService shop/bank is not among these manifests"


def test_a_destination_that_is_there_but_wrong_is_told_once() -> None:
    finding = only(manifest("NamespaceEgressRule", RULE), manifest("ExternalService", {"ports": "Any"}, "bank"))
    assert finding.object == "ExternalService shop/bank"


def test_a_service_is_missed_only_beside_others_of_its_namespace() -> None:
    rule, bank = manifest("ServiceEgressRule", SERVICE_RULE), manifest("ExternalService", SERVICE, "bank")
    other = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "search", "namespace": "shop"}}
    assert found(rule, bank) == []
    assert only(rule, bank, other).field == "spec.service"
    named = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "payments", "namespace": "shop"}}
    assert found(rule, bank, other, named) == []


def test_what_is_seldom_meant_is_a_warning() -> None:
    everywhere = manifest("ClusterExternalService", {"addresses": ["0.0.0.0/0"], "ports": "Any"}, "internet")
    by_name = manifest("ClusterExternalService", {"fqdns": ["bank.example"], "ports": "Any"}, "bank")
    broad = RULE | {"from": {"podSelector": {"matchLabels": {"app": "x"}}}, "to": [{"name": "internet"}]}
    findings = found(
        everywhere,
        by_name,
        manifest("ClusterEgressRule", broad, "broad"),
        manifest("ClusterEgressRule", RULE | {"action": "Deny", "priority": 1}, "deny"),
        manifest("ClusterEgressRule", RULE | {"notAfter": "2026-01-01T00:00:00Z"}, "over"),
        manifest("ClusterEgressRule", RULE | {"notAfter": "2999-01-01T00:00:00Z"}, "not-over"),
    )
    assert [(finding.object, finding.field, finding.severity.value) for finding in findings] == [
        ("ClusterEgressRule broad", "spec.from.podSelector", "warning"),
        ("ClusterEgressRule broad", "spec.to", "warning"),
        ("ClusterEgressRule deny", "spec.to", "warning"),
        ("ClusterEgressRule over", "spec.notAfter", "warning"),
    ]


def annotated(kind: str, key: str, value: object) -> Spec:
    metadata = {"name": "it", "namespace": "shop", "annotations": {key: value}}
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata}


GROUP = "fusionbridge.io/address-group"


@pytest.mark.parametrize(
    ("item", "severity", "message"),
    [
        (annotated("Service", GROUP, "Partner"), "error", "is no name"),
        (annotated("Namespace", GROUP, ""), "error", "names no group"),
        (annotated("Pod", GROUP, True), "error", "must be a string"),
        (annotated("Deployment", GROUP, "partner"), "warning", "has no effect here"),
        (annotated("Service", "fusionbridge.io/adress-group", "partner"), "warning", "is no annotation of"),
    ],
)
def test_annotations_on_the_objects_of_others(item: Spec, severity: str, message: str) -> None:
    finding = only(item)
    (key,) = item["metadata"]["annotations"]
    assert (finding.field, finding.line) == (f'metadata.annotations["{key}"]', 7)
    assert finding.severity.value == severity
    assert message in finding.message


@pytest.mark.parametrize("kind", ["Service", "Namespace", "Pod"])
def test_a_good_annotation_is_passed_in_silence(kind: str) -> None:
    assert found(annotated(kind, GROUP, "partner, reports"), annotated("Secret", "example.com/x", "y")) == []


def test_annotations_of_pod_templates() -> None:
    template = {"metadata": {"annotations": {GROUP: "A"}}}
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "x"},
        "spec": {"template": template},
    }
    assert only(deployment).field == f'spec.template.metadata.annotations["{GROUP}"]'


KEYS = st.sampled_from(
    ["apiVersion", "kind", "metadata", "name", "namespace", "annotations", GROUP, "spec", "items", "template"]
)
WORDS = st.sampled_from(
    ["fusionbridge.io/v1alpha1", "v1", "ExternalService", "ServiceEgressRule", "Service", "List", "a", "A b"]
)
JSON = st.recursive(
    WORDS | st.none() | st.integers() | st.booleans(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5) | st.dictionaries(st.integers(), inner)
    ),
    max_leaves=12,
)


@given(st.lists(JSON, max_size=3))
def test_any_manifest_gives_findings_and_no_error(objects: list[Spec | str]) -> None:
    text = "\n".join(yaml.safe_dump(item, explicit_start=True) for item in objects)
    for finding in check(["-"], io.StringIO(text)):
        assert finding.message
        assert str(finding).startswith("<stdin>")
