"""Orders where a cluster is silent, where nobody is known, and where many wait at a time."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from bridge.api import orders
from bridge.api.access import Person, Role
from bridge.api.problems import Missing, Wrong
from bridge.api.routes import stops
from bridge.api.site import Site
from bridge.cluster.orders import Given
from bridge.errors import ClusterUnavailable, Refused
from bridge.model.kinds import STOP
from bridge.state.database import Database

NOBODY = Person("", Role.SECURITY)
JOE = Person("joe", Role.SECURITY)


class Cluster:
    """A cluster that takes orders at once, or does not answer."""

    def __init__(self, *, silent: bool = False, refuses: bool = False) -> None:
        self.silent, self.refuses = silent, refuses
        self.given: list[Given] = []

    def stop(self, spec: dict[str, Any]) -> Given:
        self._answers()
        self.given.append(Given(STOP.resource, f"stop-{len(self.given)}", "uid", spec))
        return self.given[-1]

    def stops(self) -> Sequence[Given]:
        self._answers()
        return tuple(self.given)

    def lift(self, one: Given, by: str, reason: str) -> Given:
        return replace(one, spec={**one.spec, "lifted": {"by": by, "reason": reason}})

    def settled(self, one: Given, states: Sequence[str], _: float) -> Given:
        return replace(one, state=states[0])

    def _answers(self) -> None:
        if self.silent:
            raise ClusterUnavailable("nobody answers")
        if self.refuses:
            raise Refused("the cluster does not let you")


def _site(clusters: dict[str, Cluster]) -> Site:
    @contextmanager
    def ordered(name: str) -> Iterator[Any]:
        yield clusters[name]

    def never(*_: object) -> Any:  # noqa: ANN401
        raise AssertionError("no device is read for an order")

    serving = dict.fromkeys(clusters, ("edge", "core"))
    return Site(Database("postgresql://nobody@127.0.0.1:1/none"), {}, {}, serving, never, never, ordered, never)


@pytest.mark.parametrize("first", [Cluster(silent=True), Cluster(refuses=True)])
def test_a_device_is_stopped_through_the_cluster_that_takes_it(first: Cluster) -> None:
    clusters = {"east": first, "west": Cluster()}
    found = stops.stop_device(_site(clusters), JOE, "edge", "a fire")
    assert (found.cluster, found.state, found.devices) == ("west", "Stopped", ("edge",))
    assert clusters["west"].given[0].spec == {"by": "joe", "reason": "a fire", "devices": ["edge"]}


def test_nobody_takes_it() -> None:
    with pytest.raises(ClusterUnavailable):
        stops.stop_device(_site({"east": Cluster(silent=True)}), JOE, "edge", "a fire")
    with pytest.raises(ClusterUnavailable):
        stops.start_device(_site({"east": Cluster(silent=True)}), JOE, "edge", "a fire")
    with pytest.raises(Missing, match="there are core, edge"):
        stops.stop_device(_site({"east": Cluster()}), JOE, "faraway", "a fire")


def test_a_device_starts_as_far_as_clusters_answer() -> None:
    clusters = {"east": Cluster(silent=True), "west": Cluster()}
    site = _site(clusters)
    stops.stop(site, JOE, "west", ["edge"], "a fire")
    stops.stop(site, JOE, "west", ["core", "edge"], "a flood")
    stops.stop(site, JOE, "west", ["core"], "something else")
    found = stops.start_device(site, NOBODY, "edge", "it is out", by=" ann ")
    assert [(one.name, one.by, one.state) for one in found.lifted] == [("stop-0", "ann", "Started")]
    assert found.others == ("stop-1",)
    assert (found.unanswered, found.problem) == (("east",), "nobody answers")


@pytest.mark.parametrize(
    ("person", "by", "name"),
    [(JOE, None, "joe"), (JOE, "joe", "joe"), (JOE, " ", "joe"), (NOBODY, " ann ", "ann")],
)
def test_whose_name_an_order_bears(person: Person, by: str | None, name: str) -> None:
    assert orders.signature(person, by) == name


@pytest.mark.parametrize(("person", "by"), [(JOE, "ann"), (NOBODY, None), (NOBODY, " "), (NOBODY, "ann\nbob")])
def test_an_order_of_nobody_or_in_the_name_of_another(person: Person, by: str | None) -> None:
    with pytest.raises(Wrong):
        orders.signature(person, by)


def test_who_comes_while_many_wait_is_not_kept_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orders, "_WAITING", threading.BoundedSemaphore(1))
    given = Given(STOP.resource, "stop-0", "uid", {})
    site = _site({"east": Cluster()})
    with site.orders("east") as there:
        assert orders.awaited(there, given, ("Stopped",), 10).state == "Stopped"
        orders._WAITING.acquire()
        assert orders.awaited(there, given, ("Stopped",), 10).state == ""
    told = orders.told("east", given, "ann", "a fire")
    assert (told.state, told.kind) == ("Waiting", "Stop")
    assert "has not said" in told.message
