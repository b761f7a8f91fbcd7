"""History by the month: made ahead of time and once, stray rows moved into theirs, old months dropped, open rows never touched."""

import threading
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.state.batch import Batch, LeaseEnd, LeaseStart, MemberChange
from bridge.state.database import Database
from bridge.state.partitions import TABLES, Partition, drop_months, make_months, partitions
from bridge.state.report_store import ReportStore
from tests.state.builders import Stores, group, pod

NOW = datetime(2026, 11, 20, 8, tzinfo=UTC)
MONTHS = ["2026_11", "2026_12", "2027_01"]


def month(year: int, number: int) -> datetime:
    return datetime(year, number, 1, tzinfo=UTC)


def parts(database: Database, table: str = "lease_closed") -> list[Partition]:
    with database.transaction() as connection:
        return list(partitions(connection, table))


def counts(database: Database, *names: str) -> list[int]:
    with database.transaction() as connection:
        return [connection.execute(f"SELECT count(*) FROM {name}".encode()).fetchall()[0][0] for name in names]  # noqa: S608


def lived(stores: Stores, address: str, name: str, began: datetime, ended: datetime) -> None:
    """A lease and a membership from then to then."""
    web = group("web")
    stores.commit(Batch(began, groups=[web], leases=[LeaseStart(address, pod(name))]))
    stores.commit(Batch(began, joined=[MemberChange(web, address)]))
    stores.commit(Batch(ended, leases_ended=[LeaseEnd(address, f"uid-{name}")], left=[MemberChange(web, address)]))


def test_this_month_and_the_next_two_are_made_once(database: Database) -> None:
    assert make_months(database, NOW) == [f"{table}_{month}" for table in TABLES for month in MONTHS]
    assert make_months(database, NOW + timedelta(days=3)) == []
    assert make_months(database, datetime(2026, 12, 1, tzinfo=UTC)) == ["lease_closed_2027_02", "member_closed_2027_02"]
    assert parts(database)[1] == Partition("lease_closed_2026_12", month(2026, 12), month(2027, 1))


def test_months_are_those_of_utc_whatever_the_session_says(database: Database) -> None:
    with database.transaction() as connection:
        connection.execute("ALTER ROLE CURRENT_USER SET TimeZone = 'Pacific/Kiritimati'")
    try:
        other = Database(database.conninfo)
        make_months(other, datetime(2026, 11, 30, 23, 59, tzinfo=UTC))
        assert parts(other)[0] == Partition("lease_closed_2026_11", month(2026, 11), month(2026, 12))
        assert make_months(other, NOW) == []
        other.close()
    finally:
        with database.transaction() as connection:
            connection.execute("ALTER ROLE CURRENT_USER RESET TimeZone")


