"""What the suite does not ask: transactions that are left open, what others name, anchors, settings, and how much is called."""

from collections.abc import Iterator
from dataclasses import replace

import httpx
import pytest

from adapters.conformance.bench import DEVICE, FENCE
from adapters.conformance.site import BANK, CART, HTTPS, SOURCES, WEB, Site, Terms, line, objects
from adapters.fortigate import FortigateAdapter, factory
from adapters.fortigate.canonical import UNUSED
from bridge.contract import DeviceConfig
from bridge.errors import Busy, Denied, Drifted, FencedOff, Rejected, Unsupported
from bridge.lab.device import Trouble
from bridge.lab.devices.fortigate import ApiUser
from bridge.model.identity import Kind, ObjectKey, Scope
from bridge.model.intent import EVERYTHING, DeviceObject, Group, Intent, RuleList
from bridge.model.plan import Fence, Outcome, Plan
from bridge.model.policy import Protocol, Tier
from bridge.policy.diff import diff, plan
from bridge.policy.evaluate import Packet, Verdict
from bridge.policy.shard import spread
from tests.adapters.fortigate.rig import ANCHOR, Rig, Token, fortigate_rig

NEWER = Fence(FENCE.epoch + 1, FENCE.installation)
POLICY = "firewall/policy"


@pytest.fixture(scope="module")
def lent() -> Iterator[Rig]:
    with fortigate_rig(tls=False) as rig:
        yield rig


@pytest.fixture
def rig(lent: Rig) -> Rig:
    lent.reset()
    return lent


@pytest.fixture
def adapter(rig: Rig) -> Iterator[FortigateAdapter]:
    opened = factory.open(rig.config())
    opened.raise_fence(FENCE)
    yield opened
    opened.close()


def shop(*members: str) -> Site:
    """A site with one line."""
    return Terms.of(factory.capabilities(_config())).shop(*members)


def _config() -> DeviceConfig:
    scope = {"mode": "policies", "policies": {"before": ANCHOR}}
    return DeviceConfig("edge", "fortigate", "https://x", "fb", Nobody(), scope)


class Nobody:
    """No secret."""

    def value(self, name: str) -> str:
        raise KeyError(name)


def planned(adapter: FortigateAdapter, site: Site) -> Plan:
    have = adapter.read(EVERYTHING).objects
    steps = diff(have, Intent(DEVICE, adapter.normalize(Intent(DEVICE, site))))
    return plan(DEVICE, steps, have, adapter.capabilities, adapter.limits)


def reconcile(adapter: FortigateAdapter, site: Site, fence: Fence = FENCE) -> Outcome:
    return adapter.apply(planned(adapter, site), fence)


def test_whoever_takes_over_drops_the_transaction_that_was_left_open(rig: Rig, adapter: FortigateAdapter) -> None:
    reconcile(adapter, shop(SOURCES[0]))
    made = planned(adapter, shop(SOURCES[1], SOURCES[2]) | objects(Group(WEB, frozenset({SOURCES[1]}))))
    rig.disturb(Trouble.CUT, skip=4)  # behind its start, the fence, and a write
    with pytest.raises(Busy):
        adapter.apply(made, FENCE)
    assert rig.calm()
    assert len(rig.device.transactions) == 1
    following = factory.open(rig.config())
    following.raise_fence(NEWER)
    assert len(rig.device.transactions) == 0
    with pytest.raises(FencedOff):
        adapter.apply(made, FENCE)
    reconcile(following, shop(SOURCES[1]), NEWER)
    following.close()


def test_a_transaction_of_somebody_else_is_left_and_waited_for(rig: Rig, adapter: FortigateAdapter) -> None:
    reconcile(adapter, shop(SOURCES[0]))
    with httpx.Client(base_url=rig.device.url, headers={"Authorization": f"Bearer {rig.device.password}"}) as client:
        started = client.post("/api/v2/cmdb?action=transaction-start", json={"timeout": 60}).json()
        number = str(started["results"]["transaction-id"])
        body = {"name": "theirs", "subnet": "192.0.2.1/32"}
        client.post("/api/v2/cmdb/firewall/address", json=body, headers={"X-TRANSACTION-ID": number})
        with pytest.raises(Busy, match="locked"):
            reconcile(adapter, shop(SOURCES[1]))
        assert len(rig.device.transactions) == 1
        client.post("/api/v2/cmdb?action=transaction-commit", json={"transaction-id": int(number)})
    reconcile(adapter, shop(SOURCES[1]))
    assert "theirs" in rig.device.objects("firewall/address")


