"""Every dependency goes, hangs, lies or comes back empty, in the middle of changes: nobody is lost, nobody stays, nothing exits."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, suppress
from itertools import count
from typing import Any

import psycopg
import pytest
from sqlalchemy import make_url

from bridge.lab.apiserver.faults import Fault
from bridge.state.database import Database
from bridge.state.embedded import EmbeddedPostgres
from tests.acceptance.site import LISTS, OWNER, eventually
from tests.acceptance.world import OUTSIDE, World, world

PROVIDER = "192.0.2.1"
FOREIGN = {"name": "of_others", "partition": "Common", "addresses": [{"name": "10.1.1.1"}]}
NUMBERS = count(1)


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """A server of this module's own, to be maltreated."""
    with EmbeddedPostgres(tmp_path_factory.mktemp("postgres")) as server:
        database = Database(server.url)
        database.upgrade()
        database.close()
        yield server


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, postgres: EmbeddedPostgres) -> Iterator[World]:
    """Two teams in force, and a list of somebody else's."""
    environment = {"FUSION_BRIDGE_DATABASE_URL": postgres.url}
    delivery = {"auditInterval": 3, "saveAfter": 0.5, "pacing": {"denied": 2, "longest": 3}}
    with world(tmp_path_factory.mktemp("faults"), tls=False, environment=environment, delivery=delivery) as made:
        made.device.put_object(LISTS, FOREIGN)
        made.device.store.save()
        made.team("shop", *(f"10.244.1.{number}" for number in range(1, 31)))
        made.team("bank", *(f"10.244.2.{number}" for number in range(1, 31)))
        made.bridge.start()
        eventually(
            "in force",
            lambda: not made.allowed("10.244.9.9", OUTSIDE) and len(made.group("service", "bank", "web")) == 30,
        )
        made.await_in_step()
        yield made


# ---- the database


@contextlib.contextmanager
def stopped(_site: World, postgres: EmbeddedPostgres) -> Iterator[None]:
    """It is not there."""
    postgres.close()
    try:
        yield
    finally:
        postgres.start()


@contextlib.contextmanager
def slow(_site: World, postgres: EmbeddedPostgres) -> Iterator[None]:
    """Every batch takes its time."""
    with _rule(postgres, "PERFORM pg_sleep(0.7); RETURN NEW", "BEFORE UPDATE", deferred=False):
        yield


@contextlib.contextmanager
def fails_at_commit(_site: World, postgres: EmbeddedPostgres) -> Iterator[None]:
    """Everything is accepted until the last moment."""
    failing = "RAISE EXCEPTION 'no room' USING ERRCODE = '53100'; RETURN NEW"
    with _rule(postgres, failing, "AFTER UPDATE", deferred=True):
        yield


@contextlib.contextmanager
def conflicts_at_commit(_site: World, postgres: EmbeddedPostgres) -> Iterator[None]:
    """As a serialisation failure is told."""
    failing = "RAISE EXCEPTION 'could not serialize' USING ERRCODE = '40001'; RETURN NEW"
    with _rule(postgres, failing, "AFTER UPDATE", deferred=True):
        yield


@contextlib.contextmanager
def hangs(_site: World, postgres: EmbeddedPostgres) -> Iterator[None]:
    """Somebody holds a lock on everything that matters, for longer than a lease lasts."""
    with _administrator(postgres) as connection:
        connection.execute("BEGIN")
        connection.execute("LOCK TABLE cluster, device, device_object, replica_lease IN ACCESS EXCLUSIVE MODE")
        try:
            yield
            time.sleep(6)
        finally:
            connection.execute("ROLLBACK")


@contextlib.contextmanager
def full(_site: World, postgres: EmbeddedPostgres) -> Iterator[None]:
    """Others hold every connection that the server gives."""
    with contextlib.ExitStack() as stack:
        administrator = stack.enter_context(_administrator(postgres))
        for _ in range(3):
            with suppress(psycopg.OperationalError):
                while True:
                    stack.enter_context(_administrator(postgres))
            _end_others(administrator, "application_name = 'fusion-bridge'")
        yield


@contextlib.contextmanager
def dropped(_site: World, postgres: EmbeddedPostgres) -> Iterator[None]:
    """Connections end again and again."""
    with _again_and_again(lambda: _end_all(postgres), 0.2):
        yield


# ---- Kubernetes


def _answers(code: int, **more: Any) -> Callable[[World, EmbeddedPostgres], AbstractContextManager[None]]:  # noqa: ANN401
    @contextlib.contextmanager
    def storm(site: World, _postgres: EmbeddedPostgres) -> Iterator[None]:
        with _disturbed(site, Fault("status", times=0, code=code, **more)):
            yield

    return storm


