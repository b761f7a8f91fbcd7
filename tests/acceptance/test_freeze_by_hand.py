"""A freeze as those meet it who run the bridge: in the settings, in every command that tells of it, and released by one."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import yaml

from tests.acceptance.site import DEVICE, eventually
from tests.acceptance.world import World, run, world

WAS, NEW = "192.0.2.1", "198.51.100.1"
FIRST, SECOND = "10.244.1.1", "10.244.1.2"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A team with a rule, then a freeze in the settings, an edit and a new pod in it."""
    with world(tmp_path_factory.mktemp("frozen"), tls=False) as made:
        made.team("shop", FIRST, to=f"{WAS}/32")
        made.bridge.start()
        made.await_in_step()
        assert made.allowed(FIRST, WAS)
        assert not made.allowed(SECOND, WAS)
        made.bridge.stop()
        settings = yaml.safe_load(made.bridge.config.read_text())
        begin, end = (datetime.now(UTC) + timedelta(hours=hours) for hours in (-1, 5))
        window = {
            "name": "year end",
            "from": begin.isoformat(timespec="seconds"),
            "to": end.isoformat(timespec="seconds"),
        }
        settings["devices"][0]["freeze"] = [window]
        made.bridge.config.write_text(yaml.safe_dump(settings))
        made.bridge.start()
        made.external("shop", "provider", f"{NEW}/32")
        made.pod("shop", "web-1", SECOND)
        eventually("the new pod is in", lambda: made.allowed(SECOND, WAS))
        eventually("the edit is listed", lambda: bool(_lists(made)))
        yield made


def _lists(site: World) -> list[dict[str, Any]]:
    held = site.bridge.cli("held", codes=(0, 3))["held"]
    return [one for one in held if one["kind"] == "freeze" and one["state"] == "held"]


@pytest.mark.acceptance("trust: freeze windows: every command agrees with what the device does")
def test_commands(site: World) -> None:
    site.await_in_step()
    assert site.allowed(SECOND, WAS)
    assert not site.allowed(SECOND, NEW)
    (freeze,) = site.status()["devices"][0]["freezes"]
    (listed,) = _lists(site)
    assert freeze["digest"] == listed["digest"]
    assert "frozen until" in site.bridge.command("status").stdout
    assert "ExternalService shop/provider" in site.bridge.command("held", listed["digest"]).stdout
    assert site.bridge.cli("held")["stops"] == [], "nothing waits for a person: exit code 0"
    assert site.bridge.cli("plan")["devices"][0]["steps"] == []
    (reported,) = site.bridge.cli("report")["byDevice"]
    assert reported["inStep"]
    assert [one["digest"] for one in reported["frozen"]] == [listed["digest"]]
    assert "frozen until" in site.bridge.command("report").stdout
    for to, verdict in ((WAS, "Allow"), (NEW, "Deny")):
        told = site.bridge.cli("trace", "--from", SECOND, "--to", f"{to}:443")
        assert [one["verdict"] for each in told["answers"] for one in each["decisions"]] == [verdict]
        assert any("frozen until" in note for note in told["notes"])


@pytest.mark.acceptance("trust: freeze windows: what manifests would change waits for the end, and the plan says so")
def test_plan_of_manifests(site: World, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("manifests")
    rule = {"service": "web", "action": "Deny", "to": [{"name": "provider"}]}
    manifest = {"apiVersion": "fusionbridge.io/v1alpha1", "kind": "ServiceEgressRule", "spec": rule}
    manifest["metadata"] = {"name": "web-provider", "namespace": "shop"}
    (folder / "rule.yaml").write_text(yaml.safe_dump(manifest))
    against = folder / "real.json.gz"
    site.bridge.cli("snapshot", site.name, "--out", str(against))
    for where in (site.name, str(against)):
        told = site.bridge.cli("plan", "--manifests", str(folder / "rule.yaml"), "--against", where)
        (device,) = told["devices"]
        assert (device["steps"], device["reachability"]) == ([], [])
        assert [(one["object"], one["reason"]) for one in device["remarks"]] == [
            ("ServiceEgressRule shop/web-provider", "Held")
        ]


@pytest.mark.acceptance("trust: freeze windows: `release` moves the device on, with a name and a reason that are kept")
def test_release(site: World) -> None:
    (listed,) = _lists(site)
    words = ("release", listed["digest"], "--device", DEVICE, "--by", "ann", "--reason", "cannot wait")
    done = run(site.bridge.program, *words, "--kubeconfig", site.api.kubeconfig, "--output", "json")
    assert (done.returncode, json.loads(done.stdout)["state"]) == (0, "Done"), done.stderr
    eventually("the edit is in force", lambda: site.allowed(SECOND, NEW) and not site.allowed(SECOND, WAS))
    (kept,) = [one for one in site.bridge.cli("held", "--all")["held"] if one["digest"] == listed["digest"]]
    assert (kept["state"], kept["by"], kept["reason"]) == ("done", "ann", "cannot wait")
    (freeze,) = site.status()["devices"][0]["freezes"]
    assert freeze["edits"] == [], "the freeze goes on"
