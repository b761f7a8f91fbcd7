"""What is applied is what is read, with few calls, in whatever order states follow each other."""

import pytest
from hypothesis import HealthCheck, settings

from adapters.bigip import BigipAdapter
from adapters.bigip.translate import PLACEHOLDER
from bridge.lab.devices.bigip import Bigip
from bridge.model.identity import Kind, ObjectKey, Scope
from bridge.model.intent import EVERYTHING, Group, Policy, ReadScope, RuleList
from bridge.model.plan import Op, Plan, Step
from bridge.model.policy import Action
from tests.adapters.bigip.site import (
    BANK,
    CART,
    FENCE,
    FOLDER,
    SERVICES,
    SHOP,
    WEB,
    line,
    open_adapter,
    reconcile,
    sharded,
    shop,
    wanted,
)

_ONE_DEVICE = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def test_named_objects_are_read_alone(adapter: BigipAdapter, device: Bigip) -> None:
    reconcile(adapter, shop("10.0.0.1"))
    before = len(device.requests())
    missing = ObjectKey(Kind.GROUP, "prod", Scope.SERVICE, "shop", "nobody")
    part = adapter.read(ReadScope(frozenset({CART, SHOP, missing})))
    assert set(part.objects) == {CART, SHOP}
    assert part.objects[CART] == Group(CART, frozenset({"10.0.0.1"}))
    assert not part.complete
    assert len(device.requests()) - before <= 4


def test_an_empty_group_is_written_with_the_placeholder_and_never_as_any(adapter: BigipAdapter, device: Bigip) -> None:
    reconcile(adapter, shop())
    assert device.members(f"{FOLDER}/fb_prod_service_shop_cart") == {PLACEHOLDER}
    assert adapter.read(EVERYTHING).objects[CART] == Group(CART)
    for listed in device.objects("security/firewall/rule-list").values():
        for rule in listed["rulesReference"]["items"]:
            assert rule["source"]["addressLists"]
            assert rule["destination"]["addressLists"]


def test_actions_are_those_of_the_tiers(adapter: BigipAdapter, device: Bigip) -> None:
    lines = [line(action.value, action=action) for action in Action]
    reconcile(adapter, shop("10.0.0.1", lines=lines))
    rules = device.objects("security/firewall/rule-list")[f"{FOLDER}/fb_prod_service_shop"]["rulesReference"]["items"]
    shown = {rule["name"]: rule["action"] for rule in rules}
    assert shown == {"Allow": "accept-decisively", "Deny": "drop", "Reject": "reject", "Pass": "accept"}


def test_one_member_of_a_large_group_takes_two_calls_and_little_traffic(adapter: BigipAdapter, device: Bigip) -> None:
    members = {f"10.{at >> 8}.{at & 255}.7" for at in range(10_000)}
    group = ObjectKey(Kind.GROUP, "prod", Scope.SERVICE, "shop", "large")
    reconcile(adapter, {value.key: value for value in sharded(group, members, 128)})
    have = adapter.read(EVERYTHING).objects
    after = {value.key: value for value in sharded(group, (members - {"10.1.1.7"}) | {"10.99.1.7"}, 128)}
    one = {key: value for key, value in after.items() if have[key] != value}
    for key, value in one.items():
        before = len(device.requests())
        adapter.apply(Plan("edge", ((Step(Op.UPDATE, key, have[key], value),),)), FENCE)
        calls = device.requests()[before:]
        assert len(calls) <= 2
        assert sum(call.bytes_in + call.bytes_out for call in calls) <= 8192
    assert adapter.read(EVERYTHING).objects == wanted(adapter, after)


def test_a_batch_of_members_takes_three_calls_more_than_objects(adapter: BigipAdapter) -> None:
    keys = [ObjectKey(Kind.GROUP, "prod", Scope.SERVICE, "shop", f"s{at}") for at in range(20)]
    reconcile(adapter, {key: Group(key, frozenset({"10.0.0.1"})) for key in keys})
    outcome = reconcile(adapter, {key: Group(key, frozenset({"10.0.0.2"})) for key in keys})
    assert outcome.calls <= len(keys) + 3
    assert len(outcome.observed) == len(keys)


