"""The past as it is asked for: holders, leases of a pod, members of a group, changes; page by page, and equal to a plain model."""

from collections.abc import Callable
from datetime import datetime, timedelta
from random import Random
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.model.identity import ObjectKey
from bridge.model.observed import Node
from bridge.model.policy import Ref
from bridge.report.attribution import Certainty, answer
from bridge.report.attribution import Verdict as Answered
from bridge.state.batch import Batch, LeaseEnd, LeaseStart, MemberChange, Verdict
from bridge.state.database import Database
from bridge.state.desired import AuditEntry
from bridge.state.history_store import Asked, HistoryStore, Page
from bridge.state.partitions import make_months
from bridge.state.past import DeviceChange, Outage, Standing, Watched
from bridge.state.pruning import prune
from tests.state.builders import START, Stores, at, group, pod

T = TypeVar("T")

ONE, TWO, SIX = "10.0.0.1", "10.0.0.2", "fd00::1"
WEB, ALL = group("web"), ObjectKey.parse("group:east/builtin//governed")


def who(store: HistoryStore, address: str, when: datetime, cluster: str = "east") -> list[tuple[str, Certainty]]:
    """Names of the pods that held the address then, and how sure that is."""
    found = answer(Watched(cluster, at(0), at(10_000)), store.around(cluster, address, when), when)
    return [(one.lease.pod, how) for one, how in found.holders]


def test_an_address_changes_hands_and_each_instant_has_its_holder(database: Database) -> None:
    stores, store = Stores(database), HistoryStore(database)
    stores.commit(Batch(at(0), leases=[LeaseStart(ONE, pod("a"))]))
    stores.commit(Batch(at(10), leases_ended=[LeaseEnd(ONE, "uid-a")], leases=[LeaseStart(ONE, pod("b"))]))
    stores.commit(Batch(at(20), leases_ended=[LeaseEnd(ONE, "uid-b")]))
    stores.commit(Batch(at(30), leases=[LeaseStart(ONE, pod("c"))]))
    exact = Certainty.EXACT
    assert who(store, ONE, at(-1)) == []
    assert [who(store, ONE, at(one)) for one in (0, 9.9, 10, 19.9)] == [[("a", exact)]] * 2 + [[("b", exact)]] * 2
    assert who(store, ONE, at(20)) == who(store, ONE, at(29.9)) == []
    assert who(store, ONE, at(5000)) == [("c", exact)]
    assert who(store, TWO, at(5)) == []


def test_clusters_have_the_same_address_each_for_itself(database: Database) -> None:
    stores, store = Stores(database), HistoryStore(database)
    stores.intake.register_cluster("west")
    stores.leases.acquire("cluster", "west", "me", 3600)
    stores.commit(Batch(at(0), leases=[LeaseStart(ONE, pod("a"))]))
    stores.intake.commit_batch("west", Batch(at(5), leases=[LeaseStart(ONE, pod("b"))]), 1)
    assert who(store, ONE, at(6)) == [("a", Certainty.EXACT)]
    assert who(store, ONE, at(6), "west") == [("b", Certainty.EXACT)]
    assert [one.cluster for one in store.leases_of_address(ONE, Asked()).rows] == ["east", "west"]
    assert [one.cluster for one in store.leases_of_address(ONE, Asked(), "west").rows] == ["west"]
    assert store.clusters("west") == (Watched("west", at(5), at(5)),)


def test_an_end_that_nobody_watched_lies_between_two_times(database: Database) -> None:
    stores, store = Stores(database), HistoryStore(database)
    stores.commit(Batch(at(0), leases=[LeaseStart(ONE, pod("a"))]))
    ended = LeaseEnd(ONE, "uid-a", inferred=True, since=at(10))
    stores.commit(
        Batch(at(100), leases_ended=[ended], leases=[LeaseStart(ONE, pod("b"), at(40))], unwatched_since=at(10))
    )
    assert who(store, ONE, at(10)) == [("a", Certainty.EXACT)]
    assert who(store, ONE, at(11)) == [("a", Certainty.MAY_HAVE_ENDED)]
    assert who(store, ONE, at(50)) == [("a", Certainty.MAY_HAVE_ENDED), ("b", Certainty.MAY_HAVE_BEGUN)]
    assert who(store, ONE, at(100)) == [("b", Certainty.EXACT)]
    assert [store.around("east", ONE, at(one)).outage for one in (10, 50, 100)] == [None, Outage(at(10), at(100)), None]


