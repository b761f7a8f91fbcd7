"""The program's commands, as people meet them; in the end their exit codes."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

import bridge
from bridge.resources import shipped
from tests.acceptance.site import DEVICE, PROGRAM, eventually
from tests.acceptance.world import OUTSIDE, World, run, world

PROVIDER, UNKNOWN = "192.0.2.1", "10.244.255.77"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One team at work, the bridge stopped again: everything else is the commands'."""
    with world(tmp_path_factory.mktemp("site")) as made:
        made.team("shop", "10.244.1.1", "10.244.1.2")
        made.bridge.start()
        eventually("in force", lambda: not made.allowed(UNKNOWN, OUTSIDE) and made.allowed("10.244.1.1", PROVIDER))
        made.await_in_step()
        made.bridge.stop()
        yield made


@pytest.mark.acceptance("`plan`: ordered changes per device with a stable digest, in text and JSON; changes nothing")
def test_plan(site: World) -> None:
    assert site.bridge.cli("plan")["devices"][0]["changes"] == 0
    before = site.device.state()
    site.device.delete_object(_web(site))
    broken = site.device.digest()
    known = len(site.device.writes())
    first, second = site.bridge.cli("plan", codes=(1,)), site.bridge.cli("plan", DEVICE, codes=(1,))
    assert first == second
    (device,) = first["devices"]
    assert (device["device"], device["kind"], device["changes"]) == (DEVICE, "bigip", len(device["steps"]))
    assert [one["phase"] for one in device["steps"]] == sorted(one["phase"] for one in device["steps"])
    assert any("10.244.1.1" in one["add"] for one in device["steps"])
    text = site.bridge.command("plan")
    assert text.returncode == 1
    assert device["digest"] in text.stdout
    assert "+10.244.1.1" in text.stdout
    assert (site.device.digest(), len(site.device.writes())) == (broken, known)
    site.bridge.start()
    eventually("repaired", lambda: site.device.state().keys() == before.keys())
    site.await_in_step()
    site.bridge.stop()
    assert site.bridge.cli("plan")["devices"][0]["changes"] == 0
    assert site.device.state().keys() == before.keys()


def _web(site: World) -> str:
    """Make room for the loss of a list: what refers to it goes first, as somebody in a hurry would do it."""
    (virtual,) = site.device.objects("ltm/virtual")
    site.device.change_object(f"ltm/virtual/{virtual.replace('/', '~')}", {"fwEnforcedPolicy": "none"})
    kind = "security/firewall/policy"
    (policy,) = [path for path in site.device.objects(kind) if path.endswith("_service")]
    site.device.delete_object(f"{kind}/{policy.replace('/', '~')}")
    kind = "security/firewall/rule-list"
    (listed,) = [path for path in site.device.objects(kind) if path.endswith("_service_shop")]
    site.device.delete_object(f"{kind}/{listed.replace('/', '~')}")
    kind = "security/firewall/address-list"
    (found, *_) = [path for path in site.device.objects(kind) if "_service_shop_web" in path]
    return f"{kind}/{found.replace('/', '~')}"


@pytest.mark.acceptance(
    "`report`: desired, actual, missing, extra, foreign look-alikes, held, quarantined per device, in text and JSON"
)
def test_report(site: World) -> None:
    report = site.bridge.cli("report", "--members")
    (device,) = report["byDevice"]
    assert {"desired", "actual", "missing", "extra", "lookAlikes", "held", "quarantined", "attached"} <= device.keys()
    (group,) = [one for one in device["objects"] if one["object"] == "group:real/service/shop/web"]
    assert group["desiredItems"] == group["actualItems"] == ["10.244.1.1", "10.244.1.2"]
    assert (report["missing"], report["extra"], report["inStep"]) == (0, 0, True)
    (path,) = [
        one for one in site.device.objects("security/firewall/address-list") if one.endswith("external_shop_provider")
    ]
    rest = f"security/firewall/address-list/{path.replace('/', '~')}"
    site.device.change_object(rest, {"addresses": [{"name": "198.51.100.66"}]})
    found = site.bridge.cli("report", codes=(1,))
    assert (found["missing"], found["extra"]) == (1, 1)
    text = site.bridge.command("report")
    assert text.returncode == 1
    assert "198.51.100.66" in text.stdout
    assert text.stdout.splitlines()[-1].endswith("on 1 devices, 1 missing, 1 extra")
    site.device.change_object(rest, {"addresses": [{"name": "192.0.2.0/28"}]})
    assert site.bridge.command("report").returncode == 0


