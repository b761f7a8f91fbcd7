"""Who held an address, over the API."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from bridge.api.routes.who import Who
from bridge.report.attribution import Certainty, Verdict
from tests.acceptance.site import CLUSTER
from tests.api.conftest import Api


def test_whoever_holds_it_now(api: Api) -> None:
    found = msgspec.convert(api.get("who", address="10.244.1.1"), Who)
    (one,) = found.answers
    (holder,) = one.holders
    assert (one.verdict, one.exact, holder.certainty) == (Verdict.HELD, True, Certainty.EXACT)
    assert (holder.namespace, holder.pod, holder.ended) == ("shop", "web-0", None)
    assert f"group:{CLUSTER}/service/shop/web" in {group.object for group in one.groups}


def test_the_answer_is_that_of_the_command(api: Api) -> None:
    at = datetime.now(UTC).isoformat()
    found = api.get("who", address="10.244.1.2", at=at)
    told = api.world.bridge.cli("who", "10.244.1.2", "--at", at, codes=(0,))
    assert found["answers"] == told["answers"]


def test_nobody_and_nobodys_address(api: Api) -> None:
    nobody, outside = (
        msgspec.convert(api.get("who", address=address, cluster=CLUSTER), Who).answers[0]
        for address in ("10.244.77.77", "203.0.113.9")
    )
    assert (outside.verdict, nobody.holders) == (Verdict.OUTSIDE, ())
    assert nobody.verdict is Verdict.NOBODY or nobody.reason.startswith(
        "nobody held it when the cluster was last heard of"
    )


@pytest.mark.parametrize(
    ("parameter", "text"), [("address", "10.244.0.0/16"), ("address", "x"), ("address", "::1%a"), ("at", "never")]
)
def test_what_is_no_address_and_no_time(api: Api, parameter: str, text: str) -> None:
    assert parameter in api.get("who", 422, **{"address": "10.244.1.1", parameter: text})["problems"]


def test_a_cluster_that_is_none_and_a_time_before_all(api: Api) -> None:
    assert CLUSTER in api.get("who", 404, address="10.244.1.1", cluster="elsewhere")["detail"]
    before = (datetime.now(UTC) - timedelta(days=3650)).isoformat()
    (one,) = msgspec.convert(api.get("who", address="10.244.1.1", at=before), Who).answers
    assert (one.verdict, one.holders) == (Verdict.UNKNOWN, ())
    assert "before the oldest record" in one.reason
