"""What a kind of device claims, tried on a real one: through the contract alone, under an owner of our own, attached nowhere.

Every address is one for documentation (RFC 5737, RFC 3849), so that nothing here meets a packet even where a device enforces whatever
is written to it. What was made is deleted again, however the trial ends; the fence of that owner stays, as its number must.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace

from bridge.cli.claims import INSTALLATION, Claims, NotSo
from bridge.cli.trial import GROUP
from bridge.clock import Clock
from bridge.contract import Adapter, AdapterFactory, DeviceConfig
from bridge.errors import DeviceError, LostLease, Refused, Stopped
from bridge.model.examination import Finding, fine, wrong
from bridge.model.identity import Kind
from bridge.model.intent import EVERYTHING, Snapshot
from bridge.model.plan import Fence

_OWNER_LENGTH = 12
_TRIES = 4  # at cleaning up


@dataclass
class Leave:
    """The permit of a trial: until its time is over, and while nobody wants nothing to be written. `check` raises Stopped."""

    clock: Clock
    seconds: float
    check: Callable[[], None]

    def __post_init__(self) -> None:
        self.until = self.clock.elapsed() + self.seconds

    def __call__(self) -> None:
        if self.clock.elapsed() > self.until:
            raise LostLease("the trial took longer than it may")
        self.check()

    def prolong(self, seconds: float) -> None:
        """A little longer, to clean up."""
        self.until = self.clock.elapsed() + seconds


def canary_owner(owner: str) -> str:
    """The owner under whom is tried: never `owner` itself."""
    made = f"{owner[: _OWNER_LENGTH - 1]}c"
    return made if made != owner else f"{owner[: _OWNER_LENGTH - 1]}k"


class Canary:
    """One trial of one device. Refused where that owner has something there, or somebody else's fence stands under its name."""

    def __init__(
        self, factory: AdapterFactory, config: DeviceConfig, leave: Leave, clock: Clock, *, clean: bool = False
    ) -> None:
        attach = {**config.attach, "mode": "none"}
        self._config = replace(config, owner=canary_owner(config.owner), attach=attach, trial=True, permit=leave)
        self._plain = replace(config, permit=_never)
        self._factory, self._leave, self._clock, self._clean = factory, leave, clock, clean

    def run(self) -> Iterator[Finding]:
        """One finding for each claim as it is tried. Raises Refused before anything is written, Busy, Denied, Stopped."""
        with closing(self._factory.open(self._config)) as adapter:
            before = adapter.read(EVERYTHING)
            self._fence = Fence(before.fence.epoch + 1, INSTALLATION)
            claims = self._claims = Claims(self._factory, self._config, self._clock, self._fence)
            if self._clean and _is_left_over(before):
                yield self._taken_back(adapter)
                before = adapter.read(EVERYTHING)
            self._refuse(before)
            try:
                yield from claims.all(adapter)
            except Stopped as stop:
                yield wrong("stop", str(stop))
            finally:
                cleaned = self._cleaned()
            yield cleaned
            yield claims.tried("foreign", lambda: self._apart(before))

    def _refuse(self, before: Snapshot) -> None:
        owner, fence = self._config.owner, before.fence
        if before.objects:
            names = ", ".join(str(key) for key in sorted(before.objects)[:3])
            raise Refused(
                f"{before.device}: the owner {owner}, under which is tried, has {len(before.objects)} objects there ({names}): "
                "nothing is tried until they are gone; --clean takes back what an interrupted trial left"
            )
        if fence.epoch and fence.installation != INSTALLATION:
            raise Refused(
                f"{before.device}: {owner}, under which is tried, is the owner of installation {fence.installation}"
            )

    def _apart(self, before: Snapshot) -> str:
        """Others' objects are named as they were, and the owner of the settings sees nothing of the trial as his."""
        now = self._claims.fresh()
        if {one.name for one in now.foreign} != {one.name for one in before.foreign}:
            raise NotSo("the names of what is not ours have changed; did somebody else work there?")
        with closing(self._factory.open(self._plain)) as adapter:
            ours = adapter.read(EVERYTHING)
        taken = [key for key in ours.objects if key.cluster == GROUP.cluster]
        if taken:
            raise NotSo(f"{self._plain.owner} takes {taken[0]} for its own")
        return f"{len(now.foreign)} objects of others stand as before"

    # ---- and away

    def _taken_back(self, adapter: Adapter) -> Finding:
        """What an earlier trial could not take back itself."""
        adapter.raise_fence(self._fence)
        found = self._cleaned()
        return replace(found, subject="clean")

    def _cleaned(self) -> Finding:
        """Delete all that this owner has, as often as it takes."""
        self._leave.prolong(120.0)
        words = ""
        for attempt in range(_TRIES):
            self._clock.wait(threading.Event(), 2.0 * attempt)
            try:
                with closing(self._factory.open(self._config)) as adapter:
                    if not self._claims.planned(adapter, {}).empty:
                        adapter.apply(self._claims.planned(adapter, {}), self._fence)
                    left = adapter.read(EVERYTHING).objects
            except (DeviceError, LostLease, Refused) as error:
                words = str(error)
                continue
            if not left:
                return fine("delete", "nothing is left but the fence of this owner")
            words = ", ".join(map(str, sorted(left)[:3]))
        return wrong("delete", f"objects of the owner {self._config.owner} are left, delete them by hand: {words}")


def _is_left_over(found: Snapshot) -> bool:
    """Whether all that stands there is a trial's: by its fence, and by the cluster that its keys speak of."""
    ours = all(key.cluster == GROUP.cluster or key.kind is Kind.POLICY for key in found.objects)
    return bool(found.objects) and found.fence.installation == INSTALLATION and ours


def _never() -> None:
    """The permit of whoever only reads."""
    raise LostLease("this adapter was opened to read, and tried to write")
