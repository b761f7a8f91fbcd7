"""Writing: one write is a plain call whose answer is compared with what was asked, several are one transaction."""

from collections.abc import Callable, Iterable, Sequence

import msgspec

from adapters.bigip import wire
from adapters.bigip.client import Client, Refusal
from adapters.bigip.known import Known
from adapters.bigip.reading import Reader
from adapters.bigip.records import LONG_NAMES, Records
from adapters.bigip.refusals import blamed, is_creation, means_exists, means_gone
from adapters.bigip.resolver import refuse_unresolved
from adapters.bigip.transaction import Failed, Transactions
from adapters.bigip.translate import Translator
from adapters.bigip.writes import Change, Shape, Write, batches, change_of, index_after
from bridge.errors import DeviceError, Drifted, NotOwned, Rejected
from bridge.model.identity import ObjectKey
from bridge.model.intent import DeviceObject
from bridge.model.plan import Op, Step


class Writer:
    """Makes steps true on one device."""

    def __init__(self, client: Client, records: Records, transactions: Transactions, known: Known, batch: int) -> None:
        self._client = client
        self._records = records
        self._transactions = transactions
        self._known = known
        self.batch = batch  # writes in one transaction, at most

    def phase(self, steps: Sequence[Step], check: Callable[[], None]) -> dict[ObjectKey, DeviceObject | None]:
        """One phase of a plan; what the device then holds of each object. `check` is asked before each write or transaction.

        Raises every error of the contract.
        """
        self._check_owned(steps)
        refuse_unresolved(self._client, steps)
        if self._known.indexed is None and any(self._known.names.is_long(step.key) for step in steps):
            self._known.learn_index(self._records.read(LONG_NAMES))
        translator = self._known.translator()
        observed: dict[ObjectKey, DeviceObject | None] = {}
        for batch in batches([change_of(step, translator) for step in steps], self.batch):
            check()
            self._commit(batch)
            observed.update({change.step.key: change.step.after for change in batch})
        return observed

    def _check_owned(self, steps: Iterable[Step]) -> None:
        """Refuse what does not carry our mark: known from the last read, else looked at now; before it is deleted, always now."""
        reader = self._reader()
        strange: list[ObjectKey] = []
        for step in steps:
            if step.op is Op.CREATE or (step.op is Op.UPDATE and step.key in self._known.owned):
                continue
            raw = reader.raw(step.key)
            if raw is not None and reader.one(step.key, raw) is None:
                strange.append(step.key)
            # One that is not there at all is found out by the write itself.
        if strange:
            raise self._not_owned(strange)

    def _commit(self, batch: Sequence[Change]) -> None:
        index = index_after(self._known.index, batch, self._known.translator())
        writes = [write for change in batch for write in change.writes]
        if index != self._known.index:
            writes.append(self._index_write(batch[0].step.key, index))
        if len(writes) == 1:
            self._alone(batch[0], writes[0])
        elif writes:
            self._together(batch, writes)
        if index != self._known.index:
            self._known.learn_index(index)
        gone = {change.step.key for change in batch if change.step.after is None}
        self._known.owned |= {change.step.key for change in batch}
        self._known.owned -= gone

    def _index_write(self, key: ObjectKey, index: dict[str, str]) -> Write:
        method, path, body = self._records.request(LONG_NAMES, index, new=not self._known.indexed)
        return Write(key, method, path, body, Shape.NOTHING)

    def _together(self, batch: Sequence[Change], writes: Sequence[Write]) -> None:
        try:
            self._transactions.run(writes)
        except Failed as error:
            failed = error
        else:
            return
        raise self._explained(failed.refusal, batch, failed.write)

    def _alone(self, change: Change, write: Write) -> None:
        try:
            answer = self._client.call(write.method, write.path, write.body)
        except Refusal as error:
            refusal = error
        else:
            if not self._shows(write, answer):
                raise Drifted(self._client.device, f"{write.key} does not show what was written")
            return
        if refusal.status == 404 and change.step.op is Op.DELETE:
            return
        if not (means_exists(refusal) and is_creation(change) and self._stands(change)):
            raise self._explained(refusal, [change], write)

    def _shows(self, write: Write, answer: bytes) -> bool:
        """Whether the answer of a write shows what was asked for."""
        translator: Translator = self._known.translator()
        match write.shape:
            case Shape.NOTHING:
                return True
            case Shape.LINE:
                rule = self._client.decoded(answer, wire.Rule)
                return write.want in (translator.read_line(rule), translator.read_reference(rule))
            case Shape.OBJECT:
                try:
                    return translator.read(write.key.kind, answer) == write.want
                except msgspec.MsgspecError:
                    return False

    def _stands(self, change: Change) -> bool:
        """Whether the object to create is there already, ours and as wanted."""
        reader, key = self._reader(), change.step.key
        raw = reader.raw(key)
        return raw is not None and reader.one(key, raw) == change.step.after

    def _explained(self, refusal: Refusal, batch: Sequence[Change], write: Write | None) -> DeviceError:
        """The error that a refused write or transaction is."""
        named = [change for change in batch if write is not None and change.step.key == write.key]
        change = named[0] if named else blamed(refusal, batch, self._known.names)
        if means_exists(refusal) and change is not None and is_creation(change):
            return self._occupied(change.step.key, refusal)
        if means_exists(refusal) or means_gone(refusal, self._known.names):
            return Drifted(self._client.device, f"not as it was read: {refusal.text}")
        if change is None:
            change, refusal = self._search(refusal, batch)
        return Rejected(self._client.device, {str(change.step.key): refusal.text})

    def _occupied(self, key: ObjectKey, refusal: Refusal) -> DeviceError:
        reader = self._reader()
        raw = reader.raw(key)
        if raw is not None and reader.one(key, raw) is None:
            return self._not_owned([key])
        return Drifted(self._client.device, f"not as it was read: {refusal.text}")

    def _not_owned(self, keys: Iterable[ObjectKey]) -> NotOwned:
        names = {key: self._known.names.path(key) for key in keys}
        why = {str(key): f"{name} stands there without our mark" for key, name in names.items()}
        return NotOwned(self._client.device, names.values(), why)

    def _search(self, refusal: Refusal, batch: Sequence[Change]) -> tuple[Change, Refusal]:
        """The first change that the device objects to, found by validating shorter and shorter beginnings; nothing is changed."""
        sound, failing = 0, len(batch)
        while failing - sound > 1:
            middle = (sound + failing) // 2
            objection = self._transactions.objection(write for change in batch[:middle] for write in change.writes)
            if objection is None:
                sound = middle
            else:
                failing, refusal = middle, objection
        return batch[failing - 1], refusal

    def _reader(self) -> Reader:
        return Reader(self._client, self._known.translator())