def test_the_groups_of_an_address_at_a_time(database: Database) -> None:
    stores, store = Stores(database), HistoryStore(database)
    other = ObjectKey.parse("group:east/service/bank/web")
    stores.commit(Batch(at(0), groups=[WEB, ALL, other], joined=[MemberChange(key, ONE) for key in (WEB, ALL, other)]))
    stores.commit(Batch(at(10), left=[MemberChange(WEB, ONE)]))
    stores.commit(Batch(at(20), joined=[MemberChange(WEB, ONE)]))

    def groups(seconds: float, *namespaces: str) -> list[ObjectKey]:
        return [one.group for one in store.groups_at("east", ONE, namespaces, at(seconds))]

    assert groups(5, "shop") == groups(25, "shop") == [ALL, WEB]
    assert groups(15, "shop") == groups(10, "shop") == [ALL]
    assert groups(5, "bank", "shop") == [ALL, other, WEB]
    assert groups(-1, "shop") == []
    whole = store.memberships("east", ONE, ["shop"], at(0), at(100))
    assert [(one.group, one.t1, one.t2) for one in whole] == [
        (ALL, at(0), None),
        (WEB, at(20), None),
        (WEB, at(0), at(10)),
    ]


def test_a_pod_is_found_by_name_whatever_its_uid_and_by_uid(database: Database) -> None:
    stores, store = Stores(database), HistoryStore(database)
    first, second = pod("db-0", uid="one"), pod("db-0", uid="two")
    stores.commit(Batch(at(0), leases=[LeaseStart(ONE, first), LeaseStart(SIX, first), LeaseStart(TWO, pod("db-1"))]))
    stores.commit(Batch(at(5), leases_ended=[LeaseEnd(ONE, "one"), LeaseEnd(SIX, "one")]))
    stores.commit(Batch(at(9), leases=[LeaseStart(SIX, second), LeaseStart(ONE, pod("db-0", namespace="bank"))]))
    found = store.leases_of_pod("shop", "db-0", Asked())
    assert [(one.uid, one.address) for one in found.rows] == [("two", SIX), ("one", ONE), ("one", SIX)]
    assert [one.address for one in store.leases_of_uid("one", 10)] == [ONE, SIX]
    assert store.leases_of_pod("shop", "db-0", Asked(), "west") == Page(())
    assert [one.uid for one in store.leases_of_pod("shop", "db-0", Asked(since=at(6))).rows] == ["two"]


def test_a_group_tells_who_came_and_went_and_whom_they_stood_for(database: Database) -> None:
    stores, store = Stores(database), HistoryStore(database)
    stores.commit(Batch(at(0), groups=[WEB], leases=[LeaseStart(ONE, pod("a"))], joined=[MemberChange(WEB, ONE)]))
    stores.commit(Batch(at(10), leases_ended=[LeaseEnd(ONE, "uid-a")], leases=[LeaseStart(ONE, pod("b"))]))
    stores.commit(Batch(at(20), leases=[LeaseStart(TWO, pod("c"))], joined=[MemberChange(WEB, TWO)]))
    stores.commit(
        Batch(at(30), leases_ended=[LeaseEnd(ONE, "uid-b", True, at(25))], left=[MemberChange(WEB, ONE, True)])
    )
    stores.commit(Batch(at(40), leases=[LeaseStart(ONE, pod("d"))]))

    left, joined = store.memberships_of_group(WEB, Asked()).rows

    assert (left.address, left.t1, left.t2, left.inferred, left.changed_at) == (ONE, at(0), at(30), True, at(30))
    assert [one.pod for one in left.holders] == ["a", "b"]
    assert (joined.address, joined.t2, joined.changed_at) == (TWO, None, at(20))
    assert [one.pod for one in joined.holders] == ["c"]
    assert [one.address for one in store.memberships_of_group(WEB, Asked(since=at(25))).rows] == [ONE]
    assert store.memberships_of_group(group("none"), Asked()) == Page(())