@pytest.mark.acceptance(
    "`status`: clusters, devices, lag, and every object that is not accepted as it stands; in text and JSON"
)
def test_status(site: World) -> None:
    site.bridge.start()
    eventually("read anew", lambda: all(site.status()["devices"][0]["attached"].values()))
    site.bridge.stop()
    found = site.bridge.cli("status")
    assert "pods" in found["clusters"][0]["synced"]
    (device,) = found["devices"]
    assert (device["name"], device["state"], device["held"], device["quarantined"], device["lagSeconds"]) == (
        DEVICE,
        "ok",
        0,
        0,
        0,
    )
    assert device["attached"] == dict.fromkeys(("cluster", "namespace", "service"), True)
    assert device["objects"].keys() == {"Programmed"}
    text = site.bridge.command("status")
    assert text.returncode == 0
    assert DEVICE in text.stdout


@pytest.mark.acceptance("`validate PATH…`: manifests on disk, every problem with its file, line, object and field")
def test_validate(tmp_path: Path) -> None:
    assert [run(PROGRAM, "validate", shipped(one)).returncode for one in ("config/samples", "config/demo")] == [0, 0]
    bad = tmp_path / "bad.yaml"
    spec = {"addresses": ["300.1.2.3"], "ports": [{"protocol": "TCP", "port": 443, "endPort": 80}]}
    metadata = {"name": "bad", "namespace": "shop"}
    bad.write_text(
        yaml.safe_dump(
            {"apiVersion": "fusionbridge.io/v1alpha1", "kind": "ExternalService", "metadata": metadata, "spec": spec}
        )
    )
    said = run(PROGRAM, "--output", "json", "validate", tmp_path)
    assert said.returncode == 1
    findings = json.loads(said.stdout)["findings"]
    assert {one["field"].partition("[")[0] for one in findings} >= {"spec.addresses", "spec.ports"}
    assert all(
        one["path"] == str(bad) and one["line"] and one["object"] == "ExternalService shop/bad" for one in findings
    )


@pytest.mark.acceptance(
    "`config check`, `config schema`: one settings file, complete and commented; every problem at once, with its path"
)
def test_config(site: World, tmp_path: Path) -> None:
    assert site.bridge.command("config", "check").returncode == 0
    schema = json.loads(run(PROGRAM, "config", "schema").stdout)
    example = shipped("config") / "bridge.example.yaml"
    document = yaml.safe_load(example.read_text())
    assert set(document) | {"dataDir"} == set(schema["properties"]), "complete"
    comments = [line for line in example.read_text().splitlines() if "#" in line]
    assert len(comments) > 30
    document |= {"owner": "NOT FIT", "colour": "blue"}
    document["clusters"][0]["podRanges"] = ["10.0.0.0/33"]
    document["devices"][0]["kind"] = "toaster"
    del document["devices"][0]["scope"]["clusters"]["east"]["default"]["action"]
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(yaml.safe_dump(document))
    said = run(PROGRAM, "--config", wrong, "config", "check")
    assert said.returncode == 2
    paths = (
        "owner",
        "colour",
        "clusters[0].podRanges[0]",
        "devices[0].kind",
        "devices[0].scope.clusters.east.default.action",
    )
    missing = [path for path in paths if f"{path}:" not in said.stdout + said.stderr]
    assert not missing, said.stdout + said.stderr
    refused = run(PROGRAM, "--config", wrong, "run")
    assert refused.returncode == 2
    assert "podRanges" in refused.stderr


@pytest.mark.acceptance(
    "`version`, and every command of the list: run plan validate status report config db lab demo version"
)
def test_commands() -> None:
    assert run(PROGRAM, "version").stdout == f"fusion-bridge {bridge.__version__}\n"
    told = run(PROGRAM, "--help").stdout
    for name in ("run", "plan", "validate", "status", "report", "config", "db", "lab", "demo", "version"):
        assert f"\n  {name} " in told, name
    assert run(PROGRAM, "nonsense").returncode == 2


@pytest.mark.acceptance("secrets appear in no log, error, report or output")
def test_no_secrets(site: World) -> None:
    said = [
        site.bridge.command(*words)
        for words in (["status"], ["plan"], ["report"], ["config", "check"], ["--log-level", "debug", "report"])
    ]
    texts = [one.stdout + one.stderr for one in said] + [(site.bridge.folder / "bridge.log").read_text()]
    for secret in (site.device.password, site.api.token):
        assert all(secret not in text for text in texts)
