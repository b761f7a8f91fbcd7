"""What goes into the database as JSON comes out as it was."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.model.identity import Kind, ObjectKey, Scope
from bridge.model.intent import Attachment, DeviceObject, Group, Policy, Ports, RuleEntry, RuleList, Schedule, Shard
from bridge.model.observed import (
    RESOURCES,
    EndpointSlice,
    Namespace,
    Node,
    Pod,
    PolicyObject,
    Resource,
    Service,
)
from bridge.model.plan import Held
from bridge.model.policy import Action, IcmpType, PortRange, Protocol, Ref
from bridge.state.batch import Batch, Slim, Verdict
from bridge.state.database import Database
from bridge.state.encoding import (
    PodReader,
    clean,
    decode_held,
    decode_object,
    decode_policy_object,
    decode_slim,
    encode_held,
    encode_object,
    encode_rest,
    encode_slim,
    json_text,
    place_of,
)
from tests.state.builders import Stores, at, pod

words = st.text(st.characters(codec="utf-8"), max_size=12)
names = st.from_regex(r"[a-z0-9]([-a-z0-9.]{0,8}[a-z0-9])?", fullmatch=True)
labels = st.dictionaries(names, words, max_size=4)
keys = st.builds(ObjectKey, st.sampled_from(Kind), names, st.sampled_from(Scope), names, names)
members = st.frozensets(st.ip_addresses().map(str), max_size=5)
ports = st.tuples(st.integers(0, 65535), st.integers(0, 65535)).map(lambda two: PortRange(min(two), max(two)))
entries = st.builds(
    RuleEntry,
    name=words,
    action=st.sampled_from(Action),
    sources=st.lists(keys, min_size=1, max_size=3).map(tuple),
    destinations=st.lists(keys, min_size=1, max_size=3).map(tuple),
    protocol=st.sampled_from(Protocol),
    ports=st.none() | keys,
    log=st.booleans(),
    withheld=st.booleans(),
    icmp=st.lists(st.builds(IcmpType, st.integers(0, 254), st.none() | st.integers(0, 254)), max_size=3).map(tuple),
    number=st.integers(0, 254),
    schedule=st.none() | keys,
)
times = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - bounds are naive
device_objects: st.SearchStrategy[DeviceObject] = st.one_of(
    st.builds(Group, keys, members, st.frozensets(words, max_size=3), st.integers(0, 500)),
    st.builds(Shard, keys, members),
    st.builds(Ports, keys, st.lists(ports, max_size=4).map(tuple)),
    st.builds(Schedule, keys, times),
    st.builds(RuleList, keys, st.lists(entries, max_size=4).map(tuple)),
    st.builds(Policy, keys, st.lists(keys, max_size=4).map(tuple)),
    st.builds(Attachment, keys, keys),
)
pods = st.builds(
    Pod,
    uid=names,
    namespace=names,
    name=names,
    resource_version=names,
    labels=labels,
    annotations=labels,
    service_account=names,
    owner=names,
    node=names,
    phase=names,
    host_network=st.booleans(),
    addresses=st.lists(st.ip_addresses().map(str), max_size=2).map(tuple),
    started=st.none() | times,
    deleting=st.booleans(),
    gates=st.lists(words, max_size=2).map(tuple),
)
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=8,
)
policy_objects = st.builds(
    PolicyObject,
    resource=st.sampled_from(
        [resource for resource in RESOURCES if resource.endswith(("rules", "services", "groups"))][1:]
    ),
    uid=names,
    namespace=names | st.just(""),
    name=names,
    resource_version=names,
    generation=st.integers(0, 2**40),
    annotations=labels,
    spec=st.dictionaries(words, json_values, max_size=4),
    actor=words,
)
slim: st.SearchStrategy[Slim] = st.one_of(
    st.builds(Namespace, names, names, names, labels, labels, st.booleans()),
    st.builds(Service, names, names, names, names, labels, labels, labels),
    st.builds(EndpointSlice, names, names, names, names, names, st.lists(names, max_size=3).map(tuple)),
    st.builds(Node, names, names, names, labels, st.lists(names, max_size=3).map(tuple)),
    policy_objects,
)


@given(device_objects)
def test_device_objects_come_back(value: DeviceObject) -> None:
    text = encode_object(value)
    assert decode_object(value.key, text) == value
    assert encode_object(decode_object(value.key, text)) == text


@settings(max_examples=50)
@given(st.lists(pods, max_size=3))
def test_pods_come_back(written: list[Pod]) -> None:
    reader = PodReader()
    read = [
        reader.pod(
            (
                one.uid,
                one.namespace,
                one.name,
                one.service_account,
                one.owner,
                one.node,
                one.phase,
                json_text(one.labels),
                encode_rest(one),
            )
        )
        for one in written
    ]
    assert read == written


def test_pods_of_one_set_share_their_labels() -> None:
    reader = PodReader()
    first, second = (
        reader.pod((uid, "shop", uid, "", "", "", "Running", '{"app":"web"}', '{"resource_version":"1"}'))
        for uid in "ab"
    )
    assert first.labels is second.labels


@given(slim)
def test_slim_objects_come_back(value: Slim) -> None:
    assert decode_slim(place_of(value)[0], encode_slim(value)) == value


@given(policy_objects)
def test_accepted_versions_come_back(value: PolicyObject) -> None:
    assert decode_policy_object(encode_slim(value)) == value


@given(st.lists(st.builds(Held, keys, members, words), max_size=3))
def test_held_steps_come_back(value: list[Held]) -> None:
    assert decode_held(encode_held(value)) == tuple(value)


@pytest.mark.parametrize(
    ("words_of_a_device", "kept"), [("plain", "plain"), ("grüße", "grüße"), ("a\0b", "a\ufffdb"), ("\ud800", "?")]
)
def test_words_from_elsewhere_are_made_fit(words_of_a_device: str, kept: str) -> None:
    assert clean(words_of_a_device) == kept


def test_texts_that_a_person_may_write_pass_through_the_database(database: Database) -> None:
    """NUL and the like inside a spec or an annotation must not stop a batch, and come back as written."""
    stores = Stores(database)
    spec = {
        "note": 'nul \0, quote " and backslash \\',
        "number": 1.0,
        "big": 2**63,
        "again": [{"a": None}, "{}", "NULL", ","],
    }
    rule = PolicyObject(Resource.SERVICE_RULES, "u1", "shop", "pay", "9", 3, {"why": "\0 {\\}"}, spec)
    ref = Ref("ServiceEgressRule", "shop", "pay")
    odd = Pod(
        **{name: getattr(pod("web-1"), name) for name in Pod.__dataclass_fields__} | {"annotations": {"x": "a\0b"}}
    )
    changes = Batch(at(0), pods=[odd], objects=[rule])
    changes.verdicts = [Verdict(ref, "u1", 3, ok=False, reason="Invalid", message="spec: \0", accepted=rule)]
    stores.commit(changes)
    found = stores.intake.load_cluster("east")
    assert found.pods == {odd.uid: odd}
    assert found.objects == {(Resource.SERVICE_RULES, "shop", "pay"): rule}
    assert found.verdicts[ref].accepted == rule
    assert found.verdicts[ref].message == "spec: \ufffd"
