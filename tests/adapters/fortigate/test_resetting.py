"""What stands on a unit when its settings change: the mode, the families, the management VDOM. Nothing of ours stays behind unseen."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from adapters.conformance.bench import FENCE
from adapters.conformance.site import CART, SOURCES, WEB, Site, objects
from adapters.fortigate import FortigateAdapter, factory
from adapters.fortigate.canonical import UNUSED
from adapters.fortigate.unit import Unit
from bridge.contract import DeviceConfig
from bridge.errors import Rejected
from bridge.lab.devices.fortigate import ApiUser, Fortigate
from bridge.model.identity import Kind
from bridge.model.intent import EVERYTHING, Group
from bridge.model.policy import Protocol
from bridge.policy.evaluate import Packet, Verdict
from tests.adapters.fortigate.rig import ANCHOR, SITE, Rig, Token, fortigate_rig
from tests.adapters.fortigate.test_writing import planned, reconcile, shop

POLICY, GROUP6, ADDRESS6 = "firewall/policy", "firewall/addrgrp6", "firewall/address6"
SIX = "2001:db8::7"
PAYS = Packet(SOURCES[0], "198.51.100.1", Protocol.TCP, 443)


@pytest.fixture(scope="module")
def lent() -> Iterator[Rig]:
    with fortigate_rig(tls=False) as rig:
        yield rig


@pytest.fixture
def rig(lent: Rig) -> Rig:
    lent.reset()
    return lent


def opened(config: DeviceConfig) -> FortigateAdapter:
    adapter = factory.open(config)
    adapter.raise_fence(FENCE)
    return adapter


def brought(config: DeviceConfig, site: Site) -> None:
    """Let a bridge with these settings bring the site there."""
    adapter = opened(config)
    reconcile(adapter, site)
    adapter.close()


def ours(rig: Rig) -> list[int]:
    """Our policies, in their order."""
    return [one["policyid"] for one in rig.device.objects(POLICY).values() if one["comments"].startswith("fb:fb:")]


@pytest.mark.parametrize("transactions", [True, False])
@pytest.mark.parametrize("told", [{"mode": "groups"}, {"mode": "groups", "policies": {"before": ANCHOR}}])
def test_the_block_of_another_mode_is_told_and_goes_from_the_bottom(
    rig: Rig, told: dict[str, object], transactions: bool
) -> None:
    site = shop(SOURCES[0])
    brought(rig.config(), site)
    assert rig.moments()[-1].verdict(PAYS) is Verdict.ALLOW
    adapter = opened(replace(rig.config(), scope={**told, "transactions": transactions}))
    made = planned(adapter, site)
    assert {step.key.kind for step in made.steps if step.after is None} >= {Kind.RULE_LIST, Kind.POLICY}
    stood, first = ours(rig), len(rig.device.writes())
    adapter.apply(made, FENCE)
    gone = [one.path for one in rig.device.writes()[first:] if one.method == "DELETE" and f"/{POLICY}/" in one.path]
    assert len(stood) > 2
    if not transactions:
        assert [int(path.rpartition("/")[2]) for path in gone] == stood[::-1]
    assert ours(rig) == []
    assert rig.moments()[-1].verdict(PAYS) is Verdict.UNMATCHED
    assert {CART, WEB} <= adapter.read(EVERYTHING).objects.keys()
    assert planned(adapter, site).empty
    adapter.close()


def test_where_people_write_policies_the_token_need_not_read_them(rig: Rig) -> None:
    areas = {"sysgrp.cfg": "read", "fwgrp.address": "read-write", "fwgrp.service": "read-write"}
    rig.device.tokens.add(ApiUser("poor", "p" * 20, areas))
    config = replace(rig.config(), scope={}, attach={}, credentials=_Poor())
    brought(config, shop(SOURCES[0]))
    assert rig.device.members("firewall/addrgrp", "fb_prod_service_shop_cart") == {f"fb_{SOURCES[0]}"}


class _Poor:
    def value(self, name: str) -> str:
        return {"token": "p" * 20}[name]


@pytest.mark.parametrize("mode", ["groups", "policies"])
def test_what_was_of_ipv6_goes_with_the_setting(rig: Rig, mode: str) -> None:
    scope = {"mode": mode} if mode == "groups" else rig.config().scope
    config = replace(rig.config(), scope=scope)
    brought(config, shop(SOURCES[0], SIX))
    rig.device.put_object(ADDRESS6, {"name": "theirs", "ip6": "2001:db8::9/128"}, user="site")
    assert [name for name in rig.device.objects(GROUP6) if name.startswith("fb_")]
    adapter = opened(replace(config, scope={**scope, "ipv6": False}))
    for _ in range(2):  # policies of ours let go of it first
        reconcile(adapter, shop(SOURCES[0]))
    left = {name for table in (GROUP6, ADDRESS6) for name in rig.device.objects(table) if name.startswith("fb_")}
    assert left == set()
    assert "theirs" in rig.device.objects(ADDRESS6)
    assert planned(adapter, shop(SOURCES[0])).empty
    adapter.close()


def test_what_of_ipv6_people_still_name_is_refused_by_name(rig: Rig) -> None:
    config = replace(rig.config(), scope={}, attach={})
    brought(config, objects(Group(CART, frozenset({SOURCES[0], SIX}))))
    names = {"srcaddr6": [{"name": "fb_prod_service_shop_cart"}], "dstaddr6": [{"name": "all"}]}
    rig.device.put_object(POLICY, {**SITE, **names, "name": "theirs", "policyid": 950, "action": "accept"}, user="site")
    adapter = opened(replace(config, scope={"ipv6": False}))
    site = objects(Group(CART, frozenset({SOURCES[0]})))
    with pytest.raises(Rejected) as caught:
        reconcile(adapter, site)
    assert set(caught.value.objects) == {str(UNUSED)}
    assert UNUSED in adapter.read(EVERYTHING).objects
    rig.device.delete_object(f"{POLICY}/950", user="site")
    reconcile(adapter, site)
    assert planned(adapter, site).empty
    adapter.close()


def test_another_management_vdom_is_seen() -> None:
    with Fortigate(tls=False, vdoms=("root", "egress")) as device:
        adapter = factory.open(DeviceConfig("edge", "fortigate", device.url, "fb", Token(device), {}))
        before = adapter.read(EVERYTHING).identity
        device.change_object("system/global", {"management-vdom": "egress"})
        assert adapter.read(EVERYTHING).identity == f"{before}/egress"
        adapter.close()


def test_another_management_vdom_is_another_device() -> None:
    root, other = Unit("FG1", vdom="root"), Unit("FG1", vdom="egress")
    assert root.identity((), "") == "FG1", "as a unit comes"
    assert other.identity((), "") == "FG1/egress"
    assert other.identity((), "egress") == root.identity((), "root") == "FG1", "named, it cannot change"
    assert other.identity(("FG1", "FG2"), "") == "FG1+FG2/egress"
