"""The figures that the tables give."""

from dataclasses import replace

from bridge.model.identity import ObjectKey
from bridge.model.plan import Held
from bridge.state.batch import LeaseStart
from bridge.state.database import Database
from bridge.state.desired import Applied, DeviceHealth, HeldList, ListState, ObjectState
from bridge.state.measures import Backlog, Measures
from tests.state.builders import Stores, at, batch, group, pod, selected

PAY, CART = group("pay"), group("cart")


def _wanted(stores: Stores, *keys: ObjectKey, seconds: float) -> None:
    made = batch(seconds)
    made.desired = [selected("edge", key) for key in keys]
    stores.intake.commit_batch("east", made, 1)


def test_nothing_waits_in_an_empty_state(database: Database) -> None:
    measures = Measures(database)
    urgent, standing = measures.urgent(), measures.standing()
    assert (urgent.backlog, urgent.owners, standing.devices, standing.reports) == ({}, {}, {}, {})
    assert measures.leases() == {}


def test_what_waits_since_when_and_who_acts(database: Database) -> None:
    stores, measures = Stores(database), Measures(database)
    _wanted(stores, PAY, seconds=10)
    _wanted(stores, CART, seconds=20)
    assert measures.urgent().backlog == {"edge": Backlog(2, at(10))}
    stores.delivery.record("edge", 1, [Applied(PAY, 1, ObjectState.PROGRAMMED)], [], "", at(30))
    urgent = measures.urgent()
    assert urgent.backlog == {"edge": Backlog(1, at(20))}
    assert urgent.owners.keys() == {("cluster", "east"), ("device", "edge")}


def test_how_devices_and_leases_stand(database: Database) -> None:
    stores, measures = Stores(database), Measures(database)
    _wanted(stores, PAY, CART, seconds=10)
    made = batch(15)
    web = pod("web-1", "10.1.0.1")
    made.pods, made.leases = [web], [LeaseStart("10.1.0.1", web)]
    stores.intake.commit_batch("east", made, 1)
    applied = [Applied(PAY, 1, ObjectState.HELD), Applied(CART, 1, ObjectState.PROGRAMMED)]
    stores.delivery.record("edge", 1, applied, [], "", at(30))
    waiting = HeldList("east", "digest", (Held(PAY, frozenset({"10.1.0.1", "10.1.0.2"}), "too many"),), at(30))
    stores.delivery.record_held("edge", 1, [waiting], at(30))
    stores.delivery.record_health("edge", DeviceHealth("ok"), at(40))
    (edge,) = measures.standing().devices.values()
    assert (edge.state, edge.last_read, edge.last_verified, edge.audit_rows) == ("ok", at(40), None, 0)
    assert (edge.objects, edge.held_members) == ({"Held": 1, "Programmed": 1}, 2)
    assert measures.leases() == {"east": 1}
    stores.delivery.record_held("edge", 1, [replace(waiting, state=ListState.DONE)], at(50))
    assert measures.standing().devices["edge"].held_members == 0
