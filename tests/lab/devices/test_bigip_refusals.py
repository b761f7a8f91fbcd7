"""What a BIG-IP refuses, the simulator refuses, and a refused call changes nothing."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from bridge.lab.devices.bigip import ApiError, Bigip
from tests.lab.devices.conftest import FIREWALL, client

LIST = f"{FIREWALL}/address-list"
PORTS = f"{FIREWALL}/port-list"
POLICY = f"{FIREWALL}/policy"
RULE_LIST = f"{FIREWALL}/rule-list"
RULES = f"{POLICY}/~Common~p/rules"


@pytest.fixture
def furnished(device: Bigip) -> Bigip:
    return furnish(device)


@pytest.fixture(scope="module")
def still() -> Iterator[httpx.Client]:
    """A furnished device that no call of a test changes."""
    with Bigip() as device:
        device.put_object("sys/folder", {"name": "/Common/fb"}, user="site")
        with client(furnish(device)) as http:
            yield http


def furnish(device: Bigip) -> Bigip:
    """A list, a list that holds it, a policy with a rule that refers to it, enforced globally."""
    device.put_object("auth/partition", {"name": "tenant"})
    device.put_object("security/firewall/address-list", {"name": "a", "addresses": ["10.0.0.1"]})
    device.put_object("security/firewall/address-list", {"name": "outer", "addressLists": ["/Common/a"]})
    device.put_object("security/firewall/address-list", {"name": "t", "partition": "tenant", "addresses": ["10.0.0.1"]})
    device.put_object("security/firewall/port-list", {"name": "ports", "ports": ["80"]})
    device.put_object("security/firewall/rule-list", {"name": "rl"})
    device.put_object("security/firewall/policy", {"name": "p"})
    rule = {"name": "r", "action": "drop", "place-after": "last", "source": {"addressLists": ["/Common/a"]}}
    device.put_object("security/firewall/policy/~Common~p/rules", rule)
    device.change_object("security/firewall/global-rules", {"enforcedPolicy": "/Common/p"})
    return device


def addresses(*texts: str) -> dict[str, Any]:
    return {"name": "new", "addresses": [{"name": text} for text in texts]}


def rule(**more: object) -> dict[str, Any]:
    return {"name": "new", "action": "accept", "place-after": "last"} | more


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", LIST, {"name": "new", "addresses": [{"name": "10.0.0.1"}], "colour": "red"}, 400),
        ("POST", LIST, addresses("300.1.2.3"), 400),
        ("POST", LIST, addresses("10.0.0.1/24"), 400),
        ("POST", LIST, addresses("10.0.0.0/255.255.255.0"), 400),
        ("POST", LIST, addresses("10.0.0.9-10.0.0.1"), 400),
        ("POST", LIST, addresses("10.0.0.1-2001:db8::1"), 400),
        ("POST", LIST, addresses("10.0.0.1%70000"), 400),
        ("POST", LIST, addresses("10.0.0.1", "10.0.0.1/32"), 409),
        ("POST", LIST, addresses("10.0.0.1") | {"name": "/new"}, 400),
        ("POST", LIST, addresses("2001:db8::1", "2001:0DB8::0:1"), 409),
        ("POST", LIST, addresses(), 400),
        ("POST", LIST, {"name": "new"}, 400),
        ("POST", LIST, {"addresses": [{"name": "10.0.0.1"}]}, 400),
        ("POST", LIST, {"name": "a", "addresses": [{"name": "10.0.0.1"}]}, 409),
        ("POST", LIST, {"name": "spa/ce!", "addresses": [{"name": "10.0.0.1"}]}, 400),
        ("POST", LIST, {"name": "n" * 256, "addresses": [{"name": "10.0.0.1"}]}, 400),
        ("POST", LIST, {"name": "new", "description": "d" * 256, "addresses": [{"name": "10.0.0.1"}]}, 400),
        ("POST", LIST, {"name": "new", "partition": "absent", "addresses": [{"name": "10.0.0.1"}]}, 404),
        ("POST", LIST, {"name": "new", "subPath": "absent", "addresses": [{"name": "10.0.0.1"}]}, 404),
        ("POST", LIST, {"name": "new", "addressLists": ["/Common/absent"]}, 400),
        ("POST", LIST, {"name": "new", "addressLists": ["/tenant/t"]}, 400),
        ("POST", LIST, {"name": "new", "addressLists": ["/Common/new"]}, 400),
        ("POST", LIST, {"name": "new", "fqdns": ["-bad-.example"]}, 400),
        ("PATCH", f"{LIST}/~Common~a", {"addressLists": ["/Common/outer"]}, 400),
        ("PATCH", f"{LIST}/~Common~a", {"addresses": []}, 400),
        ("PATCH", f"{LIST}/~Common~a", {}, 400),
        ("PATCH", f"{LIST}/~Common~absent", {"description": "d"}, 404),
        ("PUT", f"{LIST}/~Common~a", {"description": "no members"}, 400),
        ("PATCH", f"{LIST}/~Common~a", {"name": "b", "description": "d"}, 400),
        ("DELETE", f"{LIST}/~Common~a", None, 400),
        ("DELETE", f"{LIST}/~Common~absent", None, 404),
        ("POST", PORTS, {"name": "new", "ports": [{"name": "90-80"}]}, 400),
        ("POST", PORTS, {"name": "new", "ports": [{"name": "65536"}]}, 400),
        ("POST", PORTS, {"name": "new", "ports": [{"name": "http"}]}, 400),
        ("POST", PORTS, {"name": "new", "ports": []}, 400),
        ("DELETE", f"{POLICY}/~Common~p", None, 400),
        ("POST", f"{POLICY}/~Common~absent/rules", rule(), 404),
        ("POST", RULES, {"name": "new", "place-after": "last"}, 400),
        ("POST", RULES, {"name": "new", "action": "accept"}, 400),
        ("POST", RULES, rule(**{"place-before": "r"}), 400),
        ("POST", RULES, rule(**{"place-after": "absent"}), 404),
        ("POST", RULES, rule(action="allow"), 400),
        ("POST", RULES, rule(name="r"), 409),
        ("POST", RULES, rule(name="first"), 400),
        ("POST", RULES, rule(destination={"ports": [{"name": "80"}]}), 400),
        ("POST", RULES, rule(ipProtocol="tcp", icmp=[{"name": "8:0"}]), 400),
        ("POST", RULES, rule(ipProtocol="icmp", icmp=[{"name": "256"}]), 400),
        ("POST", RULES, rule(ipProtocol="wireguard"), 400),
        ("POST", RULES, rule(source={"addressLists": ["/Common/absent"]}), 400),
        ("POST", RULES, rule(source={"addressLists": ["/tenant/t"]}), 400),
        ("POST", RULES, rule(source={"colour": "red"}), 400),
        ("POST", RULES, {"name": "new", "ruleList": "/Common/rl", "action": "accept", "place-after": "last"}, 400),
        (
            "POST",
            RULES,
            {"name": "new", "ruleList": "/Common/rl", "place-after": "last", "source": {"addresses": ["10.0.0.1"]}},
            400,
        ),
        (
            "POST",
            f"{RULE_LIST}/~Common~rl/rules",
            {"name": "new", "ruleList": "/Common/rl", "place-after": "last"},
            400,
        ),
        ("PATCH", f"{FIREWALL}/global-rules", {"enforcedPolicy": "/Common/absent"}, 400),
        ("DELETE", f"{FIREWALL}/global-rules", None, 405),
        ("PATCH", "/mgmt/tm/net/route-domain/~Common~0", {"id": 4}, 400),
        ("DELETE", "/mgmt/tm/net/route-domain/~Common~0", None, 400),
        ("DELETE", "/mgmt/tm/sys/folder/~Common", None, 400),
        ("DELETE", "/mgmt/tm/auth/partition/tenant", None, 400),
        ("POST", "/mgmt/tm/sys/folder", {"name": "fb", "partition": "Common"}, 409),
        ("POST", "/mgmt/tm/sys/folder", {"name": "x", "subPath": "/Common/absent"}, 404),
        ("POST", "/mgmt/tm/ltm/data-group/internal", {"name": "new", "records": []}, 400),
        (
            "POST",
            "/mgmt/tm/ltm/data-group/internal",
            {"name": "n", "type": "string", "records": [{"name": "k", "data": "x" * 65521}]},
            400,
        ),
        ("GET", f"{LIST}?$filter=name eq a", None, 400),
        ("GET", f"{LIST}?$orderby=name", None, 400),
        ("GET", "/mgmt/tm/security/firewall/absent", None, 404),
        ("GET", "/mgmt/absent", None, 404),
    ],
)
def test_refused(still: httpx.Client, method: str, path: str, body: object, status: int) -> None:
    before = still.get("/__lab/state").json()["digest"]
    answer = still.request(method, path, json=body)
    assert answer.status_code == status, answer.text
    assert answer.json()["code"] == status
    assert answer.json()["message"]
    assert still.get("/__lab/state").json()["digest"] == before


def test_body_that_is_not_json(http: httpx.Client) -> None:
    answer = http.post(LIST, content=b"{")
    assert (answer.status_code, answer.json()["apiError"]) == (400, 26214401)


def test_texts_that_clients_know(furnished: Bigip, http: httpx.Client) -> None:
    again = http.post(LIST, json={"name": "a", "addresses": ["10.0.0.1"]}).json()
    assert (
        again["message"] == "01020066:3: The requested IP address list (/Common/a) already exists in partition Common."
    )
    assert again.keys() == {"code", "message", "errorStack", "apiError"}
    absent = http.get(f"{LIST}/~Common~absent").json()
    assert absent["message"] == "01020036:3: The requested IP address list (/Common/absent) was not found."
    assert "is referenced by" in http.delete(f"{LIST}/~Common~a").json()["message"]


def test_tenant_may_refer_to_common(furnished: Bigip, http: httpx.Client) -> None:
    answer = http.post(LIST, json={"name": "mixed", "partition": "tenant", "addressLists": ["/Common/a", "/tenant/t"]})
    assert answer.status_code == 200


def test_overlapping_addresses_are_taken(device: Bigip, http: httpx.Client) -> None:
    answer = http.post(LIST, json=addresses("10.0.0.0/8", "10.0.0.1", "10.0.0.0-10.0.0.9"))
    assert answer.status_code == 200
    assert device.members("/Common/new") == {"10.0.0.0/8", "10.0.0.1", "10.0.0.0-10.0.0.9"}


def test_folder_goes_when_it_is_empty(device: Bigip, http: httpx.Client) -> None:
    http.post(LIST, json={"name": "x", "partition": "Common", "subPath": "fb", "addresses": ["10.0.0.1"]})
    assert http.delete("/mgmt/tm/sys/folder/~Common~fb").status_code == 400
    http.delete(f"{LIST}/~Common~fb~x")
    assert http.delete("/mgmt/tm/sys/folder/~Common~fb").status_code == 200
    assert "/Common/fb" not in device.objects("sys/folder")


def test_release_makes_deletion_possible(furnished: Bigip, http: httpx.Client) -> None:
    assert http.patch(f"{RULES}/r", json={"source": {"addressLists": []}}).status_code == 200
    assert http.delete(f"{LIST}/~Common~outer").status_code == 200
    assert http.delete(f"{LIST}/~Common~a").status_code == 200


def test_patch_of_source_leaves_other_attributes(furnished: Bigip, http: httpx.Client) -> None:
    shown = http.patch(f"{RULES}/r", json={"source": {"addresses": [{"name": "10.9.0.0/16"}]}}).json()
    assert shown["source"]["addressLists"] == ["/Common/a"]
    assert shown["source"]["addresses"] == [{"name": "10.9.0.0/16"}]


def _limit_members(device: Bigip) -> None:
    device.limits.members = 2


def _limit_objects(device: Bigip) -> None:
    device.limits.objects = 3


@pytest.mark.parametrize("limit", [_limit_members, _limit_objects])
def test_limits_can_be_set(furnished: Bigip, http: httpx.Client, limit: Callable[[Bigip], None]) -> None:
    body = addresses("10.0.0.1", "10.0.0.2", "10.0.0.3")
    limit(furnished)
    before = furnished.digest()
    assert http.post(LIST, json=body).status_code == 400
    assert furnished.digest() == before


def test_rules_are_limited(furnished: Bigip) -> None:
    furnished.limits.rules = 1
    with pytest.raises(ApiError, match="maximum of 1 rules"):
        furnished.put_object("security/firewall/policy/~Common~p/rules", rule())


def test_collections_page_select_and_filter(device: Bigip, http: httpx.Client) -> None:
    assert "items" not in http.get(LIST).json()
    for name in ("c", "a", "b"):
        http.post(LIST, json={"name": name, "addresses": ["10.0.0.1"]})
    http.post("/mgmt/tm/auth/partition", json={"name": "tenant"})
    http.post(LIST, json={"name": "t", "partition": "tenant", "addresses": ["10.0.0.1"]})
    first = http.get(LIST, params={"$top": 3, "$skip": 0, "$select": "fullPath"}).json()
    assert first["items"] == [{"fullPath": "/Common/a"}, {"fullPath": "/Common/b"}, {"fullPath": "/Common/c"}]
    assert first["totalItems"] == 4
    rest = http.get(first["nextLink"].removeprefix("https://localhost")).json()
    assert [one["fullPath"] for one in rest["items"]] == ["/tenant/t"]
    assert "nextLink" not in rest
    filtered = http.get(LIST, params={"$filter": "partition eq tenant"}).json()
    assert [one["fullPath"] for one in filtered["items"]] == ["/tenant/t"]
