"""The fence object: which epoch of which installation owns the device."""

from adapters.bigip.client import Refusal
from adapters.bigip.known import Known
from adapters.bigip.records import FENCE, Records
from bridge.errors import Denied, Drifted, FencedOff
from bridge.model.intent import FenceState
from bridge.model.plan import Fence


class Keeper:
    """Reads, compares and raises the fence of one device."""

    def __init__(self, device: str, records: Records, known: Known) -> None:
        self._device = device
        self._records = records
        self._known = known

    def read(self) -> FenceState:
        """What the fence says. Raises NotOwned, and Denied when nobody can tell who owns the device."""
        records = self._records.read(FENCE)
        self._known.fenced = records is not None
        if records is None:
            return FenceState()
        epoch = records.get("epoch", "")
        if not epoch.isdecimal():
            words = "the fence object is there and has no epoch: nobody can tell whose the device is"
            raise Denied(
                self._device,
                f"{words}; make sure that no other bridge writes there, and delete {self._records.path(FENCE)}",
            )
        return FenceState(int(epoch), records.get("installation", ""))

    def check(self, fence: Fence) -> None:
        """Refuse with FencedOff when somebody newer is there. A fence that vanished means that more did: Drifted, once."""
        before = self._known.fenced
        state = self.read()
        self._refuse(state, fence)
        if self._known.fenced:
            return
        if before:
            raise Drifted(self._device, "the fence object is gone, and perhaps more: read again")
        self._write(fence)

    def raise_to(self, fence: Fence) -> None:
        """Write the fence where it does not say the same already."""
        state = self.read()
        self._refuse(state, fence)
        if not self._known.fenced or state != FenceState(fence.epoch, fence.installation):
            self._write(fence)

    def _write(self, fence: Fence) -> None:
        records = {"epoch": str(fence.epoch), "installation": fence.installation}
        new = not self._known.fenced
        if new:
            self._records.make_folder()
        try:
            seen = self._records.write(FENCE, records, new=new)
        except Refusal as refusal:
            raise Drifted(self._device, f"the fence moved while it was written: {refusal.text}") from None
        if seen != records:
            raise FencedOff(self._device, "the fence does not hold what was written: somebody else writes it too")
        self._known.fenced = True

    def _refuse(self, state: FenceState, fence: Fence) -> None:
        if not fence.passes(state):
            raise FencedOff(
                self._device,
                f"the fence holds epoch {state.epoch} of installation {state.installation or 'unknown'}, "
                f"ours is {fence.epoch} of {fence.installation}",
            )
