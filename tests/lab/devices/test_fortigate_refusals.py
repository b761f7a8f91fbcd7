"""What the simulated FortiGate refuses, by number and HTTP status, and that a refusal changes nothing."""

from collections.abc import Iterator
from typing import Any

import pytest

from bridge.lab.devices.fortigate import Fortigate
from tests.lab.devices.fortigate import ADDRESS, FEED, GROUP, POLICY, SERVICE, Api, named, rule

ADDRESS6 = "cmdb/firewall/address6"
ONETIME, RECURRING = "cmdb/firewall.schedule/onetime", "cmdb/firewall.schedule/recurring"
SERVICE_GROUP = "cmdb/firewall.service/group"

FEED_BODY = {"type": "address", "update-method": "push", "resource": "x"}
MOMENTS = {"start": "08:00 2026/11/23", "end": "09:00 2026/11/23"}

CREATIONS: list[tuple[str, str, dict[str, Any], int]] = [
    ("no name", ADDRESS, {"subnet": "10.0.0.1/32"}, -56),
    ("name of 80", ADDRESS, {"name": "n" * 80}, -166),
    ("name of 79 bytes in 80", ADDRESS, {"name": "ä" + "n" * 78}, -166),
    ("markup", ADDRESS, {"name": "a<b"}, -173),
    ("quote", ADDRESS, {"name": 'a"b'}, -173),
    ("comment of 256", ADDRESS, {"name": "x", "comment": "c" * 256}, -72),
    ("no address", ADDRESS, {"name": "x", "subnet": "10.0.0.256/32"}, -8),
    ("no mask", ADDRESS, {"name": "x", "subnet": "10.0.0.0 255.0.255.0"}, -9),
    ("version 6 in version 4", ADDRESS, {"name": "x", "subnet": "2001:db8::1/128"}, -8),
    ("version 4 in version 6", ADDRESS6, {"name": "x", "ip6": "10.0.0.1/32"}, -8),
    ("unknown type", ADDRESS, {"name": "x", "type": "ipmaks"}, -651),
    ("fqdn without a name", ADDRESS, {"name": "x", "type": "fqdn"}, -56),
    ("fqdn of nonsense", ADDRESS, {"name": "x", "type": "fqdn", "fqdn": "a..b"}, -651),
    ("range without end", ADDRESS, {"name": "x", "type": "iprange", "start-ip": "10.0.0.1"}, -56),
    ("range backwards", ADDRESS, {"name": "x", "type": "iprange", "start-ip": "10.0.0.2", "end-ip": "10.0.0.1"}, -651),
    ("there already", ADDRESS, {"name": "a"}, -5),
    ("address named as a group", ADDRESS, {"name": "g"}, -163),
    ("group named as an address", GROUP, {"name": "a", "member": named("b")}, -163),
    ("address named as a virtual address", ADDRESS, {"name": "v"}, -164),
    ("virtual address named as a group", "cmdb/firewall/vip", {"name": "g"}, -164),
    ("address named as a feed", ADDRESS, {"name": "f"}, -5),
    ("empty group", GROUP, {"name": "x", "member": []}, -56),
    ("group without members", GROUP, {"name": "x"}, -56),
    ("unknown member", GROUP, {"name": "x", "member": named("nobody")}, -651),
    ("feed as a member", GROUP, {"name": "x", "member": named("f")}, -651),
    ("member of the other version", GROUP, {"name": "x", "member": named("six")}, -651),
    ("member twice", GROUP, {"name": "x", "member": named("a", "a")}, -15),
    ("member as a text", GROUP, {"name": "x", "member": ["a"]}, -651),
    ("601 members", GROUP, {"name": "x", "member": named(*(f"m{n}" for n in range(601)))}, -4),
    ("policy without interfaces", POLICY, rule(srcintf=[]), -56),
    ("policy without service", POLICY, rule(service=[]), -56),
    ("policy without schedule", POLICY, rule(schedule=""), -56),
    ("policy without source", POLICY, rule(srcaddr=[]), -56),
    ("policy without any side", POLICY, rule(srcaddr=[], dstaddr=[]), -56),
    ("policy with half a version 6", POLICY, rule(srcaddr6=named("all")), -56),
    ("policy on an unknown interface", POLICY, rule(srcintf=named("port9")), -651),
    ("policy with an unknown address", POLICY, rule(dstaddr=named("nobody")), -651),
    ("policy with a feed of domains", POLICY, rule(srcaddr=named("domains")), -651),
    ("policy with an unknown schedule", POLICY, rule(schedule="sometimes"), -651),
    ("policy with an unknown profile", POLICY, rule(ips_sensor="mine"), -651),
    ("policy name of 36", POLICY, rule(name="n" * 36), -72),
    ("policy name in use", POLICY, rule(name="taken"), -5),
    ("policy number in use", POLICY, rule(policyid=1), -5),
    ("policy number too big", POLICY, rule(policyid=4294967295), -651),
    ("comments of 1024", POLICY, rule(comments="c" * 1024), -72),
    ("service without ports", SERVICE, {"name": "x", "protocol": "TCP/UDP/SCTP"}, -56),
    ("service with a bad port", SERVICE, {"name": "x", "tcp-portrange": "80-70000"}, -651),
    ("service with ports backwards", SERVICE, {"name": "x", "tcp-portrange": "90-80"}, -651),
    ("code without type", SERVICE, {"name": "x", "protocol": "ICMP", "icmpcode": 1}, -56),
    ("empty service group", SERVICE_GROUP, {"name": "x", "member": []}, -56),
    ("301 services", SERVICE_GROUP, {"name": "x", "member": named(*(f"m{n}" for n in range(301)))}, -4),
    ("schedule of 32 bytes", RECURRING, {"name": "s" * 32, "day": "monday"}, -166),
    ("schedule on no day", RECURRING, {"name": "x", "day": "someday"}, -651),
    ("schedule that ends first", ONETIME, {"name": "x", "start": MOMENTS["end"], "end": MOMENTS["start"]}, -651),
    ("schedule in another form", ONETIME, {"name": "x", "start": "2026-11-23T08:00", "end": MOMENTS["end"]}, -651),
    ("one-time schedule named as a recurring one", ONETIME, {"name": "always", **MOMENTS}, -5),
    ("feed name of 36", FEED, {"name": "f" * 36, **FEED_BODY}, -166),
    ("feed without resource", FEED, {"name": "x", **FEED_BODY, "resource": ""}, -56),
    ("feed of a VDOM named as a global one", FEED, {"name": "g-x", **FEED_BODY}, -651),
    ("feed named as an address", FEED, {"name": "a", **FEED_BODY}, -5),
]


