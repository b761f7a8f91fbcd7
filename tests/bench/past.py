"""A year of history, made inside Postgres: every address held by one workload after another, with memberships and audit rows."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import LiteralString

from psycopg import sql

from bridge.state.database import Database

ADDRESSES = 65_536  # half of them in each of two clusters, which have the same ones
END = datetime(2026, 9, 1, tzinfo=UTC)
START = END - timedelta(days=365)
DEVICE = "fw"

# Who held what: number n of each address ended somewhere in its step. A name in twenty is borne again and again, as in a StatefulSet.
_HELD: LiteralString = """
WITH held AS (
    SELECT a, n, space, service, {start} + (n * 65536 + (hashint8(a * 1000003 + n) & 32767)) * {unit} AS t2,
        {start} + (n * 65536 - 60000 + (hashint8(a * 1000003 + n - 1) & 32767)) * {unit} AS t1,
        CASE WHEN mod(hash, 20) = 0 THEN 'db-' || mod(hash / 20, 5) ELSE 'svc-' || service || '-' || to_hex(hash) END AS pod
    FROM generate_series(0::bigint, 65535) a CROSS JOIN generate_series({first}::bigint, {last}::bigint) n
    CROSS JOIN LATERAL (SELECT hashint8(a * 7919 + n) & 2147483647 AS hash) h
    CROSS JOIN LATERAL (SELECT mod(hash / 100, 500) AS space, mod(hash / 50000, 4) AS service) s OFFSET 0)
"""
_LEASES: LiteralString = """
INSERT INTO {into} (cluster, address, t2, t1, uid, namespace, pod, service_account, owner, node)
SELECT (ARRAY['east', 'west'])[1 + mod(a, 2)], '10.64.0.0'::inet + a / 2, {t2}, t1, md5(a || '/' || n)::uuid::text,
    'ns-' || space, pod, 'default', 'ReplicaSet/svc-' || service, 'node-' || mod(a / 64, 1000)
FROM held WHERE t2 >= {lower} AND t2 < {upper}
"""
# Each is a member of its Service's group; one address in 16 besides of the group of all that are governed.
_MEMBERS: LiteralString = """
INSERT INTO {into} (group_id, address, t2, t1, revision)
SELECT g, '10.64.0.0'::inet + a / 2, {t2}, t1, extract(epoch FROM t2 - {start}) * 100
FROM held CROSS JOIN LATERAL (
    SELECT 1 + mod(a, 2) * 2000 + space * 4 + service UNION ALL SELECT 4001 + mod(a, 2) WHERE mod(a / 2, 16) = 0) x (g)
WHERE t2 >= {lower} AND t2 < {upper}
"""
_STATEMENTS: dict[LiteralString, LiteralString] = {"lease": _HELD + _LEASES, "member": _HELD + _MEMBERS}
_GROUPS = """
INSERT INTO address_group (id, cluster, key) OVERRIDING SYSTEM VALUE
SELECT number * 2000 - 1999 + space * 4 + service, name, 'group:' || name || '/service/ns-' || space || '/svc-' || service
FROM unnest('{east,west}'::text[]) WITH ORDINALITY x (name, number)
CROSS JOIN generate_series(0, 499) space CROSS JOIN generate_series(0, 3) service
UNION ALL SELECT 4000 + number, name, 'group:' || name || '/builtin//governed'
FROM unnest('{east,west}'::text[]) WITH ORDINALITY x (name, number)
"""
# A device's year: members of groups, and now and then a list of twenty rules.
_AUDIT = """
INSERT INTO audit (device, at, key, op, cause, before, after, plan_digest, outcome, number)
SELECT 'fw', '2025-09-01+00'::timestamptz + n * interval '2 minutes',
    CASE WHEN list THEN 'rules:east/service/ns-7/' ELSE 'group:east/service/ns-' || mod(n, 500) || '/svc-1' END,
    'update', 'Pod ns/x at ' || n, 'd -[]', CASE WHEN list THEN lines ELSE 'd +[10.64.0.1]' END, 'digest', 'done', n
FROM generate_series(1, 250000) n CROSS JOIN LATERAL (SELECT mod(n, 50) = 0 AS list) l CROSS JOIN (
    SELECT string_agg('rule-' || r || '_provider_tcp Allow group:east/service/ns-7/svc-1 to group:east/external/ns-7/p', ', ') AS lines
    FROM generate_series(1, 20) r) t
"""


def load(database: Database, leases: int) -> int:
    """Fill an empty database with about so many leases that have ended, and some more memberships. Returns the number of leases."""
    each = max(12, leases // ADDRESSES)
    step = (END - START) / each
    with database.transaction() as connection:
        connection.execute(
            "INSERT INTO cluster (name, kept_from, watched_at) VALUES ('east', %(t)s, now()), ('west', %(t)s, now())",
            {"t": START},
        )
        connection.execute("INSERT INTO device (name, kind) VALUES ('fw', 'bigip')")
        for statement in (_GROUPS, _AUDIT):
            connection.execute(statement)
    for table in ("lease", "member"):
        for lower, upper in _months():
            first, last = (lower - START) // step - 1, (upper - START) // step + 1
            _load_month(database, table, (lower, upper), (first, last, step))
        _load_open(database, table, each, step)
    with database.transaction() as connection:
        connection.execute("ANALYZE")
        row = connection.execute("SELECT count(*) FROM lease_closed").fetchone()
    return int(row[0]) if row else 0


def _months() -> Iterator[tuple[datetime, datetime]]:
    for index in range(12):
        months = [START.replace(year=START.year + (8 + n) // 12, month=1 + (8 + n) % 12) for n in (index, index + 1)]
        yield months[0], months[1]


def _load_month(
    database: Database,
    table: LiteralString,
    bounds: tuple[datetime, datetime],
    numbers: tuple[int, int, timedelta],
) -> None:
    """One month, indexed once it is full."""
    whole = sql.Identifier(f"{table}_closed")
    part = sql.Identifier(f"{table}_closed_{bounds[0]:%Y_%m}")
    lower, upper = map(sql.Literal, bounds)
    with database.transaction() as connection:
        connection.execute(
            sql.SQL("CREATE TABLE {} (LIKE {} INCLUDING DEFAULTS INCLUDING CONSTRAINTS)").format(part, whole)
        )
        connection.execute(_filled(table, part, sql.SQL("t2"), bounds, numbers))
        connection.execute(
            sql.SQL("ALTER TABLE {} ATTACH PARTITION {} FOR VALUES FROM ({}) TO ({})").format(whole, part, lower, upper)
        )


def _load_open(database: Database, table: LiteralString, each: int, step: timedelta) -> None:
    """Those who hold an address now: each began after the last that ended."""
    numbers, bounds = (each - 1, each, step), (END, END + 2 * step)
    with database.transaction() as connection:
        into = sql.Identifier(f"{table}_open")
        connection.execute(_filled(table, into, sql.SQL("'infinity'"), bounds, numbers))


def _filled(
    table: LiteralString,
    into: sql.Identifier,
    t2: sql.SQL,
    bounds: tuple[datetime, datetime],
    numbers: tuple[int, int, timedelta],
) -> sql.Composed:
    first, last = map(sql.Literal, numbers[:2])
    lower, upper = map(sql.Literal, bounds)
    statement = sql.SQL(_STATEMENTS[table])
    start, unit = sql.Literal(START), sql.Literal(numbers[2] / 65_536)
    return statement.format(into=into, t2=t2, first=first, last=last, start=start, unit=unit, lower=lower, upper=upper)
