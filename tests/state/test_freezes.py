"""What a device in a freeze keeps to, in the tables: as of its beginning, kept while it lasts, and the list of what waits."""

from dataclasses import replace
from datetime import timedelta

from bridge.model.baseline import Baseline, FreezeStanding, FrozenList, Stance
from bridge.model.identity import Kind, ObjectKey, Scope
from bridge.model.observed import PolicyObject
from bridge.model.plan import Held, HoldKind
from bridge.model.policy import DefaultAction, Defaults, Ref, UnknownAddresses
from bridge.state import freezes
from bridge.state.batch import Batch, Verdict
from bridge.state.database import Database
from bridge.state.pruning import prune
from bridge.state.report_store import ReportStore
from tests.intake.objects import service_rule
from tests.state.builders import Stores, at, batch

STANCE = Stance(Defaults(DefaultAction.DENY, UnknownAddresses.PASS), accept_shared=True, namespaces=("shop",))
LINES = ObjectKey(Kind.RULE_LIST, "east", Scope.SERVICE, "shop")
EDIT = Held(LINES, frozenset({"ServiceEgressRule shop/pay-out 1 -> 2"}), "frozen until then: it waits", HoldKind.EDIT)
LIST = FrozenList("edge", "0123456789abcdef", (EDIT,))


def accepted(written: PolicyObject) -> Verdict:
    ref = Ref("ServiceEgressRule", written.namespace, written.name)
    return Verdict(ref, written.uid, written.generation, True, "Accepted", "", written)


def frozen(changes: Batch, **more: object) -> Batch:
    found = Baseline("edge", ("year end",), at(9000), STANCE)
    changes.frozen = [replace(found, **more)]  # type: ignore[arg-type]
    return changes


def generations(stores: Stores) -> list[int]:
    """Of what the edge keeps to."""
    return [one.generation for one in stores.intake.load_cluster("east").baselines["edge"].policy]


def started(database: Database) -> Stores:
    """A rule, edited in the batch that begins the freeze."""
    stores = Stores(database)
    first, second = batch(0), frozen(batch(10))
    first.verdicts = [accepted(service_rule())]
    second.verdicts = [accepted(service_rule(generation=2))]
    second.frozen_lists = [LIST]
    stores.commit(first)
    stores.commit(second)
    return stores


def test_a_freeze_keeps_to_what_was_recorded_before_the_batch_that_began_it(database: Database) -> None:
    stores = started(database)
    recorded = stores.intake.load_cluster("east")
    kept = recorded.baselines["edge"]
    assert (kept.names, kept.until, kept.stance, kept.as_of) == (
        ("year end",), at(9000), STANCE, at(10) - timedelta(microseconds=1),
    )  # fmt: skip
    assert generations(stores) == [1]
    assert recorded.frozen_lists == {"edge": LIST}


def test_it_moves_on_to_another_moment_and_ends(database: Database) -> None:
    stores = started(database)
    stores.commit(frozen(batch(20), as_of=at(10)))
    assert generations(stores) == [2]
    with database.transaction() as connection:
        assert freezes.kept(connection, "east", at(15))["edge"].as_of == at(10)
        assert freezes.kept(connection, "east", at(5)) == {}
    over = batch(30)
    over.thawed, over.frozen_lists = ["edge"], [replace(LIST, edits=())]
    stores.commit(over)
    recorded = stores.intake.load_cluster("east")
    assert (recorded.baselines, recorded.frozen_lists) == ({}, {})
    with database.transaction() as connection:
        assert "edge" in freezes.kept(connection, "east", at(25))
        assert freezes.kept(connection, "east") == {}


def test_its_versions_outlast_the_days_of_history(database: Database) -> None:
    stores = started(database)
    prune(database, at(5000))
    assert generations(stores) == [1]
    over = batch(30)
    over.thawed = ["edge"]
    stores.commit(over)
    prune(database, at(5000))
    with database.transaction() as connection:
        rows = connection.execute("SELECT count(*) FROM version UNION ALL SELECT count(*) FROM frozen").fetchall()
    assert rows == [(1,), (0,)]


def test_the_list_is_told_and_its_end_too(database: Database) -> None:
    stores = started(database)
    reports = ReportStore(database)
    told = FreezeStanding("east", ("year end",), at(9000), at(10) - timedelta(microseconds=1), LIST.digest, (EDIT,))
    assert reports.freezes() == {"edge": (told,)}
    rejected = batch(20)
    rejected.frozen_lists = [replace(LIST, rejected=("ann", "not now"))]
    stores.commit(rejected)
    assert reports.freezes()["edge"][0].rejected == ("ann", "not now")
    other = batch(30)
    other.frozen_lists = [replace(LIST, digest="fedcba9876543210")]
    stores.commit(other)
    assert {one.digest: one.state for one in reports.held("edge")} == {
        LIST.digest: "superseded",
        "fedcba9876543210": "held",
    }
    released = batch(40)
    released.frozen_lists = [
        replace(LIST, digest="fedcba9876543210", released=("ben", "go")),
        replace(LIST, digest="fedcba9876543210", edits=()),
    ]
    stores.commit(released)
    (last,) = [one for one in reports.held("edge") if one.digest == "fedcba9876543210"]
    assert (last.state, last.by, last.reason) == ("done", "ben", "go")
    assert reports.freezes()["edge"][0].digest == ""
