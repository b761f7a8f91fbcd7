"""What is said of an object on a device, by what is recorded: each state, the first that holds, and every order in which they come."""

from collections.abc import Callable
from dataclasses import replace
from itertools import permutations, product

import pytest

from bridge.feedback.account import Account
from bridge.feedback.standing import Unsettled
from bridge.feedback.telling import Telling
from bridge.model.identity import Kind, ObjectKey, Scope
from bridge.model.intent import RuleList
from bridge.model.policy import Action, Ref
from bridge.state.desired import ObjectState
from bridge.state.policy_picture import DeviceRow, Unfinished
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
    line,
    new,
    placed,
    row,
)

HELD, QUARANTINED = row(ObjectState.HELD, "removal of 25 of 30 members"), row(ObjectState.QUARANTINED, "0107: no")
UNATTACHED = replace(EDGE, attached={"service": False}, attach_by={"service": "tmsh modify x"}, last_read=at(50))
PLAN, DOWN = replace(EDGE, mode="plan"), DeviceRow("unreachable", "timed out", attached=EDGE.attached)
LONG = at(100)


def picture(rows: dict[ObjectKey, Unfinished], device: DeviceRow = EDGE) -> Picture:
    """The rule on a device that holds these rows of it."""
    return Picture(unfinished={("edge", key): one for key, one in rows.items()}, devices={"edge": device})


@pytest.mark.parametrize(
    ("given", "reason", "words"),
    [
        (picture({}), "Programmed", "edge"),
        (picture({GROUP: HELD}), "Held", "removal of 25"),
        (picture({LIST: QUARANTINED}), "Quarantined", "0107: no"),
        (picture({LIST: row(ObjectState.UNSUPPORTED, "no names")}), "Unsupported", "no names"),
        (picture({GROUP: row(waiting=START)}), "Pending", "on edge"),
        (picture({GROUP: row(waiting=START)}, DOWN), "DeviceUnreachable", "changes wait: timed out"),
        (picture({LIST: new(at(99))}, PLAN), "Pending", "mode: plan"),
        (picture({LIST: row(ObjectState.AWAITING_DEPLOY, verified=START)}), "AwaitingDeploy", "stored"),
        (picture({}, UNATTACHED), "NotAttached", "tmsh modify x"),
        (picture({GROUP: row(ObjectState.WITHHELD, "nobody joins")}), "Withheld", "nobody joins"),
        (picture({LIST: row(ObjectState.WITHHELD, "some line of it")}), "Programmed", "edge"),
        # The first that holds.
        (picture({LIST: QUARANTINED, GROUP: HELD}), "Quarantined", "0107"),
        (picture({LIST: HELD, GROUP: row(waiting=START)}, DOWN), "Held", "removal"),
        (picture({GROUP: row(waiting=START)}, UNATTACHED), "Pending", "not reached"),
        (picture({GROUP: row(waiting=START), LIST: row(ObjectState.AWAITING_DEPLOY)}), "Pending", "not reached"),
        (picture({LIST: row(ObjectState.AWAITING_DEPLOY)}, UNATTACHED), "AwaitingDeploy", "stored"),
    ],
)
def test_each_state(given: Picture, reason: str, words: str) -> None:
    found = given.told(now=LONG)
    programmed = condition(found, "Programmed")
    assert (programmed["reason"], programmed["status"]) == (reason, str(reason == "Programmed"))
    assert words in programmed["message"]
    assert isinstance(found.content, dict)
    assert [one["state"] for one in found.content["devices"]] == [reason]


@pytest.mark.parametrize("word", ["Unsupported", "Withheld", "NoDestination"])
def test_what_the_compiler_says_comes_first(word: str) -> None:
    given = picture({GROUP: QUARANTINED})
    given.placed[RULE] = (placed(reason=word, message="because"),)
    assert condition(given.told(), "Programmed")["reason"] == word