def test_an_address_that_others_name_stays_with_them(rig: Rig, adapter: FortigateAdapter) -> None:
    reconcile(adapter, shop(SOURCES[0]))
    body = {"name": "theirs", "member": [{"name": f"fb_{SOURCES[0]}"}]}
    rig.device.put_object("firewall/addrgrp", body, user="site")
    site = shop(SOURCES[1])
    for _ in range(2):
        try:
            reconcile(adapter, site)
        except Drifted:
            continue
        break
    have = adapter.read(EVERYTHING).objects
    assert have == adapter.normalize(Intent(DEVICE, site))
    assert rig.device.members("firewall/addrgrp", "theirs") == {f"fb_{SOURCES[0]}"}
    written = len(rig.moments())
    assert planned(adapter, site).empty
    assert len(rig.moments()) == written


def test_many_addresses_that_others_name_hold_nothing_up(rig: Rig, adapter: FortigateAdapter) -> None:
    members = frozenset(f"10.7.0.{number}" for number in range(1, 9))
    reconcile(adapter, objects(Group(WEB, members), Group(CART, frozenset(SOURCES[:1]))))
    body = {"name": "theirs", "member": [{"name": f"fb_{one}"} for one in members]}
    rig.device.put_object("firewall/addrgrp", body, user="site")
    site = objects(Group(WEB, frozenset(SOURCES[1:2])), Group(CART, frozenset(SOURCES[1:2])))
    reconcile(adapter, site)
    assert adapter.read(EVERYTHING).objects == site
    assert rig.device.members("firewall/addrgrp", "theirs") == {f"fb_{one}" for one in members}
    assert f"fb_{SOURCES[0]}" not in rig.device.objects("firewall/address")


def test_a_group_that_was_made_a_folder_is_a_group_again(rig: Rig, adapter: FortigateAdapter) -> None:
    site = objects(Group(WEB, frozenset(SOURCES[:1])))
    reconcile(adapter, site)
    rig.device.change_object("firewall/addrgrp/fb_prod_service_shop_web", {"type": "folder"})
    assert not planned(adapter, site).empty
    reconcile(adapter, site)
    assert planned(adapter, site).empty


def test_two_groups_that_differ_in_case_alone_are_read_apart(rig: Rig, adapter: FortigateAdapter) -> None:
    upper = replace(WEB, name=WEB.name.upper())
    for address in SOURCES[:3]:
        made = objects(Group(upper, frozenset({address})), Group(WEB, frozenset({"10.7.0.1"})))
        reconcile(adapter, made)
    have = adapter.read(EVERYTHING).objects
    steps = diff(
        have, Intent(DEVICE, objects(Group(upper, frozenset({"10.7.0.2"})), Group(WEB, frozenset({"10.7.0.1"}))))
    )
    for _ in range(2):
        adapter.apply(plan(DEVICE, steps, have, adapter.capabilities, adapter.limits), FENCE)
        have = {**have, WEB: Group(WEB, frozenset({"10.7.0.1"})), upper: Group(upper, frozenset({"10.7.0.2"}))}
        steps = diff(
            have, Intent(DEVICE, objects(Group(upper, frozenset({"10.7.0.3"})), Group(WEB, frozenset({"10.7.0.3"}))))
        )
    assert {one for one in rig.device.objects("firewall/address") if one.startswith("fb_10")} == {"fb_10.7.0.3"}


def test_what_was_left_behind_is_told_and_taken_away(rig: Rig, adapter: FortigateAdapter) -> None:
    reconcile(adapter, shop(SOURCES[0]))
    body = {"name": "fb_10.7.7.7", "subnet": "10.7.7.7/32", "comment": "fb:fb:10.7.7.7"}
    rig.device.put_object("firewall/address", body, user="bridge")
    assert UNUSED in adapter.read(EVERYTHING).objects
    reconcile(adapter, shop(SOURCES[0]))
    assert UNUSED not in adapter.read(EVERYTHING).objects
    assert "fb_10.7.7.7" not in rig.device.objects("firewall/address")


