"""Decisions and stops: recorded with the batch that saw them, obeyed by the devices of their cluster, and settled once."""

from datetime import datetime

from bridge.model.decisions import Choice, Control, Decision, DecisionRecord, Lifted, Settled, Stop, StopRecord
from bridge.model.observed import Resource
from bridge.state.batch import Batch
from bridge.state.database import Database
from bridge.state.decisions import control, decisions, heard, note_stops, settle, stops
from bridge.state.pruning import prune
from tests.state.builders import Stores, at


def _decision(name: str, uid: str = "", device: str = "edge", seconds: float = 0) -> Decision:
    return Decision(
        "east", name, uid or f"uid-{name}", device, "0123456789abcdef", Choice.RELEASE, "ann", "seen", at(seconds)
    )


def _stop(name: str, *devices: str, uid: str = "") -> Stop:
    return Stop("east", name, uid or f"uid-{name}", devices, "ann", "a fire", at(0))


def _control(database: Database, device: str = "edge", *clusters: str) -> Control:
    with database.transaction() as connection:
        return control(connection, device, clusters or ("east",))


def _written(database: Database) -> dict[str, tuple[Settled, str]]:
    with database.transaction() as connection:
        return {one.decision.uid: (one.state, one.message) for one in decisions(connection, "east")}


def _standing(database: Database) -> int:
    with database.transaction() as connection:
        row = connection.execute("SELECT standing_revision FROM device WHERE name = 'edge'").fetchone()
    assert row is not None
    return int(row[0])


def test_a_decision_waits_for_its_device_until_it_is_settled_once(database: Database) -> None:
    stores = Stores(database)
    early, late = _decision("late"), _decision("early", seconds=-5)
    stores.commit(Batch(at(1), decisions=[DecisionRecord(early), DecisionRecord(late)]))
    stores.commit(Batch(at(2), decisions=[DecisionRecord(early)]))  # repeated: nothing changes
    assert _control(database).decisions == (late, early)
    assert _control(database, "other") == Control()
    assert _control(database, "edge", "west") == Control(), "a decision counts in the cluster in which it was written"
    before = _standing(database)
    with database.transaction() as connection:
        settle(connection, early, Settled.DONE, "3 steps released")
        settle(connection, early, Settled.NOTHING_HELD, "asked again")
    assert _control(database).decisions == (late,)
    assert _written(database)[early.uid] == (Settled.DONE, "3 steps released")
    assert _standing(database) == before + 1, "feedback looks, once"
    stores.commit(Batch(at(3), decisions=[DecisionRecord(early)]))
    assert _written(database)[early.uid][0] is Settled.DONE, "what is done is not done again"


def test_what_is_deleted_or_replaced_before_it_is_done_is_not_done(database: Database) -> None:
    stores = Stores(database)
    stores.commit(Batch(at(1), decisions=[DecisionRecord(_decision(name)) for name in ("a", "b", "c")]))
    with database.transaction() as connection:
        settle(connection, _decision("c"), Settled.DONE, "done")
    stores.commit(Batch(at(2), decisions=[DecisionRecord(_decision("b", "new"))], decisions_gone=["uid-a", "uid-c"]))
    found = {uid: state for uid, (state, _) in _written(database).items()}
    assert found == {
        "uid-a": Settled.WITHDRAWN,
        "uid-b": Settled.WITHDRAWN,
        "uid-c": Settled.DONE,
        "new": Settled.WAITING,
    }


def test_what_cannot_be_done_is_never_handed_to_a_device(database: Database) -> None:
    stores = Stores(database)
    odd = Decision("east", "odd", "uid-odd", "edge", "", Choice.UNREADABLE, "", "a \0 b", at(0))
    stores.commit(Batch(at(1), decisions=[DecisionRecord(odd, Settled.MALFORMED, "spec.by: is required")]))
    assert _control(database) == Control()
    assert _written(database) == {"uid-odd": (Settled.MALFORMED, "spec.by: is required")}


def test_a_stop_reaches_the_devices_that_it_names_or_all_and_lasts_until_it_is_lifted(database: Database) -> None:
    stores = Stores(database)
    everything, one = _stop("all"), _stop("one", "edge")
    stores.commit(Batch(at(1), stops=[StopRecord(everything), StopRecord(one)]))
    assert _control(database).stops == (everything, one)
    assert _control(database, "other").stops == (everything,)
    assert _control(database, "other", "west").stops == (), "a device that does not serve the cluster"
    stores.commit(Batch(at(2), stops=[StopRecord(everything, Lifted("bob", "it is out"))]))
    assert _control(database).stops == (one,)
    stores.commit(Batch(at(3), stops_deleted=["one", "unheard of"]))
    assert _control(database).stops == ()
    with database.transaction() as connection:
        lifted = {each.stop.name: each.lifted for each in stops(connection, "east")}
    assert lifted == {"all": Lifted("bob", "it is out"), "one": Lifted("", "")}
    stores.commit(Batch(at(4), stops=[StopRecord(_stop("all", uid="another"))]))
    assert [each.uid for each in _control(database).stops] == ["another"], "a new object of the name is a new stop"


def test_which_stops_a_device_obeys_is_noted_when_it_changes(database: Database) -> None:
    stores = Stores(database)
    one = _stop("one")
    stores.commit(Batch(at(1), stops=[StopRecord(one)]))
    before = _standing(database)
    for obeyed in ((one,), (one,), (), ()):
        with database.transaction() as connection:
            note_stops(connection, "edge", obeyed)
    assert _standing(database) == before + 2


def test_what_is_settled_goes_with_history(database: Database) -> None:
    stores = Stores(database)
    stores.commit(
        Batch(
            at(1),
            decisions=[DecisionRecord(_decision("done"), Settled.NOT_HERE, "no"), DecisionRecord(_decision("waits"))],
            stops=[StopRecord(_stop("over"), Lifted("bob", "done")), StopRecord(_stop("lasts"))],
        )
    )
    prune(database, datetime.fromisoformat("2999-01-01T00:00:00Z"))
    assert list(_written(database)) == ["uid-waits"]
    with database.transaction() as connection:
        assert [each.stop.name for each in stops(connection, "east")] == ["lasts"]


def test_whether_somebody_listens(database: Database) -> None:
    stores = Stores(database)

    def known(*clusters: str) -> bool:
        with database.transaction() as connection:
            return heard(connection, clusters)

    assert known(), "no cluster, nobody to hear"
    assert not known("east")
    stores.commit(Batch(at(1), synced={Resource.PODS: "5"}))
    assert not known("east")
    stores.commit(Batch(at(2), synced={Resource.STOPS: "5"}))
    assert known("east")
    with database.transaction() as connection:
        connection.execute("UPDATE cluster SET current_at = current_at - interval '1 minute'")
    assert not known("east"), "nobody has listened for a while"
