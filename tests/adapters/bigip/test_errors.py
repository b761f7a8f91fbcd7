"""Each way in which a device says no has one meaning, and no message holds a secret."""

import httpx
import pytest
import respx

from adapters.bigip import BigipAdapter, factory
from bridge.contract import DeviceConfig
from bridge.errors import Busy, Denied, DeviceError, Drifted, Rejected, Unsupported
from bridge.lab.devices.bigip import Bigip
from bridge.model.identity import Kind, ObjectKey, Scope
from bridge.model.intent import EVERYTHING, Group, Intent, Policy, Ports, RuleEntry, RuleList
from bridge.model.policy import Action, PortRange, Protocol
from tests.adapters.bigip.site import (
    BANK,
    CART,
    FENCE,
    HTTPS,
    SHOP,
    WEB,
    Secrets,
    firewall,
    line,
    open_adapter,
    planned,
    reconcile,
    shop,
    wanted,
)

BUSY = [
    "busy-tm",
    "async-task",
    "restart",
    "not-ready",
    "timeout",
    "html-502",
    "html-503",
    "truncated",
    "garbage",
]


@pytest.mark.parametrize("fault", BUSY)
def test_a_device_that_cannot_now_is_busy(adapter: BigipAdapter, device: Bigip, fault: str) -> None:
    reconcile(adapter, shop("10.0.0.1"))
    plan = planned(adapter, adapter.read(EVERYTHING).objects, wanted(adapter, shop("10.0.0.2")))
    for method in ("GET", "PATCH"):
        device.faults.add(fault, method=method, path="/mgmt/tm/", times=None)
        with pytest.raises(Busy) as busy:
            adapter.apply(plan, FENCE)
        device.faults.clear()
        assert device.password not in str(busy.value)
        assert str(busy.value).startswith("edge: ")
    reconcile(adapter, shop("10.0.0.2"))
    assert adapter.read(EVERYTHING).objects == wanted(adapter, shop("10.0.0.2"))


def test_the_device_says_how_long_to_wait(adapter: BigipAdapter, device: Bigip) -> None:
    device.faults.add("async-task", method="GET", path="address-list")
    with pytest.raises(Busy) as busy:
        adapter.read(EVERYTHING)
    assert busy.value.retry_after == 10.0


def test_a_page_that_permits_nothing_is_denied(adapter: BigipAdapter, device: Bigip) -> None:
    device.faults.add("html-401", path="/mgmt/tm/", times=None)
    with pytest.raises(Denied):
        adapter.read(EVERYTHING)


def test_a_single_cut_while_reading_is_not_noticed(adapter: BigipAdapter, device: Bigip) -> None:
    reconcile(adapter, shop("10.0.0.1"))
    device.faults.add("cut", method="GET", path="/mgmt/tm/")
    assert adapter.read(EVERYTHING).objects == wanted(adapter, shop("10.0.0.1"))


def test_an_object_that_the_device_refuses_is_named_and_the_rest_goes_on(device: Bigip) -> None:
    device.limits.members = 5
    adapter = open_adapter(device)
    objects = shop("10.0.0.1") | {WEB: Group(WEB, frozenset(f"10.8.0.{at}" for at in range(9)))}
    with pytest.raises(Rejected) as refused:
        reconcile(adapter, objects)
    assert set(refused.value.objects) == {str(WEB)}
    assert "maximum of 5" in refused.value.objects[str(WEB)]
    del objects[WEB]
    reconcile(adapter, objects)
    with pytest.raises(Rejected) as alone:
        reconcile(adapter, objects | {WEB: Group(WEB, frozenset(f"10.8.0.{at}" for at in range(9)))})
    assert set(alone.value.objects) == {str(WEB)}
    assert adapter.read(EVERYTHING).objects == wanted(adapter, objects)


def test_a_rule_list_over_the_limit_is_named_by_its_path(device: Bigip) -> None:
    device.limits.rules = 3
    adapter = open_adapter(device)
    with pytest.raises(Rejected) as refused:
        reconcile(adapter, shop("10.0.0.1", lines=[line(f"r{at}") for at in range(4)]))
    assert set(refused.value.objects) == {str(SHOP)}
    assert firewall(device)["rule-list"] == {}


