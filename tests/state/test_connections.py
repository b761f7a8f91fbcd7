"""What is left of connections when some of them break while others are in use."""

import gc
from collections.abc import Iterator

import psycopg
import pytest

from bridge.errors import StateError, StateUnavailable
from bridge.state.database import Connection, Database

_COUNT = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"


@pytest.fixture
def uncollected() -> Iterator[None]:
    """As in the program, which collects garbage hardly ever."""
    gc.disable()
    yield
    gc.enable()


def _break_one(database: Database, admin: "psycopg.Connection[tuple[object, ...]]") -> None:
    with database.transaction() as struck:
        admin.execute("SELECT pg_terminate_backend(%s)", [struck.info.backend_pid])
        struck.execute("SELECT 1")


@pytest.mark.usefixtures("uncollected")
def test_a_connection_in_use_while_another_breaks_is_used_again(database: Database) -> None:
    with psycopg.connect(database.conninfo, autocommit=True) as admin:
        for _ in range(6):
            with database.transaction() as busy:
                with pytest.raises(StateUnavailable):
                    _break_one(database, admin)
                busy.execute("SELECT 1")
        assert admin.execute(_COUNT).fetchone() == (1,)


def test_one_that_broke_costs_the_next_call_nothing(database: Database) -> None:
    with database.transaction() as one, database.transaction() as other:
        pids = [each.info.backend_pid for each in (one, other)]
    with psycopg.connect(database.conninfo, autocommit=True) as admin:
        for pid in pids:
            admin.execute("SELECT pg_terminate_backend(%s)", [pid])
    with pytest.raises(StateUnavailable), database.transaction() as first:
        first.execute("SELECT 1")
    with database.transaction() as second:
        assert second.execute("SELECT 1").fetchone() == (1,)


@pytest.mark.usefixtures("uncollected")
def test_one_that_is_in_use_while_the_database_is_closed_is_closed_when_it_is_given_back(database: Database) -> None:
    with database.transaction() as busy:
        database.close()
        busy.execute("SELECT 1")
    assert busy.closed
    with database.reading() as reading:
        database.close()
        read = reading.connection.driver_connection
    assert read is not None
    assert read.closed


def test_one_that_is_refused_at_once_is_closed(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Connection] = []

    def refuse(connection: Connection) -> None:
        seen.append(connection)
        raise StateError("too old")

    monkeypatch.setattr("bridge.state.database.check_version", refuse)
    with pytest.raises(StateError), database.transaction():
        pass
    assert [one.closed for one in seen] == [True]
