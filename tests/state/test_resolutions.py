"""What names stand for is recorded, with its history."""

from bridge.model.resolution import Resolution
from bridge.state.batch import Batch
from bridge.state.database import Database
from bridge.state.pruning import prune
from bridge.state.resolutions import NameHistory, Stay
from tests.state.builders import Stores, at

API, DB = "api.example.com", "db.example.com"


def _tell(stores: Stores, seconds: float, *names: Resolution, gone: tuple[str, ...] = ()) -> None:
    stores.commit(Batch(at(seconds), names=list(names), names_gone=list(gone)))


def test_what_is_recorded_is_found_at_the_next_start(database: Database) -> None:
    stores = Stores(database)
    every = [
        Resolution(
            API, ("192.0.2.9", "192.0.2.10", "2001:db8::9"), (("127.0.0.1", "loopback"),), cut=True, problem="SERVFAIL"
        ),
        Resolution(DB, ()),
        Resolution("new.example.com", answered=False, problem="no answer in time"),
    ]
    _tell(stores, 0, *every)
    assert stores.intake.load_cluster("east").names == {one.name: one for one in every}
    _tell(stores, 0, *every)
    assert stores.intake.load_cluster("east").names == {one.name: one for one in every}, "repeated, nothing changes"
    assert NameHistory(database).now("east") == {one.name: one for one in every}
    _tell(stores, 1, Resolution(DB, ("192.0.2.1",)), gone=(API,))
    assert stores.intake.load_cluster("east").names == {DB: Resolution(DB, ("192.0.2.1",)), every[2].name: every[2]}


def test_what_a_name_stood_for_at_a_time(database: Database) -> None:
    stores, history = Stores(database), NameHistory(database)
    _tell(stores, 10, Resolution(API, ("192.0.2.1", "192.0.2.2")), Resolution(DB, ("192.0.2.2",)))
    _tell(stores, 20, Resolution(API, ("192.0.2.2", "2001:db8::1")))
    _tell(stores, 30, gone=(API,))
    _tell(stores, 40, Resolution(API, ("192.0.2.1",)))
    seen = [dict(history.at("east", at(seconds))).get(API) for seconds in (9, 10, 19, 20, 29, 30, 40)]
    first, second = ("192.0.2.1", "192.0.2.2"), ("192.0.2.2", "2001:db8::1")
    assert seen == [None, first, first, second, second, None, ("192.0.2.1",)]
    assert history.at("west", at(20)) == {}
    assert history.of_name(API) == (
        Stay("east", API, "192.0.2.1", at(40), None),
        Stay("east", API, "192.0.2.2", at(10), at(30)),
        Stay("east", API, "2001:db8::1", at(20), at(30)),
        Stay("east", API, "192.0.2.1", at(10), at(20)),
    )
    assert [(one.name, one.t2) for one in history.of_address("192.0.2.2")] == [(DB, None), (API, at(30))]
    assert history.of_address("192.0.2.2", "west") == ()
    assert len(history.of_name(API, "east", limit=2)) == 2


def test_addresses_that_change_places_in_one_batch(database: Database) -> None:
    stores = Stores(database)
    _tell(stores, 0, Resolution(API, ("192.0.2.1",)), Resolution(DB, ("192.0.2.2",)))
    _tell(stores, 0, Resolution(API, ("192.0.2.2",)), Resolution(DB, ("192.0.2.1",)))
    _tell(stores, 0, Resolution(API, ("192.0.2.1",)), Resolution(DB, ("192.0.2.2",)))
    names = stores.intake.load_cluster("east").names
    assert {name: one.addresses for name, one in names.items()} == {API: ("192.0.2.1",), DB: ("192.0.2.2",)}


def test_old_stays_are_pruned_and_open_ones_never(database: Database) -> None:
    stores, history = Stores(database), NameHistory(database)
    _tell(stores, 0, Resolution(API, ("192.0.2.1", "192.0.2.2")))
    _tell(stores, 10, Resolution(API, ("192.0.2.2",)))
    prune(database, at(10))
    assert len(history.of_name(API)) == 2
    prune(database, at(11))
    assert history.of_name(API) == (Stay("east", API, "192.0.2.2", at(0), None),)
