"""From a filled database of the first schema to the current one: nothing recorded is lost, wherever the database believes to be."""

from datetime import UTC, datetime

import pytest
from alembic import command
from alembic.config import Config

from bridge.resources import shipped
from bridge.state.audit_store import AuditStore
from bridge.state.database import Database
from bridge.state.partitions import make_months, partitions

_LEASE = """
INSERT INTO lease (cluster, address, t2, t1, uid, namespace, pod, service_account, owner, node)
VALUES ('east', %s, %s, '2026-01-01T00:00Z', 'uid', 'shop', 'web', 'default', '', 'node')
"""
_MEMBER = "INSERT INTO member (group_id, address, t2, t1, revision) VALUES (1, %s, %s, '2026-01-01T00:00Z', 3)"
_AUDIT = """
INSERT INTO audit (device, at, plan_digest, key, op, cause, before, after, outcome)
VALUES ('edge', now(), '', 'ports:east/External/shop/https', 'update', 'why', '-', '-', 'done')
"""


def _first_schema(database: Database, zone: str, last: str) -> None:
    """Leases and memberships that ended in January and at `last`, one that has not, and three rows of audit."""
    with database.transaction() as connection:
        row = connection.execute("SELECT current_database()").fetchone()
        assert row is not None
        connection.execute(f"ALTER DATABASE {row[0]} SET timezone = '{zone}'".encode())
    database.close()  # what is opened from now on believes to be there
    config = Config()
    config.set_main_option("script_location", str(shipped("migrations")))
    with database.engine.begin() as connection:
        config.attributes.update(connection=connection, on_version_apply=lambda **_: None)
        command.upgrade(config, "0001")
    with database.transaction() as connection:
        connection.execute("INSERT INTO cluster (name, changed_at) VALUES ('east', %s), ('new', NULL)", [last])
        connection.execute("INSERT INTO device (name, kind) VALUES ('edge', 'bigip')")
        for address, end in (("10.0.0.1", "2026-01-05T00:00Z"), ("10.0.0.1", last), ("10.0.0.2", "infinity")):
            connection.execute(_LEASE, [address, end])
            connection.execute(_MEMBER, [address, end])
        for _ in range(3):
            connection.execute(_AUDIT)


@pytest.mark.parametrize("zone", ["UTC", "America/New_York"])
def test_a_filled_database_is_upgraded(empty_url: str, zone: str) -> None:
    database = Database(empty_url)
    try:
        _first_schema(database, zone, "2026-03-30T12:00Z")
        database.upgrade()
        assert "lease_closed_2026_04" in make_months(database, datetime(2026, 4, 1, tzinfo=UTC))
        with database.transaction() as connection:
            counts = "SELECT (SELECT count(*) FROM lease), (SELECT count(*) FROM member)"
            assert connection.execute(counts).fetchone() == (3, 3)
            bounds = {one.name: one.upper for one in partitions(connection, "lease_closed")}
            assert bounds["lease_closed_before"] == datetime(2026, 4, 1, tzinfo=UTC)
            kept = connection.execute("SELECT kept_from FROM cluster ORDER BY name").fetchall()
        assert kept == [(datetime(2026, 1, 5, tzinfo=UTC),), (None,)]
        found = AuditStore(database).verify("edge")
        assert (found.sound, found.unchained, found.head.number) == (True, 3, 3)
    finally:
        database.close()
