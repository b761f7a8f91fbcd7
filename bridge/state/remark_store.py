"""What is not in force as it was written: objects that were not accepted, rules that a device cannot have, what a device refused."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from bridge.model.reasons import LACKING, RESTING
from bridge.state.database import Database

Order = tuple[int, str, str, str, str, str]
"""Where a remark stands among all: what it is about, cluster, namespace, object, name, device."""
BEGINNING: Order = (-1, "", "", "", "", "")

# What lacks something on a device is told of the device, with the reason there.
_REMARKS = """
SELECT place, cluster, namespace, object, name, device, reason, message, since FROM (
    SELECT 0 AS place, p.cluster, p.namespace, p.kind AS object, p.name, '' AS device, p.reason, p.message, p.changed_at AS since
    FROM policy_object p WHERE NOT p.ok AND NOT (p.reason = ANY(%(lacking)s::text[]) AND EXISTS (
        SELECT FROM placement x WHERE x.cluster = p.cluster AND x.kind = p.kind AND x.namespace = p.namespace AND x.name = p.name
        AND x.reason <> ''))
    UNION ALL
    SELECT 1, cluster, namespace, kind, name, device, reason, message, NULL FROM placement
    WHERE reason <> '' AND reason <> ALL(%(resting)s::text[])
    UNION ALL
    SELECT 2, cluster, split_part(key, '/', 3), key, '', device, state, message, changed_at FROM device_object
    WHERE state IN ('Quarantined', 'Unsupported', 'Withheld') AND state <> 'Programmed' AND NOT gone) x
WHERE (place, cluster, namespace, object, name, device) > (%(place)s::int, %(after_cluster)s COLLATE "C",
    %(after_namespace)s COLLATE "C", %(after_object)s COLLATE "C", %(after_name)s COLLATE "C", %(after_device)s COLLATE "C")
AND (%(cluster)s::text IS NULL OR cluster = %(cluster)s) AND (%(namespace)s::text IS NULL OR namespace = %(namespace)s)
AND (%(device)s::text IS NULL OR device = %(device)s) AND (%(reason)s::text[] IS NULL OR reason = ANY(%(reason)s::text[]))
AND strpos(lower(object || ' ' || namespace || '/' || name), lower(%(words)s)) > 0
ORDER BY place, cluster COLLATE "C", namespace COLLATE "C", object COLLATE "C", name COLLATE "C", device COLLATE "C" LIMIT %(limit)s
"""


@dataclass(frozen=True, slots=True)
class RemarkView:
    """One remark: of a policy object (`object` is its kind), or where `place` is 2 of an object of a device (`object` is its key)."""

    place: int
    cluster: str
    namespace: str
    object: str
    name: str
    device: str
    reason: str
    message: str
    since: datetime | None

    @property
    def order(self) -> Order:
        """Where it stands."""
        return self.place, self.cluster, self.namespace, self.object, self.name, self.device


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which remarks are asked for; None, or "" of words, for all. `words` are looked for in the names of objects."""

    cluster: str | None = None
    namespace: str | None = None
    device: str | None = None
    reasons: Collection[str] | None = None
    words: str = ""


class RemarkStore:
    """Reads remarks. Raises StateUnavailable while the database is away."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def remarks(self, limit: int, after: Order = BEGINNING, chosen: Chosen | None = None) -> tuple[RemarkView, ...]:
        """Remarks in their order, behind `after`."""
        chosen = chosen or Chosen()
        names = ("place", "after_cluster", "after_namespace", "after_object", "after_name", "after_device")
        values = {
            **dict(zip(names, after, strict=True)),
            "cluster": chosen.cluster,
            "namespace": chosen.namespace,
            "device": chosen.device,
            "reason": list(chosen.reasons) if chosen.reasons is not None else None,
            "words": chosen.words,
            "lacking": [str(one) for one in LACKING],
            "resting": [str(one) for one in RESTING],
            "limit": limit,
        }
        with self._database.transaction(snapshot=True) as connection:
            return tuple(RemarkView(*row) for row in connection.execute(_REMARKS, values))
