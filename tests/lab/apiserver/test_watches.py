"""Watches: nothing lost, nothing twice, bookmarks, both forms of 410."""

import itertools
import random
import threading
from collections.abc import Iterator

import httpx
import pytest

from bridge.lab.apiserver import ApiServer, Fault, LabCluster, Manifest
from tests.lab.apiserver.wire import Follower, events, pod

PODS = "/api/v1/pods"


@pytest.fixture
def server(cluster: LabCluster) -> Iterator[ApiServer]:
    """One whose bookmarks come quickly: they tell the tests that nothing more follows."""
    with ApiServer(cluster, bookmark_every=0.05) as server:
        yield server


def so_far(http: httpx.Client, **params: str | int) -> list[Manifest]:
    """The events of a watch up to its first bookmark."""
    stream = events(http, PODS, allowWatchBookmarks="true", **params)
    return list(itertools.takewhile(lambda event: event["type"] != "BOOKMARK", stream))


def stored(cluster: LabCluster) -> dict[str, str]:
    return {
        f"{one['metadata']['namespace']}/{one['metadata']['name']}": one["metadata"]["resourceVersion"]
        for one in cluster.list("pods")
    }


def change(cluster: LabCluster, rng: random.Random) -> None:
    """One random write of one of twenty pods."""
    name = f"p{rng.randrange(20)}"
    if f"default/{name}" not in cluster.shelves.named("pods").items:
        cluster.create("pods", pod(name, n=str(rng.random())))
    elif rng.random() < 0.5:
        cluster.delete("pods", "default", name)
    else:
        cluster.patch("pods", "default", name, {"metadata": {"labels": {"n": str(rng.random())}}})


@pytest.mark.parametrize("seed", range(5))
def test_list_and_watch_rebuild_the_store_exactly(
    cluster: LabCluster, server: ApiServer, http: httpx.Client, seed: int
) -> None:
    rng = random.Random(seed)
    for _ in range(30):
        change(cluster, rng)
    start = cluster.revision
    with Follower(http, PODS) as follower:
        for number in range(400):
            change(cluster, rng)
            if number % 60 == 59:
                server.end_watches()
        assert follower.reached(cluster.revision)
        follower.__exit__(None, None, None)
        server.end_watches()
    follower.join()
    assert follower.state == stored(cluster)
    assert follower.seen == list(range(start + 1, cluster.revision + 1))


def test_several_writers_and_watchers_at_once(cluster: LabCluster, server: ApiServer, http: httpx.Client) -> None:
    def write(seed: int) -> None:
        for number in range(150):
            cluster.create("pods", pod(f"w{seed}-{number}"))
            if number % 3 == 0:
                cluster.delete("pods", "default", f"w{seed}-{number}")

    with Follower(http, PODS) as one, Follower(http, PODS) as two:
        writers = [threading.Thread(target=write, args=(seed,)) for seed in range(3)]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        assert one.reached(cluster.revision)
        assert two.reached(cluster.revision)
    server.end_watches()
    one.join()
    two.join()
    assert one.state == two.state == stored(cluster)
    assert one.seen == sorted(one.seen) == two.seen
    assert len(one.seen) == 600


def test_resuming_from_any_version_gives_exactly_the_rest(cluster: LabCluster, http: httpx.Client) -> None:
    rng = random.Random(3)
    first = cluster.revision
    for _ in range(40):
        change(cluster, rng)
    for version in range(first, cluster.revision, 3):
        seen = [int(one["object"]["metadata"]["resourceVersion"]) for one in so_far(http, resourceVersion=version)]
        assert seen == list(range(version + 1, cluster.revision + 1))


def test_a_deletion_carries_the_last_state_under_its_own_version(cluster: LabCluster, http: httpx.Client) -> None:
    created = cluster.create("pods", pod("p", app="x"))
    cluster.delete("pods", "default", "p")
    event = next(events(http, PODS, resourceVersion=created["metadata"]["resourceVersion"]))
    assert event["type"] == "DELETED"
    assert event["object"]["kind"] == "Pod"
    assert event["object"]["metadata"]["labels"] == {"app": "x"}
    assert int(event["object"]["metadata"]["resourceVersion"]) == cluster.revision


