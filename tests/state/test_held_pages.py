"""Lists of held steps a page at a time, on real tables."""

from collections.abc import Iterable

import pytest

from bridge.model.plan import Held, HoldKind
from bridge.state import held_pages
from bridge.state.batch import Batch, LeaseEnd, LeaseStart
from bridge.state.database import Database
from bridge.state.desired import HeldList, ListState
from bridge.state.held_pages import HeldPages, Sought
from tests.state.builders import Stores, at, group, pod

WEB, API = group("web"), group("api")
OPEN = Sought(("held", "superseded", "released", "rejected"))


def _addresses(numbers: Iterable[int]) -> frozenset[str]:
    return frozenset(f"10.64.0.{number}" for number in numbers)


def _list(digest: str, seconds: float, *held: Held) -> HeldList:
    return HeldList("east", digest, held or (Held(WEB, _addresses([9]), "removals"),), at(seconds))


@pytest.fixture
def stores(database: Database) -> Stores:
    return Stores(database)


def test_lists_come_newest_first_with_their_numbers_and_none_twice(stores: Stores, database: Database) -> None:
    steps = (Held(WEB, _addresses(range(1, 8)), "30 leave"), Held(API, frozenset({"10.64.0.0/30"}), "20 leave"))
    lists = [_list("a", 1, *steps), *(_list(f"b{number}", 2) for number in range(4)), _list("c", 3)]
    for one in lists:
        stores.delivery.record_held("edge", 1, [one], at(3))
    store = HeldPages(database)
    found: list[held_pages.HeldList] = []
    after = None
    while page := store.lists(OPEN, after, 2)[:2]:
        found += page
        last = page[-1]
        after = (last.since, last.device, last.digest)
    assert [one.digest for one in found] == ["c", "b3", "b2", "b1", "b0", "a"]
    assert (found[-1].steps, found[-1].members, set(found[-1].whys)) == (2, 8, {"30 leave", "20 leave"})
    assert store.one("edge", "a") == found[-1]
    assert store.one("edge", "z") is None


def test_only_those_that_were_asked_for(stores: Stores, database: Database) -> None:
    done = HeldList("east", "old", (), at(1), ListState.DONE, message="all of it was done")
    stores.delivery.record_held("edge", 1, [done, _list("new", 2)], at(2))
    store = HeldPages(database)
    assert [one.digest for one in store.lists(OPEN, None, 10)] == ["new"]
    (old,) = store.lists(Sought(("done",)), None, 10)
    assert (old.steps, old.members, old.whys, old.message) == (0, 0, (), "all of it was done")
    for other in (
        Sought(("held",), device="core"),
        Sought(("held",), cluster="west"),
        Sought(("held",), kind="freeze"),
    ):
        assert store.lists(other, None, 10) == ()
    assert store.lists(Sought(("held",), "edge", "east", "guard"), None, 10)


def test_members_are_told_with_whom_they_stand_for_or_stood(stores: Stores, database: Database) -> None:
    stores.commit(Batch(at(0), leases=[LeaseStart("10.64.0.1", pod("web-1")), LeaseStart("10.64.0.2", pod("web-2"))]))
    stores.commit(Batch(at(5), leases_ended=[LeaseEnd("10.64.0.2", "uid-web-2", inferred=True)]))
    held = (
        Held(WEB, _addresses([1, 2, 3]) | {"10.65.0.0/16"}, "they leave"),
        Held(API, _addresses([1]), "they join", HoldKind.GROWTH),
    )
    stores.delivery.record_held("edge", 1, [_list("a", 1, *held)], at(1))
    store = HeldPages(database)
    steps = store.steps("edge", "a", 0, 10)
    assert [(one.key, one.kind, one.members) for one in steps] == [(str(WEB), "removal", 4), (str(API), "growth", 1)]
    assert store.steps("edge", "a", steps[0].place, 10) == steps[1:]
    found = store.members("edge", "a", "east", None, (0, 0), 10)
    assert [(one.key, one.member, one.pod, one.until) for one in found] == [
        (str(WEB), "10.64.0.1", "web-1", None),
        (str(WEB), "10.64.0.2", "web-2", at(5)),
        (str(WEB), "10.64.0.3", "", None),
        (str(WEB), "10.65.0.0/16", "", None),
        (str(API), "10.64.0.1", "web-1", None),
    ]
    assert store.members("edge", "a", "east", None, (found[0].step, found[0].place), 1) == found[1:3]
    assert store.members("edge", "a", "east", str(API), (0, 0), 10) == found[4:]
