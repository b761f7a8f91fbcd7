"""A reflector against everything that an API server has been seen to do."""

from datetime import UTC, datetime

import pytest

from bridge.cluster.decode import Codec
from bridge.cluster.health import State
from bridge.cluster.settings import ReflectorSettings
from bridge.model.observed import Change, Event, Pod, Resource, Synced, Undecodable
from tests.cluster.conftest import Reflecting
from tests.cluster.scripted import (
    Answer,
    Consumer,
    FakeClock,
    Json,
    ScriptedServer,
    Step,
    Streamed,
    bookmark,
    error,
    eventually,
    line,
    listed,
    namespace,
    pod,
    refused,
)

HANG = Streamed(then="hang", lasting=0)


def known(*things: Json) -> list[Pod]:
    """What a database would hold of these."""
    values = Codec(Resource.PODS).page(listed(things, 1).body).values
    return [value for value in values if isinstance(value, Pod)]


def test_a_list_in_pages_then_a_watch_from_its_version(
    server: ScriptedServer, consumer: Consumer, reflect: Reflecting
) -> None:
    server.lists = [listed([pod("a", 3)], 10, proceed="more"), listed([pod("b", 4)], 10)]
    server.watches = [Streamed([line("ADDED", pod("c", 11)), line("DELETED", pod("a", 12))], then="hang")]
    reflector = reflect()
    consumer.until(lambda: "uid-a" not in consumer.store and "uid-c" in consumer.store)

    first, second = server.asked(watches=False)
    assert first.query == {"limit": "2000"}
    assert second.query == {"limit": "2000", "continue": "more"}
    (watch,) = server.asked(watches=True)
    assert watch.query["resourceVersion"] == "10"
    assert watch.query["allowWatchBookmarks"] == "true"
    assert watch.query["timeoutSeconds"] == "600"
    assert watch.headers["authorization"] == "Bearer t0"
    assert consumer.told() == [("upsert", "a"), ("upsert", "b"), ("upsert", "c"), ("deleted", "a")]
    assert consumer.items[2] == Synced(Resource.PODS, "10")
    health = reflector.health()
    assert (health.state, health.synced, health.resource_version, health.objects) == (State.WATCHING, True, "12", 2)
    assert health.silent_for is not None


def test_a_burst_arrives_as_one_batch(server: ScriptedServer, consumer: Consumer, reflect: Reflecting) -> None:
    burst = b"".join(line("ADDED", pod(f"p{number}", 11 + number)) for number in range(100))
    server.lists = [listed([], 10)]
    server.watches = [Streamed([burst], then="hang")]
    reflect()
    consumer.until(lambda: len(consumer.store) == 100)
    assert len(consumer.batches) <= 3


def test_an_event_in_many_pieces_is_one_event(server: ScriptedServer, consumer: Consumer, reflect: Reflecting) -> None:
    data = line("ADDED", pod("a", 11)) + line("ADDED", pod("ü", 12))
    server.lists = [listed([], 10)]
    server.watches = [Streamed([data[at : at + 7] for at in range(0, len(data), 7)], then="hang")]
    reflect()
    consumer.until(lambda: "uid-ü" in consumer.store)
    assert consumer.told() == [("upsert", "a"), ("upsert", "ü")]


def test_a_watch_that_ends_is_resumed_where_it_was(
    server: ScriptedServer, consumer: Consumer, reflect: Reflecting, clock: FakeClock
) -> None:
    server.lists = [listed([], 10)]
    server.watches = [
        Streamed([line("ADDED", pod("a", 11)), bookmark(20)]),
        Streamed(),
        Streamed([line("ADDED", pod("b", 21))], then="hang"),
    ]
    reflect()
    consumer.until(lambda: "uid-b" in consumer.store)
    assert [each.query["resourceVersion"] for each in server.asked(watches=True)] == ["10", "20", "20"]
    assert len(server.asked(watches=False)) == 1
    assert clock.waits == []


