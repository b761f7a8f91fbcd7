"""`fusion-bridge devices`: what is installed, whether a device is fit, and a trial of it."""

import os
import signal
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

import pytest
import yaml

from bridge.cli import adapters
from bridge.cli.adapters import ADAPTERS, InstalledAdapters
from bridge.cli.claims import Claims
from bridge.contract import Adapter
from bridge.lab.devices.bigip import Bigip
from bridge.model.decisions import Stop, StopRecord
from bridge.model.observed import Resource
from tests.cli.program import Answer, run
from tests.cli.site import PASSWORD, Site
from tests.state.builders import batch


def settings(folder: Path, url: str, **device: object) -> Path:
    """One BIG-IP, and no database."""
    path = folder / "alone.yaml"
    (folder / "password").write_text(PASSWORD)
    (folder / "username").write_text("bridge")
    one = {
        "name": "edge",
        "kind": "bigip",
        "url": url,
        "credentials": {"username": {"file": "username"}, "password": {"file": "password"}},
        "scope": {"clusters": {"east": {"default": {"action": "None", "unknownAddresses": "Pass"}}}},
    }
    clusters = [{"name": "east", "podRanges": ["10.64.0.0/16"]}]
    path.write_text(yaml.safe_dump({"owner": "acme", "clusters": clusters, "devices": [{**one, **device}]}))
    return path


def asked(folder: Path, bigip: Bigip, *arguments: str, **device: object) -> Answer:
    """`devices` of these settings; the data folder is new."""
    file = settings(folder, bigip.url, **device)
    return run("devices", *arguments, "--config", file, "--data-dir", folder / "data", "--output", "json")


def found(answer: Answer, of: str = "findings") -> Mapping[str, Mapping[str, str]]:
    (device,) = answer.json["devices"]
    return {one["subject"]: one for one in device[of]}


def test_the_kinds_that_are_installed_without_settings() -> None:
    answer = run("devices", "--kinds", "--output", "json", env={"FUSION_BRIDGE_CONFIG": "/nowhere.yaml"})
    assert (answer.code, answer.json["devices"]) == (0, [])
    kinds = {one["kind"]: one for one in answer.json["kinds"]}
    assert set(kinds) == {point.name for point in entry_points(group=ADAPTERS)} == set(InstalledAdapters().kinds)
    bigip = kinds["bigip"]
    assert (bigip["capabilities"]["form"], bigip["limits"]["shard_members"]) == ("tiered", 128)
    assert (bigip["simulator"], bigip["problem"]) == (True, "")
    assert bigip["package"].startswith("fusion-bridge ")
    assert {one["problem"] for one in answer.json["kinds"]} == {""}
    text = run("devices", "--kinds")
    assert all(f"\n{kind} " in text.out for kind in kinds)


def test_a_plug_in_that_cannot_be_loaded_spoils_its_own_line_only(monkeypatch: pytest.MonkeyPatch) -> None:
    load = adapters._load

    def broken(point: EntryPoint) -> object:
        if point.name == "nftables":
            raise ZeroDivisionError("no luck")
        return load(point)

    monkeypatch.setattr(adapters, "_load", broken)
    answer = run("devices", "--kinds", "--output", "json")
    problems = {one["kind"]: one["problem"] for one in answer.json["kinds"]}
    assert answer.code == 0
    assert "ZeroDivisionError: no luck" in problems["nftables"]
    assert problems["bigip"] == ""


def test_a_device_that_is_fit(tmp_path: Path, bigip: Bigip) -> None:
    answer = asked(tmp_path, bigip)
    told = found(answer)
    assert answer.code == 0
    assert told["version"] == {"subject": "version", "state": "ok", "message": "17.1.1"}
    assert "serial chs400015s, active" in told["device"]["message"]
    assert {name: one["state"] for name, one in told.items()} == {
        "way": "warning",
        "device": "ok",
        "version": "ok",
        "AFM": "ok",
        "reading": "ok",
        "rights": "warning",
    }
    assert "admin of all-partitions: far more than the bridge needs" in told["rights"]["message"]
    assert bigip.writes() == []
    text = run("devices", "edge", "--config", tmp_path / "alone.yaml", "--data-dir", tmp_path / "data")
    assert "edge (bigip, tiered, mode apply)" in text.out
    assert "AFM" in text.out


