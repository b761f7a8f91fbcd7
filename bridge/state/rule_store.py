"""Rules as people look at them: in the order in which devices ask them, with what each becomes on each device."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString

from bridge.model.identity import ObjectKey
from bridge.model.intent import RuleList
from bridge.model.kinds import BY_REF, Brings
from bridge.model.observed import Labels, Namespace, PolicyObject, Resource
from bridge.model.policy import Ref, Tier
from bridge.state.database import Connection, Database
from bridge.state.desired import ObjectState
from bridge.state.encoding import decode_object, decode_policy_object, decode_slim
from bridge.state.policy_picture import DeviceRow, Placed, PolicyPicture, Unfinished

_PRIORITY = 1000  # of a rule that states none
_LAST = 99_999  # behind all others of its list: a rule of which no version was ever accepted
_PASSES = ("Pass", "accept")  # words of an action that leave the tier, where they do not let through

Order = tuple[int, str, str, int, int, int, str, str]
"""Where a rule stands among all: tier, cluster, namespace, priority, sequence, rank of its action, name, kind."""
BEGINNING: Order = (-1, "", "", 0, 0, 0, "", "")

_KINDS: LiteralString = """kinds AS MATERIALIZED (
    SELECT * FROM unnest(%(kind)s::text[], %(rank)s::int[], %(allows)s::text[], %(targets)s::text[]) x (kind, rank, allows, targets))"""
# What can be told without a look into the JSON of each rule: the words may stand there, and not where they are looked for.
_ASKED: LiteralString = """(%(cluster)s::text IS NULL OR p.cluster = %(cluster)s)
    AND (%(namespace)s::text IS NULL OR p.namespace = %(namespace)s) AND (%(tier)s::int IS NULL OR k.rank = %(tier)s)
    AND (%(words)s = '' OR strpos(lower(p.namespace || '/' || p.name), lower(%(words)s)) > 0
        OR strpos(lower(p.accepted::text), lower(%(words)s)) > 0)
    AND (%(device)s::text IS NULL OR EXISTS (
        SELECT FROM placement d WHERE d.cluster = p.cluster AND d.kind = p.kind AND d.namespace = p.namespace AND d.name = p.name
        AND d.device = %(device)s))
    AND (k.rank, p.cluster, p.namespace) >= (%(low_rank)s::int, %(low_cluster)s COLLATE "C", %(low_namespace)s COLLATE "C")"""
_LISTED: LiteralString = f"""
WITH {_KINDS}
SELECT k.rank, p.cluster, p.namespace, count(*) FROM policy_object p JOIN kinds k ON k.kind = p.kind WHERE {_ASKED}
GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""  # noqa: S608 - no value in it
# A list of a device is about one namespace of one cluster in one tier, and has its rules by priority (SEMANTICS 4).
_RULES: LiteralString = f"""
WITH {_KINDS},
rules AS (
    SELECT p.cluster, p.kind, p.namespace, p.name, p.uid, p.generation, p.ok, p.reason, p.message, p.changed_at, p.accepted,
        k.rank, k.targets, spec,
        CASE WHEN spec IS NULL THEN {_LAST} ELSE coalesce((spec ->> 'priority')::numeric::int, {_PRIORITY}) END AS priority,
        coalesce((p.accepted ->> 'sequence')::bigint, 0) AS sequence,
        CASE WHEN spec ->> 'action' = ANY(string_to_array(k.allows, ',')) THEN 2
            WHEN spec ->> 'action' = ANY(%(passes)s::text[]) THEN 1 ELSE 0 END AS action
    FROM policy_object p JOIN kinds k ON k.kind = p.kind CROSS JOIN LATERAL (SELECT p.accepted -> 'spec' AS spec OFFSET 0) s
    WHERE {_ASKED}
    AND (k.rank, p.cluster, p.namespace) <= (%(high_rank)s::int, %(high_cluster)s COLLATE "C", %(high_namespace)s COLLATE "C"))
SELECT cluster, kind, namespace, name, uid, generation, ok, reason, message, changed_at, accepted::text,
    rank, priority, sequence, action FROM rules
WHERE (rank, cluster, namespace, priority, sequence, action, name, kind) > (%(after_rank)s::int, %(after_cluster)s COLLATE "C",
    %(after_namespace)s COLLATE "C", %(after_priority)s::int, %(after_sequence)s::bigint, %(after_action)s::int,
    %(after_name)s COLLATE "C", %(after_kind)s COLLATE "C")
AND (%(words)s = '' OR strpos(lower(namespace || '/' || name), lower(%(words)s)) > 0
    OR strpos(lower(coalesce(spec ->> 'service', '')), lower(%(words)s)) > 0
    OR EXISTS (SELECT FROM json_array_elements(CASE json_typeof(spec -> targets) WHEN 'array' THEN spec -> targets END) t
        WHERE strpos(lower(coalesce(t ->> 'name', t #>> '{{}}')), lower(%(words)s)) > 0))
ORDER BY rank, cluster, namespace, priority, sequence, action, name, kind LIMIT %(limit)s
"""  # noqa: S608
_PLACED = """
SELECT p.kind, p.namespace, p.name, p.device, p.keys, p.tier, p.reason, p.message
FROM unnest(%(kind)s::text[], %(namespace)s::text[], %(name)s::text[]) x (kind, namespace, name)
CROSS JOIN LATERAL (
    SELECT * FROM placement p WHERE p.cluster = %(cluster)s AND p.kind = x.kind AND p.namespace = x.namespace
    AND p.name = x.name OFFSET 0) p ORDER BY p.device
"""
_ACCEPTED = """
SELECT kind, namespace, name, accepted::text FROM policy_object
JOIN unnest(%(kind)s::text[], %(namespace)s::text[], %(name)s::text[]) x (kind, namespace, name) USING (kind, namespace, name)
WHERE cluster = %(cluster)s AND accepted IS NOT NULL
"""
_UNFINISHED: LiteralString = """
SELECT o.device, o.key, o.kind, o.state, o.message, o.applied_generation > 0,
    CASE WHEN o.desired_generation > o.applied_generation THEN o.waiting_since END, o.verified_at
FROM device_object o JOIN device d ON d.name = o.device WHERE NOT o.gone
"""
_OF_THESE = f"""{_UNFINISHED} AND o.key = ANY(%(key)s::text[]) AND (o.state <> 'Programmed'
    OR o.desired_generation > o.applied_generation OR o.kind = 'rules' AND o.verified_at > coalesce(d.last_read, '-infinity'))
"""
# For the sake of these, lines of others are withheld.
_TROUBLED = f"""{_UNFINISHED} AND o.cluster = %(cluster)s AND o.state <> 'Programmed' AND (
    o.state IN ('Quarantined', 'Unsupported') OR o.state = 'Withheld' AND o.kind = 'rules')
"""
_GROUPS = "SELECT key FROM address_group WHERE cluster = %(cluster)s AND key = ANY(%(key)s::text[]) AND NOT gone"
_NAMESPACES = """
SELECT body::text FROM observed
WHERE cluster = %(cluster)s AND resource = 'namespaces' AND namespace = '' AND name = ANY(%(name)s::text[])
"""
_DEVICES = "SELECT name, state, message, mode, attached, attach_by, last_read, stopped_by FROM device"
_LISTS = """
SELECT device, key, body::text FROM device_object
WHERE cluster = %(cluster)s AND kind = 'rules' AND NOT gone AND device = ANY(%(device)s::text[])
AND split_part(key, '/', 3) = ANY(%(namespace)s::text[])
"""


