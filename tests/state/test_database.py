"""The connection: which URLs it takes, what it says of errors, and that it comes back."""

from typing import LiteralString

import psycopg
import pytest
from sqlalchemy import make_url

from bridge.errors import SettingsError, StateError, StateUnavailable
from bridge.state.database import Database
from bridge.state.embedded import EmbeddedPostgres
from tests.state.builders import Stores, batch, pod


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_urls_as_people_write_them(database_url: str, scheme: str) -> None:
    database = Database(database_url.replace("postgresql+psycopg", scheme))
    assert database.installation() == database.installation() != ""
    database.close()


@pytest.mark.parametrize("url", ["mysql://host/x", "sqlite://", "no url at all"])
def test_other_urls_are_a_problem_of_the_settings(url: str) -> None:
    with pytest.raises(SettingsError, match=r"database\.url.*postgresql://"):
        Database(url)


def test_a_password_is_never_shown() -> None:
    database = Database("postgresql://me:s3cr3t@127.0.0.1:1/state")
    assert "s3cr3t" not in repr(database)
    with pytest.raises(StateUnavailable) as raised:
        database.wait_until_reachable(0)
    assert "s3cr3t" not in str(raised.value)
    assert raised.value.__cause__ is None


def test_a_broken_connection_is_said_and_the_next_call_works(database: Database) -> None:
    stores = Stores(database)

    def broken_off() -> None:
        with database.transaction() as connection:
            connection.execute("CREATE TABLE lost (x int)")
            kill_others(database.engine.url.render_as_string(hide_password=False))
            connection.execute("SELECT 1")

    with pytest.raises(StateUnavailable):
        broken_off()
    changes = batch()
    changes.pods = [pod("web-1")]
    assert stores.commit(changes) == 1
    with pytest.raises(StateError, match="fusion-bridge db upgrade"), database.transaction() as connection:
        connection.execute("SELECT FROM lost")


def test_idle_connections_that_died_cost_one_error_at_most(database: Database) -> None:
    stores = Stores(database)
    with database.transaction(), database.transaction(), database.transaction():
        pass  # three connections are idle now
    kill_others(database.engine.url.render_as_string(hide_password=False))
    with pytest.raises(StateUnavailable):
        stores.intake.load_cluster("east")
    for _ in range(3):
        assert stores.intake.load_cluster("east").revision == 0


def test_a_server_that_went_away_and_came_back(tmp_path_factory: pytest.TempPathFactory) -> None:
    server = EmbeddedPostgres(tmp_path_factory.mktemp("away"), durable=False)  # a short path: the socket stays the same
    server.start()
    database = Database(server.url)
    database.upgrade()
    installation = database.installation()
    server.close()
    with pytest.raises(StateUnavailable):
        database.installation()
    with pytest.raises(StateUnavailable):
        database.current()
    with server:
        database.wait_until_reachable(30)
        assert database.installation() == installation
        database.close()


def kill_others(url: str) -> None:
    """End every other connection to the database, as a restart of the server would."""
    other = Database(make_url(url).render_as_string(hide_password=False))
    with other.transaction() as connection:
        query = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = current_database()"
        connection.execute(f"{query} AND pid <> pg_backend_pid() AND backend_type = 'client backend'".encode())
    other.close()


def test_a_password_that_changes(tmp_path_factory: pytest.TempPathFactory) -> None:
    home = tmp_path_factory.mktemp("secret")
    with EmbeddedPostgres(home, durable=False) as server:
        owner = Database(server.url)
        rules = next(home.rglob("pg_hba.conf"))
        rules.write_text("local all guest scram-sha-256\n" + rules.read_text())
        _execute(owner, "CREATE ROLE guest LOGIN PASSWORD 'first'", "SELECT pg_reload_conf()")
        current = ["first"]
        guest = Database(
            make_url(server.url).set(username="guest").render_as_string(hide_password=False),
            password=lambda: current[0],
        )
        _execute(guest, "SELECT 1")
        assert "first" not in repr(guest)
        _execute(owner, "ALTER ROLE guest PASSWORD 'second'")
        guest.close()  # what is open stays open: the next is a new one
        with pytest.raises(StateUnavailable, match="password") as refused:
            _execute(guest, "SELECT 1")
        assert "first" not in str(refused.value)
        current[0] = "second"
        _execute(guest, "SELECT 1")
        with psycopg.connect(guest.conninfo) as alone:
            assert alone.execute("SELECT current_user").fetchone() == ("guest",)
        guest.close()
        owner.close()


def _execute(database: Database, *statements: LiteralString) -> None:
    with database.transaction() as connection:
        for statement in statements:
            connection.execute(statement)
