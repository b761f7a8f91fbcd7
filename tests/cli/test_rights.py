"""`fusion-bridge config rights`: roles made of the settings."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from bridge.cli.main import app

_DEFAULT = {"action": "Deny", "unknownAddresses": "Deny"}


def settings(folder: Path, *clusters: dict[str, Any], secret: dict[str, str] | None = None) -> Path:
    """A settings file with these clusters, and one device with a token in this Secret."""
    named = [{"name": "east", "podRanges": ["10.64.0.0/14"], **cluster} for cluster in clusters]
    token = {"secret": secret} if secret else {"env": "TOKEN"}
    device = {
        "name": "edge",
        "kind": "bigip",
        "url": "https://192.0.2.10",
        "credentials": {"username": {"env": "USERNAME"}, "password": token},
        "scope": {"clusters": {cluster["name"]: {"default": _DEFAULT} for cluster in named}},
    }
    path = folder / "bridge.yaml"
    path.write_text(yaml.safe_dump({"owner": "acme", "clusters": named, "devices": [device]}))
    return path


def printed(path: Path, *words: str) -> dict[tuple[str, str], dict[str, Any]]:
    """The objects that are printed, by kind and namespace."""
    done = CliRunner().invoke(app, ["--config", str(path), "config", "rights", *words])
    assert done.exit_code == 0, done.output
    return {(one["kind"], one["metadata"].get("namespace", "")): one for one in yaml.safe_load_all(done.stdout)}


def test_a_secret_is_granted_by_its_name_in_its_namespace(tmp_path: Path) -> None:
    path = settings(tmp_path, {}, secret={"namespace": "safe", "name": "edge", "key": "password"})
    found = printed(path)
    assert found["Role", "safe"]["rules"] == [
        {"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["edge"], "verbs": ["get"]}
    ]
    assert found["RoleBinding", "safe"]["roleRef"]["kind"] == "Role"
    assert not [rule for rule in found["ClusterRole", ""]["rules"] if "secrets" in rule["resources"]]


def test_only_the_cluster_that_holds_a_secret_grants_it(tmp_path: Path) -> None:
    secret = {"namespace": "safe", "name": "edge", "key": "password", "cluster": "west"}
    path = settings(tmp_path, {}, {"name": "west", "podRanges": ["10.68.0.0/14"]}, secret=secret)
    assert set(printed(path, "east")) == {("ClusterRole", ""), ("ClusterRoleBinding", "")}
    assert ("Role", "safe") in printed(path, "west")


def test_the_dialects_of_the_cluster_decide_what_is_watched(tmp_path: Path) -> None:
    ours, kinds = "fusionbridge.io", {}
    for dialect in ("native", "ces"):
        rules = printed(settings(tmp_path, {"dialects": [dialect]}))["ClusterRole", ""]["rules"]
        kinds[dialect] = {(group, one) for rule in rules for group in rule["apiGroups"] for one in rule["resources"]}
    assert {one for group, one in kinds["ces"] if group == ours and "/" not in one} == {"decisions", "stops"}, (
        "orders always"
    )
    assert (ours, "serviceegressrules") in kinds["native"] - kinds["ces"]
    assert {group for group, _ in kinds["ces"] - kinds["native"]} == {"kubeovn.io"}


def test_the_roles_are_for_whoever_the_bridge_is_there(tmp_path: Path) -> None:
    found = printed(settings(tmp_path, {}), "--service-account", "security/egress")
    (subject,) = found["ClusterRoleBinding", ""]["subjects"]
    assert subject == {"kind": "ServiceAccount", "name": "egress", "namespace": "security"}


def test_json_is_one_list(tmp_path: Path) -> None:
    words = ["--config", str(settings(tmp_path, {})), "--output", "json", "config", "rights"]
    found = json.loads(CliRunner().invoke(app, words).stdout)
    assert found["kind"] == "List"
    assert [one["kind"] for one in found["items"]] == ["ClusterRole", "ClusterRoleBinding"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "name one of the clusters; there are east, west"),
        (["north"], "there is no cluster north"),
        (["east", "--service-account", "egress"], "is not NAMESPACE/NAME"),
    ],
)
def test_what_cannot_be_meant_is_said(tmp_path: Path, words: list[str], said: str) -> None:
    path = settings(tmp_path, {}, {"name": "west", "podRanges": ["10.68.0.0/14"]})
    done = CliRunner().invoke(app, ["--config", str(path), "config", "rights", *words])
    assert done.exit_code == 2
    assert said in done.output
