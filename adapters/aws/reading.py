"""Reading an account: our lists and their members, the register, and the entries of the security groups that matter to us.

A version of a prefix list never changes, so its entries are read once, however often the account is.
"""

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

from adapters.aws.client import Client
from adapters.aws.errors import Refusal
from adapters.aws.known import Held, Known, Spot
from adapters.aws.names import OWNER, Names
from adapters.aws.scope import Scope
from adapters.aws.values import PrefixList
from bridge.errors import Busy, Drifted
from bridge.model.addresses import canonical_member
from bridge.model.identity import ObjectKey

_PAUSES = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
_AGAIN = 600.0  # seconds after which what would not go is tried again, beside the plans that ask for it
_FILTER = 200  # values of one filter
_LATE = 5.0  # seconds in which EC2 may still answer with what stood before a change that it has taken


class Reader:
    """For one owner in one account and region."""

    def __init__(self, client: Client, names: Names, scope: Scope) -> None:
        self._client = client
        self._names = names
        self._scope = scope
        self._read: dict[str, tuple[int, dict[str, str]]] = {}
        self._members: dict[str, tuple[int, frozenset[str]]] = {}
        self._stuck: dict[str, float] = {}

    def look(self) -> Known:
        """The account as it is, once no list of ours is being changed. Busy where it cannot be read."""
        try:
            known = self._sorted(self.settled(self._is_of_us))
            self.look_at_groups(known)
        except Refusal as refusal:
            reason = str(refusal)
        else:
            return known
        raise Busy(self._client.device, f"cannot be read: {reason}")

    def glance(self, known: Known, spots: Collection[Spot]) -> bool:
        """Whether the fence and these lists are as they are known: one call, instead of reading everything."""
        held = [known.lists[spot].told for spot in spots if spot in known.lists]
        if known.register is None:
            return False
        held.append(known.register)
        try:
            found = self._client.named([one.id for one in held])
        except Refusal:
            return False
        return {one.id: one for one in found} == {one.id: one for one in held}

    def changed(self, before: Mapping[str, PrefixList | None]) -> list[PrefixList]:
        """The lists of these ids, as soon as no change of them is under way. Drifted where one is gone.

        `before` is what a list was before it was changed, None where it was not: as long as that is told, EC2 may not yet have looked.
        """
        late = min(_LATE, self._scope.wait / 2)

        def waits(one: PrefixList, waited: float) -> bool:
            was = before[one.id]
            return one.moving or (was is not None and not one.differs(was) and waited < late)

        try:
            return self._waited(lambda: self._client.named(sorted(before)), waits)
        except Refusal as refusal:
            reason = str(refusal)
        raise Drifted(self._client.device, f"a prefix list is gone again: {reason}")

    def settled(self, concerns: Callable[[PrefixList], bool]) -> list[PrefixList]:
        """Every list, as soon as none that concerns us is being changed. Busy where that takes longer than the settings allow."""
        return self._waited(self._client.lists, lambda one, _: one.moving and concerns(one))

    def _waited(
        self, ask: Callable[[], list[PrefixList]], waits: Callable[[PrefixList, float], bool]
    ) -> list[PrefixList]:
        waited, pauses = 0.0, iter(_PAUSES)
        while True:
            found = ask()
            moving = [one.id for one in found if waits(one, waited)]
            if not moving:
                return found
            if waited >= self._scope.wait:
                reason = f"{', '.join(moving)}: not complete after {self._scope.wait:g} seconds"
                raise Busy(self._client.device, reason)
            pause = next(pauses, _PAUSES[-1])
            time.sleep(pause)
            waited += pause

    def look_at_groups(self, known: Known) -> None:
        """The entries of the named security groups, and ours wherever they are; and which of these groups are not there.

        One that has any entry is there, and nearly each has one that lets out; after the others one call asks.
        """
        named = [place.group for place in self._scope.places]
        rules, there = self._client.rules(f"tag:{OWNER}", [self._names.owner])
        found = {rule.id: rule for rule in rules}
        for some in _by(_FILTER, named):
            rules, seen = self._client.rules("group-id", some)
            found.update((rule.id, rule) for rule in rules)
            there |= seen
        for some in _by(_FILTER, [name for name in named if name not in there]):
            there |= self._client.groups(some)
        known.rules, known.missing = tuple(found.values()), frozenset(named) - there

    def entries(self, told: PrefixList) -> dict[str, str]:
        """The entries of a list, read once for each version."""
        held = self._read.get(told.id)
        if held is None or held[0] != told.version:
            held = self._read[told.id] = (told.version, self._client.entries(told))
        return held[1]

    def members(self, told: PrefixList) -> frozenset[str]:
        """The members that a list holds."""
        held = self._members.get(told.id)
        if held is None or held[0] != told.version:
            held = self._members[told.id] = (told.version, frozenset(map(canonical_member, self._client.entries(told))))
        return held[1]

    def note(self, told: PrefixList, members: frozenset[str]) -> None:
        """What a version holds that we made ourselves."""
        self._members[told.id] = (told.version, members)

    def keep(self, told: PrefixList, entries: dict[str, str]) -> None:
        """What a version of the register holds that we made ourselves."""
        self._read[told.id] = (told.version, entries)

    def stuck(self, told: PrefixList) -> None:
        """A list did not go."""
        self._stuck[told.id] = time.monotonic()

    def is_stuck(self, told: PrefixList) -> bool:
        """Whether a list did not go some minutes ago: it would hardly go now."""
        return time.monotonic() - self._stuck.get(told.id, float("-inf")) < _AGAIN

    def _is_of_us(self, one: PrefixList) -> bool:
        return one.tags.get(OWNER) == self._names.owner or one.name.startswith(f"{self._names.owner}/")

    def _sorted(self, found: Sequence[PrefixList]) -> Known:
        known = Known(self._names, self._scope)
        for told in sorted(found, key=lambda one: one.id):
            key = self._names.key(told.name, told.family, told.tags)
            if key is None:
                known.others.append(told)
                if told.name.startswith(f"{self._names.owner}/"):
                    known.strange[told.name] = told.id
            elif told.state == "create-failed":
                known.surplus.append(told)
            elif key == ObjectKey.fence():
                self._take_register(known, told)
            elif (key, told.family) in known.lists:
                known.surplus.append(told)
            else:
                known.lists[key, told.family] = Held(told, self.members(told))
        return known

    def _take_register(self, known: Known, told: PrefixList) -> None:
        if known.register is None:
            known.register, known.entries = told, dict(self.entries(told))
        else:
            known.surplus.append(told)


def _by(count: int, names: Sequence[str]) -> Iterator[Sequence[str]]:
    return (names[at : at + count] for at in range(0, len(names), count))
