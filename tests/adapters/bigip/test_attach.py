"""Attachment: into an empty place only, never over another policy, out only what is ours."""

import pytest

from adapters.bigip import BigipAdapter
from bridge.lab.devices.bigip import Bigip
from bridge.model.identity import Kind, ObjectKey, Scope
from bridge.model.intent import EVERYTHING, DeviceObject, Policy, ReadScope, RuleList
from bridge.model.policy import Tier
from bridge.model.tiers import attachment
from tests.adapters.bigip.site import (
    CLUSTERS,
    EVERYONE,
    FENCE,
    FOLDER,
    SERVICES,
    line,
    open_adapter,
    planned,
    reconcile,
    shop,
    wanted,
)

NAMESPACES = ObjectKey(Kind.POLICY, "", Scope.NAMESPACE)
VIRTUAL = "/Common/egress"
ALL = {"mode": "ifEmpty", "service": {"virtualServer": VIRTUAL}}
GLOBAL = "security/firewall/global-rules"


def site() -> dict[ObjectKey, DeviceObject]:
    return shop(
        "10.0.0.1",
        extra=[RuleList(EVERYONE, (line("all"),)), Policy(CLUSTERS, (EVERYONE,)), Policy(NAMESPACES, ())],
    )


def with_virtual(device: Bigip) -> None:
    device.put_object("ltm/virtual", {"name": VIRTUAL, "destination": "0.0.0.0:0", "mask": "any"})


def test_nothing_is_attached_unless_the_settings_say_so(adapter: BigipAdapter, device: Bigip) -> None:
    reconcile(adapter, site())
    snapshot = adapter.read(EVERYTHING)
    assert snapshot.attached == dict.fromkeys(Tier, False)
    assert not any(key.kind is Kind.ATTACHMENT for key in snapshot.objects)
    device.change_object(GLOBAL, {"enforcedPolicy": f"{FOLDER}/fb__cluster"})
    by_hand = adapter.read(EVERYTHING)
    assert by_hand.attached[Tier.CLUSTER]
    assert planned(adapter, by_hand.objects, wanted(adapter, site())).empty


def test_empty_places_are_filled_and_emptied_again(device: Bigip) -> None:
    with_virtual(device)
    adapter = open_adapter(device, attach=ALL)
    outcome = reconcile(adapter, site())
    assert not outcome.refused
    snapshot = adapter.read(EVERYTHING)
    assert snapshot.attached == dict.fromkeys(Tier, True)
    assert planned(adapter, snapshot.objects, wanted(adapter, site())).empty
    assert not device.decide("10.9.9.9", "192.0.2.1", virtual=VIRTUAL).matches
    assert device.decide("10.0.0.1", "198.51.100.7", port=443, virtual=VIRTUAL).action == "accept-decisively"
    slot = attachment(Tier.CLUSTER).key
    assert adapter.read(ReadScope(frozenset({slot}))).objects == {slot: attachment(Tier.CLUSTER)}
    reconcile(adapter, {})
    after = adapter.read(EVERYTHING)
    assert after.objects == {}
    assert "enforcedPolicy" not in device.objects(GLOBAL)["/Common/global-rules"]
    assert after.attached == dict.fromkeys(Tier, False)


def test_a_policy_of_the_site_is_never_replaced(device: Bigip) -> None:
    device.put_object("security/firewall/policy", {"name": "/Common/site"})
    device.change_object(GLOBAL, {"enforcedPolicy": "/Common/site"})
    adapter = open_adapter(device, attach={"mode": "ifEmpty"})
    outcome = reconcile(adapter, site())
    slot = attachment(Tier.CLUSTER).key
    assert set(outcome.refused) == {slot}
    assert "/Common/site" in outcome.refused[slot]
    assert adapter.attach_hint(Tier.CLUSTER) in outcome.refused[slot]
    assert outcome.observed[slot] is None
    assert device.objects(GLOBAL)["/Common/global-rules"]["enforcedPolicy"] == "/Common/site"
    assert not adapter.read(EVERYTHING).attached[Tier.CLUSTER]


def test_a_place_that_does_not_exist_is_refused_and_keeps_nothing_else_waiting(device: Bigip) -> None:
    adapter = open_adapter(device, attach=ALL)
    outcome = reconcile(adapter, site())
    slot = attachment(Tier.SERVICE).key
    assert set(outcome.refused) == {slot}
    assert f"{VIRTUAL} does not exist" in outcome.refused[slot]
    assert adapter.read(EVERYTHING).attached == {Tier.CLUSTER: True, Tier.NAMESPACE: True, Tier.SERVICE: False}
    with_virtual(device)
    assert not reconcile(adapter, site()).refused
    assert adapter.read(EVERYTHING).attached[Tier.SERVICE]


def test_a_site_policy_that_refers_to_our_lists_counts_as_attached(adapter: BigipAdapter, device: Bigip) -> None:
    other = ObjectKey(Kind.RULE_LIST, "prod", Scope.SERVICE, "ops")
    objects = site() | {other: RuleList(other, (line("ops"),))}
    with_virtual(device)
    adapter = open_adapter(device, attach={"service": {"virtualServer": VIRTUAL}})
    reconcile(adapter, objects)
    device.put_object("security/firewall/policy", {"name": "/Common/site"})
    device.change_object(f"ltm/virtual/{VIRTUAL.replace('/', '~')}", {"fwEnforcedPolicy": "/Common/site"})
    rule = {"name": "shop", "ruleList": f"{FOLDER}/fb_prod_service_shop", "placeBefore": "first"}
    assert not adapter.read(EVERYTHING).attached[Tier.SERVICE]
    device.put_object("security/firewall/policy/~Common~site/rules", rule)
    assert adapter.read(EVERYTHING).attached[Tier.SERVICE]
    policy = Policy(SERVICES, (ObjectKey(Kind.RULE_LIST, "prod", Scope.SERVICE, "shop"), other))
    reconcile(adapter, objects | {SERVICES: policy})
    assert not adapter.read(EVERYTHING).attached[Tier.SERVICE], "one list of ours is out of reach"
    device.change_object("security/firewall/policy/~Common~site/rules/shop", {"status": "disabled"})
    reconcile(adapter, objects)
    assert not adapter.read(EVERYTHING).attached[Tier.SERVICE]


def test_what_is_no_longer_ours_is_not_detached(device: Bigip) -> None:
    adapter = open_adapter(device, attach={"mode": "ifEmpty"})
    reconcile(adapter, site())
    have = adapter.read(EVERYTHING).objects
    plan = planned(adapter, have, {})
    device.put_object("security/firewall/policy", {"name": "/Common/site"})
    device.change_object(GLOBAL, {"enforcedPolicy": "/Common/site"})
    adapter.apply(plan, FENCE)
    assert device.objects(GLOBAL)["/Common/global-rules"]["enforcedPolicy"] == "/Common/site"
    assert adapter.read(EVERYTHING).objects == {}


@pytest.mark.parametrize(
    ("tier", "words"),
    [
        (Tier.CLUSTER, "tmsh modify security firewall global-rules enforced-policy /Common/fb/fb__cluster"),
        (Tier.NAMESPACE, "tmsh modify net route-domain /Common/0 fw-enforced-policy /Common/fb/fb__namespace"),
        (Tier.SERVICE, "tmsh modify ltm virtual <virtual server> fw-enforced-policy /Common/fb/fb__service"),
    ],
)
def test_the_line_to_attach_by_hand(adapter: BigipAdapter, tier: Tier, words: str) -> None:
    assert adapter.attach_hint(tier) == words
