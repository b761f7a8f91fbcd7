"""Schedules on the simulated BIG-IP: what is taken and refused, and bigrest, a client of others, that reads and writes them."""

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from bridge.lab.devices.bigip import Bigip, Packet
from tests.lab.devices.conftest import FIREWALL, Untyped

SCHEDULES = f"{FIREWALL}/schedule"
RULES = f"{FIREWALL}/policy/~Common~p/rules"
UNTIL = "2036-05-04T10:31:00Z"
END = datetime(2036, 5, 4, 10, 31, tzinfo=UTC).timestamp()
DAY = 86_400


def at(hour: int, minute: int = 0) -> float:
    """On a Monday."""
    return datetime(2036, 5, 5, hour, minute, tzinfo=UTC).timestamp()


def with_rule(device: Bigip, **schedule: Any) -> None:  # noqa: ANN401
    """One rule that drops everything while the schedule is in force."""
    device.put_object("security/firewall/schedule", {"name": "s", "partition": "Common", **schedule})
    device.put_object("security/firewall/policy", {"name": "p", "partition": "Common"})
    rule = {"name": "r", "action": "drop", "status": "scheduled", "schedule": "/Common/s", "placeAfter": "last"}
    device.put_object("security/firewall/policy/~Common~p/rules", rule)
    device.change_object("security/firewall/global-rules", {"enforcedPolicy": "/Common/p"})


def drops(device: Bigip, second: float) -> bool:
    return not device.judge(Packet("10.0.0.1", "198.51.100.1"), at=second).allowed


def test_bigrest_writes_reads_changes_and_deletes_one(device: Bigip, rest: Untyped) -> None:
    made = rest.create(SCHEDULES, {"name": "s", "partition": "Common", "subPath": "fb", "dateValidEnd": UNTIL})
    assert made.properties["kind"] == "tm:security:firewall:schedule:schedulestate"
    assert made.properties["dateValidStart"] == "epoch"
    loaded = rest.load(f"{SCHEDULES}/~Common~fb~s")
    assert loaded.properties["dateValidEnd"] == UNTIL
    assert (loaded.properties["dailyHourStart"], loaded.properties["dailyHourEnd"]) == ("0:00", "24:00")
    loaded.properties["daysOfWeek"] = ["sunday"]
    loaded.properties["dateValidEnd"] = "indefinite"
    rest.save(loaded)
    (shown,) = device.objects("security/firewall/schedule").values()
    assert (shown["daysOfWeek"], shown["dateValidEnd"]) == (["sunday"], "indefinite")
    rest.create(f"{FIREWALL}/rule-list", {"name": "rl", "partition": "Common", "subPath": "fb"})
    rule = {"name": "r", "action": "accept", "place-after": "last", "status": "scheduled", "schedule": "/Common/fb/s"}
    held = rest.create(f"{FIREWALL}/rule-list/~Common~fb~rl/rules", rule)
    assert (held.properties["status"], held.properties["schedule"]) == ("scheduled", "/Common/fb/s")
    rest.modify(f"{FIREWALL}/rule-list/~Common~fb~rl/rules/r", {"status": "enabled", "schedule": "none"})
    rest.delete(f"{SCHEDULES}/~Common~fb~s")
    assert not rest.exist(f"{SCHEDULES}/~Common~fb~s")


def test_a_rule_counts_until_the_end_and_not_at_it(device: Bigip) -> None:
    with_rule(device, dateValidEnd=UNTIL)
    seconds = (END - DAY, END - 1, END, END + DAY)
    assert [drops(device, second) for second in seconds] == [True, True, False, False]


