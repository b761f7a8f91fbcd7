"""What objects are told: conditions and their times, annotations, Events once for each thing that is amiss."""

import json
from dataclasses import replace

import pytest

from bridge.feedback.account import Account
from bridge.feedback.telling import Telling
from bridge.model.identity import Kind, ObjectKey, Scope
from bridge.model.policy import Ref
from bridge.model.reasons import MEANINGS, Reason
from bridge.state.desired import ObjectState
from bridge.state.policy_picture import DeviceRow
from tests.feedback.pictures import (
    EDGE,
    GROUP,
    LIST,
    RULE,
    START,
    Picture,
    at,
    condition,
    done,
    judged,
    new,
    placed,
    row,
)

SERVICE, POD = Ref("Service", "shop", "web"), Ref("Pod", "shop", "web-1")
PAYMENTS, SHARED = (ObjectKey(Kind.GROUP, "real", Scope.ANNOTATION, "shop", name) for name in ("payments", "shared"))
REFUSED = row(ObjectState.QUARANTINED, "0107: no")


def carrier(*keys: ObjectKey) -> Picture:
    """A Service that asks for groups."""
    return Picture(judged={}, placed={SERVICE: (placed(*keys, tier=""),)}, uids={SERVICE: "u7"})


def text(telling: Telling) -> object:
    """The annotation, read as a program reads it."""
    assert isinstance(telling.content, str)
    return json.loads(telling.content)


def test_a_condition_keeps_its_time_until_its_status_changes() -> None:
    given = Picture(unfinished={("edge", LIST): REFUSED})
    first = done(given.told(now=at(10)))
    given.unfinished["edge", LIST] = row(ObjectState.QUARANTINED, "0108: no again")
    second = given.told(account=first, now=at(20))
    assert condition(second, "Programmed")["lastTransitionTime"] == condition(first, "Programmed")["lastTransitionTime"]
    given.unfinished.clear()
    third = given.told(account=done(second, first), now=at(30))
    assert condition(third, "Programmed")["lastTransitionTime"] == "2026-01-01T00:00:30Z"
    assert condition(third, "Accepted")["lastTransitionTime"] == "2026-01-01T00:00:10Z"


def test_what_stands_otherwise_than_written_is_told_and_is_no_fault() -> None:
    warning = "the device cannot answer"
    given = Picture({RULE: judged(message=f"on edge: {warning}")}, {RULE: (placed(message=warning),)})
    found = given.told()
    assert condition(found, "Accepted")["status"] == condition(found, "Programmed")["status"] == "True"
    assert warning in condition(found, "Accepted")["message"]
    assert isinstance(found.content, dict)
    assert [(one["state"], one["message"]) for one in found.content["devices"]] == [("Programmed", warning)]
    assert not found.events


def test_a_rule_outside_its_times_is_accepted_and_not_programmed() -> None:
    given = Picture(placed={RULE: (placed(reason="OutsideWindow", message="it counts again from 2026-03-02"),)})
    found = given.told()
    assert condition(found, "Accepted")["status"] == "True"
    programmed = condition(found, "Programmed")
    assert (programmed["status"], programmed["reason"]) == ("False", "OutsideWindow")
    assert "it counts again from 2026-03-02" in programmed["message"]
    assert not found.events


def test_nothing_new_leaves_the_account_as_it_is() -> None:
    given = Picture()
    account = done(given.told(now=at(1)))
    assert given.told(account=account, now=at(1000)).after(account) is account


def test_what_was_said_first_stays_while_a_device_is_away() -> None:
    given = Picture(unfinished={("edge", GROUP): row(waiting=START)})
    given.devices["edge"] = DeviceRow("busy", "attempt 1 timed out")
    account = done(given.told(now=at(10)))
    given.devices["edge"] = DeviceRow("unreachable", "attempt 2 timed out")
    assert given.told(account=account, now=at(20)).after(account) is account
    given.devices["edge"] = DeviceRow("denied", "no such user")
    assert "no such user" in condition(given.told(account=account, now=at(30)), "Programmed")["message"]


def test_an_event_says_what_to_do_and_comes_once_for_each_reason() -> None:
    given = Picture(unfinished={("edge", LIST): REFUSED, ("west", LIST): REFUSED})
    given.placed[RULE] = (placed(), placed(device="west"))
    due = given.told().after(None).body.due
    assert [one.reason for one in due] == ["Quarantined"]
    assert "on edge: " in due[0].message
    assert "on west: " in due[0].message
    assert due[0].message.endswith(f"To do: {MEANINGS[Reason.QUARANTINED].remedy}.")
    account = done(given.told())
    assert given.told(account=account).after(account).settled
    del given.unfinished["west", LIST]
    account = done(given.told(account=account), account)
    given.unfinished["west", LIST] = REFUSED
    again = given.told(account=account).after(account)
    assert [one.reason for one in again.body.due] == ["Quarantined"]
    assert "on edge: " not in again.body.due[0].message


