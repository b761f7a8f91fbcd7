"""bigrest drives the simulator: a second client, with its own idea of what a BIG-IP answers."""

import pytest

from bridge.lab.devices.bigip import Bigip
from tests.lab.devices.conftest import Untyped

LISTS = "/mgmt/tm/security/firewall/address-list"
RULE_LISTS = "/mgmt/tm/security/firewall/rule-list"
POLICIES = "/mgmt/tm/security/firewall/policy"


def test_address_list_lives_its_life(device: Bigip, rest: Untyped) -> None:
    assert not rest.exist(f"{LISTS}/~Common~fb~web")
    rest.create(LISTS, {"name": "/Common/fb/web", "addresses": ["10.0.0.1", "10.0.0.9-10.0.0.20"]})
    loaded = rest.load(f"{LISTS}/~Common~fb~web")
    loaded.properties["addresses"].append({"name": "2001:DB8::1"})
    rest.save(loaded)
    assert device.members("/Common/fb/web") == {"10.0.0.1", "10.0.0.9-10.0.0.20", "2001:db8::1"}
    rest.modify(f"{LISTS}/~Common~fb~web", {"addresses": ["10.0.0.3"]})
    assert device.members("/Common/fb/web") == {"10.0.0.3"}
    assert [one.properties["name"] for one in rest.load(LISTS)] == ["web"]
    rest.delete(f"{LISTS}/~Common~fb~web")
    assert not rest.exist(f"{LISTS}/~Common~fb~web")


def test_rule_list_in_a_policy(device: Bigip, rest: Untyped) -> None:
    rest.create(RULE_LISTS, {"name": "rl", "partition": "Common", "subPath": "fb", "description": "ours"})
    rule = rest.create(
        f"{RULE_LISTS}/~Common~fb~rl/rules",
        {
            "name": "r1",
            "action": "accept",
            "place-after": "last",
            "ipProtocol": "udp",
            "destination": {"ports": [{"name": "53"}]},
        },
    )
    assert rule.properties["kind"] == "tm:security:firewall:rule-list:rules:rulesstate"
    rest.create(POLICIES, {"name": "p", "partition": "Common", "subPath": "fb"})
    rest.create(f"{POLICIES}/~Common~fb~p/rules", {"name": "ours", "ruleList": "/Common/fb/rl", "place-after": "first"})
    shown = rest.load(f"{POLICIES}/~Common~fb~p?expandSubcollections=true").properties
    (held,) = shown["rulesReference"]["items"]
    assert held["ruleList"] == "/Common/fb/rl"
    assert "action" not in held
    assert device.objects("security/firewall/rule-list")["/Common/fb/rl"]["rulesReference"]["items"][0]["name"] == "r1"


def test_transaction(device: Bigip, rest: Untyped) -> None:
    with rest as transaction:
        rest.create(LISTS, {"name": "a", "addresses": ["10.0.0.1"]})
        rest.create(POLICIES, {"name": "p"})
        rest.create(
            f"{POLICIES}/~Common~p/rules",
            {"name": "r", "action": "drop", "place-after": "last", "source": {"addressLists": ["/Common/a"]}},
        )
        assert transaction.properties["state"] == "STARTED"
    rules = device.objects("security/firewall/policy")["/Common/p"]["rulesReference"]["items"]
    assert [one["source"]["addressLists"] for one in rules] == [["/Common/a"]]


def test_transaction_is_validated_without_effect(device: Bigip, rest: Untyped) -> None:
    before = device.digest()
    rest.transaction_create()
    rest.create(LISTS, {"name": "a", "addresses": ["10.0.0.1"]})
    rest.transaction_validate()
    assert device.digest() == before
    rest.transaction_commit()
    assert device.members("/Common/a") == {"10.0.0.1"}


def test_facts_and_save(device: Bigip, rest: Untyped) -> None:
    assert rest.load("/mgmt/tm/cm/device")[0].properties["chassisId"] == device.identity.serial
    rest.command("/mgmt/tm/sys/config", {"command": "save"})
    assert device.saves == 1
    stats = rest.show("/mgmt/tm/security/firewall/container-stat")
    assert stats == []


def test_an_expired_token_is_refused(device: Bigip, rest: Untyped) -> None:
    from bigrest.common.exceptions import RESTAPIError

    device.clock.advance(1201)
    with pytest.raises(RESTAPIError, match="401"):
        rest.load(LISTS)
