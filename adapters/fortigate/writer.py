"""Writing: the phases of a plan, each in one transaction where the unit has them and it fits, else call by call in a safe order."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from urllib.parse import quote, unquote

from adapters.fortigate.addresses import ADDRESS
from adapters.fortigate.block import Write
from adapters.fortigate.canonical import RULES, UNUSED
from adapters.fortigate.client import EXISTS, IN_USE, INVALID, TWINS, Client, Refusal, parcels
from adapters.fortigate.fence import Keeper
from adapters.fortigate.groups import HOLDS, Place
from adapters.fortigate.known import Known
from adapters.fortigate.names import Names
from adapters.fortigate.reading import Reader
from adapters.fortigate.rows import POLICY, Rows
from adapters.fortigate.schedules import SCHEDULE
from adapters.fortigate.scope import Scope
from adapters.fortigate.transactions import Failed, Transactions
from adapters.fortigate.writes import Draft
from bridge.errors import DeviceError, Drifted, NotOwned, Rejected
from bridge.model.identity import ObjectKey
from bridge.model.intent import DeviceObject
from bridge.model.plan import Fence, Step

_TWIN = {**HOLDS, **{held: table for table, held in HOLDS.items()}}  # tables that share one space of names
_UNMARKED = "{} stands there without our mark"
_THEIRS = {SCHEDULE: "the name of {} is taken by a schedule that does not say what ours would"}
_ENTRY = 3  # strokes in the path of an entry
_DROPPED = 424  # of a transaction that is over
_BETWEEN_CHECKS = 25  # single writes after which the fence is looked at again
_AT_ONCE = 300  # calls in a transaction, from which on those that change nothing by themselves go apart


class Writer:
    """Makes phases true on one unit. `kept` are shared entries of ours that others name, so that the unit does not let them go."""

    def __init__(
        self,
        client: Client,
        reader: Reader,
        transactions: Transactions,
        names: Names,
        scope: Scope,
        rows: Rows,
        keeper: Keeper,
    ) -> None:
        self._client = client
        self._reader = reader
        self._transactions = transactions
        self._names = names
        self._scope = scope
        self._rows = rows
        self._keeper = keeper
        self.kept: set[Place] = set()

    def phase(self, steps: Sequence[Step], known: Known, fence: Fence) -> dict[ObjectKey, DeviceObject | None]:
        """One phase of a plan; what the unit then holds of each object, read back. Raises every error of the contract."""
        known.kept |= self.kept
        rules = any(step.key.kind in RULES for step in steps)
        draft = self._drawn(steps, known, at_once=self._scope.transactions and (len(steps) > 1 or rules))
        self._own(draft, steps)
        if draft.writes:
            self._perform(draft, fence)
            self._learn(draft)
        if draft.touched:
            self._reader.again(known, draft.touched)
        for step in steps:
            if step.key.kind not in RULES and step.key != UNUSED:
                known.settle(step.key)
        for key in tuple(known.halves):
            known.settle(key)
        if rules and draft.writes:
            self._reader.rules(known)
        return {step.key: None if step.key == UNUSED else known.one(step.key) for step in steps}

    def _drawn(self, steps: Sequence[Step], known: Known, *, at_once: bool) -> Draft:
        """The calls of a phase. A step of more than the unit has time for goes call by call; several steps come again in more phases."""
        draft = Draft(known, self._rows, self._scope, at_once and len(steps) <= self.batch)
        draft.draw(steps)
        most = self._transactions.most
        if draft.at_once and most is not None and len(self._bound(draft)) > most:
            if len(steps) > 1:
                self._transactions.most = 1
                raise Drifted(
                    self._client.device, f"{len(draft.writes)} calls are too many for one transaction: plan again"
                )
            return self._drawn(steps, known, at_once=False)
        return draft

    @property
    def batch(self) -> int:
        """The most steps that are to take effect together."""
        return min(self._scope.transaction_size, self._transactions.most or self._scope.transaction_size)

    def _bound(self, draft: Draft) -> list[Write]:
        """The calls that have to be in a transaction."""
        apart = {id(write) for some in self._inert(draft) for write in some}
        return [write for write in draft.writes if id(write) not in apart]

    def own(self, steps: Iterable[Step], known: Known) -> None:
        """Refuse what would stand where something of somebody else's stands."""
        taken = {
            step.key: spot
            for step in steps
            for spot in known.forms.places(step.key)
            if spot in known.strange and step.key != UNUSED
        }
        if taken:
            raise self._not_owned(taken)

    def _own(self, draft: Draft, steps: Sequence[Step]) -> None:
        """As `own`, for shared entries and policies too."""
        self.own(steps, draft.known)
        strange = {write.key: spot for write in draft.early if (spot := _new(write)) in draft.known.strange}
        ours = {one.number for one in draft.known.placed}
        for write in draft.change:
            table, name = _new(write)
            if table == POLICY and draft.known.policy_names.get(name, 0) not in {0, *ours}:
                strange[write.key] = (POLICY, name)
        if strange:
            raise self._not_owned(strange)

    def _look(self, writes: Sequence[Write], draft: Draft, fence: Fence) -> None:
        """The fence, and in the same call as far as can be the marks of what is to be deleted. FencedOff, NotOwned."""
        late = {id(write) for write in draft.late}
        deleted = {_spot(write): write.key for write in writes if id(write) in late}
        first = (
            [] if not self._scope.filters else next(parcels(name for table, name in deleted if table == ADDRESS), [])
        )
        comments = self._keeper.check_beside(fence, first) if first else {}
        if not first:
            self._keeper.check(fence)
        lost = {(ADDRESS, name) for name, comment in comments.items() if not self._keeper.is_own(comment)}
        lost |= self._reader.unmarked(spot for spot in deleted if spot[0] != ADDRESS or spot[1] not in first)
        self.kept |= lost & draft.going.keys()
        if lost:
            raise self._not_owned({deleted[spot]: spot for spot in lost})

    def _perform(self, draft: Draft, fence: Fence) -> None:
        writes = draft.writes
        if not draft.at_once or len(writes) < 2:
            self._look(writes, draft, fence)
            self._singly(writes, draft, fence, looked=True)
            return
        made, gone = self._inert(draft)
        if len(writes) <= min(_AT_ONCE, self._transactions.most or _AT_ONCE):
            failed = self._together(writes, (), draft, fence)
            if failed is None:
                return
            if failed.refusal.error != IN_USE or failed.write not in gone:
                raise self._explained(failed.refusal, failed.write, draft)
            made = []  # others name what we do not name any more: what they name stays, and all else is done
        self._singly(made, draft, fence)
        failed = self._together(writes, (*made, *gone), draft, fence)
        if failed is not None:
            self._undo(draft, made)
            raise self._explained(failed.refusal, failed.write, draft)
        if gone:
            self._look(gone, draft, fence)
            self._singly(gone, draft, fence, looked=True)

    def _together(self, writes: Sequence[Write], apart: Iterable[Write], draft: Draft, fence: Fence) -> Failed | None:
        """All but some in one transaction; why it was dropped, if it was."""
        left = {id(write) for write in apart}
        together = [write for write in writes if id(write) not in left]
        try:
            if together:
                self._transactions.run(together, fence, lambda: self._look(together, draft, fence))
        except Failed as error:
            return error
        return None

    def _inert(self, draft: Draft) -> tuple[list[Write], list[Write]]:
        """Shared entries that are new, and those that go: nothing names them meanwhile, and a transaction has only so much time."""
        made = [write for write in draft.early if write.method == "POST" and _new(write) in draft.words]
        return made, [write for write in draft.late if _spot(write) in draft.going]

    def _singly(self, writes: Sequence[Write], draft: Draft, fence: Fence, *, looked: bool = False) -> None:
        """One after the other; the fence is looked at every now and then, and first, unless it was `looked` at just now."""
        for number, write in enumerate(writes):
            if number % _BETWEEN_CHECKS == 0 and not (looked and number == 0):
                self._keeper.check(fence)
            try:
                self._transactions.through_locks(lambda write=write: self._alone(write))  # type: ignore[misc]
            except Refusal as error:
                refusal = error
            else:
                continue
            if write.method == "DELETE" and refusal.missing and not _is_row(write):
                continue
            if refusal.error == IN_USE and self._keeps(write, draft):
                continue
            self._undo(draft, writes[:number])
            raise self._explained(refusal, write, draft)

    def _alone(self, write: Write) -> None:
        self._client.write(write.method, write.path, write.body, write.query)

    def _keeps(self, write: Write, draft: Draft) -> bool:
        """Whether it was a shared entry that others name: that is left to them."""
        spot = _spot(write)
        if spot not in draft.going:
            return False
        del draft.going[spot]
        self.kept.add(spot)
        draft.known.kept.add(spot)
        return True

    def _undo(self, draft: Draft, done: Sequence[Write]) -> None:
        """Take away the shared entries that were made for what is refused."""
        for write in done:
            if write.method == "POST" and _new(write) in draft.words:
                try:
                    self._client.write("DELETE", f"{write.path}/{_quoted(write)}")
                except (Refusal, DeviceError):
                    return

    def _learn(self, draft: Draft) -> None:
        """What was made and taken away of shared entries; all else is read back."""
        for (table, name), word in draft.words.items():
            draft.known.words[table][name] = word
        for table, name in draft.going:
            draft.known.words[table].pop(name, None)
        draft.known.stale = [spot for spot in draft.known.stale if spot not in draft.swept]
        for (table, name), members in draft.moved.items():
            held = draft.known.groups[table][name]
            draft.known.use(HOLDS[table], held.members, members)
            draft.known.groups[table][name] = replace(held, members=members)

    def _explained(self, refusal: Refusal, write: Write | None, draft: Draft) -> DeviceError:
        """The error that a refused write or transaction is."""
        device = self._client.device
        if write is None:
            return Rejected(device, dict.fromkeys({str(one.key) for one in draft.writes}, refusal.text))
        if refusal.error in (EXISTS, TWINS) and write.method == "POST" and not _is_row(write):
            spot = _new(write)
            if refusal.error == TWINS:  # an address has the name of our group, or the other way round
                return self._not_owned({write.key: (_TWIN.get(spot[0], spot[0]), spot[1])})
            if spot[0] == POLICY or not (self._reader.unmarked([spot]) or self._reader.is_taken(spot)):
                return Drifted(device, f"{spot[1]} is there already: {refusal.text}")
            return self._not_owned({write.key: spot})
        if self._moved(refusal) or (refusal.error == IN_USE and self._keeps(write, draft)):
            return Drifted(device, f"not as it was read: {refusal.text}")
        return Rejected(device, {str(write.key): refusal.text})

    def _moved(self, refusal: Refusal) -> bool:
        """Whether something of ours that should be there is not, or the other way round. What the settings name was never read."""
        if refusal.missing or refusal.status == _DROPPED or refusal.error == EXISTS:
            return True
        return refusal.error == INVALID and f" {self._names.prefix}" in refusal.text

    def _not_owned(self, taken: dict[ObjectKey, Place]) -> NotOwned:
        names = {key: f"{table} {name}" for key, (table, name) in taken.items()}
        why = {str(key): _THEIRS.get(name.partition(" ")[0], _UNMARKED).format(name) for key, name in names.items()}
        return NotOwned(self._client.device, names.values(), why)


def _new(write: Write) -> Place:
    """The entry that a creation makes; of nothing else a name."""
    if write.method != "POST" or write.body is None:
        return ("", "")
    return write.path.removeprefix("cmdb/"), str(write.body["name"])


def _is_row(write: Write) -> bool:
    """Whether it is about one member of a group."""
    return write.path.count("/") > _ENTRY


def _spot(write: Write) -> Place:
    """The entry that a call is about."""
    table, _, name = write.path.removeprefix("cmdb/").rpartition("/")
    return table, unquote(name)


def _quoted(write: Write) -> str:
    return quote(_new(write)[1], safe="")
