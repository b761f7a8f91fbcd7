"""What delivery asks of the state: what is to be done on one device, and to record what became of it."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, LiteralString

from bridge.errors import LostLease, StateError, StateUnavailable
from bridge.model.decisions import Control, Decision, Settled, Stop
from bridge.model.handover import Buckets
from bridge.model.identity import ObjectKey
from bridge.model.intent import FenceState
from bridge.state import audit_rows, decisions, gates, handovers, held_lists, recognition, working
from bridge.state.chain import Head
from bridge.state.database import BY_KEY, Connection, Database
from bridge.state.desired import Applied, AuditEntry, DeviceHealth, HeldList, ObjectState, Work
from bridge.state.encoding import clean, json_text
from bridge.state.recognition import Heard, Recognition

_REGISTER = """
INSERT INTO device AS d (name, kind, mode) VALUES (%(name)s, %(kind)s, %(mode)s)
ON CONFLICT (name) DO UPDATE SET
    kind = excluded.kind, mode = excluded.mode, standing_revision = d.standing_revision + (d.mode <> excluded.mode)::int
"""
_IN_FORCE = (ObjectState.PROGRAMMED, ObjectState.AWAITING_DEPLOY)

# As for a cluster: a new owner's epoch waits until this transaction is through. The end of the audit chain is locked with it.
_HELD = f"""
WITH held AS MATERIALIZED (
    SELECT FROM replica_lease WHERE role = 'device' AND name = %(device)s AND epoch = %(epoch)s FOR KEY SHARE),
head AS MATERIALIZED (
    SELECT audit_number, audit_head FROM device WHERE name = %(device)s FOR NO KEY UPDATE)
SELECT audit_number, audit_head, {BY_KEY} FROM held CROSS JOIN head
"""  # noqa: S608 - no value in it
# In the order in which intake locks them.
_LOCK = """
SELECT FROM device_object WHERE device = %(device)b AND key = ANY(%(key)b::text[]) ORDER BY key, device FOR UPDATE
"""
# What people are told changes with a state, its words, or the first time that an object stands there. A short wait for the device's own
# deployment after every change of a member is no such news: how long one lasts is asked of the rows themselves.
_APPLIED = """
WITH applied AS (
    UPDATE device_object d SET
        applied_generation = x.generation,
        waiting_since = CASE WHEN x.generation > d.applied_generation THEN d.changed_at ELSE d.waiting_since END,
        applied_digest = CASE WHEN x.in_force THEN x.digest ELSE d.applied_digest END,
        shards = CASE WHEN x.in_force THEN x.shards ELSE d.shards END,
        verified_at = CASE WHEN x.in_force THEN %(at)b ELSE d.verified_at END,
        settled_revision = CASE WHEN x.settled THEN greatest(d.settled_revision, x.revision) ELSE d.settled_revision END,
        state = x.state, message = x.message
    FROM (
        SELECT o.place, a.state, a.digest, a.message, a.shards, a.in_force, a.revision,
            a.state IN ('Programmed', 'Held', 'Withheld') AS settled,
            greatest(o.applied_generation, least(a.generation, o.desired_generation)) AS generation,
            o.applied_generation = 0
                OR (o.state, o.message) <> (a.state, a.message) AND NOT (o.was_in_force AND a.in_force) AS news
        FROM unnest(%(key)b::text[], %(generation)b::bigint[], %(state)b::text[], %(digest)b::text[], %(message)b::text[],
            %(shards)b::int[], %(in_force)b::bool[], %(revision)b::bigint[])
            a (key, generation, state, digest, message, shards, in_force, revision)
        CROSS JOIN LATERAL (
            SELECT ctid AS place, applied_generation, desired_generation, state, message,
                state IN ('Programmed', 'AwaitingDeploy') AS was_in_force
            FROM device_object o WHERE o.key = a.key AND o.device = %(device)b OFFSET 0) o) x
    WHERE d.ctid = x.place
    RETURNING x.news)
