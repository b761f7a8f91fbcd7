"""A reflector that was watched for nobody goes on for a consumer with a record of his own, as if he had begun with a list."""

import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from bridge.cluster.client import Connection
from bridge.cluster.decode import Codec
from bridge.cluster.health import State
from bridge.cluster.reflector import Reflector
from bridge.cluster.settings import ReflectorSettings
from bridge.model.observed import Change, Pod, Resource, Synced
from tests.cluster.conftest import QUICK, longest
from tests.cluster.scripted import (
    Answer,
    Consumer,
    FakeClock,
    Json,
    ScriptedServer,
    Streamed,
    bookmark,
    error,
    eventually,
    line,
    listed,
    pod,
    refused,
)

THEN = datetime(2025, 12, 31, tzinfo=UTC)
Standing = Callable[..., Reflector]


@dataclass(frozen=True)
class Later(Streamed):
    """A watch that says nothing before it is told to."""

    come: threading.Event = field(default_factory=threading.Event)

    def play(self, peer: socket.socket, server: ScriptedServer) -> bool:
        self.come.wait(10)
        return super().play(peer, server)


def recorded(*things: Json) -> list[Pod]:
    """What a database holds of these."""
    values = Codec(Resource.PODS).page(listed(things, 1).body).values
    return [value for value in values if isinstance(value, Pod)]


@pytest.fixture
def standby(connection: Connection, clock: FakeClock, server: ScriptedServer) -> Iterator[Standing]:
    """A reflector without a consumer, once its watch stands."""
    started: list[Reflector] = []

    def start(resource: Resource = Resource.PODS, settings: ReflectorSettings = QUICK) -> Reflector:
        reflector = Reflector(connection, resource, None, clock, settings, uniform=longest)
        started.append(reflector)
        reflector.start()
        return reflector

    yield start
    server.ended.set()
    for reflector in started:
        reflector.stop()


def at(reflector: Reflector, version: str) -> None:
    eventually(lambda: reflector.health().resource_version == version and reflector.health().state is State.WATCHING)


def test_what_differs_from_the_record_is_told_without_a_list(
    server: ScriptedServer, consumer: Consumer, standby: Standing
) -> None:
    server.lists = [listed([pod("a", 3), pod("b", 4), pod("c", 5)], 10)]
    watched = [line("MODIFIED", pod("b", 11)), line("ADDED", pod("d", 12)), line("DELETED", pod("c", 13))]
    server.watches = [Streamed(watched, then="hang", lasting=0)]
    reflector = standby()
    at(reflector, "13")

    known = recorded(pod("a", 3), pod("b", 4), pod("c", 5))
    assert reflector.rebase(consumer, known, THEN, 10, 0)
    assert consumer.told() == [("upsert", "b"), ("upsert", "d"), ("deleted", "c")]
    assert [event.since for event in consumer.events] == [THEN] * 3
    assert consumer.events[-1].value.resource_version == "13"
    assert consumer.items[-1] == Synced(Resource.PODS, "13", since=THEN)
    assert len(server.asked(watches=False)) == 1


def test_what_happens_from_then_on_follows_and_ends_with_the_release(
    server: ScriptedServer, consumer: Consumer, standby: Standing
) -> None:
    server.lists = [listed([pod("a", 3)], 10)]
    server.watches = [
        Streamed([bookmark(11)]),
        Streamed([line("ADDED", pod("b", 12))]),
        Streamed([line("DELETED", pod("a", 13))]),
        Streamed([bookmark(14)], then="hang"),
    ]
    other, gone_on = Consumer(), []
    reflector = standby()
    at(reflector, "14")
    assert reflector.rebase(consumer, recorded(pod("a", 3)), THEN, 10, 0)
    assert consumer.told() == [("upsert", "b"), ("deleted", "a")]
    reflector.release()
    gone_on = list(consumer.items)
    assert reflector.rebase(other, recorded(pod("a", 3), pod("b", 12)), THEN, 12, 0)
    assert other.told() == [("deleted", "a")], "seen while somebody else was served, and still proven"
    assert consumer.items == gone_on


def test_a_consumer_is_told_each_change_once_whenever_he_comes(
    server: ScriptedServer, consumer: Consumer, standby: Standing
) -> None:
    server.lists = [listed([], 10)]
    server.watches = [Streamed([line("ADDED", pod(f"p{number}", 11 + number))], lasting=0) for number in range(200)]
    reflector = standby()
    eventually(lambda: reflector.health().objects > 20)
    assert reflector.rebase(consumer, [], THEN, 10, 0)
    consumer.until(lambda: len(consumer.store) == 200)
    assert [name for _, name in consumer.told()] == [f"p{number}" for number in range(200)]


