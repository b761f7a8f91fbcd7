"""Ends of lines as schedules of FortiOS: in its own time, ours by name and content, and nobody else's."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from adapters.conformance.bench import DEVICE, FENCE
from adapters.conformance.site import CART, LATE, LATER, SOURCES, Site, Terms, line, objects
from adapters.fortigate import FortigateAdapter, factory, schedules, wire
from adapters.fortigate.canonical import UNUSED
from adapters.fortigate.client import Client
from bridge.errors import Busy, Denied, NotOwned, Unsupported
from bridge.lab.devices.fortigate import FortiError
from bridge.lab.devices.fortigate.tokens import FULL
from bridge.lab.devices.fortigate.values import instant
from bridge.model.examination import Condition
from bridge.model.intent import EVERYTHING, Group, Intent, Schedule
from bridge.model.plan import Plan
from bridge.model.policy import Protocol
from bridge.model.schedules import schedule_after, until_of
from bridge.policy.diff import diff, plan
from bridge.policy.evaluate import Packet, Verdict
from tests.adapters.fortigate.rig import ANCHOR, SITE, ZONE, Rig, fortigate_rig

TABLE, POLICY = schedules.SCHEDULE, "firewall/policy"
BERLIN = ZoneInfo(ZONE)
NAME, OTHER = "fb_ends-20360504-1231", "fb_ends-20360525-1231"
"""What LATE and LATER are in Berlin, which is two hours ahead of UTC then."""


@pytest.fixture(scope="module")
def lent() -> Iterator[Rig]:
    with fortigate_rig(tls=False) as rig:
        yield rig


@pytest.fixture
def rig(lent: Rig) -> Iterator[Rig]:
    lent.reset()
    yield lent
    grant(lent, FULL["fwgrp.schedule"])


def grant(rig: Rig, right: str) -> None:
    """What the token may do with schedules."""
    for user in rig.device.tokens.users():
        user.areas = {**user.areas, "fwgrp.schedule": right}


@pytest.fixture
def adapter(rig: Rig) -> Iterator[FortigateAdapter]:
    opened = factory.open(rig.config())
    opened.raise_fence(FENCE)
    yield opened
    opened.close()


def other(rig: Rig, **scope: object) -> FortigateAdapter:
    """An adapter for the same box with other settings; those that are None are left out."""
    config = rig.config()
    given = {name: value for name, value in {**config.scope, **scope}.items() if value is not None}
    return factory.open(replace(config, scope=given))


def site(adapter: FortigateAdapter, end: Schedule | None = LATE) -> Site:
    """One line, which ends by itself."""
    pay = line("pay", protocol=Protocol.TCP, schedule=end.key if end else None)
    return Terms.of(adapter.capabilities).shop(SOURCES[0], lines=[pay], more=[end] if end else [])


def planned(adapter: FortigateAdapter, wanted: Site) -> Plan:
    have = adapter.read(EVERYTHING).objects
    steps = diff(have, Intent(DEVICE, adapter.normalize(Intent(DEVICE, wanted))))
    return plan(DEVICE, steps, have, adapter.capabilities, adapter.limits)


def reconcile(adapter: FortigateAdapter, wanted: Site) -> None:
    adapter.apply(planned(adapter, wanted), FENCE)
    assert planned(adapter, wanted).empty


def held(rig: Rig) -> dict[str, str]:
    """The ends of the box's schedules, by name."""
    return {name: str(one["end"]) for name, one in rig.device.objects(TABLE).items()}


def named(rig: Rig) -> list[tuple[str, str]]:
    """The schedules of our lines, and what becomes of open flows when those end."""
    ours = [one for one in rig.device.objects(POLICY).values() if "|" in one["comments"]]
    return [(one["schedule"], one["schedule-timeout"]) for one in ours]


# ---- in the unit's own time