def _lists(name: Any, resource: str = "") -> Callable[[World, EmbeddedPostgres], AbstractContextManager[None]]:  # noqa: ANN401
    @contextlib.contextmanager
    def lying(site: World, _postgres: EmbeddedPostgres) -> Iterator[None]:
        site.store.compact()
        with _disturbed(site, Fault(name, times=0, verb="list", resource=resource, back=100_000)):
            yield

    return lying


@contextlib.contextmanager
def gone(site: World, _postgres: EmbeddedPostgres) -> Iterator[None]:
    """410 without end."""
    with _disturbed(site, Fault("gone", times=0)), _again_and_again(site.store.compact, 0.1):
        yield


@contextlib.contextmanager
def short_watches(site: World, _postgres: EmbeddedPostgres) -> Iterator[None]:
    """Watches that live for a moment."""
    with _again_and_again(site.api.end_watches, 0.05):
        yield


@contextlib.contextmanager
def hung(site: World, _postgres: EmbeddedPostgres) -> Iterator[None]:
    """Calls without an answer."""
    with _disturbed(site, Fault("hang", times=0)):
        yield


@contextlib.contextmanager
def garbage(site: World, _postgres: EmbeddedPostgres) -> Iterator[None]:
    """Streams of what is no JSON, and of JSON that is no object of its kind."""
    site.api.disturb(Fault("garbage", times=3))
    with _disturbed(site, Fault("malformed", times=5), end=False):
        yield


# ---- the device


def _device(kind: str, **options: Any) -> Callable[[World, EmbeddedPostgres], AbstractContextManager[None]]:  # noqa: ANN401
    @contextlib.contextmanager
    def fault(site: World, _postgres: EmbeddedPostgres) -> Iterator[None]:
        site.device.faults.add(kind, **({"times": None} | options))
        try:
            yield
        finally:
            site.device.faults.clear()

    return fault


@contextlib.contextmanager
def half_applied(site: World, _postgres: EmbeddedPostgres) -> Iterator[None]:
    """Every third write takes effect and is never answered."""
    for skip in range(0, 30, 3):
        site.device.faults.add("cut", method="PATCH POST DELETE", skip=skip, effect="after")
    try:
        yield
    finally:
        site.device.faults.clear()


@contextlib.contextmanager
def forgetful(site: World, _postgres: EmbeddedPostgres) -> Iterator[None]:
    """It starts anew, without what was not saved."""
    site.device.faults.add("busy", times=None, path="sys/config")
    yield
    assert site.device.state("saved") != site.device.state(), "something is there to forget"
    site.device.reboot()
    site.device.faults.clear()


@contextlib.contextmanager
def off(site: World, _postgres: EmbeddedPostgres) -> Iterator[None]:
    """Nobody answers there."""
    site.device.stop()
    try:
        yield
    finally:
        site.device.start()


Trouble = Callable[[World, EmbeddedPostgres], AbstractContextManager[None]]
DATABASE: Mapping[str, Trouble] = {
    "stopped": stopped,
    "slow": slow,
    "fails at commit": fails_at_commit,
    "conflicts at commit": conflicts_at_commit,
    "hangs": hangs,
    "out of connections": full,
    "connections dropped": dropped,
}
KUBERNETES: Mapping[str, Trouble] = {
    "410 without end": gone,
    "429": _answers(429, retry_after=1),
    "500": _answers(500),
    "401": _answers(401),
    "rights lost": _answers(403),
    "calls without an answer": hung,
    "watches of a moment": short_watches,
    "garbage": garbage,
    "lists that are empty": _lists("empty"),
    "pods that are no more": _lists("empty", "pods"),
    "lists cut in the middle": _lists("cut"),
    "lists that leave out": _lists("short"),
    "versions that go back": _lists("stale"),
}
DEVICE: Mapping[str, Trouble] = {
    "busy": _device("busy"),
    "slow": _device("slow", seconds=0.3),
    "without an answer": _device("hang", times=2),
    "half applied": half_applied,
    "answers HTML": _device("html-503"),
    "answers garbage": _device("garbage"),
    "answers in part": _device("truncated"),
    "permits nothing": _device("html-401"),
    "forgets what was not saved": forgetful,
    "off": off,
}


