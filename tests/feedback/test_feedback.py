"""The loop against the simulated API server, with a clock that tests turn: when it writes, when not, and what survives."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from bridge.cluster.client import Connection
from bridge.cluster.settings import ClusterConfig
from bridge.errors import LostLease
from bridge.feedback.feedback import Feedback, FeedbackSettings
from bridge.lab.apiserver import ApiServer, Fault, LabCluster
from bridge.model.identity import Kind, ObjectKey, Scope
from bridge.model.policy import Ref
from bridge.state.desired import ObjectState
from tests.cluster.scripted import FakeClock
from tests.feedback.pictures import GROUP, LIST, RULE, MemoryStore, judged, new, placed, row

SPEC = {"service": "web", "action": "Allow", "to": [{"name": "provider"}]}
SERVICE = Ref("Service", "shop", "web")
PAYMENTS = ObjectKey(Kind.GROUP, "real", Scope.ANNOTATION, "shop", "payments")
RULES = "serviceegressrules"


@dataclass
class Stage:
    """A cluster with one rule and one Service, its state, and a loop between them that runs when told."""

    api: ApiServer
    cluster: LabCluster
    store: MemoryStore
    clock: FakeClock
    connection: Connection
    epoch: int | None = 1
    grace: float = 0.0
    made: list[Feedback] = field(default_factory=list)

    def start(self) -> Feedback:
        """A loop as after a start of the process."""
        settings = FeedbackSettings(start=self.grace)
        self.made.append(Feedback("real", self.connection, self.store, self.clock, self._epoch, settings))
        return self.made[-1]

    def turn(self, seconds: float = 1.0) -> float:
        """Time passes, and the loop has its turn."""
        self.clock.advance(seconds)
        return self.made[-1].turn(threading.Event())

    def put(self, name: str, uid: str = "") -> Ref:
        """A rule, in the cluster and in the picture; with the uid that the cluster gave it unless told."""
        body = {"metadata": {"name": name}, "spec": SPEC}
        made = self.cluster.create(RULES, body, namespace="shop")
        ref = RULE._replace(name=name)
        self.store.picture_now.judged[ref] = replace(judged(), uid=uid or made["metadata"]["uid"])
        self.store.picture_now.placed[ref] = (placed(),)
        self.store.revision += 1
        return ref

    def change(self) -> None:
        """Something moved."""
        self.store.revision += 1

    def status(self, name: str = RULE.name) -> dict[str, Any]:
        """What stands on a rule."""
        return dict(self.cluster.get(RULES, "shop", name).get("status") or {})

    def programmed(self, name: str = RULE.name) -> str:
        """The reason of its condition; "" without one."""
        found = [one["reason"] for one in self.status(name).get("conditions", ()) if one["type"] == "Programmed"]
        return found[0] if found else ""

    def writes(self) -> list[str]:
        """What was written since the last time that somebody asked."""
        found = [f"{one.verb} {one.path.rpartition('namespaces/shop/')[2]}" for one in self.api.requests.entries()]
        self.api.requests.clear()
        return [line for line in found if line.split()[0] in ("create", "update", "patch", "delete")]

    def events(self) -> list[tuple[str, str]]:
        """Object and reason of every Event."""
        return [(one["involvedObject"]["name"], one["reason"]) for one in self.cluster.list("events")]

    def _epoch(self) -> int:
        if self.epoch is None:
            raise LostLease("the lease was not renewed in time")
        return self.epoch


@pytest.fixture
def stage() -> Iterator[Stage]:
    cluster = LabCluster()
    cluster.load_definitions()
    cluster.create("namespaces", {"metadata": {"name": "shop"}})
    clock = FakeClock()
    with ApiServer(cluster) as api:
        connection = Connection(ClusterConfig("real", api.kubeconfig, read_timeout=5.0), clock)
        store = MemoryStore()
        store.picture_now.judged.clear()
        store.picture_now.placed.clear()
        made = Stage(api, cluster, store, clock, connection)
        made.put(RULE.name)
        made.start()
        yield made
        connection.close()


def refuse(stage: Stage, ref: Ref = RULE) -> None:
    """A device refuses the list of the rule."""
    stage.store.picture_now.placed[ref] = (placed(),)
    stage.store.picture_now.unfinished["edge", LIST] = row(ObjectState.QUARANTINED, "0107: no")
    stage.change()


def test_a_change_of_state_is_told_and_nothing_else(stage: Stage) -> None:
    stage.turn()
    assert stage.programmed() == "Programmed"
    assert stage.writes() == ["patch serviceegressrules/web-provider/status"]
    for _ in range(20):
        stage.turn()
    assert stage.writes() == []
    assert stage.store.pictures == 1


def test_after_a_restart_with_nothing_changed_nothing_is_written(stage: Stage) -> None:
    refuse(stage)
    stage.turn()
    assert stage.events() == [(RULE.name, "Quarantined")]
    stage.writes()
    stage.start()
    for _ in range(10):
        stage.turn()
    assert stage.writes() == []


def test_nothing_is_told_before_it_is_known_what_policy_becomes(stage: Stage) -> None:
    """As after an upgrade of the database: verdicts are there, and no placements yet."""
    placements = dict(stage.store.picture_now.placed)
    stage.store.picture_now.placed.clear()
    stage.store.revision = 0
    stage.turn()
    stage.turn()
    assert (stage.writes(), stage.store.pictures) == ([], 0)
    stage.store.picture_now.placed |= placements
    stage.store.revision = 1
    stage.turn()
    assert (stage.programmed(), stage.events()) == ("Programmed", [])


def test_one_of_which_nothing_can_be_said_silences_nobody(stage: Stage) -> None:
    stage.put("fine")
    strange = stage.put("strange")
    stage.store.picture_now.judged[strange] = replace(judged(), ok=False, reason="NeverHeardOf")
    for _ in range(3):
        stage.turn()
    assert (stage.programmed("fine"), stage.programmed("strange")) == ("Programmed", "")
    assert stage.store.pictures == 1, "nor is everything read again and again for its sake"


def test_what_waited_while_no_bridge_ran_is_not_late(stage: Stage) -> None:
    stage.turn()
    stage.writes()
    stage.store.waiting["edge"] = stage.clock.now()
    stage.store.picture_now.unfinished["edge", GROUP] = row(waiting=stage.clock.now())
    stage.clock.advance(3600)
    stage.grace = 15
    stage.start()
    for _ in range(14):
        stage.turn()
    assert stage.writes() == []
    stage.turn(2)
    assert stage.programmed() == "Pending"


def test_churn_of_members_costs_markers_only(stage: Stage) -> None:
    stage.turn()
    stage.writes()
    for _ in range(30):
        stage.store.waiting["edge"] = stage.clock.now()
        stage.store.picture_now.unfinished["edge", GROUP] = row(waiting=stage.clock.now())
        stage.turn(0.5)
    assert (stage.writes(), stage.store.pictures) == ([], 1)


def test_what_is_late_is_told_and_so_is_its_end(stage: Stage) -> None:
    stage.turn()
    since = stage.clock.now()
    stage.store.waiting["edge"] = since
    stage.store.picture_now.unfinished["edge", GROUP] = row(waiting=since)
    stage.turn(2)
    assert stage.programmed() == "Programmed"
    stage.turn(4)
    assert stage.programmed() == "Pending"
    stage.store.waiting.clear()
    stage.store.picture_now.unfinished.clear()
    stage.turn(6)
    assert stage.programmed() == "Programmed"


def test_something_new_is_told_when_it_stands_or_is_late(stage: Stage) -> None:
    stage.turn()
    ref = stage.put("second")
    stage.store.picture_now.unfinished["edge", LIST] = new(stage.clock.now())
    stage.turn()
    assert stage.status("second") == {}
    stage.turn(3)
    assert stage.programmed("second") == "Pending"
    del stage.store.picture_now.unfinished["edge", LIST]
    stage.store.standing += 1
    stage.turn(5)
    assert stage.programmed(ref.name) == "Programmed"


def test_one_object_is_written_to_every_five_seconds_at_most(stage: Stage) -> None:
    writes = 0
    for number in range(100):
        refuse(stage) if number % 2 else stage.store.picture_now.unfinished.clear()
        stage.change()
        stage.turn(0.5)
        writes += len([one for one in stage.writes() if one.startswith("patch")])
    assert 5 <= writes <= 10
    assert len(stage.events()) <= writes
    stage.turn(5)
    assert stage.programmed() == "Quarantined"


def test_one_that_is_refused_is_left_alone_for_a_minute_and_delays_nobody(stage: Stage) -> None:
    stage.turn()
    stage.writes()
    stage.api.disturb(Fault("status", times=1, resource=RULES, verb="patch", code=422))
    for name in ("b", "c"):
        stage.put(name)
    stage.turn()
    told = sorted(name for name in ("b", "c") if stage.programmed(name))
    assert len(told) == 1
    assert len(stage.writes()) == 2
    for _ in range(11):
        stage.turn(5)
    assert stage.writes() == []
    stage.turn(10)
    assert [stage.programmed(name) for name in ("b", "c")] == ["Programmed", "Programmed"]


def test_denied_events_keep_no_status_back(stage: Stage) -> None:
    stage.api.disturb(Fault("status", times=0, resource="events", verb="create", code=403))
    refuse(stage)
    stage.turn()
    assert (stage.programmed(), stage.events()) == ("Quarantined", [])
    stage.api.calm()
    stage.turn(61)
    assert stage.events() == [(RULE.name, "Quarantined")]


def test_much_that_is_denied_is_asked_one_by_one(stage: Stage) -> None:
    stage.api.disturb(Fault("status", times=0, verb="patch", code=403))
    for number in range(30):
        stage.put(f"r{number}")
    stage.turn()
    first = len(stage.writes())
    stage.turn()
    assert (first, len(stage.writes())) == (20, 1)
    stage.api.calm()
    for _ in range(4):
        stage.turn(61)
    assert {stage.programmed(f"r{number}") for number in range(30)} == {"Programmed"}


def test_an_api_that_is_away_is_left_alone_and_nothing_is_lost(stage: Stage) -> None:
    stage.api.down()
    refuse(stage)
    for _ in range(60):
        stage.turn()
    stage.api.up()
    stage.writes()
    stage.turn(31)
    assert (stage.programmed(), stage.events()) == ("Quarantined", [(RULE.name, "Quarantined")])


def test_throttling_is_respected(stage: Stage) -> None:
    stage.api.disturb(Fault("status", times=1, verb="patch", code=429, retry_after=40))
    stage.turn()
    assert len(stage.writes()) == 1
    for _ in range(7):
        stage.turn(5)
    assert stage.writes() == []
    stage.turn(10)
    assert stage.programmed() == "Programmed"


@pytest.mark.parametrize("failing", [1, 2])
def test_killed_around_the_record_the_same_words_are_written_again(stage: Stage, failing: int) -> None:
    """Whether the crash came before or after the write: one status, one Event, and no change on the object by the repetition."""
    refuse(stage)
    if failing == 2:
        stage.turn()
        intended = next(iter(stage.store.rows.values()))
        stage.store.rows[RULE] = replace(intended, body=intended.body.replace('"written":true', '"written":false'))
    else:
        stage.store.failing_records = 1
        stage.turn()
        assert (stage.status(), stage.store.rows) == ({}, {})
    before = stage.cluster.get(RULES, "shop", RULE.name)["metadata"]["resourceVersion"]
    stage.start()
    stage.turn(10)
    after = stage.cluster.get(RULES, "shop", RULE.name)["metadata"]["resourceVersion"]
    assert (before == after) == (failing == 2)
    assert (stage.programmed(), stage.events()) == ("Quarantined", [(RULE.name, "Quarantined")])


def test_an_event_whose_answer_was_lost_is_not_created_twice(stage: Stage) -> None:
    refuse(stage)
    stage.turn()
    told = stage.store.rows[RULE]
    (event,) = stage.cluster.list("events")
    name = event["metadata"]["name"]
    due = f'"due":[{{"name":"{name}","reason":"Quarantined","message":"m","marks":["edge:Quarantined"]}}]'
    stage.store.rows[RULE] = replace(told, body=told.body.replace('"due":[]', due))
    stage.start()
    stage.turn(10)
    assert len(stage.events()) == 1
    assert stage.store.rows[RULE].body == told.body


def test_a_record_that_could_not_be_written_is_written_later(stage: Stage) -> None:
    stage.turn()
    stage.store.picture_now.unfinished.clear()
    refuse(stage)
    stage.clock.advance(5)
    record, calls = stage.store.record, []

    def failing(cluster: str, epoch: int, told: Any, forgotten: Any = ()) -> None:  # noqa: ANN401
        calls.append(1)
        stage.store.failing_records = int(len(calls) == 2)  # after the write
        record(cluster, epoch, told, forgotten)

    stage.store.record = failing  # type: ignore[method-assign]
    stage.turn()
    assert stage.programmed() == "Quarantined"
    assert '"written":false' in stage.store.rows[RULE].body
    stage.turn()
    assert '"written":true' in stage.store.rows[RULE].body


def test_without_the_lease_nothing_is_written(stage: Stage) -> None:
    stage.epoch = None
    for _ in range(5):
        stage.turn()
    assert stage.writes() == []
    stage.epoch = 2  # what we think; another replica has taken over
    for _ in range(5):
        stage.turn()
    assert (stage.writes(), stage.store.rows) == ([], {})
    stage.epoch = 1
    stage.turn()
    assert stage.programmed() == "Programmed"


def test_the_lease_is_asked_for_before_each_write(stage: Stage) -> None:
    for number in range(5):
        stage.put(f"r{number}")
    allowed = iter([1, 1, 1])  # the record, and two writes

    def epoch() -> int:
        for one in allowed:
            return one
        raise LostLease("lost")

    feedback = Feedback("real", stage.connection, stage.store, stage.clock, epoch)
    feedback.turn(threading.Event())
    assert len(stage.writes()) == 2


def test_a_database_that_is_away_stops_nothing_for_good(stage: Stage) -> None:
    stage.store.away = True
    for _ in range(3):
        stage.turn()
    stage.store.away = False
    stage.turn()
    assert stage.programmed() == "Programmed"


def test_a_namesake_of_another_uid_is_left_alone(stage: Stage) -> None:
    stage.put("twin", uid="00000000-0000-4000-8000-000000000000")
    stage.turn()
    assert (stage.status("twin"), stage.programmed()) == ({}, "Programmed")
    assert RULE._replace(name="twin") not in stage.store.rows


def test_what_is_gone_is_forgotten(stage: Stage) -> None:
    stage.turn()
    stage.cluster.delete(RULES, "shop", RULE.name)
    refuse(stage)  # before the deletion was seen
    stage.turn(6)
    assert (stage.store.rows, stage.events()) == ({}, [])
    stage.writes()
    stage.turn(6)
    assert stage.writes() == []
    stage.store.picture_now.judged.clear()
    stage.change()
    stage.turn(6)
    assert stage.made[-1].waiting == 0


def test_a_rule_that_was_deleted_is_forgotten_without_a_call(stage: Stage) -> None:
    stage.turn()
    stage.writes()
    stage.store.picture_now.judged.clear()
    stage.store.picture_now.placed.clear()
    stage.change()
    stage.turn(6)
    assert (stage.store.rows, stage.writes()) == ({}, [])


def test_the_annotation_comes_and_goes_with_the_wish(stage: Stage) -> None:
    asked = {"theirs": "stays", "fusionbridge.io/address-group": "payments"}
    body = {"metadata": {"name": "web", "annotations": asked}, "spec": {"ports": [{"port": 80}]}}
    made = stage.cluster.create("services", body, namespace="shop")
    given = stage.store.picture_now
    given.placed[SERVICE], given.uids[SERVICE] = (placed(PAYMENTS, tier=""),), made["metadata"]["uid"]
    stage.change()
    stage.turn()

    def annotations() -> dict[str, str]:
        return dict(stage.cluster.get("services", "shop", "web")["metadata"]["annotations"])

    assert annotations() == {**asked, "fusionbridge.io/status": '{"groups":{"payments":{"edge":"Programmed"}}}'}
    managers = {one["manager"] for one in stage.cluster.get("services", "shop", "web")["metadata"]["managedFields"]}
    assert "fusion-bridge" in managers
    del given.placed[SERVICE]
    stage.change()
    stage.turn(6)
    assert annotations() == asked
    assert SERVICE not in stage.store.rows


def test_the_status_of_others_stays(stage: Stage) -> None:
    theirs = {
        "conditions": [
            {
                "type": "Reviewed",
                "status": "True",
                "reason": "Yes",
                "message": "",
                "lastTransitionTime": "2026-01-01T00:00:00Z",
            }
        ]
    }
    body = {
        "apiVersion": "fusionbridge.io/v1alpha1",
        "kind": "ServiceEgressRule",
        "metadata": {"name": RULE.name},
        "status": theirs,
    }
    stage.cluster.apply(RULES, "shop", RULE.name, body, manager="somebody", subresource="status")
    stage.turn()
    kinds = {one["type"] for one in stage.status()["conditions"]}
    assert kinds == {"Accepted", "Programmed", "Reviewed"}


def test_looking_is_never_more_than_a_small_share_of_the_time(stage: Stage) -> None:
    taken = stage.store.picture

    def slow(cluster: str) -> Any:  # noqa: ANN401
        stage.clock.advance(0.5)
        return taken(cluster)

    stage.store.picture = slow  # type: ignore[method-assign]
    for _ in range(50):
        stage.change()
        stage.turn(0.25)
    assert stage.store.pictures <= 4
