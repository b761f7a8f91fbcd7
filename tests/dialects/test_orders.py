"""Decisions and Stops as they are read: whatever JSON they are, what cannot be read decides nothing, and never ends a stop."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.cluster.decode import Codec
from bridge.dialects.manifests import check
from bridge.dialects.orders import decision, problems, stop
from bridge.model.decisions import Choice, Lifted, Settled
from bridge.model.kinds import Resource
from bridge.model.observed import Order
from bridge.state.encoding import decode_slim, encode_slim
from tests.dialects.any_json import ANY
from tests.state.builders import at

NOW = at(1000)
GOOD_DECISION = {
    "device": "edge",
    "digest": "0123456789abcdef",
    "verdict": "Release",
    "by": "ann",
    "reason": "they are gone",
}
GOOD_STOP = {"devices": ["edge"], "by": "ann", "reason": "a fire"}
FIELDS = ["device", "digest", "verdict", "by", "reason", "devices", "lifted", "other"]
SPECS = st.one_of(
    ANY,
    st.dictionaries(st.sampled_from(FIELDS), ANY),
    st.dictionaries(st.sampled_from(FIELDS), ANY, max_size=2).map(lambda odd: GOOD_DECISION | odd),
    st.dictionaries(st.sampled_from(FIELDS), ANY, max_size=2).map(lambda odd: GOOD_STOP | odd),
)


def order(resource: Resource, spec: object, **changes: Any) -> Order:  # noqa: ANN401
    return Order(resource, "uid", "it", "7", spec, **{"created": "2026-03-01T12:00:00Z", **changes})


def test_a_decision_as_it_should_be() -> None:
    found = decision(order(Resource.DECISIONS, GOOD_DECISION), "east", ["edge"], NOW)
    made = found.decision
    assert (found.state, found.message) == (Settled.WAITING, "")
    assert (made.cluster, made.device, made.digest, made.verdict) == (
        "east",
        "edge",
        "0123456789abcdef",
        Choice.RELEASE,
    )
    assert (made.by, made.reason, made.at) == ("ann", "they are gone", at(0))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"verdict": "release"}, "spec.verdict"),
        ({"verdict": ["Release"]}, "spec.verdict"),
        ({"digest": "nothing"}, "spec.digest"),
        ({"digest": 12345678}, "spec.digest"),
        ({"by": " "}, "spec.by"),
        ({"reason": None}, "spec.reason"),
        ({"device": {}}, "spec.device"),
        ({"all": True}, "spec.all"),
    ],
)
def test_a_decision_with_anything_odd_decides_nothing(change: dict[str, Any], said: str) -> None:
    found = decision(order(Resource.DECISIONS, GOOD_DECISION | change), "east", ["edge"], NOW)
    assert found.state is Settled.MALFORMED
    assert said in found.message


def test_a_decision_about_a_device_that_is_not_here_is_settled_at_once() -> None:
    found = decision(order(Resource.DECISIONS, GOOD_DECISION), "east", ["core"], NOW)
    assert found.state is Settled.NOT_HERE
    assert "edge" in found.message
    assert "core" in found.message


def test_what_our_own_status_calls_done_is_not_done_again_after_the_record_was_lost() -> None:
    found = decision(order(Resource.DECISIONS, GOOD_DECISION, state="Done"), "east", ["edge"], NOW)
    assert found.state is Settled.DONE


def test_a_stop_and_its_end() -> None:
    found = stop(order(Resource.STOPS, GOOD_STOP), "east", NOW)
    assert (found.stop.devices, found.stop.by, found.stop.reason, found.stop.since) == (
        ("edge",),
        "ann",
        "a fire",
        at(0),
    )
    assert (found.lifted, found.message) == (None, "")
    lifted = stop(order(Resource.STOPS, GOOD_STOP | {"lifted": {"by": "bob", "reason": "it is out"}}), "east", NOW)
    assert lifted.lifted == Lifted("bob", "it is out")


@pytest.mark.parametrize("devices", ["edge", [1], ["edge", ""], {"edge": True}, [["edge"]], None])
def test_a_stop_of_which_nobody_can_tell_what_it_stops_stops_all(devices: object) -> None:
    found = stop(order(Resource.STOPS, GOOD_STOP | {"devices": devices}), "east", NOW)
    assert found.stop.devices == ()
    assert found.lifted is None
    assert "spec.devices" in found.message


@pytest.mark.parametrize("lifted", [True, {}, {"by": "bob"}, {"by": "", "reason": "x"}, [], "yes", None])
def test_a_stop_is_not_lifted_by_what_does_not_say_who_and_why(lifted: object) -> None:
    found = stop(order(Resource.STOPS, GOOD_STOP | {"lifted": lifted}), "east", NOW)
    assert found.lifted is None
    assert "spec.lifted" in found.message


@given(SPECS, st.one_of(ANY, st.fixed_dictionaries({"state": ANY})))
def test_whatever_json_it_is_it_is_read_and_kept(spec: object, status: object) -> None:
    for resource in (Resource.DECISIONS, Resource.STOPS):
        item = {
            "metadata": {"uid": "u", "name": "n", "resourceVersion": "7", "creationTimestamp": "2026-03-01T12:00:00Z"},
            "spec": spec,
            "status": status,
        }
        (line,) = Codec(resource).lines(json.dumps({"type": "ADDED", "object": item}).encode())
        value = line.value
        assert isinstance(value, Order)
        assert decode_slim(resource, encode_slim(value)) == value
        if resource is Resource.STOPS:
            found = stop(value, "east", NOW)
            assert found.stop.by
            assert found.stop.reason
            assert bool(found.message) == bool(problems(value))
        else:
            read = decision(value, "east", ["edge"], NOW)
            assert (read.state is Settled.MALFORMED) == bool(problems(value))
            assert read.state is not Settled.WAITING or read.decision.verdict


@pytest.mark.parametrize("depth", [500, 100_000])
def test_a_stop_nested_beyond_sense_still_stops(depth: int) -> None:
    odd = b'{"type":"ADDED","object":{"metadata":{"uid":"u","name":"n"},"spec":' + b"[" * depth + b"]" * depth + b"}}"
    (line,) = Codec(Resource.STOPS).lines(odd)
    assert line.value is not None
    assert (line.value.uid, line.value.name) == ("u", "n")


def _checked(tmp_path: Path, text: str) -> list[str]:
    (tmp_path / "order.yaml").write_text(text)
    return [f"{one.severity.value} {one.field}" for one in check([tmp_path / "order.yaml"])]


def test_orders_in_files_are_checked_and_seldom_meant(tmp_path: Path) -> None:
    head = "apiVersion: fusionbridge.io/v1alpha1\nkind: {}\nmetadata: {{generateName: it-}}\nspec: {}\n"
    assert _checked(tmp_path, head.format("Decision", json.dumps(GOOD_DECISION))) == ["warning kind"]
    assert _checked(tmp_path, head.format("Stop", json.dumps(GOOD_STOP))) == ["warning kind"]
    odd = json.dumps(GOOD_DECISION | {"verdict": "release"})
    assert _checked(tmp_path, head.format("Decision", odd)) == ["error spec.verdict", "warning kind"]
    assert _checked(tmp_path, head.format("Stop", "[]")) == ["error spec", "warning kind"]
    assert "error metadata.name" in _checked(
        tmp_path, head.format("Stop", json.dumps(GOOD_STOP)).replace("generateName: it-", "")
    )