def test_several_processes_at_once_make_each_month_once(database: Database) -> None:
    made: list[str] = []
    threads = [threading.Thread(target=lambda: made.extend(make_months(database, NOW))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(made) == sorted(f"{table}_{month}" for table in TABLES for month in MONTHS)


def test_rows_of_a_month_that_was_not_made_in_time_move_into_it(database: Database) -> None:
    stores = Stores(database)
    lived(stores, "10.0.0.1", "a", month(2025, 3), datetime(2025, 4, 30, 23, 59, 59, 999999, tzinfo=UTC))
    lived(stores, "10.0.0.1", "b", month(2025, 5), month(2025, 5))
    lived(stores, "10.0.0.1", "c", month(2026, 11), NOW)
    before = ReportStore(database).leases("10.0.0.1")
    assert counts(database, "lease_closed_rest", "member_closed_rest") == [3, 3]

    made = make_months(database, NOW)

    assert [name for name in made if "lease" in name] == [f"lease_closed_{m}" for m in ("2025_04", "2025_05", *MONTHS)]
    names = ("lease_closed_rest", "member_closed_rest", "lease_closed_2025_04", "member_closed_2025_05")
    assert counts(database, *names, "member_closed_2026_11") == [0, 0, 1, 1, 1]
    assert ReportStore(database).leases("10.0.0.1") == before


def test_a_new_month_has_every_index_and_check_of_the_table(database: Database) -> None:
    make_months(database, NOW)
    lived(Stores(database), "10.0.0.1", "a", NOW - timedelta(hours=1), NOW)
    query = "SELECT count(*) FROM pg_indexes WHERE tablename = %s"
    with database.transaction() as connection:
        tables = ("lease_closed", "lease_closed_2026_11", "member_closed", "member_closed_2026_11")
        found = [connection.execute(query, [name]).fetchall()[0][0] for name in tables]
        assert found[0] == found[1] > 1
        assert found[2] == found[3] > 1
    with pytest.raises(psycopg.errors.CheckViolation), psycopg.connect(database.conninfo) as connection:
        connection.execute("UPDATE lease_closed_2026_11 SET t1 = '2026-12-01'")


def test_whole_months_go_and_the_rest_goes_by_the_row(database: Database) -> None:
    stores = Stores(database)
    make_months(database, month(2026, 3))
    stores.commit(Batch(month(2026, 1), leases=[LeaseStart("10.0.9.9", pod("long"))]))
    for number in (2, 3, 4):  # February has no month of its own: it lands in the rest
        for day in (5, 25):
            began = datetime(2026, number, day, tzinfo=UTC)
            lived(stores, f"10.0.{number}.{day}", f"p{day}", began, began + timedelta(days=1))
    assert counts(database, "lease_closed_rest", "lease_closed_2026_03", "lease_closed_2026_04") == [2, 2, 2]

    assert drop_months(database, "lease_closed", datetime(2026, 2, 10, tzinfo=UTC)) == 1  # a row of the rest
    assert drop_months(database, "lease_closed", datetime(2026, 3, 31, 23, tzinfo=UTC)) == 1
    assert counts(database, "lease_closed_rest", "lease_closed_2026_03") == [0, 2]
    assert drop_months(database, "lease_closed", month(2026, 4)) == 2
    assert [one.name for one in parts(database)] == [
        "lease_closed_2026_04",
        "lease_closed_2026_05",
        "lease_closed_rest",
    ]

    assert drop_months(database, "lease_closed", month(2030, 1)) == 2
    assert counts(database, "lease_closed", "lease_open", "member_closed") == [0, 1, 6]


def test_what_ended_before_there_were_months_goes_by_the_row(database: Database) -> None:
    with database.transaction() as connection:
        connection.execute(
            "CREATE TABLE lease_closed_before PARTITION OF lease_closed FOR VALUES FROM (MINVALUE) TO ('2026-04-01+00')"
        )
    stores = Stores(database)
    for number in (1, 2, 3):
        lived(stores, f"10.0.0.{number}", f"p{number}", month(2026, number), month(2026, number) + timedelta(days=1))
    assert "lease_closed_2026_03" not in make_months(database, month(2026, 3))
    assert drop_months(database, "lease_closed", datetime(2026, 2, 3, tzinfo=UTC)) == 2
    assert counts(database, "lease_closed_before") == [1]
    assert drop_months(database, "lease_closed", month(2026, 4)) == 1
    assert "lease_closed_before" not in {one.name for one in parts(database)}


def test_a_month_in_use_is_left_alone_and_nobody_waits_for_it(database: Database) -> None:
    make_months(database, NOW)
    lived(Stores(database), "10.0.0.1", "a", NOW - timedelta(hours=1), NOW)
    with psycopg.connect(database.conninfo) as reader:
        reader.execute("SELECT FROM lease_closed")
        assert drop_months(database, "lease_closed", month(2027, 1)) == 0
    assert drop_months(database, "lease_closed", month(2027, 1)) == 1


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(0, 900), min_size=1, max_size=6), st.integers(0, 900))
def test_nothing_younger_than_the_limit_ever_goes(database: Database, days: list[int], limit: int) -> None:
    """Whatever ended when, and whenever months were made: younger ends stay, months that were over go."""
    start = month(2025, 1)
    ends = {f"10.0.0.{number}": start + timedelta(days=day) for number, day in enumerate(days)}
    with database.transaction() as connection:
        connection.execute("TRUNCATE lease")
    for number, (address, end) in enumerate(ends.items()):
        with database.transaction() as connection:
            connection.execute(_LEASE, {"address": address, "t1": start, "t2": end})
        if number == len(days) // 2:
            make_months(database, end)
    before = start + timedelta(days=limit)
    drop_months(database, "lease_closed", before)
    left = {row.address for address in ends for row in ReportStore(database).leases(address)}
    assert {address for address, end in ends.items() if end >= before} <= left
    assert left <= {address for address, end in ends.items() if end >= before.replace(day=1)}


_LEASE = """
INSERT INTO lease (cluster, address, t1, t2, uid, namespace, pod, service_account, owner, node)
VALUES ('east', %(address)s, %(t1)s, %(t2)s, 'a', '', '', '', '', '')
"""
