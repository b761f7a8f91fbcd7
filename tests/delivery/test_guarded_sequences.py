"""Changes, decisions, stops and restarts in any order under a strict guard: what is held is exactly what is named."""

from dataclasses import dataclass, field
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.model.addresses import covers, subtract
from bridge.model.capabilities import Form
from bridge.model.decisions import Choice, Decision, Stop
from bridge.model.identity import Kind, ObjectKey
from bridge.model.intent import Group, Objects, Shard
from bridge.model.observed import Change, Pod
from bridge.model.plan import HoldKind
from bridge.policy.guard import GuardLimits, Threshold
from bridge.state.desired import HeldList, ListState
from tests.delivery.sequences import MANY_TURNS, PACKETS, STATES, Line, Picture, check_end, check_quiet, meant_by
from tests.delivery.sequences import _allows as allows
from tests.intake import fold
from tests.state.builders import START

STRICT = GuardLimits(Threshold(0, 0), Threshold(0, 0), Threshold(0, 0), destination=1e-7)
FORMS = st.sampled_from((Form.TIERED, Form.FLAT, Form.ALLOW_ONLY))
STEP = st.one_of(
    st.sampled_from(sorted(STATES)),
    st.sampled_from(("release", "reject", "release", "stop", "start", "restart", "audit", "relist")),
)
STOP = Stop("east", "s", "s", (), "bob", "a test", START)


@dataclass
class Guarded(Line):
    """A line that holds everything that it may, and people who decide about that."""

    guard: GuardLimits = field(default=STRICT)
    written: int = 0

    def go(self, picture: Picture, *, split: float, restart: float) -> None:
        """As the line does; but some pods are found gone instead of seen going."""
        for key in [key for key in self.there if key not in picture]:
            value = self.there[key]
            if isinstance(value, Pod) and self.random.random() < 0.5:
                del self.there[key]
                self.intake.take([fold.event(Change.GONE, value)])
        super().go(picture, split=split, restart=restart)

    def decide(self, about: HeldList, verdict: Choice) -> None:
        """Somebody decides about a list, be it what it may."""
        self.written += 1
        name = f"d{self.written}"
        decision = Decision("east", name, name, "edge", about.digest, verdict, "ann", "a test", START)
        self.state.order(stops=self.state.orders.stops, decisions=[*self.state.orders.decisions, decision])

    def act(self, what: str) -> None:
        """One step of a sequence."""
        if what in STATES:
            self.go(STATES[what], split=self.random.choice((0.0, 0.3)), restart=self.random.choice((0.0, 0.3)))
        elif what in ("release", "reject"):
            if self.state.lists:
                about = self.random.choice(list(self.state.lists.values()))
                self.decide(about, Choice.RELEASE if what == "release" else Choice.REJECT)
        elif what in ("stop", "start"):
            stops = [STOP] if what == "stop" else []
            self.state.order(stops=stops, decisions=self.state.orders.decisions)
        elif what == "restart":
            self.restart_delivery()
        elif what == "relist":
            self.clock.seconds += 400
        else:
            self.worker.audit()
        if self.random.random() < 0.6:
            self.clock.seconds += self.worker.turn(1)

    def rest(self) -> None:
        """Until nothing changes any more, and everything that is held is listed."""
        self.settle()
        self.clock.seconds += 400
        self.settle()

    def held(self, *states: ListState) -> dict[tuple[ObjectKey, HoldKind], frozenset[str]]:
        """What lists of these states name."""
        found: dict[tuple[ObjectKey, HoldKind], frozenset[str]] = {}
        for one in self.state.lists.values():
            for part in one.held if one.state in states else ():
                place = part.key, part.kind
                found[place] = found.get(place, frozenset()) | part.members
        return found


def _members(objects: Objects, key: ObjectKey) -> frozenset[str]:
    group = objects.get(key)
    assert isinstance(group, Group), key
    parts = (objects[part] for part in group.references())
    return group.members.union(*(part.members for part in parts if isinstance(part, Shard)))


