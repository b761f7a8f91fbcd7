"""Intake: a batch is recorded whole, by its owner only, and what was recorded is what the next start finds."""

from dataclasses import replace

import pytest

from bridge.errors import LostLease, StateError
from bridge.model.identity import Kind, ObjectKey, Scope
from bridge.model.intent import Ports
from bridge.model.observed import EndpointSlice, Namespace, Node, Resource, Service
from bridge.model.policy import PortRange, Ref, Tier
from bridge.state.batch import Batch, DesiredObject, LeaseEnd, LeaseStart, MemberChange, OpenLease, Placement, Verdict
from bridge.state.database import Database
from bridge.state.desired import Applied, ObjectState
from bridge.state.report_store import ReportStore
from tests.state.builders import Stores, at, batch, group, pod, selected


def test_everything_recorded_is_found_at_the_next_start(database: Database) -> None:
    stores = Stores(database)
    web = pod("web-1", "10.0.0.1", "2001:db8::1")
    ports = ObjectKey(Kind.PORTS, "east", Scope.EXTERNAL, "shop", "https")
    body = Ports(ports, (PortRange(443, 443),))
    changes = batch()
    changes.pods = [web, pod("web-2")]
    changes.objects = [
        Namespace("n1", "shop", "3", {"env": "prod"}, {}, deleting=False),
        Service("s1", "shop", "web", "4", {}, {}, {"app": "web"}),
        EndpointSlice("e1", "shop", "web-abc", "5", "web", ("10.0.0.1",)),
        Node("k1", "node-1", "6", {}, ("192.168.0.1",)),
    ]
    changes.leases = [LeaseStart(address, web) for address in web.addresses]
    changes.groups = [group("web"), group("empty")]
    changes.joined = [MemberChange(group("web"), address) for address in web.addresses]
    changes.desired = [selected("edge", group("web")), DesiredObject("edge", ports, body, "abc")]
    ref = Ref("ServiceEgressRule", "shop", "pay")
    changes.verdicts = [Verdict(ref, "r1", 2, ok=True, reason="Accepted", message="")]
    keys = (group("web"), ports)
    changes.placements = [
        Placement(ref, "edge", keys, Tier.SERVICE, "Withheld", "Deny shop/no takes precedence"),
        Placement(ref._replace(name="nowhere"), "edge", ()),
    ]
    changes.synced = {Resource.PODS: "17"}
    stores.intake.identify("east", "kube-system-uid", epoch=1)

    assert stores.commit(changes) == 1

    found = stores.intake.load_cluster("east")
    assert (found.revision, found.uid) == (1, "kube-system-uid")
    assert found.pods == {one.uid: one for one in changes.pods}
    assert found.objects == {
        (Resource.NAMESPACES, "", "shop"): changes.objects[0],
        (Resource.SERVICES, "shop", "web"): changes.objects[1],
        (Resource.ENDPOINT_SLICES, "shop", "web-abc"): changes.objects[2],
        (Resource.NODES, "", "node-1"): changes.objects[3],
    }
    assert found.leases == {address: OpenLease(address, web.uid) for address in web.addresses}
    assert found.members == {group("web"): frozenset(web.addresses), group("empty"): frozenset()}
    assert found.desired == {("edge", group("web")): "selected", ("edge", ports): "abc"}
    assert found.verdicts == {ref: changes.verdicts[0]}
    assert found.placements == {(one.ref, "edge"): one for one in changes.placements}
    assert ReportStore(database).clusters()[0].synced == {"pods": "17"}