def test_a_lower_allow_waits_for_a_deny_that_was_refused_and_names_it() -> None:
    above = ObjectKey(Kind.RULE_LIST, "real", Scope.NAMESPACE, "shop")
    refused = ObjectKey(Kind.GROUP, "real", Scope.RULE, "shop", "no-bad")
    given = picture({refused: QUARANTINED})
    deny, allow = line("no-bad", Action.DENY, source=refused), line(RULE.name, Action.ALLOW)
    given.lists = {"edge": {above: RuleList(above, (deny,)), LIST: RuleList(LIST, (allow,))}}
    programmed = condition(given.told(), "Programmed")
    assert programmed["reason"] == "Withheld"
    assert "NamespaceEgressRule shop/no-bad takes precedence" in programmed["message"]
    other = Ref("ServiceEgressRule", "shop", "else")
    given.judged[other], given.placed[other] = judged(), (placed(),)
    assert condition(given.told(other), "Programmed")["reason"] == "Programmed"


def test_what_is_on_its_way_is_no_news_until_it_is_late() -> None:
    given = picture({LIST: new(at(10)), GROUP: new(at(10))})
    assert given.tell(now=at(11)) == Unsettled(at(13))
    assert condition(given.told(now=at(13)), "Programmed")["reason"] == "Pending"


def test_a_change_of_members_is_no_news_to_a_rule_that_stands() -> None:
    account = done(picture({}).told())
    moving = picture({GROUP: row(waiting=at(99.9)), LIST: row(ObjectState.AWAITING_DEPLOY, verified=at(99.5))})
    assert moving.told(account=account, now=LONG).after(account) is account
    late = picture({GROUP: row(waiting=at(96))})
    assert condition(late.told(account=account, now=LONG), "Programmed")["reason"] == "Pending"


def test_members_that_never_rest_do_not_keep_a_new_rule_from_being_told() -> None:
    """The version is as old as its own change: what waits since later is not of it."""
    given = picture({GROUP: row(waiting=at(99.9))})
    assert condition(given.told(now=LONG), "Programmed")["reason"] == "Programmed"
    deploying = picture({GROUP: row(ObjectState.AWAITING_DEPLOY, verified=at(99.9))})
    assert isinstance(deploying.tell(now=LONG), Unsettled)
    hurried = deploying.tell(now=LONG, hurry=True)
    assert isinstance(hurried, Telling)
    assert condition(hurried, "Programmed")["reason"] == "AwaitingDeploy"


def test_whether_a_policy_is_attached_is_asked_of_a_reading_after_the_rule_was_written() -> None:
    before = replace(UNATTACHED, last_read=at(98))
    given = picture({LIST: row(verified=at(99))}, before)
    assert given.tell(now=LONG) == Unsettled(at(102))
    assert condition(given.told(now=at(103)), "Programmed")["reason"] == "NotAttached"
    given.devices["edge"] = replace(before, last_read=at(99.5))
    assert condition(given.told(now=LONG), "Programmed")["reason"] == "NotAttached"


def test_an_edit_is_told_when_it_stands_and_says_which_generation_each_device_holds() -> None:
    account = done(picture({}).told())
    edited = picture({LIST: row(waiting=at(9))})
    edited.judged[RULE] = replace(judged(2, in_force=2), changed_at=at(9))
    assert isinstance(edited.tell(account=account, now=at(10)), Unsettled)
    late = edited.told(account=account, now=at(12))
    assert isinstance(late.content, dict)
    assert (late.content["observedGeneration"], late.content["devices"][0]["generation"]) == (2, 1)
    edited.unfinished.clear()
    stands = edited.told(account=done(late, account), now=at(20))
    assert isinstance(stands.content, dict)
    assert stands.content["devices"][0]["generation"] == 2