def test_of_many_who_followed_each_other_some_are_named(database: Database) -> None:
    stores, store = Stores(database), HistoryStore(database)
    stores.commit(Batch(at(0), groups=[WEB], leases=[LeaseStart(ONE, pod("p0"))], joined=[MemberChange(WEB, ONE)]))
    for number in range(1, 6):
        end, start = LeaseEnd(ONE, f"uid-p{number - 1}"), LeaseStart(ONE, pod(f"p{number}"))
        stores.commit(Batch(at(number), leases_ended=[end], leases=[start]))
    (one,) = store.memberships_of_group(WEB, Asked()).rows
    assert ([holder.pod for holder in one.holders], one.more) == (["p0", "p1", "p2"], True)


def paged(page: Callable[[Asked], Page[T]], limit: int) -> list[T]:
    """All rows, by pages of that size."""
    rows: list[T] = []
    start = ""
    for _ in range(100):
        found = page(Asked(limit, start))
        assert len(found.rows) <= limit
        rows += found.rows
        start = found.next
        if not start:
            return rows
    raise AssertionError("it never ends")


@pytest.mark.parametrize("limit", [1, 2, 3, 50])
def test_pages_of_any_size_are_the_whole(database: Database, limit: int) -> None:
    """Rows of the same moment too, and rows that are open."""
    stores, store = Stores(database), HistoryStore(database)
    addresses = [ONE, TWO, SIX, "10.0.0.10"]
    same = [pod("db-0", uid=f"uid-{address}") for address in addresses]
    for begin in (0, 10):
        starts = [LeaseStart(address, one) for address, one in zip(addresses, same, strict=True)]
        joins = [MemberChange(WEB, address) for address in addresses]
        stores.commit(Batch(at(begin), groups=[WEB], leases=starts, joined=joins))
        if begin == 0:
            ends = [LeaseEnd(address, one.uid) for address, one in zip(addresses, same, strict=True)]
            leaves = [MemberChange(WEB, address) for address in addresses]
            stores.commit(Batch(at(5), leases_ended=ends, left=leaves))
    leases = paged(lambda asked: store.leases_of_pod("shop", "db-0", asked), limit)
    assert [(one.t2, one.address) for one in leases] == [
        (t2, address) for t2 in (None, at(5)) for address in (ONE, TWO, "10.0.0.10", SIX)
    ]
    members = paged(lambda asked: store.memberships_of_group(WEB, asked), limit)
    assert [(one.t2, one.address) for one in members] == [
        (t2, address) for t2 in (None, at(5)) for address in (ONE, TWO, "10.0.0.10", SIX)
    ]
    assert [one.t2 for one in paged(lambda asked: store.leases_of_address(ONE, asked), limit)] == [None, at(5)]


@pytest.mark.parametrize(
    "start",
    ["nonsense", "1,2,3,4", "yesterday,east,10.0.0.1", "infinity,east,nowhere", "-1", "-1,10.0.0.1", f"{2**63}"],
)
def test_a_place_that_is_none_is_refused(database: Database, start: str) -> None:
    store = HistoryStore(database)
    for ask in (
        lambda: store.leases_of_address(ONE, Asked(start=start)),
        lambda: store.memberships_of_group(WEB, Asked(start=start)),
        lambda: store.changes_of_device("edge", Asked(start=start)),
    ):
        with pytest.raises(ValueError, match=r"."):
            ask()