def check_named(line: Guarded) -> None:
    """Each group is as it is wanted but for members that a list names; everything else is just as it is wanted."""
    named = line.held(ListState.HELD, ListState.REJECTED)
    objects = line.worker.verified
    for key, row in line.state.rows.items():
        assert not row.gone, key
        if key.kind is not Kind.GROUP:
            assert key in objects
            continue
        wanted = frozenset(line.state.members.get(key, ())) if row.body is None else _body(row.body)
        here = _members(objects, key)
        leaves = named.get((key, HoldKind.REMOVAL), frozenset())
        joins = frozenset[str]().union(
            *(named.get((key, kind), ()) for kind in HoldKind if kind is not HoldKind.REMOVAL)
        )
        # By addresses: parts of what waits to join stay meanwhile, if they were there, and parts of what waits to leave do not join.
        assert covers(leaves | joins, subtract(here, wanted)), key
        assert covers(joins, subtract(wanted, here)), key
    groups = {key.group for key in objects if key.kind in (Kind.GROUP, Kind.SHARD)}
    assert groups <= line.state.rows.keys()


def _body(body: object) -> frozenset[str]:
    assert isinstance(body, Group)
    return body.members


@settings(max_examples=20)
@given(FORMS, st.lists(STEP, min_size=2, max_size=10), st.integers(0, 2**32 - 1))
def test_any_sequence_of_changes_decisions_stops_and_restarts(form: Form, steps: list[str], seed: int) -> None:
    line = Guarded(form, Random(seed))
    line.go(STATES["beginning"], split=0.0, restart=0.0)
    line.settle()
    last = "beginning"
    for step in steps:
        line.act(step)
        last = step if step in STATES else last
    line.state.order(decisions=line.state.orders.decisions)
    line.rest()
    check_named(line)
    lists = dict(line.state.lists)
    line.restart_delivery()
    line.rest()
    check_named(line)
    assert {one.digest for one in line.state.lists.values() if one.state is ListState.HELD} == {
        digest for digest, one in lists.items() if one.state is ListState.HELD
    }, "a restart decides nothing"
    for _ in range(MANY_TURNS):
        waiting = [one for one in line.state.lists.values() if one.state in (ListState.HELD, ListState.REJECTED)]
        if not waiting:
            break
        line.decide(waiting[0], Choice.RELEASE)
        line.rest()
    check_end(line, meant_by(STATES[last], line.target))
    check_quiet(line)


@settings(max_examples=12)
@given(FORMS, st.lists(STEP, min_size=1, max_size=6), st.sampled_from(sorted(STATES)), st.integers(0, 2**32 - 1))
def test_nothing_opens_on_the_way(form: Form, steps: list[str], target: str, seed: int) -> None:
    """Between any two moments of rest no packet passes that neither of them lets pass, whatever is held, released or stopped meanwhile."""
    line = Guarded(form, Random(seed))
    line.go(STATES["beginning"], split=0.0, restart=0.0)
    for step in steps:
        line.act(step)
    line.state.order(decisions=line.state.orders.decisions)
    line.rest()
    for way in ("change", "release"):
        decide = line.box.now()
        before = {packet: decide(packet) for packet in PACKETS}
        line.box.forget()
        if way == "change":
            line.go(STATES[target], split=0.0, restart=0.0)
        else:
            for one in list(line.state.lists.values()):
                if one.state is ListState.HELD:
                    line.decide(one, Choice.RELEASE)
        line.rest()
        decide = line.box.now()
        after = {packet: decide(packet) for packet in PACKETS}
        for number, moment in enumerate(line.box.moments()):
            for packet in PACKETS:
                if not allows(form, before[packet]) and not allows(form, after[packet]):
                    assert not allows(form, moment(packet)), (way, number, packet)


@pytest.mark.parametrize("form", list(Form))
def test_a_strict_guard_holds_something_in_these_states(form: Form) -> None:
    """Or the tests above would show nothing."""
    line = Guarded(form, Random(0))
    line.go(STATES["beginning"], split=0.0, restart=0.0)
    line.settle()
    kinds: set[HoldKind] = set()
    for name in STATES:
        line.go(STATES[name], split=0.0, restart=0.0)
        line.rest()
        kinds |= {kind for _, kind in line.held(ListState.HELD)}
    assert {HoldKind.REMOVAL, HoldKind.WIDENING, HoldKind.GROWTH, HoldKind.DESTINATION} <= kinds
