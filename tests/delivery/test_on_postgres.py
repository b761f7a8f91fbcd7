"""Intake's recorder, the real tables and a worker together: what was tried on dictionaries holds on Postgres."""

import threading
from dataclasses import replace

import pytest

from bridge.delivery.worker import Worker
from bridge.intake.intake import Intake, required
from bridge.model.addresses import overlap
from bridge.model.capabilities import Capabilities, Form, Limits
from bridge.model.decisions import Choice, Decision, DecisionRecord
from bridge.model.identity import Kind, ObjectKey, Scope
from bridge.model.intent import Group
from bridge.model.observed import Change, Event, Observed, Synced
from bridge.model.plan import HoldKind
from bridge.policy.compile import Target
from bridge.state.batch import Batch
from bridge.state.database import Database
from bridge.state.desired import ListState
from tests.delivery.bench import FakeClock
from tests.delivery.memory import MemoryAdapter, MemoryDevice
from tests.intake.fold import EDGE, EXEMPT, GOVERNANCE, event
from tests.intake.objects import external, namespace, pod, service, service_rule
from tests.policy import device
from tests.state.builders import START, Stores

PAY = ObjectKey(Kind.GROUP, "east", Scope.SERVICE, "shop", "pay")


class Line:
    """From events to a device in memory, through the database."""

    def __init__(self, database: Database, target: Target = EDGE) -> None:
        self.target = target
        self.stores = Stores(database)
        self.memory = MemoryDevice()
        self.restart()

    def restart(self) -> None:
        self.clock = FakeClock()
        self.intake = Intake("east", GOVERNANCE, (self.target,), self.stores.intake, self.clock)
        self.known = self.intake.start_from()
        adapter = MemoryAdapter(self.memory, limits=Limits(shard_members=8, batch=50))
        self.worker = Worker(adapter, self.stores.delivery, self.clock, "installation", clusters=("east",))

    def sync(self, *values: Observed) -> None:
        """The first complete lists."""
        self.take([event(Change.UPSERT, value) for value in values])
        self.intake.sink([Synced(resource, "1") for resource in required(())])
        self.step()

    def see(self, *values: Observed, change: Change = Change.UPSERT) -> None:
        self.take([event(change, value) for value in values])
        self.step()

    def take(self, events: list[Event]) -> None:
        self.clock.seconds += 1
        self.intake.sink(events)

    def step(self) -> None:
        self.intake.step(threading.Event(), lambda: 1)
        for _ in range(5):
            self.clock.seconds += self.worker.turn(1)

    def members(self, key: ObjectKey = PAY) -> frozenset[str]:
        return device.members(self.memory.objects, key)


@pytest.fixture
def line(database: Database) -> Line:
    return Line(database)


SHOP: tuple[Observed, ...] = (namespace(), service("pay", app="pay"), external(), service_rule())
PODS = tuple(pod(f"pay-{number}", f"10.0.0.{number + 1}") for number in range(60))


def test_nothing_is_written_before_the_first_picture(line: Line) -> None:
    line.memory.objects = {PAY: Group(PAY, frozenset({"10.0.0.1"}))}
    line.worker.turn(1)
    assert line.memory.writes == 0
    line.sync(*SHOP, *PODS[:1])
    assert line.members() == {"10.0.0.1"}


def test_pods_come_and_go_and_restarts_write_nothing(line: Line) -> None:
    line.sync(*SHOP, *PODS)
    assert line.members() == {pod.addresses[0] for pod in PODS}
    line.see(*PODS[:30], change=Change.DELETED)
    assert line.members() == {pod.addresses[0] for pod in PODS[30:]}
    writes = line.memory.writes
    for _ in range(2):
        line.restart()
        line.sync(*SHOP, *PODS[30:])
        assert line.memory.writes == writes
    assert not line.stores.delivery.work("edge", {}).rows


def test_what_an_outage_swallowed_is_held_and_what_was_seen_to_go_is_not(line: Line) -> None:
    line.sync(*SHOP, *PODS)
    line.restart()
    line.take([event(Change.GONE, one) for one in PODS[:30]])
    line.take([event(Change.DELETED, one) for one in PODS[30:40]])
    line.sync(*SHOP, *PODS[40:])
    assert line.members() == {pod.addresses[0] for pod in (*PODS[:30], *PODS[40:])}
    line.restart()
    line.sync(*SHOP, *PODS[40:])
    assert len(line.members()) == 50, "still held"
    line.see(*PODS[:30])
    assert len(line.members()) == 50
    line.see(*PODS[:30], change=Change.DELETED)
    assert len(line.members()) == 20