@pytest.mark.parametrize("what", ["the object", "a line", "what it refers to"])
def test_what_vanished_is_drift(adapter: BigipAdapter, device: Bigip, what: str) -> None:
    before, after = [line("a"), line("b")], [line("a", WEB), line("b")]
    reconcile(
        adapter, {key: value for key, value in shop("10.0.0.1", lines=before).items() if key.kind is not Kind.POLICY}
    )
    target = shop("10.0.0.1", lines=after)
    plan = planned(adapter, adapter.read(EVERYTHING).objects, wanted(adapter, target))
    place = "security/firewall/rule-list/~Common~fb~fb_prod_service_shop"
    if what == "the object":
        device.delete_object(place)
    elif what == "a line":
        device.delete_object(f"{place}/rules/a")
    else:
        device.delete_object("security/firewall/address-list/~Common~fb~fb_prod_service_shop_web")
    with pytest.raises(Drifted):
        adapter.apply(plan, FENCE)
    reconcile(adapter, target)
    assert adapter.read(EVERYTHING).objects == wanted(adapter, target)


def test_what_exists_already_is_fine_only_when_it_is_ours_and_equal(adapter: BigipAdapter, device: Bigip) -> None:
    group = {CART: Group(CART, frozenset({"10.0.0.1"}))}
    plan = planned(adapter, adapter.read(EVERYTHING).objects, wanted(adapter, group))
    open_adapter(device).apply(plan, FENCE)
    assert adapter.apply(plan, FENCE).observed == group
    reconcile(open_adapter(device), {CART: Group(CART, frozenset({"10.0.0.2"}))})
    with pytest.raises(Drifted):
        adapter.apply(plan, FENCE)


def test_an_answer_that_shows_something_else_is_drift(adapter: BigipAdapter, device: Bigip) -> None:
    reconcile(adapter, {CART: Group(CART, frozenset({"10.0.0.1"}))})
    plan = planned(
        adapter, adapter.read(EVERYTHING).objects, wanted(adapter, {CART: Group(CART, frozenset({"10.0.0.2"}))})
    )
    lie = (
        '{"name":"fb_prod_service_shop_cart","fullPath":"/Common/fb/fb_prod_service_shop_cart",'
        '"description":"fb:fb:group:prod/service/shop/cart","addresses":[{"name":"10.0.0.1"}]}'
    )
    device.faults.add("answer", method="PATCH", status=200, body=lie)
    with pytest.raises(Drifted):
        adapter.apply(plan, FENCE)


def test_a_slow_commit_is_awaited_and_a_failed_one_is_told(adapter: BigipAdapter, device: Bigip) -> None:
    device.transactions.seconds = 0.1
    reconcile(adapter, shop("10.0.0.1"))
    assert adapter.read(EVERYTHING).objects == wanted(adapter, shop("10.0.0.1"))
    device.limits.members = 1
    with pytest.raises(Rejected) as refused:
        reconcile(adapter, shop("10.0.0.1", "10.0.0.2", extra=[Group(WEB, frozenset({"10.9.0.2"}))]))
    assert set(refused.value.objects) == {str(CART)}


def test_a_commit_that_does_not_end_is_busy(device: Bigip) -> None:
    device.transactions.seconds = 3600
    adapter = open_adapter(device, timeout=0.4)
    with pytest.raises(Busy, match="VALIDATING"):
        reconcile(adapter, shop("10.0.0.1"))


def test_a_transaction_that_the_device_forgot_is_busy(adapter: BigipAdapter, device: Bigip) -> None:
    reconcile(adapter, {})
    device.transactions.timeout = 0
    with pytest.raises(Busy, match="took too long"):
        reconcile(adapter, shop("10.0.0.1"))


def test_an_object_that_cannot_be_read_is_set_aside_by_name(adapter: BigipAdapter, device: Bigip) -> None:
    reconcile(adapter, shop("10.0.0.1"))
    page = (
        '{"items":[{"name":"fb_x","fullPath":"/Common/fb/fb_x","description":7,"addresses":"all of them"},'
        '{"name":1,"fullPath":["?"]},"nonsense"]}'
    )
    device.faults.add("answer", method="GET", path="address-list", status=200, body=page)
    snapshot = adapter.read(EVERYTHING)
    assert "/Common/fb/fb_x" in {one.name for one in snapshot.foreign}
    assert SHOP in snapshot.objects


