"""`import ces` from files: what comes first, where ages are told and where they are not."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cli.program import run

_SERVICE = {"kind": "ExternalService", "name": "partner", "spec": {"addresses": ["203.0.113.0/24"]}}


def _rule(name: str, action: str, kind: str = "NamespaceEgressRule", **metadata: str) -> dict[str, Any]:
    spec: dict[str, Any] = {"action": action, "externalServices": ["partner"]}
    if kind == "ServiceEgressRule":
        spec["service"] = "web"
    return {"kind": kind, "name": name, "spec": spec, **metadata}


def _priorities(folder: Path, *objects: dict[str, Any]) -> dict[str, int]:
    documents = [
        {
            "apiVersion": "kubeovn.io/v1alpha1",
            "kind": one["kind"],
            "metadata": {"namespace": "shop", **{key: one[key] for key in ("name", "creationTimestamp") if key in one}},
            "spec": one["spec"],
        }
        for one in objects
    ]
    file = folder / "rules.yaml"
    file.write_text(yaml.safe_dump_all(documents))
    answer = run("import", "ces", file)
    assert answer.code == 0, answer.err
    made = [one for one in yaml.safe_load_all(answer.out) if "priority" in one["spec"]]
    return {one["metadata"]["name"]: one["spec"]["priority"] for one in made}


_YOUNG, _OLD = (
    _rule("young", "drop", creationTimestamp="2024-01-02T00:00:00Z"),
    _rule("old", "accept", creationTimestamp="2024-01-01T00:00:00Z"),
)


@pytest.mark.parametrize("others", [(), (_rule("other", "accept", "ServiceEgressRule"),)])
def test_the_older_rule_comes_first_whatever_is_not_told_of_others(
    tmp_path: Path, others: tuple[dict[str, Any], ...]
) -> None:
    found = _priorities(tmp_path, _YOUNG, _OLD, _SERVICE, *others)
    assert (found["old"], found["young"]) == (10, 20)


def test_rules_stand_as_in_the_file_where_the_age_of_one_of_them_is_missing(tmp_path: Path) -> None:
    found = _priorities(tmp_path, _YOUNG, _OLD, _rule("ageless", "reject"), _SERVICE)
    assert found == {"young": 10, "old": 20, "ageless": 30}


def test_a_kind_that_is_not_known_is_told_and_not_passed_over(tmp_path: Path) -> None:
    file = tmp_path / "rules.yaml"
    strange = {"apiVersion": "kubeovn.io/v1alpha1", "kind": "ExternalIPRule", "metadata": {"name": "odd"}, "spec": {}}
    file.write_text(yaml.safe_dump(strange))
    answer = run("import", "ces", file)
    assert answer.code == 1
    assert "not carried over: ExternalIPRule odd" in answer.err