UPDATE device SET standing_revision = standing_revision + 1
WHERE name = %(device)b AND EXISTS (SELECT FROM applied WHERE news)
"""
_FORGOTTEN = """
DELETE FROM device_object
WHERE device = %(device)b AND key = ANY(%(key)b::text[]) AND gone AND applied_generation = desired_generation
"""
_HEALTH = """
UPDATE device SET
    state = %(state)s::text, message = %(message)s::text, identity = CASE WHEN identity = '' THEN %(identity)s::text ELSE identity END,
    look_alikes = CASE WHEN %(read)s THEN %(look_alikes)s::json ELSE look_alikes END,
    attached = coalesce(%(attached)s::text::json, attached), attach_by = coalesce(%(attach_by)s::text::json, attach_by),
    last_read = CASE WHEN %(read)s THEN coalesce(%(at)s, now()) - make_interval(secs => %(age)s) ELSE last_read END,
    standing_revision = standing_revision + ((state, message) <> (%(state)s::text, %(message)s::text)
        OR coalesce(%(attached)s::text <> coalesce(attached::text, ''), false)
        OR coalesce(%(attach_by)s::text <> coalesce(attach_by::text, ''), false))::int
WHERE name = %(device)s
"""
# A device has more ways of not being well than the table tells apart.
_RECORDED_STATE = {"drifted": "busy", "refused": "stopped", "failed": "stopped"}


class DeliveryStore:
    """The tables as the worker of a device uses them. Every method raises StateUnavailable while the database is away."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._in_doubt: dict[str, tuple[object, Head]] = {}  # what may be recorded, and the end of the chain if it is

    def register_device(self, name: str, kind: str, mode: str = "apply") -> None:
        """Make the device known before any object is desired on it; nothing but its kind and its mode changes when it is."""
        with self._database.transaction() as connection:
            connection.execute(_REGISTER, {"name": name, "kind": kind, "mode": mode})

    def recognition(self, device: str) -> Recognition:
        """What the device has to be, and what a person lets us do there."""
        with self._database.transaction() as connection:
            return recognition.recognition(connection, device)

    def settled(self, device: str, epoch: int, *, replaced: bool, adopted: Collection[ObjectKey]) -> None:
        """What a person let us do there is done. Raises LostLease as `record`."""
        with self._database.transaction() as connection:
            _held(connection, device, epoch)
            recognition.settled(connection, device, replaced=replaced, adopted=adopted)

    def stopped_by(self, device: str, epoch: int, fence: FenceState) -> None:
        """This fence stops us there until a person decides. Raises LostLease as `record`."""
        with self._database.transaction() as connection:
            _held(connection, device, epoch)
            recognition.stopped(connection, device, fence)

    def heard(self, clusters: Collection[str]) -> Heard:
        """How recent the record of these clusters is."""
        with self._database.transaction() as connection:
            return recognition.heard(connection, clusters)

    def work(self, device: str, clusters: Mapping[str, int]) -> Work:
        """What is to be done: the rows whose desired generation is not applied, as of one moment.

        `clusters` are the `revisions` of the last reading. Of the pending groups come the addresses that changed since, each as it is
        now; a group that is new to the device comes with all its members. A reader that keeps the members, forgets those of a group
        that is `gone`, and records only generations it has read misses none: every change of a member makes its group pending. The
        cost goes with the change.
        """
        with self._database.transaction(snapshot=True) as connection:
            return working.pending(connection, device, clusters)

    def complete_work(self, device: str) -> Work:
        """All rows of the device, applied or not, and all members of its groups: for the start and for audits."""
        with self._database.transaction(snapshot=True) as connection:
            return working.complete(connection, device)

    def unproven(
        self, removals: Mapping[ObjectKey, frozenset[str]], changed: Collection[ObjectKey] = ()
    ) -> dict[ObjectKey, frozenset[str]]:
        """Which of these members, about to leave their groups, left without an event that proves it.

        Of groups that somebody else has `changed` on the device, those are not among them that never were members.
        """
        with self._database.transaction() as connection:
            return held_lists.unproven(connection, removals, changed)

    def doubtful(self, joins: Mapping[ObjectKey, frozenset[str]]) -> dict[ObjectKey, frozenset[str]]:
        """Which of these members, about to join their groups, do so because others left and nothing proves that."""
        with self._database.transaction() as connection:
            return held_lists.doubtful(connection, joins)

    def holders(self, clusters: Collection[str]) -> list[str]:
        """The addresses that workloads of these clusters hold now."""
        query = "SELECT host(address) FROM lease_open WHERE cluster = ANY(%(clusters)s)"
        with self._database.transaction(snapshot=True) as connection:
            return [row[0] for row in connection.execute(query, {"clusters": list(clusters)})]

    def verified(self, device: str) -> dict[ObjectKey, str]:
        """The digest of every object that the device was last seen to hold, as its audit has it."""
        with self._database.transaction(snapshot=True) as connection:
            return audit_rows.verified(connection, device)

    def record(
        self,
        device: str,
        epoch: int,
        applied: Sequence[Applied],
        audit: Sequence[AuditEntry],
        plan_digest: str,
        at: datetime,
    ) -> None:
        """Write down what a plan did, whole or not at all. Raises LostLease when `epoch` no longer owns the device.

        The applied generation only ever rises, to the one given at most. For an object that is to be tried again, give the
        generation it is at. Digest, shards and the time of verification count for what is in force; an object that was to go and
        is `gone` is forgotten. What is recorded again because the database went away in the middle is told once.
        """
        told, end = (tuple(audit), plan_digest, at), None
        try:
            with self._database.transaction() as connection:
                head = _held(connection, device, epoch)
                unwritten = () if self._in_doubt.get(device) == (told, head) else audit
                with connection.pipeline():
                    end = audit_rows.append(connection, device, head, unwritten, plan_digest, at)
                    _applied(connection, device, list({one.key: one for one in applied}.values()), at)
        except StateUnavailable:
            if end is not None:
                self._in_doubt[device] = (told, end)
            raise
        self._in_doubt.pop(device, None)

    def record_handovers(self, device: str, epoch: int, at: datetime, found: Buckets) -> None:
        """Count in how long addresses took to change hands. Raises LostLease as `record`."""
        with self._database.transaction() as connection:
            _held(connection, device, epoch)
            handovers.note(connection, device, at, found)

    def saw(self, device: str, epoch: int, digests: Mapping[ObjectKey, str]) -> None:
        """Note how these objects were found, "" for not at all, before something is done about it: should that never be recorded, the
        next start will see that it was done. Raises LostLease as `record`.
        """
        with self._database.transaction() as connection:
            _held(connection, device, epoch)
            audit_rows.see(connection, device, digests)

    def record_health(
        self,
        device: str,
        health: DeviceHealth,
        at: datetime | None = None,
        *,
        age: float = 0.0,
        epoch: int | None = None,
    ) -> None:
        """What is known of the device itself, at `at` (default: now). What it holds of others counts when it is "ok", that is, was read;
        the reading began `age` seconds before."""
        read = health.read or health.state == "ok"
        values = {
            "device": device,
            "state": _RECORDED_STATE.get(health.state, health.state),
            "message": clean(health.message),
            "identity": clean(health.identity),
            "look_alikes": json_text(health.foreign),
            "attached": _by_tier(health.attached),
            "attach_by": _by_tier(health.attach_by),
            "read": read,
            "at": at,
            "age": age,
        }
        self._write(_HEALTH, values, epoch)

    def control(self, device: str, clusters: Collection[str]) -> Control:
        """What people ordered about the device in the clusters that it serves."""
        with self._database.transaction() as connection:
            return decisions.control(connection, device, clusters)

    def note_stops(self, device: str, epoch: int, obeyed: Sequence[Stop]) -> None:
        """The device obeys these stops from now on. Raises LostLease as `record`."""
        with self._writing(device, epoch) as connection:
            decisions.note_stops(connection, device, obeyed)

    def held_lists(self, device: str) -> tuple[HeldList, ...]:
        """The lists of the guard that wait, that were released and are not on the device yet, and that were rejected."""
        with self._database.transaction() as connection:
            return held_lists.open_lists(connection, device)

    def held_list(self, device: str, digest: str) -> HeldList | None:
        """The list of that digest, whoever wrote it and wherever it stands."""
        with self._database.transaction() as connection:
            return held_lists.one_list(connection, device, digest)

    def record_held(self, device: str, epoch: int, lists: Sequence[HeldList], at: datetime) -> None:
        """How these lists stand since then. A list keeps its steps for good. Raises LostLease as `record`."""
        with self._writing(device, epoch) as connection:
            held_lists.put(connection, device, lists, at)

    def decide(
        self,
        device: str,
        epoch: int,
        decision: Decision,
        state: Settled,
        message: str,
        about: HeldList | None,
        at: datetime,
    ) -> None:
        """What became of a decision, and the list as it stands by that, in one stroke. Raises LostLease as `record`."""
        with self._writing(device, epoch) as connection:
            decisions.settle(connection, decision, state, message)
            if about is not None:
                held_lists.put(connection, device, [about], at)

    def touch_verified(
        self, device: str, keys: Iterable[ObjectKey] | None, at: datetime, *, epoch: int | None = None
    ) -> None:
        """These objects (None: all of the device) were seen to be as desired at that time."""
        if keys is None:
            query: LiteralString = "UPDATE device SET last_verified = %(at)s WHERE name = %(device)s"
            self._write(query, {"device": device, "at": at}, epoch)
            return
        texts = sorted(str(key) for key in keys)
        with self._writing(device, epoch) as connection:
            connection.execute(_LOCK, {"device": device, "key": texts})
            query = "UPDATE device_object SET verified_at = %s WHERE device = %s AND key = ANY(%s)"
            connection.execute(query, [at, device, texts])

    @contextmanager
    def _writing(self, device: str, epoch: int | None) -> Iterator[Connection]:
        """A transaction; LostLease when an epoch is given and does not own the device any more."""
        with self._database.transaction() as connection:
            if epoch is not None:
                _held(connection, device, epoch)
            yield connection

    def _write(self, query: LiteralString, values: Mapping[str, Any], epoch: int | None) -> None:
        with self._writing(values["device"], epoch) as connection:
            if connection.execute(query, values).rowcount == 0:
                raise StateError(f"device {values['device']} is not registered in this database")


