"""`import ces`."""

from pathlib import Path

import pytest
import yaml

from tests.cli.program import run

GOOD = """\
apiVersion: v1
kind: List
items:
  - apiVersion: kubeovn.io/v1alpha1
    kind: ServiceEgressRule
    metadata: {name: late, namespace: shop, creationTimestamp: "2026-01-02T00:00:00Z"}
    spec: {action: drop, service: web, externalServices: [bank]}
  - apiVersion: kubeovn.io/v1alpha1
    kind: ServiceEgressRule
    metadata: {name: soon, namespace: shop, creationTimestamp: "2026-01-01T00:00:00Z"}
    spec: {action: accept, service: web, externalServices: [bank]}
  - apiVersion: kubeovn.io/v1alpha1
    kind: ExternalService
    metadata: {name: bank, namespace: shop, creationTimestamp: "2026-01-03T00:00:00Z"}
    spec: {addresses: [192.0.2.1]}
"""
ODD = """\
apiVersion: kubeovn.io/v1alpha1
kind: ExternalService
metadata: {name: bank, namespace: shop}
spec: {addresses: [192.0.2.1], ports: [{protocol: TCP, port: "443", bandwidth: slow}]}
"""


def test_files_and_their_order(tmp_path: Path) -> None:
    (tmp_path / "it.yaml").write_text(GOOD)
    answer = run("import", "ces", tmp_path)
    assert answer.code == 0, answer.err
    found = list(yaml.safe_load_all(answer.out))
    assert [(one["metadata"]["name"], one["spec"].get("priority")) for one in found] == [
        ("bank", None),
        ("soon", 10),
        ("late", 20),
    ]


def test_what_is_lost_is_said_twice_and_fails(tmp_path: Path) -> None:
    path = tmp_path / "it.yaml"
    path.write_text(ODD)
    answer = run("import", "ces", path)
    said = "not carried over: ExternalService.kubeovn.io shop/bank: bandwidth slow of TCP"
    assert answer.code == 1
    assert answer.err.splitlines() == [said]
    assert answer.out.splitlines()[0] == f"# {said}"
    assert run("import", "ces", path, "--output", "json").json["lost"] == [said.partition(": ")[2]]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("import", "ces"), 2, "name files, or a cluster with --cluster"),
        (("import", "ces", "nowhere.yaml"), 1, "nowhere.yaml: No such file"),
        (("import", "ces", "--cluster", "east", "it.yaml"), 2, "name files, or a cluster with --cluster"),
    ],
)
def test_usage(words: tuple[str, ...], code: int, said: str) -> None:
    answer = run(*words)
    assert (answer.code, said in answer.err) == (code, True), answer.err
