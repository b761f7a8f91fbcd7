"""What is particular to namespaces, and to kinds that a cluster may lack."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.cluster.client import Connection
from bridge.cluster.health import State
from bridge.cluster.reflector import Reflector
from bridge.cluster.settings import ClusterConfig
from bridge.model.observed import Namespace, PolicyObject, Resource, Synced
from tests.cluster.scripted import (
    Consumer,
    FakeClock,
    ScriptedServer,
    Streamed,
    eventually,
    line,
    listed,
    namespace,
    refused,
)

RULES = Resource.CLUSTER_RULES


@pytest.fixture(params=[RULES])
def server(request: pytest.FixtureRequest, clock: FakeClock, tmp_path: Path) -> Iterator[ScriptedServer]:
    with ScriptedServer(clock, tmp_path, request.param) as running:
        yield running


def held(name: str) -> PolicyObject:
    return PolicyObject(RULES, f"uid-{name}", "", name, "3", 1, {}, {})


@pytest.mark.parametrize("server", [Resource.NAMESPACES], indirect=True)
def test_a_list_without_namespaces_is_a_failed_read(
    server: ScriptedServer, connection: Connection, consumer: Consumer, clock: FakeClock
) -> None:
    server.lists = [listed([], 10)]
    known = [Namespace("uid-shop", "shop", "3", {}, {}, deleting=False)]
    reflector = Reflector(connection, Resource.NAMESPACES, consumer, clock, known=known)
    reflector.start()
    eventually(lambda: len(clock.waits) > 3)
    assert consumer.items == []
    assert "no namespaces" in reflector.health().error
    server.lists = [listed([namespace("default", 1)], 12)]
    consumer.until(lambda: consumer.syncs)
    reflector.stop()
    assert consumer.told() == [("upsert", "default"), ("gone", "shop")]


def test_a_cluster_without_our_kinds_is_in_order(
    server: ScriptedServer, connection: Connection, consumer: Consumer, clock: FakeClock
) -> None:
    server.lists = [refused(404, "NotFound")]
    reflector = Reflector(connection, RULES, consumer, clock, known=[held("old")])
    reflector.start()
    consumer.until(lambda: consumer.syncs)
    eventually(lambda: len(clock.waits) > 5)
    health = reflector.health()
    assert (health.state, health.synced, health.objects) == (State.NOT_INSTALLED, True, 1)
    assert all(10 <= wait <= 30 for wait in clock.waits)
    assert consumer.items == [Synced(RULES, "")]

    rule = namespace("allow", 5) | {"spec": {"action": "Allow"}}
    server.lists = [listed([rule], 10)]
    consumer.until(lambda: len(consumer.syncs) == 2)
    eventually(lambda: reflector.health().state is State.WATCHING)
    reflector.stop()
    assert consumer.told() == [("upsert", "allow"), ("gone", "old")]


def test_kinds_taken_away_while_watched_delete_nothing(
    server: ScriptedServer, connection: Connection, consumer: Consumer, clock: FakeClock
) -> None:
    server.lists = [listed([namespace("allow", 5)], 10), refused(404, "NotFound")]
    server.watches = [Streamed([line("MODIFIED", namespace("allow", 11))]), refused(404, "NotFound")]
    reflector = Reflector(connection, RULES, consumer, clock)
    reflector.start()
    consumer.until(lambda: len(consumer.syncs) == 2)
    reflector.stop()
    assert set(consumer.store) == {"uid-allow"}


def test_two_clusters_share_nothing(
    server: ScriptedServer, connection: Connection, clock: FakeClock, tmp_path: Path
) -> None:
    (tmp_path / "west").mkdir()
    with ScriptedServer(clock, tmp_path / "west") as other:
        west = Connection(ClusterConfig("west", other.kubeconfig), clock)
        west.get("list namespaces", "/api/v1/namespaces")
        connection.get("list namespaces", "/api/v1/namespaces")
        west.get("list namespaces", "/api/v1/namespaces")
        west.close()
        assert (len(server.requests), len(other.requests)) == (1, 2)
