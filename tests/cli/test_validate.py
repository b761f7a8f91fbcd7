"""`validate`."""

from pathlib import Path
from xml.etree import ElementTree

from bridge.resources import shipped
from tests.cli.program import run

BROKEN = """\
apiVersion: fusionbridge.io/v1alpha1
kind: ExternalService
metadata: {name: bank, namespace: shop}
spec:
  addresses: [300.1.2.3]
  ports:
    - {protocol: TCP, ports: ["443-80"]}
"""


def test_the_samples_are_right() -> None:
    answer = run("validate", shipped("config/samples"))
    assert answer.code == 0, answer.out


def test_findings_as_a_table_and_as_json(tmp_path: Path) -> None:
    path = tmp_path / "bank.yaml"
    path.write_text(BROKEN)
    table = run("validate", path)
    assert table.code == 1
    assert f"{path}:5" in table.out
    assert "ExternalService shop/bank" in table.out
    found = run("validate", path, "--output", "json")
    assert (found.code, found.json["ok"]) == (1, False)
    assert {(one["path"], one["line"], one["severity"]) for one in found.json["findings"]} >= {(str(path), 5, "error")}


HIDDEN = """\
apiVersion: fusionbridge.io/v1alpha1
kind: ExternalService
metadata: {name: bank, namespace: shop}
spec: {addresses: [192.0.2.0/24], ports: Any}
---
apiVersion: fusionbridge.io/v1alpha1
kind: NamespaceEgressRule
metadata: {name: nobody, namespace: shop}
spec: {action: Deny, to: [{name: bank}]}
---
apiVersion: fusionbridge.io/v1alpha1
kind: ServiceEgressRule
metadata: {name: pay, namespace: shop}
spec: {service: pay, action: Allow, to: [{name: bank}]}
"""


def test_a_rule_that_never_decides_is_a_warning_at_its_place(tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(HIDDEN)
    answer = run("validate", path, "--output", "json")
    assert answer.code == 0
    said = [(one["object"], one["line"]) for one in answer.json["findings"] if "never decides" in one["message"]]
    assert said == [("ServiceEgressRule shop/pay", 14)]


def test_findings_for_pipelines(tmp_path: Path) -> None:
    path = tmp_path / "bank.yaml"
    path.write_text(BROKEN)
    answer = run("validate", path, "--format", "junit")
    suite = ElementTree.fromstring(answer.out)  # noqa: S314 - our own words
    cases = suite.findall("./testsuite/testcase")
    assert (answer.code, suite.get("failures")) == (1, str(len(suite.findall(".//failure"))))
    assert {case.get("classname") for case in cases} == {str(path)}
    assert "300.1.2.3" in answer.out
    answer = run("validate", path, "--format", "sarif")
    (told,) = answer.json["runs"]
    places = [one["locations"][0]["physicalLocation"] for one in told["results"]]
    assert {"artifactLocation": {"uri": str(path)}, "region": {"startLine": 5}} in places
    assert {one["level"] for one in told["results"]} <= {"error", "warning"}
    assert len(told["results"]) == len(cases)


def test_nothing_found_is_a_test_that_passed() -> None:
    answer = run("validate", shipped("config/samples"), "--format", "junit")
    suite = ElementTree.fromstring(answer.out)  # noqa: S314 - our own words
    assert (answer.code, suite.get("failures")) == (0, "0")
    assert suite.findall(".//testcase")


def test_no_text_of_a_manifest_breaks_the_xml(tmp_path: Path) -> None:
    path = tmp_path / "odd.yaml"
    odd = '"\\x01<b>&\\uFFFE"'
    path.write_text(BROKEN.replace("300.1.2.3", odd))
    assert "<b>" in "".join(ElementTree.fromstring(run("validate", path, "--format", "junit").out).itertext())  # noqa: S314


def test_standard_input_and_a_file_that_is_not_there(tmp_path: Path) -> None:
    assert run("validate", "-", stdin=BROKEN).code == 1
    missing = run("validate", tmp_path / "none.yaml")
    assert missing.code == 1
    assert "No such file" in missing.out
