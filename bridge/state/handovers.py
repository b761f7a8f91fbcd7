"""How long addresses took to change hands on each device, minute by minute."""

from datetime import datetime

from bridge.model.handover import Bucket, Buckets, Handovers, figures
from bridge.state.database import Connection

_NOTE = """
INSERT INTO handover AS h (device, at, bucket, count, worst, at_once)
SELECT %(device)b, date_trunc('minute', %(at)b::timestamptz), x.* FROM unnest(
    %(bucket)b::int[], %(count)b::bigint[], %(worst)b::float8[], %(at_once)b::bigint[]) x
ON CONFLICT (device, at, bucket) DO UPDATE SET
    count = h.count + excluded.count, worst = greatest(h.worst, excluded.worst), at_once = h.at_once + excluded.at_once
"""
_FIGURES = """
SELECT device, bucket, sum(count)::bigint, max(worst), sum(at_once)::bigint FROM handover
WHERE at >= %(since)s AND (%(device)s::text IS NULL OR device = %(device)s) GROUP BY device, bucket
"""
PRUNE = "DELETE FROM handover WHERE at < %(before)s"


def note(connection: Connection, device: str, at: datetime, found: Buckets) -> None:
    """Count these hand-overs in, of that minute."""
    places = sorted(found)
    values = {
        "device": device,
        "at": at,
        "bucket": places,
        "count": [found[place].count for place in places],
        "worst": [found[place].worst for place in places],
        "at_once": [found[place].both for place in places],
    }
    connection.execute(_NOTE, values)


def since(connection: Connection, start: datetime, device: str | None = None) -> dict[str, Handovers]:
    """The figures of each device from then on; of one alone where told. A device without any is not in it."""
    found: dict[str, dict[int, Bucket]] = {}
    for name, place, count, worst, both in connection.execute(_FIGURES, {"since": start, "device": device}):
        found.setdefault(name, {})[place] = Bucket(count, worst, both)
    return {name: figures(buckets) for name, buckets in found.items()}
