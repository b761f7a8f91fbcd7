"""What waits, or waited, for a person, a page at a time: lists of held steps, the steps of one, and the members of its steps."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString

from bridge.model.addresses import canonical_address
from bridge.state.database import Connection, Database

REASONS = 5  # of one list, told with it

# Only those lists are opened that the page shows: one can name very many members.
_ABOUT: LiteralString = f"""
SELECT p.device, p.digest, p.cluster, p.kind, p.state, p.since, p.changed_at, p.by, p.reason, p.message, s.steps, s.members, s.whys
FROM page p CROSS JOIN LATERAL (
    SELECT count(*) AS steps, coalesce(sum(json_array_length(x.step -> 'members')), 0) AS members,
        (array_agg(DISTINCT x.step ->> 'reason'))[:{REASONS}] AS whys
    FROM json_array_elements(p.steps) x (step)) s
"""  # noqa: S608 - no value in it
_LISTS: LiteralString = f"""
WITH page AS MATERIALIZED (
    SELECT * FROM held_plan h
    WHERE (%(device)s::text IS NULL OR h.device = %(device)s) AND (%(cluster)s::text IS NULL OR h.cluster = %(cluster)s)
    AND h.state = ANY(%(states)s) AND (%(kind)s::text IS NULL OR h.kind = %(kind)s)
    AND (%(since)s::timestamptz IS NULL OR (h.since, h.device, h.digest) < (%(since)s, %(last_device)s, %(last_digest)s))
    ORDER BY h.since DESC, h.device DESC, h.digest DESC LIMIT %(limit)s)
{_ABOUT} ORDER BY p.since DESC, p.device DESC, p.digest DESC
"""  # noqa: S608 - no value in it
_ONE: LiteralString = f"""
WITH page AS MATERIALIZED (SELECT * FROM held_plan h WHERE h.device = %(device)s AND h.digest = %(digest)s)
{_ABOUT}
"""  # noqa: S608 - no value in it
_STEPS = """
SELECT x.place, x.step ->> 'key', x.step ->> 'kind', x.step ->> 'reason', json_array_length(x.step -> 'members')
FROM held_plan h CROSS JOIN LATERAL json_array_elements(h.steps) WITH ORDINALITY x (step, place)
WHERE h.device = %(device)s AND h.digest = %(digest)s AND x.place > %(after)s ORDER BY x.place LIMIT %(limit)s
"""
# Of each step what it is about is taken once, and not for each of its members.
_MEMBERS = """
WITH step AS MATERIALIZED (
    SELECT x.place, x.step ->> 'key' AS key, x.step ->> 'kind' AS kind, x.step -> 'members' AS members
    FROM held_plan h CROSS JOIN LATERAL json_array_elements(h.steps) WITH ORDINALITY x (step, place)
    WHERE h.device = %(device)s AND h.digest = %(digest)s AND x.place >= %(step)s)
SELECT s.place, m.place, s.key, s.kind, m.member
FROM step s CROSS JOIN LATERAL json_array_elements_text(s.members) WITH ORDINALITY m (member, place)
WHERE (%(key)s::text IS NULL OR s.key = %(key)s) AND (s.place, m.place) > (%(step)s, %(after)s)
ORDER BY s.place, m.place LIMIT %(limit)s
"""
# Whoever has it now, else whoever had it last: of what waits to be removed, that is whom it was for.
_HOLDERS = """
SELECT x.address, l.namespace, l.pod, l.owner, nullif(l.t2, 'infinity')
FROM unnest(%(addresses)s::text[]) x (address) CROSS JOIN LATERAL (
    SELECT * FROM lease l WHERE l.cluster = %(cluster)s AND l.address = x.address::inet ORDER BY l.t2 DESC LIMIT 1) l
"""


@dataclass(frozen=True, slots=True)
class HeldList:
    """One list as people ask for it, without its members. `whys` are some of its reasons."""

    device: str
    digest: str
    cluster: str
    kind: str
    state: str
    since: datetime
    changed_at: datetime | None
    by: str
    reason: str
    message: str
    steps: int
    members: int
    whys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HeldStep:
    """One step of a list: what of which object waits, and why."""

    place: int
    key: str
    kind: str
    reason: str
    members: int


@dataclass(frozen=True, slots=True)
class HeldMember:
    """One member of one step; of an address, whoever holds it, or until `until` held it."""

    step: int
    place: int
    key: str
    kind: str
    member: str
    namespace: str = ""
    pod: str = ""
    owner: str = ""
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Sought:
    """Which lists: in these states; of a device, of a cluster, of a kind."""

    states: Collection[str]
    device: str | None = None
    cluster: str | None = None
    kind: str | None = None


class HeldPages:
    """Lists of held steps. Of each page one row more than the limit is read, where there is one. Raises StateUnavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def lists(self, sought: Sought, after: tuple[datetime, str, str] | None, limit: int) -> tuple[HeldList, ...]:
        """The lists that come after one, by its time, device and digest; the newest first."""
        since, device, digest = after or (None, "", "")
        values = {
            "device": sought.device,
            "cluster": sought.cluster,
            "kind": sought.kind,
            "states": list(sought.states),
            "since": since,
            "last_device": device,
            "last_digest": digest,
            "limit": limit + 1,
        }
        with self._database.transaction(snapshot=True) as connection:
            return tuple(_list(row) for row in connection.execute(_LISTS, values))

    def one(self, device: str, digest: str) -> HeldList | None:
        """One list; None where there is none, or not any more."""
        with self._database.transaction(snapshot=True) as connection:
            row = connection.execute(_ONE, {"device": device, "digest": digest}).fetchone()
            return _list(row) if row else None

    def steps(self, device: str, digest: str, after: int, limit: int) -> tuple[HeldStep, ...]:
        """The steps of one list that come after that place in it."""
        values = {"device": device, "digest": digest, "after": after, "limit": limit + 1}
        with self._database.transaction(snapshot=True) as connection:
            return tuple(HeldStep(*row) for row in connection.execute(_STEPS, values))

    def members(
        self, device: str, digest: str, cluster: str, key: str | None, after: tuple[int, int], limit: int
    ) -> tuple[HeldMember, ...]:
        """The members of its steps, or of the steps of one object, that come after a place: the step's, and the member's in it."""
        step, member = after
        values = {"device": device, "digest": digest, "key": key, "step": step, "after": member, "limit": limit + 1}
        with self._database.transaction(snapshot=True) as connection:
            rows = connection.execute(_MEMBERS, values).fetchall()
            known = _holders(connection, cluster, [str(row[4]) for row in rows])
        return tuple(HeldMember(*row, *known.get(row[4], ())) for row in rows)


def _list(row: Sequence[Any]) -> HeldList:
    columns = [*row[:-3], int(row[-3]), int(row[-2]), tuple(row[-1] or ())]
    return HeldList(*columns)


def _holders(connection: Connection, cluster: str, members: Collection[str]) -> dict[str, tuple[Any, ...]]:
    addresses = [one for one in members if _is_address(one)]
    if not addresses:
        return {}
    rows = connection.execute(_HOLDERS, {"cluster": cluster, "addresses": addresses})
    return {address: tuple(rest) for address, *rest in rows}


def _is_address(text: str) -> bool:
    try:
        return canonical_address(text) == text
    except ValueError:
        return False
