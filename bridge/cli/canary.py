"""What a kind of device claims, tried on a real one: through the contract alone, under an owner of our own, attached nowhere.

Every address is one for documentation (RFC 5737, RFC 3849), so that nothing here meets a packet even where a device enforces whatever
is written to it. What was made is deleted again, however the trial ends; the fence of that owner stays, as its number must.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial

from bridge.cli.trial import FEATURES, GROUP, HALVES, MEMBERS, OTHER, PLACE, Site, several, site_of
from bridge.clock import Clock
from bridge.contract import Adapter, AdapterFactory, DeviceConfig
from bridge.errors import DeviceError, FencedOff, LostLease, Refused, Stopped
from bridge.model.examination import Finding, doubtful, fine, wrong
from bridge.model.identity import Kind
from bridge.model.intent import EVERYTHING, Group, Intent, Objects, ReadScope, Snapshot
from bridge.model.plan import Fence, Op, Plan, Step
from bridge.policy.diff import diff, plan

INSTALLATION = "canary"
_OWNER_LENGTH = 12
_TRIES = 4  # at cleaning up
_COMPILE_SECONDS = 60.0


class NotSo(Exception):
    """The device did something else than is claimed of it; the words say what."""


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
        self._config = replace(config, owner=canary_owner(config.owner), attach=attach, permit=leave)
        self._plain = replace(config, permit=_never)
        self._factory, self._leave, self._clock, self._clean = factory, leave, clock, clean

    def run(self) -> Iterator[Finding]:
        """One finding for each claim as it is tried. Raises Refused before anything is written, Busy, Denied, Stopped."""
        with closing(self._factory.open(self._config)) as adapter:
            before = adapter.read(EVERYTHING)
            self._fence = Fence(before.fence.epoch + 1, INSTALLATION)
            if self._clean and _is_left_over(before):
                yield self._taken_back(adapter)
                before = adapter.read(EVERYTHING)
            self._refuse(before)
            try:
                yield from self._claims(adapter)
            except Stopped as stop:
                yield wrong("stop", str(stop))
            finally:
                cleaned = self._cleaned()
            yield cleaned
            yield self._tried("foreign", lambda: self._apart(before))

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

    # ---- the claims

    def _claims(self, adapter: Adapter) -> Iterator[Finding]:
        can = adapter.capabilities
        yield self._tried("fence", lambda: self._fenced(adapter))
        yield self._tried("create", lambda: self._built(adapter))
        yield self._tried("unattached", lambda: self._unattached(adapter))
        yield self._tried("restart", self._restarted)
        yield self._tried("member change", lambda: self._changed(adapter))
        for word, feature in FEATURES.items():
            if getattr(can, word):
                yield self._tried(word, partial(self._holds, adapter, feature(can)))
        if can.atomic:
            yield self._tried("atomic", lambda: self._at_once(adapter))
        if can.compiles_later:
            yield self._tried("active", lambda: self._active(adapter))
        yield self._tried("fenced off", self._fenced_off)

    def _fenced(self, adapter: Adapter) -> str:
        adapter.raise_fence(self._fence)
        state = self._fresh().fence
        if (state.epoch, state.installation) != (self._fence.epoch, self._fence.installation):
            raise NotSo(f"epoch {state.epoch} of {state.installation} is read")
        return f"epoch {state.epoch} stands there"

    def _built(self, adapter: Adapter) -> str:
        return self._holds(adapter, site_of())

    def _unattached(self, adapter: Adapter) -> str:
        reached = [str(tier) for tier, there in adapter.read(EVERYTHING).attached.items() if there]
        if reached:
            raise NotSo(f"what was written is enforced at once: {', '.join(reached)}")
        return "nothing of it is enforced"

    def _restarted(self) -> str:
        """A new adapter finds nothing to do."""
        with closing(self._factory.open(self._config)) as adapter:
            self._settled(adapter, site_of())
        return "a new connection finds nothing to do"

    def _changed(self, adapter: Adapter) -> str:
        """One member goes and another comes: read back alone, in how many calls."""
        (have,) = adapter.read(ReadScope(frozenset({GROUP}))).objects.values()
        part = Intent(adapter.device, {GROUP: Group(GROUP, frozenset({MEMBERS[0], OTHER}))}, complete=False)
        want = adapter.normalize(part)[GROUP]
        calls = adapter.calls
        adapter.apply(Plan(adapter.device, ((Step(Op.UPDATE, GROUP, have, want),),)), self._fence)
        calls = adapter.calls - calls
        if adapter.read(ReadScope(frozenset({GROUP}))).objects != {GROUP: want}:
            raise NotSo("what is read is not what was written")
        return f"{calls} calls"

    def _holds(self, adapter: Adapter, site: Site) -> str:
        """Built from whatever stands there; read back as `normalize` says, and then nothing is left to do."""
        calls = adapter.calls
        made = self._planned(adapter, site)
        outcome = adapter.apply(made, self._fence)
        if outcome.refused:
            raise NotSo("; ".join(f"{key}: {why}" for key, why in outcome.refused.items()))
        calls = adapter.calls - calls
        self._settled(adapter, site)
        return f"{len(made.steps)} changes, {calls} calls"

    def _settled(self, adapter: Adapter, site: Site) -> None:
        have = adapter.read(EVERYTHING).objects
        wanted = self._wanted(adapter, site)
        other = sorted(key for key in have.keys() | wanted.keys() if have.get(key) != wanted.get(key))
        if other:
            raise NotSo(f"what is read is not what was written: {', '.join(map(str, other[:3]))}")

    def _at_once(self, adapter: Adapter) -> str:
        """Two new groups, and the end of one that a rule names, which most refuse: all of it is done, or nothing."""
        before = adapter.read(EVERYTHING).objects
        steps = (*(Step(Op.CREATE, one.key, None, one) for one in HALVES), Step(Op.DELETE, PLACE, before[PLACE], None))
        wanted = {**before, **{one.key: one for one in HALVES}}
        del wanted[PLACE]
        try:
            adapter.apply(Plan(adapter.device, (steps,)), self._fence)
        except DeviceError:
            wanted = dict(before)
        left = self._fresh().objects
        if left.keys() != wanted.keys():
            other = sorted(left.keys() ^ wanted.keys())
            raise NotSo(f"a change was done in part: {', '.join(map(str, other))}")
        made = self._holds(adapter, several())
        return f"what cannot all be done is not done in part; {made}"

    def _active(self, adapter: Adapter) -> str:
        began = self._clock.elapsed()
        while not adapter.active():
            if self._clock.elapsed() - began > _COMPILE_SECONDS:
                raise NotSo(f"the device has not said within {_COMPILE_SECONDS:.0f} s that all is compiled")
            self._pause(1.0)
        return f"said after {self._clock.elapsed() - began:.0f} s"

    def _fenced_off(self) -> str:
        """Neither somebody else nor an older owner may write."""
        before = self._fresh().objects
        for fence in (Fence(self._fence.epoch, "somebody-else"), Fence(self._fence.epoch - 1, INSTALLATION)):
            with closing(self._factory.open(self._config)) as adapter:
                gone = Plan(adapter.device, ((Step(Op.DELETE, GROUP, before[GROUP], None),),))
                try:
                    adapter.apply(gone, fence)
                except FencedOff:
                    continue
                raise NotSo(f"epoch {fence.epoch} of {fence.installation} could write")
        if self._fresh().objects != before:
            raise NotSo("something was changed all the same")
        return "an older epoch and another installation are refused"

    def _apart(self, before: Snapshot) -> str:
        """Others' objects are named as they were, and the owner of the settings sees nothing of the trial as his."""
        now = self._fresh()
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
            self._pause(2.0 * attempt)
            try:
                with closing(self._factory.open(self._config)) as adapter:
                    if not self._planned(adapter, {}).empty:
                        adapter.apply(self._planned(adapter, {}), self._fence)
                    left = adapter.read(EVERYTHING).objects
            except (DeviceError, LostLease, Refused) as error:
                words = str(error)
                continue
            if not left:
                return fine("delete", "nothing is left but the fence of this owner")
            words = ", ".join(map(str, sorted(left)[:3]))
        return wrong("delete", f"objects of the owner {self._config.owner} are left, delete them by hand: {words}")

    # ---- reading and planning

    def _tried(self, subject: str, claim: Callable[[], str]) -> Finding:
        try:
            return fine(subject, claim())
        except NotSo as problem:
            return wrong(subject, str(problem))
        except DeviceError as error:
            return wrong(subject, str(error).removeprefix(f"{error.device}: "))
        except LostLease as error:
            return doubtful(subject, f"not tried: {error}")

    def _pause(self, seconds: float) -> None:
        self._clock.wait(threading.Event(), seconds)

    def _fresh(self) -> Snapshot:
        with closing(self._factory.open(self._config)) as adapter:
            return adapter.read(EVERYTHING)

    def _wanted(self, adapter: Adapter, site: Site) -> Objects:
        return adapter.normalize(Intent(adapter.device, site))

    def _planned(self, adapter: Adapter, site: Site) -> Plan:
        have = adapter.read(EVERYTHING).objects
        steps = diff(have, Intent(adapter.device, self._wanted(adapter, site)))
        return plan(adapter.device, steps, have, adapter.capabilities, adapter.limits)


def _is_left_over(found: Snapshot) -> bool:
    """Whether all that stands there is a trial's: by its fence, and by the cluster that its keys speak of."""
    ours = all(key.cluster == GROUP.cluster or key.kind is Kind.POLICY for key in found.objects)
    return bool(found.objects) and found.fence.installation == INSTALLATION and ours


def _never() -> None:
    """The permit of whoever only reads."""
    raise LostLease("this adapter was opened to read, and tried to write")
