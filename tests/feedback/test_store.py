"""What feedback reads from Postgres, and what moves the markers that tell it to."""

from collections.abc import Iterable

import pytest

from bridge.errors import LostLease, StateError
from bridge.model.identity import Kind, ObjectKey, Scope
from bridge.model.intent import DeviceObject, Group, RuleEntry, RuleList
from bridge.model.observed import PolicyObject, Resource, Service
from bridge.model.policy import Action, Ref, Tier
from bridge.state.batch import DesiredObject, MemberChange, Placement, Verdict
from bridge.state.database import Database
from bridge.state.desired import Applied, AuditEntry, DeviceHealth, ObjectState
from bridge.state.feedback_store import FeedbackStore
from bridge.state.policy_picture import DeviceRow, Placed, Told, Unfinished
from tests.state.builders import Stores, at, batch, pod

RULE, SERVICE, POD = Ref("ServiceEgressRule", "shop", "r"), Ref("Service", "shop", "web"), Ref("Pod", "shop", "web-1")
LIST = ObjectKey(Kind.RULE_LIST, "east", Scope.SERVICE, "shop")
GROUP = ObjectKey(Kind.GROUP, "east", Scope.EXTERNAL, "shop", "provider")
BODIES: dict[ObjectKey, DeviceObject] = {
    LIST: RuleList(LIST, (RuleEntry("r_provider_tcp", Action.ALLOW, (GROUP,), (GROUP,)),)),
    GROUP: Group(GROUP, frozenset({"192.0.2.1"})),
}


@pytest.fixture
def stores(database: Database) -> Stores:
    """A rule of two objects on `edge`, desired and not applied; a Service with a group, and a pod with a complaint."""
    made = Stores(database)
    first = batch()
    written = PolicyObject(Resource.SERVICE_RULES, "u1", "shop", "r", "1", 3, {}, {"action": "Allow"})
    first.verdicts = [
        Verdict(RULE, "u1", 4, False, "Invalid", "no", written),
        Verdict(POD, "", 0, False, "Invalid", "not a name"),
    ]
    first.desired = [DesiredObject("edge", key, body, "d") for key, body in BODIES.items()]
    first.placements = [
        Placement(RULE, "edge", (GROUP, LIST), Tier.SERVICE),
        Placement(SERVICE, "edge", (GROUP,), None, "Withheld", "why"),
    ]
    first.objects = [Service("u7", "shop", "web", "1", {}, {}, {})]
    first.pods = [pod("web-1", "10.0.0.1", uid="u9")]
    made.commit(first)
    return made


@pytest.fixture
def feedback(database: Database) -> FeedbackStore:
    return FeedbackStore(database)


def applied(
    stores: Stores,
    state: ObjectState = ObjectState.PROGRAMMED,
    message: str = "",
    *,
    seconds: float = 10,
    keys: Iterable[ObjectKey] = BODIES,
) -> None:
    """Record these as what became of the objects' first generation."""
    entry = AuditEntry(LIST, "create", "c", "", "x", "done")
    done = [Applied(key, 1, state, "d", message) for key in keys]
    stores.delivery.record("edge", 1, done, [entry], "p", at(seconds))


def standing(feedback: FeedbackStore) -> int:
    """The device's marker."""
    return feedback.markers("east").standing["edge"]


def test_the_picture(stores: Stores, feedback: FeedbackStore) -> None:
    picture = feedback.picture("east")
    judged = picture.judged[RULE]
    assert (judged.uid, judged.generation, judged.ok, judged.reason, judged.in_force) == ("u1", 4, False, "Invalid", 3)
    assert judged.changed_at == at(0)
    assert picture.placed == {
        RULE: (Placed("edge", (str(GROUP), str(LIST)), "service"),),
        SERVICE: (Placed("edge", (str(GROUP),), "", "Withheld", "why"),),
    }
    waits = Unfinished(ObjectState.PENDING, "", applied=False, waiting_since=at(0), verified_at=None)
    assert picture.unfinished == {("edge", str(key)): waits for key in BODIES}
    assert picture.devices == {"edge": DeviceRow("not read yet")}
    assert picture.uids == {SERVICE: "u7", POD: "u9"}
    assert picture.lists == {}


def test_what_is_programmed_is_not_in_the_picture(stores: Stores, feedback: FeedbackStore) -> None:
    stores.delivery.record_health("edge", DeviceHealth("ok", attached={"service": True}, attach_by={}), at(20))
    applied(stores)
    assert feedback.picture("east").unfinished == {}
    assert feedback.markers("east").waiting == {}


def test_a_list_younger_than_the_last_reading_is_in_the_picture(stores: Stores, feedback: FeedbackStore) -> None:
    applied(stores, seconds=30)
    stores.delivery.record_health("edge", DeviceHealth("ok"), at(20))
    assert set(feedback.picture("east").unfinished) == {("edge", str(LIST))}
    stores.delivery.record_health("edge", DeviceHealth("ok"), at(31))
    assert feedback.picture("east").unfinished == {}


def test_bodies_are_read_where_something_was_refused(stores: Stores, feedback: FeedbackStore) -> None:
    applied(stores, ObjectState.QUARANTINED, "no", keys=[GROUP])
    assert feedback.picture("east").lists == {"edge": {LIST: BODIES[LIST]}}


