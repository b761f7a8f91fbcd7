"""`validate`."""

from pathlib import Path

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


def test_standard_input_and_a_file_that_is_not_there(tmp_path: Path) -> None:
    assert run("validate", "-", stdin=BROKEN).code == 1
    missing = run("validate", tmp_path / "none.yaml")
    assert missing.code == 1
    assert "No such file" in missing.out
