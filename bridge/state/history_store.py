"""What people ask of the past. Every query is served by an index and bounded: a page at a time, the newest first."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from typing import Any, Generic, LiteralString, TypeVar

from bridge.model.addresses import canonical_address, sort_key
from bridge.model.identity import Kind, ObjectKey, Scope
from bridge.model.policy import Ref
from bridge.state import history_queries as sql
from bridge.state.database import BY_KEY, Connection, Database
from bridge.state.past import Around, DeviceChange, Membership, Outage, Standing, Watched
from bridge.state.reported import LeaseRecord

T = TypeVar("T")

_LAST, _NO_ADDRESS, _FIRST_LEASE = 2**63 - 1, "0.0.0.1", "infinity,,0.0.0.1"
_NEVER = datetime.max.replace(tzinfo=UTC)
# Few rows from many parts: what it takes to start workers or to sort would be most of the work.
_PLANNED: LiteralString = f"SELECT {BY_KEY}, set_config('max_parallel_workers_per_gather', '0', true)"
_BOUND = 200  # memberships of one address in one group


@dataclass(frozen=True, slots=True)
class Asked:
    """Which page: so many rows at most, from `start` on, and nothing that was over before `since`.

    `start` is the `next` of the page before, an opaque text; "" for the first.
    """

    limit: int = 50
    start: str = ""
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some rows, the newest first, and where the next page starts; "" where there is none."""

    rows: tuple[T, ...]
    next: str = ""