def test_one_changed_line_does_not_rewrite_a_hundred(adapter: BigipAdapter, device: Bigip) -> None:
    lines = [line(f"r{at:03}") for at in range(100)]
    reconcile(adapter, shop("10.0.0.1", lines=lines))
    lines[40] = line("r040", WEB)
    del lines[70]
    lines.insert(3, line("new"))
    lines.append(lines.pop(10))
    outcome = reconcile(adapter, shop("10.0.0.1", lines=lines))
    assert outcome.calls <= 4 + 3
    have = adapter.read(EVERYTHING).objects[SHOP]
    assert isinstance(have, RuleList)
    assert [entry.name for entry in have.entries] == [entry.name for entry in lines]
    assert device.writes()[-1].method == "COMMIT"


def test_a_single_line_is_one_plain_call(adapter: BigipAdapter, device: Bigip) -> None:
    reconcile(adapter, shop("10.0.0.1", lines=[line("a"), line("b")]))
    outcome = reconcile(adapter, shop("10.0.0.1", lines=[line("a", WEB), line("b")]))
    assert outcome.calls == 2
    assert device.writes()[-1].method == "PATCH"


def test_a_large_first_load_goes_in_several_transactions_and_lists_before_policies(device: Bigip) -> None:
    adapter = open_adapter(device, scope={"transactionSize": 100})
    lists = [ObjectKey(Kind.RULE_LIST, "prod", Scope.SERVICE, f"ns{at:02}") for at in range(8)]
    objects = shop("10.0.0.1", extra=[RuleList(key, tuple(line(f"r{at}") for at in range(30))) for key in lists])
    objects[SERVICES] = Policy(SERVICES, tuple(lists))
    reconcile(adapter, objects)
    commits = [write for write in device.writes() if write.method == "COMMIT"]
    assert len(commits) >= 3
    policies = [at for at, write in enumerate(commits) if any("firewall/policy" in name for name in write.touched)]
    assert policies == [len(commits) - 1]
    assert adapter.read(EVERYTHING).objects == wanted(adapter, objects)


def test_an_address_never_stands_in_two_groups_at_once(adapter: BigipAdapter, device: Bigip) -> None:
    states = [
        {CART: Group(CART, frozenset(cart)), WEB: Group(WEB, frozenset(web))}
        for cart, web in ((["10.0.0.1"], []), ([], ["10.0.0.1"]), (["10.0.0.1"], ["10.0.0.2"]))
    ]
    for state in states:
        reconcile(adapter, state)
    for write in device.writes():
        addresses = [
            address
            for key, item in device.state(f"at:{write.number}").items()
            if key[0] == "security/firewall/address-list"
            for address in item.body["addresses"]
            if address != PLACEHOLDER
        ]
        assert len(addresses) == len(set(addresses))


def test_another_route_domain_is_written_behind_each_address(device: Bigip) -> None:
    adapter = open_adapter(device, scope={"routeDomain": 7})
    state = shop("10.0.0.1", "10.1.0.0/16", "10.2.0.1-10.2.0.9")
    reconcile(adapter, state)
    shown = device.members(f"{FOLDER}/fb_prod_service_shop_cart")
    assert shown == {"10.0.0.1%7", "10.1.0.0%7/16", "10.2.0.1%7-10.2.0.9%7"}
    assert adapter.read(EVERYTHING).objects == wanted(adapter, state)


@pytest.mark.parametrize("key", [CART, BANK])
def test_saving_makes_it_survive_a_reboot(adapter: BigipAdapter, device: Bigip, key: ObjectKey) -> None:
    reconcile(adapter, shop("10.0.0.1"))
    adapter.save()
    device.reboot()
    assert adapter.read(EVERYTHING).objects[key] == shop("10.0.0.1")[key]
