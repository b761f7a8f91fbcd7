"""What a person decides, from the object in the cluster to the packet: release, reject, stop, and what nobody but a person ends."""

import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.documented import Document
from tests.acceptance.site import DEVICE, eventually, stays
from tests.acceptance.world import LEFT, STAY, World, half_unseen, run

OPERATIONS = Document(Path(__file__).parents[2] / "docs/operations.md")
ANN = {"NAME": "ann", "TEXT": "the node is gone"}
WHO = ("--by", "ann", "--reason", "the node is gone")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A team of 60 pods, of which half are gone and nobody saw it: their removal is held until the test that releases it."""
    with half_unseen(tmp_path_factory.mktemp("site")) as made:
        yield made


def _held(site: World, state: str = "held") -> list[dict[str, Any]]:
    """The lists of that state, as the program tells."""
    told = site.bridge.cli("held", codes=(0, 3))
    return [one for one in told["held"] if one["state"] == state]


def _person(site: World, *words: str) -> tuple[int, dict[str, Any]]:
    """The program as a person with a kubeconfig has it: without settings, and without the bridge's database. Exit code and answer."""
    program, kubeconfig = site.bridge.program, site.api.kubeconfig
    done = run(program, *words, "--kubeconfig", kubeconfig, "--output", "json", cwd=site.bridge.folder.parent)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def _documented(site: World, example: str, *more: str, **names: str) -> tuple[int, dict[str, Any]]:
    """The same by the command of docs/operations.md, with these names for what stands in capitals there."""
    (line,) = [one for one in OPERATIONS.examples()[example].splitlines() if not one.startswith("```")]
    program, *words = [names.get(word, word) for word in shlex.split(line)]
    assert program == "fusion-bridge"
    return _person(site, *words, *more)


def _web(site: World) -> frozenset[str]:
    return site.group("service", "shop", "web")


def _events(site: World, kind: str) -> list[tuple[str, str]]:
    return [(one["reason"], one["type"]) for one in site.store.list("events") if one["involvedObject"]["kind"] == kind]


@pytest.mark.acceptance(
    "trust: a decision of which nothing can come says so: no such digest, no such device, not to be read"
)
def test_nothing_comes_of_it(site: World) -> None:
    (one,) = _held(site)
    for digest, device, state in (("0" * 16, DEVICE, "NothingHeld"), (one["digest"], "faraway", "NotHere")):
        code, answer = _person(site, "release", digest, "--device", device, *WHO)
        assert (code, answer["state"]) == (3, state)
    spec = {"device": DEVICE, "digest": one["digest"], "verdict": "Release", "by": "ann", "reason": "x", "all": True}
    site.put_unchecked("decisions", "", "odd", spec)
    eventually("it is told", lambda: _told(site, "odd") == "Malformed")
    assert _web(site) == {*LEFT, *STAY}


def _told(site: World, name: str) -> str:
    """The state of a decision."""
    return str((site.store.get("decisions", None, name).get("status") or {}).get("state", ""))


@pytest.mark.acceptance(
    "trust: rejected steps stay undone without an alarm, and are told with who rejected them and why"
)
def test_reject(site: World) -> None:
    (one,) = _held(site)
    code, answer = _documented(site, "reject", DIGEST=one["digest"], DEVICE=DEVICE, **ANN)
    assert (code, answer["state"]) == (0, "Done")
    eventually("it is rejected", lambda: bool(_held(site, "rejected")))
    (rejected,) = _held(site, "rejected")
    assert (rejected["by"], rejected["reason"]) == ("ann", "the node is gone")
    assert not _held(site)
    assert site.bridge.cli("held", codes=(0,))["stops"] == []
    (told,) = site.bridge.cli("report", codes=(0,))["byDevice"]
    assert told["held"] == []
    assert [(part["by"], len(part["members"])) for part in told["rejected"]] == [("ann", len(LEFT))]
    site.bridge.stop()
    site.bridge.start()
    site.await_in_step()
    stays("it stays so over a restart", lambda: _web(site) == {*LEFT, *STAY} and not _held(site))


