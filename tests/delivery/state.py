# ruff: noqa: ARG002 (the store has more to tell apart)
"""The state as delivery sees it, in dictionaries: generations, members with revisions, what was recorded."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from bridge.model.decisions import Control, Decision, Settled, Stop
from bridge.model.handover import Buckets
from bridge.model.identity import Kind, ObjectKey
from bridge.model.intent import DeviceObject, FenceState
from bridge.model.plan import Held
from bridge.model.rendering import digest_in, digest_of
from bridge.state.desired import (
    Applied,
    AuditEntry,
    DesiredRow,
    DeviceHealth,
    HeldList,
    ListState,
    MemberRow,
    ObjectState,
    Work,
)
from bridge.state.recognition import Heard, Recognition
from tests.state.builders import START


@dataclass
class State:
    """One cluster `east` and one device. Every change is a revision of its own, as a batch of intake is."""

    rows: dict[ObjectKey, DesiredRow] = field(default_factory=dict)
    since: dict[ObjectKey, int] = field(default_factory=dict)
    members: dict[ObjectKey, dict[str, int]] = field(default_factory=dict)
    closed: dict[tuple[ObjectKey, str], tuple[int, bool]] = field(default_factory=dict)
    revision: int = 1
    failures: list[Exception] = field(default_factory=list)
    applied: dict[ObjectKey, Applied] = field(default_factory=dict)
    audit: list[AuditEntry] = field(default_factory=list)
    seen: dict[ObjectKey, str] = field(default_factory=dict)
    lists: dict[str, HeldList] = field(default_factory=dict)
    orders: Control = field(default_factory=Control)
    handed: list[Buckets] = field(default_factory=list)
    settlements: list[tuple[str, Settled, str]] = field(default_factory=list)
    obeyed: list[tuple[Stop, ...]] = field(default_factory=list)
    doubted: set[tuple[ObjectKey, str]] = field(default_factory=set)
    health: list[DeviceHealth] = field(default_factory=list)
    recognized: Recognition = field(default_factory=Recognition)
    heard_until: datetime | None = START
    holding: set[str] = field(default_factory=set)  # addresses that workloads hold

    # ---- what intake does

    def want(self, *objects: DeviceObject) -> None:
        """These objects as they are."""
        self.revision += 1
        for one in objects:
            row = self.rows.get(one.key)
            if row is None or row.gone or digest_of(row.body) != digest_of(one):
                self._put(one.key, one)

    def want_group(self, key: ObjectKey) -> None:
        """A group with members of its own table."""
        self.revision += 1
        row = self.rows.get(key)
        if row is None or row.gone:
            self._put(key, None)

    def no_longer(self, *keys: ObjectKey) -> None:
        """These objects go, with their members."""
        self.revision += 1
        for key in keys:
            for address in list(self.members.get(key, ())):
                self._close(key, address, inferred=False)
            row = self.rows[key]
            self.rows[key] = replace(row, body=None, gone=True, generation=row.generation + 1)

    def move(
        self,
        join: Iterable[tuple[ObjectKey, str]] = (),
        leave: Iterable[tuple[ObjectKey, str]] = (),
        *,
        inferred: bool | Collection[tuple[ObjectKey, str]] = False,
        doubtful: Collection[tuple[ObjectKey, str]] = (),
    ) -> None:
        """Members change, in one batch. Nothing proves `inferred` leaves, all or some of them; `doubtful` joins follow from such."""
        self.revision += 1
        touched = set()
        for key, address in leave:
            if address in self.members.get(key, ()):
                unproven = inferred if isinstance(inferred, bool) else (key, address) in inferred
                self._close(key, address, inferred=unproven)
                touched.add(key)
        for key, address in join:
            if address not in self.members.setdefault(key, {}):
                self.members[key][address] = self.revision
                self.doubted.discard((key, address))
                touched.add(key)
        self.doubted.update(doubtful)
        for key in touched:
            row = self.rows[key]
            self.rows[key] = replace(row, generation=row.generation + 1)

    def prove(self, addresses: Iterable[str]) -> None:
        """Whoever held these addresses was seen to end, or others hold them now."""
        self.revision += 1
        gone = set(addresses)
        for (key, address), (revision, _) in list(self.closed.items()):
            if address in gone:
                self.closed[key, address] = (revision, False)
        self.doubted = {one for one in self.doubted if one[1] not in gone}

    @property
    def held(self) -> tuple[Held, ...]:
        """What waits for a person."""
        return tuple(part for one in self.lists.values() if one.state is ListState.HELD for part in one.held)

    def order(self, *, stops: Iterable[Stop] = (), decisions: Iterable[Decision] = ()) -> None:
        """People order something."""
        self.orders = Control(tuple(stops), tuple(decisions))

    @property
    def pending(self) -> set[ObjectKey]:
        """What is not applied."""
        return {key for key, row in self.rows.items() if row.generation > row.applied_generation}

    def _put(self, key: ObjectKey, body: DeviceObject | None) -> None:
        row = self.rows.get(key)
        if row is None or row.gone:
            self.since[key] = self.revision
        generation = row.generation + 1 if row else 1
        self.rows[key] = DesiredRow(
            key,
            generation,
            row.applied_generation if row else 0,
            body,
            gone=False,
            shards=0,
            changed_at=START,
            cause="test",
        )

    def _close(self, key: ObjectKey, address: str, *, inferred: bool) -> None:
        del self.members[key][address]
        self.closed[key, address] = (self.revision, inferred)

    # ---- what delivery asks

    def work(self, device: str, clusters: Mapping[str, int]) -> Work:
        self._fail()
        seen = clusters.get("east", -1)
        rows = tuple(self.rows[key] for key in sorted(self.pending))
        members = []
        for row in rows:
            base = -1 if self.since[row.key] > seen else seen
            now = {} if row.gone else self.members.get(row.key, {})
            members += [
                MemberRow(row.key, a, True, (row.key, a) in self.doubted)
                for a, revision in now.items()
                if revision > base
            ]
            members += [
                MemberRow(key, address, False, inferred)
                for (key, address), (revision, inferred) in self.closed.items()
                if key == row.key and not row.gone and address not in now and revision > seen >= 0
            ]
        return Work(rows, tuple(members), {"east": self.revision}, complete=False)

    def complete_work(self, device: str) -> Work:
        self._fail()
        members = tuple(
            MemberRow(key, address, True, False)
            for key, addresses in self.members.items()
            if key in self.rows and not self.rows[key].gone
            for address in addresses
        )
        return Work(tuple(self.rows.values()), members, {"east": self.revision}, complete=True)

    def unproven(
        self, removals: Mapping[ObjectKey, frozenset[str]], changed: Collection[ObjectKey] = ()
    ) -> Mapping[ObjectKey, frozenset[str]]:
        self._fail()
        found = {
            key: frozenset(a for a in addresses if self.closed.get((key, a), (0, key not in changed))[1])
            for key, addresses in removals.items()
        }
        return {key: addresses for key, addresses in found.items() if addresses}

    def record(
        self,
        device: str,
        epoch: int,
        applied: Sequence[Applied],
        audit: Sequence[AuditEntry],
        plan_digest: str,
        at: datetime,
    ) -> None:
        self._fail()
        self.audit += audit
        for entry in audit:
            if entry.key.kind is Kind.FENCE:
                continue
            self.seen.pop(entry.key, None)
            if digest := digest_in(entry.after):
                self.seen[entry.key] = digest
        for one in applied:
            row = self.rows.get(one.key)
            if row is None:
                continue
            done = max(row.applied_generation, min(one.generation, row.generation))
            self.rows[one.key] = replace(row, applied_generation=done)
            self.applied[one.key] = one
            if one.gone and row.gone and done == row.generation:
                del self.rows[one.key], self.applied[one.key]

    def recognition(self, device: str) -> Recognition:
        return self.recognized

    def settled(self, device: str, epoch: int, *, replaced: bool, adopted: Collection[ObjectKey]) -> None:
        left = self.recognized.adopting.difference(adopted)
        self.recognized = replace(
            self.recognized, replaces=None if replaced else self.recognized.replaces, adopting=left
        )

    def stopped_by(self, device: str, epoch: int, fence: FenceState) -> None:
        self.recognized = replace(self.recognized, stopped_by=fence)

    def heard(self, clusters: Collection[str]) -> Heard:
        return Heard(START, self.heard_until)

    def verified(self, device: str) -> Mapping[ObjectKey, str]:
        self._fail()
        return dict(self.seen)

    def record_handovers(self, device: str, epoch: int, at: datetime, found: Buckets) -> None:
        self._fail()
        self.handed.append(found)

    def saw(self, device: str, epoch: int, digests: Mapping[ObjectKey, str]) -> None:
        self._fail()
        for key, digest in digests.items():
            self.seen.pop(key, None)
            if digest:
                self.seen[key] = digest

    def record_health(self, device: str, health: DeviceHealth, *, age: float = 0.0, epoch: int | None = None) -> None:
        self._fail()
        self.health.append(health)

    def doubtful(self, joins: Mapping[ObjectKey, frozenset[str]]) -> Mapping[ObjectKey, frozenset[str]]:
        self._fail()
        found = {key: frozenset(a for a in some if (key, a) in self.doubted) for key, some in joins.items()}
        return {key: addresses for key, addresses in found.items() if addresses}

    def holders(self, clusters: Collection[str]) -> list[str]:
        self._fail()
        return list(self.holding)

    def control(self, device: str, clusters: Collection[str]) -> Control:
        self._fail()
        return self.orders

    def note_stops(self, device: str, epoch: int, obeyed: Sequence[Stop]) -> None:
        self._fail()
        self.obeyed.append(tuple(obeyed))

    def held_lists(self, device: str) -> Sequence[HeldList]:
        self._fail()
        return [one for one in self.lists.values() if one.state not in (ListState.SUPERSEDED, ListState.DONE)]

    def held_list(self, device: str, digest: str) -> HeldList | None:
        self._fail()
        return self.lists.get(digest)

    def record_held(self, device: str, epoch: int, lists: Sequence[HeldList], at: datetime) -> None:
        self._fail()
        for one in lists:
            known = self.lists.get(one.digest)
            assert known is None or sorted(map(str, known.held)) == sorted(map(str, one.held)), "a list is fixed"
            self.lists[one.digest] = one
        waiting = [one.cluster for one in self.lists.values() if one.state is ListState.HELD]
        assert len(waiting) == len(set(waiting)), "one list at a time for each cluster"

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
        self.record_held(device, epoch, [about] if about else [], at)
        self.orders = replace(self.orders, decisions=tuple(one for one in self.orders.decisions if one != decision))
        self.settlements.append((decision.name, state, message))

    def touch_verified(
        self, device: str, keys: Iterable[ObjectKey] | None, at: datetime, *, epoch: int | None = None
    ) -> None:
        self._fail()

    def state_of(self, key: ObjectKey) -> ObjectState:
        """As recorded."""
        return self.applied[key].state

    def _fail(self) -> None:
        if self.failures:
            raise self.failures.pop(0)
