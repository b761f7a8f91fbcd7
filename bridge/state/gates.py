"""How the gates of a batch are recorded, and read again. Everything here costs nothing where nobody is gated."""

from collections.abc import Callable, Sequence
from typing import Any

from bridge.model.addresses import Ranges
from bridge.state.batch import Batch, GateStart
from bridge.state.database import Connection
from bridge.state.desired import Applied, ObjectState
from bridge.state.encoding import clean
from bridge.state.tables import GATE_CHANNEL

Run = Callable[..., None]

_GONE = "DELETE FROM gate WHERE cluster = %(cluster)b AND uid = ANY(%(uid)b::text[])"
# The pod says so itself: who opened it need not tell it again.
_OPENED = """
UPDATE gate SET state = 'open', told = true, opened_at = %(at)b, blocked = ''
WHERE cluster = %(cluster)b AND uid = ANY(%(uid)b::text[]) AND state = 'waiting'
"""
# What is still so stays, with what devices have said of it.
_OTHER_NEEDS = """
DELETE FROM gate_need n WHERE n.cluster = %(cluster)b AND n.uid = ANY(%(uid)b::text[]) AND NOT EXISTS (
    SELECT FROM unnest(%(of)b::text[], %(address)b::text[]::inet[]) x (uid, address) WHERE x.uid = n.uid AND x.address = n.address)
"""
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
# A group of prefixes holds an address without naming it: its last change counts, whichever that was. An address that is a member for longer
# than its pod has it may be held back where something of the group is: as below, until the device says so.
_JOINS = """
INSERT INTO gate_need (cluster, uid, key, address, joins, revision, held_on)
SELECT %(cluster)b, x.uid, x.key, x.address, true,
    coalesce(m.revision, (SELECT max(r.revision) FROM member r WHERE r.group_id = a.id), %(revision)b),
    CASE WHEN m.revision < %(revision)b THEN ARRAY(
        SELECT d.device::text FROM device_object d
        WHERE (d.key = x.key AND d.members_of IS NULL OR d.members_of = x.key)
        AND d.state IN ('Held', 'Withheld') AND d.settled_revision >= m.revision) ELSE '{}' END
FROM unnest(%(uid)b::text[], %(key)b::text[], %(address)b::text[]::inet[]) x (uid, key, address)
CROSS JOIN LATERAL (SELECT FROM gate g WHERE g.cluster = %(cluster)b AND g.uid = x.uid AND g.state = 'waiting' OFFSET 0) g
LEFT JOIN LATERAL (
    SELECT id FROM address_group a WHERE a.cluster = %(cluster)b AND a.key = x.key OFFSET 0) a ON true
LEFT JOIN member_open m ON m.group_id = a.id AND m.address = x.address
ON CONFLICT (cluster, uid, key, address, joins) DO UPDATE SET revision = excluded.revision
"""
# The groups that the address was in before, where some device has not let it go yet. Of what stands on all devices nothing is asked. Where
# part of a group's change is held, it may be this one if nothing proved it; the device says so when it next tells of the group.
_LEAVES = """
WITH unsettled AS MATERIALIZED (
    SELECT a.id, d.key, min(d.settled_revision) AS settled,
        array_agg(d.device::text) FILTER (WHERE d.state = 'Held') AS held
    FROM (
        SELECT coalesce(members_of, key) AS key, device, settled_revision, state FROM device_object
        WHERE cluster = %(cluster)b AND state <> 'Programmed'
        UNION ALL
        SELECT coalesce(members_of, key), device, settled_revision, state FROM device_object
        WHERE desired_generation > applied_generation AND cluster = %(cluster)b AND state = 'Programmed') d
    JOIN address_group a ON a.cluster = %(cluster)b AND a.key = d.key
    GROUP BY a.id, d.key)
INSERT INTO gate_need (cluster, uid, key, address, joins, revision, held_on)
SELECT %(cluster)b, x.uid, u.key, x.address, false, m.revision, CASE WHEN m.doubtful THEN coalesce(u.held, '{}') ELSE '{}' END
FROM unnest(%(uid)b::text[], %(address)b::text[]::inet[]) x (uid, address)
CROSS JOIN LATERAL (SELECT FROM gate g WHERE g.cluster = %(cluster)b AND g.uid = x.uid AND g.state = 'waiting' OFFSET 0) g
CROSS JOIN unsettled u
CROSS JOIN LATERAL (
    SELECT m.revision, m.inferred OR m.unproven AS doubtful FROM member_closed m
    WHERE m.group_id = u.id AND m.address = x.address AND m.t2 > %(at)b::timestamptz - interval '30 days'
    ORDER BY m.t2 DESC LIMIT 1) m
WHERE (m.revision > u.settled OR m.doubtful AND u.held IS NOT NULL)
AND NOT EXISTS (SELECT FROM member_open o WHERE o.group_id = u.id AND o.address = x.address)
ON CONFLICT DO NOTHING
"""
_IN_PART = (ObjectState.HELD, ObjectState.WITHHELD)
_WAITING_FOR = """
SELECT o.key, n.cluster, n.uid, n.key, host(n.address), n.joins
FROM device_object o JOIN gate_need n ON n.key = coalesce(o.members_of, o.key)
WHERE o.device = %(device)s AND o.key = ANY(%(key)s::text[])
"""
_HELD_ON = """
UPDATE gate_need n SET held_on = array_remove(n.held_on, %(device)s) || CASE WHEN x.back THEN ARRAY[%(device)s]::text[] ELSE '{}' END
FROM unnest(%(cluster)s::text[], %(uid)s::text[], %(counted)s::text[], %(address)s::text[]::inet[], %(joins)s::bool[], %(back)s::bool[])
    x (cluster, uid, key, address, joins, back)
WHERE n.cluster = x.cluster AND n.uid = x.uid AND n.key = x.key AND n.address = x.address AND n.joins = x.joins
"""
_WAKE = """
SELECT pg_notify(%(channel)s, cluster) FROM (SELECT DISTINCT cluster FROM gate_need WHERE key = ANY(%(key)s::text[])) waiting
"""
_NOTIFY = "SELECT pg_notify(%(channel)s, %(cluster)s)"


