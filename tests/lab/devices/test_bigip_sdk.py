"""F5's own SDK drives the simulator: it is strict about kinds, links and generations."""

import pytest

from bridge.lab.devices.bigip import Bigip
from tests.lab.devices.conftest import Untyped


def test_address_list_lives_its_life(device: Bigip, sdk: Untyped) -> None:
    lists = sdk.tm.security.firewall.address_lists
    made = lists.address_list.create(name="web", partition="Common", subPath="fb", addresses=[{"name": "10.0.0.1/32"}])
    assert made.fullPath == "/Common/fb/web"
    assert device.members("/Common/fb/web") == {"10.0.0.1"}

    made.modify(addresses=[{"name": "10.0.0.2"}, {"name": "10.0.1.0/24"}], description="front")
    assert device.members("/Common/fb/web") == {"10.0.0.2", "10.0.1.0/24"}
    before = made.generation
    made.description = "changed"
    made.update()
    assert made.generation > before
    assert device.objects("security/firewall/address-list")["/Common/fb/web"]["description"] == "changed"

    loaded = lists.address_list.load(name="web", partition="Common", subPath="fb")
    assert [one["name"] for one in loaded.addresses] == ["10.0.0.2", "10.0.1.0/24"]
    assert [one.name for one in lists.get_collection()] == ["web"]
    loaded.delete()
    assert not lists.address_list.exists(name="web", partition="Common", subPath="fb")
    assert device.objects("security/firewall/address-list") == {}


def test_port_list(device: Bigip, sdk: Untyped) -> None:
    ports = sdk.tm.security.firewall.port_lists.port_list
    made = ports.create(name="tls", partition="Common", ports=[{"name": "443"}, {"name": "8000-8010"}])
    assert [one["name"] for one in made.ports] == ["443", "8000-8010"]
    made.delete()
    assert device.objects("security/firewall/port-list") == {}


def test_policy_rules_keep_their_order(device: Bigip, sdk: Untyped) -> None:
    policy = sdk.tm.security.firewall.policy_s.policy.create(name="p", partition="Common", subPath="fb")
    rules = policy.rules_s.rule
    rules.create(name="b", action="drop", **{"place-after": "first"})
    rules.create(name="a", action="accept", ipProtocol="tcp", **{"place-before": "b"})
    rules.create(name="c", action="reject", **{"place-after": "last"})
    assert [one.name for one in policy.rules_s.get_collection()] == ["a", "b", "c"]

    last = rules.load(name="c")
    last.modify(**{"place-before": "a"})
    last.modify(status="disabled", source={"addresses": [{"name": "10.0.0.0/8"}]})
    shown = device.objects("security/firewall/policy")["/Common/fb/p"]["rulesReference"]["items"]
    assert [one["name"] for one in shown] == ["c", "a", "b"]
    assert shown[0]["status"] == "disabled"
    assert shown[0]["source"]["addresses"] == [{"name": "10.0.0.0/8"}]
    last.delete()
    assert [one.name for one in policy.rules_s.get_collection()] == ["a", "b"]


def test_global_policy_is_a_single_slot(device: Bigip, sdk: Untyped) -> None:
    sdk.tm.security.firewall.policy_s.policy.create(name="one", partition="Common")
    sdk.tm.security.firewall.policy_s.policy.create(name="two", partition="Common")
    slot = sdk.tm.security.firewall.global_rules.load()
    slot.modify(enforcedPolicy="/Common/one")
    slot.modify(enforcedPolicy="/Common/two")
    (held,) = device.objects("security/firewall/global-rules").values()
    assert held["enforcedPolicy"] == "/Common/two"


def test_route_domain_holds_a_policy(device: Bigip, sdk: Untyped) -> None:
    sdk.tm.security.firewall.policy_s.policy.create(name="p", partition="Common")
    domain = sdk.tm.net.route_domains.route_domain.load(name="0", partition="Common")
    domain.modify(fwEnforcedPolicy="/Common/p")
    assert device.objects("net/route-domain")["/Common/0"]["fwEnforcedPolicy"] == "/Common/p"


def test_folders_and_partitions(device: Bigip, sdk: Untyped) -> None:
    folders = sdk.tm.sys.folders.folder
    made = folders.create(name="deep", subPath="/Common/fb")
    assert made.fullPath == "/Common/fb/deep"
    assert folders.exists(partition="Common", name="fb/deep")
    made.delete()
    sdk.tm.auth.partitions.partition.create(name="tenant")
    assert folders.exists(partition="tenant")
    assert sorted(one.name for one in sdk.tm.auth.partitions.get_collection()) == ["Common", "tenant"]
    sdk.tm.auth.partitions.partition.load(name="tenant").delete()
    assert "/tenant" not in device.objects("sys/folder")


def test_data_group(device: Bigip, sdk: Untyped) -> None:
    made = sdk.tm.ltm.data_group.internals.internal.create(
        name="fence", partition="Common", subPath="fb", type="string", records=[{"name": "epoch", "data": "7"}]
    )
    made.records = [{"name": "epoch", "data": "8"}]
    made.update()
    assert device.objects("ltm/data-group/internal")["/Common/fb/fence"]["records"] == [{"name": "epoch", "data": "8"}]


def test_transaction_commits_as_one_write(device: Bigip, sdk: Untyped) -> None:
    from f5.bigip.contexts import TransactionContextManager

    before = len(device.writes())
    with TransactionContextManager(sdk.tm.transactions.transaction) as api:
        api.tm.security.firewall.address_lists.address_list.create(
            name="x", partition="Common", addresses=[{"name": "10.0.0.1"}]
        )
        api.tm.security.firewall.address_lists.address_list.create(
            name="y", partition="Common", addresses=[{"name": "10.0.0.2"}]
        )
        assert device.objects("security/firewall/address-list") == {}
    assert set(device.objects("security/firewall/address-list")) == {"/Common/x", "/Common/y"}
    assert len(device.writes()) == before + 1


def test_transaction_that_fails_leaves_nothing(device: Bigip, sdk: Untyped) -> None:
    from f5.bigip.contexts import TransactionContextManager
    from f5.sdk_exception import TransactionSubmitException

    before = device.digest()
    lists = sdk.tm.security.firewall.address_lists.address_list
    transaction = TransactionContextManager(sdk.tm.transactions.transaction)
    transaction.__enter__()
    lists.create(name="x", partition="Common", addresses=[{"name": "10.0.0.1"}])
    lists.create(name="y", partition="Common", addressLists=["/Common/absent"])
    with pytest.raises(TransactionSubmitException, match="do not point at an item"):
        transaction.__exit__(None, None, None)
    assert device.digest() == before


def test_login_by_token(device: Bigip, trusted: None) -> None:
    from urllib.parse import urlsplit

    from f5.bigip import ManagementRoot

    netloc = urlsplit(device.url)
    root = ManagementRoot("127.0.0.1", device.username, device.password, port=netloc.port, verify=device.ca, token=True)
    assert root.tmos_version == "17.1.1"
    assert len(device.tokens.live()) == 1
