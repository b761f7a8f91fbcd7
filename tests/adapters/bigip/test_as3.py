"""AS3: what is declared, when it is waited for, what stops it, and what the device's owner sees of it."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
import yaml

from adapters.bigip import As3Adapter, factory
from adapters.bigip.as3 import merged, runs
from bridge.errors import Busy, Denied, Drifted, FencedOff, NotOwned, Rejected, Unsupported
from bridge.lab.devices.bigip import Bigip
from bridge.model.capabilities import Form
from bridge.model.examination import Condition
from bridge.model.intent import (
    EVERYTHING,
    DeviceObject,
    Group,
    Intent,
    Objects,
    Policy,
    Ports,
    ReadScope,
    RuleEntry,
    RuleList,
)
from bridge.model.plan import Fence, Op, Plan, Step
from bridge.model.policy import Action, IcmpType, PortRange, Protocol, Tier
from bridge.model.tiers import attachment
from tests.adapters.bigip import site
from tests.adapters.bigip.site import BANK, CART, FENCE, HTTPS, SERVICES, SHOP, line, shop

SERVICE: dict[str, Any] = {
    "class": "Service_Forwarding",
    "forwardingType": "ip",
    "virtualAddresses": ["0.0.0.0"],  # noqa: S104 - any destination
    "virtualPort": 0,
    "layer4": "any",
}
SCOPE: dict[str, Any] = {"mode": "as3", "pageSize": 20}
ATTACH: dict[str, Any] = {"mode": "ifEmpty", "services": {"egress": SERVICE}}
DECLARE = "/mgmt/shared/appsvcs/declare"
TENANT, VIRTUAL, ENFORCED = "fb_egress", "/fb_egress/firewall/egress", "/fb_egress/firewall/fb_enforced"
RULES = "security/firewall/rule-list"
IN_TENANT = f"{RULES}/~fb_egress~firewall~fb_prod_service_shop"


def open_as3(device: Bigip, **changes: object) -> As3Adapter:
    opened = site.open_adapter(device, **({"scope": SCOPE, "attach": ATTACH} | changes))
    assert isinstance(opened, As3Adapter)
    return opened


def reconcile(adapter: As3Adapter, objects: Mapping[Any, DeviceObject], fence: Fence = FENCE) -> Objects:
    """Read, plan, apply; what is read then."""
    site.reconcile(adapter, objects, fence)
    return adapter.read(EVERYTHING).objects


@pytest.fixture
def adapter(device: Bigip) -> As3Adapter:
    opened = open_as3(device)
    opened.raise_fence(FENCE)
    return opened


def declared(device: Bigip) -> dict[str, Any]:
    found: dict[str, Any] = (device.as3.declared(TENANT) or {}).get("firewall", {})
    return found


def asked(device: Bigip, path: str, method: str = "") -> int:
    return sum(one.path.startswith(path) and method in ("", one.method) for one in device.requests())


def another(device: Bigip, **tenants: Any) -> None:  # noqa: ANN401
    """Somebody else declares."""
    body = {"class": "ADC", "schemaVersion": "3.30.0", "controls": {"class": "Controls"}, **tenants}
    with httpx.Client(base_url=device.url, auth=(device.username, device.password)) as client:
        assert client.post(DECLARE, json=body).status_code == 200


# ---- what stands where


def test_rules_and_policies_are_declared_and_addresses_stand_beside(device: Bigip, adapter: As3Adapter) -> None:
    reconcile(adapter, shop("10.0.0.1"))
    assert {item["class"] for name, item in declared(device).items() if name.startswith("fb_")} == {
        "Firewall_Port_List",
        "Firewall_Rule_List",
        "Firewall_Policy",
    }
    assert set(device.objects("security/firewall/address-list")) == {
        f"/Common/fb/fb_prod_{name}" for name in ("external_shop_bank", "service_shop_cart", "service_shop_web")
    }
    assert not device.objects("security/firewall/policy", "/Common/")
    assert all(
        item["remark"].startswith("fb:fb:")
        for name, item in declared(device).items()
        if name not in ("class", "template")
    )
    assert device.decide("10.0.0.1", "198.51.100.7", port=443, virtual=VIRTUAL).action == "accept-decisively"


def test_a_change_of_members_declares_nothing(device: Bigip, adapter: As3Adapter) -> None:
    reconcile(adapter, shop(*(f"10.0.{at >> 8}.{at & 255}" for at in range(1, 100))))
    made = site.planned(adapter, adapter.read(EVERYTHING).objects, site.wanted(adapter, shop("10.0.0.1", "10.0.0.2")))
    before = asked(device, DECLARE)
    outcome = adapter.apply(made, FENCE)
    assert asked(device, DECLARE) == before
    assert outcome.calls == 2  # the fence, and the list


def test_a_hand_over_of_members_is_one_transaction(device: Bigip, adapter: As3Adapter) -> None:
    group = Group(site.WEB, frozenset({"10.0.0.2"}))
    reconcile(adapter, shop("10.0.0.1", extra=[group]))
    writes = len(device.writes())
    reconcile(adapter, shop("10.0.0.2", extra=[Group(site.WEB, frozenset({"10.0.0.1"}))]))
    assert len(device.writes()) == writes + 1


def test_a_change_of_rules_is_one_declaration(device: Bigip, adapter: As3Adapter) -> None:
    reconcile(adapter, shop("10.0.0.1"))
    before = asked(device, DECLARE, "POST")
    lines = [line("a", action=Action.DENY), line("b", protocol=Protocol.TCP, ports=HTTPS), line("c")]
    reconcile(adapter, shop("10.0.0.1", lines=lines, extra=[Ports(HTTPS, (PortRange(8443, 8443),))]))
    assert asked(device, DECLARE, "POST") == before + 1


def test_virtual_servers_stand_only_where_our_policy_is_enforced_on_them(device: Bigip, adapter: As3Adapter) -> None:
    reconcile(adapter, shop("10.0.0.1"))
    for write, state in device.timeline():
        served = state.get(("ltm/virtual", VIRTUAL))
        assert served is None or served.body["fwEnforcedPolicy"] == ENFORCED, write
    snapshot = adapter.read(EVERYTHING)
    assert snapshot.attached[Tier.SERVICE]
    assert attachment(Tier.SERVICE).key in snapshot.objects
    reconcile(adapter, {})
    assert not device.objects("ltm/virtual")
    assert device.as3.declared(TENANT) is None
    assert not [path for path in device.objects("sys/folder") if TENANT in path]


def test_without_attachment_nothing_is_served_and_the_words_say_what_to_set(device: Bigip) -> None:
    adapter = open_as3(device, attach={})
    adapter.raise_fence(FENCE)
    reconcile(adapter, shop("10.0.0.1"))
    snapshot = adapter.read(EVERYTHING)
    assert not device.objects("ltm/virtual")
    assert not any(snapshot.attached.values())
    assert "attach.services" in snapshot.attach_by[Tier.SERVICE]
    assert TENANT in snapshot.attach_by[Tier.SERVICE]


def test_what_is_attached_stays_so_when_the_settings_attach_no_more(device: Bigip, adapter: As3Adapter) -> None:
    """As elsewhere: nothing is detached by forgetting about it, and what stands is kept in step; with the last policy it goes."""
    reconcile(adapter, shop("10.0.0.1"))
    quiet = open_as3(device, attach={})
    held = reconcile(quiet, shop("10.0.0.1", lines=[line("other", action=Action.DENY)]))
    assert attachment(Tier.SERVICE).key not in held
    assert quiet.read(EVERYTHING).attached[Tier.SERVICE]
    assert device.decide("10.0.0.1", "198.51.100.7", port=443, virtual=VIRTUAL).action == "drop"
    reconcile(quiet, {})
    assert not device.objects("ltm/virtual")
    assert device.as3.declared(TENANT) is None


def test_all_tiers_stand_in_the_one_policy_in_their_order(device: Bigip, adapter: As3Adapter) -> None:
    everyone = RuleList(site.EVERYONE, (line("stop", action=Action.DENY),))
    objects = shop("10.0.0.1", extra=[everyone])
    objects |= {one.key: one for one in (Policy(site.CLUSTERS, (site.EVERYONE,)),)}
    reconcile(adapter, objects)
    held = device.objects("security/firewall/policy")[ENFORCED]
    assert [one["name"] for one in held["rulesReference"]["items"]] == ["fb_prod_cluster", "fb_prod_service_shop"]
    assert device.decide("10.0.0.1", "198.51.100.7", port=443, virtual=VIRTUAL).action == "drop"


def test_a_virtual_server_that_is_said_otherwise_is_declared_anew(device: Bigip, adapter: As3Adapter) -> None:
    reconcile(adapter, shop("10.0.0.1"))
    other = {"mode": "ifEmpty", "services": {"out": SERVICE | {"virtualPort": 443}}}
    changed = open_as3(device, attach=other)
    assert not changed.read(EVERYTHING).attached[Tier.SERVICE]
    assert reconcile(changed, shop("10.0.0.1")) == site.wanted(changed, shop("10.0.0.1"))
    assert set(device.objects("ltm/virtual")) == {"/fb_egress/firewall/out"}


@pytest.mark.parametrize(
    "harm",
    [
        lambda device: device.change_object("ltm/virtual/~fb_egress~firewall~egress", {"fwEnforcedPolicy": "none"}),
        lambda device: device.delete_object(
            "security/firewall/policy/~fb_egress~firewall~fb_enforced/rules/fb_prod_service_shop"
        ),
        lambda device: device.change_object(f"{IN_TENANT}/rules/pay.bank.tcp", {"action": "drop"}),
    ],
    ids=["detached", "a list taken out", "a rule changed"],
)
def test_what_somebody_does_to_it_by_hand_is_seen_and_declared_anew(
    device: Bigip, adapter: As3Adapter, harm: Callable[[Bigip], object]
) -> None:
    wanted = reconcile(adapter, shop("10.0.0.1"))
    harm(device)
    assert adapter.read(EVERYTHING).objects != wanted
    assert reconcile(adapter, shop("10.0.0.1")) == wanted
    assert device.decide("10.0.0.1", "198.51.100.7", port=443, virtual=VIRTUAL).action == "accept-decisively"


# ---- tasks


def test_a_task_is_waited_for(device: Bigip, adapter: As3Adapter) -> None:
    device.as3.seconds = 0.3
    assert reconcile(adapter, shop("10.0.0.1")) == site.wanted(adapter, shop("10.0.0.1"))
    assert asked(device, "/mgmt/shared/appsvcs/task/") > 2


def test_a_task_that_is_not_over_is_told_and_nothing_is_read_until_it_is(device: Bigip) -> None:
    adapter = open_as3(device)
    adapter.raise_fence(FENCE)
    made = site.planned(adapter, adapter.read(EVERYTHING).objects, site.wanted(adapter, shop("10.0.0.1")))
    device.as3.seconds = 1000
    adapter._as3._seconds = 0  # ten seconds is the least that settings take
    with pytest.raises(Busy, match="not over"):
        adapter.apply(made, FENCE)
    with pytest.raises(Busy, match="still carries out"):
        adapter.read(EVERYTHING)
    with pytest.raises(Busy, match="still carries out"):
        open_as3(device).raise_fence(Fence(FENCE.epoch + 1, FENCE.installation))
    device.as3.seconds = 0
    device.clock.advance(1001)
    assert reconcile(adapter, shop("10.0.0.1")) == site.wanted(adapter, shop("10.0.0.1"))


def test_a_declaration_of_somebody_else_delays_writing_and_not_reading(device: Bigip, adapter: As3Adapter) -> None:
    made = site.planned(adapter, adapter.read(EVERYTHING).objects, site.wanted(adapter, shop("10.0.0.1")))
    device.as3.seconds = 100
    device.as3.patience = 10
    body = {"class": "ADC", "schemaVersion": "3.30.0", "id": "site", "other": {"class": "Tenant"}}
    with httpx.Client(base_url=device.url, auth=(device.username, device.password)) as client:
        assert client.post(DECLARE, json=body).status_code == 202
    adapter.read(EVERYTHING)
    with pytest.raises(Busy) as caught:
        adapter.apply(made, FENCE)
    assert caught.value.retry_after == 15


def test_a_task_that_a_restart_cancelled_is_not_taken_for_done(device: Bigip, adapter: As3Adapter) -> None:
    made = site.planned(adapter, adapter.read(EVERYTHING).objects, site.wanted(adapter, shop("10.0.0.1")))
    cancelled = '{"id": "1", "results": [{"message": "task cancelled", "tenant": "", "code": 0}]}'
    device.faults.add("answer", status=200, path="/appsvcs/task/", body=cancelled)
    with pytest.raises(Busy, match="cancelled"):
        adapter.apply(made, FENCE)


def test_without_as3_the_words_say_so(device: Bigip) -> None:
    device.as3.installed = False
    with pytest.raises(Denied, match="AS3 does not answer"):
        open_as3(device).read(EVERYTHING)


def test_an_as3_that_is_too_old_is_told(device: Bigip) -> None:
    device.as3.version = "3.9.0"
    with pytest.raises(Denied, match=r"at least 3\.30"):
        open_as3(device).read(EVERYTHING)


# ---- whose it is


def test_a_tenant_that_somebody_else_declared_is_left(device: Bigip, adapter: As3Adapter) -> None:
    another(device, fb_egress={"class": "Tenant", "firewall": {"class": "Application"}})
    before = device.as3.declared(TENANT)
    with pytest.raises(NotOwned) as caught:
        reconcile(adapter, shop("10.0.0.1"))
    assert caught.value.names == ("/fb_egress",)
    assert str(SHOP) in caught.value.objects
    assert str(CART) not in caught.value.objects, "addresses go on"
    assert device.as3.declared(TENANT) == before


def test_a_partition_of_that_name_is_left(device: Bigip, adapter: As3Adapter) -> None:
    device.put_object("auth/partition", {"name": TENANT})
    device.put_object(RULES, {"name": f"/{TENANT}/theirs"})
    with pytest.raises(NotOwned):
        reconcile(adapter, shop("10.0.0.1"))
    assert f"/{TENANT}/theirs" in device.objects(RULES)


def test_what_stands_undeclared_in_our_tenant_is_not_deleted_by_us(device: Bigip, adapter: As3Adapter) -> None:
    reconcile(adapter, shop("10.0.0.1"))
    device.put_object(RULES, {"name": "/fb_egress/firewall/theirs"})
    with pytest.raises(NotOwned) as caught:
        reconcile(adapter, shop("10.0.0.1", lines=[line("other")]))
    assert caught.value.names == ("/fb_egress/firewall/theirs",)
    assert "/fb_egress/firewall/theirs" in device.objects(RULES)
    reconcile(adapter, shop("10.0.0.9"))  # addresses go on


def test_a_virtual_server_in_our_tenant_that_we_did_not_declare_stops_us(device: Bigip, adapter: As3Adapter) -> None:
    reconcile(adapter, shop("10.0.0.1"))
    device.put_object("ltm/virtual", {"name": "/fb_egress/theirs", "destination": "/fb_egress/192.0.2.1:80"})
    with pytest.raises(NotOwned, match="theirs"):
        reconcile(adapter, shop("10.0.0.1", lines=[line("other")]))


def test_applications_that_others_declared_in_our_tenant_stay(device: Bigip, adapter: As3Adapter) -> None:
    reconcile(adapter, shop("10.0.0.1"))
    tenant = dict(device.as3.declared(TENANT) or {})
    theirs = {"class": "Application", "theirs": {"class": "Firewall_Rule_List", "rules": []}}
    another(device, fb_egress=tenant | {"other": theirs})
    reconcile(adapter, shop("10.0.0.1", lines=[line("other")]))
    assert "/fb_egress/other/theirs" in device.objects(RULES)
    reconcile(adapter, {})
    assert "/fb_egress/other/theirs" in device.objects(RULES)
    assert not device.objects(RULES, "/fb_egress/firewall/")


@pytest.mark.parametrize("name", ["fb_prod_service_shop", "egress", "fb_enforced"])
def test_what_others_declared_under_a_name_of_ours_stops_what_would_stand_there(
    device: Bigip, adapter: As3Adapter, name: str
) -> None:
    reconcile(adapter, {CART: Group(CART, frozenset({"10.0.0.1"})), HTTPS: Ports(HTTPS, (PortRange(1, 2),))})
    tenant = dict(device.as3.declared(TENANT) or {})
    theirs = {"class": "Firewall_Rule_List", "remark": "theirs", "rules": []}
    another(device, fb_egress=tenant | {"firewall": tenant["firewall"] | {name: theirs}})
    with pytest.raises(NotOwned) as caught:
        reconcile(adapter, shop("10.0.0.1"))
    assert caught.value.names == (f"/fb_egress/firewall/{name}",)
    assert (str(SHOP) in caught.value.objects) == (name == "fb_prod_service_shop")
    reconcile(open_as3(device, attach={}), {CART: Group(CART, frozenset({"10.0.0.1"}))})
    assert declared(device)[name] == theirs, "nor later"


def test_an_object_that_lost_its_mark_stops_declarations_until_it_is_adopted(
    device: Bigip, adapter: As3Adapter
) -> None:
    reconcile(adapter, shop("10.0.0.1"))
    device.change_object(IN_TENANT, {"description": "mine now"})
    with pytest.raises(NotOwned):
        reconcile(adapter, shop("10.0.0.1", lines=[line("other")]))
    adapter.adopt([SHOP], FENCE)
    reconcile(adapter, shop("10.0.0.1", lines=[line("other")]))


def test_a_tenant_that_was_declared_anew_meanwhile_is_read_again(
    device: Bigip, adapter: As3Adapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    reconcile(adapter, shop("10.0.0.1"))
    made = site.planned(
        adapter, adapter.read(EVERYTHING).objects, site.wanted(adapter, shop("10.0.0.1", lines=[line("other")]))
    )
    tenant = dict(device.as3.declared(TENANT) or {})
    deploy = adapter._as3.deploy

    def late(name: str, body: Mapping[str, Any]) -> None:
        another(device, fb_egress=tenant | {"label": "theirs"})
        deploy(name, body)

    monkeypatch.setattr(adapter._as3, "deploy", late)
    with pytest.raises(Drifted, match="declared anew"):
        adapter.apply(made, FENCE)


def test_a_tenant_that_was_declared_anew_since_it_was_read_is_read_again(device: Bigip, adapter: As3Adapter) -> None:
    reconcile(adapter, shop("10.0.0.1"))
    tenant = dict(device.as3.declared(TENANT) or {})
    emptied = tenant["firewall"] | {"fb_prod_service_shop": tenant["firewall"]["fb_prod_service_shop"] | {"rules": []}}
    more = shop("10.0.0.1", extra=[Ports(HTTPS, (PortRange(1, 9),))])
    made = site.planned(adapter, adapter.read(EVERYTHING).objects, site.wanted(adapter, more))
    another(device, fb_egress=tenant | {"firewall": emptied})
    with pytest.raises(Drifted, match="somebody else"):
        adapter.apply(made, FENCE)
    assert reconcile(adapter, more) == site.wanted(adapter, more)


def test_nothing_is_declared_after_a_higher_epoch(device: Bigip, adapter: As3Adapter) -> None:
    made = site.planned(adapter, adapter.read(EVERYTHING).objects, site.wanted(adapter, shop("10.0.0.1")))
    open_as3(device).raise_fence(Fence(FENCE.epoch + 1, FENCE.installation))
    with pytest.raises(FencedOff):
        adapter.apply(made, FENCE)
    assert device.as3.declared(TENANT) is None


# ---- what is refused


def test_what_is_refused_is_named_by_the_devices_words(device: Bigip, adapter: As3Adapter) -> None:
    device.limits.rules = 2
    objects = shop("10.0.0.1", lines=[line(name) for name in "abc"], extra=[Ports(HTTPS, (PortRange(1, 9),))])
    with pytest.raises(Rejected) as caught:
        reconcile(adapter, objects)
    assert set(caught.value.objects) == {str(SHOP)}
    assert "more than the maximum" in caught.value.objects[str(SHOP)]


def test_what_is_refused_without_a_name_is_searched_by_dry_runs(device: Bigip, adapter: As3Adapter) -> None:
    asked_for: list[str] = []

    def judge(body: dict[str, Any]) -> list[str]:
        asked_for.append(body["action"])
        rules = body["declaration"].get(TENANT, {}).get("firewall", {}).get("fb_prod_service_shop", {}).get("rules", [])
        return ["something is amiss"] if any(rule["action"] == "reject" for rule in rules) else []

    device.as3.schema = judge
    lines = [line("a", action=Action.REJECT)]
    writes = len(device.writes())
    with pytest.raises(Rejected) as caught:
        reconcile(adapter, shop("10.0.0.1", lines=lines, extra=[RuleList(site.EVERYONE, (line("z"),))]))
    assert set(caught.value.objects) == {str(SHOP)}
    assert "dry-run" in asked_for
    assert not [one for one in device.writes()[writes:] if one.path == DECLARE]


@pytest.mark.parametrize(
    ("status", "code", "error"), [(207, 200, Drifted), (207, 422, Rejected), (422, 422, Rejected), (200, 503, Busy)]
)
def test_the_result_of_our_tenant_counts_and_no_other(
    device: Bigip, adapter: As3Adapter, status: int, code: int, error: type[Exception]
) -> None:
    """What is called done and does not stand on the device is not taken for done either."""
    made = site.planned(adapter, adapter.read(EVERYTHING).objects, site.wanted(adapter, shop("10.0.0.1")))
    message = "success" if code == 200 else "declaration failed"
    results = [
        {"tenant": "theirs", "code": 622 - code, "message": "x"},
        {"tenant": TENANT, "code": code, "message": message},
    ]
    body = msgspec.json.encode({"results": results}).decode()
    device.faults.add("answer", method="POST", path=DECLARE, status=status, body=body, times=None)
    with pytest.raises(error):
        adapter.apply(made, FENCE)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (line("x", action=Action.PASS), "no tier"),
        (RuleEntry("x", Action.ALLOW, (CART,), (BANK,), Protocol.ICMP, icmp=(IcmpType(8),)), "types of ICMP"),
        (RuleEntry("x", Action.ALLOW, (CART,), (BANK,), Protocol.OTHER, number=200), "protocol 200"),
    ],
)
def test_what_as3_has_no_words_for_is_named(device: Bigip, wrong: RuleEntry, words: str) -> None:
    adapter = open_as3(device)
    with pytest.raises(Unsupported) as caught:
        adapter.normalize(Intent("edge", shop("10.0.0.1", lines=[wrong])))
    assert words in caught.value.objects[str(SHOP)]
    assert adapter.capabilities.form is Form.FLAT


def test_a_part_is_read_with_its_attachment(adapter: As3Adapter) -> None:
    reconcile(adapter, shop("10.0.0.1"))
    keys = frozenset({SERVICES, SHOP, attachment(Tier.SERVICE).key})
    assert set(adapter.read(ReadScope(keys)).objects) == keys


# ---- settings


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"scope": {"mode": "as4"}}, "scope.mode"),
        ({"scope": SCOPE | {"tenant": "Common"}}, "scope.tenant"),
        ({"scope": SCOPE | {"tenant": "9lives"}}, "scope.tenant"),
        ({"scope": SCOPE | {"taskSeconds": 1}}, "scope.taskSeconds"),
        ({"scope": SCOPE | {"what": 1}}, "scope.what"),
        ({"scope": SCOPE, "owner": "9fb"}, "owner"),
        ({"scope": SCOPE, "attach": {"service": {"virtualServer": "/Common/x"}}}, "attach.service"),
        ({"scope": SCOPE, "attach": {"mode": "always"}}, "attach.mode"),
        ({"scope": SCOPE, "attach": {"mode": "ifEmpty"}}, "attach.services"),
        ({"scope": SCOPE, "attach": {"services": ["x"]}}, "attach.services"),
        ({"scope": SCOPE, "attach": {"services": {"fb_x": SERVICE}}}, "attach.services.fb_x"),
        ({"scope": SCOPE, "attach": {"services": {"x": {"class": "Pool"}}}}, "attach.services.x"),
        ({"scope": SCOPE, "attach": {"services": {"x": {**SERVICE, "pool": {"use": "p"}}}}}, "attach.services.x"),
        (
            {"scope": SCOPE, "attach": {"services": {"x": {**SERVICE, "policyFirewallEnforced": {}}}}},
            "attach.services.x.policyFirewallEnforced",
        ),
        (
            {
                "scope": SCOPE,
                "attach": {"services": {"x": {**SERVICE, "virtualAddresses": ["192.0.2.1", "192.0.2.2"]}}},
            },
            "attach.services.x.virtualAddresses",
        ),
    ],
)
def test_settings_that_cannot_be_are_named(device: Bigip, changes: dict[str, Any], path: str) -> None:
    assert path in factory.problems(site.config(device, **changes))


def test_the_settings_of_the_page_are_taken(device: Bigip) -> None:
    page = (Path(__file__).parents[3] / "docs" / "bigip-as3.md").read_text()
    (shown,) = yaml.safe_load(page.split("```yaml\n")[1].split("```")[0])["devices"]
    assert factory.problems(site.config(device, scope=shown["scope"]["bigip"], attach=shown["attach"])) == {}


def test_settings_of_both_modes_are_taken(device: Bigip) -> None:
    assert factory.problems(site.config(device, scope=SCOPE, attach=ATTACH)) == {}
    rest = site.config(device, scope={"mode": "rest"}, attach={"service": {"virtualServer": "/Common/x"}})
    assert factory.problems(rest) == {}
    assert factory.capabilities(rest).form is Form.TIERED
    assert factory.capabilities(site.config(device, scope=SCOPE)).form is Form.FLAT


# ---- the order of steps


def test_steps_run_together_as_far_as_they_go_one_way() -> None:
    group, ports = Group(CART, frozenset({"10.0.0.1"})), Ports(HTTPS, (PortRange(1, 2),))
    rules = RuleList(SHOP, (line("a"),))
    steps = [Step(Op.CREATE, one.key, None, one) for one in (ports, group, rules)]
    late = Step(Op.UPDATE, CART, group, Group(CART))
    found = list(runs([steps, [late]]))
    assert [(by_as3, [[step.key for step in part] for part in parts]) for by_as3, parts in found] == [
        (False, [[CART]]),
        (True, [[HTTPS, SHOP]]),
        (False, [[CART]]),
    ]


def test_one_object_takes_one_step() -> None:
    one, two, three = (Group(CART, frozenset({f"10.0.0.{at}"})) for at in (1, 2, 3))
    assert merged([Step(Op.UPDATE, CART, one, two), Step(Op.UPDATE, CART, two, three)]) == [
        Step(Op.UPDATE, CART, one, three)
    ]
    assert merged([Step(Op.CREATE, CART, None, two), Step(Op.UPDATE, CART, two, three)]) == [
        Step(Op.CREATE, CART, None, three)
    ]
    assert merged([Step(Op.UPDATE, CART, one, two), Step(Op.DELETE, CART, two, None)]) == [
        Step(Op.DELETE, CART, one, None)
    ]
    assert merged([Step(Op.UPDATE, CART, one, two), Step(Op.UPDATE, CART, two, one)]) == []
    assert Plan("edge").empty


def test_what_as3_cannot_bind_is_told_by_whoever_looks(device: Bigip, adapter: As3Adapter) -> None:
    """Virtual servers of others that take traffic to any address; neither ours nor those of applications."""
    reconcile(adapter, shop("10.0.0.1"))
    device.put_object("ltm/virtual", {"name": "/Common/web", "destination": "/Common/192.0.2.80:443"})
    told = {one.subject: one for one in adapter.examine()}
    theirs = [path for path in device.objects("ltm/virtual") if path == "/Common/egress"]
    assert ("virtual servers" in told) is bool(theirs)
    for name, destination in (("all", "0.0.0.0:0"), ("all6", "::.0"), ("other", "0.0.0.0%2:0"), ("any", "any:0")):
        device.put_object("ltm/virtual", {"name": f"/Common/{name}", "destination": f"/Common/{destination}"})
    written = len(device.writes())
    found = {one.subject: one for one in adapter.examine()}["virtual servers"]
    assert found.condition is Condition.WARNING
    names = sorted([*theirs, *(f"/Common/{name}" for name in ("all", "all6", "any", "other"))])
    assert f"{', '.join(names[:3])} and {len(names) - 3} more: what enters there is not filtered" in found.message
    assert len(device.writes()) == written


def test_a_place_of_the_other_mode_is_refused_with_what_to_do(device: Bigip) -> None:
    attach = {"mode": "none", "service": {"virtualServer": "/Common/x"}, "what": 1}
    problems = factory.problems(site.config(device, scope=SCOPE, attach=attach))
    assert "nor a virtual server of others: declare one in attach.services" in problems["attach.service"]
    assert problems["attach.what"].startswith("unknown")
