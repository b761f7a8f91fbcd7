"""Pruning takes what ended long ago, and nothing that still holds."""

from bridge.model.plan import Held
from bridge.state.batch import Batch, LeaseEnd, LeaseStart, MemberChange
from bridge.state.database import Database
from bridge.state.desired import AuditEntry, HeldList, ListState
from bridge.state.pruning import Pruned, prune
from bridge.state.report_archive import ReportArchive
from bridge.state.report_store import ReportStore
from tests.state.builders import Stores, at, group, pod


def test_only_history_from_before_goes(database: Database) -> None:
    stores, report, archive = Stores(database), ReportStore(database), ReportArchive(database)
    web, old = group("web"), group("old")
    stores.commit(
        Batch(at(0), groups=[web, old], leases=[LeaseStart("10.0.0.1", pod("a")), LeaseStart("10.0.0.2", pod("b"))])
    )
    stores.commit(Batch(at(0), joined=[MemberChange(key, "10.0.0.1") for key in (web, old)]))
    stores.commit(Batch(at(10), leases_ended=[LeaseEnd("10.0.0.1", "uid-a")], left=[MemberChange(web, "10.0.0.1")]))
    stores.commit(Batch(at(10), groups_gone=[old], leases=[LeaseStart("10.0.0.1", pod("c"))]))
    entry = AuditEntry(web, "update", "", "", "", "applied")
    for seconds in (5, 20):
        stores.delivery.record("edge", 1, [], [entry], "plan", at(seconds))
        archive.keep(at(seconds), "{}", "{}")
    recorded = stores.intake.load_cluster("east")

    assert prune(database, at(10)) == Pruned(leases=0, members=0, groups=0, audit=1, reports=1)
    assert prune(database, at(11)) == Pruned(leases=1, members=2, groups=1, audit=0, reports=0)

    assert stores.intake.load_cluster("east") == recorded
    assert [one.uid for one in report.leases("10.0.0.1")] == ["uid-c"]
    assert [one.at for one in report.audit("edge")] == [at(20)]
    assert [one.at for one in archive.kept()] == [at(20)]


def test_a_group_that_was_pruned_may_come_again(database: Database) -> None:
    stores = Stores(database)
    web = group("web")
    stores.commit(Batch(at(0), groups=[web]))
    stores.commit(Batch(at(1), groups_gone=[web]))
    prune(database, at(5))
    stores.commit(Batch(at(6), groups=[web], joined=[MemberChange(web, "10.0.0.1")]))
    assert stores.intake.load_cluster("east").members == {web: frozenset({"10.0.0.1"})}


def test_lists_of_held_steps_stay_as_long_as_somebody_may_decide_about_them(database: Database) -> None:
    store = Stores(database).delivery
    held = (Held(group("web"), frozenset({"10.0.0.1"}), "why"),)
    for state in ListState:
        cluster = "west" if state is ListState.HELD else "east"
        store.record_held("edge", 1, [HeldList(cluster, str(state), held, at(0), state)], at(1))
    store.record_held("edge", 1, [HeldList("east", "late", held, at(0), ListState.DONE)], at(9))
    prune(database, at(5))
    left = {one for one in (*map(str, ListState), "late") if store.held_list("edge", one)}
    assert left == {"held", "released", "rejected", "late"}
