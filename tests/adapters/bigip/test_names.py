"""Names lead back to keys, and marks tell ours from what only looks so."""

from hypothesis import assume, given
from hypothesis import strategies as st

from adapters.bigip.names import MARK_LENGTH, NAME_LENGTH, Names, entry_name, key_problem
from bridge.lab.devices.bigip.values import valid_name
from bridge.model.identity import Kind, ObjectKey, Scope

NAMES = Names("fb")
_LABEL = st.text(st.sampled_from("abz09.-"), min_size=1, max_size=12)
_LONG = _LABEL.map(lambda text: text * 20 + "x" * 150)
_ODD = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=30)
_SCOPES = st.sampled_from(list(Scope))


@st.composite
def keys(draw: st.DrawFn) -> ObjectKey:
    kind = draw(st.sampled_from([Kind.GROUP, Kind.SHARD, Kind.PORTS, Kind.SCHEDULE, Kind.RULE_LIST, Kind.POLICY]))
    name = draw(st.one_of(st.just(""), _LABEL, _LONG, _ODD))
    namespace = draw(st.one_of(st.just(""), _LABEL))
    key = ObjectKey(kind, draw(st.one_of(st.just(""), _LABEL)), draw(_SCOPES), namespace, name)
    if kind is Kind.SHARD:
        of = 2 ** draw(st.integers(1, 8))
        key = key.shard(draw(st.integers(0, of - 1)), of)
    return key


def _kind(key: ObjectKey) -> Kind:
    return Kind.GROUP if key.kind is Kind.SHARD else key.kind


@given(keys())
def test_a_name_leads_back_to_its_key(key: ObjectKey) -> None:
    assume(not key_problem(key))
    name = NAMES.name(key)
    index = {name: str(key)} if NAMES.is_long(key) else {}
    assert NAMES.key(_kind(key), name, index) == key


@given(keys())
def test_names_and_marks_fit_the_device(key: ObjectKey) -> None:
    name, mark = NAMES.name(key), NAMES.mark(key)
    assert valid_name(name)
    assert len(name) <= NAME_LENGTH
    assert name.startswith("fb_")
    assert len(mark) <= MARK_LENGTH
    assert mark.startswith("fb:fb:")


@given(keys(), keys())
def test_two_keys_of_one_collection_never_share_a_name(one: ObjectKey, other: ObjectKey) -> None:
    assume(_kind(one) is _kind(other) and one != other)
    assert NAMES.name(one) != NAMES.name(other)
    assert NAMES.mark(one) != NAMES.mark(other)


def test_names_are_readable_in_the_console() -> None:
    assert NAMES.name(ObjectKey(Kind.GROUP, "prod", Scope.SERVICE, "shop", "cart")) == "fb_prod_service_shop_cart"
    assert NAMES.name(ObjectKey(Kind.RULE_LIST, "prod", Scope.NAMESPACE, "shop")) == "fb_prod_namespace_shop"
    assert NAMES.name(ObjectKey(Kind.POLICY, "", Scope.CLUSTER)) == "fb__cluster"
    shard = ObjectKey(Kind.GROUP, "prod", Scope.CLUSTER, "", "all").shard(10, 16)
    assert NAMES.name(shard) == "fb_prod_cluster__all_0a.16"
    assert NAMES.mark(shard) == "fb:fb:shard:prod/cluster//all#0a.16"


def test_another_owners_name_is_not_ours() -> None:
    key = ObjectKey(Kind.GROUP, "prod", Scope.SERVICE, "shop", "cart")
    assert Names("other").key(Kind.GROUP, NAMES.name(key), {}) is None


@given(st.text(max_size=300))
def test_any_name_of_a_line_becomes_one_that_the_device_takes(name: str) -> None:
    short = entry_name(name)
    assert valid_name(short)
    assert len(short) <= NAME_LENGTH
    assert short not in ("first", "last")
    assert entry_name(short) == short


@given(st.text(max_size=60), st.text(max_size=60))
def test_lines_stay_apart(one: str, other: str) -> None:
    assume(one != other)
    assert entry_name(one) != entry_name(other)


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=40))
def test_strange_names_on_the_device_are_no_error(name: str) -> None:
    key = NAMES.key(Kind.GROUP, name, {})
    assert key is None or NAMES.name(key) == name
