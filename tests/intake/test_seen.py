"""Groups as seen: nodes and egresses that hold members, and who else stands behind them, whatever happens in whatever order."""

import sys
from dataclasses import dataclass, replace
from random import Random
from types import FrameType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.intake.intake import required
from bridge.model.capabilities import Form
from bridge.model.identity import Kind, ObjectKey, Scope
from bridge.model.intent import RuleList
from bridge.model.observed import Change, EndpointSlice, Event, Namespace, Node, Observed, Pod, Service
from bridge.model.policy import AddressSource, Ref, View
from bridge.state.batch import MemberChange
from tests.intake.fold import CLUSTER, EDGE, GOVERNANCE, Bench, event, substance
from tests.intake.objects import external, namespace, pod, service, service_rule
from tests.intake.test_random import Cluster, from_nothing, listed, same

SEEN = replace(GOVERNANCE, node_ranges=("10.8.0.0/24", "fd08::/64"))
AS_NODE = View(AddressSource.NODE, name="node")
PARTED = (
    View(AddressSource.NODE, ("192.0.2.0/30",), name="node"),
    View(AddressSource.EGRESS, ("192.0.2.4/30",), ("10.7.0.1", "10.7.0.2"), ("shop", "bank"), "egress.edge.1"),
    View(AddressSource.EGRESS, ("192.0.2.8/30",), ("10.7.0.9",), (), "egress.edge.2"),
    View(),
)
AS_NODES = replace(EDGE, views=(AS_NODE,))
NODES = ("n1", "n2", "n3")
ONE, TWO, THREE = "10.0.0.1", "10.0.0.2", "10.0.0.3"


def node(name: str, *addresses: str) -> Node:
    """A node with these addresses."""
    return Node(f"node-{name}", name, "1", {}, addresses)


def bench(*views: View, accept_shared: bool = False) -> Bench:
    """A cluster whose device sees workloads like this."""
    return Bench(replace(EDGE, views=views or (AS_NODE,), accept_shared=accept_shared), governance=SEEN)


def shop(*views: View, **changes: Any) -> Bench:  # noqa: ANN401
    """A governed namespace whose Service `pay` may reach the bank, and two nodes."""
    made = bench(*views)
    made.see(namespace(), service("pay", app="pay"), external(), service_rule(**changes))
    made.see(node("n1", "10.8.0.1"), node("n2", "10.8.0.2", "fd08::2"))
    return made


def members(made: Bench, view: str = "node") -> set[str]:
    """Whom the rule of `pay` means as seen."""
    return made.record.members.get(ObjectKey(Kind.GROUP, CLUSTER, Scope.SERVICE, "shop", f"pay-.{view}"), set())


def told(made: Bench, name: str = "pay-out") -> str:
    """What is said about a rule on the device."""
    (found,) = (one for one in made.record.placements.values() if one.ref.name == name)
    return f"{found.reason}: {found.message}" if found.reason else ""


def lines(made: Bench) -> list[str]:
    """The lines of rules that stand."""
    lists = [one for one in made.record.bodies.values() if isinstance(one, RuleList)]
    return [entry.name for one in lists for entry in one.entries if "pay-out" in entry.name]


def test_a_node_is_a_member_while_it_holds_one() -> None:
    made = shop()
    made.see(pod("pay-1", ONE, node="n1"))
    assert members(made) == {"10.8.0.1"}
    made.see(pod("pay-2", TWO, node="n2"), pod("pay-3", THREE, node="n2"))
    assert members(made) == {"10.8.0.1", "10.8.0.2", "fd08::2"}, "all its addresses, of both families"
    made.see(pod("pay-2", TWO, node="n2"), change=Change.DELETED)
    assert members(made) == {"10.8.0.1", "10.8.0.2", "fd08::2"}
    batch = made.see(pod("pay-3", THREE, node="n2"), change=Change.DELETED)
    assert members(made) == {"10.8.0.1"}
    assert not any(one.inferred for one in batch.left)
    assert {cause for key, cause in batch.causes.items() if key.name == "pay-.node"} == {"Pod shop/pay-3 at 7 left"}


