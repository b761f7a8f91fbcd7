"""`config check`."""

from pathlib import Path
from typing import Any

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.cli.adapters import InstalledAdapters
from bridge.errors import SettingsError
from bridge.resources import shipped
from bridge.settings import load
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
    text = text.replace("/etc/fusion-bridge/", "").replace("/run/secrets/", "")
    devices = ("password", "east.kubeconfig", "dc1-ca.pem", "dc1-edge-cert", "dc1-edge-key")
    for name in (*devices, "api.crt", "api.key", "sam-token", "login-ca.crt"):
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


def test_a_dialect_that_nobody_brings_is_a_problem(tmp_path: Path) -> None:
    path = tmp_path / "bridge.yaml"
    path.write_text(EXAMPLE.read_text().replace("dialects: [native]", "dialects: [native, nonesuch]"))
    answer = run("config", "check", "--config", path, "--output", "json")
    assert answer.code == 2
    assert answer.json["problems"] == {"clusters[0].dialects[1]": "there is no dialect nonesuch; there are ces, native"}


def test_variables_that_set_nothing_are_warned_of() -> None:
    answer = run("config", "check", "--config", EXAMPLE, env={"FUSION_BRIDGE_OWNR": "x"})
    assert "warning: environment FUSION_BRIDGE_OWNR: is no setting" in answer.out


words = st.sampled_from(
    ["mode", "cluster", "namespace", "service", "routeDomain", "virtualServer", "activation", "pageSize", "context"]
)
plain = st.none() | st.booleans() | st.integers() | st.text(alphabet="a/: ", max_size=4) | st.just("/Common/x")
anything = st.recursive(
    plain, lambda one: st.lists(one, max_size=2) | st.dictionaries(words | plain, one, max_size=3), max_leaves=6
)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(scope=anything, attach=anything)
def test_an_adapter_s_own_part_may_hold_anything(tmp_path: Path, scope: object, attach: object) -> None:
    raw: dict[str, Any] = yaml.safe_load(EXAMPLE.read_text())
    raw["devices"][0]["scope"]["bigip"] = scope
    raw["devices"][0]["attach"] = attach
    path = tmp_path / "bridge.yaml"
    path.write_text(yaml.safe_dump(raw))
    problems: dict[str, str] = {}
    try:
        load(path, InstalledAdapters(), {})
    except SettingsError as error:
        problems = error.problems
    assert all(where.startswith(("devices[0].scope.bigip", "devices[0].attach")) for where in problems)
