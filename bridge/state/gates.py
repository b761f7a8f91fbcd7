"""How the gates of a batch are recorded, and read again. Everything here costs nothing where nobody is gated."""

from collections.abc import Callable, Sequence
from typing import Any

from bridge.state.batch import Batch, GateStart
from bridge.state.database import Connection
from bridge.state.encoding import clean
from bridge.state.tables import GATE_CHANNEL

Run = Callable[..., None]

_GONE = "DELETE FROM gate WHERE cluster = %(cluster)b AND uid = ANY(%(uid)b::text[])"
# The pod says so itself: who opened it need not tell it again.
_OPENED = """
UPDATE gate SET state = 'open', told = true, opened_at = %(at)b, blocked = ''
WHERE cluster = %(cluster)b AND uid = ANY(%(uid)b::text[]) AND state = 'waiting'
"""
_NO_NEEDS = "DELETE FROM gate_need WHERE cluster = %(cluster)b AND uid = ANY(%(uid)b::text[])"
_STARTED = """
INSERT INTO gate AS g (cluster, since, uid, namespace, name, state, blocked, reason, told, opened_at)
SELECT %(cluster)b, %(at)b::timestamptz, x.uid, x.namespace, x.name, x.state,
    CASE x.state WHEN 'open' THEN '' ELSE x.reason END, CASE x.state WHEN 'open' THEN x.reason ELSE '' END, x.told,
    CASE x.state WHEN 'open' THEN %(at)b::timestamptz END
FROM unnest(%(uid)b::text[], %(namespace)b::text[], %(name)b::text[], %(state)b::text[], %(reason)b::text[], %(told)b::bool[])
    x (uid, namespace, name, state, reason, told)
ON CONFLICT (cluster, uid) DO UPDATE SET
    state = excluded.state, blocked = excluded.blocked, told = excluded.told, opened_at = excluded.opened_at,
    reason = CASE excluded.state WHEN 'open' THEN excluded.reason ELSE g.reason END
WHERE g.state = 'waiting'
"""
# A group of prefixes holds an address without naming it: what it is has been settled by this batch, as far as the address goes.
_JOINS = """
INSERT INTO gate_need (cluster, uid, key, address, joins, revision)
SELECT %(cluster)b, x.uid, x.key, x.address, true, coalesce(m.revision, %(revision)b)
FROM unnest(%(uid)b::text[], %(key)b::text[], %(address)b::text[]::inet[]) x (uid, key, address)
CROSS JOIN LATERAL (SELECT FROM gate g WHERE g.cluster = %(cluster)b AND g.uid = x.uid AND g.state = 'waiting' OFFSET 0) g
LEFT JOIN LATERAL (
    SELECT m.revision FROM address_group a JOIN member_open m ON m.group_id = a.id AND m.address = x.address
    WHERE a.cluster = %(cluster)b AND a.key = x.key OFFSET 0) m ON true
ON CONFLICT DO NOTHING
"""
# The groups that the address was in before, where some device has not let it go yet. Of what stands on all devices nothing is asked.
_LEAVES = """
WITH unsettled AS MATERIALIZED (
    SELECT a.id, d.key, min(d.settled_revision) AS settled, bool_or(d.state = 'Held') AS held
    FROM (
        SELECT key, settled_revision, state FROM device_object
        WHERE cluster = %(cluster)b AND state <> 'Programmed'
        UNION ALL
        SELECT key, settled_revision, state FROM device_object
        WHERE desired_generation > applied_generation AND cluster = %(cluster)b AND state = 'Programmed') d
    JOIN address_group a ON a.cluster = %(cluster)b AND a.key = d.key
    GROUP BY a.id, d.key)
INSERT INTO gate_need (cluster, uid, key, address, joins, revision)
SELECT %(cluster)b, x.uid, u.key, x.address, false, m.revision
FROM unnest(%(uid)b::text[], %(address)b::text[]::inet[]) x (uid, address)
CROSS JOIN LATERAL (SELECT FROM gate g WHERE g.cluster = %(cluster)b AND g.uid = x.uid AND g.state = 'waiting' OFFSET 0) g
CROSS JOIN unsettled u
CROSS JOIN LATERAL (
    SELECT m.revision FROM member_closed m
    WHERE m.group_id = u.id AND m.address = x.address AND m.t2 > %(at)b::timestamptz - interval '30 days'
    ORDER BY m.t2 DESC LIMIT 1) m
WHERE (m.revision > u.settled OR u.held)
AND NOT EXISTS (SELECT FROM member_open o WHERE o.group_id = u.id AND o.address = x.address)
ON CONFLICT DO NOTHING
"""
_NOTIFY = "SELECT pg_notify(%(channel)s, %(cluster)s)"


def write(run: Run, batch: Batch) -> None:
    """The gates of a batch; members and the objects of devices must have been written before. `run` as Recording has it."""
    run(_GONE, batch.gates_gone, uid=batch.gates_gone)
    run(_OPENED, batch.gates_opened, uid=batch.gates_opened)
    touched = [*batch.gates_opened, *(one.pod.uid for one in batch.gates)]
    run(_NO_NEEDS, touched, uid=touched)
    starts = list({one.pod.uid: one for one in batch.gates}.values())
    _start(run, starts)
    if starts:
        run(_NOTIFY, starts, channel=GATE_CHANNEL)


def _start(run: Run, starts: Sequence[GateStart]) -> None:
    run(
        _STARTED,
        starts,
        uid=[one.pod.uid for one in starts],
        namespace=[one.pod.namespace for one in starts],
        name=[one.pod.name for one in starts],
        state=["open" if one.open else "waiting" for one in starts],
        reason=[clean(one.reason) for one in starts],
        told=[one.told for one in starts],
    )
    needs = [(one.pod.uid, need) for one in starts for need in one.needs]
    run(
        _JOINS,
        needs,
        uid=[uid for uid, _ in needs],
        key=[str(need.key) for _, need in needs],
        address=[need.address for _, need in needs],
    )
    held = [(one.pod.uid, address) for one in starts if not one.open for address in one.pod.addresses]
    run(_LEAVES, held, uid=[uid for uid, _ in held], address=[address for _, address in held])


def load(connection: Connection, cluster: str) -> dict[str, bool]:
    """The pods whose gate is recorded, and whether each still waits."""
    rows: list[tuple[Any, ...]] = connection.execute(
        "SELECT uid, state = 'waiting' FROM gate WHERE cluster = %s", [cluster]
    ).fetchall()
    return dict(rows)