def test_everything_goes_and_nothing_is_left(line: Line) -> None:
    line.sync(*SHOP, *PODS[:9])
    line.see(*PODS[:9], *SHOP, change=Change.DELETED)
    left = {key for key in line.memory.objects if key.kind is not Kind.POLICY}
    assert all(key.scope in (Scope.BUILTIN, Scope.DEFAULT) for key in left)
    recorded = line.stores.intake.load_cluster("east")
    assert not any((recorded.pods, recorded.objects, recorded.leases, recorded.verdicts))


def test_who_lives_on_is_held_until_it_is_proven_gone(line: Line) -> None:
    """Labels change, addresses are given up, and only then do pods end, in every way there is."""
    line.sync(*SHOP, *PODS)
    line.see(*(replace(one, labels={"app": "cart"}) for one in PODS[:30]))
    assert len(line.members()) == 60, "thirty at once, of pods that live on"
    line.see(*(replace(one, addresses=(f"10.0.0.{200 + n}",)) for n, one in enumerate(PODS[30:40])))
    assert len(line.members()) == 70, "another address is no proof either"
    line.see(*PODS[:2], change=Change.DELETED)
    assert line.members().isdisjoint({"10.0.0.1", "10.0.0.2"}), "seen to end"
    line.see(replace(PODS[2], labels={"app": "cart"}, phase="Succeeded"))
    assert "10.0.0.3" not in line.members(), "a terminal phase"
    line.see(pod("db-0", "10.0.0.4", started=99))
    assert "10.0.0.4" not in line.members(), "another has the address"
    line.see(PODS[4], change=Change.GONE)
    assert "10.0.0.5" in line.members(), "found gone"
    line.restart()
    line.sync(*SHOP)
    assert len(line.members()) == 66, "over a restart it is the same"
    (about,) = line.stores.delivery.held_lists("edge")
    assert sum(len(one.members) for one in about.held) >= 36
    assert about.held[0].kind is HoldKind.REMOVAL
    line.see(
        *(replace(one, addresses=(f"10.0.0.{200 + n}",)) for n, one in enumerate(PODS[30:40])), change=Change.DELETED
    )
    assert len(line.members()) == 46, "with the addresses that they had given up before"


def test_a_service_that_is_deleted_takes_its_members_along(line: Line) -> None:
    line.sync(*SHOP, *PODS)
    line.see(service("pay", app="pay"), change=Change.DELETED)
    assert not line.members()
    line.see(service("pay", app="pay"))
    assert len(line.members()) == 60
    line.see(service("pay", app="nobody"))
    assert len(line.members()) == 60, "a selector that is edited is another matter"
    line.see(service("pay", app="pay"))
    assert not line.stores.delivery.held_lists("edge")


def test_a_decision_on_the_tables_releases_and_is_settled_in_one_stroke(line: Line) -> None:
    line.sync(*SHOP, *PODS)
    line.see(service("pay", app="nobody"))
    (about,) = line.stores.delivery.held_lists("edge")
    decision = Decision("east", "d", "u", "edge", about.digest, Choice.RELEASE, "ann", "meant", START)
    line.take([])
    batch = Batch(START, decisions=[DecisionRecord(decision)])
    line.stores.commit(batch)
    for _ in range(4):
        line.worker.wake()
        line.worker.turn(1)
    assert not line.members()
    found = line.stores.delivery.held_list("edge", about.digest)
    assert found is not None
    assert (found.state, found.by, found.reason) == (ListState.DONE, "ann", "meant")
    assert not line.stores.delivery.control("edge", ["east"]).decisions


@pytest.mark.parametrize("form", [Form.TIERED, Form.FLAT])
def test_a_namespace_that_is_governed_no_longer_stays_denied_over_a_restart(database: Database, form: Form) -> None:
    line = Line(database, replace(EDGE, capabilities=Capabilities(form)))
    everyone, free = replace(EXEMPT, name="everyone"), namespace(governed=False)

    def denied(address: str) -> bool:
        if form is Form.TIERED:
            return address not in line.members(EXEMPT)
        return overlap(line.members(everyone), [address])

    line.sync(namespace(), *PODS)
    line.see(free)
    assert all(denied(one.addresses[0]) for one in PODS)
    line.see(pod("new", "10.0.0.200"), *(replace(one, phase="Succeeded") for one in PODS[:5]))
    line.restart()
    line.sync(free, pod("new", "10.0.0.200"), *PODS[5:])
    assert all(denied(one.addresses[0]) for one in PODS)
    assert not denied("10.0.0.200")
    kind = HoldKind.WIDENING if form is Form.TIERED else HoldKind.REMOVAL
    lists = [one for one in line.stores.delivery.held_lists("edge") if one.state is ListState.HELD]
    assert {part.kind for one in lists for part in one.held} == {kind}