def test_an_address_of_ours_that_stands_for_another_is_put_right(rig: Rig, adapter: FortigateAdapter) -> None:
    site = shop(SOURCES[0])
    reconcile(adapter, site)
    rig.device.change_object(f"firewall/address/fb_{SOURCES[0]}", {"subnet": "0.0.0.0/0"})
    assert adapter.read(EVERYTHING).objects != adapter.normalize(Intent(DEVICE, site))
    reconcile(adapter, site)
    assert rig.device.objects("firewall/address")[f"fb_{SOURCES[0]}"]["subnet"] == "10.0.0.1 255.255.255.255"


@pytest.mark.parametrize("transactions", [True, False])
@pytest.mark.parametrize(
    "change", [{"srcaddr-negate": "enable"}, {"dstaddr": [{"name": "all"}]}, {"status": "disable"}]
)
def test_a_policy_that_means_something_else_is_put_right(
    rig: Rig, change: dict[str, object], transactions: bool
) -> None:
    site, config = shop(SOURCES[0]), rig.config()
    adapter = factory.open(replace(config, scope={**config.scope, "transactions": transactions}))
    adapter.raise_fence(FENCE)
    reconcile(adapter, site)
    good = rig.contents()
    number = next(one["policyid"] for one in rig.device.objects(POLICY).values() if "|" in one["comments"])
    rig.device.change_object(f"{POLICY}/{number}", change)
    assert not planned(adapter, site).empty
    reconcile(adapter, site)
    assert rig.contents() == good
    adapter.close()


def test_a_copy_that_a_person_made_of_a_policy_of_ours_is_theirs(rig: Rig, adapter: FortigateAdapter) -> None:
    site = shop(SOURCES[0])
    reconcile(adapter, site)
    ours = next(one for one in rig.device.objects(POLICY).values() if "|" in one["comments"])
    copy = {name: held for name, held in ours.items() if name not in ("uuid", "q_origin_key")}
    rig.device.put_object(POLICY, copy | {"policyid": 777, "name": "copied"}, user="site")
    assert "firewall/policy copied" in {one.name for one in adapter.read(EVERYTHING).foreign if one.look_alike}
    assert planned(adapter, site).empty
    reconcile(adapter, {key: value for key, value in site.items() if key.kind in (Kind.GROUP, Kind.PORTS)})
    assert {one["name"] for one in rig.device.objects(POLICY).values()} == {ANCHOR, "copied"}


def test_our_block_that_was_moved_behind_the_anchor_comes_back(rig: Rig, adapter: FortigateAdapter) -> None:
    site = shop(SOURCES[0])
    reconcile(adapter, site)
    anchor, *_ = (one["policyid"] for one in rig.device.objects(POLICY).values() if one["name"] == ANCHOR)
    number = next(one["policyid"] for one in rig.device.objects(POLICY).values() if "|" in one["comments"])
    rig.device.change_object(f"{POLICY}/{number}?action=move&after={anchor}", {})
    assert rig.device.order()[-1] == number
    reconcile(adapter, site)
    assert rig.device.order()[-1] == anchor


def test_without_the_anchor_rules_are_refused_and_groups_are_not(rig: Rig, adapter: FortigateAdapter) -> None:
    anchor = next(one["policyid"] for one in rig.device.objects(POLICY).values() if one["name"] == ANCHOR)
    rig.device.change_object(f"{POLICY}/{anchor}", {"name": "another"})
    written = len(rig.moments())
    with pytest.raises(Rejected) as caught:
        reconcile(adapter, shop(SOURCES[0]))
    assert {text.partition(":")[0] for text in caught.value.objects} == {"rules", "policy", "attachment"}
    assert len(rig.moments()) == written
    group = objects(Group(CART, frozenset({SOURCES[0]})))
    reconcile(adapter, group)
    assert adapter.read(EVERYTHING).objects == group


def test_a_profile_that_is_not_there_is_a_refusal_by_name(rig: Rig) -> None:
    config = rig.config()
    template = {"profiles": {"ips-sensor": "nobody"}}
    policies = {"before": ANCHOR, "template": template}
    adapter = factory.open(replace(config, scope={**config.scope, "policies": policies}))
    adapter.raise_fence(FENCE)
    with pytest.raises(Rejected, match="ips-sensor"):
        reconcile(adapter, shop(SOURCES[0]))
    adapter.close()