def test_a_node_is_found_by_each_of_its_addresses(database: Database) -> None:
    stores, store = Stores(database), HistoryStore(database)
    stores.commit(Batch(at(0), objects=[Node("uid-n1", "n1", "1", {}, ("192.0.2.1", SIX))]))
    assert [store.node("east", one) for one in ("192.0.2.1", SIX, ONE)] == ["n1", "n1", ""]
    assert store.node("west", SIX) == ""


SHOP = ObjectKey.parse("rules:east/service/shop/")


def change(key: ObjectKey, before: str, after: str) -> AuditEntry:
    return AuditEntry(key, "update", "ServiceEgressRule shop/out at 7", before, after, "done", 0.1)


def test_changes_of_a_device_an_object_and_a_rule(database: Database) -> None:
    stores, store = Stores(database), HistoryStore(database)
    line, other = "out_bank_tcp Allow group:x to group:y TCP", "out-2_bank_tcp Allow group:x to group:y TCP"
    for seconds, before, after in (
        (0, "-", "{" + f"{other}, {line}" + "}"),
        (10, "d -[]", f"d +['{other} log']"),
        (20, f"d -['{line}']", "d +[]"),
    ):
        stores.delivery.record("edge", 1, [], [change(SHOP, before, after), change(WEB, "x", "y")], "plan", at(seconds))

    def times(page: Page[DeviceChange]) -> list[tuple[datetime, str]]:
        return [(one.at, one.key) for one in page.rows]

    lists = ["rules:east/service/shop/", "rules:west/service/shop/"]
    assert times(store.changes_of_rule(lists, "out", Asked())) == [(at(20), str(SHOP)), (at(0), str(SHOP))]
    assert times(store.changes_of_rule(lists, "out-2", Asked())) == [(at(10), str(SHOP)), (at(0), str(SHOP))]
    assert times(store.changes_of_rule(lists, "ou", Asked())) == []
    assert times(store.changes_of_rule(lists, "out", Asked(since=at(5)))) == [(at(20), str(SHOP))]
    assert times(store.changes_of_objects([str(WEB)], Asked(2))) == [(at(20), str(WEB)), (at(10), str(WEB))]
    assert len(paged(lambda asked: store.changes_of_device("edge", asked), 4)) == 6
    assert len(paged(lambda asked: store.changes_of_rule(lists, "out", asked), 1)) == 2
    assert [store.knows_device(name) for name in ("edge", "none")] == [True, False]


def test_a_page_of_a_rule_looks_through_no_more_than_so_much(database: Database) -> None:
    stores, store = Stores(database), HistoryStore(database)
    stores.delivery.record("edge", 1, [], [change(SHOP, "-", "{out_bank_tcp Allow x}")], "plan", at(0))
    for _ in range(2):
        rows = [change(SHOP, "d -[]", "d +['in_bank_tcp Allow x']")] * 700
        stores.delivery.record("edge", 1, [], rows, "plan", at(1))
    first = store.changes_of_rule([str(SHOP)], "out", Asked())
    assert first.rows == ()
    assert first.next
    second = store.changes_of_rule([str(SHOP)], "out", Asked(start=first.next))
    assert [one.at for one in second.rows] == [at(0)]
    assert not second.next


def test_how_a_rule_stands_now(database: Database) -> None:
    stores, store = Stores(database), HistoryStore(database)
    ref = Ref("ServiceEgressRule", "shop", "out")
    stores.commit(Batch(at(3), verdicts=[Verdict(ref, "u", 1, True, "Accepted", "fine")]))
    expected = (Standing("east", ref, True, "Accepted", "fine", at(3)),)
    assert store.standings(["ServiceEgressRule", "NamespaceEgressRule"], "shop", "out", None) == expected
    assert store.standings(["NamespaceEgressRule"], "shop", "out", None) == ()
    assert store.standings(["ServiceEgressRule"], "shop", "out", "west") == ()


