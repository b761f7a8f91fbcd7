"""Objects of our kinds as a cluster might hand them over: what the schemas accept, the same with one thing wrong, and any JSON at all."""

import json
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from hypothesis import strategies as st

from bridge.dialects import kinds
from tests.dialects.objects import Spec, schema

Strategy = st.SearchStrategy[Any]

HUGE = 2**70
TEXT = st.text(st.characters(codec="utf-8"), max_size=12)  # Kubernetes stores no half surrogates
SCALARS: Strategy = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 12),
    st.sampled_from([65535, 65536, 2**31, 2**63, 2**64, HUGE, -HUGE]),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([443.0, 1000.0, -0.0, 1e300]),
    st.sampled_from(["", " ", "Any", "any", "null", "*", "0.0.0.0/0", "::/0", "::1%eth0", "1.2.3.4-", "-", "\u0000", "é", "\U0001d4b3"]),
    TEXT,
)  # fmt: skip
KEYS = st.one_of(
    TEXT, st.sampled_from(["to", "name", "kind", "ports", "action", "from", "matchLabels", "__class__", "self"])
)
ANY: Strategy = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=3)),
    max_leaves=8,
)
# What means something where a pattern alone would hardly ever make it; still others are made from the pattern.
LIKELY: Mapping[str, list[Any]] = {
    "addresses": ["192.0.2.1", "192.0.2.0/24", "203.0.113.4-203.0.113.9", "0.0.0.0/0", "::/0", "2001:db8::/64", "10.0.0.0/8"],
    "fqdns": ["example.com", "*.example.com", "a.b.c.example.org"],
    "name": ["bank", "odd", "wide"],
    "service": ["pay", "odd"],
    "devices": ["edge", "flat", "sets"],
    "serviceAccounts": ["default", "shop/default", "odd/payer"],
    "timeZone": ["UTC", "Europe/Berlin", "Mars/Olympus"],
    "notBefore": ["2020-01-01T00:00:00Z", "2999-12-31T23:59:59+14:00"],
    "notAfter": ["2021-01-01T00:00:00Z", "1000-01-01T00:00:00Z", "2999-12-31T23:59:60Z"],
    "key": ["app", "kubernetes.io/metadata.name"],
}  # fmt: skip


@cache
def specs(kind: str) -> Strategy:
    """Specs of this kind: most as the schema wants them, some a little off, some anything."""
    return around(of_schema(schema(kind)["properties"]["spec"], "spec"))


def around(good: Strategy) -> Strategy:
    """Mostly these, some of them with one thing wrong, and anything else."""
    return st.one_of(good, good, good.flatmap(_spoilt), ANY)


@cache
def metadata(kind: str) -> Strategy:
    """Where it stands, and whatever else people and tools write there; mostly what Kubernetes would let through."""
    named = kinds.BY_NAME[kind].namespaced
    name = st.one_of(
        st.sampled_from(["odd", "bank", "a.b", "x" * 253, "0"]),
        st.from_regex(r"[a-z0-9]([-a-z0-9]{0,20}[a-z0-9])?", fullmatch=True),
    )
    annotations = st.one_of(
        st.just({}), st.dictionaries(st.one_of(TEXT, st.just("fusionbridge.io/address-group")), st.one_of(TEXT, ANY))
    )
    place = {"name": name, "namespace": st.just("odd")} if named else {"name": name}
    usual = {
        "uid": st.uuids().map(str),
        "resourceVersion": st.integers(1, 99).map(str),
        "generation": st.integers(1, 9),
    }
    more = {"annotations": annotations, "labels": annotations, "managedFields": ANY, "generation": ANY, "extra": ANY}
    return st.fixed_dictionaries({**place, **usual}, optional={"annotations": annotations}).flatmap(
        lambda plain: st.one_of(
            st.just(plain),
            st.fixed_dictionaries({}, optional=more).map(lambda rest: plain | rest),
        )
    )


def objects(kind: str) -> Strategy:
    """Whole objects of a kind, status included; a few have no spec or no object in its place."""
    status: Strategy = st.one_of(st.just({}), ANY)
    whole = st.fixed_dictionaries({"metadata": metadata(kind), "spec": specs(kind)}, optional={"status": status})
    return whole.map(lambda body: {"apiVersion": kinds.API_VERSION, "kind": kind, **body})


def text(item: object) -> bytes:
    """As the API writes it."""
    return json.dumps(item, ensure_ascii=False).encode()


def of_schema(node: Spec, name: str) -> Strategy:
    """What a schema accepts, as far as structure goes; conditions between fields are met now and then."""
    if name == "ports":
        return st.one_of(st.just("Any"), st.lists(of_schema(node["items"], "port line"), min_size=1, max_size=3))
    if node.get("x-kubernetes-int-or-string"):
        words = node["pattern"].strip("^$()").split("|")
        return st.one_of(st.sampled_from(words), st.integers(node["minimum"], node["maximum"]))
    return _MAKERS[node["type"]](node, name)


def _object(node: Spec, name: str) -> Strategy:
    if "additionalProperties" in node:
        values = of_schema(node["additionalProperties"], name)
        return st.dictionaries(
            st.sampled_from(["app", "tier", "example.com/x", "kubernetes.io/metadata.name"]), values, max_size=2
        )
    fields = {field: of_schema(inner, field) for field, inner in node.get("properties", {}).items()}
    required = node.get("required", ())
    return st.fixed_dictionaries(
        {field: made for field, made in fields.items() if field in required},
        optional={field: made for field, made in fields.items() if field not in required},
    )


def _array(node: Spec, name: str) -> Strategy:
    unique = str if node.get("x-kubernetes-list-type") in ("set", "map") else None
    return st.lists(of_schema(node["items"], name), min_size=node.get("minItems", 0), max_size=3, unique_by=unique)


def _string(node: Spec, name: str) -> Strategy:
    if "enum" in node:
        return st.sampled_from(node["enum"])
    likely = [st.sampled_from(LIKELY[name])] if name in LIKELY else []
    low, high = node.get("minLength", 0), node.get("maxLength", 64)
    if "pattern" not in node:
        return st.one_of(*likely, *likely, st.text(st.characters(codec="ascii"), min_size=low, max_size=high))
    made = st.from_regex(node["pattern"].rstrip("$") + r"\Z", fullmatch=True).filter(
        lambda found: low <= len(found) <= high
    )
    return st.one_of(*likely, *likely, made)


def _integer(node: Spec, name: str) -> Strategy:
    return st.integers(node.get("minimum"), node.get("maximum"))


def _spoilt(value: Any) -> Strategy:  # noqa: ANN401
    """The same with one thing in it replaced by anything, left out or added."""
    if isinstance(value, dict) and value:
        return st.sampled_from(sorted(value)).flatmap(
            lambda key: st.one_of(
                _spoilt(value[key]).map(lambda inner: {**value, key: inner}),
                st.just({name: inner for name, inner in value.items() if name != key}),
                st.tuples(KEYS, ANY).map(lambda pair: {**value, pair[0]: pair[1]}),
            )
        )
    if isinstance(value, list) and value:
        return st.integers(0, len(value) - 1).flatmap(
            lambda at: _spoilt(value[at]).map(lambda inner: [*value[:at], inner, *value[at + 1 :]])
        )
    return ANY


_MAKERS: dict[str, Callable[[Spec, str], Strategy]] = {
    "object": _object,
    "array": _array,
    "string": _string,
    "integer": _integer,
    "boolean": lambda _node, _name: st.booleans(),
}