def test_a_pod_without_a_node_or_an_address_holds_none_there() -> None:
    made = shop()
    made.see(pod("pay-1", ONE, node=""), pod("pay-2", node="n1"))
    assert members(made) == set()
    made.see(pod("pay-1", ONE, node="n2"))
    assert members(made) == {"10.8.0.2", "fd08::2"}
    assert told(made) == ""


def test_an_address_that_goes_to_a_pod_on_another_node() -> None:
    made = shop()
    made.see(pod("pay-1", ONE, node="n1", started=1))
    made.see(pod("pay-2", ONE, node="n2", started=2))
    assert members(made) == {"10.8.0.2", "fd08::2"}, "who lost the address holds nothing, and is still one of them"
    assert told(made) == ""
    made.see(pod("pay-2", ONE, node="n2", started=2), change=Change.DELETED)
    assert members(made) == {"10.8.0.1"}


def test_addresses_of_nodes_come_and_go() -> None:
    made = shop()
    made.see(pod("pay-1", ONE, node="n1"), pod("pay-3", THREE, node="n3"))
    assert members(made) == {"10.8.0.1"}
    made.see(node("n3", "10.8.0.3", "192.0.2.200"))
    assert members(made) == {"10.8.0.1", "10.8.0.3"}, "none outside the node ranges"
    batch = made.see(node("n3", "10.8.0.4"))
    assert members(made) == {"10.8.0.1", "10.8.0.4"}
    assert [one.inferred for one in batch.left] == [False] * len(batch.left)
    assert {cause for key, cause in batch.causes.items() if key.name == "pay-.node"} == {"Node n3 at 1"}
    made.see(node("n3"), change=Change.DELETED)
    assert members(made) == {"10.8.0.1"}


@pytest.mark.parametrize("change", [Change.DELETED, Change.GONE])
def test_a_node_leaves_with_the_proof_that_its_last_member_leaves_with(change: Change) -> None:
    made = shop()
    made.see(pod("pay-1", ONE, node="n1"), pod("pay-2", TWO, node="n2"))
    batch = made.see(pod("pay-1", ONE, node="n1"), change=change)
    of_rule = [one for one in batch.left if one.group.name == "pay-.node"]
    doubt = change is Change.GONE
    assert of_rule == [MemberChange(of_rule[0].group, "10.8.0.1", inferred=doubt, unproven=doubt)]
    batch = made.see(node("n2"), change=change)
    of_rule = [one for one in batch.left if one.group.name == "pay-.node"]
    assert {one.inferred for one in of_rule} == {change is Change.GONE}


@pytest.mark.parametrize(
    "other",
    [
        pod("kube-proxy-1", node="n1", host_network=True, namespace="kube-system"),
        pod("cart-1", TWO, node="n1"),
        pod("cart-1", node="n1", phase="Pending"),
        pod("cart-1", "192.0.2.77", node="n1", deleting=True),
    ],
)
def test_whoever_else_is_on_the_node_makes_it_over_broad_while_there(other: Pod) -> None:
    made = shop()
    made.see(pod("pay-1", ONE, node="n1"))
    assert (told(made), lines(made)) == ("", ["shop_pay-out_bank_any_node"])
    made.see(other)
    name = f"{other.namespace}/{other.name.partition('-')[0]}"
    assert told(made) == f"OverBroad: behind its addresses also stand {name}"
    assert lines(made) == []
    assert members(made) == set(), "no device holds the group"
    made.see(replace(other, phase="Failed"))
    assert (told(made), lines(made)) == ("", ["shop_pay-out_bank_any_node"])
    assert members(made) == {"10.8.0.1"}
    made.see(replace(other, phase="Running"))
    assert told(made)
    made.see(other, change=Change.DELETED)
    assert told(made) == ""


