"""Prefix lists on their way to what they should hold: one call at a time for each list, as many lists at once as there are.

A list grows before members come, and is full only of what is there: a call adds no more than there is room for beside what it removes,
for whether EC2 removes first is not documented. So members leave first where, and only where, a list is full.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial

from adapters.aws.client import Client
from adapters.aws.errors import Refusal
from adapters.aws.known import Held, Known, Spot
from adapters.aws.reading import Reader
from adapters.aws.scope import Scope
from adapters.aws.values import PrefixList
from bridge.errors import Drifted, Rejected
from bridge.model.addresses import sort_key
from bridge.model.identity import ObjectKey


@dataclass(frozen=True, slots=True)
class Change:
    """One call about one list: `size` alone, or members; with both it is made."""

    size: int | None = None
    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()


def next_change(held: Held | None, wanted: frozenset[str], scope: Scope, *, fitting: bool = False) -> Change | None:
    """The next call on the way; None at its end. With `fitting` a list is also made as small as it may be."""
    size = scope.size(len(wanted))
    if held is None:
        return Change(size, tuple(sorted(wanted, key=sort_key)[: scope.changes]))
    missing, surplus = wanted - held.members, held.members - wanted
    if missing and len(wanted) > held.told.size:
        return Change(size)
    if missing or surplus:
        room = min(scope.changes, held.told.size - len(held.members))
        add, remove = (sorted(some, key=sort_key) for some in (missing, surplus))
        return Change(None, tuple(add[:room]), tuple(remove[: scope.changes]))
    return Change(size) if fitting and held.told.size > size else None


def prefix(member: str) -> str:
    """A member as EC2 writes it."""
    return member if "/" in member else f"{member}/128" if ":" in member else f"{member}/32"


class Lists:
    """Changes lists of one account, and what is known of them."""

    def __init__(self, client: Client, reader: Reader, known: Known) -> None:
        self._client = client
        self._reader = reader
        self._known = known

    def bring(self, wanted: Mapping[Spot, frozenset[str]], *, fitting: bool = False) -> None:
        """Each list to these members. Rejected names those that EC2 does not take, Drifted says that one is not as it was read."""
        left = dict(wanted)
        while left:
            sent: dict[str, tuple[Spot, Change]] = {}
            for spot, members in list(left.items()):
                change = next_change(self._known.lists.get(spot), members, self._known.scope, fitting=fitting)
                if change is None:
                    del left[spot]
                else:
                    told = self._asked(spot, partial(self._send, spot, change))
                    sent[told.id] = (spot, change)
            if sent:
                self._settle(sent)

    def before_arrivals(self, wanted: Mapping[Spot, frozenset[str]]) -> dict[Spot, frozenset[str]]:
        """As `wanted`, with each address that leaves one of these lists for another kept out of where it goes."""
        there = {spot: held.members if (held := self._known.lists.get(spot)) else frozenset() for spot in wanted}
        leaving = frozenset().union(*(there[spot] - members for spot, members in wanted.items()))
        return {spot: members - (leaving - there[spot]) for spot, members in wanted.items()}

    def growing(self, wanted: Mapping[Spot, frozenset[str]]) -> bool:
        """Whether a list has to become larger for these members."""
        there = self._known.lists
        return any(spot in there and len(members) > there[spot].told.size for spot, members in wanted.items())

    def drop(self, spots: Iterable[Spot]) -> dict[Spot, str]:
        """These lists go; those that somebody else's entry names, or that do not go, stay without members, with the reason."""
        kept: dict[Spot, str] = {}
        going = set()
        for spot in spots:
            told = self._known.lists[spot].told
            words = self._deleted(spot, told)
            if words:
                self._reader.stuck(told)
                kept[spot] = words
            else:
                going.add(told.id)
        still = (
            {one.id: one for one in self._reader.settled(lambda one: one.id in going) if one.failed} if going else {}
        )
        for spot, held in [(spot, held) for spot, held in self._known.lists.items() if held.told.id in going]:
            found = still.get(held.told.id)
            if found is None:
                del self._known.lists[spot]
            else:
                self._reader.stuck(found)
                kept[spot] = f"{found.state}: {found.message}"
                self._known.put(spot, found, held.members)
        self.bring(dict.fromkeys(kept, frozenset()))
        return kept

    def delete(self, lists: Iterable[PrefixList]) -> None:
        """These lists, which hold nothing that is known, go."""
        going = set()
        for told in lists:
            if self._deleted((ObjectKey.fence(), told.family), told):
                self._reader.stuck(told)
            else:
                going.add(told.id)
        if going:
            for one in self._reader.settled(lambda one: one.id in going):
                if one.id in going:
                    self._reader.stuck(one)

    # ---- one call

    def _send(self, spot: Spot, change: Change) -> PrefixList:
        held = self._known.lists.get(spot)
        if held is None:
            key, version = spot
            names = self._known.names
            made = map(prefix, change.add)
            return self._client.create(names.name(key, version), version, change.size or 1, made, names.tags(key))
        if change.size is not None:
            return self._client.resize(held.told, change.size)
        return self._client.modify(held.told, {prefix(one): "" for one in change.add}, map(prefix, change.remove))

    def _deleted(self, spot: Spot, told: PrefixList) -> str:
        """Why a list cannot go; empty when it went."""
        try:
            self._client.delete(told)
        except Refusal as refusal:
            refused = refusal
        else:
            return ""
        if refused.meaning.name == "IN_USE":
            return refused.words
        raise self._meaning(spot, refused)

    def _asked(self, spot: Spot, call: Callable[[], PrefixList]) -> PrefixList:
        try:
            return call()
        except Refusal as refusal:
            refused = refusal
        raise self._meaning(spot, refused)

    def _meaning(self, spot: Spot, refusal: Refusal) -> Drifted | Rejected:
        if refusal.meaning.name in ("CONFLICT", "IN_USE"):
            return Drifted(self._client.device, f"{spot[0]} is not as it was read: {refusal}")
        return Rejected(self._client.device, {str(spot[0]): str(refusal)})

    def _settle(self, sent: Mapping[str, tuple[Spot, Change]]) -> None:
        """Wait until the changes are made, and take what then stands for known."""
        register = self._known.register
        before = {
            name: held.told if (held := self._known.lists.get(spot)) else None for name, (spot, _) in sent.items()
        }
        found = {one.id: one for one in self._reader.changed(before | ({register.id: None} if register else {}))}
        failed = {}
        for name, (spot, change) in sent.items():
            told = found.get(name)
            if told is None:
                raise Drifted(self._client.device, f"{spot[0]}: {name} is gone again")
            was = before[name]
            if told.failed:
                failed[str(spot[0])] = f"{told.state}: {told.message}"
            elif was is not None and not told.differs(was):
                failed[str(spot[0])] = f"EC2 took a change of {name} and did not make it: it is as it was"
            self._take(spot, change, told)
        self._check_register(found)
        if failed:
            raise Rejected(self._client.device, failed)

    def _take(self, spot: Spot, change: Change, told: PrefixList) -> None:
        held = self._known.lists.get(spot)
        before, version = (held.members, held.told.version) if held else (frozenset(), 0)
        if not told.failed and (change.add or change.remove or not held) and told.version == version + 1:
            self._reader.note(told, before - set(change.remove) | set(change.add))
        self._known.put(spot, told, self._reader.members(told))

    def _check_register(self, found: Mapping[str, PrefixList]) -> None:
        """The fence stands in the register: whoever takes over changes it."""
        register = self._known.register
        now = found.get(register.id) if register else None
        if register and (now is None or now.version != register.version):
            raise Drifted(self._client.device, "the register was changed meanwhile")