@pytest.mark.timeout(300)
@pytest.mark.acceptance(
    "trust: Postgres stopped, slow, hung, out of connections, failing at commit: nothing lost, nothing stale"
)
@pytest.mark.parametrize("trouble", DATABASE)
def test_database(site: World, postgres: EmbeddedPostgres, trouble: str) -> None:
    _through(site, postgres, DATABASE[trouble])


@pytest.mark.timeout(300)
@pytest.mark.acceptance(
    "trust: 410, 429 and 500 storms, hung calls, short watches, truncated and empty lists, versions going back, rights lost in mid-run: "
    "nothing lost, nothing stale"
)
@pytest.mark.parametrize("trouble", KUBERNETES)
def test_kubernetes(site: World, postgres: EmbeddedPostgres, trouble: str) -> None:
    _through(site, postgres, KUBERNETES[trouble])


@pytest.mark.timeout(300)
@pytest.mark.acceptance(
    "trust: devices busy, slow, half-applying, losing unsaved configuration, answering HTML: nothing lost, nothing stale"
)
@pytest.mark.parametrize("trouble", DEVICE)
def test_device(site: World, postgres: EmbeddedPostgres, trouble: str) -> None:
    _through(site, postgres, DEVICE[trouble])


def _through(site: World, postgres: EmbeddedPostgres, trouble: Trouble) -> None:
    """Pods come, go and hand their address on while it lasts; afterwards each group holds exactly who it should."""
    number = next(NUMBERS)
    stays_, goes, moves, comes = (f"10.244.{3 + place}.{number}" for place in range(4))
    for name, address in (("stays", stays_), ("goes", goes), ("moves", moves)):
        site.pod("shop", f"web-{name}-{number}", address)
    eventually("before", lambda: {stays_, goes, moves} <= site.group("service", "shop", "web"))
    site.await_in_step()
    known = site.group("service", "shop", "web")
    with trouble(site, postgres):
        site.delete_pod("shop", f"web-goes-{number}")
        site.delete_pod("shop", f"web-moves-{number}")
        site.pod("bank", f"web-moved-{number}", moves)
        site.pod("shop", f"web-comes-{number}", comes)
        until = time.monotonic() + 1.5
        while time.monotonic() < until:
            assert site.group("service", "shop", "web") >= known - {goes, moves}, "somebody was taken off"
            assert site.bridge.running
            time.sleep(0.1)
    right = (known - {goes, moves}) | {comes}
    eventually("exactly who should be", lambda: site.group("service", "shop", "web") == right, 60)
    eventually("handed over", lambda: moves in site.group("service", "bank", "web"), 30)
    site.await_in_step(60)
    assert site.bridge.running
    body = site.device.objects(LISTS)["/Common/of_others"]
    assert body["addresses"] == [{"name": "10.1.1.1"}], "of others"
    assert not any(OWNER not in path for path in site.device.objects(LISTS) if path != "/Common/of_others")


@contextlib.contextmanager
def _disturbed(site: World, fault: Fault, *, end: bool = True) -> Iterator[None]:
    site.api.disturb(fault)
    if end:
        site.api.end_watches()
    try:
        yield
    finally:
        site.api.calm()


@contextlib.contextmanager
def _again_and_again(act: Callable[[], None], pause: float) -> Iterator[None]:
    done = threading.Event()

    def run() -> None:
        while not done.wait(pause):
            act()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


@contextlib.contextmanager
def _administrator(postgres: EmbeddedPostgres) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    url = make_url(postgres.url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(url, autocommit=True, application_name="test") as connection:
        yield connection


def _end_others(connection: psycopg.Connection[tuple[Any, ...]], which: str) -> None:
    query = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND {which}"  # noqa: S608
    connection.execute(query.encode())


def _end_all(postgres: EmbeddedPostgres) -> None:
    with _administrator(postgres) as connection:
        _end_others(connection, "application_name = 'fusion-bridge'")


@contextlib.contextmanager
def _rule(postgres: EmbeddedPostgres, body: str, when: str, *, deferred: bool) -> Iterator[None]:
    """A trigger on what every batch touches."""
    made = f"CREATE {'CONSTRAINT ' if deferred else ''}TRIGGER trouble {when} ON cluster"
    made += f" {'DEFERRABLE INITIALLY DEFERRED ' if deferred else ''}FOR EACH ROW EXECUTE FUNCTION trouble()"
    with _administrator(postgres) as connection:
        for statement in (
            f"CREATE OR REPLACE FUNCTION trouble() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body}; END $$",
            made,
        ):
            connection.execute(statement.encode())
        try:
            yield
        finally:
            connection.execute("DROP TRIGGER trouble ON cluster")