def test_a_pod_of_the_group_that_has_no_address_yet_is_no_stranger() -> None:
    made = shop()
    made.see(pod("pay-1", ONE, node="n1"), pod("pay-2", node="n1", phase="Pending"))
    assert told(made) == ""


def test_names_are_those_of_workloads_and_no_more_than_ten() -> None:
    made = shop()
    others = [pod(f"w{number:02}-x", node="n1", owner=f"DaemonSet/w{number:02}") for number in range(12)]
    made.see(pod("pay-1", ONE, node="n1"), *others, pod("w00-y", node="n1", owner="DaemonSet/w00"))
    named = ", ".join(f"shop/w{number:02}" for number in range(10))
    assert told(made) == f"OverBroad: behind its addresses also stand {named} and 2 more"


def test_two_nodes_with_one_address_stand_behind_it_together() -> None:
    """A machine that took the place of another may have its address before that is forgotten."""
    made = shop()
    made.see(pod("pay-1", ONE, node="n1"), pod("cart-1", TWO, node="n3"))
    assert told(made) == ""
    made.see(node("n3", "10.8.0.1"))
    assert told(made) == "OverBroad: behind its addresses also stand shop/cart"
    made.see(node("n3", "10.8.0.3"))
    assert told(made) == ""


def test_who_is_taken_out_is_taken_out_of_an_address_that_two_nodes_have() -> None:
    """What comes from there may be of either: an Allow less a Deny lets through neither."""
    allows = replace(EDGE, views=(AS_NODE,), capabilities=replace(EDGE.capabilities, form=Form.ALLOW_ONLY))
    made = Bench(allows, governance=SEEN)
    made.see(namespace(), service("pay", app="pay"), service("cart", app="cart"), external())
    made.see(service_rule(acceptShared=True), service_rule("no-cart", "cart", action="Deny", acceptShared=True))
    made.see(
        node("n1", "10.8.0.1"), node("n3", "10.8.0.3"), pod("pay-1", ONE, node="n1"), pod("cart-1", TWO, node="n3")
    )
    (group,) = (key for key in made.record.members if key.name.startswith("pay-.not."))
    assert made.record.members[group] == {"10.8.0.1"}
    made.see(node("n3", "10.8.0.1"))
    assert made.record.members[group] == set()
    made.see(node("n3", "10.8.0.3"))
    assert made.record.members[group] == {"10.8.0.1"}


def test_accepted_it_stands_whoever_is_there() -> None:
    made = shop(acceptShared=True)
    made.see(pod("pay-1", ONE, node="n1"), pod("cart-1", TWO, node="n1"))
    assert (told(made), members(made)) == ("", {"10.8.0.1"})


def test_a_default_deny_that_is_not_in_force_is_told_of_the_device() -> None:
    made = shop()
    made.see(pod("pay-1", ONE, node="n1"), namespace("free", governed=False))
    about = Ref("Default", "", "edge")
    assert about not in made.record.verdicts
    made.see(pod("else", THREE, namespace="free", node="n1"))
    verdict = made.record.verdicts[about]
    assert (verdict.ok, verdict.reason, "free/else" in verdict.message) == (False, "OverBroad", True)
    made.restart()
    assert not substance(made.commit())
    made.see(pod("else", THREE, namespace="free", node="n1"), change=Change.DELETED)
    assert about not in made.record.verdicts


def test_an_egress_is_a_member_while_anybody_leaves_by_it() -> None:
    made = shop(*PARTED)
    made.see(external("bank", "192.0.2.5"), namespace("bank"), namespace("free", governed=False))
    assert members(made, "egress.edge.1") == set()
    made.see(pod("pay-1", ONE, node="n1"), pod("free-1", TWO, namespace="free"))
    assert members(made, "egress.edge.1") == {"10.7.0.1", "10.7.0.2"}, "those of another namespace leave elsewhere"
    made.see(pod("bank-1", THREE, namespace="bank"))
    assert told(made) == "OverBroad: behind its addresses also stand bank/bank"
    made.see(pod("bank-1", THREE, namespace="bank"), change=Change.DELETED)
    made.see(external("bank", "192.0.2.9"))
    assert told(made) == "OverBroad: behind its addresses also stand free/free", "that egress is everybody's"


