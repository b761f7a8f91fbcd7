"""What the live plan says of people, where the device sees others than pods."""

from bridge.model.identity import Kind, ObjectKey, Scope
from bridge.model.intent import Group, Ports, RuleEntry, RuleList
from bridge.model.observed import Node
from bridge.model.policy import Action, PortRange, Protocol
from bridge.state.batch import DesiredObject, LeaseStart, MemberChange
from tests.cli.program import run
from tests.cli.site import BANK, HTTPS, Site
from tests.state.builders import batch, pod

SEEN = ObjectKey(Kind.GROUP, "east", Scope.SERVICE, "shop", "paymentservice")
RULES = ObjectKey(Kind.RULE_LIST, "east", Scope.SERVICE, "shop")


def test_nodes_and_egress_addresses_are_named(site: Site) -> None:
    """A pod, a node, an address that is stated for all, and one of which nothing is known."""
    text = site.config.read_text(encoding="utf-8")
    views = "addressSource: [{source: Node}, {source: Egress, destinations: [203.0.113.0/24], addresses: [198.18.0.1]}]"
    site.config.write_text(text.replace("  kind: bigip\n", f"  kind: bigip\n  {views}\n"), encoding="utf-8")
    members = {"10.64.0.1", "172.16.0.1", "198.18.0.1", "172.16.0.9"}
    changes = batch()
    changes.objects = [Node("k1", "node-1", "6", {}, ("172.16.0.1",))]
    changes.leases = [LeaseStart("10.64.0.1", pod("web-1"))]
    changes.groups = [SEEN]
    changes.joined = [MemberChange(SEEN, one) for one in sorted(members)]
    line = RuleEntry("pay_bank_tcp", Action.ALLOW, (SEEN,), (BANK,), Protocol.TCP, HTTPS)
    changes.desired = [
        DesiredObject("edge", SEEN, None, "selected"),
        DesiredObject("edge", BANK, Group(BANK, frozenset({"203.0.113.10"})), "1"),
        DesiredObject("edge", HTTPS, Ports(HTTPS, (PortRange(443, 443),)), "1"),
        DesiredObject("edge", RULES, RuleList(RULES, (line,)), "1"),
    ]
    site.stores.commit(changes)
    planned = run("plan", "--config", site.config, "--output", "json")
    ((told,),) = [device["reachability"] for device in planned.json["devices"]]
    found = {address: (one["kind"], one["name"]) for one in told["workloads"] for address in one["addresses"]}
    assert found == {
        "10.64.0.1": ("ReplicaSet", "web"),
        "172.16.0.1": ("Node", "node-1"),
        "198.18.0.1": ("Node", "198.18.0.1"),
        "172.16.0.9": ("", ""),
    }
    assert "node node-1" in told["text"]