@pytest.fixture(scope="module")
def kept() -> Iterator[tuple[Fortigate, Api]]:
    """One box for everything that must not change it."""
    with Fortigate(tls=False) as box:
        api = Api(box)
        with api.http:
            yield box, fill(api)


@pytest.fixture
def filled(api: Api) -> Api:
    return fill(api)


def fill(api: Api) -> Api:
    api.address("a", "b")
    api.post(ADDRESS6, {"name": "six", "ip6": "2001:db8::6/128"})
    api.group("g", "a")
    api.feed("f")
    api.feed("domains", type="domain")
    api.post("cmdb/firewall/vip", {"name": "v", "extip": "192.0.2.1", "mappedip": "10.0.0.1"})
    api.policy(name="taken", srcaddr=named("g"), dstaddr=named("f"))
    return api


@pytest.mark.parametrize(("path", "body", "error"), [one[1:] for one in CREATIONS], ids=[one[0] for one in CREATIONS])
def test_refused_creations(kept: tuple[Fortigate, Api], path: str, body: dict[str, Any], error: int) -> None:
    box, filled = kept
    before = box.digest()
    told = filled.post(path, body)
    assert (told.error, told.status, told.body["http_status"], told.body["status"]) == (error, 500, 500, "error")
    assert box.digest() == before


