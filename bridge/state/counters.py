"""What moved, told by counters: cheap enough to be looked at twice a second, however much there is."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from bridge.state.database import Database
from bridge.state.schema import ALIVE_SECONDS

_LENGTH = 8  # of each text: enough that another state is another text

# A device moves with how it stands, with each row of its audit, with each full reading and proof, and with what is held there.
_CLUSTERS = "SELECT name, md5(concat_ws(' ', revision, uid, problem)) FROM cluster"
_DEVICES = """
SELECT d.name, md5(concat_ws(' ', d.standing_revision, d.audit_number, d.last_read, d.last_verified, d.identity, h.lists, h.last))
FROM device d LEFT JOIN (
    SELECT device, count(*) AS lists, max(coalesce(changed_at, since)) AS last FROM held_plan
    WHERE state IN ('held', 'released', 'rejected') GROUP BY device) h ON h.device = d.name
"""
_OTHERS = """
SELECT 'reports', coalesce(max(id), 0)::text FROM report
UNION ALL
SELECT 'replicas', md5(string_agg(holder, ' ' ORDER BY holder)) FROM replica
WHERE seen_at > clock_timestamp() - make_interval(secs => %(alive)s)
UNION ALL
SELECT 'stops', md5(string_agg(concat_ws(' ', uid, ended_at), ' ' ORDER BY cluster, name)) FROM stop
"""


@dataclass(frozen=True, slots=True)
class Counted:
    """One text for each cluster, each device, and each thing that is of none: it is another one once something moved there."""

    clusters: Mapping[str, str] = field(default_factory=dict)
    devices: Mapping[str, str] = field(default_factory=dict)
    others: Mapping[str, str] = field(default_factory=dict)


class Counters:
    """The tables as whoever follows them looks at them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def now(self) -> Counted:
        """How they stand, as of one moment. Raises StateUnavailable."""
        values = {"alive": ALIVE_SECONDS}
        with self._database.transaction(snapshot=True) as connection:
            return Counted(
                *(
                    {name: (text or "")[:_LENGTH] for name, text in connection.execute(query, values)}
                    for query in (_CLUSTERS, _DEVICES, _OTHERS)
                )
            )