@pytest.mark.acceptance("trust: held steps are released by an object with a name and a reason, and told on it")
def test_release(site: World) -> None:
    (one,) = [*_held(site), *_held(site, "rejected")]  # whoever rejected it may have been wrong
    assert (one["device"], one["cluster"], one["members"]) == (DEVICE, site.name, len(LEFT))
    for line in OPERATIONS.examples()["held"].splitlines()[1:-1]:
        words = [one["digest"] if word == "DIGEST" else word for word in line.split()[1:]]
        assert one["digest"] in site.bridge.command(*words).stdout
    shown = site.bridge.cli("held", one["digest"], codes=(0, 3))["held"][0]
    assert [member for step in shown["steps"] for member in step["members"]] == sorted(LEFT)
    assert _web(site) == {*LEFT, *STAY}
    code, answer = _documented(site, "release", DIGEST=one["digest"], DEVICE=DEVICE, **ANN)
    assert (code, answer["state"]) == (0, "Done")
    eventually("those that left are out", lambda: _web(site) == set(STAY))
    eventually("nothing is held", lambda: not [*_held(site), *_held(site, "rejected")])
    written = site.store.get("decisions", None, answer["name"])
    assert (written["spec"]["by"], written["status"]["state"]) == ("ann", "Done")
    eventually("an Event", lambda: ("Released", "Normal") in _events(site, "Decision"))
    told = site.bridge.command("history", DEVICE).stdout
    assert "ann" in told
    assert "the node is gone" in told
    code, again = _person(site, "release", one["digest"], "--device", DEVICE, *WHO)
    assert (code, again["state"]) == (3, "NothingHeld")


@pytest.mark.acceptance("trust: a global stop: nothing is written to any device until it is lifted, over restarts too")
def test_stop(site: World) -> None:
    code, answer = _documented(site, "stop", NAME="ann", TEXT="a fire")
    assert (code, answer["stops"][0]["state"]) == (0, "Stopped")
    site.pod("shop", "web-90", "10.244.3.1")
    site.delete_pod("shop", "web-59")
    eventually("status tells who and why", lambda: _standing(site)["state"] == "stopped")
    assert "ann" in _standing(site)["message"]
    assert "a fire" in _standing(site)["message"]
    assert [one["reason"] for one in site.bridge.cli("held", codes=(3,))["stops"]] == ["a fire"]
    site.bridge.stop()
    site.bridge.start()
    eventually("it is stopped again", lambda: _standing(site)["state"] == "stopped")
    stays("nothing is written", lambda: "10.244.3.1" not in _web(site), 3)
    code, answer = _documented(site, "start", NAME="bob", TEXT="it is out")
    assert (code, answer["stops"][0]["state"]) == (0, "Started")
    eventually("what happened meanwhile is done", lambda: _web(site) == {*STAY[:-1], "10.244.3.1"})


def _standing(site: World) -> dict[str, Any]:
    (found,) = site.status()["devices"]
    return dict(found)


@pytest.mark.acceptance(
    "trust: a stop that is merely absent stays in force; seen deleted, or lifted by its name, it ends"
)
def test_an_absent_stop(site: World) -> None:
    for ended in ("deleted", "lifted"):
        name = _person(site, "stop", "--by", "ann", "--reason", "a fire")[1]["stops"][0]["name"]
        if ended == "deleted":
            site.store.delete("stops", None, name)
            eventually("it is over", lambda: _standing(site)["state"] == "ok")
            continue
        site.bridge.stop()
        site.store.delete("stops", None, name)
        site.store.compact()
        site.bridge.start()
        eventually("it is stopped", lambda: _standing(site)["state"] == "stopped")
        stays("though the object is gone", lambda: _standing(site)["state"] == "stopped", 3)
        code, _ = _person(site, "start", "--stop", name, "--by", "bob", "--reason", "it is out")
        assert code == 0
        eventually("it is over", lambda: _standing(site)["state"] == "ok")


@pytest.mark.acceptance("trust: a stop that was written while no bridge ran is obeyed before anything is written")
def test_a_stop_while_nothing_ran(site: World) -> None:
    site.device.faults.add("answer", status=503, times=None)
    site.pod("shop", "web-91", "10.244.3.2")
    eventually("it is recorded, and waits for the device", lambda: _standing(site)["oldestUnapplied"] is not None)
    site.bridge.stop()
    site.device.faults.clear()
    site.put("Stop", "", "before-the-start", {"by": "ann", "reason": "a fire"})
    with site.bridge.state() as connection:
        connection.execute("UPDATE cluster SET current_at = current_at - interval '1 hour'")
    site.bridge.start()
    eventually("it is stopped", lambda: _standing(site)["state"] == "stopped")
    assert "10.244.3.2" not in _web(site)
    assert _person(site, "start", "--by", "bob", "--reason", "it is out")[0] == 0
    eventually("it is on the device", lambda: "10.244.3.2" in _web(site))
