"""What becomes of a packet, over the API."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from bridge.api.routes import trace
from bridge.report.trace_model import Trace
from tests.acceptance.site import CLUSTER, eventually
from tests.api.conftest import Api

TO = "192.0.2.1:443"


def test_the_answer_is_that_of_the_command(api: Api) -> None:
    found = msgspec.convert(api.get("trace", 200, **{"from": "shop/web-0", "to": TO}), Trace)
    told = msgspec.convert(api.world.bridge.cli("trace", "--from", "shop/web-0", "--to", TO, codes=(0,)), Trace)
    assert (found.agrees, found.headline) == (True, told.headline)
    ours, theirs = (
        [msgspec.structs.replace(one, proven_at=None) for one in each.answers[0].devices] for each in (found, told)
    )
    assert ours == theirs
    assert found.answers[0].decisions == told.answers[0].decisions


def test_of_a_past_moment(api: Api) -> None:
    start = (
        msgspec.convert(api.get("trace", 200, **{"from": "shop/web-0", "to": TO}), Trace)
        .answers[0]
        .devices[0]
        .line_since
    )
    assert start is not None
    found = msgspec.convert(
        api.get(
            "trace",
            200,
            **{
                "from": "10.244.1.1",
                "to": TO,
                "at": (start + timedelta(milliseconds=1)).isoformat(),
                "cluster": CLUSTER,
            },
        ),
        Trace,
    )
    assert (found.past, found.answers[0].senders[0].name) == (True, "shop/web-0")


def test_parameters_that_say_nothing_are_named(api: Api) -> None:
    soon = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    for wrong, more in (
        ("from", {"from": "nobody"}),
        ("from", {"from": "a/b\0"}),
        ("to", {"to": "nowhere at all"}),
        ("to", {"to": "x" * 301}),
        ("at", {"at": "then"}),
        ("at", {"at": soon}),
        ("at", {"at": "0001-01-01T00:00:00+14:00"}),
    ):
        found = api.get("trace", 422, **{"from": "shop/web-0", "to": TO, **more})
        assert wrong in found["problems"], (more, found)


def test_whoever_is_not_there_is_missing(api: Api) -> None:
    for more in ({"from": "shop/nobody"}, {"cluster": "elsewhere"}, {"at": "2001-01-01"}):
        assert api.get("trace", 404, **{"from": "shop/web-0", "to": TO, **more})["detail"]


def test_words_that_can_mean_several_are_told_apart(api: Api) -> None:
    api.world.team("twins", "10.244.40.1")
    api.world.pod("twins", "web", "10.244.40.2")
    eventually(
        "the pod is known",
        lambda: api.client.get("/api/v1/trace", params={"from": "twins/web", "to": TO}).status_code == 422,
    )
    found = api.get("trace", 422, **{"from": "twins/web", "to": TO})
    assert "pod/twins/web" in found["problems"]["from"]
    assert (
        api.get("trace", 200, **{"from": "pod/twins/web", "to": TO})["answers"][0]["senders"][0]["address"]
        == "10.244.40.2"
    )


def test_a_crowd_is_not_told_one_by_one(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {"from": "service/shop/web", "to": TO}
    assert len(api.get("trace", 200, **asked)["answers"][0]["senders"]) == 2
    monkeypatch.setattr(trace, "SENDERS", 1)
    assert "2 senders" in api.get("trace", 422, **asked)["problems"]["from"]