def test_a_cluster_is_seen_up_to_its_last_batch_or_to_when_it_was_watched(database: Database) -> None:
    stores, store = Stores(database), HistoryStore(database)
    assert store.clusters() == (Watched("east", None, None),)
    stores.commit(Batch(at(10), leases=[LeaseStart(ONE, pod("a"))]))
    stores.commit(Batch(at(20), leases=[LeaseStart(TWO, pod("b"))]))
    stores.intake.note_watched("east", at(15))
    assert store.clusters() == (Watched("east", at(10), at(20)),)
    stores.intake.note_watched("east", at(30))
    stores.intake.note_watched("east", at(25))
    assert store.clusters() == (Watched("east", at(10), at(30)),)
    assert stores.intake.load_cluster("east").seen_at == at(30)


def test_what_was_pruned_is_not_claimed_to_have_been_nobody(database: Database) -> None:
    stores, store = Stores(database), HistoryStore(database)
    stores.commit(Batch(at(0), leases=[LeaseStart(ONE, pod("a"))]))
    stores.commit(Batch(at(10), leases_ended=[LeaseEnd(ONE, "uid-a")]))
    prune(database, at(50))
    (watched,) = store.clusters()
    assert watched.kept_from == at(50)
    assert answer(watched, store.around("east", ONE, at(5)), at(5)).verdict is Answered.UNKNOWN
    stores.commit(Batch(at(70), leases=[LeaseStart(TWO, pod("b"))]))
    (watched,) = store.clusters()
    assert answer(watched, store.around("east", ONE, at(60)), at(60)).verdict is Answered.NOBODY


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2**32))
def test_who_is_as_in_a_plain_model_at_every_instant(database: Database, seed: int) -> None:
    """Workloads come and go on a few addresses, watched and unwatched, over months that are made at odd times."""
    random = Random(seed)
    with database.transaction() as connection:
        connection.execute("TRUNCATE lease, member, outage, replica_lease, cluster CASCADE")
    stores, store = Stores(database), HistoryStore(database)
    days, holders, model = 0, dict[str, str](), list[tuple[str, str, int, int, int, int]]()
    began: dict[str, tuple[int, int]] = {}
    instants = {-0.5, 0.5}
    for number in range(15):
        seen, days = days, days + random.choice((1, 1, 5, 40))
        instants |= {float(days), days + 0.5, days - 0.5}
        unwatched = random.random() < 0.3
        batch = Batch(START + timedelta(days=days))
        since = START + timedelta(days=seen) if unwatched else None
        for address in random.sample((ONE, TWO, SIX), random.randint(1, 3)):
            if address in holders:
                uid = holders.pop(address)
                batch.leases_ended.append(LeaseEnd(address, uid, unwatched, since))
                model.append((address, uid, *began[address], max(seen, began[address][1]) if unwatched else days, days))
            if random.random() < 0.7:
                one = pod(f"p{number}-{random.randint(0, 3)}", uid=f"u{number}-{address}")
                batch.leases.append(LeaseStart(address, one, since))
                holders[address], began[address] = one.uid, (seen if unwatched else days, days)
        stores.commit(batch)
        if random.random() < 0.1:
            make_months(database, batch.at)
    model += [(address, uid, *began[address], 10**6, 10**6) for address, uid in holders.items()]
    watched = Watched("east", START, START + timedelta(days=days + 1))
    for day in instants:
        when = START + timedelta(days=day)
        for address in (ONE, TWO, SIX):
            found = answer(watched, store.around("east", address, when), when)
            expected = {
                uid: (not low < day < began_by, not (ended_after < day < ended_by))
                for where, uid, low, began_by, ended_after, ended_by in model
                if where == address and (low < day or began_by <= day) and day < ended_by
            }
            assert {one.lease.uid: how is Certainty.EXACT for one, how in found.holders} == {
                uid: begun and not_ended for uid, (begun, not_ended) in expected.items()
            }, (address, day)
