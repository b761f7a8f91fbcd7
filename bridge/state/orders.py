"""How the orders of one intake batch are recorded: decisions about held steps, and stops."""

from collections.abc import Callable

from bridge.model.observed import Resource
from bridge.state.batch import Batch
from bridge.state.encoding import clean

Run = Callable[..., None]
"""Executes a statement with arrays unless there are no rows: (statement, rows, **columns)."""

# A name is given to one object at a time: what another bore it before, and was not done, is not to be done any more.
_WITHDRAWN = """
UPDATE decision d SET state = 'Withdrawn', message = 'deleted before it was done', settled_at = %(at)b
FROM unnest(%(name)b::text[], %(uid)b::text[]) x (name, uid)
WHERE d.cluster = %(cluster)b AND d.state = 'Waiting' AND (d.uid = x.uid AND x.name = '' OR d.name = x.name AND d.uid <> x.uid)
"""
# It never changes, so the first word about it is the last.
_DECISIONS = """
INSERT INTO decision (cluster, uid, name, device, digest, verdict, by, reason, at, state, message, settled_at)
SELECT %(cluster)b, x.*, CASE WHEN x.state <> 'Waiting' THEN %(at)b::timestamptz END FROM unnest(
    %(uid)b::text[], %(name)b::text[], %(device)b::text[], %(digest)b::text[], %(verdict)b::text[], %(by)b::text[],
    %(reason)b::text[], %(written)b::timestamptz[], %(state)b::text[], %(message)b::text[])
    x (uid, name, device, digest, verdict, by, reason, at, state, message)
ON CONFLICT (cluster, uid) DO NOTHING
"""
_STOPS = """
INSERT INTO stop (cluster, name, uid, devices, by, reason, since, message, lifted_by, lifted_reason, ended_at)
SELECT %(cluster)b, x.name, x.uid, coalesce(string_to_array(nullif(x.devices, ''), chr(10)), '{}'), x.by, x.reason, x.since, x.message,
    x.lifted_by, x.lifted_reason, CASE WHEN x.lifted THEN %(at)b::timestamptz END
FROM unnest(
    %(name)b::text[], %(uid)b::text[], %(devices)b::text[], %(by)b::text[], %(reason)b::text[], %(since)b::timestamptz[],
    %(message)b::text[], %(lifted)b::bool[], %(lifted_by)b::text[], %(lifted_reason)b::text[])
    x (name, uid, devices, by, reason, since, message, lifted, lifted_by, lifted_reason)
ON CONFLICT (cluster, name) DO UPDATE SET
    uid = excluded.uid, devices = excluded.devices, by = excluded.by, reason = excluded.reason, since = excluded.since,
    message = excluded.message, lifted_by = excluded.lifted_by, lifted_reason = excluded.lifted_reason,
    ended_at = CASE WHEN stop.uid = excluded.uid AND excluded.ended_at IS NOT NULL THEN coalesce(stop.ended_at, excluded.ended_at)
        ELSE excluded.ended_at END
"""
_ENDED = """
UPDATE stop SET ended_at = %(at)b WHERE cluster = %(cluster)b AND name = ANY(%(name)b::text[]) AND ended_at IS NULL
"""
# What was ordered while nobody listened is in the batch with the first list of stops.
_CURRENT = "UPDATE cluster SET current_at = clock_timestamp() WHERE name = %(cluster)b"
PRUNE_DECISIONS = "DELETE FROM decision WHERE settled_at < %(before)s"
PRUNE_STOPS = "DELETE FROM stop WHERE ended_at < %(before)s"


def write(run: Run, batch: Batch) -> None:
    """Record what people decided, and what of it was taken back. What a device has done about it stays as it is recorded."""
    made, gone = [one.decision for one in batch.decisions], batch.decisions_gone
    run(
        _WITHDRAWN,
        [*made, *gone],
        name=[*(one.name for one in made), *("" for _ in gone)],
        uid=[*(one.uid for one in made), *gone],
    )
    run(
        _DECISIONS,
        made,
        uid=[one.uid for one in made],
        name=[one.name for one in made],
        device=[clean(one.device) for one in made],
        digest=[clean(one.digest) for one in made],
        verdict=[str(one.verdict) for one in made],
        by=[clean(one.by) for one in made],
        reason=[clean(one.reason) for one in made],
        written=[one.at for one in made],
        state=[str(one.state) for one in batch.decisions],
        message=[clean(one.message) for one in batch.decisions],
    )
    _write_stops(run, batch)
    run(_CURRENT, [Resource.STOPS] if Resource.STOPS in batch.synced else [])


def _write_stops(run: Run, batch: Batch) -> None:
    run(_ENDED, batch.stops_deleted, name=batch.stops_deleted)
    records = batch.stops
    stops, lifted = [one.stop for one in records], [one.lifted for one in records]
    run(
        _STOPS,
        stops,
        name=[one.name for one in stops],
        uid=[one.uid for one in stops],
        devices=["\n".join(one.devices) for one in stops],
        by=[clean(one.by) for one in stops],
        reason=[clean(one.reason) for one in stops],
        since=[one.since for one in stops],
        message=[clean(one.message) for one in records],
        lifted=[one is not None for one in lifted],
        lifted_by=[clean(one.by) if one else "" for one in lifted],
        lifted_reason=[clean(one.reason) if one else "" for one in lifted],
    )
