# ruff: noqa: ARG002 (a store in memory needs no names)
"""The loop that opens gates: what it writes, when, and what it never takes back."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import Any

import pytest

from bridge.cluster.client import Connection
from bridge.cluster.settings import ClusterConfig
from bridge.errors import LostLease, StateUnavailable
from bridge.feedback.gate_verdict import judge
from bridge.feedback.gatekeeper import Gatekeeper, GateSettings
from bridge.lab.apiserver import ApiServer, LabCluster
from bridge.lab.apiserver.faults import Fault
from bridge.model.gate import CONDITION, GateReason, Need
from bridge.model.identity import Kind, ObjectKey, Scope
from bridge.state.desired import ObjectState
from bridge.state.gate_store import Gate, Missing, Word

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
WEB = ObjectKey(Kind.GROUP, "east", Scope.SERVICE, "shop", "web")
MINUTE = timedelta(seconds=60)


@dataclass
class Clock:
    """Time that a test moves."""

    seconds: float = 0.0

    def now(self) -> datetime:
        return START + timedelta(seconds=self.seconds)

    def elapsed(self) -> float:
        return self.seconds

    def wait(self, event: Event, seconds: float) -> bool:
        self.seconds += seconds
        return event.is_set()


@dataclass
class Store:
    """Gates in memory."""

    gates: dict[str, Gate] = field(default_factory=dict)
    told_uids: list[str] = field(default_factory=list)
    away: bool = False

    def unfinished(self, cluster: str, devices: Collection[str]) -> list[Gate]:
        if self.away:
            raise StateUnavailable("the database is away")
        return list(self.gates.values())

    def open(self, cluster: str, epoch: int, words: Sequence[Word], at: datetime) -> None:
        for one in words:
            gate = self.gates[one.uid]
            self.gates[one.uid] = replace(gate, open=True, reason=one.reason, message=one.message, opened_at=at)

    def note(self, cluster: str, epoch: int, words: Sequence[Word]) -> None:
        for one in words:
            self.gates[one.uid] = replace(self.gates[one.uid], reason=one.reason, message=one.message)

    def told(self, cluster: str, epoch: int, uids: Sequence[str], gone: Sequence[str] = ()) -> None:
        self.told_uids += uids
        for uid in (*uids, *gone):
            del self.gates[uid]


def missing(state: ObjectState = ObjectState.PROGRAMMED, *, device: str = "ok", settled: bool = False) -> Missing:
    """A need that a device has not met."""
    return Missing(Need(WEB, "10.0.0.1"), "edge", state, "its words", device, "no answer", settled)


def gate(uid: str = "u", *needs: Missing, blocked: str = "", needy: bool = True) -> Gate:
    """A pod that waits."""
    return Gate(uid, "shop", f"web-{uid}", START, False, blocked, "", "", None, needy, needs)


@dataclass
class House:
    """A gatekeeper between a store in memory and a simulated cluster."""

    cluster: LabCluster
    api: ApiServer
    store: Store
    clock: Clock
    keeper: Gatekeeper

    def pod(self, uid: str = "u") -> None:
        """A pod is there."""
        metadata = {"name": f"web-{uid}", "namespace": "shop", "uid": uid}
        self.cluster.bulk_load("pods", [{"metadata": metadata, "spec": {}, "status": {"phase": "Running"}}])

    def said(self, uid: str = "u") -> dict[str, Any]:
        """The condition of a pod; empty without one."""
        found = self.cluster.get("pods", "shop", f"web-{uid}").get("status", {}).get("conditions", ())
        return next((one for one in found if one["type"] == CONDITION), {})

    def events(self) -> list[str]:
        """The reasons of all Events."""
        return [one["reason"] for one in self.cluster.list("events", "shop")]


@pytest.fixture
def house() -> Iterator[House]:
    cluster, store, clock = LabCluster(), Store(), Clock()
    cluster.create("namespaces", {"metadata": {"name": "shop"}})
    with ApiServer(cluster) as api:
        connection = Connection(ClusterConfig("east", kubeconfig=api.kubeconfig))
        keeper = Gatekeeper("east", ["edge"], connection, store, clock, lambda: 1, GateSettings())
        yield House(cluster, api, store, clock, keeper)
        keeper.close()
        connection.close()


def test_a_pod_that_every_device_knows_is_told_so(house: House) -> None:
    house.pod()
    house.store.gates["u"] = gate()
    house.keeper.turn()
    assert (house.said()["status"], house.said()["reason"]) == ("True", "Programmed")
    assert house.store.told_uids == ["u"]
    assert house.events() == []


def test_why_a_pod_waits_is_told_after_a_while_and_once(house: House) -> None:
    house.pod()
    house.store.gates["u"] = gate("u", missing())
    house.keeper.turn()
    assert house.said() == {}
    house.clock.seconds = 3
    house.keeper.turn()
    assert (house.said()["status"], house.said()["reason"], house.said()["message"]) == (
        "False",
        "Pending",
        "waiting for edge",
    )
    version = house.cluster.get("pods", "shop", "web-u")["metadata"]["resourceVersion"]
    house.clock.seconds = 30
    house.keeper.turn()
    assert house.cluster.get("pods", "shop", "web-u")["metadata"]["resourceVersion"] == version


def test_when_the_time_is_over_the_gate_opens_with_a_warning(house: House) -> None:
    house.pod()
    house.store.gates["u"] = gate("u", missing(device="unreachable"))
    house.clock.seconds = 59
    house.keeper.turn()
    assert (house.said()["status"], house.said()["reason"]) == ("False", "DeviceUnreachable")
    house.clock.seconds = 60
    house.keeper.turn()
    assert (house.said()["status"], house.said()["reason"]) == ("True", "TimedOut")
    assert "edge (no answer)" in house.said()["message"]
    assert house.events() == ["TimedOut"]
    house.store.gates["u"] = replace(gate(), open=True, reason="TimedOut")  # as after a crash before it was noted
    house.keeper.turn()
    assert house.events() == ["TimedOut"]


def test_what_a_person_opened_is_not_shut_again(house: House) -> None:
    house.pod()
    house.store.gates["u"] = gate("u", missing())
    status = {"conditions": [{"type": CONDITION, "status": "True", "reason": "OpenedByHand"}]}
    house.cluster.patch("pods", "shop", "web-u", {"status": status}, subresource="status")
    house.clock.seconds = 10
    house.keeper.turn()
    assert (house.said()["status"], house.said()["reason"]) == ("True", "OpenedByHand")


def test_a_namesake_is_told_nothing(house: House) -> None:
    house.pod("u")
    house.store.gates["v"] = replace(gate("v"), name="web-u")
    house.keeper.turn()
    assert house.said() == {}
    assert house.store.gates == {}


def test_while_the_database_is_away_nobody_waits_longer_than_that(house: House) -> None:
    house.pod()
    house.store.gates["u"] = gate("u", missing())
    house.keeper.turn()
    house.store.away = True
    house.clock.seconds = 59
    house.keeper.turn()
    assert house.said() == {}
    house.clock.seconds = 61
    house.keeper.turn()
    assert (house.said()["status"], house.said()["reason"]) == ("True", "TimedOut")


def test_one_that_cannot_be_told_delays_no_other(house: House) -> None:
    for uid in ("u", "v", "w"):
        house.pod(uid)
        house.store.gates[uid] = gate(uid)
    house.api.faults.add(Fault("status", verb="patch", resource="pods", code=422))
    house.keeper.turn()
    assert len(house.store.told_uids) == 2
    house.clock.seconds = 31
    house.keeper.turn()
    assert len(house.store.told_uids) == 3


@pytest.mark.parametrize("opened", [False, True], ids=["it waits", "another replica has opened it"])
def test_no_lease_is_renewed_while_the_database_is_away_and_the_time_passes_all_the_same(
    house: House, opened: bool
) -> None:
    epochs = [1]

    def epoch() -> int:
        if not epochs:
            raise LostLease("it was not renewed in time")
        return epochs[0]

    house.pod()
    house.store.gates["u"] = gate("u", missing())
    connection = Connection(ClusterConfig("east", kubeconfig=house.api.kubeconfig))
    keeper = Gatekeeper("east", ["edge"], connection, house.store, house.clock, epoch)
    keeper.turn()
    house.store.away = True
    epochs.clear()
    house.clock.seconds = 59
    keeper.turn()
    assert house.said() == {}
    if opened:
        status = {"conditions": [{"type": CONDITION, "status": "True", "reason": "Programmed"}]}
        house.cluster.patch("pods", "shop", "web-u", {"status": status}, subresource="status")
    for house.clock.seconds in (60, 61):
        keeper.turn()
    keeper.close()
    connection.close()
    assert house.said()["reason"] == ("Programmed" if opened else "TimedOut")
    assert house.events() == ([] if opened else ["TimedOut"])


def test_a_replica_that_lost_the_cluster_writes_nothing(house: House) -> None:
    def lost() -> int:
        raise LostLease("it is another's")

    house.pod()
    house.store.gates["u"] = gate()
    connection = Connection(ClusterConfig("east", kubeconfig=house.api.kubeconfig))
    keeper = Gatekeeper("east", ["edge"], connection, house.store, house.clock, lost)
    keeper.turn()
    keeper.close()
    connection.close()
    assert house.said() == {}


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (gate("u"), GateReason.PROGRAMMED),
        (gate("u", needy=False), GateReason.NO_GROUP),
        (gate("u", blocked="AddressConflict"), GateReason.CONFLICT),
        (gate("u", blocked="NamespaceNotSeen"), GateReason.UNKNOWN),
        (gate("u", missing()), GateReason.PENDING),
        (gate("u", missing(device="busy")), GateReason.PENDING),
        (gate("u", missing(device="stopped")), GateReason.STOPPED),
        (gate("u", missing(device="denied")), GateReason.UNREACHABLE),
        (gate("u", missing(ObjectState.QUARANTINED)), GateReason.QUARANTINED),
        (gate("u", missing(ObjectState.AWAITING_DEPLOY)), GateReason.AWAITING_DEPLOY),
        (gate("u", missing(ObjectState.HELD, settled=True)), GateReason.HELD),
        (gate("u", missing(ObjectState.WITHHELD, settled=True)), GateReason.WITHHELD),
        (gate("u", missing(), missing(ObjectState.HELD, settled=True)), GateReason.HELD),
    ],
)
def test_each_reason(found: Gate, reason: GateReason) -> None:
    now = judge(found, START, MINUTE)
    assert now.reason is reason
    late = judge(found, START + MINUTE, MINUTE)
    assert late.open
    assert late.reason is (reason if now.open else GateReason.TIMED_OUT)