def test_a_selector_turns_changes_into_coming_and_going(cluster: LabCluster, http: httpx.Client) -> None:
    start = cluster.revision
    cluster.create("pods", pod("p", app="other"))
    for label in ("web", "web2", "web"):
        cluster.patch("pods", "default", "p", {"metadata": {"labels": {"app": label}}})
    cluster.patch("pods", "default", "p", {"metadata": {"labels": {"more": "1"}}})
    seen = [one["type"] for one in so_far(http, resourceVersion=start, labelSelector="app=web")]
    assert seen == ["ADDED", "DELETED", "ADDED", "MODIFIED"]


def test_without_a_version_what_exists_comes_first(cluster: LabCluster, http: httpx.Client) -> None:
    cluster.create("pods", pod("p"))
    assert [one["type"] for one in so_far(http)] == ["ADDED"]


def test_a_streaming_list_ends_its_beginning_with_a_marked_bookmark(cluster: LabCluster, http: httpx.Client) -> None:
    for name in ("a", "b"):
        cluster.create("pods", pod(name))
    params = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan", "allowWatchBookmarks": "true"}
    stream = events(http, PODS, **params)
    first = [next(stream) for _ in range(3)]
    assert [one["type"] for one in first] == ["ADDED", "ADDED", "BOOKMARK"]
    assert first[2]["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
    assert first[2]["object"]["metadata"]["resourceVersion"] == str(cluster.revision)
    cluster.delete("pods", "default", "a")
    assert next(stream)["type"] == "DELETED"
    refused = http.get(PODS, params={"watch": "1", "sendInitialEvents": "true"})
    assert refused.status_code == 422


def test_bookmarks_follow_the_whole_cluster(cluster: LabCluster, http: httpx.Client) -> None:
    start = cluster.revision
    cluster.create("namespaces", {"metadata": {"name": "elsewhere"}})
    event = next(events(http, PODS, resourceVersion=start, allowWatchBookmarks="true"))
    assert (event["type"], event["object"]["kind"]) == ("BOOKMARK", "Pod")
    assert event["object"]["metadata"]["resourceVersion"] == str(cluster.revision)
    assert list(events(http, PODS, resourceVersion=start, timeoutSeconds=1)) == []


def test_a_version_too_old_is_told_in_the_stream_or_on_order_by_status(
    cluster: LabCluster, server: ApiServer, http: httpx.Client
) -> None:
    old = cluster.revision
    cluster.create("pods", pod("p"))
    cluster.compact()
    (event,) = events(http, PODS, resourceVersion=old)
    assert event["type"] == "ERROR"
    assert (event["object"]["kind"], event["object"]["code"], event["object"]["reason"]) == ("Status", 410, "Expired")
    server.disturb(Fault("gone"))
    refused = http.get(PODS, params={"watch": "1", "resourceVersion": old})
    assert (refused.status_code, refused.json()["code"]) == (410, 410)


def test_an_open_watch_that_falls_out_of_the_history_gets_an_error_and_ends() -> None:
    cluster = LabCluster(window=20)
    with ApiServer(cluster) as server:
        headers = {"authorization": f"Bearer {server.token}"}
        with httpx.Client(base_url=server.url, headers=headers) as http:
            server.disturb(Fault("stall"))
            stream = opened(http, server)
            for number in range(60):
                cluster.create("pods", pod(f"p{number}"))
            server.calm()
            (event,) = stream
            assert (event["type"], event["object"]["code"]) == ("ERROR", 410)


def opened(http: httpx.Client, server: ApiServer) -> Iterator[Manifest]:
    """A watch that the server has begun before this returns."""
    before = len(server.requests.entries("watch"))
    collected: list[Manifest] = []
    thread = threading.Thread(
        target=lambda: collected.extend(events(http, PODS, resourceVersion=server.cluster.revision))
    )
    thread.start()
    while server.watches == 0 or len(server.requests.entries("watch")) == before:
        threading.Event().wait(0.01)

    def rest() -> Iterator[Manifest]:
        thread.join(10)
        yield from collected

    return rest()
