"""`release`, `reject`, `stop` and `start`: what a person writes into a cluster, and what the person is told, without any database."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bridge.cluster.client import Connection
from bridge.cluster.settings import ClusterConfig
from bridge.cluster.writes import apply_status
from bridge.lab.apiserver.cluster import LabCluster
from bridge.lab.apiserver.server import ApiServer
from bridge.model.kinds import Resource
from tests.cli.program import Answer, run

DIGEST = "0123456789abcdef"
Says = Callable[[dict[str, Any]], dict[str, str]]


def _silent(_: dict[str, Any]) -> dict[str, str]:
    return {}


@dataclass
class Site:
    """A cluster, and somebody who says on orders what became of them, as the bridge would."""

    cluster: LabCluster
    api: ApiServer
    says: Says = _silent
    ended: threading.Event = field(default_factory=threading.Event)

    def listed(self, resource: str) -> list[dict[str, Any]]:
        return list(self.cluster.list(resource))

    def run(self, *arguments: str) -> Answer:
        """The program, with the credentials of a kubeconfig and without settings."""
        return run(*arguments, "--kubeconfig", self.api.kubeconfig, env={"FUSION_BRIDGE_CONFIG": None})

    def answer(self) -> None:
        """Say it on everything that has no word yet, or another."""
        connection = Connection(ClusterConfig("real", self.api.kubeconfig))
        while not self.ended.wait(0.05):
            for resource in (Resource.DECISIONS, Resource.STOPS):
                for one in self.listed(str(resource)):
                    wanted = self.says(one)
                    if wanted and one.get("status", {}).get("state") != wanted["state"]:
                        metadata = one["metadata"]
                        apply_status(connection, resource, "", metadata["name"], metadata["uid"], wanted)
        connection.close()


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.chdir(tmp_path)  # no settings anywhere
    cluster = LabCluster()
    cluster.load_definitions()
    with ApiServer(cluster) as api:
        made = Site(cluster, api)
        thread = threading.Thread(target=made.answer)
        thread.start()
        yield made
        made.ended.set()
        thread.join()


def _decide(site: Site, verb: str = "release", **more: str) -> Answer:
    options = {"device": "edge", "by": "ann", "reason": "they are gone", "wait": "5", **more}
    words = [word for name, value in options.items() for word in (f"--{name}", value)]
    return site.run(verb, DIGEST, *words)


@pytest.mark.parametrize(("verb", "verdict"), [("release", "Release"), ("reject", "Reject")])
def test_a_decision_is_written_and_its_end_told(site: Site, verb: str, verdict: str) -> None:
    site.says = lambda _: {"state": "Done", "message": "3 members"}
    answer = _decide(site, verb, output="json")
    (one,) = site.listed("decisions")
    spec = {"device": "edge", "digest": DIGEST, "verdict": verdict, "by": "ann", "reason": "they are gone"}
    assert one["spec"] == spec
    assert one["metadata"]["name"].startswith(f"{verb}-")
    assert answer.code == 0
    assert answer.json == {"name": one["metadata"]["name"], **spec, "state": "Done", "message": "3 members"}


@pytest.mark.parametrize("state", ["NothingHeld", "NotHere", "Malformed"])
def test_a_decision_of_which_nothing_came_is_exit_code_3(site: Site, state: str) -> None:
    site.says = lambda _: {"state": state, "message": "so it is"}
    answer = _decide(site)
    assert answer.code == 3
    assert f"{state}: so it is" in answer.out


def test_a_decision_that_nobody_heard_says_so(site: Site) -> None:
    answer = _decide(site, wait="0")
    assert answer.code == 3
    assert "Waiting: the bridge has not said" in answer.out
    assert len(site.listed("decisions")) == 1


def test_what_the_cluster_refuses_is_exit_code_3_and_its_own_words(site: Site) -> None:
    answer = site.run("release", "no digest", "--device", "edge", "--by", "ann", "--reason", "x")
    assert answer.code == 3
    assert "spec.digest" in answer.err
    assert site.listed("decisions") == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("release", DIGEST, "--by", "ann", "--reason", "x"), "--device"),
        (("release", DIGEST, "--device", "edge", "--by", "ann"), "--reason"),
        (("reject", DIGEST, "--device", "edge", "--by", "ann", "--reason", " "), "--reason"),
        (("stop", "--by", " ", "--reason", "x"), "--by"),
        (("start", "--by", "ann"), "--reason"),
    ],
)
def test_who_and_why_are_never_left_out(site: Site, arguments: tuple[str, ...], said: str) -> None:
    answer = site.run(*arguments)
    assert answer.code == 2
    assert said in answer.err


def test_a_cluster_that_does_not_know_who_somebody_is_has_to_be_told(site: Site) -> None:
    answer = site.run("stop", "--reason", "a fire")
    assert answer.code == 3
    assert "--by NAME" in answer.err


def test_a_cluster_of_several_has_to_be_named(tmp_path: Path) -> None:
    answer = run("release", DIGEST, "--device", "edge", "--reason", "x", "--kubeconfig", tmp_path / "none")
    assert answer.code == 2
    assert "there is no file" in answer.err


def _as_bridge(item: dict[str, Any]) -> dict[str, str]:
    return {"state": "Started" if item["spec"].get("lifted") else "Stopped"}


def test_stop_and_start(site: Site) -> None:
    site.says = _as_bridge
    answer = site.run("stop", "edge", "core", "--by", "ann", "--reason", "a fire", "--output", "json")
    (one,) = site.listed("stops")
    assert one["spec"] == {"devices": ["edge", "core"], "by": "ann", "reason": "a fire"}
    assert answer.code == 0
    assert answer.json["stops"][0]["state"] == "Stopped"
    answer = site.run("start", "--by", "bob", "--reason", "it is out")
    (one,) = site.listed("stops")
    assert one["spec"]["lifted"] == {"by": "bob", "reason": "it is out"}
    assert (answer.code, "Started" in answer.out) == (0, True)
    again = site.run("start", "--by", "bob", "--reason", "it is out")
    assert (again.code, again.out.strip()) == (0, "nothing is stopped")


def test_start_of_one_device_leaves_what_is_about_others(site: Site) -> None:
    site.says = _as_bridge
    for devices in ((), ("edge",), ("core",), ("edge", "core")):
        assert site.run("stop", *devices, "--by", "ann", "--reason", "a fire").code == 0
    answer = site.run("start", "edge", "--by", "bob", "--reason", "it is out")
    lifted = [one["spec"].get("devices") for one in site.listed("stops") if one["spec"].get("lifted")]
    assert lifted == [["edge"]]
    assert answer.code == 3
    assert answer.out.count("is about other devices too") == 2
    assert site.run("start", "edge", "core", "--by", "bob", "--reason", "it is out").code == 3
    assert [one["spec"].get("devices") for one in site.listed("stops") if not one["spec"].get("lifted")] == [None]


def test_a_stop_whose_object_is_gone_is_lifted_by_its_name(site: Site) -> None:
    site.says = _as_bridge
    answer = site.run("start", "--stop", "stop-abcde", "--by", "bob", "--reason", "it is out")
    assert answer.code == 0
    (one,) = site.listed("stops")
    assert one["metadata"]["name"] == "stop-abcde"
    assert one["spec"]["lifted"] == {"by": "bob", "reason": "it is out"}


def test_a_stop_that_names_nobody_is_no_stop(site: Site) -> None:
    site.says = lambda _: {"state": "NotHere", "message": "no device of this cluster: egde"}
    answer = site.run("stop", "egde", "--by", "ann", "--reason", "a fire")
    assert answer.code == 3
    assert "egde" in answer.out