def test_a_deny_that_is_over_broad_withholds_the_allow_below_it() -> None:
    made = shop(acceptShared=True)
    made.see(service_rule("stop", action="Deny", priority=10), pod("pay-1", ONE, node="n1"))
    assert told(made, "stop") == ""
    made.see(pod("cart-1", TWO, node="n1"))
    assert told(made, "stop").startswith("OverBroad")
    assert told(made).startswith("Withheld")
    made.see(pod("cart-1", TWO, node="n1"), change=Change.DELETED)
    assert (told(made, "stop"), told(made)) == ("", "")


def test_a_restart_with_nothing_changed_writes_nothing() -> None:
    made = shop(*PARTED)
    made.see(external("bank", "192.0.2.1", "192.0.2.5", "192.0.2.9"))
    made.see(pod("pay-1", ONE, node="n1"), pod("cart-1", TWO, node="n1"), pod("x-1", node="n2", host_network=True))
    made.restart()
    left_out = pod("x-1", node="n2", host_network=True)  # holds no address: the record does not have it
    assert not substance(made.see(left_out))


def test_who_went_while_nobody_watched_leaves_without_proof() -> None:
    made = shop()
    made.see(pod("pay-1", ONE, node="n1"), pod("pay-2", TWO, node="n2"))
    made.restart()
    batch = made.see(pod("pay-1", ONE, node="n1"), change=Change.GONE)
    assert {one.inferred for one in batch.left if one.group.name == "pay-.node"} == {True}