def test_what_the_standby_itself_found_gone_is_inferred(
    server: ScriptedServer, consumer: Consumer, standby: Standing
) -> None:
    server.lists = [listed([pod("a", 3), pod("b", 4)], 10), listed([pod("a", 3)], 30), listed([pod("a", 3)], 31)]
    server.watches = [Streamed([bookmark(20), error(410)], lasting=0), Streamed([bookmark(40)], then="hang")]
    reflector = standby()
    at(reflector, "40")
    assert reflector.rebase(consumer, recorded(pod("a", 3), pod("b", 4)), THEN, 10, 0)
    (gone,) = consumer.events
    assert (gone.change, gone.value.name) == (Change.GONE, "b")
    assert gone.since is not None
    assert gone.since > THEN, "it was there when the standby last heard"


def test_what_nobody_saw_going_is_found_by_two_lists(
    server: ScriptedServer, consumer: Consumer, standby: Standing
) -> None:
    server.lists = [listed([pod("a", 3)], 10), listed([pod("a", 3)], 11), listed([pod("a", 3)], 12)]
    server.watches = [Streamed([bookmark(10)], then="hang", lasting=0)]
    reflector = standby(settings=ReflectorSettings(inactivity=3600))
    at(reflector, "10")
    assert not reflector.rebase(consumer, recorded(pod("a", 3), pod("b", 4)), THEN, 5, 0)
    assert consumer.items == []
    consumer.until(lambda: consumer.syncs)  # at once, although the watch hangs
    assert [(event.change, event.value.name, event.since) for event in consumer.events] == [(Change.GONE, "b", THEN)]
    assert len(server.asked(watches=False)) == 3


def test_a_name_held_by_another_uid_proves_the_end(
    server: ScriptedServer, consumer: Consumer, standby: Standing
) -> None:
    server.lists = [listed([pod("a", 9, uid="new")], 10)]
    server.watches = [Streamed([bookmark(10)], then="hang", lasting=0)]
    reflector = standby()
    at(reflector, "10")
    assert reflector.rebase(consumer, recorded(pod("a", 3, uid="old")), THEN, 9, 0)
    assert [(event.change, event.value.uid) for event in consumer.events] == [
        (Change.UPSERT, "new"),
        (Change.DELETED, "old"),
    ]


def test_a_proof_outlives_a_list_that_has_to_be_taken(
    server: ScriptedServer, consumer: Consumer, standby: Standing
) -> None:
    server.lists = [listed([pod("a", 3)], 10), listed([], 20), listed([], 21)]
    server.watches = [Streamed([line("DELETED", pod("a", 11))], then="hang", lasting=0)]
    reflector = standby()
    at(reflector, "11")
    assert not reflector.rebase(consumer, recorded(pod("a", 3), pod("b", 4)), THEN, 5, 0)
    consumer.until(lambda: consumer.syncs)
    assert consumer.told() == [("deleted", "a"), ("gone", "b")]


def test_a_standby_behind_the_record_is_waited_for(
    server: ScriptedServer, consumer: Consumer, standby: Standing
) -> None:
    """The owner before saw `a` go and `b` come: to tell of `a` again, or to miss `b`, would be wrong."""
    late = Later([line("DELETED", pod("a", 11)), line("ADDED", pod("b", 12))], then="hang", lasting=0)
    server.lists = [listed([pod("a", 3)], 10)]
    server.watches = [Streamed([bookmark(10)], lasting=2), late]
    reflector = standby()
    at(reflector, "10")
    told: list[bool] = []
    known = recorded(pod("b", 12))
    going_on = threading.Thread(target=lambda: told.append(reflector.rebase(consumer, known, THEN, 12, 10)))
    going_on.start()
    late.come.set()
    going_on.join(10)
    assert told == [True]
    assert consumer.told() == []
    assert consumer.syncs == [Synced(Resource.PODS, "12", since=THEN)]


def test_a_standby_that_stays_behind_takes_a_list(
    server: ScriptedServer, consumer: Consumer, standby: Standing
) -> None:
    server.lists = [listed([pod("a", 3)], 10), listed([pod("b", 12)], 13)]
    server.watches = [Streamed([bookmark(10)], then="hang", lasting=0)]
    reflector = standby()
    at(reflector, "10")
    assert not reflector.rebase(consumer, recorded(pod("b", 12)), THEN, 12, 0.05)
    consumer.until(lambda: consumer.syncs)
    assert consumer.told() == []
    assert consumer.syncs == [Synced(Resource.PODS, "13", since=THEN)]