def test_another_template_is_taken_over_in_place_of_the_old_one(rig: Rig, adapter: FortigateAdapter) -> None:
    site = shop(SOURCES[0])
    reconcile(adapter, site)
    config = rig.config()
    policies = {"before": ANCHOR, "template": {"nat": True, "profiles": {"ips-sensor": "default"}}}
    other = factory.open(replace(config, scope={**config.scope, "policies": policies}))
    reconcile(other, site)
    allow = next(one for one in rig.device.objects(POLICY).values() if one["action"] == "accept")
    assert (allow["nat"], allow["ips-sensor"], allow["utm-status"]) == ("enable", "default", "enable")
    reconcile(adapter, site)
    allow = next(one for one in rig.device.objects(POLICY).values() if one["action"] == "accept")
    assert (allow["nat"], allow["ips-sensor"], allow["utm-status"]) == ("disable", "", "disable")
    other.close()


def test_until_it_is_attached_the_block_stands_there_and_decides_nothing(rig: Rig) -> None:
    config = replace(rig.config(), attach={})
    adapter = factory.open(config)
    adapter.raise_fence(FENCE)
    reconcile(adapter, shop(*SOURCES))
    snapshot = adapter.read(EVERYTHING)
    assert snapshot.attached == dict.fromkeys(Tier, False)
    assert all(ANCHOR in how for how in snapshot.attach_by.values())
    assert [one["status"] for one in rig.device.objects(POLICY).values() if "|" in one["comments"]] == ["disable"]
    attached = factory.open(rig.config())
    reconcile(attached, shop(*SOURCES))
    assert attached.read(EVERYTHING).attached == dict.fromkeys(Tier, True)
    reconcile(adapter, shop(*SOURCES))
    attached.close()
    adapter.close()


def test_groups_without_rules_where_people_write_policies(rig: Rig) -> None:
    config = replace(rig.config(), scope={}, attach={})
    assert factory.problems(config) == {}
    adapter = factory.open(config)
    adapter.raise_fence(FENCE)
    reconcile(adapter, shop(SOURCES[0]))
    snapshot = adapter.read(EVERYTHING)
    assert {key.kind for key in snapshot.objects} == {Kind.GROUP, Kind.PORTS}
    assert snapshot.attached == dict.fromkeys(Tier, False)
    assert "fb_" in snapshot.attach_by[Tier.SERVICE]
    assert [one["name"] for one in rig.device.objects(POLICY).values()] == [ANCHOR]
    adapter.close()


def test_a_box_that_filters_otherwise_is_read_whole(rig: Rig) -> None:
    config = rig.config()
    adapter = factory.open(replace(config, scope={**config.scope, "filters": False}))
    adapter.raise_fence(FENCE)
    rig.plant()
    first = len(rig.device.requests())
    for site in (shop(SOURCES[0]), shop(SOURCES[1]), {}):
        reconcile(adapter, site)
        assert adapter.read(EVERYTHING).objects == adapter.normalize(Intent(DEVICE, site))
    assert not any("filter" in one.query for one in rig.device.requests()[first:])
    adapter.close()


def test_a_large_group_nests_its_parts(rig: Rig, adapter: FortigateAdapter) -> None:
    members = {f"10.8.{at >> 8}.{at & 255}" for at in range(60)}
    site = shop(SOURCES[0]) | objects(*spread(CART, members, 4))
    reconcile(adapter, site)
    held = rig.device.members("firewall/addrgrp", "fb_prod_service_shop_cart")
    assert len(held) == 4
    assert rig.moments()[-1].verdict(_packet("10.8.0.7")) is Verdict.ALLOW
    assert rig.moments()[-1].verdict(_packet("10.8.1.7")) is Verdict.UNMATCHED
    reconcile(adapter, site | objects(*spread(CART, members - {"10.8.0.7"}, 4)))
    assert rig.moments()[-1].verdict(_packet("10.8.0.7")) is Verdict.UNMATCHED


