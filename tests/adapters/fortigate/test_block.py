"""From one order of policies to another: what is done call by call ends right, and on the way nothing decides that neither end does."""

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.fortigate.block import Block, Write, longest_rising
from adapters.fortigate.layout import gathered, layout
from adapters.fortigate.names import Names
from adapters.fortigate.rows import Placed, Row, Rows, same
from adapters.fortigate.scope import Scope, Template
from bridge.model.identity import Kind, ObjectKey
from bridge.model.identity import Scope as KeyScope
from bridge.model.intent import DeviceObject, Policy, RuleEntry, RuleList
from bridge.model.policy import Action, Protocol, Tier
from bridge.model.tiers import attachment, policy_key

ROWS = Rows(Names("fb"), Scope(policies=True, anchor="site"))
GROUPS = [ObjectKey(Kind.GROUP, "prod", KeyScope.SERVICE, "shop", name) for name in ("cart", "web")]
KEYS = [ObjectKey(Kind.RULE_LIST, "prod", KeyScope.NAMESPACE, name) for name in ("bank", "shop")]
SOURCES = [(GROUPS[0],), (GROUPS[1],), tuple(GROUPS)]
SAID = {"a": (Action.DENY, SOURCES[0]), "b": (Action.ALLOW, SOURCES[2]), "c": (Action.DENY, SOURCES[1])}
THEIRS, ANCHOR = 1, 2


@st.composite
def blocks(draw: st.DrawFn) -> dict[ObjectKey, DeviceObject]:
    """A few lists with a few lines in one tier, which is attached or not."""
    objects: dict[ObjectKey, DeviceObject] = {}
    for key in draw(st.lists(st.sampled_from(KEYS), unique=True, min_size=draw(st.integers(0, 1)))):
        names = draw(st.permutations("abcd"))[: draw(st.integers(0, 4))]
        actions = st.sampled_from([Action.ALLOW, Action.DENY])
        # What a line says follows from its name, so that it can be the same in another place.
        said = {name: draw(st.tuples(actions, st.sampled_from(SOURCES))) for name in "d"} | SAID
        made = [RuleEntry(name, *said[name], (GROUPS[1],)) for name in names]
        objects[key] = RuleList(key, tuple(made))
    if draw(st.integers(0, 5)):
        named = draw(st.permutations(list(objects)))
        policy = Policy(policy_key(Tier.NAMESPACE), tuple(named))
        objects[policy.key] = policy
        if draw(st.integers(0, 3)):
            one = attachment(Tier.NAMESPACE)
            objects[one.key] = one
    return objects


class Box:
    """A list of policies that does what the calls say."""

    def __init__(self) -> None:
        self.order = [THEIRS, ANCHOR]
        self.rows: dict[int, Row] = {}
        self.states: list[tuple[str, ...]] = []
        self.decided: list[dict[ObjectKey, Action | None]] = []
        self.names: dict[int, str] = {}
        self.amiss: dict[int, tuple[ObjectKey, str]] = {}  # what somebody changed, and what it was about

    def damage(self, number: int, entry: RuleEntry) -> None:
        """Let a policy say something else."""
        was = self.rows[number]
        self.amiss[number] = was.about
        self.rows[number] = Row(was.key, entry, was.live)

    def placed(self) -> list[Placed]:
        return [self._placed(one, self.rows[one]) for one in self.order if one > 2]

    def _placed(self, number: int, row: Row) -> Placed:
        amiss = self.amiss.get(number)
        return Placed(number, amiss or row.about, row.live, None if amiss else row)

    def become(self, wanted: Sequence[Row], *, at_once: bool) -> None:
        block = Block(ROWS, self.placed(), self.order, ANCHOR, before=True, at_once=at_once)
        bodies = {ROWS.body(row)["name"]: row for row in wanted}
        self.states, self.decided = [self.deciding()], [self.verdicts()]
        for write in block.become(wanted):
            self._do(write, bodies)
            self.states.append(self.deciding())
            self.decided.append(self.verdicts())

    def deciding(self) -> tuple[str, ...]:
        """What decides, in its order."""
        rows = (self.rows.get(one) for one in self.order)
        return tuple(f"{row.key} {ROWS.content(row)}" for row in rows if row and row.entry and row.live)

    def verdicts(self) -> dict[ObjectKey, Action | None]:
        """What becomes of a packet from each group; None where nothing of ours decides."""
        rows = [row for one in self.order if (row := self.rows.get(one)) and row.entry and row.live]
        entries = [row.entry for row in rows if row.entry]
        return {group: next((one.action for one in entries if group in one.sources), None) for group in GROUPS}

    def _do(self, write: Write, bodies: dict[str, Row]) -> None:
        number = int(write.path.rpartition("/")[2]) if write.method != "POST" else 0
        body = write.body or {}
        if write.method == "POST":
            number = int(body["policyid"])
            assert number not in self.order
            row = bodies[body["name"]]
            assert body["name"] not in self.names.values(), "FortiOS wants each name once"
            self.names[number] = body["name"]
            self.rows[number] = Row(row.key, row.entry, body["status"] == "enable")
            self.order.append(number)
        elif write.method == "DELETE":
            self.order.remove(number)
            del self.rows[number], self.names[number]
            self.amiss.pop(number, None)
        elif write.query:
            self.order.remove(number)
            side = "after" if "after" in write.query else "before"
            self.order.insert(self.order.index(int(write.query[side])) + (side == "after"), number)
        else:
            self.names[number] = body.get("name", self.names[number])
            row = bodies.get(body.get("name", ""), self.rows[number])
            if body.get("name") in bodies:
                self.amiss.pop(number, None)
            live = body["status"] == "enable" if "status" in body else self.rows[number].live
            self.rows[number] = Row(row.key, row.entry, live)


