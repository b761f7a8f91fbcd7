"""What a kind of device claims, claim by claim, tried through the contract alone.

Nobody's flow is ever closed here: the addresses are nobody's. Of closing is tried that the device tells flows by who opened them, and that
an older owner may close none.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial

from bridge.cli.trial import (
    FEATURES,
    FLOW,
    GROUP,
    HALVES,
    IMPOSSIBLE,
    MEMBERS,
    OTHER,
    PLACE,
    Site,
    many,
    several,
    site_of,
)
from bridge.clock import Clock
from bridge.contract import Adapter, AdapterFactory, DeviceConfig
from bridge.errors import DeviceError, FencedOff, LostLease, Rejected, Unsupported
from bridge.model.capabilities import Capabilities
from bridge.model.examination import Finding, doubtful, fine, wrong
from bridge.model.intent import EVERYTHING, DeviceObject, Group, Intent, Objects, ReadScope, Snapshot
from bridge.model.plan import Fence, Op, Plan, Step
from bridge.policy.diff import diff, plan

INSTALLATION = "canary"
_COMPILE_SECONDS = 60.0


class NotSo(Exception):
    """The device did something else than is claimed of it; the words say what."""


class Claims:
    """The claims of one device under the owner of `config`; `fence` is what that owner raises."""

    def __init__(self, factory: AdapterFactory, config: DeviceConfig, clock: Clock, fence: Fence) -> None:
        self._factory, self._config, self._clock, self._fence = factory, config, clock, fence

    def all(self, adapter: Adapter) -> Iterator[Finding]:
        """One finding for each as it is tried; what is not is named in the last."""
        can = adapter.capabilities
        yield self.tried("fence", lambda: self._fenced(adapter))
        yield self.tried("create", lambda: self._built(adapter))
        yield self.tried("unattached", lambda: self._unattached(adapter))
        yield self.tried("restart", self._restarted)
        yield self.tried("member change", lambda: self._changed(adapter))
        for word, feature in FEATURES.items():
            if getattr(can, word):
                yield self.tried(word, partial(self._holds, adapter, feature(can)))
        for word, claim in self._promises.items():
            if getattr(can, word):
                yield self.tried(word, partial(claim, adapter))
        if can.compiles_later:
            yield self.tried("active", lambda: self._active(adapter))
        yield self.tried("fenced off", self._fenced_off)
        yield fine("not tried", self._left(can))

    def _left(self, can: Capabilities) -> str:
        """What is not declared, and what nobody can try from outside."""
        words = (*FEATURES, *self._promises, "compare_and_swap", "compiles_later")
        left = [word for word in words if not getattr(can, word)]
        told = [f"not declared: {', '.join(left)}"] if left else []
        if can.compare_and_swap:
            told.append("compare_and_swap: nobody outside can write between its look and its write")
        return "; ".join(told)

    @property
    def _promises(self) -> dict[str, Callable[[Adapter], str]]:
        """By the name of the capability, how what the device guarantees of a change is tried."""
        return {
            "atomic": self._at_once,
            "dry_run": self._objected,
            "member_deltas": self._deltas,
            "close_flows": self._closing,
        }

    def tried(self, subject: str, claim: Callable[[], str]) -> Finding:
        """A finding of what a claim says, or of what is wrong with it."""
        try:
            return fine(subject, claim())
        except NotSo as problem:
            return wrong(subject, str(problem))
        except DeviceError as error:
            return wrong(subject, str(error).removeprefix(f"{error.device}: "))
        except LostLease as error:
            return doubtful(subject, f"not tried: {error}")

    def fresh(self) -> Snapshot:
        """What a new connection reads."""
        with closing(self._factory.open(self._config)) as adapter:
            return adapter.read(EVERYTHING)

    def planned(self, adapter: Adapter, site: Site) -> Plan:
        """The way from whatever stands there to the site."""
        have = adapter.read(EVERYTHING).objects
        steps = diff(have, Intent(adapter.device, self._wanted(adapter, site)))
        return plan(adapter.device, steps, have, adapter.capabilities, adapter.limits)

    def _fenced(self, adapter: Adapter) -> str:
        adapter.raise_fence(self._fence)
        state = self.fresh().fence
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
        want = self._group(adapter, MEMBERS[0], OTHER)
        calls = adapter.calls
        self._update(adapter, have, want)
        calls = adapter.calls - calls
        if adapter.read(ReadScope(frozenset({GROUP}))).objects != {GROUP: want}:
            raise NotSo("what is read is not what was written")
        return f"{calls} calls"

    def _holds(self, adapter: Adapter, site: Site) -> str:
        """Built from whatever stands there; read back as `normalize` says, and then nothing is left to do."""
        calls = adapter.calls
        made = self.planned(adapter, site)
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
        left = self.fresh().objects
        if left.keys() != wanted.keys():
            other = sorted(left.keys() ^ wanted.keys())
            raise NotSo(f"a change was done in part: {', '.join(map(str, other))}")
        made = self._holds(adapter, several())
        return f"what cannot all be done is not done in part; {made}"

    def _objected(self, adapter: Adapter) -> str:
        """Of several changes the one that no device can take is named, and no other."""
        before, key = adapter.read(EVERYTHING).objects, IMPOSSIBLE[-1].key
        new: tuple[DeviceObject, ...] = (*HALVES, *IMPOSSIBLE)
        steps = tuple(Step(Op.CREATE, one.key, None, one) for one in new)
        try:
            adapter.apply(Plan(adapter.device, (steps,)), self._fence)
        except Rejected as refusal:
            named = set(refusal.objects)
        except (Unsupported, ValueError) as error:
            return f"not tried: what the device could refuse is never sent ({error})"
        else:
            raise NotSo("a port of more than sixteen bits was taken")
        if named != {str(key)}:
            raise NotSo(f"blamed for what is wrong with {key} alone: {', '.join(sorted(named))}")
        left = self.fresh().objects
        if key in left or (adapter.capabilities.atomic and left.keys() != before.keys()):
            raise NotSo("what was refused was done in part")
        return f"of {len(steps)} changes the one that cannot be is named; {self._holds(adapter, site_of())}"

    def _deltas(self, adapter: Adapter) -> str:
        """Changes of a large group by what the adapter remembers alone: in the end a new connection reads just those members."""
        limits = adapter.limits
        wanted = many(min(filter(None, (limits.group_members, limits.shard_members, 100))))
        self._holds(adapter, site_of() | {wanted[0].key: wanted[0]})
        have, calls = adapter.read(EVERYTHING).objects[wanted[0].key], adapter.calls
        for one in wanted[1:]:
            (next_,) = adapter.normalize(Intent(adapter.device, {one.key: one}, complete=False)).values()
            self._update(adapter, have, next_)
            have = next_
        calls = adapter.calls - calls
        if self.fresh().objects.get(have.key) != have:
            raise NotSo("what is read is not what was written")
        return f"{len(wanted) - 1} changes of {len(wanted[0].members)} members, {calls} calls; {self._holds(adapter, site_of())}"

    def _closing(self, adapter: Adapter) -> str:
        """Flows are told by who opened them, and an older owner closes none."""
        found = adapter.flows({FLOW.source})
        strange = [flow for flow in found if flow.source != FLOW.source]
        if strange:
            raise NotSo(f"asked for flows of {FLOW.source}, it tells {strange[0]}")
        with closing(self._factory.open(self._config)) as older:
            try:
                older.close_flows({FLOW}, Fence(self._fence.epoch - 1, INSTALLATION))
            except FencedOff:
                return f"{len(found)} flows of {FLOW.source}; an older epoch may close none; none is closed, for none is ours"
        raise NotSo(f"epoch {self._fence.epoch - 1} could close flows")

    def _active(self, adapter: Adapter) -> str:
        began = self._clock.elapsed()
        while not adapter.active():
            if self._clock.elapsed() - began > _COMPILE_SECONDS:
                raise NotSo(f"the device has not said within {_COMPILE_SECONDS:.0f} s that all is compiled")
            self._clock.wait(threading.Event(), 1.0)
        return f"said after {self._clock.elapsed() - began:.0f} s"

    def _fenced_off(self) -> str:
        """Neither somebody else nor an older owner may write."""
        before = self.fresh().objects
        for fence in (Fence(self._fence.epoch, "somebody-else"), Fence(self._fence.epoch - 1, INSTALLATION)):
            with closing(self._factory.open(self._config)) as adapter:
                gone = Plan(adapter.device, ((Step(Op.DELETE, GROUP, before[GROUP], None),),))
                try:
                    adapter.apply(gone, fence)
                except FencedOff:
                    continue
                raise NotSo(f"epoch {fence.epoch} of {fence.installation} could write")
        if self.fresh().objects != before:
            raise NotSo("something was changed all the same")
        return "an older epoch and another installation are refused"

    # ---- reading and planning

    def _group(self, adapter: Adapter, *members: str) -> DeviceObject:
        part = Intent(adapter.device, {GROUP: Group(GROUP, frozenset(members))}, complete=False)
        return adapter.normalize(part)[GROUP]

    def _update(self, adapter: Adapter, have: DeviceObject, want: DeviceObject) -> None:
        adapter.apply(Plan(adapter.device, ((Step(Op.UPDATE, want.key, have, want),),)), self._fence)

    def _wanted(self, adapter: Adapter, site: Site) -> Objects:
        return adapter.normalize(Intent(adapter.device, site))
