"""Rules that end by themselves on the device: schedules written, read back, put right and taken away, and what is refused."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from adapters.bigip import BigipAdapter, factory
from bridge.errors import Drifted, Rejected, Unsupported
from bridge.lab.devices.bigip import Bigip, Packet
from bridge.lab.devices.bigip.answers import ApiError
from bridge.model.examination import Condition, Finding
from bridge.model.identity import ObjectKey
from bridge.model.intent import EVERYTHING, DeviceObject, Policy, ReadScope, RuleEntry, RuleList, Schedule
from bridge.model.policy import Action, Protocol
from bridge.model.schedules import schedule_after
from tests.adapters.bigip.site import (
    BANK,
    CART,
    FENCE,
    FOLDER,
    HTTPS,
    SERVICES,
    SHOP,
    config,
    line,
    open_adapter,
    planned,
    reconcile,
    shop,
    wanted,
)

KIND = "security/firewall/schedule"
VIRTUAL = "/Common/egress"
ON = {"schedules": True}
ATTACH = {"mode": "ifEmpty", "service": {"virtualServer": VIRTUAL}}
LATE = schedule_after("prod", datetime(2036, 5, 4, 10, 30, tzinfo=UTC))
LATER = schedule_after("prod", datetime(2036, 5, 25, 10, 30, tzinfo=UTC))
PATH = f"{FOLDER}/fb_prod_builtin__until.2036-05-04.10.31z"
REST = f"{KIND}/{PATH.replace('/', '~')}"
RULE = "security/firewall/rule-list/~Common~fb~fb_prod_service_shop/rules/pay"
Site = dict[ObjectKey, DeviceObject]


@pytest.fixture
def adapter(device: Bigip) -> BigipAdapter:
    device.put_object("ltm/virtual", {"name": VIRTUAL, "destination": "0.0.0.0:0", "mask": "any"})
    return open_adapter(device, scope=ON, attach=ATTACH)


def site(schedule: Schedule | None = LATE) -> Site:
    """A shop that may pay until then."""
    key = schedule.key if schedule else None
    entry = RuleEntry("pay", Action.ALLOW, (CART,), (BANK,), Protocol.TCP, HTTPS, schedule=key)
    return shop("10.0.0.1", lines=[entry], extra=[schedule] if schedule else [])


def rule(device: Bigip) -> Mapping[str, Any]:
    (listed,) = device.objects("security/firewall/rule-list").values()
    found: Mapping[str, Any] = listed["rulesReference"]["items"][0]
    return found


def paths(device: Bigip) -> set[str]:
    return set(device.objects(KIND))


def holds(adapter: BigipAdapter, state: Site) -> bool:
    return planned(adapter, adapter.read(EVERYTHING).objects, wanted(adapter, state)).empty


def test_how_it_stands_on_the_device(device: Bigip, adapter: BigipAdapter) -> None:
    reconcile(adapter, site())
    (shown,) = device.objects(KIND).values()
    assert shown["fullPath"] == PATH
    assert shown["description"] == f"fb:fb:{LATE.key}"
    assert shown["dateValidEnd"] == "2036-05-04T10:31:00Z"
    assert (shown["dateValidStart"], shown["dailyHourStart"], shown["dailyHourEnd"]) == ("epoch", "0:00", "24:00")
    assert len(shown["daysOfWeek"]) == 7
    assert (rule(device)["status"], rule(device)["schedule"]) == ("scheduled", PATH)
    assert holds(adapter, site())
    assert adapter.read(ReadScope(frozenset({LATE.key}))).objects == {LATE.key: LATE}


def test_it_ends_by_the_clock_of_the_device_though_nobody_comes(device: Bigip, adapter: BigipAdapter) -> None:
    reconcile(adapter, site())
    packet = Packet("10.0.0.1", "198.51.100.9", port=443, virtual=VIRTUAL)
    assert device.judge(packet).action == "accept-decisively"
    device.clock.advance(LATE.until.timestamp() - device.clock.now() - 60)
    assert device.judge(packet).action == "accept-decisively"
    device.clock.advance(61)
    assert device.judge(packet).matches == ()


def test_a_list_that_is_referred_to_for_a_time_counts_for_that_time(device: Bigip, adapter: BigipAdapter) -> None:
    """A schedule of a person on the reference to a list: source of what the referee does is F5's manual of AFM 11.4."""
    reconcile(adapter, site(None))
    device.put_object(KIND, {"name": "week", "partition": "Common", "daysOfWeek": ["monday", "tuesday"]})
    place = "security/firewall/policy/~Common~fb~fb__service/rules/fb_prod_service_shop"
    device.change_object(place, {"status": "scheduled", "schedule": "/Common/week"})
    packet = Packet("10.0.0.1", "198.51.100.9", port=443, virtual=VIRTUAL)
    monday = datetime(2036, 5, 5, 12, tzinfo=UTC).timestamp()
    passes = [device.judge(packet, at=monday + days * 86_400).action == "accept-decisively" for days in range(-1, 3)]
    assert passes == [False, True, True, False]
    assert not holds(adapter, site(None)), "a reference that does not always count was taken for ours"
    reconcile(adapter, site(None))
    assert holds(adapter, site(None))