@dataclass(frozen=True, slots=True)
class Written:
    """A rule as a person wrote it: the version in force, None where none ever was, and what was said of the last edit."""

    cluster: str
    ref: Ref
    uid: str
    generation: int
    ok: bool
    reason: str
    message: str
    changed_at: datetime
    accepted: PolicyObject | None
    order: Order


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which rules are asked for; None, or "" of words, for all. `words` are looked for in names, Services and destinations."""

    cluster: str | None = None
    namespace: str | None = None
    tier: Tier | None = None
    device: str | None = None
    words: str = ""


class RuleStore:
    """Opens readings. Raises StateUnavailable while the database is away."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @contextmanager
    def reading(self) -> Iterator["RuleReading"]:
        """Everything that is asked within is as of one moment."""
        with self._database.transaction(snapshot=True) as connection:
            yield RuleReading(connection)


class RuleReading:
    """One consistent look."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def rules(self, limit: int, after: Order = BEGINNING, chosen: Chosen | None = None) -> tuple[Written, ...]:
        """Rules in their order, behind `after`. As many lists are looked into as it takes, not all that there are."""
        values = _values(chosen or Chosen()) | _of(_PARTS, "after", after) | _of(_PLACE, "low", after[:3])
        lists = self._connection.execute(_LISTED, values).fetchall()
        found: list[Written] = []
        for low, high in _stretches(lists, limit):
            place = _of(_PLACE, "low", low) | _of(_PLACE, "high", high)
            rows = self._connection.execute(_RULES, values | place | {"limit": limit - len(found)})
            found += [_written(row) for row in rows]
            if len(found) == limit:
                break
        return tuple(found)

    def placed(self, cluster: str, refs: Sequence[Ref]) -> dict[Ref, tuple[Placed, ...]]:
        """What these become on each device."""
        found: dict[Ref, tuple[Placed, ...]] = {}
        rows = self._connection.execute(_PLACED, {"cluster": cluster, **_refs(refs)}) if refs else ()
        for kind, namespace, name, device, keys, *rest in rows:
            ref = Ref(kind, namespace, name)
            found[ref] = (*found.get(ref, ()), Placed(device, tuple(keys), *rest))
        return found

    def accepted(self, cluster: str, refs: Sequence[Ref]) -> dict[Ref, PolicyObject]:
        """The versions in force of these policy objects; one that has none is not in it."""
        rows = self._connection.execute(_ACCEPTED, {"cluster": cluster, **_refs(refs)}) if refs else ()
        return {Ref(kind, namespace, name): decode_policy_object(body) for kind, namespace, name, body in rows}

    def groups(self, cluster: str, keys: Iterable[ObjectKey]) -> set[ObjectKey]:
        """Those of these groups of which it is recorded who is in them."""
        rows = self._connection.execute(_GROUPS, {"cluster": cluster, "key": sorted({str(key) for key in keys})})
        return {ObjectKey.parse(key) for (key,) in rows}

    def annotations(self, cluster: str, namespaces: Collection[str]) -> dict[str, Labels]:
        """Those of these namespaces."""
        rows = self._connection.execute(_NAMESPACES, {"cluster": cluster, "name": sorted(namespaces)})
        found = (decode_slim(Resource.NAMESPACES, body) for (body,) in rows)
        return {one.name: one.annotations for one in found if isinstance(one, Namespace)}

    def picture(self, cluster: str, placed: Mapping[Ref, tuple[Placed, ...]]) -> PolicyPicture:
        """How devices stand as far as it takes to judge these placements; nothing else is in it."""
        keys = sorted({key for several in placed.values() for one in several for key in one.keys})
        unfinished, troubled = {}, set()
        rows = [*self._connection.execute(_OF_THESE, {"key": keys})]
        rows += self._connection.execute(_TROUBLED, {"cluster": cluster})
        for device, key, kind, word, *rest in rows:
            state = ObjectState(word)
            unfinished[device, key] = Unfinished(state, *rest)
            if state in (ObjectState.QUARANTINED, ObjectState.UNSUPPORTED) or (
                state is ObjectState.WITHHELD and kind == "rules"
            ):
                troubled.add(device)
        lists = self._lists(cluster, troubled, {ref.namespace for ref in placed})
        devices = {name: _device(row) for name, *row in self._connection.execute(_DEVICES)}
        return PolicyPicture({}, placed, unfinished, devices, lists, {})

    def _lists(
        self, cluster: str, devices: Collection[str], namespaces: Collection[str]
    ) -> dict[str, dict[ObjectKey, RuleList]]:
        """The lists in which these namespaces have their rules: no list of another namespace withholds a line of them."""
        found: dict[str, dict[ObjectKey, RuleList]] = {}
        values = {"cluster": cluster, "device": sorted(devices), "namespace": sorted({"", *namespaces})}
        for device, text, body in self._connection.execute(_LISTS, values) if devices else ():
            key = ObjectKey.parse(text)
            decoded = decode_object(key, body)
            if isinstance(decoded, RuleList):
                found.setdefault(device, {})[key] = decoded
        return found


_PARTS = ("rank", "cluster", "namespace", "priority", "sequence", "action", "name", "kind")
_PLACE = _PARTS[:3]


def _values(chosen: Chosen) -> dict[str, Any]:
    kinds = [(one, one.tier.rank) for one in BY_REF.values() if one.brings is Brings.RULE and one.tier is not None]
    return {
        "kind": [one.ref for one, _ in kinds],
        "rank": [rank for _, rank in kinds],
        "allows": [",".join(one.allows) for one, _ in kinds],
        "targets": [one.targets.removeprefix("spec.") for one, _ in kinds],
        "passes": list(_PASSES),
        "cluster": chosen.cluster,
        "namespace": chosen.namespace,
        "tier": chosen.tier.rank if chosen.tier is not None else None,
        "device": chosen.device,
        "words": chosen.words,
    }


def _of(names: Sequence[str], prefix: str, parts: Sequence[object]) -> dict[str, object]:
    return {f"{prefix}_{name}": part for name, part in zip(names, parts, strict=True)}


def _stretches(lists: Sequence[Sequence[Any]], wanted: int) -> Iterator[tuple[Sequence[object], Sequence[object]]]:
    """First and last of as many lists as have so many rules together, then of twice as many, and so on."""
    start, count = 0, 0
    for place, (*_, rules) in enumerate(lists):
        count += rules
        if count >= wanted or place == len(lists) - 1:
            yield lists[start][:3], lists[place][:3]
            start, count, wanted = place + 1, 0, wanted * 2


def _written(row: Sequence[Any]) -> Written:
    cluster, kind, namespace, name, uid, generation, ok, reason, message, changed_at, body, *order = row
    rank, priority, sequence, action = order
    return Written(
        cluster,
        Ref(kind, namespace, name),
        uid,
        generation,
        ok,
        reason,
        message,
        changed_at,
        decode_policy_object(body) if body else None,
        (rank, cluster, namespace, priority, sequence, action, name, kind),
    )


def _refs(refs: Sequence[Ref]) -> dict[str, list[str]]:
    return {
        "kind": [ref.kind for ref in refs],
        "namespace": [ref.namespace for ref in refs],
        "name": [ref.name for ref in refs],
    }


def _device(row: Sequence[Any]) -> DeviceRow:
    state, message, mode, attached, attach_by, last_read, stopped_by = row
    return DeviceRow(state, message, mode, attached or {}, attach_by or {}, last_read, tuple(stopped_by))
