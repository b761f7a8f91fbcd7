"""Who may call the simulated FortiGate, what for, and in which VDOM."""

from collections.abc import Iterator

import httpx
import pytest

from bridge.lab.devices.fortigate import ApiUser, Fortigate
from tests.lab.devices.fortigate import ADDRESS, FEED, POLICY, Api, named, rule


def test_only_by_header(box: Fortigate) -> None:
    url = f"{box.url}/api/v2/{ADDRESS}"
    with httpx.Client() as client:
        for answer in (
            client.get(url),
            client.get(url, params={"access_token": box.password}),
            client.get(url, auth=(box.username, box.password)),
        ):
            box.clock.advance(61)  # the failures before count no more
            assert answer.status_code == 401
            assert answer.headers["content-type"].startswith("text/html")
            assert "<html>" in answer.text
        assert client.get(url, headers={"Authorization": f"Bearer {box.password}"}).status_code == 200


def test_by_query_where_the_box_is_told_to(box: Fortigate, api: Api) -> None:
    api.put("cmdb/system/global", {"rest-api-key-url-query": "enable"})
    assert httpx.get(f"{box.url}/api/v2/{ADDRESS}", params={"access_token": box.password}).status_code == 200


def test_failures_block_the_caller(box: Fortigate, api: Api) -> None:
    for _ in range(box.limits.lockout_after):
        assert httpx.get(f"{box.url}/api/v2/{ADDRESS}", headers={"Authorization": "Bearer no"}).status_code == 401
    blocked = api.http.get(ADDRESS)
    assert (blocked.status_code, blocked.headers["content-type"].partition(";")[0]) == (429, "text/html")
    box.clock.advance(61)
    assert api.get(ADDRESS).status == 200


def test_trusted_hosts(box: Fortigate, api: Api) -> None:
    box.tokens.users()[0].trusted = ("192.0.2.0/24",)
    assert api.http.get(ADDRESS).status_code == 401
    box.tokens.users()[0].trusted = ("192.0.2.0/24", "127.0.0.1/32")
    assert api.get(ADDRESS).status == 200


def test_profiles(box: Fortigate) -> None:
    areas = {"fwgrp.address": "read-write", "fwgrp.policy": "read"}
    box.tokens.add(ApiUser("narrow", "n" * 31, areas))
    narrow = Api(box, "n" * 31)
    with narrow.http:
        assert narrow.post(ADDRESS, {"name": "a"}).status == 200
        assert narrow.get(POLICY).status == 200
        assert narrow.policy().status == 403
        assert narrow.get(FEED).status == 403
        shown = narrow.get("monitor/web-ui/state").results["admin"]
        assert (shown["name"], shown["profile"]["fwgrp-permission"]) == (
            "narrow",
            {"address": "read-write", "policy": "read"},
        )
    assert box.requests()[-1].user == "narrow"


@pytest.fixture
def several() -> Iterator[Fortigate]:
    with Fortigate(tls=False, vdoms=("root", "dmz", "lab")) as box:
        yield box


def test_vdoms_hold_entries_of_their_own(several: Fortigate) -> None:
    api = Api(several)
    with api.http:
        made = api.post(ADDRESS, {"name": "a"}, params={"vdom": "dmz"})
        assert made.body["vdom"] == "dmz"
        assert api.get(f"{ADDRESS}/a").error == -3
        assert api.get(f"{ADDRESS}/a", params={"vdom": "dmz"}).status == 200
        assert api.post(POLICY, rule(srcaddr=named("a"))).error == -651
        assert api.post(POLICY, rule(srcaddr=named("a")), params={"vdom": "dmz"}).status == 200
        assert api.get(ADDRESS, params={"vdom": "nowhere"}).status == 403
        assert api.get("cmdb/system/global").results["vdom-mode"] == "multi-vdom"
        told = api.http.get(ADDRESS, params={"vdom": "*"}).json()
        assert [(one["vdom"], one["size"]) for one in told] == [("root", 2), ("dmz", 3), ("lab", 2)]
        told = api.http.get(ADDRESS, params={"vdom": "lab,dmz"}).json()
        assert [one["vdom"] for one in told] == ["lab", "dmz"]


def test_a_user_of_one_vdom(several: Fortigate) -> None:
    several.tokens.add(ApiUser("dmz-only", "d" * 31, vdoms=("dmz",)))
    api = Api(several, "d" * 31)
    with api.http:
        assert api.get(ADDRESS, params={"vdom": "dmz"}).status == 200
        assert api.get(ADDRESS, params={"vdom": "root"}).status == 403
        assert [one["vdom"] for one in api.http.get(ADDRESS, params={"vdom": "*"}).json()] == ["dmz"]
        assert api.put("cmdb/system/global", {"hostname": "mine"}, params={"vdom": "dmz"}).status == 403
        assert api.get("cmdb/system/global", params={"vdom": "dmz"}).results["hostname"] == "edge"


def test_interfaces_belong_to_one_vdom(several: Fortigate) -> None:
    several.put_object("system/interface", {"name": "port4", "vdom": "dmz"})
    api = Api(several)
    with api.http:
        assert api.post(POLICY, rule(srcintf=named("port4")), params={"vdom": "dmz"}).status == 200
        assert api.post(POLICY, rule(srcintf=named("port4"))).error == -651
        assert api.post(POLICY, rule(dstintf=named("port1")), params={"vdom": "dmz"}).error == -651


def test_global_feeds_are_seen_by_every_vdom(several: Fortigate) -> None:
    api = Api(several)
    with api.http:
        body = {"name": "g-all", "type": "address", "update-method": "push", "resource": "x"}
        assert api.post(FEED, body).error == -651
        (made,) = api.http.post(FEED, json=body, params={"global": 1}).json()
        assert (made["status"], made["mkey"]) == ("success", "g-all")
        assert api.post(POLICY, rule(srcaddr=named("g-all")), params={"vdom": "lab"}).status == 200
        assert [one["name"] for one in api.get(FEED, params={"vdom": "dmz"}).results] == ["g-all"]
        assert api.get(FEED, params={"vdom": "dmz", "scope": "vdom"}).results == []
        (refused,) = api.http.delete(f"{FEED}/g-all", params={"global": 1}).json()
        assert refused["error"] == -23


def test_the_token_shows_nowhere(box: Fortigate, api: Api) -> None:
    api.get("monitor/web-ui/state")
    assert box.password not in repr(box.tokens.users())
    assert box.password not in repr(box.requests())