def test_what_goes_is_gone_at_the_next_start(database: Database) -> None:
    stores = Stores(database)
    ref = Ref("ServiceEgressRule", "shop", "pay")
    changes = batch()
    changes.pods = [pod("web-1")]
    changes.objects = [Namespace("n1", "shop", "3", {}, {}, deleting=False)]
    changes.groups, changes.desired = [group("web")], [selected("edge", group("web"))]
    changes.joined = [MemberChange(group("web"), "10.0.0.1")]
    changes.verdicts = [Verdict(ref, "r1", 2, ok=True, reason="Accepted", message="")]
    changes.placements = [Placement(ref, "edge", (group("web"),), Tier.SERVICE)]
    stores.commit(changes)

    changes = batch(1)
    changes.pods_gone = ["uid-web-1"]
    changes.objects_gone = [(Resource.NAMESPACES, "", "shop")]
    changes.groups_gone, changes.desired_gone = [group("web")], [("edge", group("web"))]
    changes.verdicts_gone, changes.placements_gone = [ref], [(ref, "edge")]
    stores.commit(changes)

    found = stores.intake.load_cluster("east")
    assert (found.pods, found.objects, found.members, found.desired, found.verdicts) == ({}, {}, {}, {}, {})
    assert found.placements == {}


def test_an_address_changes_hands_within_one_batch(database: Database) -> None:
    stores = Stores(database)
    old, new = pod("web-1", "10.0.0.1"), pod("pay-1", "10.0.0.1")
    stores.commit(Batch(at(0), pods=[old], leases=[LeaseStart("10.0.0.1", old, since=at(-60))]))
    changes = batch(5)
    changes.pods, changes.pods_gone = [new], [old.uid]
    changes.leases_ended = [LeaseEnd("10.0.0.1", old.uid, inferred=True, since=at(2))]
    changes.leases = [LeaseStart("10.0.0.1", new)]
    stores.commit(changes)

    first, second = ReportStore(database).leases("10.0.0.1")
    assert (first.uid, first.t1, first.t1_since, first.t2) == (old.uid, at(0), at(-60), at(5))
    assert (first.t2_inferred, first.t2_since) == (True, at(2))
    assert (first.pod, first.namespace, first.owner, first.node) == ("web-1", "shop", "ReplicaSet/web", "node-1")
    assert (second.uid, second.t1, second.t2, second.t2_inferred) == (new.uid, at(5), None, False)
    assert [one.uid for one in ReportStore(database).leases("10.0.0.1", at(4.9))] == [old.uid]
    assert [one.uid for one in ReportStore(database).leases("10.0.0.1", at(5))] == [new.uid]


def test_a_second_open_lease_is_refused_and_nothing_of_the_batch_stays(database: Database) -> None:
    stores = Stores(database)
    stores.commit(Batch(at(0), leases=[LeaseStart("10.0.0.1", pod("web-1"))]))
    with pytest.raises(StateError, match="lease_open_pkey"):
        stores.commit(Batch(at(1), pods=[pod("pay-1")], leases=[LeaseStart("10.0.0.1", pod("pay-1"))]))
    found = stores.intake.load_cluster("east")
    assert (found.revision, found.pods) == (1, {})
    assert found.leases == {"10.0.0.1": OpenLease("10.0.0.1", "uid-web-1")}


def test_only_the_holder_ends_a_lease(database: Database) -> None:
    stores = Stores(database)
    stores.commit(Batch(at(0), leases=[LeaseStart("10.0.0.1", pod("web-1"))]))
    stores.commit(Batch(at(1), leases_ended=[LeaseEnd("10.0.0.1", "somebody-else")]))
    assert stores.intake.load_cluster("east").leases["10.0.0.1"].uid == "uid-web-1"