class HistoryStore:
    """The past as people ask of it. Each method reads as of one moment; raises StateUnavailable, and ValueError for a wrong `start`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def clusters(self, cluster: str | None = None) -> tuple[Watched, ...]:
        """Every cluster that was ever recorded, or the one of that name; by name."""
        return tuple(Watched(*row) for row in self._rows(sql.CLUSTERS, {"cluster": cluster}))

    def around(self, cluster: str, address: str, at: datetime) -> Around:
        """Who held the address before, at and after that time."""
        values = {"cluster": cluster, "address": address, "at": at}
        with self._reading() as connection:
            after = tuple(LeaseRecord(*row) for row in connection.execute(sql.AFTER, values))
            before = connection.execute(sql.BEFORE, values).fetchone()
            outage = connection.execute(sql.OUTAGE, values).fetchone()
        lies = outage is not None and outage[0] < at
        return Around(after, LeaseRecord(*before) if before else None, Outage(*outage) if outage and lies else None)

    def leases_of_address(self, address: str, asked: Asked, cluster: str | None = None) -> Page[LeaseRecord]:
        """Who held the address, in that cluster or in any."""
        values = {"address": address, **_leases_from(asked)}
        rows: list[tuple[Any, ...]] = []
        for one in self.clusters(cluster):
            rows += self._rows(sql.LEASES_OF_ADDRESS, {"cluster": one.cluster, **values})
        return _leases(rows, asked)

    def leases_of_pod(self, namespace: str, pod: str, asked: Asked, cluster: str | None = None) -> Page[LeaseRecord]:
        """What every pod of that name held, whatever its uid."""
        values = {"namespace": namespace, "pod": pod, "cluster": cluster, **_leases_from(asked)}
        return _leases(self._rows(sql.LEASES_OF_POD, values), asked)

    def leases_of_uid(self, uid: str, limit: int) -> tuple[LeaseRecord, ...]:
        """What the pod of that uid held, the last first."""
        return tuple(LeaseRecord(*row) for row in self._rows(sql.LEASES_OF_UID, {"uid": uid, "limit": limit}))

    def groups_at(self, cluster: str, address: str, namespaces: Iterable[str], at: datetime) -> tuple[Membership, ...]:
        """The groups in which the address was at that time, held by a pod of one of these namespaces; by key."""
        values = {"cluster": cluster, "address": address, "at": at, **_ranges(cluster, namespaces)}
        return tuple(Membership(ObjectKey.parse(key), *rest) for key, *rest in self._rows(sql.GROUPS_AT, values))

    def memberships(
        self, cluster: str, address: str, namespaces: Iterable[str], first: datetime, last: datetime
    ) -> tuple[Membership, ...]:
        """The groups in which the address was at any time from `first` to `last` while pods of these namespaces held it."""
        bounds = {"first": first, "last": last, "limit": _BOUND, **_ranges(cluster, namespaces)}
        rows = self._rows(sql.MEMBERSHIPS_OF_ADDRESS, {"cluster": cluster, "address": address, **bounds})
        return tuple(Membership(ObjectKey.parse(key), *rest) for key, *rest in rows)

    def memberships_of_group(self, group: ObjectKey, asked: Asked) -> Page[Membership]:
        """Who was in the group and whom they stood for, by their last change: in it now or left."""
        revision, address = _parts(asked.start or f"{_LAST},{_NO_ADDRESS}", 2)
        place = {"revision": _place(revision), "last_address": canonical_address(address)}
        values = {"cluster": group.cluster, "key": str(group), **place}
        rows = self._rows(sql.MEMBERSHIPS_OF_GROUP, {**values, "limit": asked.limit + 1})
        found = [(place, _membership(group, list(many))) for place, many in groupby(rows, lambda row: row[:3])]
        page = [(place, one) for place, one in found if asked.since is None or one.changed_at >= asked.since]
        more = len(page) > asked.limit
        page = page[: asked.limit]
        return Page(tuple(one for _, one in page), f"{page[-1][0][0]},{page[-1][0][1]}" if more else "")

    def changes_of_device(self, device: str, asked: Asked) -> Page[DeviceChange]:
        """What was done to the device."""
        values = {"device": device, "last": _number(asked), "limit": asked.limit + 1}
        page = _changes(self._rows(sql.CHANGES_OF_DEVICE, values), asked)
        return page if not page.next else Page(page.rows, str(page.rows[-1].number))

    def changes_of_objects(self, keys: Iterable[str], asked: Asked) -> Page[DeviceChange]:
        """What was done to these objects, on every device."""
        values = {"keys": list(keys), "last": _number(asked), "limit": asked.limit + 1}
        return _changes(self._rows(sql.CHANGES_OF_OBJECTS, values), asked)

    def changes_of_rule(self, lists: Iterable[str], rule: str, asked: Asked) -> Page[DeviceChange]:
        """The changes of these lists in which a line of the rule came, went or was another.

        A page may hold fewer rows than asked for, even none, and have a next: only so many rows are looked through at once.
        """
        pattern = rf"[{{ '\"]{re.escape(rule)}_"  # where a line of a list begins in the text of a change
        values = {"keys": list(lists), "last": _number(asked), "pattern": pattern, "limit": asked.limit + 1}
        with self._reading() as connection:
            reached = connection.execute(sql.REACHED, values).fetchone()
            rows = connection.execute(
                sql.CHANGES_THAT_SAY, {**values, "reached": reached[0] if reached else 0}
            ).fetchall()
        page = _changes(rows, asked)
        if page.next or reached is None or (asked.since is not None and reached[1] < asked.since):
            return page
        return Page(page.rows, str(reached[0]))

    def knows_group(self, group: ObjectKey) -> bool:
        """Whether the group has members of its own, or had."""
        return bool(self._rows(sql.GROUP, {"cluster": group.cluster, "key": str(group)}))

    def knows_device(self, name: str) -> bool:
        """Whether the device is there, or was and left rows in the audit."""
        return bool(self._rows(sql.DEVICE, {"name": name})[0][0])

    def standings(self, kinds: Iterable[str], namespace: str, name: str, cluster: str | None) -> tuple[Standing, ...]:
        """The policy objects of that name as they stand now, in that cluster or in any."""
        values = {"kinds": list(kinds), "namespace": namespace, "name": name, "cluster": cluster}
        rows = self._rows(sql.VERDICTS, values)
        return tuple(Standing(where, Ref(kind, namespace, name), *rest) for where, kind, *rest in rows)

    def node(self, cluster: str, address: str) -> str:
        """The node that has the address now; "" for none."""
        rows = self._rows(sql.NODE, {"cluster": cluster, "address": address})
        return str(rows[0][0]) if rows else ""

    def groups(self, cluster: str) -> tuple[str, ...]:
        """The keys, as text, of every group of the cluster of which anything is kept; in order."""
        return tuple(key for (key,) in self._rows(sql.GROUPS, {"cluster": cluster}))

    def _rows(self, query: LiteralString, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        with self._reading() as connection:
            return connection.execute(query, values).fetchall()

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with self._database.transaction(snapshot=True) as connection:
            connection.execute(_PLANNED)
            yield connection


def _ranges(cluster: str, namespaces: Iterable[str]) -> dict[str, list[str]]:
    """Between which keys the groups lie that can select pods of these namespaces: theirs, and those of the whole cluster."""
    low = [f"{Kind.GROUP}:{cluster}/{scope}/{name}/" for scope in Scope for name in sorted({"", *namespaces})]
    return {"low": low, "high": [text[:-1] + "0" for text in low]}  # "0" follows "/"


def _leases_from(asked: Asked) -> dict[str, Any]:
    """Where a page of leases starts: behind a lease that ended then, in that cluster, of that address."""
    t2, cluster, address = _parts(asked.start or _FIRST_LEASE, 3)
    if t2 != "infinity":
        t2 = datetime.fromisoformat(t2).isoformat()
    place = {"t2": t2, "last_cluster": cluster, "last_address": canonical_address(address)}
    return {**place, "since": asked.since or "-infinity", "limit": asked.limit + 1}


def _leases(rows: list[tuple[Any, ...]], asked: Asked) -> Page[LeaseRecord]:
    """The newest of these rows, which may be of several clusters."""
    leases = [LeaseRecord(*row) for row in rows]
    leases.sort(key=lambda one: (one.cluster, sort_key(one.address)))
    leases.sort(key=lambda one: one.t2 or _NEVER, reverse=True)
    page = leases[: asked.limit]
    if len(leases) == len(page):
        return Page(tuple(page))
    last = page[-1]
    return Page(tuple(page), f"{last.t2.isoformat() if last.t2 else 'infinity'},{last.cluster},{last.address}")


def _membership(group: ObjectKey, rows: Sequence[tuple[Any, ...]]) -> Membership:
    """One membership with its holders, which come a row each."""
    _, address, t1, t2, inferred, *_ = rows[0]
    holders = tuple(LeaseRecord(*row[5:]) for row in rows if row[5] is not None)
    return Membership(group, address, t1, t2, inferred, holders[: sql.HOLDERS], len(holders) > sql.HOLDERS)


def _changes(rows: list[tuple[Any, ...]], asked: Asked) -> Page[DeviceChange]:
    """The rows since the time asked for; `next` is an id."""
    found = [DeviceChange(*row) for row in rows]
    page = [one for one in found if not _older(one, asked)]
    more = len(page) > asked.limit
    page = page[: asked.limit]
    return Page(tuple(page), str(page[-1].id) if more else "")


def _older(change: DeviceChange, asked: Asked) -> bool:
    return asked.since is not None and change.at < asked.since


def _number(asked: Asked) -> int:
    """Where a page of changes starts: behind that one."""
    return _place(asked.start) if asked.start else _LAST


def _place(number: str) -> int:
    """A number that a page can end at."""
    place = int(number)
    if not 0 < place <= _LAST:
        raise ValueError(f"{number!r} is no place in this history")
    return place


def _parts(start: str, count: int) -> list[str]:
    parts = start.split(",")
    if len(parts) != count:
        raise ValueError(f"{start!r} is no place in this history")
    return parts