@pytest.mark.parametrize(
    ("wrong", "subject", "words"),
    [
        ({"provisioned": False}, "AFM", "tmsh modify sys provision afm"),
        ({"role": "guest"}, "rights", "cannot write firewall objects"),
    ],
)
def test_a_device_that_is_not_fit(
    tmp_path: Path, bigip: Bigip, wrong: Mapping[str, Any], subject: str, words: str
) -> None:
    for name, value in wrong.items():
        setattr(bigip.identity, name, value)
    answer = asked(tmp_path, bigip)
    told = found(answer)[subject]
    assert (answer.code, told["state"]) == (1, "error")
    assert words in told["message"]


def test_a_device_that_does_not_let_us_in(tmp_path: Path, bigip: Bigip) -> None:
    (tmp_path / "wrong").write_text("a-wrong-password")
    wrong = {"username": {"file": "username"}, "password": {"file": "wrong"}}
    answer = asked(tmp_path, bigip, credentials=wrong)
    told = found(answer)["device"]
    assert (answer.code, told["state"]) == (1, "error")
    assert "login refused" in told["message"]
    assert "a-wrong-password" not in answer.out + answer.err


def test_each_claim_of_a_device_is_tried_and_nothing_stays(tmp_path: Path, bigip: Bigip) -> None:
    before = bigip.objects("security/firewall/address-list")
    answer = asked(tmp_path, bigip, "edge", "--canary", attach="ifEmpty")
    told = found(answer, "canary")
    assert {one["state"] for one in told.values()} == {"ok"}, told
    assert answer.code == 0
    assert {"create", "atomic", "deny", "reject", "log", "ipv6", "active", "fenced off", "delete", "foreign"} <= set(
        told
    )
    assert told["member change"]["message"] == "2 calls"
    assert bigip.objects("security/firewall/address-list") == before
    assert not bigip.objects("security/firewall/policy")
    assert bigip.writes(), "nothing was tried"
    (fence,) = bigip.objects("ltm/data-group/internal")
    assert fence == "/Common/acmec/fence"
    assert asked(tmp_path, bigip, "edge", "--canary").code == 0


def test_a_trial_that_is_terminated_takes_back_what_it_made(
    tmp_path: Path, bigip: Bigip, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = Claims._built

    def terminated(trial: Claims, adapter: Adapter) -> str:
        built(trial, adapter)
        assert bigip.objects("security/firewall/policy", "/Common/acmec/")
        os.kill(os.getpid(), signal.SIGTERM)
        return "and went on"

    monkeypatch.setattr(Claims, "_built", terminated)
    before = signal.getsignal(signal.SIGTERM)
    answer = asked(tmp_path, bigip, "edge", "--canary")
    assert answer.code not in (0, 3)
    assert not any(bigip.objects(f"security/firewall/{kind}", "/Common/acmec/") for kind in ("policy", "rule-list"))
    assert not bigip.objects("security/firewall/address-list", "/Common/acmec/")
    assert signal.getsignal(signal.SIGTERM) == before


def test_what_is_refused(tmp_path: Path, bigip: Bigip) -> None:
    answer = asked(tmp_path, bigip, "edge", "--canary", mode="plan")
    assert (answer.code, "mode plan" in answer.err) == (3, True)
    answer = asked(tmp_path, bigip, "--canary")
    assert (answer.code, "name the devices" in answer.err) == (2, True)
    assert asked(tmp_path, bigip, "edgy").code == 2
    assert asked(tmp_path, bigip, "edge", "--clean").code == 2
    assert bigip.writes() == []


def test_a_device_that_somebody_stopped_is_not_tried(site: Site) -> None:
    changes = batch()
    stop = Stop("east", "freeze", "u-1", ("edge",), "dana", "audit week", datetime(2026, 11, 1, tzinfo=UTC))
    changes.stops = [StopRecord(stop)]
    changes.synced = {Resource.STOPS: "1"}
    site.stores.commit(changes)
    answer = run("devices", "edge", "--canary", "--config", site.config)
    assert (answer.code, "stopped by dana: audit week" in answer.err) == (3, True)
    assert site.bigip.writes() == []
    site.stores.commit(replace(batch(1), stops_deleted=["freeze"]))
    assert run("devices", "edge", "--canary", "--config", site.config).code == 0