def test_no_end_comes_too_soon_where_clocks_go_back() -> None:
    """At 03:00 of that night they show 02:00 again, and the box takes the first of two moments that look alike."""
    night = datetime(2026, 10, 24, 23, tzinfo=UTC)
    words = {minute: schedules.word(night + timedelta(minutes=minute), BERLIN) for minute in range(240)}
    late = {minute: _ends(word) - (night + timedelta(minutes=minute)).timestamp() for minute, word in words.items()}
    assert [minute for minute, seconds in late.items() if seconds] == list(range(120, 180))
    assert all(0 <= seconds <= 3600 for seconds in late.values())
    assert (words[90], words[150], words[180]) == ("ends-20261025-0230", "ends-20261025-0300", "ends-20261025-0300")


def test_clocks_that_go_forward_skip_nothing_of_ours() -> None:
    night = datetime(2027, 3, 28, tzinfo=UTC)
    for minute in range(180):
        moment = night + timedelta(minutes=minute)
        assert _ends(schedules.word(moment, BERLIN)) == moment.timestamp()


def _ends(word: str) -> float:
    return instant(str(schedules.body(word)["end"]), BERLIN)


def test_what_is_read_is_what_was_written_and_nothing_else() -> None:
    body = schedules.body("ends-20360504-1231")
    good = wire.Onetime(NAME, str(body["start"]), str(body["end"]))
    assert schedules.read(good) == "ends-20360504-1231"
    for start, end in [
        ("00:00 2001/01/02", good.end),
        (good.start, "12:31 2036/5/4"),
        (good.start, ""),
        ("", good.end),
    ]:
        assert schedules.read(wire.Onetime(NAME, start, end)) == ""
    assert until_of(LATE.key) == LATE.until
    with pytest.raises(ValueError, match="does not match"):
        until_of(replace(LATE.key, name="some-day"))


def test_the_longest_name_is_one_that_fortios_takes(rig: Rig) -> None:
    rig.device.put_object(TABLE, {"name": f"{'o' * 12}_ends-20360504-1231", **schedules.body("ends-20360504-1231")})
    with pytest.raises(FortiError):
        rig.device.put_object(TABLE, {"name": "o" * 32, **schedules.body("ends-20360504-1231")})


def test_another_zone_in_the_settings_moves_the_end(rig: Rig, adapter: FortigateAdapter) -> None:
    reconcile(adapter, site(adapter))
    assert held(rig) == {NAME: "12:31 2036/05/04"}
    assert named(rig) == [(NAME, "enable")]
    corrected = other(rig, schedules={"timeZone": "UTC"})
    reconcile(corrected, site(corrected))
    assert held(rig) == {"fb_ends-20360504-1031": "10:31 2036/05/04"}
    corrected.close()


# ---- ours and theirs


def test_a_schedule_of_somebody_under_our_name_is_left_and_the_line_refused(
    rig: Rig, adapter: FortigateAdapter
) -> None:
    theirs = {"name": NAME, "start": "00:00 2001/01/01", "end": "00:00 2037/01/01"}
    rig.device.put_object(TABLE, theirs)
    with pytest.raises(NotOwned) as refused:
        reconcile(adapter, site(adapter))
    assert [text.partition(":")[0] for text in refused.value.objects] == ["rules"]
    assert f"{TABLE} {NAME}" in {one.name for one in adapter.read(EVERYTHING).foreign}
    reconcile(adapter, site(adapter, LATER))
    assert held(rig) == {NAME: theirs["end"], OTHER: "12:31 2036/05/25"}
    rig.device.delete_object(f"{TABLE}/{NAME}")
    reconcile(adapter, site(adapter))


def test_one_of_another_kind_under_our_name_is_told(rig: Rig, adapter: FortigateAdapter) -> None:
    rig.device.put_object("firewall.schedule/recurring", {"name": NAME, "day": "monday"})
    with pytest.raises(NotOwned, match=NAME):
        reconcile(adapter, site(adapter))


def test_one_that_somebody_put_off_is_seen_and_left(rig: Rig, adapter: FortigateAdapter) -> None:
    reconcile(adapter, site(adapter))
    rig.device.change_object(f"{TABLE}/{NAME}", {"end": "12:31 2037/05/04"})
    assert not planned(adapter, site(adapter)).empty
    with pytest.raises(NotOwned):
        reconcile(adapter, site(adapter))
    assert held(rig) == {NAME: "12:31 2037/05/04"}
    rig.device.change_object(f"{TABLE}/{NAME}", {"end": "12:31 2036/05/04"})
    assert planned(adapter, site(adapter)).empty