def write(run: Run, batch: Batch) -> None:
    """The gates of a batch; members and the objects of devices must have been written before. `run` as Recording has it."""
    run(_GONE, batch.gates_gone, uid=batch.gates_gone)
    run(_OPENED, batch.gates_opened, uid=batch.gates_opened)
    touched = [*batch.gates_opened, *(one.pod.uid for one in batch.gates)]
    starts = list({one.pod.uid: one for one in batch.gates}.values())
    kept = {(one.pod.uid, address) for one in starts for address in one.addresses}
    run(_OTHER_NEEDS, touched, uid=touched, of=[uid for uid, _ in kept], address=[address for _, address in kept])
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


def confirm(connection: Connection, device: str, applied: Sequence[Applied]) -> None:
    """What these rows mean to those who wait for them; whoever opens gates is woken. The rows must have been written before."""
    in_part = {str(one.key): one.back for one in applied if one.state in _IN_PART}
    if in_part:
        rows = connection.execute(_WAITING_FOR, {"device": device, "key": list(in_part)}).fetchall()
        back = [_among(address, in_part[key]) for key, _, _, _, address, _ in rows]
        columns = [list(column) for column in zip(*(row[1:] for row in rows), strict=True)]
        if rows:
            names = ("cluster", "uid", "counted", "address", "joins")
            values = dict(zip(names, columns, strict=True)) | {"back": back, "device": device}
            connection.execute(_HELD_ON, values)
    connection.execute(_WAKE, {"channel": GATE_CHANNEL, "key": [str(one.key) for one in applied]})


def _among(address: str, members: frozenset[str]) -> bool:
    if not members or address in members:
        return bool(members)
    prefixes = tuple(one for one in members if "/" in one or "-" in one)
    return bool(prefixes) and address in Ranges(prefixes)


def load(connection: Connection, cluster: str) -> dict[str, bool]:
    """The pods whose gate is recorded, and whether each still waits."""
    rows: list[tuple[Any, ...]] = connection.execute(
        "SELECT uid, state = 'waiting' FROM gate WHERE cluster = %s", [cluster]
    ).fetchall()
    return dict(rows)