def _effort(pods: int) -> int:
    """How many calls of the bridge one change of a pod takes in a cluster with so many others, on as many nodes."""
    made = shop(*PARTED)
    made.see(external("bank", "192.0.2.1", "192.0.2.5"))
    nodes = [node(f"m{number}", f"10.8.0.{number % 200 + 20}") for number in range(pods // 10)]
    others = [
        pod(
            f"pay-m{number}",
            f"fd00::{number + 16:x}",
            node=f"m{number // 10}",
            uid=f"m{number}",
            owner="DaemonSet/x",
        )
        for number in range(pods)
    ]
    made.see(*nodes, *others)
    calls = 0

    def called(frame: FrameType, what: str, _about: object) -> None:
        nonlocal calls
        calls += what == "call" and "/bridge/" in frame.f_code.co_filename

    made.take([event(Change.UPSERT, pod("pay-1", ONE, node="m1", owner="DaemonSet/x"))])
    sys.setprofile(called)
    try:
        made.commit_only()
    finally:
        sys.setprofile(None)
    return calls


def test_the_effort_of_one_pod_does_not_grow_with_the_cluster() -> None:
    few, many = _effort(20), _effort(1000)
    assert many <= few * 1.2, (few, many)


@dataclass
class Site(Cluster):
    """The same cluster on nodes that come, go and change their addresses."""

    def step(self) -> list[Event]:
        """One thing happens."""
        return self._node() if self.random.random() < 0.15 else super().step()

    def _node(self) -> list[Event]:
        name = self.random.choice(NODES)
        if self.random.random() < 0.2 and ("Node", "", name) in self.objects:
            return self.delete(("Node", "", name))
        number = self.random.randrange(1, 5)
        addresses = self.random.choice(((f"10.8.0.{number}",), (f"10.8.0.{number}", f"fd08::{number}"), ("192.0.2.9",)))
        return self._put(node(name, *addresses))

    def _pod(self) -> list[Event]:
        (made,) = super()._pod()
        value = made.value
        if not isinstance(value, Pod):
            return [made]  # the namespace comes first
        if value.node == "node-1" or not value.node:
            value = replace(value, node=self.random.choice((*NODES, "")))
        return self._put(value)


SEEDS = st.integers(0, 2**32 - 1)
VIEWS = st.sampled_from(((AS_NODE,), PARTED))


@settings(max_examples=30)
@given(SEEDS, st.integers(1, 100), st.floats(0, 1), VIEWS)
def test_any_batches_lead_where_one_does(seed: int, steps: int, often: float, views: tuple[View, ...]) -> None:
    cluster, made = Site(Random(seed)), bench(*views)
    for _ in range(steps):
        made.take(cluster.step())
        if cluster.random.random() < often:
            made.commit()
    made.commit()
    same(made, from_nothing(cluster, bench(*views)))


@settings(max_examples=30)
@given(SEEDS, st.integers(1, 60), st.integers(0, 30), VIEWS)
def test_a_restart_anywhere_leads_there_too(seed: int, steps: int, missed: int, views: tuple[View, ...]) -> None:
    cluster, made = Site(Random(seed)), bench(*views)
    for _ in range(steps):
        made.take(cluster.step())
        made.commit()
    for _ in range(missed):
        cluster.step()
    made.restart()
    made.take(listed(made, cluster, required((AS_NODES,))))
    made.commit()
    same(made, from_nothing(cluster, bench(*views)))
    made.restart()
    made.take(listed(made, cluster, required((AS_NODES,))))
    assert not substance(made.commit()), "nothing happened since"


@settings(max_examples=30)
@given(SEEDS, st.integers(1, 100))
def test_the_count_is_what_is_there(seed: int, steps: int) -> None:
    """Every service rule, against pods and nodes looked at one by one."""
    cluster, made = Site(Random(seed)), bench(AS_NODE)
    for _ in range(steps):
        made.take(cluster.step())
        if cluster.random.random() < 0.3:
            made.commit()
    made.commit()
    shared = made.index.membership.seen.shared
    for key, words in shared.items():
        if key.scope is Scope.SERVICE and key.namespace in ("shop", "bank", "free"):
            found = _Looked(cluster, key.namespace, key.name.removesuffix("-.node"))
            assert bool(words) == found.shared, (key, words)
            if key in made.record.members:
                assert made.record.members[key] == found.members


class _Looked:
    """Whom a Service means, as nodes."""

    def __init__(self, cluster: Cluster, place: str, name: str) -> None:
        self._objects: list[Observed] = list(cluster.objects.values())
        self._place, self._service = place, name
        self.pods = [one for one in self._objects if isinstance(one, Pod) and not one.terminal]
        self.members: set[str] = set()
        self.shared = False
        for address, nodes in self._nodes().items():
            behind = [one for one in self.pods if one.node in nodes]
            if any(self._selects(one, held) for one in behind for held in one.addresses if self._holds(one, held)):
                self.members.add(address)
                self.shared |= not all(
                    any(self._selects(one, held) for held in one.addresses or ("",)) for one in behind
                )

    def _nodes(self) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for one in self._objects:
            for address in one.addresses if isinstance(one, Node) else ():
                if address.startswith(("10.8.", "fd08:")):
                    found.setdefault(address, set()).add(one.name)
        return found

    def _holds(self, pod: Pod, address: str) -> bool:
        claims = [one for one in self.pods if address in one.addresses and not one.host_network]
        last = max(claims, key=lambda one: (str(one.started), one.uid), default=None)
        return last is pod and address.startswith(("10.0.", "fd00:"))

    def _selects(self, pod: Pod, address: str) -> bool:
        around = [one for one in self._objects if isinstance(one, Namespace) and one.name == self._place]
        mine = [one for one in self._objects if isinstance(one, Service) and one.namespace == self._place]
        found = [one for one in mine if one.name == self._service]
        if pod.host_network or pod.namespace != self._place or not around or not found:
            return False
        if found[0].selector:
            meant = pod.labels["app"] == found[0].selector["app"]
        else:
            slices = [one for one in self._objects if isinstance(one, EndpointSlice) and one.namespace == self._place]
            meant = any(one.service == self._service and address in one.addresses for one in slices)
        return meant and around[0].labels.get("egress") == "governed"
