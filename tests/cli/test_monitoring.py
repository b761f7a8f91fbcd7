"""The endpoint of the running program: metrics, life and readiness, each broken in turn."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from bridge import __version__
from bridge.cli import probe
from bridge.cli.keeper import Keeper
from bridge.cli.monitoring import Monitoring
from bridge.errors import Busy
from bridge.lab.apiserver import ApiServer, LabCluster
from bridge.lab.apiserver.faults import Fault
from bridge.state.database import Database
from tests.acceptance.site import eventually, stays
from tests.cli.replica import Device, away, replica


@pytest.fixture
def api() -> Iterator[ApiServer]:
    """A cluster with one namespace besides its own four."""
    store = LabCluster()
    store.load_definitions()
    store.create("namespaces", {"metadata": {"name": "shop", "labels": {"egress": "governed"}}})
    with ApiServer(store) as server:
        yield server


def test_series_are_there_before_anything_happened(database: Database, api: ApiServer) -> None:
    with replica(database, api.kubeconfig, Device()) as one:
        assert one.value("device_oldest_unapplied_seconds", device="edge") == 0
        assert one.value("watch_synced", cluster="east", resource="pods") == 0
        assert one.value("tenure_held", role="device", name="edge") == 0
        assert one.value("device_state", device="edge", state="not read yet") == 1
        assert one.value("ready") == 0
        assert one.get("/livez") == (200, "alive")
        assert one.get("/")[0] == 404


def test_ready_once_the_cluster_is_listed(database: Database, api: ApiServer) -> None:
    api.disturb(Fault("status", 0, resource="pods", code=500))
    with replica(database, api.kubeconfig) as one:
        status, text = one.get("/readyz")
        assert (status, text) == (503, "database: was not asked yet\ncluster east: no replica watches it yet")
        one.controller.start()
        waiting = (503, "cluster east: no complete list yet of pods")
        eventually("all but pods are listed", lambda: one.get("/readyz") == waiting)
        assert one.get("/livez") == (200, "alive")
        api.calm()
        eventually("ready", lambda: one.get("/readyz") == (200, "ready"))
        assert one.value("watch_synced", cluster="east", resource="pods") == 1
        assert one.value("watch_objects", cluster="east", resource="namespaces") == 5
        assert one.value("epoch", role="cluster", name="east") == 1
        assert one.value("ready") == 1


def test_a_standby_is_ready_while_another_watches(database: Database, api: ApiServer) -> None:
    with replica(database, api.kubeconfig) as first, replica(database, api.kubeconfig) as second:
        first.controller.start()
        eventually("ready", lambda: first.get("/readyz")[0] == 200)
        second.controller.start()
        eventually("ready too", lambda: second.get("/readyz")[0] == 200)
        assert not second.controller.intakes
        first.controller.stop()
        eventually("takes over", lambda: bool(second.controller.intakes) and second.get("/readyz")[0] == 200)
        assert second.value("epoch", role="cluster", name="east") == 2


def test_a_database_that_is_away_is_not_ready_and_alive(
    database: Database, api: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe, "_INTERVAL", 0.1)
    with replica(database, api.kubeconfig, Device(), hang_after=1) as one:
        one.controller.start()
        eventually("ready", lambda: one.get("/readyz")[0] == 200)
        with away(database):
            eventually("not ready", lambda: one.get("/readyz")[1].startswith("database: the database cannot be used"))
            assert one.value("database_up") == 0
            stays("alive", lambda: one.get("/livez") == (200, "alive"), 2)
        eventually("ready again", lambda: one.get("/readyz")[0] == 200)
        assert one.value("database_up") == 1
        assert one.get("/livez") == (200, "alive")


def test_another_schema_is_not_ready_and_says_what_to_do(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "_INTERVAL", 0.1)
    monkeypatch.setattr(probe, "_STANDING_INTERVAL", 0.1)
    with replica(database) as one:
        one.controller.start()
        eventually("ready", lambda: one.get("/readyz")[0] == 200)
        with database.transaction() as connection:
            connection.execute("UPDATE alembic_version SET version_num = '0001'")
        eventually("not ready", lambda: one.get("/readyz")[0] == 503)
        assert one.get("/readyz")[1].startswith("schema: the database is at schema 0001")
        assert "fusion-bridge db upgrade" in one.get("/readyz")[1]
        assert (one.value("database_schema_current"), one.value("database_up")) == (0, 1)
        with database.transaction() as connection:
            connection.execute("UPDATE alembic_version SET version_num = %s", [database.head()])
        eventually("ready again", lambda: one.get("/readyz")[0] == 200)


def test_a_device_that_is_away_is_no_reason_to_restart(database: Database) -> None:
    def refuse() -> None:
        raise Busy("edge", "no answer")

    with replica(database, device=Device(before_reading=refuse), hang_after=1) as one:
        one.controller.start()
        eventually("tried", lambda: one.value("device_errors_total", device="edge", error="Busy") > 1)
        stays("alive", lambda: one.get("/livez") == (200, "alive"), 2)
        assert one.get("/readyz") == (200, "ready")


def test_a_loop_that_hangs_is_not_alive(database: Database) -> None:
    over = threading.Event()

    def hang() -> None:
        over.wait(60)

    with replica(database, device=Device(before_reading=hang), hang_after=0.5) as one:
        one.controller.start()
        eventually("hangs", lambda: one.get("/livez")[0] == 503)
        status, text = one.get("/livez")
        assert (status, text.partition(": no sign for ")[0]) == (503, "device edge")
        over.set()
        eventually("goes on", lambda: one.get("/livez") == (200, "alive"))


def test_a_long_plan_that_goes_on_does_not_hang(database: Database) -> None:
    over = threading.Event()
    device = Device()

    def slowly() -> None:
        while not over.wait(0.05):
            device.memory.reads += 1

    device.before_reading = slowly
    with replica(database, device=device, hang_after=0.5) as one:
        one.controller.start()
        eventually("reads", lambda: device.memory.reads > 1)
        try:
            stays("alive", lambda: one.get("/livez") == (200, "alive"), 2)
        finally:
            over.set()


def test_a_loop_that_died_is_not_alive(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    with replica(database, device=Device()) as one:
        one.controller.start()
        assert one.get("/livez")[0] == 200

        def fault(_keeper: Keeper) -> None:
            raise ValueError("a fault of ours")

        monkeypatch.setattr(Keeper, "round", fault)
        eventually("dead", lambda: one.get("/livez") == (503, "leases: its loop died"))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_died_in_a_room_is_not_alive(
    database: Database, api: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with replica(database, api.kubeconfig) as one:
        one.controller.start()
        eventually("ready", lambda: one.get("/readyz")[0] == 200)
        (watcher,) = one.controller.watchers.values()
        reflector: Any = next(iter(watcher._reflectors.values()))
        reflector.ask_to_stop()
        api.end_watches()
        eventually("dead", lambda: one.get("/livez") == (503, "watch of east/namespaces: its thread died"))


def test_it_answers_on_ipv6_too(database: Database) -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6 on loopback")
    with replica(database) as one:
        endpoint = Monitoring(one.controller, "::1", 0)
        endpoint.start()
        try:
            assert httpx.get(f"http://[::1]:{endpoint.port}/livez", trust_env=False).text == "alive\n"
        finally:
            endpoint.stop()


def test_who_connects_and_says_nothing_keeps_nobody_waiting(database: Database) -> None:
    with replica(database) as one:
        port = one.client.base_url.port
        with contextlib.ExitStack() as stack:
            for _ in range(5):
                stack.enter_context(socket.create_connection(("127.0.0.1", port or 0)))
            assert one.get("/livez") == (200, "alive")
            assert one.value("build_info", version=__version__) == 1


def test_a_report_is_due_after_the_last_that_was_kept(database: Database) -> None:
    with replica(database) as one:
        assert one.value("report_due_timestamp_seconds") == 0
        one.controller.on_schedule("0 6 * * *", lambda: None)
        due = one.value("report_due_timestamp_seconds")
        assert due % 86400 == 6 * 3600
        with database.transaction() as connection:
            query = "INSERT INTO report (at, body, origin) VALUES (to_timestamp(%s), '{}', 'scheduled')"
            connection.execute(query, [due - 86400 * 3])
        one.controller.probe.look()
        assert one.value("report_due_timestamp_seconds") == due - 86400 * 2, "it was missed twice"
        assert one.value("report_last_timestamp_seconds", origin="scheduled") == due - 86400 * 3
