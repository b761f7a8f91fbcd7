"""Entries of the simulated FortiGate from creation to deletion, and the envelope around every answer."""

import re

import pytest

from bridge.lab.devices.fortigate import Fortigate
from tests.lab.devices.fortigate import ADDRESS, FEED, GROUP, POLICY, SERVICE, Api, named, rule


def test_the_envelope(box: Fortigate, api: Api) -> None:
    made = api.post(ADDRESS, {"name": "a", "subnet": "10.0.0.1/32"})
    assert made.status == 200
    kept = {key: made.body.pop(key) for key in ("revision", "old_revision")}
    assert made.body == {
        "http_method": "POST",
        "http_status": 200,
        "status": "success",
        "revision_changed": True,
        "mkey": "a",
        "vdom": "root",
        "path": "firewall",
        "name": "address",
        "serial": box.identity.units[0].serial,
        "version": "v7.4.8",
        "build": 2795,
    }
    assert all(re.fullmatch("[0-9a-f]{32}", one) for one in kept.values())
    assert len(set(kept.values())) == 2
    read = api.get(f"{ADDRESS}/a")
    assert (read.body["revision"], read.body["size"], read.body["http_status"]) == (kept["revision"], 1, 200)


def test_the_revision_is_of_one_table_and_changes_with_each_write(api: Api) -> None:
    before = {path: api.get(path).body["revision"] for path in (ADDRESS, GROUP)}
    api.address("a")
    after = api.get(ADDRESS).body["revision"]
    assert after != before[ADDRESS]
    assert api.get(GROUP).body["revision"] == before[GROUP]
    same = api.put(f"{ADDRESS}/a", {"subnet": "10.0.0.1 255.255.255.255"})
    assert (same.body["revision"], same.body["revision_changed"]) == (after, False)
    assert api.delete(f"{ADDRESS}/a").body["old_revision"] == after


def test_an_address_reads_back_in_the_words_of_the_box(api: Api) -> None:
    api.post(ADDRESS, {"name": "net", "subnet": "10.1.2.3/8", "comment": "x", "color": "7"})
    (shown,) = api.get(f"{ADDRESS}/net").results
    assert (shown["subnet"], shown["type"], shown["color"]) == ("10.0.0.0 255.0.0.0", "ipmask", 7)
    assert "start-ip" not in shown
    assert shown["q_origin_key"] == "net"
    api.put(f"{ADDRESS}/net", {"type": "iprange", "start-ip": "10.0.0.5", "end-ip": "10.0.0.9"})
    (shown,) = api.get(f"{ADDRESS}/net").results
    assert "subnet" not in shown
    assert (shown["start-ip"], shown["end-ip"], shown["comment"]) == ("10.0.0.5", "10.0.0.9", "x")


def test_the_uuid_is_the_box_s_survives_edits_and_can_be_set(api: Api) -> None:
    api.address("a", "b")
    first = api.get(f"{ADDRESS}/a").results[0]["uuid"]
    api.put(f"{ADDRESS}/a", {"comment": "x"})
    assert api.get(f"{ADDRESS}/a").results[0]["uuid"] == first
    assert api.get(f"{ADDRESS}/b").results[0]["uuid"] != first
    mine = "0e0ec0de-9e9d-51ea-9fbb-66c20957b9c0"
    api.put(f"{ADDRESS}/a", {"uuid": mine})
    assert api.get(f"{ADDRESS}/a").results[0]["uuid"] == mine


def test_versions_of_ip_are_apart(api: Api) -> None:
    api.address("same")
    made = api.post("cmdb/firewall/address6", {"name": "same", "ip6": "2001:DB8::1/128"})
    assert made.status == 200
    assert api.get("cmdb/firewall/address6/same").results[0]["ip6"] == "2001:db8::1/128"
    assert api.post("cmdb/firewall/addrgrp6", {"name": "g", "member": named("same")}).status == 200
    assert api.group("g", "same").status == 200