@pytest.mark.parametrize("reason", [reason for reason in Reason if MEANINGS[reason].event])
def test_every_reason_of_an_event_tells_what_to_do(reason: Reason) -> None:
    given = Picture()
    given.placed[RULE] = (placed(reason=reason, message="x" * 5000),)
    (due,) = given.told().after(None).body.due
    assert due.message.endswith(f"To do: {MEANINGS[reason].remedy}.")
    assert len(due.message) <= 1024


@pytest.mark.parametrize("reason", ["Pending", "AwaitingDeploy", "DeviceUnreachable"])
def test_what_passes_by_itself_is_no_event(reason: str) -> None:
    given = Picture()
    given.placed[RULE] = (placed(reason=reason),)
    assert given.told().after(None).body.due == ()


def test_another_mistake_is_another_event() -> None:
    given = Picture(judged={RULE: judged(in_force=None, reason="Invalid", message="spec.to: one")}, placed={})
    account = done(given.told())
    given.judged[RULE] = judged(2, in_force=None, reason="Invalid", message="spec.to: one")
    account = done(edited := given.told(account=account), account)
    assert edited.after(account).body.due == ()
    given.judged[RULE] = judged(3, in_force=None, reason="Invalid", message="spec.to: two")
    assert len(given.told(account=account).after(account).body.due) == 1


def test_an_event_that_waits_goes_when_its_cause_has_gone() -> None:
    given = Picture(unfinished={("edge", LIST): REFUSED})
    waiting = given.told().after(None)
    assert waiting.body.due
    given.unfinished["edge", GROUP] = row(ObjectState.HELD, "much")
    same = given.told(account=waiting).after(waiting)
    assert same.body.due == waiting.body.due
    given.unfinished.clear()
    assert given.told(account=waiting).after(waiting).body.due == ()


def test_an_annotation_names_each_group_and_device() -> None:
    given = carrier(PAYMENTS, SHARED)
    given.placed[SERVICE] += (placed(PAYMENTS, device="west", tier=""),)
    found = given.told(SERVICE)
    assert text(found) == {
        "groups": {"payments": {"edge": "Programmed", "west": "Programmed"}, "shared": {"edge": "Programmed"}}
    }
    assert found.after(None).body.due == ()


def test_an_annotation_says_what_is_amiss_and_what_to_do() -> None:
    given = carrier(PAYMENTS, SHARED)
    given.unfinished["edge", PAYMENTS] = REFUSED
    found = given.told(SERVICE)
    said = text(found)
    assert isinstance(said, dict)
    assert said["groups"] == {"payments": {"edge": "Quarantined"}, "shared": {"edge": "Programmed"}}
    assert said["reason"] == "Quarantined"
    assert said["message"].startswith("payments on edge: 0107: no. To do: ")
    assert isinstance(found.content, str)
    assert found.content.startswith('{"reason":"Quarantined","message":')
    (due,) = found.after(None).body.due
    assert "group payments on edge" in due.message


def test_a_new_group_is_told_when_it_stands() -> None:
    given = carrier(PAYMENTS)
    given.unfinished["edge", PAYMENTS] = new(at(1))
    assert not isinstance(given.tell(SERVICE, now=at(2)), Telling)
    assert text(given.told(SERVICE, now=at(4))) == {
        "groups": {"payments": {"edge": "Pending"}},
        "reason": "Pending",
        "message": "payments on edge: a change has not reached the device yet",
    }


def test_an_annotation_that_cannot_be_taken() -> None:
    given = Picture(
        judged={SERVICE: replace(judged(reason="Invalid", message='metadata.annotations["x"]: not a name'), uid="")},
        placed={},
    )
    assert given.tell(SERVICE) is None  # nobody knows yet which object that is
    given.uids[SERVICE] = "u7"
    found = given.told(SERVICE)
    assert text(found) == {
        "reason": "Invalid",
        "message": "not a name. To do: correct what the message names.",
    }
    assert [one.reason for one in found.after(None).body.due] == ["Invalid"]


def test_a_pod_is_told_by_event_alone() -> None:
    said = replace(judged(reason="HostNetwork", message="it runs on the network of node-1"), uid="")
    found = Picture(judged={POD: said}, placed={}, uids={POD: "u9"}).told(POD)
    assert found.content == ""
    (due,) = found.after(None).body.due
    assert (due.reason, found.uid) == ("HostNetwork", "u9")


def test_a_namesake_begins_anew() -> None:
    given = Picture(unfinished={("edge", LIST): REFUSED})
    account = done(given.told(now=at(1)))
    given.judged[RULE] = replace(given.judged[RULE], uid="u2")
    other = given.told(account=account, now=at(9)).after(account)
    assert (other.uid, other.body.written, len(other.body.due)) == ("u2", False, 1)
    assert condition(other, "Programmed")["lastTransitionTime"] == "2026-01-01T00:00:09Z"


def test_an_account_is_recorded_word_for_word() -> None:
    given = Picture(unfinished={("edge", LIST): REFUSED})
    account = given.told().after(None)
    assert Account.of(account.told) == account
    assert EDGE.state == "ok"