def test_a_batch_committed_twice_is_recorded_once(database: Database) -> None:
    """Its outcome may be unknown after a lost connection, and it is sent again."""
    stores = Stores(database)
    old, new = pod("web-1", "10.0.0.1"), pod("web-2", "10.0.0.1")
    first = Batch(at(0), pods=[old], leases=[LeaseStart("10.0.0.1", old)], groups=[group("web"), group("old")])
    first.joined = [MemberChange(group("web"), "10.0.0.1"), MemberChange(group("old"), "10.0.0.9")]
    first.desired = [selected("edge", group("web"))]
    second = Batch(at(1), pods=[new], pods_gone=[old.uid], leases=[LeaseStart("10.0.0.1", new)])
    second.leases_ended = [LeaseEnd("10.0.0.1", old.uid)]
    second.left, second.joined = [MemberChange(group("web"), "10.0.0.1")], [MemberChange(group("web"), "10.0.0.1")]
    second.groups_gone = [group("old")]
    for one in (first, first, second):
        stores.commit(one)
    once, history = stores.intake.load_cluster("east"), ReportStore(database).leases("10.0.0.1")
    stores.commit(second)
    assert replace(stores.intake.load_cluster("east"), revision=once.revision) == once
    assert ReportStore(database).leases("10.0.0.1") == history
    assert [(one.uid, one.t1, one.t2) for one in history] == [(old.uid, at(0), at(1)), (new.uid, at(1), None)]


def test_time_does_not_run_backwards_in_the_history(database: Database) -> None:
    stores = Stores(database)
    stores.commit(Batch(at(10), leases=[LeaseStart("10.0.0.1", pod("web-1"))]))
    changes = batch(3)  # the clock was set back
    changes.leases_ended, changes.leases = [LeaseEnd("10.0.0.1", "uid-web-1")], [LeaseStart("10.0.0.1", pod("web-2"))]
    stores.commit(changes)
    found = ReportStore(database).leases("10.0.0.1")
    assert [(one.uid, one.t1, one.t2) for one in found] == [("uid-web-1", at(10), at(10)), ("uid-web-2", at(10), None)]


def test_a_former_owner_records_nothing(database: Database) -> None:
    stores = Stores(database)
    stores.leases.release("cluster", "east", "me", 1)
    assert stores.leases.acquire("cluster", "east", "other", 60) == 2
    with pytest.raises(LostLease, match="epoch 1 does not own cluster east"):
        stores.commit(Batch(at(0), pods=[pod("web-1")]))
    with pytest.raises(LostLease):
        stores.intake.identify("east", "another-uid", epoch=1)
    with pytest.raises(LostLease):
        stores.intake.refuse("east", "it is another", epoch=1)
    assert stores.intake.load_cluster("east").pods == {}
    assert stores.intake.identity("east") == ""
    assert stores.intake.commit_batch("east", Batch(at(0), pods=[pod("web-1")]), epoch=2) == 1


def test_unknown_names_are_refused_by_name(database: Database) -> None:
    stores = Stores(database)
    with pytest.raises(StateError, match="cluster west is not registered"):
        stores.intake.commit_batch("west", batch(), epoch=1)
    with pytest.raises(StateError, match="cluster west is not registered"):
        stores.intake.load_cluster("west")
    with pytest.raises(StateError, match="never recorded: group:east/service/shop/web"):
        stores.commit(Batch(at(0), joined=[MemberChange(group("web"), "10.0.0.1")]))
    with pytest.raises(StateError, match="fk_device_object_device"):
        stores.commit(Batch(at(0), desired=[selected("nowhere", group("web"))]))


def test_a_verdict_replaces_the_one_before(database: Database) -> None:
    stores = Stores(database)
    ref = Ref("ServiceEgressRule", "shop", "pay")
    rejected = Verdict(ref, "r1", 3, ok=False, reason="Invalid", message="spec.ports: backwards")
    stores.commit(Batch(at(0), verdicts=[replace(rejected, ok=True, reason="Accepted", message="")]))
    stores.commit(Batch(at(1), verdicts=[rejected]))
    assert ReportStore(database).verdicts("east") == {ref: rejected}
    stores.commit(Batch(at(2), verdicts_gone=[ref]))
    assert ReportStore(database).verdicts("east") == {}


def _policy_revision(database: Database) -> int:
    with database.transaction() as connection:
        row = connection.execute("SELECT policy_revision FROM cluster WHERE name = 'east'").fetchone()
        assert row is not None
        return int(row[0])


