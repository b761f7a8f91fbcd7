"""The session table: filters, what closes a session, what closes all of them."""

import pytest

from bridge.lab.devices.fortigate import Fortigate
from bridge.lab.devices.fortigate.sessions import Session
from tests.lab.devices.fortigate import POLICY, Api, named

LIST = "monitor/firewall/session"


@pytest.fixture
def flows(box: Fortigate) -> list[Session]:
    add = box.sessions.add
    return [
        add("10.0.0.1", "192.0.2.1", protocol=6, source_port=40000, port=443, policy=1),
        add("10.0.0.1", "192.0.2.1", protocol=6, source_port=40001, port=80, policy=1),
        add("10.0.0.2", "192.0.2.1", protocol=17, source_port=40000, port=53, policy=2),
        add("2001:db8::1", "2001:db8:1::1", protocol=6, source_port=40000, port=443, policy=1),
    ]


def left(box: Fortigate, flows: list[Session]) -> list[int]:
    held = box.sessions.all()
    return [index for index, one in enumerate(flows) if one in held]


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({}, [0, 1, 2]),
        ({"ip_version": "ipboth"}, [0, 1, 2, 3]),
        ({"ip_version": "ipv6"}, [3]),
        ({"source": "10.0.0.1"}, [0, 1]),
        ({"destport": "443"}, [0]),
        ({"protocol": "udp"}, [2]),
        ({"policyid": "2"}, [2]),
        ({"source": "10.0.0.1", "sourceport": "40001"}, [1]),
        ({"start": "1"}, [1, 2]),
    ],
)
def test_what_is_shown(api: Api, flows: list[Session], asked: dict[str, str], found: list[int]) -> None:
    told = api.get(LIST, params={"count": 100, **asked})
    assert "http_status" not in told.body
    assert [one["sessid"] for one in told.results["details"]] == [flows[index].serial for index in found]


def test_details_and_summary(api: Api, flows: list[Session]) -> None:
    told = api.get(LIST, params={"count": 20, "summary": "true"}).results
    assert told["summary"]["matched_count"] == 3
    shown = told["details"][0]
    assert {key: shown[key] for key in ("proto", "saddr", "sport", "daddr", "dport", "policyid")} == {
        "proto": "tcp",
        "saddr": "10.0.0.1",
        "sport": 40000,
        "daddr": "192.0.2.1",
        "dport": 443,
        "policyid": 1,
    }


def test_the_count_must_be_given(api: Api) -> None:
    assert api.get(LIST).status == 400


def test_a_count_out_of_range_is_rounded(box: Fortigate, api: Api) -> None:
    for port in range(1, 26):
        box.sessions.add("10.0.0.1", "192.0.2.1", port=port)
    assert len(api.get(LIST, params={"count": 1}).results["details"]) == 20
    assert len(api.get(LIST, params={"count": 5000}).results["details"]) == 25


def test_one_is_closed_when_it_is_named_wholly(box: Fortigate, api: Api, flows: list[Session]) -> None:
    whole = {"pro": "tcp", "saddr": "10.0.0.1", "daddr": "192.0.2.1", "sport": 40000, "dport": 443}
    assert api.post(f"{LIST}/close", whole | {"dport": ""}).status == 400
    assert left(box, flows) == [0, 1, 2, 3]
    assert api.post(f"{LIST}/close", whole).status == 200
    assert left(box, flows) == [1, 2, 3]


def test_several_are_closed_by_filter_in_body_or_query(box: Fortigate, api: Api, flows: list[Session]) -> None:
    assert api.post(f"{LIST}/close-multiple", {"saddr": "10.0.0.1", "proto": "tcp", "dport": 443}).status == 200
    assert left(box, flows) == [1, 2, 3]
    assert api.post(f"{LIST}/close-multiple", None, params={"saddr": "10.0.0.2", "pro": "17"}).status == 200
    assert left(box, flows) == [1, 3]
    six = api.post("monitor/firewall/session6/close-multiple", {"saddr": "2001:DB8::1", "sport": 40000})
    assert (six.status, left(box, flows)) == (200, [1])


@pytest.mark.parametrize("body", [{}, {"srcaddr": "10.0.0.1"}, {"saddr": ""}])
def test_without_a_filter_that_the_box_knows_everything_goes(
    box: Fortigate, api: Api, flows: list[Session], body: dict[str, str]
) -> None:
    assert api.post(f"{LIST}/close-multiple", body).status == 200
    assert left(box, flows) == [3]


def test_what_closes_all_of_a_vdom(box: Fortigate, api: Api, flows: list[Session]) -> None:
    assert api.post("monitor/firewall/session6/close-all", {}).status == 200
    assert left(box, flows) == [0, 1, 2]
    elsewhere = box.sessions.add("10.0.0.1", "192.0.2.1", port=443, vdom="dmz")
    box.sessions.add("2001:db8::1", "2001:db8:1::1", port=443)
    assert api.post(f"{LIST}/clear_all", {}).status == 200
    assert box.sessions.all() == [elsewhere]
    assert api.post(f"{LIST}/melt", {}).status == 404


def test_policies_are_applied_to_running_sessions_but_feeds_are_not(box: Fortigate, api: Api) -> None:
    api.feed("f")
    api.push("add", "f", "10.0.0.1")
    api.policy(srcaddr=named("f"), service=named("HTTPS"))
    box.sessions.add("10.0.0.1", "192.0.2.1", port=443)
    api.push("remove", "f", "10.0.0.1")
    assert len(box.sessions.all()) == 1
    api.put("cmdb/system/settings", {"ext-resource-session-check": "enable"})
    assert box.sessions.all() == []  # any change of configuration has them looked at again
    api.push("add", "f", "10.0.0.1")
    box.sessions.add("10.0.0.1", "192.0.2.1", port=443)
    api.push("add", "f", "10.0.0.2")
    assert len(box.sessions.all()) == 1
    api.push("remove", "f", "10.0.0.1")
    assert box.sessions.all() == []


def test_running_sessions_stay_where_only_new_ones_are_checked(box: Fortigate, api: Api) -> None:
    api.policy()
    api.put("cmdb/system/settings", {"firewall-session-dirty": "check-new"})
    box.sessions.add("10.0.0.1", "192.0.2.1", port=443)
    api.delete(f"{POLICY}/1")
    assert len(box.sessions.all()) == 1
