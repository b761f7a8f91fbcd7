"""The writes between two orders of lines, played on a list as the device would play them."""

from hypothesis import given
from hypothesis import strategies as st

from adapters.bigip.names import Names
from adapters.bigip.translate import Translator
from adapters.bigip.writes import Change, batches, change_of
from bridge.model.identity import Kind, ObjectKey, Scope
from bridge.model.intent import Group, Policy, RuleEntry, RuleList
from bridge.model.plan import Op, Step
from tests.adapters.bigip.site import CART, CLUSTERS, SHOP, WEB, line

TRANSLATOR = Translator(Names("fb"))
_LINES = st.lists(st.tuples(st.integers(0, 9), st.booleans()), unique_by=lambda pair: pair[0], max_size=10)


def _list(pairs: list[tuple[int, bool]]) -> RuleList:
    return RuleList(SHOP, tuple(line(f"r{at}", WEB if other else CART) for at, other in pairs))


def _play(before: RuleList, change: Change) -> list[tuple[str, str]]:
    """Names and sources after the writes; every name that a write leans on has to be there."""
    have = {entry.name: TRANSLATOR.names.path(entry.sources[0]) for entry in before.entries}
    order = list(have)
    for write in change.writes:
        body = write.body or {}
        name = str(body.get("name") or write.path.rpartition("/")[2])
        assert (name in order) == (write.method != "POST")
        if "source" in body:
            have[name] = body["source"]["addressLists"][0]
        if write.method == "DELETE":
            order.remove(name)
        if "placeAfter" in body or "placeBefore" in body:
            order = [one for one in order if one != name]
            order.insert(order.index(body["placeAfter"]) + 1 if "placeAfter" in body else 0, name)
    return [(name, have[name]) for name in order]


@given(_LINES, _LINES)
def test_the_writes_lead_from_one_list_to_the_other(old: list[tuple[int, bool]], new: list[tuple[int, bool]]) -> None:
    before, after = _list(old), _list(new)
    change = change_of(Step(Op.UPDATE, SHOP, before, after), TRANSLATOR)
    end = [(entry.name, TRANSLATOR.names.path(entry.sources[0])) for entry in after.entries]
    assert _play(before, change) == end
    same = {pair[0] for pair in old} & {pair[0] for pair in new}
    assert len(change.writes) <= len(old) + len(new) - len(same)
    if old == new:
        assert change.writes == ()


@given(st.lists(st.integers(0, 50), unique=True, min_size=2, max_size=20), st.data())
def test_one_line_that_moves_is_one_write(names: list[int], data: st.DataObject) -> None:
    before = _list([(at, False) for at in names])
    moved = list(names)
    at = data.draw(st.integers(0, len(names) - 1))
    moved.insert(data.draw(st.integers(0, len(names) - 1)), moved.pop(at))
    change = change_of(Step(Op.UPDATE, SHOP, before, _list([(one, False) for one in moved])), TRANSLATOR)
    assert len(change.writes) == (moved != names)


def _creation(at: int) -> Step:
    key = ObjectKey(Kind.GROUP, "prod", Scope.SERVICE, "shop", f"s{at}")
    return Step(Op.CREATE, key, None, Group(key))


def test_a_phase_that_fits_is_one_transaction() -> None:
    changes = [change_of(_creation(at), TRANSLATOR) for at in range(5)]
    assert batches(changes, 5) == [changes]
    assert batches([], 5) == []


def test_a_larger_one_keeps_what_changes_enforcement_together() -> None:
    update = Step(Op.UPDATE, SHOP, RuleList(SHOP, ()), RuleList(SHOP, tuple(line(f"r{at}") for at in range(4))))
    policy = Step(Op.CREATE, CLUSTERS, None, Policy(CLUSTERS, (SHOP,)))
    gone = [Step(Op.DELETE, _creation(at).key, Group(_creation(at).key), None) for at in range(20, 24)]
    steps = [*(_creation(at) for at in range(2)), update, policy, *gone]
    cut = batches([change_of(step, TRANSLATOR) for step in steps], 8)
    assert [[change.step for change in batch] for batch in cut] == [steps[:2], [update, policy], gone]


def test_a_new_list_too_long_for_one_transaction_is_made_in_several_and_a_changed_one_at_once() -> None:
    lines = tuple(line(f"r{at}") for at in range(10))
    new = change_of(Step(Op.CREATE, SHOP, None, RuleList(SHOP, lines)), TRANSLATOR)
    cut = batches([new], 4)
    assert [len(one.writes) for batch in cut for one in batch] == [4, 4, 3]
    assert [write for batch in cut for one in batch for write in one.writes] == list(new.writes)
    changed = change_of(Step(Op.UPDATE, SHOP, RuleList(SHOP, ()), RuleList(SHOP, lines)), TRANSLATOR)
    assert batches([changed], 4) == [[changed]]


def test_a_line_that_would_match_any_or_is_withheld_is_never_written() -> None:
    whole = line("x")
    bad = [
        RuleEntry("x", whole.action, (), whole.destinations),
        RuleEntry("x", whole.action, whole.sources, ()),
        RuleEntry("x", whole.action, whole.sources, whole.destinations, withheld=True),
    ]
    refused = 0
    for entry in bad:
        try:
            TRANSLATOR.line(entry)
        except ValueError:
            refused += 1
    assert refused == len(bad)
