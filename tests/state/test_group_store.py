"""Groups, who is in them and was, on real tables."""

import pytest

from bridge.model.identity import ObjectKey
from bridge.model.observed import Node
from bridge.state.batch import Batch, DesiredObject, LeaseEnd, LeaseStart, MemberChange
from bridge.state.database import Database
from bridge.state.desired import Applied, ObjectState
from bridge.state.group_store import GroupStore, MembersView
from bridge.state.intake_store import IntakeStore
from tests.state.builders import Stores, at, batch, group, pod, selected

WEB, API = group("web"), group("api")
NODES = group("web-.node")
ALL = ObjectKey.parse("group:east/builtin//everyone")
ONE, TWO, SIX = "10.1.0.1", "10.1.0.2", "fd00::1"


@pytest.fixture
def store(database: Database) -> GroupStore:
    """Two pods behind a Service, one of which goes at 20 and whose address another takes at 30; and a group by prefixes."""
    stores = Stores(database)
    first = batch()
    first.groups = [WEB, API, ALL]
    web = pod("web-1", ONE, SIX)
    first.leases = [LeaseStart(ONE, web), LeaseStart(SIX, web), LeaseStart(TWO, pod("web-2", TWO))]
    first.joined = [*(MemberChange(WEB, one) for one in (ONE, TWO, SIX)), MemberChange(ALL, "10.1.0.0/16")]
    first.desired = [
        selected("edge", WEB),
        selected("edge", API),
        DesiredObject("edge", NODES, None, "selected", members_of=API),
    ]
    stores.commit(first)
    left = MemberChange(WEB, TWO, inferred=True)
    stores.commit(Batch(at(20), leases_ended=[LeaseEnd(TWO, "uid-web-2")], left=[left]))
    again = [LeaseStart(TWO, pod("cart-1", TWO))]
    stores.commit(Batch(at(30), leases=again, joined=[MemberChange(API, TWO)]))
    applied = [Applied(WEB, 2, ObjectState.PROGRAMMED), Applied(API, 1, ObjectState.QUARANTINED, message="no room")]
    stores.delivery.record("edge", 1, applied, [], "", at(40))
    return GroupStore(database)


def who(found: MembersView | None) -> list[tuple[str, str]]:
    """Addresses, and the pods that hold them."""
    assert found is not None
    return [(one.address, one.pod) for one in found.members]


def test_groups_come_by_key_with_their_size_and_how_devices_hold_them(store: GroupStore) -> None:
    everyone, api, web = store.groups(10)
    assert [(one.key, one.members) for one in (everyone, api, web)] == [(ALL, 1), (API, 1), (WEB, 2)]
    assert everyone.devices == ()
    told = [(one.device, one.key, one.state, one.message) for one in api.devices]
    refused = ("edge", API, ObjectState.QUARANTINED, "no room")
    assert told == [refused, ("edge", NODES, ObjectState.PENDING, "")]
    (on_edge,) = web.devices
    assert (on_edge.device, on_edge.state, on_edge.waiting_since) == ("edge", ObjectState.PROGRAMMED, None)
    assert store.group(WEB) == web


def test_only_those_that_were_asked_for(store: GroupStore) -> None:
    assert [one.key for one in store.groups(1, ("east", str(ALL)))] == [API]
    assert [one.key for one in store.groups(9, namespace="shop")] == [API, WEB]
    assert [one.key for one in store.groups(9, words="SHOP/web")] == [WEB]
    assert store.groups(9, cluster="west") == store.groups(9, words="group:") == store.groups(9, namespace="sho") == ()
    assert store.group(group("none")) is None
    assert store.members(group("none"), 9) is None


def test_members_stand_for_the_pods_that_hold_them_now(store: GroupStore) -> None:
    assert who(store.members(WEB, 9)) == [(ONE, "web-1"), (SIX, "web-1")]
    assert who(store.members(WEB, 9, ONE)) == [(SIX, "web-1")]
    assert who(store.members(API, 9)) == [(TWO, "cart-1")]
    assert who(store.members(ALL, 9)) == [("10.1.0.0/16", "")]
    found = store.members(WEB, 1)
    assert found is not None
    (member,) = found.members
    assert (member.since, member.namespace, member.workload, member.node) == (at(0), "shop", "ReplicaSet/web", "node-1")


def test_members_of_the_past_stand_for_those_who_held_them_then(store: GroupStore) -> None:
    assert who(store.members(WEB, 9, at=at(19))) == [(ONE, "web-1"), (TWO, "web-2"), (SIX, "web-1")]
    then = store.members(WEB, 9, at=at(19))
    assert then is not None
    assert [one.inferred for one in then.members] == [False, True, False]
    assert who(store.members(WEB, 9, ONE, at(19))) == [(TWO, "web-2"), (SIX, "web-1")]
    assert who(store.members(WEB, 9, at=at(20))) == [(ONE, "web-1"), (SIX, "web-1")]
    assert who(store.members(API, 9, at=at(29))) == []
    assert who(store.members(WEB, 9, at=at(-1))) == []


def test_an_address_that_no_pod_holds_may_be_that_of_a_node(store: GroupStore, database: Database) -> None:
    made = Batch(at(50), joined=[MemberChange(API, "172.18.0.4"), MemberChange(API, "172.18.0.5")])
    made.objects = [Node("n", "worker-7", "1", {}, ("172.18.0.4",))]
    IntakeStore(database).commit_batch("east", made, 1)
    found = store.members(API, 9)
    assert found is not None
    assert [(one.address, one.pod, one.node) for one in found.members] == [
        (TWO, "cart-1", "node-1"),
        ("172.18.0.4", "", "worker-7"),
        ("172.18.0.5", "", ""),
    ]


def test_what_nobody_watched_is_told_of_the_past(store: GroupStore, database: Database) -> None:
    made = Batch(at(60), left=[MemberChange(WEB, ONE, inferred=True)])
    made.unwatched_since = at(50)
    IntakeStore(database).commit_batch("east", made, 1)
    outages = {seconds: store.members(WEB, 9, at=at(seconds)) for seconds in (45, 55, 61)}
    assert [one.outage for one in outages.values() if one] == [None, (at(50), at(60)), None]
