"""The fence: an address of our own that no policy names, whose comment says which epoch of which installation owns the unit."""

from collections.abc import Sequence

from adapters.fortigate import wire
from adapters.fortigate.addresses import ADDRESS, FENCE, NOTHING, body
from adapters.fortigate.client import EXISTS, Client, Refusal, named, place
from adapters.fortigate.names import Names
from bridge.errors import Denied, Drifted, FencedOff, NotOwned
from bridge.model.intent import FenceState
from bridge.model.plan import Fence


class Keeper:
    """Reads, compares and raises the fence of one unit."""

    def __init__(self, client: Client, names: Names) -> None:
        self._client = client
        self._names = names
        self._fenced = False

    @property
    def fenced(self) -> bool:
        """Whether a fence stood there when it was last looked at."""
        return self._fenced

    @property
    def place(self) -> str:
        """Where it stands."""
        return place(ADDRESS, self._names.shared(FENCE))

    @property
    def name(self) -> str:
        """What it is called."""
        return self._names.shared(FENCE)

    def read(self) -> FenceState:
        """What the fence says. Raises NotOwned, and Denied when nobody can tell who owns the unit."""
        return self._said(self._client.find(self.place, wire.Address, {"format": "name|comment"}))

    def is_own(self, comment: str) -> bool:
        """Whether a comment is a mark of ours."""
        return self._names.marked(comment) is not None

    def _said(self, found: wire.Address | None) -> FenceState:
        self._fenced = found is not None
        if found is None:
            return FenceState()
        text = self._names.marked(found.comment)
        word, _, rest = (text or "").partition(" ")
        epoch, _, installation = rest.partition(" ")
        if text is None or word != FENCE:
            raise NotOwned(self._client.device, [f"{ADDRESS} {self.name}"])
        if not epoch.isdecimal():
            raise Denied(
                self._client.device,
                "the fence is there and has no epoch: nobody can tell whose the device is; make sure that no other "
                f"bridge writes there, and delete the address {self.name}",
            )
        return FenceState(int(epoch), installation)

    def check(self, fence: Fence) -> None:
        """Refuse with FencedOff when somebody newer is there. A fence that vanished means that more did: Drifted, once."""
        self._check(fence, self._fenced, self.read())

    def check_beside(self, fence: Fence, beside: Sequence[str]) -> dict[str, str]:
        """As `check`, and in the same call the comments of some addresses, by name: of those that stand there."""
        before = self._fenced
        query = named([self.name, *beside]) | {"format": "name|comment"}
        found = {one.name: one for one in self._client.entries(ADDRESS, wire.Address, query)}
        self._check(fence, before, self._said(found.get(self.name)))
        return {name: found[name].comment for name in beside if name in found}

    def _check(self, fence: Fence, before: bool, state: FenceState) -> None:
        self._refuse(state, fence)
        if self._fenced:
            return
        if before:
            raise Drifted(self._client.device, "the fence is gone, and perhaps more: read again")
        self._write(fence)

    def raise_to(self, fence: Fence) -> None:
        """Write the fence where it does not say the same already. Raises Locked where a transaction holds the addresses."""
        state = self.read()
        self._refuse(state, fence)
        if not self._fenced or state != FenceState(fence.epoch, fence.installation):
            self._write(fence)

    def _write(self, fence: Fence) -> None:
        comment = {"comment": self._names.mark(f"{FENCE} {fence.epoch} {fence.installation}")}
        new = {"name": self.name} | body(ADDRESS, NOTHING) | comment
        try:
            if self._fenced:
                self._client.write("PUT", self.place, comment)
            else:
                self._client.write("POST", place(ADDRESS), new)
        except Refusal as refusal:
            if refusal.missing or refusal.error == EXISTS:
                raise Drifted(self._client.device, f"the fence moved while it was written: {refusal.text}") from None
            raise Denied(self._client.device, f"the fence cannot be written: {refusal.text}") from None
        seen = self.read()
        if seen != FenceState(fence.epoch, fence.installation):
            raise FencedOff(
                self._client.device, "the fence does not hold what was written: somebody else writes it too"
            )

    def _refuse(self, state: FenceState, fence: Fence) -> None:
        if not fence.passes(state):
            raise FencedOff(
                self._client.device,
                f"the fence holds epoch {state.epoch} of installation {state.installation or 'unknown'}, "
                f"ours is {fence.epoch} of {fence.installation}",
            )