def test_few_members_of_a_large_group_go_by_themselves(rig: Rig, adapter: FortigateAdapter) -> None:
    members = frozenset(f"10.8.0.{at}" for at in range(60))
    reconcile(adapter, shop(SOURCES[0]) | objects(Group(CART, members)))
    after = shop(SOURCES[0]) | objects(Group(CART, members - {"10.8.0.7"} | {"10.8.1.1"}))
    made = planned(adapter, after)
    first = len(rig.device.requests())
    outcome = adapter.apply(made, FENCE)
    assert outcome.observed == {CART: after[CART]}
    calls = rig.device.requests()[first:]
    assert len(calls) <= 6  # the fence, an address, a member in, one out, the old address looked at and deleted
    assert sum(one.bytes_in + one.bytes_out for one in calls) <= 8 * 1024
    assert adapter.read(EVERYTHING).objects == adapter.normalize(Intent(DEVICE, after))
    got = rig.contents()
    rig.reset()
    again = factory.open(rig.config())
    again.raise_fence(FENCE)
    reconcile(again, after)
    assert rig.contents() == got
    again.close()


def test_a_member_that_somebody_took_out_of_a_large_group_is_drift(rig: Rig, adapter: FortigateAdapter) -> None:
    members = frozenset(f"10.8.0.{at}" for at in range(60))
    reconcile(adapter, objects(Group(CART, members)))
    made = planned(adapter, objects(Group(CART, members - {"10.8.0.7"})))
    name = "firewall/addrgrp/fb_prod_service_shop_cart/member"
    rig.device.delete_object(f"{name}/fb_10.8.0.7")
    with pytest.raises(Drifted):
        adapter.apply(made, FENCE)
    reconcile(adapter, objects(Group(CART, members - {"10.8.0.7"})))
    assert planned(adapter, objects(Group(CART, members - {"10.8.0.7"}))).empty


def _packet(source: str) -> Packet:
    return Packet(source, "198.51.100.1", Protocol.TCP, 443)


def test_a_change_of_one_member_is_few_calls(rig: Rig, adapter: FortigateAdapter) -> None:
    reconcile(adapter, shop(SOURCES[0]))
    made = planned(adapter, shop(SOURCES[0], SOURCES[1]))
    before = rig.calls()
    adapter.apply(made, FENCE)
    assert rig.calls() - before <= 4  # the fence, the address, the group, and the group read back


def test_a_token_that_was_changed_is_taken_without_a_restart(rig: Rig, adapter: FortigateAdapter) -> None:
    old = rig.device.password
    try:
        rig.device.password = "another" * 5
        rig.device.tokens.add(ApiUser(rig.device.username, rig.device.password))
        reconcile(adapter, shop(SOURCES[0]))
        rig.device.tokens.add(ApiUser(rig.device.username, "a third one" * 3))
        with pytest.raises(Denied) as caught:
            adapter.read(EVERYTHING)
        assert rig.device.password not in str(caught.value)
    finally:
        rig.device.password = old
        rig.device.tokens.add(ApiUser(rig.device.username, old))
    assert Token(rig.device).value("token") == old


def test_settings_are_judged_by_path() -> None:
    def problems(**scope: object) -> set[str]:
        return set(factory.problems(replace(_config(), scope=scope)))

    assert problems(mode="policies") == {"scope.policies"}
    assert problems(mode="policies", policies={"before": "a", "after": "b"}) == {"scope.policies"}
    assert problems(mode="policies", policies={"before": "a", "template": {"nat": "yes", "x": 1}}) == {
        "scope.policies.template.nat",
        "scope.policies.template.x",
    }
    assert problems(mode="both", vdom="", ipv6=1, transactionSize=0, policy=1) == {
        "scope.mode",
        "scope.vdom",
        "scope.ipv6",
        "scope.transactionSize",
        "scope.policy",
    }
    assert set(factory.problems(replace(_config(), attach={"mode": "always", "x": 1}))) == {"attach.mode", "attach.x"}


def test_what_the_device_cannot_say_is_named() -> None:
    adapter = factory.open(_config())
    long = ObjectKey(Kind.GROUP, "prod", Scope.EXTERNAL, "shop", "n" * 253)
    wrong: list[DeviceObject] = [
        Group(CART, frozenset({"::"})),
        Group(WEB, fqdns=frozenset({"*.example.com"})),
        Group(BANK, frozenset({f"10.{at >> 8}.{at & 255}.1" for at in range(601)})),
        Group(long),
        RuleList(ObjectKey(Kind.RULE_LIST, "prod", Scope.SERVICE, "shop"), (line("a", ports=HTTPS),)),
    ]
    with pytest.raises(Unsupported) as caught:
        adapter.normalize(Intent(DEVICE, objects(*wrong)))
    assert set(caught.value.objects) == {str(one.key) for one in wrong}
