"""Keys have one text form, and it leads back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.model.identity import Kind, ObjectKey, Scope
from bridge.model.intent import FenceState, Group, RuleEntry, RuleList
from bridge.model.plan import Fence, Op, Plan, Step
from bridge.model.policy import Action
from bridge.model.rendering import change_lines, digest_of, line_of

NAMES = st.from_regex(r"[a-z0-9]([-a-z0-9.]{0,8}[a-z0-9])?", fullmatch=True)
KEYS = st.builds(ObjectKey, st.sampled_from(Kind), NAMES, st.sampled_from(Scope), st.one_of(st.just(""), NAMES), NAMES)


@given(KEYS)
def test_a_key_survives_its_text(key: ObjectKey) -> None:
    assert ObjectKey.parse(str(key)) == key


@given(KEYS, st.integers(0, 255))
def test_a_shard_knows_its_group(key: ObjectKey, index: int) -> None:
    group = ObjectKey(Kind.GROUP, key.cluster, key.scope, key.namespace, key.name)
    shard = group.shard(index, 256)
    assert shard.group == group
    assert ObjectKey.parse(str(shard)) == shard


@pytest.mark.parametrize("text", ["", "group", "group:east/service/shop", "nothing:east/service/shop/pay"])
def test_other_text_is_no_key(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        ObjectKey.parse(text)


GROUP = ObjectKey(Kind.GROUP, "east", Scope.SERVICE, "shop", "pay")


@given(st.lists(st.sampled_from(["10.0.0.1", "10.0.0.2", "10.0.0.3"])))
def test_a_digest_depends_on_content_alone(members: list[str]) -> None:
    forwards, backwards = Group(GROUP, frozenset(members)), Group(GROUP, frozenset(reversed(members)))
    assert digest_of(forwards) == digest_of(backwards)
    assert (digest_of(forwards) == digest_of(Group(GROUP))) == (not members)
    assert digest_of(None) != digest_of(forwards)


def test_the_order_of_lines_is_content() -> None:
    key = ObjectKey(Kind.RULE_LIST, "east", Scope.CLUSTER)
    one = RuleEntry("a", Action.ALLOW, (GROUP,), (GROUP,))
    two = RuleEntry("b", Action.DENY, (GROUP,), (GROUP,))
    assert digest_of(RuleList(key, (one, two))) != digest_of(RuleList(key, (two, one)))


def test_the_audit_of_a_large_group_names_only_who_moved() -> None:
    before = Group(GROUP, frozenset(f"10.0.0.{n}" for n in range(100)))
    after = Group(GROUP, before.members - {"10.0.0.7"} | {"10.0.1.1"})
    was, now = change_lines(before, after)
    assert "10.0.0.7" in was
    assert "10.0.1.1" in now
    assert len(was) + len(now) < 120
    assert change_lines(None, after) == ("-", line_of(after))


def test_a_plan_has_one_digest_for_one_content() -> None:
    step = Step(Op.CREATE, GROUP, None, Group(GROUP, frozenset({"10.0.0.2", "10.0.0.1"})))
    same = Step(Op.CREATE, GROUP, None, Group(GROUP, frozenset({"10.0.0.1", "10.0.0.2"})))
    assert Plan("edge", ((step,),)).digest == Plan("edge", ((same,),)).digest
    assert Plan("edge", ((step,),)).digest != Plan("core", ((step,),)).digest
    assert Plan("edge", ((),)).empty


@pytest.mark.parametrize(
    ("on_device", "passes"),
    [
        (FenceState(), True),
        (FenceState(3, "ours"), True),
        (FenceState(2, "ours"), True),
        (FenceState(4, "ours"), False),
        (FenceState(2, "theirs"), False),
    ],
)
def test_only_the_newest_owner_of_the_same_installation_passes_the_fence(on_device: FenceState, passes: bool) -> None:
    assert Fence(3, "ours").passes(on_device) == passes