def test_a_line_that_somebody_gave_another_schedule_is_put_right(rig: Rig, adapter: FortigateAdapter) -> None:
    reconcile(adapter, site(adapter))
    number = next(number for number, one in rig.device.objects(POLICY).items() if one["schedule"] == NAME)
    rig.device.change_object(f"{POLICY}/{number}", {"schedule": "always"})
    reconcile(adapter, site(adapter))
    assert named(rig) == [(NAME, "enable")]
    reconcile(adapter, site(adapter, None))
    assert (held(rig), named(rig)) == ({}, [("always", "disable")])


def test_one_that_changed_since_it_was_read_is_not_deleted(rig: Rig, adapter: FortigateAdapter) -> None:
    reconcile(adapter, site(adapter))
    made = planned(adapter, {})
    rig.device.change_object(f"{TABLE}/{NAME}", {"end": "12:31 2037/05/04"})
    with pytest.raises(NotOwned):
        adapter.apply(made, FENCE)
    assert held(rig) == {NAME: "12:31 2037/05/04"}


def test_one_that_people_use_stays(rig: Rig, adapter: FortigateAdapter) -> None:
    reconcile(adapter, site(adapter))
    rig.device.put_object("firewall.schedule/group", {"name": "theirs", "member": [{"name": NAME}]})
    reconcile(adapter, {})
    assert held(rig) == {NAME: "12:31 2036/05/04"}


def test_two_lines_share_one_and_the_last_takes_it_away(rig: Rig, adapter: FortigateAdapter) -> None:
    """Whatever cluster asks for it: the line tells which of the bridge's schedules it is."""
    test = Schedule(replace(LATE.key, cluster="test"), LATE.until)
    lines = [
        line("pay", protocol=Protocol.TCP, schedule=LATE.key),
        line("look", protocol=Protocol.UDP, schedule=test.key),
    ]
    terms = Terms.of(adapter.capabilities)
    reconcile(adapter, terms.shop(SOURCES[0], lines=lines, more=[LATE, test]))
    assert (held(rig), len(named(rig))) == ({NAME: "12:31 2036/05/04"}, 2)
    reconcile(adapter, terms.shop(SOURCES[0], lines=lines[1:], more=[test]))
    assert held(rig) == {NAME: "12:31 2036/05/04"}
    reconcile(adapter, terms.shop(SOURCES[0]))
    assert held(rig) == {}


# ---- how it is written