def _held(connection: Connection, device: str, epoch: int) -> Head:
    """The end of the device's audit chain, locked; LostLease when the device is somebody else's now."""
    head = connection.execute(_HELD, {"device": device, "epoch": epoch}).fetchone()
    if head is None:
        raise LostLease(f"epoch {epoch} does not own device {device} any more")
    return Head(head[0], head[1])


def _by_tier(told: Mapping[str, object] | None) -> str | None:
    """As JSON that is equal whenever what it tells is."""
    return None if told is None else json_text(dict(sorted(told.items())))


def _applied(connection: Connection, device: str, applied: Sequence[Applied], at: datetime) -> None:
    if not applied:
        return
    values = {
        "device": device,
        "at": at,
        "key": [str(one.key) for one in applied],
        "generation": [one.generation for one in applied],
        "state": [str(one.state) for one in applied],
        "digest": [one.digest for one in applied],
        "message": [clean(one.message) for one in applied],
        "shards": [one.shards for one in applied],
        "in_force": [one.state in _IN_FORCE for one in applied],
        "revision": [one.revision for one in applied],
    }
    connection.execute(_LOCK, values)
    connection.execute(_APPLIED, values)
    gone = [str(one.key) for one in applied if one.gone]
    if gone:
        connection.execute(_FORGOTTEN, {"device": device, "key": gone})
    gates.confirm(connection, device, applied)
