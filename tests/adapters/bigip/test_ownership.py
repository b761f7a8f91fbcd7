"""Ours and theirs: nothing without our mark is ever changed, and what somebody changed of ours is seen and put right."""

from typing import Any

import pytest

from adapters.bigip import BigipAdapter
from bridge.errors import Denied, Drifted, FencedOff, NotOwned, Rejected
from bridge.lab.devices.bigip import Bigip
from bridge.lab.devices.bigip.store import Author, Draft
from bridge.model.identity import Kind, ObjectKey, Scope
from bridge.model.intent import EVERYTHING, Group
from tests.adapters.bigip.site import (
    FENCE,
    FOLDER,
    SHOP,
    firewall,
    line,
    open_adapter,
    planned,
    reconcile,
    sharded,
    shop,
    wanted,
)

ADDRESS_LIST = "security/firewall/address-list"
CART_NAME = "fb_prod_service_shop_cart"
CART_REST = f"{ADDRESS_LIST}/~Common~fb~{CART_NAME}"


def foreign_list(device: Bigip, name: str, description: str = "") -> None:
    if name.startswith(FOLDER) and FOLDER not in device.objects("sys/folder"):
        device.put_object("sys/folder", {"name": FOLDER})
    body: dict[str, Any] = {"name": name, "addresses": [{"name": "192.0.2.99"}]}
    device.put_object(ADDRESS_LIST, body | ({"description": description} if description else {}))


def untouched(device: Bigip, *paths: str) -> bool:
    return all(device.members(path) == {"192.0.2.99"} for path in paths)


def test_foreign_objects_are_named_and_never_touched(adapter: BigipAdapter, device: Bigip) -> None:
    paths = {
        f"{FOLDER}/somebodys": "stands in our folder without our mark",
        f"{FOLDER}/fb_prod_service_shop_web2": "stands in our folder without our mark",
        "/Common/fb_prod_service_shop_cart": "has our name prefix and is not ours",
    }
    for path in paths:
        foreign_list(device, path)
    foreign_list(device, "/Common/unrelated")
    foreign_list(device, "/Common/copy", "fb:fb:group:prod/service/shop/cart")
    reconcile(adapter, shop("10.0.0.1"))
    reconcile(adapter, {})
    snapshot = adapter.read(EVERYTHING)
    assert snapshot.objects == {}
    shown = {one.name: one.look_alike for one in snapshot.foreign}
    assert shown == paths | {"/Common/copy": "has our mark and another name"}
    assert untouched(device, *paths, "/Common/copy", "/Common/unrelated")


def test_a_mark_that_goes_while_we_write_is_noticed(adapter: BigipAdapter, device: Bigip) -> None:
    reconcile(adapter, shop("10.0.0.1"))
    plan = planned(adapter, adapter.read(EVERYTHING).objects, wanted(adapter, shop("10.0.0.2")))
    device.change_object(CART_REST, {"description": "mine now"})
    with pytest.raises(Drifted):
        adapter.apply(plan, FENCE)


TAMPERING: list[tuple[str, dict[str, Any]]] = [
    (CART_REST, {"addresses": [{"name": "10.0.0.1"}, {"name": "10.0.0.66"}]}),
    (CART_REST, {"fqdns": [{"name": "evil.example"}]}),
    (CART_REST, {"addressLists": ["/Common/site"]}),
    (CART_REST, {"addresses": [{"name": "10.0.0.1%9"}]}),
    (CART_REST, {"geo": [{"name": "XX"}]}),
    (f"{ADDRESS_LIST}/~Common~fb~fb_prod_service_shop_large_00.2", {"addressLists": ["/Common/site"]}),
    (f"{ADDRESS_LIST}/~Common~fb~fb_prod_service_shop_large", {"addressLists": ["/Common/site"]}),
    ("security/firewall/port-list/~Common~fb~fb_prod_external_shop_bank.tcp", {"ports": [{"name": "1-65535"}]}),
    ("security/firewall/rule-list/~Common~fb~fb_prod_service_shop/rules/b", {"action": "accept"}),
    ("security/firewall/rule-list/~Common~fb~fb_prod_service_shop/rules/b", {"status": "disabled"}),
    ("security/firewall/rule-list/~Common~fb~fb_prod_service_shop/rules/b", {"placeBefore": "first"}),
    (
        "security/firewall/rule-list/~Common~fb~fb_prod_service_shop/rules/b",
        {"source": {"addresses": [{"name": "10.66.0.0/16"}]}},
    ),
    (
        "security/firewall/rule-list/~Common~fb~fb_prod_service_shop/rules/b",
        {"source": {"addressLists": []}},
    ),
    ("security/firewall/policy/~Common~fb~fb__service/rules/fb_prod_service_shop", {"status": "disabled"}),
]