def test_a_standby_that_fails_takes_a_list_at_once(
    server: ScriptedServer, consumer: Consumer, connection: Connection, clock: FakeClock
) -> None:
    class Patient(FakeClock):
        def wait(self, event: object, seconds: float) -> bool:
            self.waits.append(seconds)
            return event.wait(10)  # type: ignore[attr-defined,no-any-return]

    server.lists = [listed([pod("a", 3)], 10), listed([pod("a", 3)], 20)]
    server.watches = [Streamed([bookmark(10)], then="cut"), Streamed([bookmark(20)], then="hang")]
    patient = Patient()
    reflector = Reflector(connection, Resource.PODS, None, patient, QUICK, uniform=longest)
    reflector.start()
    try:
        eventually(lambda: patient.waits)
        assert not reflector.rebase(consumer, recorded(pod("a", 3), pod("b", 4)), THEN, 5, 0)
        consumer.until(lambda: consumer.syncs)
        assert consumer.told() == [("gone", "b")]
    finally:
        reflector.stop()
    assert clock.waits == []


def test_a_list_that_is_under_way_is_begun_again(server: ScriptedServer, consumer: Consumer, standby: Standing) -> None:
    """What its first pages showed was told to nobody."""
    hanging = Streamed(then="hang", lasting=0)
    server.lists = [listed([pod("a", 3)], 10, proceed="more"), hanging, listed([pod("a", 3), pod("b", 4)], 12)]
    reflector = standby(settings=ReflectorSettings(inactivity=3600))
    eventually(lambda: len(server.asked(watches=False)) == 2)
    assert not reflector.rebase(consumer, [], None, 0, 0)
    consumer.until(lambda: consumer.syncs)
    assert consumer.told() == [("upsert", "a"), ("upsert", "b")]


def test_a_kind_that_is_not_installed_needs_no_list(
    connection: Connection, consumer: Consumer, clock: FakeClock, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with ScriptedServer(clock, tmp_path_factory.mktemp("other"), Resource.ADDRESS_GROUPS) as server:
        server.lists = [refused(404, "NotFound")]
        config = type(connection.config)("east", server.kubeconfig, read_timeout=1.0)
        other = Connection(config, clock)
        reflector = Reflector(other, Resource.ADDRESS_GROUPS, None, clock, QUICK, uniform=longest)
        reflector.start()
        try:
            eventually(lambda: reflector.health().state is State.NOT_INSTALLED)
            assert reflector.rebase(consumer, [], THEN, 0, 0)
            assert consumer.syncs[0].resource is Resource.ADDRESS_GROUPS
            assert consumer.events == []
        finally:
            reflector.stop()
            other.close()


def test_departures_are_forgotten_once_every_record_has_them(
    server: ScriptedServer, consumer: Consumer, standby: Standing, clock: FakeClock
) -> None:
    server.lists = [listed([pod("a", 3)], 10), listed([], 20), listed([], 21)]
    server.watches = [Streamed([line("DELETED", pod("a", 11))], then="hang", lasting=0)]
    reflector = standby()
    at(reflector, "11")
    clock.advance(60)
    reflector.forget_departures(clock.now())
    assert not reflector.rebase(consumer, recorded(pod("a", 3)), THEN, 5, 0)
    consumer.until(lambda: consumer.syncs)
    assert consumer.told() == [("gone", "a")]


def test_what_a_consumer_refuses_leaves_the_reflector_as_it_was(
    server: ScriptedServer, consumer: Consumer, standby: Standing
) -> None:
    server.lists = [listed([pod("a", 3)], 10)]
    server.watches = [Streamed([bookmark(10)], then="hang", lasting=0)]
    reflector = standby()
    at(reflector, "10")
    consumer.refused = {0}
    with pytest.raises(RuntimeError):
        reflector.rebase(consumer, [], THEN, 5, 0)
    assert reflector.rebase(consumer, [], THEN, 5, 0)
    assert consumer.told() == [("upsert", "a")]
    assert len(server.asked(watches=False)) == 1


def test_a_truncated_list_is_no_picture(server: ScriptedServer, consumer: Consumer, standby: Standing) -> None:
    cut = Answer(listed([pod("a", 3), pod("b", 4)], 10).body, cut=20)
    server.lists = [cut, cut, listed([pod("a", 3), pod("b", 4)], 12)]
    reflector = standby()
    reflector.rebase(consumer, recorded(pod("a", 3), pod("b", 4)), THEN, 5, 0)
    consumer.until(lambda: consumer.syncs)
    assert consumer.told() == []
