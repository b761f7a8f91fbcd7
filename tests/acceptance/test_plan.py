"""What a change comes to is known before it is made: by manifests against a cluster, and against a device as it is now."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.acceptance.site import PROGRAM, eventually
from tests.acceptance.test_intake import UNKNOWN
from tests.acceptance.world import API, OUTSIDE, World, run, world

WEB, OTHER, BANK = "10.244.1.1", "10.244.1.2", "10.244.2.1"
PROVIDER, PARTNER, MAIL = "192.0.2.1", "203.0.113.9", "198.51.100.25"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Two teams at work; the default is Deny."""
    with world(tmp_path_factory.mktemp("plan")) as made:
        made.team("shop", WEB, OTHER)
        made.team("bank", BANK)
        made.bridge.start()
        eventually("the default is in force", lambda: not made.allowed(UNKNOWN, OUTSIDE))
        eventually("the team is in force", lambda: made.allowed(WEB, PROVIDER) and made.allowed(BANK, PROVIDER))
        made.await_in_step()
        yield made
        assert made.bridge.running, made.bridge.log()[-5:]


@pytest.fixture(scope="module")
def request_(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pull request: a new destination for the shop, and a Deny of the cluster over a part of what there was."""
    folder = tmp_path_factory.mktemp("request")
    tcp = [{"protocol": "TCP", "port": 443}]
    objects = (
        _manifest("ExternalService", "shop", "partner", {"addresses": ["203.0.113.0/28"], "ports": tcp}),
        _manifest(
            "ServiceEgressRule",
            "shop",
            "web-partner",
            {"service": "web", "action": "Allow", "to": [{"name": "partner"}]},
        ),
        _manifest("ClusterExternalService", "", "dark", {"addresses": ["192.0.2.0/29"], "ports": "Any"}),
        _manifest(
            "ClusterEgressRule",
            "",
            "dark",
            {
                "action": "Deny",
                "from": {"namespaceSelector": {"matchLabels": {"name": "bank"}}},
                "to": [{"name": "dark"}],
            },
        ),
    )
    (folder / "all.yaml").write_text(yaml.safe_dump_all(objects))
    return folder


def _manifest(kind: str, namespace: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
    return {"apiVersion": API, "kind": kind, "metadata": metadata, "spec": spec}


def _reach(found: dict[str, Any]) -> dict[str, set[tuple[str, str]]]:
    """By turn: senders' addresses, and destinations with their traffic."""
    (device,) = found["devices"]
    turns: dict[str, set[tuple[str, str]]] = {}
    for one in device["reachability"]:
        for workload in one["workloads"]:
            for address in workload["addresses"]:
                for to in one["destinations"]:
                    turns.setdefault(one["turn"], set()).add((address, f"{to['addresses']} {to['traffic']}"))
    return turns


@pytest.mark.acceptance(
    "plan before push: `plan --manifests DIR --against CLUSTER` names object changes and who gains or loses what, with a digest"
)
def test_a_pull_request_is_told_before_it_is_applied(site: World, request_: Path) -> None:
    digest, writes = site.device.digest(), len(site.device.writes())
    command = ("plan", "--manifests", str(request_), "--against", site.name)
    found = site.bridge.cli(*command, codes=(1,))
    assert _reach(found) == {
        "gains": {(one, "['203.0.113.0/28'] ['TCP 443']") for one in (WEB, OTHER)},
        "loses": {(BANK, "['192.0.2.0/29'] ['TCP 443']")},
    }
    (device,) = found["devices"]
    steps = {one["object"]: one["op"] for one in device["steps"]}
    assert steps["group:real/external/shop/partner"] == "create"
    assert steps["rules:real/service/shop/"] == "update"
    assert steps["rules:real/cluster//"] == "create"
    text = site.bridge.command(*command).stdout
    assert found["digest"] in text
    assert (
        "gains: shop/web-0, shop/web-1 -> partner 203.0.113.0/28 TCP 443, by ServiceEgressRule shop/web-partner" in text
    )
    assert (site.device.digest(), len(site.device.writes())) == (digest, writes)
    assert _three(site) == (False, True, True)


@pytest.mark.acceptance(
    "plan before push: against a SNAPSHOT, where there is neither settings, database nor cluster, the answer is the same"
)
def test_a_pipeline_needs_the_snapshot_only(site: World, request_: Path, tmp_path: Path) -> None:
    file = tmp_path / "real.json.gz"
    assert site.bridge.cli("snapshot", site.name, "--out", str(file))["cluster"] == site.name
    here = site.bridge.cli("plan", "--manifests", str(request_), "--against", site.name, codes=(1,))
    bare = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    words = ("plan", "--manifests", str(request_), "--against", str(file), "--output", "json")
    away = run(PROGRAM, *words, env=bare, cwd=tmp_path)
    assert away.returncode == 1, away.stderr
    there = json.loads(away.stdout)
    assert there["digest"] == here["digest"]
    assert there["devices"] == here["devices"]
    secrets = (site.device.password, "kubeconfig", "PRIVATE KEY")
    plain = run("zcat", file).stdout
    assert plain
    assert not [one for one in secrets if one in plain]


@pytest.mark.acceptance(
    "plan before push: manifests that are not accepted change nothing, and are told as `validate` tells them"
)
def test_a_bad_manifest_changes_nothing(site: World, tmp_path: Path) -> None:
    bad = _manifest("ServiceEgressRule", "shop", "web-provider", {"service": "web", "action": "Maybe", "to": []})
    (tmp_path / "bad.yaml").write_text(yaml.safe_dump(bad))
    found = site.bridge.cli("plan", "--manifests", str(tmp_path), "--against", site.name, codes=(1,))
    assert (found["different"], found["devices"][0]["changes"]) == (False, 0)
    assert [(one["object"], one["reason"]) for one in found["unaccepted"]] == [
        ("ServiceEgressRule shop/web-provider", "Invalid")
    ]
    assert found["findings"] == site.bridge.cli("validate", str(tmp_path), codes=(1,))["findings"]


@pytest.mark.acceptance(
    "plan before push: once applied, devices hold exactly what the plan told, and a second plan is empty"
)
def test_what_was_told_becomes_true(site: World, request_: Path) -> None:
    assert _three(site) == (False, True, True)
    for one in yaml.safe_load_all((request_ / "all.yaml").read_text()):
        site.store.put(one)
    eventually("the pull request is in force", lambda: _three(site) == (True, False, True))
    site.await_in_step()
    found = site.bridge.cli("plan", "--manifests", str(request_), "--against", site.name)
    assert (found["different"], _reach(found)) == (False, {})
    pruned = site.bridge.cli("plan", "--manifests", str(request_), "--against", site.name, "--prune", codes=(1,))
    assert _reach(pruned) == {"loses": {(one, "['192.0.2.0/28'] ['TCP 443']") for one in (WEB, OTHER)}}


@pytest.mark.acceptance(
    "plan before push: the live `plan` tells who gains or loses what between all that the device holds and all that it would"
)
def test_the_live_plan_tells_reachability(site: World) -> None:
    site.await_in_step()
    site.bridge.stop()
    try:
        (path,) = [
            one
            for one in site.device.objects("security/firewall/address-list")
            if one.endswith("external_shop_provider")
        ]
        rest = f"security/firewall/address-list/{path.replace('/', '~')}"
        site.device.change_object(rest, {"addresses": [{"name": "192.0.2.0/29"}, {"name": MAIL}]})
        found = site.bridge.cli("plan", codes=(1,))
        assert _reach(found) == {
            "gains": {(one, "['192.0.2.8/29'] ['TCP 443']") for one in (WEB, OTHER)},
            "loses": {(one, f"['{MAIL}'] ['TCP 443']") for one in (WEB, OTHER)},
        }
        told = [one["text"] for one in found["devices"][0]["reachability"]]
        assert told[0] == (
            "gains: shop/web-0, shop/web-1 -> provider 192.0.2.8/29 TCP 443, by ServiceEgressRule shop/web-provider"
        )
        site.device.change_object(rest, {"addresses": [{"name": "192.0.2.0/28"}]})
    finally:
        site.bridge.start()


def _three(site: World) -> tuple[bool, bool, bool]:
    """The shop to the partner; the bank to the near half of the provider, and to the far one."""
    return (site.allowed(WEB, PARTNER), site.allowed(BANK, PROVIDER), site.allowed(BANK, "192.0.2.9"))
