"""Several writes as one: all take effect together, or none does.

COMPLETED is the proof that every write of the transaction is stored. A commit that gets no answer leaves the state unknown: Busy.
"""

import time
from collections.abc import Callable, Iterable

import msgspec

from adapters.bigip import wire
from adapters.bigip.client import Client, Refusal
from adapters.bigip.writes import Write
from bridge.errors import Busy, DeviceError, Drifted

_COMMAND = "transaction:commands"  # in the kind of the answer to a queued write


class Failed(Exception):
    """The device refused the transaction; `write` is the one that it refused, where that is known."""

    def __init__(self, refusal: Refusal, write: Write | None) -> None:
        self.refusal = refusal
        self.write = write
        super().__init__(refusal.text)


class _Queued(msgspec.Struct):
    kind: str = ""


class Transactions:
    """Transactions of one device; `patience` is how long a commit is waited for, in seconds."""

    def __init__(self, client: Client, patience: float, sleep: Callable[[float], None] = time.sleep) -> None:
        self._client = client
        self._patience = patience
        self._sleep = sleep

    def run(self, writes: Iterable[Write]) -> None:
        """Make all writes true. Raises Failed, Busy, Denied, Drifted."""
        number = self._fill(writes)
        self._settle(number, self._commit(number, {"state": "VALIDATING"}))

    def objection(self, writes: Iterable[Write]) -> Refusal | None:
        """What the device would say against these writes; changes nothing."""
        try:
            number = self._fill(writes)
            self._settle(number, self._commit(number, {"state": "VALIDATING", "validateOnly": True}))
        except Failed as failed:
            return failed.refusal
        self._abandon(number)
        return None

    def _fill(self, writes: Iterable[Write]) -> str:
        try:
            answer = self._client.call("POST", "transaction", {})
        except Refusal as refusal:
            raise Busy(self._client.device, f"no transaction can be opened: {refusal.text}") from None
        number = str(self._client.decoded(answer, wire.Transaction).trans_id)
        for write in writes:
            try:
                queued = self._client.call(write.method, write.path, write.body, transaction=number)
            except Refusal as refusal:
                self._abandon(number)
                raise self._lost(refusal) or Failed(refusal, write) from None
            except DeviceError:
                self._abandon(number)
                raise
            if _COMMAND not in self._client.decoded(queued, _Queued).kind:
                self._abandon(number)
                raise Drifted(self._client.device, f"{write.method} {write.path} was not taken into the transaction")
        return number

    def _commit(self, number: str, body: dict[str, object]) -> wire.Transaction:
        try:
            answer = self._client.call("PATCH", f"transaction/{number}", body)
        except Refusal as refusal:
            raise self._lost(refusal) or Failed(refusal, None) from None
        return self._client.decoded(answer, wire.Transaction)

    def _settle(self, number: str, state: wire.Transaction) -> None:
        """Wait until the device has decided."""
        waited, pause = 0.0, 0.05
        while state.state not in ("COMPLETED", "FAILED", "STARTED"):
            if waited >= self._patience:
                raise Busy(self._client.device, f"a transaction is still {state.state}; read again")
            self._sleep(pause)
            waited, pause = waited + pause, min(2 * pause, 2.0)
            found = self._client.find(f"transaction/{number}", wire.Transaction)
            if found is None:
                raise Busy(self._client.device, "a transaction vanished while it was committed; read again")
            state = found
        if state.state == "FAILED":
            raise Failed(Refusal(400, state.failure_reason), None)

    def _lost(self, refusal: Refusal) -> Busy | None:
        """For a transaction that the device has forgotten: nothing of it was done."""
        if refusal.status == 404 and refusal.text.startswith("Transaction"):
            return Busy(self._client.device, f"the transaction took too long: {refusal.text}")
        return None

    def _abandon(self, number: str) -> None:
        """Tidy up; the device does it by itself in time."""
        try:
            self._client.call("DELETE", f"transaction/{number}")
        except (Refusal, DeviceError):
            return