def test_a_very_short_watch_without_events_is_a_failure(
    server: ScriptedServer, consumer: Consumer, reflect: Reflecting, clock: FakeClock
) -> None:
    server.lists = [listed([], 10)]
    server.watches = [*(Streamed(lasting=0.1) for _ in range(4)), Streamed([line("ADDED", pod("b", 21))], then="hang")]
    reflector = reflect()
    consumer.until(lambda: "uid-b" in consumer.store)
    assert clock.waits == [0.8, 1.6, 3.2, 6.4]
    eventually(lambda: reflector.health().failures == 0)
    assert reflector.health().error == ""


BROKEN: dict[str, Step] = {
    "cut between events": Streamed([line("ADDED", pod("a", 11))], then="cut"),
    "cut within an event": Streamed([line("ADDED", pod("a", 11)), b'{"type":"ADD'], then="cut"),
    "ended within an event": Streamed([line("ADDED", pod("a", 11)), b'{"type":"ADD']),
    "an ERROR of 500": Streamed([line("ADDED", pod("a", 11)) + error(500, "InternalError")]),
    "an ERROR of 504": Streamed([line("ADDED", pod("a", 11)) + error(504, "Timeout")]),
    "a garbage line": Streamed([line("ADDED", pod("a", 11)), b"<html>proxy</html>\n"], then="hang"),
    "a line that is no event": Streamed([line("ADDED", pod("a", 11)), b'{"a":1}\n'], then="hang"),
    "nothing more, for too long": Streamed([line("ADDED", pod("a", 11))], then="hang"),
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_watch_that_breaks_is_resumed_without_a_list(
    how: str, server: ScriptedServer, consumer: Consumer, reflect: Reflecting, clock: FakeClock
) -> None:
    server.lists = [listed([], 10)]
    server.watches = [BROKEN[how], Streamed([line("ADDED", pod("b", 21))], then="hang")]
    reflect(settings=ReflectorSettings(inactivity=0.2))
    consumer.until(lambda: "uid-b" in consumer.store)
    assert [each.query["resourceVersion"] for each in server.asked(watches=True)][:2] in (["10", "11"], ["10", "10"])
    assert len(server.asked(watches=False)) == 1
    assert clock.waits[0] == 0.8
    assert set(consumer.store) == {"uid-a", "uid-b"} or how in ("a garbage line", "a line that is no event")


def test_garbage_that_comes_again_leads_to_a_list(
    server: ScriptedServer, consumer: Consumer, reflect: Reflecting
) -> None:
    server.lists = [listed([], 10), listed([pod("a", 15)], 20)]
    server.watches = [Streamed([b"garbage\n"]), Streamed([b"garbage\n"])]
    reflect()
    consumer.until(lambda: len(consumer.syncs) == 2)
    assert set(consumer.store) == {"uid-a"}


@pytest.mark.parametrize(
    "gone", [Streamed([error(410, "Expired")]), refused(410, "Expired")], ids=["in the stream", "at once"]
)
def test_an_expired_version_leads_to_a_list_and_no_replay(
    gone: Step, server: ScriptedServer, consumer: Consumer, reflect: Reflecting, clock: FakeClock
) -> None:
    server.lists = [listed([pod("a", 3), pod("b", 4)], 10), listed([pod("a", 3), pod("b", 14), pod("c", 15)], 20)]
    server.watches = [gone]
    reflect()
    consumer.until(lambda: len(consumer.syncs) == 2)
    assert consumer.told() == [("upsert", "a"), ("upsert", "b"), ("upsert", "b"), ("upsert", "c")]
    assert clock.waits == [0.0]


def test_expired_again_and_again_is_slowed_down(
    server: ScriptedServer, consumer: Consumer, reflect: Reflecting, clock: FakeClock
) -> None:
    server.lists = [listed([], 10)]
    server.watches = [refused(410, "Expired") for _ in range(4)]
    reflect()
    consumer.until(lambda: len(consumer.syncs) == 5)
    assert clock.waits == [0.0, 1.6, 3.2, 6.4]


FAILED_LISTS: dict[str, list[Step]] = {
    "expired while paging": [listed([pod("a", 3)], 10, proceed="more"), refused(410, "Expired")],
    "truncated": [Answer(listed([pod("a", 3)], 10).body, cut=20)],
    "no list at all": [Answer(b"{}")],
    "without items": [Answer(b'{"kind":"PodList","metadata":{"resourceVersion":"10"}}')],
    "a page of a proxy": [Answer(b"<html>hello</html>")],
    "a version that is no number": [Answer(b'{"metadata":{"resourceVersion":"x"},"items":[]}')],
    "pages of different versions": [listed([pod("a", 3)], 10, proceed="more"), listed([], 11)],
    "unauthorized": [refused(401, "Unauthorized")],
    "forbidden": [refused(403, "Forbidden")],
    "not found": [refused(404, "NotFound")],
    "internal error": [refused(500, "InternalError")],
    "unavailable, without a body": [Answer(b"", 503)],
    "hanging": [HANG],
}


@pytest.mark.parametrize("how", FAILED_LISTS)
def test_a_failed_list_deletes_nothing_and_is_tried_again(
    how: str, server: ScriptedServer, consumer: Consumer, reflect: Reflecting, clock: FakeClock
) -> None:
    held = known(pod("a", 3), pod("z", 4))
    consumer.store = {value.uid: value for value in held}
    server.lists = [*FAILED_LISTS[how], listed([pod("a", 3), pod("z", 4), pod("b", 5)], 30)]
    reflect(known=held)
    consumer.until(lambda: consumer.syncs)
    assert set(consumer.store) == {"uid-a", "uid-b", "uid-z"}
    assert not [event for event in consumer.events if event.change is not Change.UPSERT]
    assert len(clock.waits) == 1


def test_denied_is_said_with_verb_and_resource_and_tried_slowly(
    server: ScriptedServer, reflect: Reflecting, clock: FakeClock
) -> None:
    server.lists = [refused(403, "Forbidden")]
    reflector = reflect()
    eventually(lambda: len(clock.waits) > 3)
    health = reflector.health()
    assert health.state is State.DENIED
    assert "list pods" in health.error
    assert set(clock.waits) == {30.0}


def test_the_server_says_when_to_come_back(
    server: ScriptedServer, consumer: Consumer, reflect: Reflecting, clock: FakeClock
) -> None:
    server.lists = [refused(429, "TooManyRequests", retry_after=17), refused(503, retry_after=9), listed([], 10)]
    reflect()
    consumer.until(lambda: consumer.syncs)
    assert clock.waits == [17, 9]


def test_hours_of_outage_cost_few_calls(server: ScriptedServer, reflect: Reflecting, clock: FakeClock) -> None:
    server.lists = [refused(500)]
    start = clock.elapsed()
    reflector = reflect()
    eventually(lambda: clock.elapsed() - start > 4 * 3600)
    reflector.stop()
    assert len(server.asked(watches=False)) < 4 * 3600 / 30 + 10
    assert max(clock.waits) == 30.0


def test_a_stale_list_is_a_failure(
    server: ScriptedServer, consumer: Consumer, reflect: Reflecting, clock: FakeClock
) -> None:
    server.lists = [listed([pod("a", 3)], 10), listed([], 40), listed([pod("a", 3), pod("b", 45)], 60)]
    server.watches = [Streamed([bookmark(50), error(410)])]
    reflect()
    consumer.until(lambda: len(consumer.syncs) == 2)
    assert consumer.told() == [("upsert", "a"), ("upsert", "b")]


def test_what_vanished_is_gone_after_two_lists(
    server: ScriptedServer, consumer: Consumer, reflect: Reflecting, clock: FakeClock
) -> None:
    then = datetime(2025, 12, 31, tzinfo=UTC)
    server.lists = [listed([pod("a", 3)], 10), listed([pod("a", 3)], 12)]
    reflect(known=known(pod("a", 3), pod("b", 4)), known_at=then)
    consumer.until(lambda: consumer.syncs)
    (gone,) = consumer.events
    assert (gone.change, gone.value.name, gone.since) == (Change.GONE, "b", then)
    assert len(server.asked(watches=False)) == 2
    eventually(lambda: server.asked(watches=True))
    assert server.asked(watches=True)[0].query["resourceVersion"] == "10"


def test_after_an_outage_the_last_fresh_moment_bounds_the_deletion(
    server: ScriptedServer, consumer: Consumer, reflect: Reflecting, clock: FakeClock
) -> None:
    server.lists = [listed([pod("a", 3)], 10), listed([], 30), listed([], 31)]
    server.watches = [Streamed([bookmark(20)], lasting=0), refused(500), refused(500), refused(410)]
    began = clock.now()
    reflect()
    consumer.until(lambda: len(consumer.syncs) == 2)
    assert [(event.change, event.since) for event in consumer.events] == [(Change.UPSERT, None), (Change.GONE, began)]
    assert clock.now() > began


def test_what_the_second_list_shows_is_not_gone(
    server: ScriptedServer, consumer: Consumer, reflect: Reflecting
) -> None:
    # Between the lists, "a" was made again by a restore that kept its uid.
    server.lists = [listed([], 10), listed([pod("a", 11)], 12)]
    server.watches = [Streamed([line("ADDED", pod("a", 11))], then="hang")]
    reflect(known=known(pod("a", 3), pod("b", 4)))
    consumer.until(lambda: len(consumer.events) == 2)
    assert consumer.told() == [("gone", "b"), ("upsert", "a")]


def test_a_list_that_left_something_out_is_not_believed(
    server: ScriptedServer, consumer: Consumer, reflect: Reflecting, clock: FakeClock
) -> None:
    whole = listed([pod("a", 3), pod("new", 9)], 12)
    server.lists = [listed([], 10), whole, whole]
    reflect(known=known(pod("a", 3), pod("b", 4)))
    consumer.until(lambda: consumer.syncs)
    assert consumer.told() == [("upsert", "new"), ("gone", "b")]
    assert len(clock.waits) == 1


def test_a_stale_second_list_confirms_nothing(server: ScriptedServer, consumer: Consumer, reflect: Reflecting) -> None:
    server.lists = [listed([], 10), listed([], 9), listed([pod("a", 3)], 12)]
    reflect(known=known(pod("a", 3)))
    consumer.until(lambda: consumer.syncs)
    assert consumer.events == []


@pytest.mark.parametrize("second", [refused(500), Answer(b"{}"), Answer(listed([], 11).body, cut=9)])
def test_a_failed_second_list_confirms_nothing(
    second: Step, server: ScriptedServer, consumer: Consumer, reflect: Reflecting
) -> None:
    server.lists = [listed([], 10), second, listed([pod("a", 3)], 12)]
    reflect(known=known(pod("a", 3)))
    consumer.until(lambda: consumer.syncs)
    assert consumer.events == []


def test_a_name_held_by_another_uid_proves_the_deletion(
    server: ScriptedServer, consumer: Consumer, reflect: Reflecting
) -> None:
    server.lists = [listed([pod("a", 9, uid="new")], 10)]
    reflect(known=known(pod("a", 3, uid="old")))
    consumer.until(lambda: consumer.syncs)
    assert [(event.change, event.value.uid) for event in consumer.events] == [
        (Change.UPSERT, "new"),
        (Change.DELETED, "old"),
    ]
    assert len(server.asked(watches=False)) == 1


@pytest.mark.parametrize("answer", [listed([], 10), refused(500), refused(403)], ids=["none", "failing", "denied"])
def test_nothing_is_inferred_while_namespaces_cannot_be_shown(
    answer: Step, server: ScriptedServer, consumer: Consumer, reflect: Reflecting, clock: FakeClock
) -> None:
    server.namespaces = [answer]
    server.lists = [listed([], 10)]
    reflector = reflect(known=known(pod("a", 3)))
    eventually(lambda: len(clock.waits) > 3)
    assert consumer.items == []
    assert not reflector.health().synced
    server.namespaces = [listed([namespace("default", 1)], 10)]
    consumer.until(lambda: consumer.syncs)
    assert consumer.told() == [("gone", "a")]


def test_an_object_that_does_not_say_which_it_is_stops_inference_alone(
    server: ScriptedServer, consumer: Consumer, reflect: Reflecting
) -> None:
    nameless: Json = {"metadata": {"name": 7, "uid": ["a"]}}
    server.lists = [listed([nameless, pod("b", 4)], 10)]
    reflect(known=known(pod("a", 3)))
    consumer.until(lambda: consumer.syncs)
    assert [event.change for event in consumer.events] == [Change.UPSERT, Change.UPSERT]
    assert isinstance(consumer.events[0].value, Undecodable)
    assert "uid-b" in consumer.store


def test_one_bad_object_spoils_neither_list_nor_watch(
    server: ScriptedServer, consumer: Consumer, reflect: Reflecting
) -> None:
    bad = pod("bad", 4, ip="300.1.2.3")
    odd: Json = {
        "metadata": {"name": "odd", "namespace": "shop", "uid": "uid-odd", "resourceVersion": "12"},
        "spec": [1],
    }
    server.lists = [listed([pod("a", 3), bad, odd], 10)]
    server.watches = [
        Streamed([line("MODIFIED", odd) + line("ADDED", pod("c", 13)) + line("DELETED", odd)], then="hang")
    ]
    reflect()
    consumer.until(lambda: "uid-c" in consumer.store)
    consumer.until(lambda: "uid-odd" not in consumer.store)
    assert isinstance(consumer.store["uid-bad"], Undecodable)
    assert "status.podIPs" in consumer.store["uid-bad"].reason
    assert isinstance(consumer.store["uid-a"], Pod)


def test_what_the_consumer_refuses_comes_again(
    server: ScriptedServer, consumer: Consumer, reflect: Reflecting, clock: FakeClock
) -> None:
    server.lists = [listed([pod("a", 3)], 10)]
    server.watches = [Streamed([line("ADDED", pod("b", 11))], then="hang") for _ in range(2)]
    consumer.refused = {0, 2, 4}  # the list, its Synced, the watch's event
    reflect()
    consumer.until(lambda: "uid-b" in consumer.store)
    assert consumer.told() == [("upsert", "a"), ("upsert", "b")]
    assert [each.query["resourceVersion"] for each in server.asked(watches=True)][:2] == ["10", "10"]
    assert len(clock.waits) == 3


def test_objects_that_the_consumer_holds_are_not_told_again(
    server: ScriptedServer, consumer: Consumer, reflect: Reflecting
) -> None:
    server.lists = [listed([pod("a", 3), pod("b", 8)], 10)]
    reflect(known=known(pod("a", 3), pod("b", 4)))
    consumer.until(lambda: consumer.syncs)
    assert consumer.items == [
        Event(Change.UPSERT, Resource.PODS, known(pod("b", 8))[0]),
        Synced(Resource.PODS, "10"),
    ]


def test_stopping_is_prompt_while_a_watch_hangs(
    server: ScriptedServer, consumer: Consumer, reflect: Reflecting
) -> None:
    server.lists = [listed([], 10)]
    reflector = reflect(settings=ReflectorSettings(inactivity=3600))
    eventually(lambda: server.asked(watches=True))
    reflector.stop()
    assert reflector.health().state is State.STOPPED


def test_stopping_is_prompt_while_a_list_hangs(server: ScriptedServer, reflect: Reflecting) -> None:
    server.lists = [HANG]
    reflector = reflect()
    eventually(lambda: server.asked(watches=False))
    reflector.stop()
    assert reflector.health().state is State.STOPPED
