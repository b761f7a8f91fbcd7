"""`fusion-bridge validate` in a pipeline: what is legal and wrong is a warning, in the form that each tool reads."""

import json
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml

from tests.acceptance.site import PROGRAM
from tests.acceptance.world import API, run

ANY = "Any"
WEB = [{"protocol": "TCP", "port": 443}]


def _object(kind: str, name: str, spec: Mapping[str, object]) -> dict[str, object]:
    metadata = {"name": name} if kind.startswith("Cluster") else {"name": name, "namespace": "shop"}
    return {"apiVersion": API, "kind": kind, "metadata": metadata, "spec": dict(spec)}


def _external(name: str, addresses: list[str], ports: object = ANY, **more: object) -> dict[str, object]:
    spec: dict[str, object] = {"ports": ports, **more}
    return _object("ExternalService", name, {"addresses": addresses, **spec} if addresses else spec)


def _rule(name: str, action: str, to: str, **more: object) -> dict[str, object]:
    return _object("NamespaceEgressRule", name, {"action": action, "to": [{"name": to}], **more})


PLACES = [
    _external("wide", ["192.0.2.0/24"]),
    _external("part", ["192.0.2.16/28"], WEB),
    _external("other", ["198.51.100.0/24"]),
    _external("named", [], ports=WEB, fqdns=["api.example.com"]),
]
LEGAL_BUT_WRONG = {
    "shadowed": (
        [_rule("first", "Deny", "wide", priority=1), _rule("shadowed", "Allow", "part", priority=2)],
        "it never decides: every packet is taken before it by NamespaceEgressRule shop/first",
    ),
    "idle-pass": (
        [_rule("idle-pass", "Pass", "other", priority=1), _rule("later", "Allow", "part", priority=2)],
        "no later rule of its tier overlaps it, so this Pass changes nothing",
    ),
    "contradicted": (
        [_rule("stop", "Deny", "part"), _rule("contradicted", "Allow", "wide")],
        "has the same priority, overlaps and says Deny, which comes first",
    ),
    "expired": (
        [_rule("expired", "Allow", "part", notAfter="2020-01-01T00:00:00Z")],
        "the rule is over",
    ),
    "by-name": ([_rule("by-name", "Deny", "named")], "Deny by name fails open"),
}


@pytest.mark.acceptance(
    "validation: warnings for shadowed rules, a Pass that nothing follows, contradictory equals, expired rules, Deny by name"
)
@pytest.mark.parametrize("name", LEGAL_BUT_WRONG)
def test_warnings(name: str, tmp_path: Path) -> None:
    rules, words = LEGAL_BUT_WRONG[name]
    file = tmp_path / "policy.yaml"
    file.write_text(yaml.safe_dump_all([*PLACES, *rules]))
    answer = run(PROGRAM, "--output", "json", "validate", file)
    assert answer.returncode == 0, "a warning fails no pipeline"
    found = json.loads(answer.stdout)["findings"]
    (said,) = (one for one in found if words in one["message"])
    assert (said["severity"], said["object"]) == ("warning", f"NamespaceEgressRule shop/{name}")
    assert said["line"], "the line in the file"


@pytest.mark.acceptance("validation: the same findings as JSON, JUnit and SARIF, for whatever a pipeline reads")
def test_formats(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    bad = _external("bad", ["300.1.2.3"])
    file.write_text(yaml.safe_dump_all([*PLACES, bad, *LEGAL_BUT_WRONG["shadowed"][0]]))

    def output(form: str) -> str:
        answer = run(PROGRAM, "validate", file, "--format", form)
        assert answer.returncode == 1
        return answer.stdout

    found = {(one["object"], one["severity"]) for one in json.loads(output("json"))["findings"]}
    meant = {("ExternalService shop/bad", "error"), ("NamespaceEgressRule shop/shadowed", "warning")}
    assert found == meant
    suite = ElementTree.fromstring(output("junit"))  # noqa: S314 (our own output)
    failures = [one.get("message") or one.text or "" for one in suite.iter("failure")]
    assert len(failures) == 1
    assert "300.1.2.3" in failures[0]
    results = json.loads(output("sarif"))["runs"][0]["results"]
    assert sorted(one["level"] for one in results) == ["error", "warning"]
    places = [one["locations"][0]["physicalLocation"] for one in results]
    assert all(place["artifactLocation"]["uri"].endswith("policy.yaml") for place in places)
    assert all(place["region"]["startLine"] > 0 for place in places)
