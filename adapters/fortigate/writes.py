"""From the steps of a phase to calls: what must be there before, what changes, and what nobody needs after. Pure."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from adapters.fortigate import addresses, schedules, services
from adapters.fortigate.block import Block, Write
from adapters.fortigate.canonical import RULES, UNUSED
from adapters.fortigate.client import place
from adapters.fortigate.groups import HOLDS, Forms, Place
from adapters.fortigate.known import Known
from adapters.fortigate.layout import layout
from adapters.fortigate.rows import Row, Rows
from adapters.fortigate.schedules import SCHEDULE
from adapters.fortigate.scope import Scope
from adapters.fortigate.services import SERVICE
from bridge.model.identity import Kind, ObjectKey
from bridge.model.intent import DeviceObject, Group, Ports, Shard
from bridge.model.plan import Step

_LARGE, _FEW = 32, 4  # members of a group, and changes of it, for which those are less to send than the whole
_GROUPS = (
    4  # in which several members change, from which on they are fewer calls as wholes, for all are read back together
)


@dataclass(slots=True)
class Draft:
    """The calls of one phase. `words` are the shared entries that it makes or mends, `going` those that it takes away, by place.

    `moved` are groups in or out of which single members go, each with the names that it then holds; `touched` is what is to be read back;
    `swept` is what goes of a family that the settings no longer have.
    """

    known: Known
    rows: Rows
    scope: Scope
    at_once: bool
    early: list[Write] = field(default_factory=list)
    change: list[Write] = field(default_factory=list)
    late: list[Write] = field(default_factory=list)
    words: dict[Place, str] = field(default_factory=dict)
    going: dict[Place, ObjectKey] = field(default_factory=dict)
    touched: set[Place] = field(default_factory=set)
    moved: dict[Place, frozenset[str]] = field(default_factory=dict)
    swept: set[Place] = field(default_factory=set)
    _delta: Counter[Place] = field(default_factory=Counter)
    _few: dict[Place, tuple[ObjectKey, Group | Shard]] = field(default_factory=dict)

    @property
    def writes(self) -> list[Write]:
        """All calls in order."""
        return [*self.early, *self.change, *self.late]

    def draw(self, steps: Sequence[Step]) -> None:
        """Take in all steps of the phase."""
        for step in steps:
            if step.key.kind not in RULES and step.key != UNUSED:
                self._entries(step)
        self._change_few()
        rules = [step for step in steps if step.key.kind in RULES]
        before = self.known.ruled
        after = self._block(rules) if rules else before
        leftover = any(step.key == UNUSED for step in steps)
        self._clean(steps, before, after, leftover=leftover)

    @property
    def _forms(self) -> Forms:
        return self.known.forms

    def _entries(self, step: Step) -> None:
        """A group, a part of one, or a set of ports."""
        after = step.after
        for word in dict.fromkeys(self._forms.words(after)) if after is not None else ():
            self._word(step.key, *word)
        for spot in self._forms.places(step.key):
            self._count(spot, after)
            if after is None:
                if self.known.standing(spot):
                    self.touched.add(spot)
                    self.late.append(Write(step.key, "DELETE", place(*spot)))
            elif not self.known.standing(spot):
                self.touched.add(spot)
                body = {"name": spot[1]} | self._forms.body(spot, after)
                self.early.append(Write(step.key, "POST", place(spot[0]), body))
            elif not self._stands(spot, after):
                self._change(step.key, spot, after)

    def _change(self, key: ObjectKey, spot: Place, value: DeviceObject) -> None:
        table, name = spot
        held = self.known.groups[table].get(name) if table in HOLDS else None
        if held is not None and held.sound and isinstance(value, Group | Shard):
            wanted = self._forms.members(table, value)
            if len(wanted) >= _LARGE and len(wanted ^ held.members) <= _FEW:
                self._few[spot] = key, value
                return
        self._whole(key, spot, value)

    def _change_few(self) -> None:
        """Few members of a large group go by themselves; the unit refuses one that is there, or that is not.

        Those that join come first: a prefix that takes the place of a part of it would else leave a gap, which opens where a policy denies.
        """
        known = self.known
        wanted = {(table, name): self._forms.members(table, value) for (table, name), (_, value) in self._few.items()}
        several = [spot for spot, names in wanted.items() if len(names ^ known.groups[spot[0]][spot[1]].members) > 1]
        for spot, (key, value) in self._few.items():
            if len(several) >= _GROUPS and spot in several:
                self._whole(key, spot, value)
                continue
            table, name = spot
            held, self.moved[spot] = known.groups[table][name].members, wanted[spot]
            for one in sorted(wanted[spot] - held):
                self.change.append(Write(key, "POST", place(table, name, "member"), {"name": one}))
            for one in sorted(held - wanted[spot]):
                self.change.append(Write(key, "DELETE", place(table, name, "member", one)))

    def _whole(self, key: ObjectKey, spot: Place, value: DeviceObject) -> None:
        self.touched.add(spot)
        self.change.append(Write(key, "PUT", place(*spot), self._mended(spot, value)))

    def _stands(self, spot: Place, value: DeviceObject) -> bool:
        table, name = spot
        if isinstance(value, Ports):
            return self.known.ports.get(name) == value.ports
        held = self.known.groups[table].get(name)
        if held is None or not isinstance(value, Group | Shard):
            return False
        return held.sound and held.members == self._forms.members(table, value)

    def _mended(self, spot: Place, value: DeviceObject) -> dict[str, object]:
        body = self._forms.body(spot, value)
        held = self.known.groups[spot[0]].get(spot[1]) if spot[0] in HOLDS else None
        return (
            body
            if held is None or held.sound
            else body | {"type": "default", "exclude": "disable", "exclude-member": []}
        )

    def _count(self, spot: Place, value: DeviceObject | None) -> None:
        """How often shared entries are named when the phase is over."""
        table, name = spot
        if table not in HOLDS:
            return
        held = self.known.groups[table].get(name)
        before = held.members if held else frozenset[str]()
        after = self._forms.members(table, value) if isinstance(value, Group | Shard) else frozenset[str]()
        for one in before - after:
            self._delta[HOLDS[table], one] -= 1
        for one in after - before:
            self._delta[HOLDS[table], one] += 1

    def _word(self, key: ObjectKey, table: str, word: str) -> None:
        """A shared entry, where it does not stand as it should."""
        spot = (table, self._forms.names.shared(word))
        stands = self.known.words[table].get(spot[1])
        if stands == word or spot in self.words:
            return
        self.words[spot] = word
        body = self._content(table, word)
        if stands is None:
            trimmed = {name: value for name, value in body.items() if value != ""}
            self.early.append(Write(key, "POST", place(table), {"name": spot[1]} | trimmed))
        else:
            self.early.append(Write(key, "PUT", place(*spot), body))

    def _content(self, table: str, word: str) -> dict[str, object]:
        """All that we say of a shared entry but its name."""
        if table == SCHEDULE:
            return dict(schedules.body(word))  # nothing there to hold a mark
        content = services.body(word) if table == SERVICE else addresses.body(table, word)
        return {"comment": self._forms.names.mark(word), **content}

    def _block(self, steps: Sequence[Step]) -> frozenset[Place]:
        """The calls that change our policies; which shared entries those name afterwards."""
        objects = (
            dict(self.known.rules) if self.scope.policies else {}
        )  # where people write policies all of them go, from the bottom
        for step in steps if self.scope.policies else ():
            if step.after is None:
                objects.pop(step.key, None)
            else:
                objects[step.key] = step.after
        wanted = layout(objects)
        for row in wanted:
            for table, word in self.rows.words(row):
                self._word(row.key, table, word)
        known = self.known
        block = Block(
            self.rows, known.placed, known.numbers, known.anchor, before=self.scope.before, at_once=self.at_once
        )
        self.change += block.become(wanted)
        return frozenset(self._named(wanted))

    def _named(self, rows: Iterable[Row]) -> Iterator[Place]:
        for row in rows:
            yield from ((table, self._forms.names.shared(word)) for table, word in self.rows.words(row))

    def _clean(
        self, steps: Sequence[Step], before: frozenset[Place], after: frozenset[Place], *, leftover: bool
    ) -> None:
        """Shared entries that nothing of ours names any more."""
        known = self.known
        halves = known.halves - {step.key for step in steps} if leftover else ()
        for key in sorted(halves):
            for spot in filter(known.standing, self._forms.places(key)):
                self._count(spot, None)
                self.touched.add(spot)
                first = 0 if key.kind is Kind.GROUP else len(self.late)  # what nests parts goes before those
                self.late.insert(first, Write(key, "DELETE", place(*spot)))
        for spot in known.stale if leftover else ():
            if spot not in before:  # a policy of ours still names it: it goes when that has changed
                self.swept.add(spot)
                self.late.append(Write(UNUSED, "DELETE", place(*spot)))
        maybe = {spot for spot, more in self._delta.items() if more < 0} | (before - after)
        maybe |= known.unused().keys() if leftover else set()
        for spot in sorted(maybe):
            table, name = spot
            if name not in known.words.get(table, {}) or spot in after or spot in known.kept:
                continue
            if known.used[spot] + self._delta[spot] <= 0:
                self.going[spot] = steps[0].key
                self.late.append(Write(steps[0].key, "DELETE", place(*spot)))