def test_a_list_that_is_put_replaces_the_list(api: Api) -> None:
    api.address("a", "b", "c")
    api.group("g", "a", "b")
    api.put(f"{GROUP}/g", {"member": named("c")})
    (shown,) = api.get(f"{GROUP}/g").results
    assert shown["member"] == [{"name": "c", "q_origin_key": "c"}]
    api.put(f"{GROUP}/g", {"comment": "only this"})
    assert [one["name"] for one in api.get(f"{GROUP}/g").results[0]["member"]] == ["c"]


def test_members_come_and_go_one_by_one(box: Fortigate, api: Api) -> None:
    api.address("a", "b", "c/d")
    api.group("g", "a")
    assert api.post(f"{GROUP}/g/member", {"name": "b"}).body["mkey"] == "b"
    assert api.post(f"{GROUP}/g/member", {"name": "c/d"}).status == 200
    assert box.members("firewall/addrgrp", "g") == {"a", "b", "c/d"}
    assert api.delete(f"{GROUP}/g/member/c%2Fd").status == 200
    assert api.delete(f"{GROUP}/g/member/a").status == 200
    assert [one["name"] for one in api.get(f"{GROUP}/g/member").results] == ["b"]
    assert api.get(f"{GROUP}/g/member/b").results[0]["name"] == "b"


def test_another_name_in_the_body_renames_and_is_followed(box: Fortigate, api: Api) -> None:
    api.address("a")
    api.group("g", "a")
    api.policy(srcaddr=named("g"))
    assert api.put(f"{ADDRESS}/a", {"name": "b"}).body["mkey"] == "b"
    assert api.get(f"{ADDRESS}/a").error == -3
    assert box.members("firewall/addrgrp", "g") == {"b"}
    api.put(f"{GROUP}/g", {"name": "h"})
    assert api.get(f"{POLICY}/1").results[0]["srcaddr"][0]["name"] == "h"


def test_unknown_attributes_are_forgotten_with_success(api: Api) -> None:
    made = api.post(ADDRESS, {"name": "a", "subnet": "10.0.0.1/32", "subnett": "10.0.0.2/32", "allow": "all"})
    assert made.status == 200
    assert not {"subnett", "allow"} & api.get(f"{ADDRESS}/a").results[0].keys()


def test_names_are_decoded_whole(api: Api) -> None:
    api.post(ADDRESS, {"name": "a/b c%d", "subnet": "10.0.0.1/32"})
    assert api.get(f"{ADDRESS}/a%2Fb%20c%25d").results[0]["name"] == "a/b c%d"
    assert api.delete(f"{ADDRESS}/a%2Fb%20c%25d").status == 200


def test_policies_are_numbered_and_stand_in_their_order(box: Fortigate, api: Api) -> None:
    assert [api.policy(name=name).body["mkey"] for name in "abc"] == [1, 2, 3]
    assert api.policy(policyid=70).body["mkey"] == 70
    assert api.policy(policyid=0).body["mkey"] == 71
    assert box.order() == [1, 2, 3, 70, 71]
    assert api.put(f"{POLICY}/71?action=move&before=1").status == 200
    assert api.put(f"{POLICY}/1?action=move&after=70").status == 200
    assert box.order() == [71, 2, 3, 70, 1]
    assert [one["policyid"] for one in api.get(POLICY).results] == box.order()
    assert api.put(f"{POLICY}/2?action=move&after=9").error == -3


def test_a_move_in_the_body_does_nothing(box: Fortigate, api: Api) -> None:
    api.policy(name="a")
    api.policy(name="b")
    assert api.put(f"{POLICY}/2", {"action": "move", "before": "1"}).status == 200
    assert box.order() == [1, 2]
    assert api.get(f"{POLICY}/2").results[0]["action"] == "accept"


def test_many_moves_to_one_place_keep_their_order(box: Fortigate, api: Api) -> None:
    for _ in range(3):
        api.policy()
    for _ in range(70):  # more often than a number can be halved
        box.change_object("firewall/policy/3?action=move&after=1", {})
        box.change_object("firewall/policy/2?action=move&after=1", {})
        assert box.order() == [1, 2, 3]