def test_a_rule_counts_from_the_start_on_the_days_and_in_the_hours(device: Bigip) -> None:
    week = {"daysOfWeek": ["monday"], "dailyHourStart": "8:00", "dailyHourEnd": "18:00"}
    with_rule(device, dateValidStart="2036-05-01T00:00:00Z", **week)
    seconds = (at(7, 59), at(8), at(17, 59), at(18), at(12) + DAY, at(12) + 7 * DAY, at(12) - 7 * DAY)
    assert [drops(device, second) for second in seconds] == [False, True, True, False, False, True, False]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"dateValidEnd": "2036-05-04:10:31:00"}, "dateValidEnd"),
        ({"dateValidEnd": "2036-05-04T10:31:00+02:00"}, "dateValidEnd"),
        ({"dateValidEnd": "2036-02-30T10:31:00Z"}, "dateValidEnd"),
        ({"dateValidEnd": "2038-01-19T03:14:08Z"}, "dateValidEnd"),
        ({"dateValidEnd": 2_100_000_000}, "dateValidEnd"),
        ({"dateValidStart": "now"}, "dateValidStart"),
        ({"dateValidStart": UNTIL, "dateValidEnd": UNTIL}, "later than dateValidStart"),
        ({"dateValidStart": "indefinite"}, "later than dateValidStart"),
        ({"dailyHourStart": "18:00", "dailyHourEnd": "8:00"}, "later than dailyHourStart"),
        ({"dailyHourEnd": "24:01"}, "dailyHourEnd"),
        ({"dailyHourStart": "8"}, "dailyHourStart"),
        ({"daysOfWeek": []}, "daysOfWeek"),
        ({"daysOfWeek": ["someday"]}, "daysOfWeek"),
        ({"daysOfWeek": ["monday", "monday"]}, "daysOfWeek"),
        ({"timeZone": "UTC"}, "unknown property"),
    ],
)
def test_a_schedule_that_makes_no_sense_is_refused(
    device: Bigip, http: httpx.Client, body: dict[str, Any], words: str
) -> None:
    answer = http.post(SCHEDULES, json={"name": "s", "partition": "Common", **body})
    assert (answer.status_code, words in answer.json()["message"]) == (400, True), answer.text
    assert device.objects("security/firewall/schedule") == {}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"status": "scheduled"}, "go together"),
        ({"status": "enabled", "schedule": "/Common/s"}, "go together"),
        ({"status": "scheduled", "schedule": "/Common/nowhere"}, "do not point at an item"),
        ({"status": "later", "schedule": "/Common/s"}, "status"),
    ],
)
def test_a_rule_and_its_schedule_go_together(
    device: Bigip, http: httpx.Client, body: dict[str, str], words: str
) -> None:
    with_rule(device)
    answer = http.patch(f"{RULES}/r", json=body | ({} if "schedule" in body else {"schedule": "none"}))
    assert (answer.status_code, words in answer.json()["message"]) == (400, True), answer.text


def test_one_that_is_in_use_stays(device: Bigip, http: httpx.Client) -> None:
    with_rule(device)
    refused = http.delete(f"{SCHEDULES}/~Common~s")
    assert (refused.status_code, "in use" in refused.json()["message"]) == (400, True)
    assert http.patch(f"{RULES}/r", json={"status": "disabled", "schedule": "none"}).status_code == 200
    assert http.delete(f"{SCHEDULES}/~Common~s").status_code == 200


def test_a_person_compiles_or_rules_end_by_themselves_and_not_both(device: Bigip, http: httpx.Client) -> None:
    with_rule(device)
    manual = http.post("/__lab/settings", json={"manualCompile": True})
    assert (manual.status_code, "manual" in manual.json()["message"]) == (400, True)
    rule = http.get(f"{RULES}/r").json()
    assert http.patch(f"{RULES}/r", json={"status": "enabled", "schedule": "none"}).status_code == 200
    assert http.post("/__lab/settings", json={"manualCompile": True}).status_code == 200
    again = http.patch(f"{RULES}/r", json={"status": rule["status"], "schedule": rule["schedule"]})
    assert (again.status_code, "manual" in again.json()["message"]) == (400, True)
