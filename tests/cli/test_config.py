"""`config check`."""

from pathlib import Path

from bridge.resources import shipped
from tests.cli.program import run

EXAMPLE = shipped("config/bridge.example.yaml")


def test_the_example_is_right_and_what_is_not_here_is_a_warning() -> None:
    answer = run("config", "check", "--config", EXAMPLE, env={"DC1_EDGE_USERNAME": None})
    assert answer.code == 0
    lines = answer.out.splitlines()
    assert lines[-1].endswith("owner acme; clusters: east; devices: dc1-edge (bigip, apply)")
    assert "warning: devices[0].credentials.username: the environment variable DC1_EDGE_USERNAME is not set" in lines
    assert any(line.startswith("warning: devices[0].credentials.password: /run/secrets/") for line in lines)


def test_what_is_here_is_no_warning(tmp_path: Path) -> None:
    text = EXAMPLE.read_text().replace("/run/secrets/dc1-edge-password", "password")
    text = text.replace("/etc/fusion-bridge/", "")
    for name in ("password", "east.kubeconfig", "dc1-ca.pem"):
        (tmp_path / name).write_text("x")
    (tmp_path / "bridge.yaml").write_text(text)
    answer = run(
        "config", "check", "--config", tmp_path / "bridge.yaml", "--output", "json", env={"DC1_EDGE_USERNAME": "bridge"}
    )
    assert answer.code == 0
    assert (answer.json["ok"], answer.json["problems"], answer.json["warnings"]) == (True, {}, {})


def test_every_problem_at_once_as_json_too(tmp_path: Path) -> None:
    path = tmp_path / "bridge.yaml"
    text = EXAMPLE.read_text().replace("owner: acme", "owner: ACME").replace("routeDomain: 0", "routeDoman: 0")
    path.write_text(text.replace("kind: bigip", "kind: bigip\n    mod: plan"))
    answer = run("config", "check", "--config", path, "--output", "json")
    assert answer.code == 2
    assert answer.json["ok"] is False
    assert set(answer.json["problems"]) == {"owner", "devices[0].mod", "devices[0].scope.bigip.routeDoman"}
    for where in answer.json["problems"]:
        assert f"  {where}: " in answer.err


def test_variables_that_set_nothing_are_warned_of() -> None:
    answer = run("config", "check", "--config", EXAMPLE, env={"FUSION_BRIDGE_OWNR": "x"})
    assert "warning: environment FUSION_BRIDGE_OWNR: is no setting" in answer.out