@pytest.mark.parametrize(("path", "body"), TAMPERING)
def test_what_somebody_changed_of_ours_is_seen_and_put_right(
    adapter: BigipAdapter, device: Bigip, path: str, body: dict[str, Any]
) -> None:
    large = ObjectKey(Kind.GROUP, "prod", Scope.SERVICE, "shop", "large")
    lines = [line("a"), line("b"), line("c")]
    state = shop("10.0.0.1", lines=lines, extra=sharded(large, {"10.7.0.1", "10.7.0.2"}, 2))
    device.put_object(ADDRESS_LIST, {"name": "/Common/site", "addresses": [{"name": "10.0.0.0/8"}]})
    device.give_resolver()
    reconcile(adapter, state)
    good = firewall(device)
    device.change_object(path, body)
    assert firewall(device) != good
    assert adapter.read(EVERYTHING).objects != wanted(adapter, state)
    reconcile(adapter, state)
    assert firewall(device) == good


@pytest.mark.parametrize("holder", ["rule-list/~Common~fb~fb_prod_service_shop", "policy/~Common~fb~fb__service"])
def test_a_line_that_somebody_added_to_ours_goes(adapter: BigipAdapter, device: Bigip, holder: str) -> None:
    reconcile(adapter, shop("10.0.0.1"))
    good = firewall(device)
    rule = {"name": "let-me-in", "action": "accept-decisively", "placeBefore": "first"}
    device.put_object(f"security/firewall/{holder}/rules", rule)
    assert adapter.read(EVERYTHING).objects != wanted(adapter, shop("10.0.0.1"))
    reconcile(adapter, shop("10.0.0.1"))
    assert firewall(device) == good


def test_a_list_that_the_site_refers_to_is_not_deleted_and_named(adapter: BigipAdapter, device: Bigip) -> None:
    reconcile(adapter, shop("10.0.0.1"))
    device.put_object("security/firewall/policy", {"name": "/Common/site"})
    rule = {"name": "ours", "ruleList": f"{FOLDER}/fb_prod_service_shop", "placeBefore": "first"}
    device.put_object("security/firewall/policy/~Common~site/rules", rule)
    with pytest.raises(Rejected) as refused:
        reconcile(adapter, {})
    assert set(refused.value.objects) == {str(SHOP)}
    assert adapter.read(EVERYTHING).objects == wanted(adapter, shop("10.0.0.1"))


def test_a_take_over_stops_a_long_plan_between_two_transactions(
    adapter: BigipAdapter, device: Bigip, monkeypatch: pytest.MonkeyPatch
) -> None:
    objects = {key: Group(key, frozenset({"10.0.0.1"})) for key in (_service(at) for at in range(450))}
    plan = planned(adapter, adapter.read(EVERYTHING).objects, wanted(adapter, objects))
    commit = device.store.commit

    def commit_and_lose(draft: Draft, author: Author) -> None:
        commit(draft, author)
        if author.method == "COMMIT":
            records = [{"name": "epoch", "data": "9"}, {"name": "installation", "data": "else"}]
            device.change_object("ltm/data-group/internal/~Common~fb~fence", {"records": records})

    monkeypatch.setattr(device.store, "commit", commit_and_lose)
    with pytest.raises(FencedOff):
        adapter.apply(plan, FENCE)
    assert sum(write.method == "COMMIT" for write in device.writes()) == 1


def _service(at: int) -> ObjectKey:
    return ObjectKey(Kind.GROUP, "prod", Scope.SERVICE, "shop", f"s{at}")


def test_a_fence_that_is_not_ours_or_says_nothing_stops_everything(device: Bigip) -> None:
    reconcile(open_adapter(device), shop("10.0.0.1"))
    fence = "ltm/data-group/internal/~Common~fb~fence"
    device.change_object(fence, {"records": [{"name": "epoch", "data": "many"}]})
    with pytest.raises(Denied, match=f"make sure that no other bridge writes there, and delete {fence}"):
        open_adapter(device).read(EVERYTHING)  # `fence reset` reads too
    device.change_object(fence, {"description": "site", "records": []})
    adapter = open_adapter(device)
    assert f"{FOLDER}/fence" in {one.name for one in adapter.read(EVERYTHING).foreign}
    with pytest.raises(NotOwned):
        reconcile(adapter, shop("10.0.0.2"))