def test_the_policy_revision_moves_with_policy_and_not_with_pods(database: Database) -> None:
    stores = Stores(database)
    ref = Ref("ServiceEgressRule", "shop", "pay")
    of_policy = [
        {"desired": [selected("edge", group("web"))], "groups": [group("web")]},
        {"verdicts": [Verdict(ref, "r1", 2, ok=True, reason="Accepted", message="")]},
        {"placements": [Placement(ref, "edge", (group("web"),), Tier.SERVICE)]},
        {"placements_gone": [(ref, "edge")]},
        {"verdicts_gone": [ref]},
        {"desired_gone": [("edge", group("web"))]},
    ]
    web = pod("web-1", "10.0.0.1")
    churn = [
        {"pods": [web], "leases": [LeaseStart("10.0.0.1", web)], "joined": [MemberChange(group("web"), "10.0.0.1")]},
        {"left": [MemberChange(group("web"), "10.0.0.1")], "causes": {group("web"): "Pod shop/web-1 left"}},
        {"objects": [Namespace("n1", "shop", "3", {}, {}, deleting=False)], "synced": {Resource.PODS: "17"}},
    ]
    for changes in of_policy:
        assert stores.commit(Batch(at(0), **changes)) == _policy_revision(database), changes  # type: ignore[arg-type]
        before = _policy_revision(database)
        for other in churn:
            stores.commit(Batch(at(0), **other))  # type: ignore[arg-type]
        assert _policy_revision(database) == before


def test_causes_reach_the_work_list_and_those_of_changes_done_together_are_joined(database: Database) -> None:
    stores = Stores(database)
    web = group("web")

    def cause() -> str:
        (row,) = stores.delivery.complete_work("edge").rows
        return row.cause

    def member(address: str, words: str) -> None:
        stores.commit(Batch(at(1), joined=[MemberChange(web, address)], causes={web: words}))

    stores.commit(Batch(at(0), groups=[web], desired=[selected("edge", web)]))
    member("10.0.0.1", "Pod shop/web-1 at 41 joined")
    assert cause() == "Pod shop/web-1 at 41 joined; before: a rule"
    (row,) = stores.delivery.complete_work("edge").rows
    stores.delivery.record("edge", 1, [Applied(web, row.generation, ObjectState.PROGRAMMED)], [], "plan", at(1))
    member("10.0.0.2", "Pod shop/web-2 at 42 joined")
    assert cause() == "Pod shop/web-2 at 42 joined", "what was done is not told again"
    for number in range(30):
        member(f"10.0.1.{number}", f"Pod shop/web-{number} at 50 joined")
    assert len(cause()) == 400, "however long a device is away"
    stores.commit(Batch(at(2), groups_gone=[web], desired_gone=[("edge", web)], causes={web: "Rule deleted at 9"}))
    assert cause().startswith("Rule deleted at 9; before: ")


def test_prefixes_and_addresses_of_nodes_are_members_too(database: Database) -> None:
    stores = Stores(database)
    changes = batch()
    members = frozenset({"10.0.0.0/25", "10.0.0.128", "fd00::/65", "2001:db8::/32", "192.168.0.1"})
    changes.objects = [Node("k1", "node-1", "6", {}, ("192.168.0.1", "fd08::1"))]
    changes.groups, changes.desired = [group("everyone")], [selected("edge", group("everyone"))]
    changes.joined = [MemberChange(group("everyone"), one) for one in sorted(members)]
    stores.commit(changes)
    assert stores.intake.load_cluster("east").members == {group("everyone"): members}
    found = ReportStore(database).holders("east", ["192.168.0.1", "192.168.0.2"])
    assert {address: one.pod for address, one in found.items()} == {"192.168.0.1": "Node node-1"}

    changes = batch(1)
    changes.left = [MemberChange(group("everyone"), "10.0.0.0/25"), MemberChange(group("everyone"), "10.0.0.128")]
    changes.joined = [MemberChange(group("everyone"), "10.0.0.0/24")]
    stores.commit(changes)
    left = {"10.0.0.0/25", "10.0.0.128"}
    assert stores.intake.load_cluster("east").members == {group("everyone"): members - left | {"10.0.0.0/24"}}