def test_another_end_is_another_schedule_in_one_transaction_and_the_old_one_goes(
    device: Bigip, adapter: BigipAdapter
) -> None:
    for ends in (LATE, LATER, None, LATE):
        writes = len(device.writes())
        reconcile(adapter, site(ends))
        assert len(device.writes()) - writes <= 4  # folder, fence, one transaction, the place
        assert paths(device) == ({f"{FOLDER}/fb_{ends.key.cluster}_builtin__{ends.key.name}"} if ends else set())
        assert rule(device)["status"] == ("scheduled" if ends else "enabled")
        assert ("schedule" in rule(device)) is (ends is not None)
        assert holds(adapter, site(ends))


def test_two_rules_share_one_and_it_stays_until_the_last_is_gone(device: Bigip, adapter: BigipAdapter) -> None:
    entries = [RuleEntry(name, Action.ALLOW, (CART,), (BANK,), schedule=LATE.key) for name in ("a", "b")]
    reconcile(adapter, shop("10.0.0.1", lines=entries, extra=[LATE]))
    reconcile(adapter, shop("10.0.0.1", lines=entries[1:], extra=[LATE]))
    assert paths(device) == {PATH}
    reconcile(adapter, shop("10.0.0.1", lines=[line("c")]))
    assert paths(device) == set()


@pytest.mark.parametrize(
    "change",
    [
        {"dateValidEnd": "indefinite"},
        {"dateValidEnd": "2036-05-04T10:31:01Z"},
        {"dateValidStart": "2036-05-04T10:30:00Z"},
        {"dailyHourStart": "8:00"},
        {"dailyHourEnd": "18:00"},
        {"daysOfWeek": ["monday"]},
    ],
)
def test_what_somebody_changed_of_it_is_seen_and_put_right(
    device: Bigip, adapter: BigipAdapter, change: dict[str, Any]
) -> None:
    reconcile(adapter, site())
    before = device.objects(KIND)[PATH]
    device.change_object(REST, change)
    assert not holds(adapter, site())
    reconcile(adapter, site())
    assert {**device.objects(KIND)[PATH], "generation": 0} == {**before, "generation": 0}


@pytest.mark.parametrize("status", ["enabled", "disabled", "scheduled"])
def test_a_rule_that_somebody_switched_is_seen_and_put_right(device: Bigip, adapter: BigipAdapter, status: str) -> None:
    reconcile(adapter, site())
    device.put_object(KIND, {"name": "own", "partition": "Common"})
    device.change_object(RULE, {"status": status, "schedule": "/Common/own" if status == "scheduled" else "none"})
    assert not holds(adapter, site())
    reconcile(adapter, site())
    assert (rule(device)["status"], rule(device)["schedule"]) == ("scheduled", PATH)
    assert "/Common/own" in paths(device)


@pytest.mark.parametrize("change", [{"status": "disabled"}, {"status": "scheduled", "schedule": "/Common/own"}])
def test_a_rule_without_an_end_that_somebody_switched_is_too(
    device: Bigip, adapter: BigipAdapter, change: dict[str, str]
) -> None:
    reconcile(adapter, site(None))
    device.put_object(KIND, {"name": "own", "partition": "Common"})
    device.change_object(RULE, change)
    assert not holds(adapter, site(None))
    reconcile(adapter, site(None))
    assert (rule(device)["status"], "schedule" in rule(device)) == ("enabled", False)


def test_one_without_our_mark_is_left_and_named(device: Bigip, adapter: BigipAdapter) -> None:
    reconcile(adapter, site())
    device.change_object(REST, {"description": "mine now"})
    snapshot = adapter.read(EVERYTHING)
    assert LATE.key not in snapshot.objects
    assert PATH in {one.name for one in snapshot.foreign}
    adapter.adopt([LATE.key], FENCE)
    assert holds(adapter, site())