def test_since_when_something_waits(stores: Stores, feedback: FeedbackStore) -> None:
    assert feedback.markers("east").waiting == {"edge": at(0)}
    applied(stores, ObjectState.AWAITING_DEPLOY, seconds=10)
    assert feedback.markers("east").waiting == {"edge": at(10)}
    applied(stores, seconds=11)
    assert feedback.markers("east").waiting == {}


@pytest.mark.parametrize(
    ("state", "message", "moves"),
    [
        (ObjectState.PROGRAMMED, "", 0),
        (ObjectState.AWAITING_DEPLOY, "stored", 0),
        (ObjectState.HELD, "much", 1),
        (ObjectState.QUARANTINED, "no", 1),
        (ObjectState.WITHHELD, "waits", 1),
    ],
)
def test_the_marker_moves_with_a_state_and_not_with_generations(
    state: ObjectState, message: str, moves: int, stores: Stores, feedback: FeedbackStore
) -> None:
    start = standing(feedback)
    applied(stores)
    assert standing(feedback) == start + 1  # for the first time
    applied(stores, state, message)
    assert standing(feedback) == start + 1 + moves
    applied(stores, state, message)
    assert standing(feedback) == start + 1 + moves
    applied(stores, state, message + "!")
    assert standing(feedback) == start + 1 + 2 * moves


@pytest.mark.parametrize("state", [None, ObjectState.AWAITING_DEPLOY])
def test_nobody_waits_for_what_is_to_go(state: ObjectState | None, stores: Stores, feedback: FeedbackStore) -> None:
    """On a device that is in the settings no more it never goes: the picture is not to be read for its sake for ever."""
    if state is not None:
        applied(stores, state)
    assert "edge" in feedback.markers("east").waiting
    end = batch(20)
    end.desired_gone = [("edge", key) for key in BODIES]
    stores.commit(end)
    assert feedback.markers("east").waiting == {}


def test_a_change_of_members_moves_no_marker(stores: Stores, feedback: FeedbackStore) -> None:
    group = ObjectKey(Kind.GROUP, "east", Scope.SERVICE, "shop", "web")
    more = batch(1)
    more.groups, more.desired = [group], [DesiredObject("edge", group, None, "selected")]
    stores.commit(more)
    stores.delivery.record("edge", 1, [Applied(group, 1, ObjectState.PROGRAMMED)], [], "", at(2))
    before = feedback.markers("east")
    for number in range(2, 5):
        change = batch(number)
        change.joined = [MemberChange(group, f"10.0.0.{number}")]
        stores.commit(change)
        stores.delivery.record("edge", 1, [Applied(group, number, ObjectState.PROGRAMMED)], [], "", at(number))
    after = feedback.markers("east")
    assert (after.policy_revision, after.standing) == (before.policy_revision, before.standing)


@pytest.mark.parametrize(
    ("health", "moves"),
    [
        (DeviceHealth("ok", identity="s2", foreign=(("/x", "y"),)), 0),
        (DeviceHealth("ok", attached={"service": False, "cluster": True}, attach_by={"service": "a"}), 0),
        (DeviceHealth("ok", attached={"cluster": True, "service": False}), 0),
        (DeviceHealth("busy", "503"), 1),
        (DeviceHealth("ok", "words"), 1),
        (DeviceHealth("ok", attached={"cluster": True, "service": True}), 1),
        (DeviceHealth("ok", attach_by={"service": "b"}), 1),
    ],
)
def test_the_marker_moves_with_the_device(
    health: DeviceHealth, moves: int, stores: Stores, feedback: FeedbackStore
) -> None:
    first = DeviceHealth("ok", attached={"cluster": True, "service": False}, attach_by={"service": "a"})
    stores.delivery.record_health("edge", first, at(1))
    before = standing(feedback)
    stores.delivery.record_health("edge", health, at(2))
    assert standing(feedback) == before + moves


@pytest.mark.parametrize("word", ["drifted", "refused", "failed"])
def test_every_way_of_not_being_well_can_be_recorded(word: str, stores: Stores, feedback: FeedbackStore) -> None:
    stores.delivery.record_health("edge", DeviceHealth(word, "words"), at(1))
    assert feedback.picture("east").devices["edge"].message == "words"


def test_the_mode_is_registered(stores: Stores, feedback: FeedbackStore) -> None:
    before = standing(feedback)
    stores.delivery.register_device("edge", "bigip", "plan")
    assert feedback.picture("east").devices["edge"].mode == "plan"
    assert standing(feedback) == before + 1
    stores.delivery.register_device("edge", "bigip", "plan")
    assert standing(feedback) == before + 1


def test_what_was_told_is_kept_and_forgotten(stores: Stores, feedback: FeedbackStore) -> None:
    told = [Told(RULE, "u1", '{"a":1}', at(1)), Told(SERVICE, "u7", '{"b":2}', at(2))]
    feedback.record("east", 1, told)
    assert sorted(feedback.told("east"), key=lambda one: one.uid) == told
    newer = Told(RULE, "u2", '{"a":3}', at(3))
    feedback.record("east", 1, [newer], [SERVICE])
    assert feedback.told("east") == (newer,)


def test_only_the_owner_tells(stores: Stores, feedback: FeedbackStore) -> None:
    with pytest.raises(LostLease):
        feedback.record("east", 2, [Told(RULE, "u1", "{}", at(1))])
    assert feedback.told("east") == ()
    with pytest.raises(StateError):
        feedback.markers("nowhere")