def is_prefix_over_old(state: Sequence[str], old: Sequence[str], new: Sequence[str]) -> bool:
    """Whether the first match of any packet is that of the new lines or of the old: new lines from the top, then old ones in order."""
    for cut in range(len(new) + 1):
        if list(state[:cut]) == list(new[:cut]):
            rest = iter(old)
            if all(line in rest for line in state[cut:]):
                return True
    return False


@settings(max_examples=150, deadline=None)
@given(st.lists(blocks(), min_size=2, max_size=4), st.booleans(), st.data())
def test_a_block_becomes_another(
    sites: list[dict[ObjectKey, DeviceObject]], at_once: bool, data: st.DataObject
) -> None:
    """Also where somebody has made something else of a few policies meanwhile."""
    box = Box()
    for objects in sites:
        wanted = layout(objects)
        for number in (
            data.draw(st.lists(st.sampled_from(sorted(box.rows)), unique=True, max_size=2)) if box.rows else ()
        ):
            action, sources = data.draw(st.sampled_from(list(SAID.values())))
            box.damage(number, RuleEntry("x", action, sources, (GROUPS[1],)))
        box.become(wanted, at_once=at_once)
        assert [box.rows[one] for one in box.order if one > 2] == wanted
        assert box.order[0] == THEIRS
        assert box.order[-1] == ANCHOR
        assert gathered(box.placed()) == objects
        for verdicts in () if at_once else box.decided:
            for group, now in verdicts.items():
                assert now in (box.decided[0][group], box.decided[-1][group]), (group, box.states)
        again = Block(ROWS, box.placed(), box.order, ANCHOR, before=True, at_once=at_once)
        assert again.become(wanted) == []


def test_new_lines_come_from_the_top_and_old_ones_go_from_the_bottom() -> None:
    def site(*lines: tuple[str, Action]) -> dict[ObjectKey, DeviceObject]:
        made = tuple(
            RuleEntry(name, action, (GROUPS[number % 2],), (GROUPS[1],)) for number, (name, action) in enumerate(lines)
        )
        policy, one = Policy(policy_key(Tier.NAMESPACE), (KEYS[0],)), attachment(Tier.NAMESPACE)
        return {KEYS[0]: RuleList(KEYS[0], made), policy.key: policy, one.key: one}

    box = Box()
    box.become(layout(site(("a", Action.DENY), ("b", Action.ALLOW), ("c", Action.DENY))), at_once=False)
    assert len(box.deciding()) == 3
    box.become(layout(site(("x", Action.ALLOW), ("y", Action.DENY))), at_once=False)
    old, new = box.states[0], box.states[-1]
    assert len(new) == 2
    assert all(is_prefix_over_old(state, old, new) for state in box.states), box.states


def test_a_line_that_comes_later_now_goes_down_past_none_that_is_still_there() -> None:
    """`first` goes behind `last` while `more`, on its way out, stands between: what `first` denies, `more` must not let through."""

    def site(*entries: RuleEntry) -> dict[ObjectKey, DeviceObject]:
        policy, one = Policy(policy_key(Tier.NAMESPACE), (KEYS[0],)), attachment(Tier.NAMESPACE)
        return {KEYS[0]: RuleList(KEYS[0], entries), policy.key: policy, one.key: one}

    first = RuleEntry("first", Action.DENY, (GROUPS[0],), (GROUPS[1],), Protocol.TCP)
    more = RuleEntry("more", Action.ALLOW, (GROUPS[0],), (GROUPS[1],))
    last = RuleEntry("last", Action.ALLOW, (GROUPS[0],), (GROUPS[1],), Protocol.UDP)
    box = Box()
    box.become(layout(site(first, more, last)), at_once=False)
    box.become(layout(site(last, first)), at_once=False)
    old, new = box.states[0], box.states[-1]
    assert (len(old), len(new)) == (3, 2)
    assert all(state.index(old[0]) < state.index(old[1]) for state in box.states if old[1] in state), box.states


def test_a_schedule_is_of_what_is_allowed_alone() -> None:
    rows = Rows(Names("fb"), Scope(policies=True, template=Template(schedule="hours")))

    def schedule(action: Action) -> object:
        return rows.body(Row(KEYS[0], RuleEntry("a", action, (GROUPS[0],), (GROUPS[1],)), live=True))["schedule"]

    assert [schedule(one) for one in (Action.ALLOW, Action.DENY, Action.REJECT)] == ["hours", "always", "always"]


def test_destinations_by_a_list_of_the_vendor_are_not_what_we_would_write() -> None:
    body = ROWS.body(Row(KEYS[0], RuleEntry("a", Action.ALLOW, (GROUPS[0],), (GROUPS[1],)), live=True))
    assert same(body, body)
    assert not same(body, body | {"internet-service": "enable"})


def test_nothing_moves_that_need_not() -> None:
    assert longest_rising([]) == []
    assert longest_rising([3, 1, 2, 0, 4]) == [1, 2, 4]