def test_one_that_is_gone_is_found_out_by_what_names_it(device: Bigip, adapter: BigipAdapter) -> None:
    start = site() | {SHOP: RuleList(SHOP, ()), SERVICES: Policy(SERVICES, (SHOP,))}
    reconcile(adapter, start)
    plan = planned(adapter, adapter.read(EVERYTHING).objects, wanted(adapter, site()))
    device.delete_object(REST)
    with pytest.raises(Drifted):
        adapter.apply(plan, FENCE)
    reconcile(adapter, site())
    assert holds(adapter, site())


def test_an_end_that_the_device_does_not_know_is_left_to_the_bridge(device: Bigip, adapter: BigipAdapter) -> None:
    far = schedule_after("prod", datetime(2099, 12, 31, 23, 59, tzinfo=UTC))
    reconcile(adapter, site(far))
    (shown,) = device.objects(KIND).values()
    assert shown["dateValidEnd"] == "indefinite"
    assert holds(adapter, site(far))
    packet = Packet("10.0.0.1", "198.51.100.9", port=443, virtual=VIRTUAL)
    assert device.judge(packet, at=far.until.timestamp() + 60).action == "accept-decisively"
    device.change_object(KIND + "/" + shown["fullPath"].replace("/", "~"), {"dateValidEnd": "2036-05-04T10:31:00Z"})
    assert not holds(adapter, site(far))


def test_where_a_person_compiles_the_list_is_refused_by_name(device: Bigip, adapter: BigipAdapter) -> None:
    device.store.compile_by_hand(True)
    with pytest.raises(Rejected, match="compilation mode is manual") as refused:
        reconcile(adapter, site())
    assert set(refused.value.objects) == {str(SHOP)}
    assert paths(device) == set()
    reconcile(adapter, site(None))
    assert holds(adapter, site(None))
    device.store.compile_by_hand(False)
    reconcile(adapter, site())
    with pytest.raises(ApiError, match="compilation mode is manual"):
        device.store.compile_by_hand(True)


def findings(adapter: BigipAdapter) -> dict[str, Finding]:
    return {one.subject: one for one in adapter.examine() if one.subject in ("schedules", "time zone")}


def test_a_look_at_the_device_tells_what_waits_for_a_person(device: Bigip, adapter: BigipAdapter) -> None:
    reconcile(adapter, site(None))
    assert findings(adapter)["schedules"].condition is Condition.OK
    device.store.compile_by_hand(True)
    reconcile(adapter, shop("10.0.0.2"))
    told = findings(adapter)["schedules"]
    assert (told.condition, "something waits" in told.message) == (Condition.WARNING, True)
    untold = open_adapter(device, scope=ON | {"activation": "none"})
    assert findings(untold)["schedules"].condition is Condition.WARNING
    assert findings(open_adapter(device)) == {}


def test_a_look_at_the_device_tells_of_another_time_zone_than_utc(device: Bigip, adapter: BigipAdapter) -> None:
    for zone, condition in (("Europe/Berlin", Condition.WARNING), ("Etc/UTC", Condition.OK), ("", Condition.WARNING)):
        device.identity.timezone = zone
        told = findings(adapter)["time zone"]
        assert (told.condition, zone in told.message) == (condition, True)


def test_they_are_off_until_the_settings_say_so(device: Bigip) -> None:
    plain = open_adapter(device)
    assert not plain.capabilities.schedules
    with pytest.raises(Unsupported) as caught:
        wanted(plain, site())
    assert set(caught.value.objects) == {str(LATE.key), str(SHOP)}
    assert list(factory.problems(config(device, scope={"schedules": "yes"}))) == ["scope.schedules"]
    as3 = config(device, scope={"mode": "as3"} | ON)
    assert list(factory.problems(as3)) == ["scope.schedules"]
    assert not factory.capabilities(as3).schedules


def test_switched_off_again_nothing_of_them_stays_and_nobody_asks_for_more(
    device: Bigip, adapter: BigipAdapter
) -> None:
    reconcile(adapter, site())
    plain = open_adapter(device, attach=ATTACH)
    reconcile(plain, site(None))
    assert paths(device) == set()
    assert rule(device)["status"] == "enabled"
    assert holds(plain, site(None)), "and none is there: from now on they are not asked for"
    seen = len(device.requests())
    assert holds(plain, site(None))
    assert not [one for one in device.requests()[seen:] if KIND in one.path]


def test_an_account_that_may_not_read_them_is_enough_where_nobody_wants_them(
    device: Bigip, adapter: BigipAdapter
) -> None:
    assert adapter.read(EVERYTHING).complete
    plain = open_adapter(device)
    device.faults.add("forbidden", path=KIND, times=None)
    assert plain.read(EVERYTHING).complete
    assert all(one.condition is not Condition.ERROR for one in plain.examine())
    told = {one.subject: one for one in adapter.examine()}
    assert KIND in told["reading"].message
