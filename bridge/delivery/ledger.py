"""What became of each object on one device, written to the state; kept and written later while the database is away."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from bridge.delivery.auditor import Note
from bridge.delivery.holds import Holds
from bridge.delivery.quarantine import Quarantine
from bridge.delivery.store import Store
from bridge.delivery.wanted import Wanted
from bridge.model.handover import Buckets, Handed, buckets
from bridge.model.identity import ObjectKey
from bridge.model.intent import Group, RuleList
from bridge.model.plan import Outcome, Plan
from bridge.state.desired import Applied, AuditEntry, DesiredRow, ObjectState

_IN_PART = (ObjectState.HELD, ObjectState.WITHHELD)  # of which it matters whose change is there and whose is not


@dataclass(frozen=True, slots=True)
class _Record:
    applied: Sequence[Applied]
    audit: Sequence[AuditEntry]
    digest: str
    at: datetime


class Ledger:
    """The state of every object of one device as recorded, and what is still to be recorded."""

    def __init__(self, device: str, store: Store) -> None:
        self._device = device
        self._store = store
        self._rows: dict[ObjectKey, DesiredRow] = {}
        self._unsettled: dict[ObjectKey, ObjectState] = {}
        self._stored: set[ObjectKey] = set()  # of which a part waits, and the rest is not enforced yet
        self._unwritten: list[_Record] = []
        self._handed: list[tuple[datetime, Buckets]] = []

    @property
    def rows(self) -> Mapping[ObjectKey, DesiredRow]:
        """Every row of the device as last heard of."""
        return self._rows

    @property
    def awaiting(self) -> bool:
        """Whether something is stored on the device and not yet enforced."""
        return bool(self._stored) or ObjectState.AWAITING_DEPLOY in self._unsettled.values()

    def enter(
        self,
        rows: Mapping[ObjectKey, DesiredRow],
        made: Plan,
        outcome: Outcome,
        wanted: Wanted,
        quarantine: Quarantine,
        at: datetime,
        told: Note,
    ) -> None:
        """Note what one plan made of these rows, and of those that were not settled before; `told` is what the audit says of it."""
        fresh = rows.keys() - self._rows.keys()  # how these stood is not known here
        self._rows.update(rows)
        active = outcome.active and not (made.empty and self.awaiting)
        keys = {key for key, row in rows.items() if row.applied_generation < row.generation or row.gone} | fresh
        keys |= {step.key.group for step in made.steps if step.key.group in self._rows} if not active else set()
        keys |= {step.key.group for step in made.steps if self._unsettled.get(step.key.group) in _IN_PART}
        # What stood as it was wanted may be refused all the same, once somebody else has changed it.
        keys |= {one.group for one in quarantine.keys if one.group in self._rows and one.group not in self._unsettled}
        applied = []
        for key in keys | self._unsettled.keys():
            state, message = _state(key, wanted, quarantine, active=active)
            if key in keys or self._unsettled.get(key) is not state:
                applied.append(self._applied(key, state, message, wanted))
                if state in _IN_PART and not active:
                    self._stored.add(key)
                    applied[-1] = replace(applied[-1], revision=0)
                else:
                    self._stored.discard(key)
            if state is ObjectState.PROGRAMMED:
                self._unsettled.pop(key, None)
            else:
                self._unsettled[key] = state
        if applied or told.entries:
            self._unwritten.append(_Record(applied, told.entries, told.plan_digest, at))
        for key in [key for key in keys if self._rows[key].gone]:
            del self._rows[key]
            self._unsettled.pop(key, None)
            self._stored.discard(key)

    def handed(self, found: Iterable[Handed], at: datetime) -> None:
        """Note addresses that have changed hands."""
        counted = buckets(found)
        if counted:
            self._handed.append((at, counted))

    def again(self, keys: Iterable[ObjectKey]) -> dict[ObjectKey, DesiredRow]:
        """What is told of these objects is to be told anew once their rows, which are returned, are entered."""
        return {key: self._rows.pop(key) for key in set(keys) & self._rows.keys()}

    def note(self, told: Note, at: datetime) -> None:
        """Note what the audit has to say beside what a plan brought about."""
        if told.entries:
            self._unwritten.append(_Record((), told.entries, told.plan_digest, at))

    def activated(self, wanted: Wanted, quarantine: Quarantine, at: datetime) -> None:
        """All that is stored is enforced now."""
        ready = [key for key, state in self._unsettled.items() if state is ObjectState.AWAITING_DEPLOY]
        applied = []
        for key in ready:
            state, message = _state(key, wanted, quarantine, active=True)
            applied.append(self._applied(key, state, message, wanted))
            del self._unsettled[key]
        for key in self._stored & self._rows.keys():
            state, message = _state(key, wanted, quarantine, active=True)
            applied.append(self._applied(key, state, message, wanted))
        self._stored.clear()
        if applied:
            self._unwritten.append(_Record(applied, [], "", at))

    def write(self, epoch: int, holds: Holds, at: datetime) -> None:
        """Write what waits, oldest first. Raises StateUnavailable, LostLease; what was not written stays."""
        while self._unwritten:
            first = self._unwritten[0]
            self._store.record(self._device, epoch, first.applied, first.audit, first.digest, first.at)
            self._unwritten.pop(0)
        while self._handed:
            self._store.record_handovers(self._device, epoch, *self._handed[0])
            self._handed.pop(0)
        lists = holds.unrecorded
        if lists:
            self._store.record_held(self._device, epoch, lists, at)
            holds.recorded(lists)

    def _applied(self, key: ObjectKey, state: ObjectState, message: str, wanted: Wanted) -> Applied:
        row = self._rows[key]
        view = wanted.views.get(key)
        back = view.back if view and state in _IN_PART else frozenset()
        return Applied(
            key, row.generation, state, "", message, view.shards if view else 0, row.gone, row.revision, back
        )


def _state(key: ObjectKey, wanted: Wanted, quarantine: Quarantine, *, active: bool) -> tuple[ObjectState, str]:
    refused = next((one for one in quarantine.keys if one.group == key), None)
    if refused is not None:
        return ObjectState.QUARANTINED, quarantine.message(refused)
    if held := wanted.holding(key):
        return ObjectState.HELD, "; ".join(wanted.holds.why(one) for one in held)
    body = wanted.fixed.get(key)
    if isinstance(body, RuleList) and any(entry.withheld for entry in body.entries):
        return ObjectState.WITHHELD, "an Allow waits for a rule above it that is not in force here"
    if isinstance(body, Group | type(None)) and key in wanted.frozen:
        return ObjectState.WITHHELD, "an Allow that names this group is withheld: nobody joins meanwhile"
    return (ObjectState.PROGRAMMED, "") if active else (ObjectState.AWAITING_DEPLOY, "stored, not yet enforced")
