"""What stands on a FortiGate: groups for people's own policies, or a block of policies in its place; and nobody else's touched."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from adapters.fortigate import factory
from adapters.fortigate.adapter import FortigateFactory
from tests.acceptance.fortigate import ADDRESS, ANCHOR, GROUP, GROUP6, POLICY, SERVICE, Box, box
from tests.acceptance.site import OWNER, eventually, stays
from tests.adapters.fortigate.test_call_by_call import TestFortigateCallByCall as CallByCall
from tests.adapters.fortigate.test_conformance import TestFortigate as Suite
from tests.adapters.fortigate.test_fed import TestFortigateFed as FedSuite

PROVIDER, OUTSIDE, UNKNOWN = "192.0.2.1", "203.0.113.1", "10.244.255.77"
SHOP, SIX, BANK = "10.244.1.1", "fd00:10:244::1", "10.244.2.1"
TEMPLATE = {"srcintf": ["port1"], "dstintf": ["port2"], "nat": True, "profiles": {"ips-sensor": "default"}}
ANY: Mapping[str, Any] = {
    "srcintf": [{"name": "any"}],
    "dstintf": [{"name": "any"}],
    "schedule": "always",
    "service": [{"name": "ALL"}],
}


def put_foreign(made: Box) -> None:
    """What a site has: its own policies, the last of which ours stand before, and a group that looks like ours."""
    put = made.device.put_object
    put(ADDRESS, {"name": "branch", "subnet": "192.168.0.0/16"}, vdom=made.vdom, user="site")
    put(GROUP, {"name": f"{OWNER}_looks_like_ours", "member": [{"name": "branch"}]}, vdom=made.vdom, user="site")
    branch = {"srcaddr": [{"name": "branch"}], "dstaddr": [{"name": "all"}], "action": "accept"}
    put(POLICY, {**ANY, **branch, "name": "branch out"}, vdom=made.vdom, user="site")
    never = {"srcaddr": [{"name": "none"}], "dstaddr": [{"name": "none"}], "action": "deny"}
    put(POLICY, {**ANY, **never, "name": ANCHOR}, vdom=made.vdom, user="site")


def foreign(made: Box) -> str:
    """Everything that is not ours, as text, policies in their order."""
    found = {
        table: [one for one in made.device.objects(table, made.vdom).values() if one["name"] not in made.ours(table)]
        for table in (ADDRESS, GROUP, GROUP6, SERVICE)
    }
    theirs = [one for one in made.device.objects(POLICY, made.vdom).values() if not one["comments"].startswith("fb:")]
    looks_alike = made.device.objects(GROUP, made.vdom)[f"{OWNER}_looks_like_ours"]
    return json.dumps([found, theirs, looks_alike], sort_keys=True)


def policies(made: Box) -> list[dict[str, Any]]:
    """All policies in their order."""
    return list(made.device.objects(POLICY, made.vdom).values())


def lines(made: Box) -> list[dict[str, Any]]:
    """Our policies that decide anything, in their order."""
    return [one for one in policies(made) if "|" in one["comments"]]


def populate(made: Box) -> None:
    """Two teams, each with a rule of its service; a rule of the cluster before them."""
    made.team("shop", SHOP, "10.244.1.2")
    made.team("bank", BANK)
    made.external("", "blocked", "192.0.2.9")
    made.cluster_rule("nobody", "blocked", "Deny", log=True)


@pytest.fixture(scope="module")
def groups(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """The default mode."""
    with box(tmp_path_factory.mktemp("groups")) as made:
        put_foreign(made)
        populate(made)
        made.bridge.start()
        eventually("the group stands", lambda: SHOP in made.members(made.called("service", "shop", "web")))
        made.bridge.await_in_step()
        yield made
        assert made.bridge.running, made.bridge.log()[-5:]


@pytest.fixture(scope="module")
def block(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """Mode policies, in a VDOM that is not the management VDOM."""
    where = {"before": ANCHOR, "template": TEMPLATE}
    with box(
        tmp_path_factory.mktemp("block"), vdoms=("root", "egress"), mode="policies", vdom="egress", policies=where
    ) as made:
        for name in ("port1", "port2"):
            made.device.put_object("system/interface", {"name": name, "vdom": "egress"}, user="site")
        put_foreign(made)
        populate(made)
        made.bridge.start()
        eventually("in force", lambda: made.allowed(SHOP, PROVIDER))
        made.bridge.await_in_step()
        yield made
        assert made.bridge.running, made.bridge.log()[-5:]


@pytest.mark.acceptance(
    "devices: FortiGate, mode groups: the bridge keeps addresses, groups and services, and no policy"
)
def test_groups(groups: Box) -> None:
    assert groups.members(groups.called("service", "shop", "web")) == {SHOP, "10.244.1.2"}
    assert groups.members(groups.called("external", "shop", "provider")) == {"192.0.2.0/28"}
    assert any(name.endswith("_tcp") for name in groups.ours(SERVICE))
    assert lines(groups) == []
    assert len(policies(groups)) == 2


@pytest.mark.acceptance(
    "devices: FortiGate, mode groups: people's own policy that names our groups follows the cluster"
)
def test_people_write_policies(groups: Box) -> None:
    source, target = groups.called("service", "bank", "web"), groups.called("external", "bank", "provider")
    assert not groups.allowed(BANK, PROVIDER)
    body = {"name": "theirs", "srcaddr": [{"name": source}], "dstaddr": [{"name": target}], "action": "accept"}
    groups.device.put_object(POLICY, {**ANY, **body}, user="site")
    assert groups.allowed(BANK, PROVIDER)
    groups.pod("bank", "web-1", "10.244.2.7")
    eventually("the new pod may", lambda: groups.allowed("10.244.2.7", PROVIDER))
    groups.delete_pod("bank", "web-1")
    eventually("the pod that went may not", lambda: not groups.allowed("10.244.2.7", PROVIDER))
    assert groups.allowed(BANK, PROVIDER)


@pytest.mark.acceptance("devices: FortiGate, mode groups: each rule is told as NotAttached, with the groups to name")
def test_rules_are_told(groups: Box) -> None:
    eventually("it is told", lambda: "NotAttached" in groups.told("shop", "web-provider"))
    assert f"{OWNER}_" in groups.told("shop", "web-provider")


@pytest.mark.acceptance("devices: FortiGate: an empty group matches nothing, and its policy does not open")
def test_empty_group(groups: Box) -> None:
    name = groups.called("service", "empty", "web")
    groups.team("empty", "10.244.5.1")
    eventually("the group stands", lambda: groups.members(name) == {"10.244.5.1"})
    body = {"name": "lone", "srcaddr": [{"name": name}], "dstaddr": [{"name": "all"}], "action": "accept"}
    groups.device.put_object(POLICY, {**ANY, **body}, user="site")
    groups.delete_pod("empty", "web-0")
    eventually("nobody is left", lambda: groups.members(name) == frozenset())
    assert groups.device.objects(GROUP)[name]["member"]
    assert not any(groups.allowed(one, OUTSIDE) for one in ("10.244.5.1", UNKNOWN, "0.0.0.1"))


@pytest.mark.acceptance("devices: FortiGate: names are taken as FQDN objects of the unit")
def test_fqdn(groups: Box) -> None:
    spec = {"fqdns": ["pay.example.com"], "ports": [{"protocol": "TCP", "port": 443}]}
    groups.put("ExternalService", "shop", "payments", spec)
    groups.service_rule("shop", "web", "payments")
    eventually("it stands", lambda: f"{OWNER}_fqdn.pay.example.com" in groups.ours(ADDRESS))
    shown = groups.ours(ADDRESS)[f"{OWNER}_fqdn.pay.example.com"]
    assert (shown["type"], shown["fqdn"]) == ("fqdn", "pay.example.com")
    assert "fqdn.pay.example.com" in groups.members(groups.called("external", "shop", "payments"))


@pytest.mark.acceptance("devices: FortiGate: members of IPv6 stand in groups of IPv6 of the same name")
def test_ipv6(groups: Box) -> None:
    groups.external("bank", "sixes", "2001:db8:1::/48")
    groups.service_rule("bank", "web", "sixes")
    name = groups.called("external", "bank", "sixes")
    eventually("it stands", lambda: groups.members(name, GROUP6) == {"2001:db8:1::/48"})
    assert groups.members(name) == frozenset()


@pytest.mark.acceptance("devices: FortiGate: the token goes into the header, never into an address")
def test_header_token_only(groups: Box) -> None:
    requests = groups.device.requests()
    assert requests
    assert not any("access_token" in one.query or groups.device.password in one.query for one in requests)
    assert {one.user for one in requests} == {groups.device.username}
    assert groups.device.password not in (groups.bridge.folder / "bridge.log").read_text()


@pytest.mark.acceptance("devices: FortiGate: a restart with nothing changed writes nothing")
def test_restart(groups: Box) -> None:
    groups.bridge.await_in_step()
    held = foreign(groups)
    groups.bridge.stop()
    written = groups.written()
    groups.bridge.start()
    groups.bridge.await_in_step()
    stays("nothing is written but the fence", lambda: groups.written() <= written + 1, 1.0)
    assert foreign(groups) == held


@pytest.mark.acceptance(
    "devices: FortiGate, mode policies: rules stand in order before the named policy, others' stay where they are"
)
def test_block(block: Box) -> None:
    names = [one["name"] for one in policies(block)]
    ours = [index for index, one in enumerate(policies(block)) if one["comments"].startswith("fb:")]
    assert names[0] == "branch out"
    assert names[-1] == ANCHOR
    assert ours == list(range(1, len(names) - 1))
    tiers = [one["comments"].split("/")[1] for one in lines(block)]
    assert tiers.index("cluster") < tiers.index("service") < tiers.index("default")
    assert block.action(SHOP, "192.0.2.9").startswith("deny ")
    assert block.allowed(SHOP, PROVIDER)
    assert block.action(UNKNOWN, PROVIDER).startswith("deny ")
    assert block.action("172.31.0.1", OUTSIDE) == "deny "  # the box's own last word: nobody of the cluster


@pytest.mark.acceptance(
    "devices: FortiGate, mode policies: interfaces, NAT, profiles and logging come from the template"
)
def test_template(block: Box) -> None:
    allow = next(one for one in lines(block) if one["action"] == "accept")
    assert [one["name"] for one in (*allow["srcintf"], *allow["dstintf"])] == ["port1", "port2"]
    assert (allow["nat"], allow["utm-status"], allow["ips-sensor"]) == ("enable", "enable", "default")
    assert allow["logtraffic"] == "disable"
    deny = next(one for one in lines(block) if "/cluster/" in one["comments"])
    assert (deny["action"], deny["logtraffic"], deny["nat"]) == ("deny", "all", "disable")
    assert {one["srcaddr6"] != [] for one in lines(block)} == {True}


@pytest.mark.acceptance(
    "devices: FortiGate, mode policies: a change of rules is one transaction, and others' policies stay as they are"
)
def test_one_transaction(block: Box) -> None:
    held, moments = foreign(block), len(block.device.writes())
    block.external("bank", "second", "198.51.100.7")
    block.service_rule("bank", "web", "second")
    eventually("it may", lambda: block.allowed(BANK, "198.51.100.7"))
    commits = {(write.method, write.path) for write in block.device.writes()[moments:]}
    assert ("POST", "/api/v2/cmdb") in commits
    assert not any(POLICY in path for _, path in commits)
    assert foreign(block) == held


@pytest.mark.acceptance(
    "devices: FortiGate, mode policies: what somebody changed or moved of ours is put right, others' policies are left"
)
def test_put_right(block: Box) -> None:
    allow = next(one for one in lines(block) if one["action"] == "accept")
    block.device.change_object(f"{POLICY}/{allow['policyid']}", {"dstaddr": [{"name": "all"}]}, vdom="egress")
    block.device.change_object(f"{POLICY}/{allow['policyid']}?action=move&before=1", {}, vdom="egress")
    assert block.allowed(SHOP, "198.18.0.1") or block.allowed(BANK, "198.18.0.1")
    block.bridge.stop()
    block.bridge.start()  # a full read, which else comes with the audit
    eventually("it is put right", lambda: not (block.allowed(SHOP, "198.18.0.1") or block.allowed(BANK, "198.18.0.1")))
    block.bridge.await_in_step()
    assert block.allowed(SHOP, PROVIDER)
    assert policies(block)[0]["name"] == "branch out"


@pytest.mark.acceptance(
    "devices: FortiGate, mode policies: without the named policy rules are held and nothing of them is written"
)
def test_anchor_missing(block: Box) -> None:
    block.bridge.await_in_step()
    anchor = next(one for one in policies(block) if one["name"] == ANCHOR)
    block.device.change_object(f"{POLICY}/{anchor['policyid']}", {"name": "renamed"}, vdom="egress")
    before = [one["name"] for one in lines(block)]
    block.external("shop", "third", "198.51.100.9")
    block.service_rule("shop", "web", "third")

    eventually("it is told", lambda: ANCHOR in block.told("shop", "web-third"))
    block.pod("bank", "web-7", "10.244.2.77")
    eventually("others go on", lambda: "10.244.2.77" in block.members(block.called("service", "bank", "web")))
    assert [one["name"] for one in lines(block)] == before
    block.device.change_object(f"{POLICY}/{anchor['policyid']}", {"name": ANCHOR}, vdom="egress")
    block.bridge.stop()
    block.bridge.start()  # refused objects are tried again at the audit, and at a start
    eventually("it goes on", lambda: block.allowed(SHOP, "198.51.100.9"))


@pytest.mark.acceptance(
    "devices: FortiGate keeps the contract, with transactions and call by call; nothing undeclared is left out"
)
@pytest.mark.parametrize("suite", [Suite, CallByCall])
def test_conformance(suite: type[Any]) -> None:
    assert suite.factory is factory
    _is_whole(suite)


@pytest.mark.acceptance(
    "devices: FortiGate keeps the contract where groups are pushed feeds; nothing undeclared is left out"
)
def test_conformance_of_feeds() -> None:
    assert isinstance(FedSuite.factory, FortigateFactory)
    _is_whole(FedSuite)


def _is_whole(suite: type[Any]) -> None:
    assert suite.skips <= {"limit groups", "atomic"}
    changed = {name for name in vars(suite) if name.startswith("test_")}
    assert not changed, "a check is replaced"
