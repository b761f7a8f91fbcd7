"""A plan made true, phase by phase: lists first, then the register, then the entries of security groups, and last the lists that go.

Whatever call is the last, what stands is told by the next read: the register says what was meant, and while anything is attached an entry
that is missing, or one too many, is told as an attachment that does not stand. So entries come before others go, and where nothing is
attached any more they go before the register forgets them.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from adapters.aws.canonical import canonical
from adapters.aws.client import Client
from adapters.aws.compiled import families
from adapters.aws.known import Known, Spot
from adapters.aws.lists import Lists
from adapters.aws.permits import Permits
from adapters.aws.reading import Reader
from adapters.aws.recording import Recording
from adapters.aws.records import Recorded, kept
from adapters.aws.scope import FAMILIES, V6, family
from bridge.errors import Drifted
from bridge.model.identity import ObjectKey
from bridge.model.intent import Attachment, DeviceObject, FenceState, Group, Shard
from bridge.model.plan import Fence, Plan, Step

Ends = Mapping[ObjectKey, DeviceObject | None]


class Writer:
    """Writes to one account, and keeps what is known of it up to date. `ends` is how each object of the plan ends."""

    def __init__(self, client: Client, reader: Reader, known: Known, ends: Ends) -> None:
        self._device = client.device
        self._known = known
        self._reader = reader
        self._lists = Lists(client, reader, known)
        self._register = Recording(client, reader, known)
        self._permits = Permits(client, reader, known, ends)

    def raise_fence(self, fence: Fence) -> None:
        """The epoch and the installation into the register."""
        self._register.write({ObjectKey.fence(): FenceState(fence.epoch, fence.installation)}, ())

    def tidy(self) -> None:
        """What an apply that was stopped has left, and what nobody should have made in our name: entries, lists, pieces of records."""
        self._permits.revoke_strays()
        self._lists.delete(one for one in self._known.surplus if not self._reader.is_stuck(one))
        self._known.surplus = [one for one in self._known.surplus if self._reader.is_stuck(one)]
        keys = {key for key, _ in self._known.lists}
        left = [(key, V6) for key in keys if (key, V6) in self._known.lists and not self._known.lists[key, V6].members]
        left += [spot for key in keys if key not in self._known.objects() for spot in self._spots(key)]
        self._lists.drop({spot for spot in left if not self._reader.is_stuck(self._known.lists[spot].told)})
        if self._known.said.odd:
            self._register.write({}, ())

    def phase(self, steps: Sequence[Step]) -> dict[ObjectKey, str]:
        """The steps of one phase; the objects that could not go, each with the reason."""
        now = self._known.objects()
        ends = {step.key: self._end(step, now) for step in steps}
        after = {key: value for key, value in {**now, **ends}.items() if value is not None}
        wanted = self._wanted(ends)
        if self._lists.growing(wanted):
            self.fit(besides=wanted)
        self._lists.bring(self._lists.before_arrivals(wanted))
        self._lists.bring(wanted)
        if any(isinstance(value, Attachment) for value in after.values()):
            self._record(ends)
            self._permits.bring(after, ends)
        else:
            self._permits.bring(after, ends)
            self._record(ends)
        stayed = self._lists.drop(self._leaving(ends))
        return {key: words for (key, _), words in stayed.items() if ends.get(key) is None}

    def fit(self, *, besides: Collection[Spot] = ()) -> None:
        """No list, besides these, larger than it should be: its size weighs wherever it is referred to."""
        there = {spot: held.members for spot, held in self._known.lists.items() if spot not in besides}
        self._lists.bring(there, fitting=True)

    # ---- what a phase asks for

    def _end(self, step: Step, now: Mapping[ObjectKey, DeviceObject]) -> DeviceObject | None:
        """How the object ends. Drifted where neither stands what the step starts from, nor what it leads to."""
        before, after = (
            None if one is None else canonical(one, self._known.scope) for one in (step.before, step.after)
        )
        if now.get(step.key) not in (before, after):
            raise Drifted(self._device, f"{step.key} is not as it was read")
        return after

    def _wanted(self, ends: Ends) -> dict[Spot, frozenset[str]]:
        """What lists are to hold; those of a family that has no members any more nothing, until they go."""
        found: dict[Spot, frozenset[str]] = {}
        for key, value in ends.items():
            if isinstance(value, Shard) or (isinstance(value, Group) and not value.shards):
                wanted = families(value.members)
                for version in FAMILIES:
                    if version in wanted:
                        found[key, version] = frozenset(one for one in value.members if family(one) == version)
                    elif (key, version) in self._known.lists:
                        found[key, version] = frozenset()
        return found

    def _leaving(self, ends: Ends) -> list[Spot]:
        found: list[Spot] = []
        for key, value in ends.items():
            found += self._known.stale(value) if value is not None else self._spots(key)
        return found

    def _spots(self, key: ObjectKey) -> list[Spot]:
        return [spot for version in FAMILIES if (spot := (key, version)) in self._known.lists]

    def _record(self, ends: Ends) -> None:
        put: dict[ObjectKey, Recorded] = {
            key: value for key, value in ends.items() if value is not None and kept(value)
        }
        self._register.write(put, [key for key in ends if key not in put])


def final(steps: Iterable[Step]) -> dict[ObjectKey, DeviceObject | None]:
    """How each object of a plan ends."""
    return {step.key: step.after for step in steps}


def phases_of(plan: Plan, known: Known) -> Sequence[Sequence[Step]]:
    """The phases of a plan; a single one where nothing but members of lists changes, and no list has to become larger.

    Then each list has either what it had or what it is to have, which is all that the order of the phases is for; and what leaves one
    list for another goes first in any case.
    """
    wanted = {key: value for key, value in final(plan.steps).items() if value is not None}
    if not members_only(plan.steps) or not all(_fits(value, known) for value in wanted.values()):
        return plan.phases
    first = {step.key: step for step in reversed(plan.steps)}
    return (tuple(replace(first[key], after=value) for key, value in wanted.items()),)


def _fits(value: DeviceObject, known: Known) -> bool:
    """Whether the lists that stand there take these members as they are, and none of them would go."""
    counts = Counter(map(family, getattr(value, "members", ())))
    spots = {(value.key, version): counts[version] for version in families(getattr(value, "members", ()))}
    there = known.lists
    return not known.stale(value) and all(
        spot in there and count <= there[spot].told.size for spot, count in spots.items()
    )


def members_only(steps: Iterable[Step]) -> bool:
    """Whether nothing but members changes: then nothing has to be known but the fence and the lists that change."""
    return all(_has_members(step.before) and _has_members(step.after) for step in steps)


def _has_members(value: DeviceObject | None) -> bool:
    return isinstance(value, Shard) or (isinstance(value, Group) and not value.shards)