def test_lists_come_in_parts(api: Api) -> None:
    api.address(*"abcdefg")
    first = api.get(ADDRESS, params={"start": 2, "count": 3})
    assert [one["name"] for one in first.results] == ["a", "b", "c"]  # behind all and none
    assert (first.body["size"], first.body["matched_count"], first.body["next_idx"]) == (9, 9, 4)
    rest = api.get(ADDRESS, params={"start": 8, "count": 3})
    assert [one["name"] for one in rest.results] == ["g"]


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        (["name==FB_web"], ["fb_web"]),
        (["name=@fb_"], ["fb_web", "fb_db"]),
        (["name=@fb_", "comment=@mark"], ["fb_db"]),
        (["name==fb_web,name==other"], ["fb_web", "other"]),
        (["name!=other", "name!@fb_", "name!@all", "name!@none"], []),
        (["color>3"], ["fb_web"]),
        (["color<=3", "name=@fb_"], ["fb_db"]),
        (["subnet=@10.9."], ["other"]),
    ],
)
def test_filters(api: Api, filters: list[str], found: list[str]) -> None:
    api.post(ADDRESS, {"name": "fb_web", "subnet": "10.0.0.1/32", "color": 5})
    api.post(ADDRESS, {"name": "fb_db", "subnet": "10.0.0.2/32", "comment": "a MARK here"})
    api.post(ADDRESS, {"name": "other", "subnet": "10.9.0.0/16"})
    told = api.get(ADDRESS, params={"filter": filters})
    assert [one["name"] for one in told.results] == found
    assert told.body["matched_count"] == len(found)


def test_filters_enter_lists_and_formats_leave_attributes_out(api: Api) -> None:
    api.address("a", "b")
    api.group("g", "a")
    api.group("h", "b")
    told = api.get(GROUP, params={"filter": "member.name==b", "format": "name|comment"})
    assert told.results == [{"name": "h", "q_origin_key": "h", "comment": ""}]
    meta = api.get(f"{ADDRESS}/a", params={"with_meta": 1})
    assert meta.results[0]["q_ref"] == 1


def test_services_schedules_and_feeds_live(api: Api) -> None:
    assert api.post(SERVICE, {"name": "s", "protocol": "TCP/UDP/SCTP", "tcp-portrange": "443 8000-8010"}).status == 200
    assert api.post("cmdb/firewall.service/group", {"name": "sg", "member": named("s", "DNS")}).status == 200
    moment = {"name": "o", "start": "08:00 2026/11/23", "end": "18:00 2026/11/24"}
    assert api.post("cmdb/firewall.schedule/onetime", moment).status == 200
    assert (
        api.post("cmdb/firewall.schedule/recurring", {"name": "r", "day": "monday sunday", "start": "08:00"}).status
        == 200
    )
    assert api.get("cmdb/firewall.schedule/recurring/r").results[0]["day"] == "sunday monday"
    assert api.post("cmdb/firewall.schedule/group", {"name": "both", "member": named("o", "r")}).status == 200
    assert api.feed("feed").status == 200
    assert api.policy(srcaddr=named("feed"), service=named("sg"), schedule="both").status == 200
    assert api.get(f"{FEED}/feed").results[0]["update-method"] == "push"
    assert api.put(f"{POLICY}/1", rule(service=named("HTTPS"))).status == 200
    assert api.delete("cmdb/firewall.service/group/sg").status == 200


def test_every_state_can_be_had_again(box: Fortigate, api: Api) -> None:
    empty = box.digest()
    api.address("a", "b")
    api.group("g", "a", "b")
    api.feed("f")
    api.push("add", "f", "10.0.0.1", "10.0.0.2")
    api.push("snapshot", "f", "10.0.0.2", "10.0.0.3")
    told = [(write.method, state.digest()) for write, state in box.timeline()]
    assert [method for method, _ in told] == ["POST"] * 6
    assert told[-1][1] == box.digest()
    assert len({digest for _, digest in told}) == 6
    assert [box.state(number).digest() for number in range(7)] == [empty, *(digest for _, digest in told)]
    assert sorted(box.state(5).entries["root", "system/external-resource", "f"]) == ["10.0.0.1", "10.0.0.2"]
    box.wipe()
    assert box.digest() == empty