def test_what_an_interrupted_change_left_is_taken_away(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = other(rig, transactions=False)
    alone.raise_fence(FENCE)
    write = Client.write

    def stopped(self: Client, method: str, path: str, *rest: Any) -> wire.Answer:  # noqa: ANN401
        if path == f"cmdb/{POLICY}" and NAME in held(rig):
            raise Busy("edge", "stopped")
        return write(self, method, path, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(Client, "write", stopped)
        with pytest.raises(Busy):
            reconcile(alone, site(alone))
    assert held(rig) == {NAME: "12:31 2036/05/04"}
    assert named(rig) == []
    assert f"{TABLE} {NAME}" in getattr(alone.read(EVERYTHING).objects[UNUSED], "fqdns", ())
    reconcile(alone, objects(Group(CART, frozenset({SOURCES[0]}))))
    assert held(rig) == {}
    alone.close()


@pytest.mark.parametrize("transactions", [True, False])
def test_ends_that_change_open_nothing(rig: Rig, transactions: bool) -> None:
    box = other(rig, transactions=transactions)
    box.raise_fence(FENCE)
    packet, moments = Packet(SOURCES[0], "198.51.100.1", Protocol.TCP, 443), [LATE.until, LATER.until]
    reconcile(box, site(box))
    for end in (LATER, None, LATE, LATER):
        first = len(rig.moments()) - 1
        reconcile(box, site(box, end))
        for moment in moments:
            told = [one.verdict(packet, moment.timestamp()) is Verdict.ALLOW for one in rig.moments()[first:]]
            assert not any(told) or told[0] or told[-1]
    box.close()


# ---- where there are none


def test_without_the_setting_there_are_none_and_old_ones_go(rig: Rig, adapter: FortigateAdapter) -> None:
    reconcile(adapter, site(adapter))
    plain = other(rig, schedules=None)
    assert not plain.capabilities.schedules
    with pytest.raises(Unsupported):
        plain.normalize(Intent(DEVICE, site(adapter)))
    reconcile(plain, site(plain, None))
    assert (held(rig), named(rig)) == ({}, [("always", "disable")])
    grant(rig, "none")
    assert planned(plain, site(plain, None)).empty
    with pytest.raises(Denied):
        adapter.read(EVERYTHING)
    plain.close()


def test_where_people_write_the_policies_there_are_none(rig: Rig) -> None:
    groups = other(rig, mode="groups", policies=None)
    assert not groups.capabilities.schedules
    with pytest.raises(Unsupported, match="ends no line by itself"):
        groups.normalize(Intent(DEVICE, objects(LATE)))
    groups.close()


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ({"schedules": {"timeZone": "Europe/Atlantis"}}, "scope.schedules"),
        ({"schedules": {"timeZone": "../etc/passwd"}}, "scope.schedules"),
        ({"schedules": {"timeZone": ""}}, "scope.schedules"),
        ({"schedules": {"timeZone": 26}}, "scope.schedules"),
        ({"schedules": {}}, "scope.schedules"),
        ({"schedules": {"timeZone": "UTC", "more": 1}}, "scope.schedules"),
        ({"policies": {"before": ANCHOR, "template": {"schedule": "working hours"}}}, "scope.schedules"),
        ({"schedules": {"timeZone": "America/St_Johns"}}, ""),
        ({"schedules": {"timeZone": "UTC"}}, ""),
    ],
)
def test_settings(rig: Rig, given: Mapping[str, Any], path: str) -> None:
    config = rig.config()
    found = factory.problems(replace(config, scope={**config.scope, **given}))
    assert list(found) == ([path] if path else [])


def test_a_look_tells_of_the_time_and_of_the_right_that_is_missing(rig: Rig, adapter: FortigateAdapter) -> None:
    def told(subject: str) -> Condition:
        return next(one.condition for one in adapter.examine() if one.subject == subject)

    assert (told("time zone"), told("reading")) == (Condition.OK, Condition.OK)
    for zone, condition in [("Europe/Paris", Condition.OK), ("US/Pacific", Condition.ERROR), ("26", Condition.WARNING)]:
        rig.device.change_object("system/global", {"timezone": zone})
        assert told("time zone") is condition
    grant(rig, "none")
    assert told("reading") is Condition.ERROR


def test_the_box_takes_no_schedule_that_is_none(rig: Rig) -> None:
    """What a line names must be there, and what is named must stay."""
    put, body = rig.device.put_object, schedules.body("ends-20360504-1231")
    put(TABLE, {"name": "ours", **body})
    sides = {side: [{"name": "none"}] for side in ("srcaddr", "dstaddr")}
    put(POLICY, {**SITE, **sides, "policyid": 700, "schedule": "ours"})
    wrong = [{"end": "12:31 2000/05/04"}, {"end": "24:31 2036/05/04"}, {"end": "12:31 2036/02/30"}]
    for path, given in [
        (POLICY, {**SITE, **sides, "policyid": 701, "schedule": "nobody's"}),
        *((TABLE, {"name": "x", **body, **one}) for one in wrong),
    ]:
        with pytest.raises(FortiError):
            put(path, given)
    with pytest.raises(FortiError):
        rig.device.delete_object(f"{TABLE}/ours")


def test_the_last_minute_of_a_year_is_over_in_the_next() -> None:
    over = schedule_after("prod", datetime(2026, 12, 31, 22, 59, 1, tzinfo=UTC))
    assert schedules.word(over.until, BERLIN) == "ends-20270101-0001"
