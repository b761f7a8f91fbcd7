"""Transactions of FortiOS: calls that wait on the unit and take effect together, or not at all.

Each begins with a call that makes an address of ours, or with one that changes nothing and names our fence. So the addresses are locked
from then on, and nobody can raise the fence before the transaction ends; and whoever finds one that was left open knows by it that it is
ours, and drops it. That is how the last transaction of a former owner dies when the next one takes over.
"""

import time
from collections.abc import Callable, Mapping, Sequence

from adapters.fortigate import wire
from adapters.fortigate.addresses import ADDRESS
from adapters.fortigate.block import Write
from adapters.fortigate.client import Client, Locked, Refusal, place
from adapters.fortigate.fence import Keeper
from bridge.errors import Busy, DeviceError, Drifted
from bridge.model.plan import Fence

_ROOT = "cmdb"
_GONE = 424
_SHARE = 0.9  # of the time that a transaction has


class Failed(Exception):
    """A call within a transaction was refused, and all of it dropped. `write` is None where it was the end that was refused."""

    def __init__(self, refusal: Refusal, write: Write | None) -> None:
        self.refusal = refusal
        self.write = write
        super().__init__(refusal.text)


class Transactions:
    """Runs the writes of one unit. `most` is how many calls it is asked to take in one, None as long as it had time for all."""

    def __init__(
        self, client: Client, keeper: Keeper, seconds: int, elapsed: Callable[[], float] = time.monotonic
    ) -> None:
        self._client = client
        self._keeper = keeper
        self._seconds = seconds
        self._elapsed = elapsed
        self.most: int | None = None

    def run(self, writes: Sequence[Write], fence: Fence, look: Callable[[], None]) -> None:
        """All or nothing; `look` compares the fence, once nobody can raise it. Raises what that does, Failed, Busy, Denied, Drifted."""
        if not self._keeper.fenced:
            self._keeper.check(fence)
        began = self._elapsed()
        first = writes[:1] if self._locks(writes[0]) else []
        number = self.through_locks(lambda: self._begun(first, look))
        for done, write in enumerate(writes[len(first) :], len(first)):
            try:
                self._in_time(began, done, len(writes))
                self._enter(write, number)
            except Failed as failed:
                if failed.refusal.status == _GONE:
                    self._learn(done)
                raise
            except DeviceError:
                self._drop(number)
                raise
        try:
            self._client.write("POST", _ROOT, _body(number), {"action": "transaction-commit"})
        except Refusal as refusal:
            self._drop(number)  # nobody says that a refused one is over, and one that is not keeps its locks
            if refusal.status == _GONE:
                self._learn(len(writes))
                raise Drifted(
                    self._client.device, f"the transaction was dropped before its end: {refusal.text}"
                ) from None
            raise Failed(refusal, None) from None

    def _enter(self, write: Write, number: int) -> None:
        try:
            self._client.write(write.method, write.path, write.body, write.query, transaction=number)
        except Refusal as refusal:
            self._drop(number)
            raise Failed(refusal, write) from None

    def _learn(self, done: int) -> None:
        """What there was no time for goes in smaller parts from now on, or it would be tried for ever."""
        self.most = max(1, min(done, self.most or done) // 2)

    def _in_time(self, began: float, done: int, calls: int) -> None:
        """Nothing is sent into a transaction that may be over: nobody says what a unit does with a call whose transaction is."""
        if self._elapsed() - began > self._seconds * _SHARE:
            self._learn(done)
            text = (
                f"{calls} calls take longer than the {self._seconds} s of their transaction: from now on it has {self.most} at most; "
                "see transactionSeconds and transactionSize"
            )
            raise Busy(self._client.device, text)

    def through_locks(self, call: Callable[[], int | None]) -> int:
        """Do it, and once more where a transaction of ours that was left open stands in its way."""
        try:
            return call() or 0
        except Locked:
            if not self._drop_left():
                raise
        return call() or 0

    def _locks(self, write: Write) -> bool:
        """Whether a call locks the addresses and shows whose the transaction is, as well as one that names the fence."""
        return write.method == "POST" and write.path == place(ADDRESS) and self._is_marked(write.body)

    def _is_marked(self, body: object) -> bool:
        return isinstance(body, Mapping) and self._keeper.is_own(str(body.get("comment", "")))

    def _begun(self, first: Sequence[Write], look: Callable[[], None]) -> int:
        """The number of a new transaction, in which the fence is locked and was found to be ours; `first` is a call of it that locks."""
        number = self._start()
        try:
            for write in first:
                self._enter(write, number)
            if not first:
                self._client.write("PUT", self._keeper.place, {"name": self._keeper.name}, transaction=number)
            look()
        except Failed:
            raise
        except Refusal as refusal:
            self._drop(number)
            raise Drifted(self._client.device, f"the fence cannot be locked: {refusal.text}") from None
        except DeviceError:
            self._drop(number)
            raise
        return number

    def _start(self) -> int:
        try:
            answer = self._client.write("POST", _ROOT, {"timeout": self._seconds}, {"action": "transaction-start"})
        except Refusal as refusal:
            text = f"no transaction can be started ({refusal.text}); see the setting transactions"
            raise Drifted(self._client.device, text) from None
        return self._client.decoded(answer.results, wire.Started).transaction_id

    def _drop(self, number: int) -> None:
        """End it; what fails is left to the unit, which drops it by itself in time."""
        try:
            self._client.write("POST", _ROOT, _body(number), {"action": "transaction-abort"})
        except (DeviceError, Refusal):
            return

    def _drop_left(self) -> bool:
        """Drop the transactions that name our fence; whether there were any."""
        found = False
        try:
            listed = self._client.get(_ROOT, {"action": "transaction-list"})
            for one in self._client.decoded(listed.results, list[wire.Started]):
                if self._is_ours(one.transaction_id):
                    self._client.write("POST", _ROOT, _body(one.transaction_id), {"action": "transaction-abort"})
                    found = True
        except Refusal as refusal:
            raise Busy(
                self._client.device, f"a transaction holds the table, and cannot be looked at: {refusal.text}"
            ) from None
        return found

    def _is_ours(self, number: int) -> bool:
        query = {"action": "transaction-show", "transaction-id": str(number)}
        try:
            shown = self._client.decoded(self._client.get(_ROOT, query).results, wire.Waiting)
        except Refusal:
            return False  # somebody else's, or over by now
        return any(
            one.path.endswith(f"/{self._keeper.name}")
            or (isinstance(one.body, dict) and one.body.get("name") == self._keeper.name)
            or (one.path.endswith(ADDRESS) and self._is_marked(one.body))
            for one in shown.commands
        )


def _body(number: int) -> dict[str, int]:
    return {"transaction-id": number}