def test_the_words_of_an_unknown_reference(kept: tuple[Fortigate, Api]) -> None:
    _, filled = kept
    told = filled.post(POLICY, rule(srcaddr=named("homeNetwork")))
    assert "node_check_object fail!" in told.body["cli_error"]
    assert "Return code -651" in told.body["cli_error"]
    assert told.body["revision_changed"] is False
    assert (told.body["path"], told.body["name"]) == ("firewall", "policy")


@pytest.mark.parametrize(
    "path",
    [f"{ADDRESS}/a", f"{GROUP}/g", f"{FEED}/f", f"{SERVICE}/ALL", f"{RECURRING}/always", f"{SERVICE}/HTTP"],
)
def test_what_is_in_use_stays(kept: tuple[Fortigate, Api], path: str) -> None:
    box, filled = kept
    before = box.digest()
    told = filled.delete(path)
    assert (told.error, told.status) == (-23, 500)
    assert "The entry is used by other 1 entries" in told.body["cli_error"]
    assert box.digest() == before


def test_what_is_not_there(filled: Api) -> None:
    for told in (
        filled.get(f"{ADDRESS}/x"),
        filled.delete(f"{ADDRESS}/x"),
        filled.put(f"{ADDRESS}/x", {"comment": ""}),
        filled.post(f"{GROUP}/x/member", {"name": "a"}),
        filled.delete(f"{GROUP}/g/member/b"),
    ):
        assert (told.error, told.status) == (-3, 404)


def test_members_that_are_refused(box: Fortigate, filled: Api) -> None:
    before = box.digest()
    assert filled.delete(f"{GROUP}/g/member/a").error == -56
    assert filled.post(f"{GROUP}/g/member", {"name": "a"}).error == -5
    assert filled.post(f"{GROUP}/g/member", {"name": "nobody"}).error == -651
    assert filled.put(f"{GROUP}/g", {"member": []}).error == -56
    assert box.digest() == before


def test_a_full_group_takes_no_member_more(box: Fortigate, api: Api) -> None:
    box.limits.members = 2
    api.address("a", "b", "c")
    api.group("g", "a", "b")
    told = api.post(f"{GROUP}/g/member", {"name": "c"})
    assert (told.error, told.status) == (-4, 500)


def test_no_group_holds_itself(api: Api) -> None:
    api.address("a")
    api.group("g", "a")
    api.group("h", "g")
    assert api.post(f"{GROUP}/g/member", {"name": "h"}).error == -651
    assert api.post(f"{GROUP}/g/member", {"name": "g"}).error == -651


def test_a_rename_to_a_name_in_use(filled: Api) -> None:
    assert filled.put(f"{ADDRESS}/a", {"name": "b"}).error == -5
    assert filled.put(f"{ADDRESS}/a", {"name": "g"}).error == -163
    assert filled.put(f"{POLICY}/1", {"policyid": 9}).status == 200
    assert filled.get(f"{POLICY}/9").error == -3


def test_full_tables(box: Fortigate, api: Api) -> None:
    box.limits.tables["firewall-address"] = 6
    api.address("a", "b")  # beside all and none of both versions
    assert api.post(ADDRESS, {"name": "c"}).error == -4
    assert api.post(ADDRESS6, {"name": "c"}).error == -4
    assert api.put(f"{ADDRESS}/a", {"name": "c"}).status == 200


def test_methods_and_paths(api: Api) -> None:
    assert api.call("PATCH", f"{ADDRESS}/all", {}).status == 405
    assert api.put(ADDRESS, {}).status == 405
    assert api.post(f"{ADDRESS}/all", {}).status == 405
    assert api.get("cmdb/firewall/adress").status == 404
    assert api.get("monitor/system/nothing").status == 404
    assert api.http.get("/api/v1/cmdb/firewall/address").status_code == 404
    assert api.http.post(ADDRESS, content=b"{").status_code == 400
    assert api.http.post(ADDRESS, content=b"[]").status_code == 400


def test_a_body_too_large(box: Fortigate, api: Api) -> None:
    box.limits.body = 100
    assert api.post(ADDRESS, {"name": "x", "comment": "c" * 100}).status == 413
