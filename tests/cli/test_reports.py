"""`report` and its commands: made, written, kept, shown, compared; and what is due on a schedule."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bridge.cli.adapters import InstalledAdapters
from bridge.cli.fresh import Fresh
from bridge.cli.reporting import keep_of_schedule
from bridge.model.policy import Tier
from bridge.settings import load
from bridge.settings.schedule import cron, last_due
from bridge.state.database import Database
from bridge.state.desired import DeviceHealth
from bridge.state.report_archive import ReportArchive
from bridge.state.report_store import ReportStore
from tests.cli.program import Answer, run
from tests.cli.site import SOURCE, Site


def report(site: Site, *words: str) -> Answer:
    """`report` with these words."""
    return run("report", *words, "--config", site.config)


@pytest.fixture
def delivered(site: Site) -> Site:
    """A device in step."""
    site.desire("10.64.0.1", "10.64.0.2")
    site.deliver()
    return site


def test_kept_listed_shown_and_compared(delivered: Site) -> None:
    assert report(delivered, "--keep").out.splitlines()[-2].startswith("kept as report 1, asked, as of ")
    delivered.join("10.64.0.3")
    delivered.deliver()
    second = report(delivered, "edge", "--keep", "--output", "json")
    assert (second.code, second.json["number"], second.json["byDevice"][0]["since"]["number"]) == (0, 2, 1)
    listed = report(delivered, "list")
    assert [line.split()[0] for line in listed.out.splitlines()[2:4]] == ["2", "1"]
    assert listed.out.splitlines()[1].split() == [
        "NUMBER",
        "TIME",
        "ORIGIN",
        "DEVICES",
        "MISSING",
        "EXTRA",
        "HELD",
        "DRIFT",
        "IN",
        "STEP",
    ]
    assert report(delivered, "list", "--limit", "1", "--output", "json").json["reports"][0]["number"] == 2
    shown = report(delivered, "show", "2", "--output", "json")
    assert shown.json == second.json
    assert "10.64.0.3" in report(delivered, "show", "2", "--format", "csv").out
    different = report(delivered, "--diff", "previous", "last")
    assert different.code == 1
    assert f"{SOURCE}  10.64.0.3  -" in different.out
    assert report(delivered, "--diff", "1", "2", "--output", "json", "edge").code == 1
    same = report(delivered, "--diff", "last", "now")
    assert (same.code, "no difference between report 2" in same.out) == (0, True), same.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("show", "7"), "no report of that number"),
        (("--diff", "last", "now"), "there is no last report"),
        (("--diff", "1", "now"), "no report of that number"),
        (("--diff", "yesterday", "now"), "no number, nor last, previous or now"),
        (("--diff", "1", "2", "--format", "html"), "text or json"),
        (("--", "list"), "list: no such device; there are edge"),
        (("edge", "list"), "list: no such device; there are edge"),
    ],
)
def test_what_is_not_there(delivered: Site, words: tuple[str, ...], message: str) -> None:
    answer = run("--config", delivered.config, "report", *words)
    assert (answer.code, message in answer.err) == (2, True), answer.err


def test_every_rendering_to_a_file_or_not(delivered: Site, tmp_path: Path) -> None:
    for word, begin in (("text", "Devices"), ("json", "{"), ("csv", "device,cluster,"), ("html", "<!doctype html>")):
        assert report(delivered, "--format", word).out.startswith(begin)
        said = report(delivered, "--objects", "--format", word, "--out", str(tmp_path / word))
        assert said.out.splitlines()[0] == f"report: {tmp_path / word}"
        assert (tmp_path / word).read_text().startswith(begin)
    assert report(delivered, "--output", "json", "--out", str(tmp_path / "more")).out == ""
    assert json.loads((tmp_path / "more").read_text())["inStep"]
    nowhere = report(delivered, "--keep", "--out", str(tmp_path / "no" / "where"))
    assert (nowhere.code, "there is no folder" in nowhere.err) == (2, True), nowhere.err
    assert report(delivered, "list", "--output", "json").json["reports"] == [], "found before anything is kept"


def test_members_with_whom_they_stand_for(delivered: Site) -> None:
    text = report(delivered, "--members").out
    assert any(line.split() == [str(SOURCE), "10.64.0.1", "-", "-", "ok"] for line in text.splitlines())


def test_a_device_that_does_not_answer_is_told_from_the_record(delivered: Site) -> None:
    delivered.bigip.stop()
    found = report(delivered, "--keep", "--output", "json")
    assert found.code == 1
    device = found.json["byDevice"][0]
    assert (device["state"], device["error"] != "", device["audit"]["number"] > 0) == ("ok", True, True)
    assert "could not be compared" in report(delivered, "--format", "html").out


def test_status_says_what_is_not_attached_and_since_when(delivered: Site, database: Database) -> None:
    (device,) = ReportStore(database).devices()
    delivered.stores.delivery.record_health("edge", replace(device.health, attached={Tier.SERVICE: False}))
    said = run("status", "--config", delivered.config)
    assert (said.code, "ok, not attached: service" in said.out) == (0, True), said.out
    (row,) = [line for line in said.out.splitlines() if line.startswith("edge")]
    assert re.search(r" \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$", row), row


def test_a_device_is_named_once(delivered: Site) -> None:
    delivered.stores.delivery.record_health("edge", DeviceHealth("unreachable", "edge: no answer"))
    assert "unreachable: no answer" in run("status", "--config", delivered.config).out
    delivered.bigip.stop()
    planned = run("plan", "--config", delivered.config)
    assert (planned.code, planned.err.count("edge: ")) == (1, 1), planned.err
    told = report(delivered).out.splitlines()
    assert told[2].split()[:3] == ["edge", "bigip", "unreadable"]
    assert any(re.match("not compared +no answer", line) for line in told), told


@pytest.mark.parametrize(("drift", "code"), [(True, 1), (False, 0)])
def test_a_fresh_report_is_of_the_time_after_the_repair(
    delivered: Site, database: Database, monkeypatch: pytest.MonkeyPatch, drift: bool, code: int
) -> None:
    delivered.join("10.64.0.3")

    def read_now(_: Database, devices: tuple[str, ...]) -> tuple[Fresh, ...]:
        assert devices == ("edge",)
        delivered.deliver()
        found = ReportStore(database).audit("edge", 1) if drift else ()
        return (Fresh("edge", read=True, drift=found),)

    monkeypatch.setattr("bridge.cli.fresh.read_now", read_now)
    found = report(delivered, "--fresh", "--output", "json")
    assert (found.json["inStep"], found.json["missing"], found.code) == (True, 0, code)


def test_a_device_that_was_not_read_is_told_as_it_was_found(delivered: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    delivered.join("10.64.0.3")
    monkeypatch.setattr("bridge.cli.fresh.read_now", lambda *_: (Fresh("edge", read=False, why="nobody has it"),))
    found = report(delivered, "--fresh", "--output", "json")
    assert (found.json["missing"], found.code, found.err.strip()) == (1, 1, "edge: nobody has it")


def test_one_report_for_each_time_of_the_schedule(delivered: Site, database: Database) -> None:
    settings = load(delivered.config, InstalledAdapters())
    keep_of_schedule(settings, database, "* * * * *")
    first = ReportArchive(database).kept()
    with ReportArchive(database).slot(first[0].slot or first[0].at) as ours:
        assert not ours, "it has its report"
    assert [(one.origin, one.slot is not None) for one in first] == [("scheduled", True)]


def test_a_schedule_that_fails_ends_nothing(delivered: Site, database: Database) -> None:
    settings = load(delivered.config, InstalledAdapters())
    database.close()
    with database.transaction() as connection:
        connection.execute("ALTER TABLE report RENAME TO gone")
    keep_of_schedule(settings, database, "* * * * *")


def at(text: str) -> datetime:
    """A time in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("schedule", "now", "due"),
    [
        ("0 6 * * *", "2026-03-01T06:00:00.250", "2026-03-01T06:00:00"),
        ("0 6 * * *", "2026-03-01T05:59:55", "2026-03-01T06:00:00"),
        ("0 6 * * *", "2026-03-01T06:40:00", "2026-03-01T06:00:00"),
        ("0 6 * * *", "2026-03-01T09:00:00", "2026-03-01T09:00:00"),
        ("*/5 * * * *", "2026-03-01T09:07:00", "2026-03-01T09:05:00"),
    ],
)
def test_what_is_due(schedule: str, now: str, due: str) -> None:
    assert last_due(schedule, at(now)) == at(due)


def test_schedules_in_one_form() -> None:
    assert (cron(" 0  6 * * mon-fri "), cron("none"), cron(None)) == ("0 6 * * mon-fri", None, None)