def test_a_rejected_edit_leaves_the_older_version_in_force() -> None:
    given = picture({})
    given.judged[RULE] = judged(2, in_force=1, reason="Invalid", message="spec.to: no")
    found = given.told()
    assert condition(found, "Accepted")["status"] == "False"
    assert condition(found, "Programmed")["status"] == "True"
    assert condition(found, "Programmed")["message"].startswith("of generation 1, which stays in force: ")


@pytest.mark.parametrize(
    ("kind", "in_force", "reason"),
    [
        ("ServiceEgressRule", None, "NotAccepted"),
        ("ServiceEgressRule", 1, "NoDevice"),
        ("AddressGroup", 1, "NoDevice"),
        ("ExternalService", 1, "NotUsed"),
        ("ClusterExternalService", 1, "NotUsed"),
    ],
)
def test_on_no_device(kind: str, in_force: int | None, reason: str) -> None:
    ref = Ref(kind, "shop", "one")
    found = Picture(judged={ref: judged(in_force=in_force)}, placed={}).told(ref)
    assert condition(found, "Programmed")["reason"] == reason


def test_of_several_devices_the_gravest_is_named_and_all_are_told() -> None:
    given = Picture(unfinished={("west", LIST): QUARANTINED}, devices={"edge": UNATTACHED, "west": EDGE, "east": EDGE})
    given.placed[RULE] = (placed(), placed(device="west"), placed(device="east"))
    found = given.told(now=LONG)
    programmed = condition(found, "Programmed")
    assert programmed["reason"] == "Quarantined"
    assert "on west: " in programmed["message"]
    assert "on edge: " in programmed["message"]
    assert isinstance(found.content, dict)
    assert {one["name"]: one["state"] for one in found.content["devices"]} == {
        "east": "Programmed",
        "edge": "NotAttached",
        "west": "Quarantined",
    }


# Each of these makes one thing true, whatever was before; together they end in one state, in whatever order they come.
def _list_stands(given: Picture) -> None:
    given.unfinished.pop(("edge", LIST), None)


def _group_refused(given: Picture) -> None:
    given.unfinished["edge", GROUP] = QUARANTINED


def _attached(given: Picture) -> None:
    given.devices["edge"] = EDGE


def _edit_rejected(given: Picture) -> None:
    given.judged[RULE] = judged(2, in_force=1, reason="Invalid", message="spec.to: no")


def _second_device(given: Picture) -> None:
    given.placed[RULE] = (placed(), placed(device="west"))


EVENTS: tuple[Callable[[Picture], None], ...] = (
    _list_stands,
    _group_refused,
    _attached,
    _edit_rejected,
    _second_device,
)


@pytest.mark.parametrize(
    "order", list(permutations(EVENTS)), ids=lambda order: "".join(one.__name__[1] for one in order)
)
def test_any_order_ends_alike(order: tuple[Callable[[Picture], None], ...]) -> None:
    """Whoever looked in between was told the truth of that moment, and in the end all are told the same."""
    for looks in product((False, True), repeat=len(order)):
        given, account, now = picture({LIST: new(), GROUP: new()}, UNATTACHED), None, 0.0
        for event, look in zip(order, looks, strict=True):
            event(given)
            now += 10
            if look:
                account = done(given.told(account=account, now=at(now)), account)
                unfinished = bool(given.unfinished) or given.devices["edge"] is UNATTACHED
                assert (condition(account, "Programmed")["status"] == "False") == unfinished
        assert _timeless(done(given.told(account=account, now=at(100)), account)) == _FINAL


def _timeless(account: Account) -> object:
    content = account.body.content
    assert isinstance(content, dict)
    conditions = [{name: value for name, value in one.items() if "Time" not in name} for one in content["conditions"]]
    devices = [{name: value for name, value in one.items() if name != "generation"} for one in content["devices"]]
    return conditions, devices, account.body.marks


def _final() -> object:
    given = picture({LIST: new(), GROUP: new()}, UNATTACHED)
    for event in EVENTS:
        event(given)
    return _timeless(done(given.told(now=at(100))))


_FINAL = _final()