def test_afm_that_is_not_there_is_said(adapter: BigipAdapter, device: Bigip) -> None:
    body = '{"code":404,"message":"Unrecognized path element","errorStack":[],"apiError":1}'
    device.faults.add("answer", method="GET", path="address-list", status=404, body=body, times=None)
    with pytest.raises(Denied, match="AFM"):
        adapter.read(EVERYTHING)


def test_active_is_said_only_when_the_device_says_so(device: Bigip) -> None:
    device.store.compiler.delay = 60.0
    adapter = open_adapter(device, attach={"mode": "ifEmpty"})
    assert not reconcile(adapter, shop("10.0.0.1") | policies()).active
    device.clock.advance(61)
    assert adapter.active()
    reconcile(adapter, shop("10.0.0.2") | policies())
    assert not adapter.active()
    device.clock.advance(61)
    assert adapter.active()
    assert not open_adapter(device, scope={"activation": "security/firewall/elsewhere"}).active()
    trusting = open_adapter(device, scope={"activation": "none"})
    assert trusting.active()
    assert not trusting.capabilities.compiles_later


def policies() -> dict[ObjectKey, Policy]:
    return {key: Policy(key, ()) for key in (ObjectKey(Kind.POLICY, "", Scope.CLUSTER),)}


OTHER_PORTS = ObjectKey(Kind.PORTS, "prod", Scope.EXTERNAL, "shop", "none.tcp")


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (Group(CART, frozenset({"300.1.2.3"})), "300.1.2.3"),
        (Group(CART, frozenset({"::1:5ee:bad:c0de"})), "stands for an empty list"),
        (Group(CART, frozenset(), frozenset({"pay.example"})), "pay.example"),
        (Group(CART, frozenset({"10.0.0.1"}), shards=2), "not both"),
        (Group(ObjectKey(Kind.GROUP, "prod", Scope.ANNOTATION, "ops", "naïve")), "characters"),
        (Group(ObjectKey(Kind.GROUP, "prod", Scope.ANNOTATION, "ops", "a#b")), "separators"),
        (Ports(OTHER_PORTS, (PortRange(0, 80),)), "0-80"),
        (Ports(OTHER_PORTS, (PortRange(90, 80),)), "90-80"),
        (RuleList(SHOP, (RuleEntry("x", Action.ALLOW, (CART,), (BANK,), Protocol.ICMP, HTTPS),)), "no ports"),
        (RuleList(SHOP, (line("x"), line("x"))), "one name"),
    ],
)
def test_what_cannot_be_expressed_is_named(device: Bigip, value: Group | Ports | RuleList, reason: str) -> None:
    adapter = open_adapter(device)
    good = shop("10.0.0.1", extra=[value])
    with pytest.raises(Unsupported) as refused:
        adapter.normalize(Intent("edge", good))
    assert list(refused.value.objects) == [str(value.key)]
    assert reason in refused.value.objects[str(value.key)]
    assert device.requests() == []


@respx.mock
@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (httpx.Response(429, html="<h1>Too many</h1>", headers={"Retry-After": "7"}), Busy),
        (httpx.Response(302, headers={"Location": "/tmui/login.jsp"}), Denied),
        (httpx.Response(400, html="<h1>Bad request</h1>"), Busy),
        (httpx.ReadTimeout("slow"), Busy),
        (httpx.ConnectError("refused"), Busy),
        (httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] self-signed"), Denied),
    ],
)
def test_what_the_transport_shows(answer: httpx.Response | Exception, error: type[DeviceError]) -> None:
    login = {"token": {"token": "TOKEN-SECRET", "timeout": 36000}}
    respx.post("https://192.0.2.1/mgmt/shared/authn/login").respond(json=login)
    respx.delete(url__regex=".*/authz/tokens/.*").respond(200)
    respx.get(url__regex="https://192.0.2.1/mgmt/tm/.*").mock(side_effect=[answer, answer])
    adapter = factory.open(settings("https://192.0.2.1"))
    with pytest.raises(error) as raised:
        adapter.read(EVERYTHING)
    adapter.close()
    assert "TOKEN-SECRET" not in f"{raised.value}{raised.value!r}{raised.value.__context__!r}"
    if isinstance(raised.value, Busy) and isinstance(answer, httpx.Response) and answer.status_code == 429:
        assert raised.value.retry_after == 7.0


def settings(url: str) -> DeviceConfig:
    return DeviceConfig("edge", "bigip", url, "fb", Secrets({"username": "bridge", "password": "s3cret-pass"}))
