"""What Decisions and Stops are told, and when."""

from dataclasses import replace

import pytest

from bridge.feedback.account import Account
from bridge.feedback.standing import Unsettled
from bridge.feedback.telling import Narrator, Telling
from bridge.model.decisions import Choice, Decision, DecisionRecord, Lifted, Settled, Stop, StopRecord
from bridge.model.policy import Ref
from bridge.state.policy_picture import DeviceRow, PolicyPicture
from tests.feedback.pictures import EDGE, PATIENCE, START

ONE, HALT = Ref("Decision", "", "one"), Ref("Stop", "", "halt")
DECISION = Decision("real", "one", "u1", "edge", "0123456789abcdef", Choice.RELEASE, "ann", "seen", START)
STOP = Stop("real", "halt", "s1", (), "ann", "a fire", START)


def _tell(
    record: DecisionRecord | StopRecord,
    devices: dict[str, DeviceRow] | None = None,
    *,
    account: Account | None = None,
    hurry: bool = False,
) -> Telling | Unsettled | None:
    picture = PolicyPicture({}, {}, {}, devices or {"edge": EDGE, "core": EDGE}, {}, {})
    if isinstance(record, StopRecord):
        picture, ref = replace(picture, stops={HALT: record}), HALT
    else:
        picture, ref = replace(picture, decisions={ONE: record}), ONE
    narrator = Narrator(picture, START, PATIENCE, serving=("edge", "core"))
    assert list(narrator.refs()) == [ref]
    return narrator.tell(ref, account, hurry=hurry)


def _told(telling: Telling | Unsettled | None) -> tuple[object, list[tuple[str, str]]]:
    assert isinstance(telling, Telling)
    return telling.content, [(due.reason, due.message) for due in telling.after(None).body.due]


def test_a_decision_that_waits_is_told_so_only_where_that_takes_long() -> None:
    assert isinstance(_tell(DecisionRecord(DECISION)), Unsettled)
    content, events = _told(_tell(DecisionRecord(DECISION), hurry=True))
    assert content == {"state": "Waiting", "message": "the device has not taken it up yet"}
    assert events == []


@pytest.mark.parametrize(
    ("state", "verdict", "reason"),
    [
        (Settled.DONE, Choice.RELEASE, "Released"),
        (Settled.DONE, Choice.REJECT, "Rejected"),
        (Settled.NOTHING_HELD, Choice.RELEASE, "NothingHeld"),
        (Settled.NOT_HERE, Choice.RELEASE, "NotHere"),
        (Settled.MALFORMED, Choice.UNREADABLE, "Malformed"),
    ],
)
def test_a_decision_is_told_once_what_became_of_it(state: Settled, verdict: Choice, reason: str) -> None:
    record = DecisionRecord(replace(DECISION, verdict=verdict), state, "so it is")
    telling = _tell(record)
    assert _told(telling) == ({"state": str(state), "message": "so it is"}, [(reason, "so it is")])
    assert isinstance(telling, Telling)
    account = telling.after(None).written().announced()
    again = _tell(record, account=account)
    assert isinstance(again, Telling)
    assert again.after(account) is account


def test_a_stop_is_told_when_every_device_of_the_cluster_obeys() -> None:
    heard = replace(EDGE, stopped_by=("s1",))
    assert isinstance(_tell(StopRecord(STOP), {"edge": heard, "core": EDGE}), Unsettled)
    content, events = _told(_tell(StopRecord(STOP), {"edge": heard, "core": EDGE}, hurry=True))
    assert content == {
        "state": "Stopping",
        "message": "stopped by ann: a fire; not heard yet by core",
        "devices": [{"name": "core", "state": "Stopping"}, {"name": "edge", "state": "Stopped"}],
    }
    assert events == []
    content, events = _told(_tell(StopRecord(STOP), {"edge": heard, "core": heard}))
    assert isinstance(content, dict)
    assert content["state"] == "Stopped"
    assert events == [("Stopped", "stopped by ann: a fire")]


def test_a_lifted_stop_names_the_devices_that_another_one_stops() -> None:
    lifted = StopRecord(STOP, Lifted("bob", "it is out"))
    other = replace(EDGE, stopped_by=("s2",))
    assert isinstance(_tell(lifted, {"edge": replace(EDGE, stopped_by=("s1", "s2")), "core": EDGE}), Unsettled)
    content, events = _told(_tell(lifted, {"edge": other, "core": EDGE}))
    assert isinstance(content, dict)
    assert content["state"] == "Started"
    assert content["message"] == "lifted by bob: it is out; still stopped by another: edge"
    assert [reason for reason, _ in events] == ["Started"]


def test_a_stop_of_a_device_that_does_not_serve_the_cluster_says_so() -> None:
    content, _ = _told(_tell(StopRecord(replace(STOP, devices=("faraway",)))))
    assert content == {
        "state": "NotHere",
        "message": "stopped by ann: a fire; no device of this cluster: faraway",
        "devices": [{"name": "faraway", "state": "NotHere"}],
    }


def test_what_cannot_be_read_of_a_stop_is_told() -> None:
    heard = {name: replace(EDGE, stopped_by=("s1",)) for name in ("edge", "core")}
    content, _ = _told(_tell(StopRecord(STOP, None, "spec.devices: must be a list of names"), heard))
    assert isinstance(content, dict)
    assert content["message"].endswith("spec.devices: must be a list of names")
