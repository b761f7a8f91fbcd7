"""The stream of changes: who listens hears where something moved, also what moved before he came back."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest

from bridge.api import changes
from bridge.api.changes import Changes, counted, moved, place
from bridge.errors import StateUnavailable
from bridge.state.counters import Counted
from tests.acceptance.site import CLUSTER, DEVICE
from tests.acceptance.world import World
from tests.api.conftest import Api, api_of

FIRST = Counted({"a": "1"}, {"edge": "1"}, {"reports": "0"})
SECOND = Counted({"a": "2", "b": "1"}, {"edge": "1"}, {"reports": "1"})


def _events(lines: Iterator[str]) -> Iterator[tuple[str, Any]]:
    """Id and data of each event; None for one that has no data."""
    name, data = "", None
    for line in lines:
        word, _, rest = line.partition(": ")
        if word == "id":
            name = rest
        elif word == "data":
            data = json.loads(rest)
        elif not line and name:
            yield name, data
            name, data = "", None


@contextlib.contextmanager
def _listening(api: Api, last: str = "", **more: str | int) -> Iterator[Iterator[tuple[str, Any]]]:
    headers = {"Last-Event-ID": last} if last else {}
    with api.client.stream("GET", "/api/v1/changes", headers=headers, params=more, timeout=60) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream"), answer.read()
        yield _events(answer.iter_lines())


def test_who_listens_hears_of_a_pod(api: Api) -> None:
    with _listening(api) as events:
        first, nothing = next(events)
        assert nothing is None
        api.world.team("changing", "10.244.7.1")
        clusters: set[str] = set()
        devices: set[str] = set()
        last = first
        while not (clusters and devices):
            last, told = next(events)
            clusters |= set(told["clusters"])
            devices |= set(told["devices"])
    assert (clusters, devices) == ({CLUSTER}, {DEVICE})
    with _listening(api, first) as events:
        _, told = next(events)
        assert (told["clusters"], told["devices"]) == ([CLUSTER], [DEVICE])
    with _listening(api, after=first) as events:
        assert next(events)[1]["clusters"] == [CLUSTER]
    with _listening(api, "no id of ours") as events:
        _, told = next(events)
        assert (told["clusters"], told["devices"], set(told["others"])) == (
            [CLUSTER],
            [DEVICE],
            {"replicas", "reports", "stops"},
        )
    with _listening(api, last, seconds=1) as events:
        assert all(data for _, data in events)  # it ends by itself


def test_a_stream_ends_with_its_server(site: World) -> None:
    with contextlib.ExitStack() as server, httpx.Client(trust_env=False, timeout=60) as client:
        other = server.enter_context(api_of(site))
        with client.stream("GET", f"{other.client.base_url}/api/v1/changes") as answer:
            lines = answer.iter_lines()
            next(_events(lines))
            server.close()
            assert all(line.startswith(":") for line in lines if line)  # to its proper end


def test_no_more_listen_than_may(site: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "MOST", 1)
    with api_of(site) as other, _listening(other) as events:
        next(events)
        refused = other.client.get("/api/v1/changes")
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "10")


def test_what_moved_is_told_by_name() -> None:
    told = moved(FIRST, SECOND)
    assert (told.clusters, told.devices, told.others) == (("a", "b"), (), ("reports",))
    assert moved(SECOND, FIRST).clusters == ("a", "b")  # one that is gone has moved


@pytest.mark.parametrize("text", ["", "x", "ÿ", "e30", "bnVsbA", place(FIRST)[:-5]])
def test_an_id_of_nobody_knows_nothing(text: str) -> None:
    assert counted(place(FIRST)) == FIRST
    assert counted(text) == Counted()


class Looked:
    """The counters as a test sets them."""

    def __init__(self) -> None:
        self.counted: Counted | None = FIRST

    def __call__(self) -> Counted:
        if self.counted is None:
            raise StateUnavailable("away")
        return self.counted


async def _heard(stream: AsyncIterator[Counted | None]) -> Counted | None:
    async with asyncio.timeout(30):
        return await anext(stream)


def test_a_database_that_is_away_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "PAUSE", 0.01)
    monkeypatch.setattr(changes, "HEARTBEAT", 0.05)
    look = Looked()

    async def listen() -> None:
        stream = Changes(look).since(None, 60)
        assert await _heard(stream) == FIRST
        look.counted = None
        assert await _heard(stream) is None
        look.counted = SECOND
        while (told := await _heard(stream)) is None:
            pass
        assert told == SECOND

    asyncio.run(listen())


def test_all_streams_end_when_nobody_is_served_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "PAUSE", 0.01)
    told = Changes(Looked())

    async def listen() -> None:
        streams = [told.since(None, 600) for _ in range(3)]
        assert [await _heard(one) for one in streams] == [FIRST] * 3
        await asyncio.to_thread(told.close)
        async with asyncio.timeout(30):
            for stream in (*streams, told.since(None, 600)):
                assert [one async for one in stream] == []

    asyncio.run(listen())


def test_a_fault_of_ours_ends_the_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "PAUSE", 0.01)

    def broken() -> Counted:
        raise ZeroDivisionError

    async def listen() -> None:
        async with asyncio.timeout(30):
            assert [one async for one in Changes(broken).since(None, 600)] == []

    asyncio.run(listen())
