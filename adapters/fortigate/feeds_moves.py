"""The steps of a phase that are about feeds, among those that are not; and the moves of a group between feed and objects.

A group has two names then, its address group's and its feed's. A move builds the new form, looks at it, lets our policies name it one by
one (what they let through stays the same with each), and takes the old form away. Where policies of others name the old form it stays; the
step is refused then, and the group keeps, or goes back to, the form that it had.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from adapters.fortigate.client import Client, Refusal, place
from adapters.fortigate.feeds_pushed import Feeds
from adapters.fortigate.groups import HOLDS
from adapters.fortigate.known import Known
from adapters.fortigate.reading import Reader
from adapters.fortigate.rows import POLICY, Placed, Rows
from bridge.errors import Drifted, Rejected
from bridge.model.identity import ObjectKey
from bridge.model.intent import DeviceObject, Group
from bridge.model.plan import Fence, Op, Step

_SIDES = ("name", "srcaddr", "dstaddr", "srcaddr6", "dstaddr6")
_BETWEEN_CHECKS = 25  # single writes after which the fence is looked at again
_IN_USE = "policies that are not ours name the {} {}; let them name the {} {} instead: {}"

Observed = dict[ObjectKey, DeviceObject | None]
Write = Callable[[Sequence[Step]], Mapping[ObjectKey, DeviceObject | None]]


class Moves:
    """Makes the steps about feeds true on one unit; `check` looks at the fence."""

    def __init__(
        self, client: Client, reader: Reader, feeds: Feeds, rows: Rows, check: Callable[[Fence], None]
    ) -> None:
        self._client = client
        self._reader = reader
        self._feeds = feeds
        self._rows = rows
        self._check = check
        self._looked = -_BETWEEN_CHECKS  # at which call the fence was looked at

    def begin(self, steps: Iterable[Step]) -> None:
        """A plan begins: what the fence said before counts no more. NotOwned where a feed of somebody else's is in the way."""
        self._feeds.own(step.key for step in steps if _is_fed(step.before) or _is_fed(step.after))
        self._looked = -_BETWEEN_CHECKS

    def phase(self, steps: Sequence[Step], known: Known, fence: Fence, write: Write) -> Observed:
        """One phase of a plan; `write` does the steps that are about no feed. Raises every error of the contract."""
        fed = [step for step in steps if _is_fed(step.before) or _is_fed(step.after) or step.key in self._feeds]
        if not fed:
            return dict(write(steps))
        self._watch(fence)
        others = [step for step in steps if step not in fed]
        coming = [step.after for step in fed if isinstance(step.after, Group) and step.after.pushed]
        leaving = [step for step in fed if not _is_fed(step.after)]
        moving = {group.key for group in coming if _stands_as_objects(known, group.key)}
        moving |= {step.key for step in leaving if step.key in self._feeds}
        self._feeds.torn |= moving
        self._feeds.change(coming)
        self.seen([group.key for group in coming], known)  # before policies are read that name them
        for group in coming:
            if _stands_as_objects(known, group.key):
                self._to_feed(group, known, fence, write)
        back = [
            Step(Op.DELETE if step.after is None else Op.CREATE, step.key, None, step.after)
            for step in leaving
            if step.after is not None or _stands_as_objects(known, step.key)
        ]
        observed: Observed = dict(write([*others, *back])) if others or back else {}
        for step in leaving:
            self._from_feed(step, known, fence)
        self._feeds.torn -= moving - self._feeds.refused.keys()
        return observed | self.seen([step.key for step in fed], known)

    def _watch(self, fence: Fence) -> None:
        """The fence, where it was not looked at just now, and who answers."""
        if self._client.calls - self._looked >= _BETWEEN_CHECKS:
            self._check(fence)
            self._looked = self._client.calls
        if self._feeds.serial != self._client.serial:
            raise Drifted(
                self._client.device, f"{self._client.serial} answers instead of {self._feeds.serial}: read again"
            )

    def finish(self, known: Known) -> Observed:
        """Look at everything that was pushed, now that the plan is through."""
        return self.seen(self._feeds.verify(), known)

    def refused(self) -> dict[ObjectKey, str]:
        """What could not be, each with the reason; told once."""
        refused, self._feeds.refused = self._feeds.refused, {}
        return refused

    def seen(self, keys: Sequence[ObjectKey], known: Known) -> Observed:
        """What stands of these groups."""
        for key in keys:
            known.settle(key)
        return {key: known.one(key) for key in keys}

    def _to_feed(self, group: Group, known: Known, fence: Fence, write: Write) -> None:
        key = group.key
        self._feeds.verify([key])
        if key in self._feeds.refused:
            self._feeds.drop(key)
            return
        self._feeds.used.add(key)
        self._rename(key, known.names.name(key), self._feeds.name(key), known, fence)
        try:
            write([Step(Op.DELETE, key, group, None)])
        except Rejected as error:
            table = known.forms.tables[0]
            name = known.names.name(key)
            if any((HOLDS[table], name) in one.uses for one in known.placed):
                raise Drifted(self._client.device, f"a policy of ours still names {name}: {error}") from None
            words = ("address group", name, "feed", self._feeds.name(key))
            self._feeds.refused[key] = _IN_USE.format(*words, "; ".join(error.objects.values()))

    def _from_feed(self, step: Step, known: Known, fence: Fence) -> None:
        key = step.key
        if key not in self._feeds:
            return
        self._feeds.used.discard(key)
        self._rename(key, self._feeds.name(key), known.names.name(key), known, fence)
        self._check(fence)
        why = self._feeds.drop(key)
        if not why:
            return
        words = ("feed", self._feeds.name(key), "address group", known.names.name(key))
        self._feeds.refused[key] = _IN_USE.format(*words, why)
        if isinstance(step.after, Group):  # who names the feed is to have its members, as long as there is one
            self._feeds.change([self._feeds.like(step.after, known.objects)])

    def _rename(self, key: ObjectKey, old: str, new: str, known: Known, fence: Fence) -> None:
        """Let our policies name the group by the form that it has from now on."""
        known.keys[old] = known.keys[new] = key
        naming = [one for one in known.placed if any(name == old for _, name in one.uses)]
        for number, one in enumerate(naming):
            if number % _BETWEEN_CHECKS == 0:
                self._check(fence)
            body = self._renamed(key, one) or self._odd(one, old, new)
            self._put(one, {name: value for name, value in body.items() if name in _SIDES})
        if naming:
            self._reader.rules(known)

    def _renamed(self, key: ObjectKey, one: Placed) -> dict[str, Any]:
        """As we would write it with this group by its new name, others as it names them; empty where it is not of our making."""
        if one.row is None or one.row.entry is None:
            return {}
        groups = {*one.row.entry.sources, *one.row.entry.destinations} - {key}
        return self._rows.named_as(one.row.entry, {name for _, name in one.uses}, groups).body(one.row)

    def _odd(self, one: Placed, old: str, new: str) -> dict[str, Any]:
        """The sides of a policy that is not as we would write it, with the new name for the old."""
        shown = self._client.find(place(POLICY, str(one.number)), dict[str, Any]) or {}
        sides = {side: shown.get(side) or [] for side in _SIDES[1:]}
        return {
            side: [{"name": new if row["name"] == old else row["name"]} for row in rows] for side, rows in sides.items()
        }

    def _put(self, one: Placed, body: Mapping[str, Any]) -> None:
        try:
            self._client.write("PUT", place(POLICY, str(one.number)), body)
        except Refusal as refusal:
            if refusal.missing:
                raise Drifted(self._client.device, f"policy {one.number} is gone: read again") from None
            raise Rejected(self._client.device, {str(one.about[0]): refusal.text}) from None


def _is_fed(value: DeviceObject | None) -> bool:
    return isinstance(value, Group) and value.pushed


def _stands_as_objects(known: Known, key: ObjectKey) -> bool:
    return any(known.standing(spot) for spot in known.forms.places(key))
