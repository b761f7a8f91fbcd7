"""The schema: the same from migrations as from the tables in code, and strict about what it lets in."""

import threading
from collections.abc import Sequence

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from bridge.errors import SchemaOutdated, StateError
from bridge.state.database import Database, check_version
from bridge.state.tables import metadata
from tests.state.builders import Stores
from tests.state.catalog import catalog


def test_the_schema_from_scratch_equals_the_schema_from_migrations(database: Database, empty_url: str) -> None:
    scratch = Database(empty_url)
    with scratch.engine.begin() as connection:
        metadata.create_all(connection)
    with scratch.transaction() as made, database.transaction() as migrated:
        found = catalog(made)
        assert found == catalog(migrated)
    scratch.close()
    assert "member_open" in str(found["tables"])  # or the comparison would be of two empty schemas
    assert "pk_member" in str(found["constraints"])


def test_alembic_finds_no_difference_either(database: Database) -> None:
    def ours(name: str | None, kind: str, _parents: object) -> bool:
        return kind != "table" or name in metadata.tables

    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"include_name": ours})
        assert compare_metadata(context, metadata) == []


def test_an_upgrade_is_told_once_and_then_has_nothing_to_do(empty_url: str) -> None:
    database = Database(empty_url)
    assert database.current() is None
    with pytest.raises(SchemaOutdated, match=r"schema none.*fusion-bridge db upgrade"):
        database.require_current()
    first = database.upgrade().applied
    assert first[0] == "0001"
    assert first[-1] == database.head() == database.current()
    assert database.upgrade().applied == ()
    database.require_current()
    database.close()


def test_upgrades_at_the_same_moment_take_turns(empty_url: str) -> None:
    applied: list[Sequence[str]] = []

    def upgrade() -> None:
        database = Database(empty_url)
        applied.append(database.upgrade().applied)
        database.close()

    threads = [threading.Thread(target=upgrade) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(len, applied))[:2] == [0, 0]
    assert len(applied) == 3


def test_a_schema_from_the_future_asks_for_a_newer_program(database: Database) -> None:
    with database.transaction() as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(SchemaOutdated, match="newer version"):
        database.require_current()


def test_tables_that_are_missing_name_the_command(empty_url: str) -> None:
    database = Database(empty_url)
    with pytest.raises(SchemaOutdated, match="fusion-bridge db upgrade"):
        database.installation()
    database.close()


def test_an_old_server_is_refused_by_its_version() -> None:
    class Info:
        server_version = 140_012

    class Old:
        info = Info()

    with pytest.raises(StateError, match="PostgreSQL 14 is too old: 15 or later"):
        check_version(Old())  # type: ignore[arg-type]


_LEASE = "INSERT INTO lease (cluster, address, uid, namespace, pod, service_account, owner, node, t1, t2) "
_HOLDER = "SELECT 'east', '10.0.0.1', uid, '', '', '', '', '', now(), t2 "
_MEMBER = "INSERT INTO member (group_id, address, t2, t1, revision) "
_OBJECT = """
INSERT INTO device_object (key, cluster, kind, desired_digest, since_revision, changed_at, waiting_since, {})
VALUES ('k', 'east', 'group', '', 1, now(), now(), {})
"""


@pytest.mark.parametrize(
    ("statement", "constraint"),
    [
        (
            f"{_LEASE}{_HOLDER} FROM (VALUES ('a', 'infinity'::timestamptz), ('b', 'infinity')) v (uid, t2)",
            "lease_open_pkey",
        ),
        (f"{_LEASE}{_HOLDER} FROM (VALUES ('a', '2001-01-01'::timestamptz)) v (uid, t2)", "ck_lease_order"),
        (f"{_MEMBER} SELECT 1, '10.0.0.1', 'infinity', now(), r FROM generate_series(1, 2) r", "member_open_pkey"),  # noqa: S608
        ("INSERT INTO replica_lease VALUES ('cluster', 'x', 'me', 0, now())", "ck_replica_lease_epoch"),
        ("INSERT INTO replica_lease VALUES ('kingdom', 'x', 'me', 1, now())", "ck_replica_lease_role"),
        ("UPDATE device SET state = 'merry'", "ck_device_state"),
        (_OBJECT.format("device, applied_generation", "'edge', 2"), "ck_device_object_generation"),
        (_OBJECT.format("device, state", "'edge', 'Lost'"), "ck_device_object_state"),
        (_OBJECT.format("device", "'nowhere'"), "fk_device_object_device"),
        ("INSERT INTO installation (one) VALUES (false)", "ck_installation_one"),
    ],
)
def test_the_database_itself_refuses(database: Database, statement: str, constraint: str) -> None:
    Stores(database)
    with pytest.raises(StateError, match=constraint), database.transaction() as connection:
        connection.execute(statement.encode())


def test_open_rows_are_kept_apart_from_history(database: Database) -> None:
    insert = (
        "INSERT INTO lease (cluster, address, t2, t1, uid, namespace, pod, service_account, owner, node)"
        " SELECT 'east', '10.0.0.1', t2::timestamptz, '2026-01-01', 'a', '', '', '', '', ''"
        " FROM (VALUES ('infinity'), ('2026-01-02')) v (t2)"
    )
    with database.transaction() as connection:
        connection.execute(insert)
        counts = [_count(connection, table) for table in ("lease_open", "lease_closed", "lease")]
    assert counts == [1, 1, 2]


def _count(connection: psycopg.Connection[tuple[int]], table: str) -> int:
    row = connection.execute(f"SELECT count(*) FROM {table}".encode()).fetchone()  # noqa: S608
    assert row is not None
    return row[0]
