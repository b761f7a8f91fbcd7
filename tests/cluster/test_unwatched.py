"""What a reflector did not see as it happened, it tells with the last time at which it was still otherwise."""

from datetime import UTC, datetime

from bridge.cluster.decode import Codec
from bridge.model.observed import Change, Pod, Resource
from tests.cluster.conftest import Reflecting
from tests.cluster.scripted import Consumer, FakeClock, Json, ScriptedServer, Streamed, bookmark, line, listed, pod

THEN = datetime(2025, 12, 31, tzinfo=UTC)


def known(*things: Json) -> list[Pod]:
    values = Codec(Resource.PODS).page(listed(things, 1).body).values
    return [value for value in values if isinstance(value, Pod)]


def since(consumer: Consumer) -> list[tuple[str, datetime | None]]:
    return [(event.value.uid, event.since) for event in consumer.events]


def test_what_a_list_shows_came_about_after_the_record_was_whole(
    server: ScriptedServer, consumer: Consumer, reflect: Reflecting
) -> None:
    server.lists = [listed([pod("a", 3), pod("b", 9, uid="new"), pod("c", 8)], 10)]
    reflect(known=known(pod("a", 3), pod("b", 4, uid="old")), known_at=THEN)
    consumer.until(lambda: consumer.syncs)
    assert since(consumer) == [("new", THEN), ("uid-c", THEN), ("old", THEN)]
    assert consumer.events[-1].change is Change.DELETED
    assert consumer.syncs[0].since == THEN


def test_a_first_list_ever_has_nothing_before_it(
    server: ScriptedServer, consumer: Consumer, reflect: Reflecting
) -> None:
    server.lists = [listed([pod("a", 3)], 10)]
    reflect()
    consumer.until(lambda: consumer.syncs)
    assert since(consumer) == [("uid-a", None)]
    assert consumer.syncs[0].since is None


def test_what_a_watch_tells_at_once_is_seen_as_it_happens(
    server: ScriptedServer, consumer: Consumer, reflect: Reflecting
) -> None:
    server.lists = [listed([], 10)]
    server.watches = [Streamed([line("ADDED", pod("a", 11)), line("DELETED", pod("a", 12))], then="hang", lasting=0)]
    reflect()
    consumer.until(lambda: len(consumer.events) == 2)
    assert since(consumer) == [("uid-a", None), ("uid-a", None)]


def test_a_watch_after_a_silence_begins_with_what_happened_meanwhile(
    server: ScriptedServer, consumer: Consumer, reflect: Reflecting, clock: FakeClock
) -> None:
    server.lists = [listed([pod("a", 3)], 10)]
    server.watches = [
        Streamed([], lasting=600),
        Streamed([line("ADDED", pod("b", 11)), line("DELETED", pod("a", 12))], lasting=0, then="hang"),
    ]
    began = clock.now()
    reflect()
    consumer.until(lambda: len(consumer.events) == 3)
    assert since(consumer) == [("uid-a", None), ("uid-b", began), ("uid-a", began)]


def test_a_watch_that_was_away_for_a_moment_only_missed_nothing(
    server: ScriptedServer, consumer: Consumer, reflect: Reflecting
) -> None:
    server.lists = [listed([pod("a", 3)], 10)]
    server.watches = [
        Streamed([bookmark(11)], lasting=2),
        Streamed([line("ADDED", pod("b", 12))], lasting=0, then="hang"),
    ]
    reflect()
    consumer.until(lambda: len(consumer.events) == 2)
    assert since(consumer) == [("uid-a", None), ("uid-b", None)]
