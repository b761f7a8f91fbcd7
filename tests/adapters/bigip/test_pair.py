"""A group of two units: the active one is found and followed, and our changes, and nothing else, are brought to the other."""

import contextlib
from collections.abc import Iterator
from dataclasses import replace

import pytest

from adapters.bigip import BigipAdapter, factory
from bridge.errors import Busy, Denied, Drifted
from bridge.lab.devices.bigip import Bigip, Pair
from bridge.lab.devices.bigip.system import SyncStatus
from bridge.model.examination import Condition
from bridge.model.intent import EVERYTHING, ReadScope
from tests.adapters.bigip.site import (
    CART,
    FENCE,
    FOLDER,
    OPENED,
    config,
    open_adapter,
    planned,
    reconcile,
    shop,
    wanted,
)

LIST, LISTS = f"{FOLDER}/fb_prod_service_shop_cart", "security/firewall/address-list"
THEIRS = {"name": "/Common/theirs", "addresses": [{"name": "192.0.2.1"}]}


@pytest.fixture
def pair() -> Iterator[Pair]:
    with Pair(tls=False) as units:
        yield units
        while OPENED:
            OPENED.pop().close()


def opened(pair: Pair, sync: str = "none", first: int = 0, **changes: object) -> BigipAdapter:
    """An adapter whose `url` is that of the unit `first`."""
    url, other = pair.units[first].url, pair.units[1 - first].url
    ha = {"deviceGroup": pair.name, "peers": [other], "configSync": sync}
    return open_adapter(pair.units[0], url=url, scope={"ha": ha}, **changes)


def pushes(unit: Bigip) -> int:
    return sum(one.method == "POST" and one.path == "/mgmt/tm/cm" for one in unit.requests())


def touched(unit: Bigip) -> bool:
    return any(one.method != "GET" and one.path.startswith("/mgmt/tm/") for one in unit.requests())


@pytest.mark.parametrize("first", [0, 1])
def test_the_active_unit_is_found_wherever_the_url_leads(pair: Pair, first: int) -> None:
    adapter = opened(pair, first=first)
    reconcile(adapter, shop("10.0.0.1"))
    assert pair.active.members(LIST) == {"10.0.0.1"}
    assert not touched(pair.standby)


def test_the_device_stays_the_same_device_when_another_unit_becomes_active(pair: Pair) -> None:
    adapter = opened(pair)
    before = adapter.read(EVERYTHING).identity
    assert all(unit.identity.serial in before for unit in pair.units)
    pair.failover()
    assert adapter.read(EVERYTHING).identity == before


def test_a_failover_is_seen_before_the_next_write_and_what_was_not_synchronized_is_written_again(pair: Pair) -> None:
    adapter = opened(pair)
    reconcile(adapter, shop("10.0.0.1"))
    pair.synchronize()
    reconcile(adapter, shop("10.0.0.2"))
    have = adapter.read(EVERYTHING).objects
    pair.failover()
    calls = len(pair.standby.writes())
    with pytest.raises(Drifted, match="bigip1"):
        adapter.apply(planned(adapter, have, wanted(adapter, shop("10.0.0.3"))), FENCE)
    assert len(pair.standby.writes()) == calls
    assert pair.active.members(LIST) == {"10.0.0.1"}
    reconcile(adapter, shop("10.0.0.3"))
    assert pair.active.members(LIST) == {"10.0.0.3"}
    assert pair.standby.members(LIST) == {"10.0.0.2"}


def test_a_failover_in_the_middle_of_a_plan_is_no_success(pair: Pair) -> None:
    failing = False

    def permit() -> None:
        if failing and pair.active is pair.units[0]:
            pair.failover()

    adapter = opened(pair, permit=permit)
    reconcile(adapter, shop("10.0.0.1"))
    pair.synchronize()
    failing = True
    with pytest.raises(Drifted):
        reconcile(adapter, shop("10.0.0.2"))
    reconcile(adapter, shop("10.0.0.2"))
    assert pair.active is pair.units[1]
    assert pair.active.members(LIST) == {"10.0.0.2"}


def test_a_unit_that_is_gone_is_left_for_the_other(pair: Pair) -> None:
    adapter = opened(pair)
    reconcile(adapter, shop("10.0.0.1"))
    pair.synchronize()
    pair.active.stop()
    with pytest.raises(Busy, match="bigip2"):
        adapter.read(EVERYTHING)
    pair.failover()
    assert adapter.read(EVERYTHING).objects == wanted(adapter, shop("10.0.0.1"))
    reconcile(adapter, shop("10.0.0.2"))
    assert pair.active.members(LIST) == {"10.0.0.2"}


def test_nothing_is_written_while_no_unit_is_active(pair: Pair) -> None:
    adapter = opened(pair)
    have = adapter.read(EVERYTHING).objects
    pair.active.identity.failover = "standby"
    with pytest.raises(Busy, match="no unit says that it is active"):
        adapter.read(EVERYTHING)
    with pytest.raises(Drifted):
        adapter.apply(planned(adapter, have, wanted(adapter, shop("10.0.0.1"))), FENCE)
    assert not any(touched(unit) for unit in pair.units)


def test_our_changes_are_brought_to_the_other_unit(pair: Pair) -> None:
    adapter = opened(pair, "push")
    for number in (1, 2):
        reconcile(adapter, shop(f"10.0.0.{number}"))
        adapter.save()
        assert pair.standby.members(LIST) == {f"10.0.0.{number}"}
        assert pair.status().status == "In Sync"
        assert pushes(pair.active) == number
    adapter.save()
    assert pushes(pair.active) == 2


def test_nothing_is_pushed_unless_the_settings_say_so(pair: Pair) -> None:
    adapter = opened(pair)
    reconcile(adapter, shop("10.0.0.1"))
    adapter.save()
    assert pair.status().status == "Changes Pending"
    assert not any(pushes(unit) for unit in pair.units)


def test_nothing_is_pushed_where_changes_of_others_wait(pair: Pair) -> None:
    adapter = opened(pair, "push")
    pair.active.put_object(LISTS, THEIRS)
    reconcile(adapter, shop("10.0.0.1"))
    with pytest.raises(Denied, match="not for changes of ours alone"):
        adapter.save()
    assert not pair.standby.objects(LISTS)
    saves = pair.active.saves
    with pytest.raises(Denied):
        adapter.save()
    assert pair.active.saves == saves == 1
    pair.synchronize()
    reconcile(adapter, shop("10.0.0.2"))
    adapter.save()
    assert pair.standby.members(LIST) == {"10.0.0.2"}


def test_nothing_is_pushed_over_changes_of_the_other_unit(pair: Pair) -> None:
    adapter = opened(pair, "push")
    reconcile(adapter, shop("10.0.0.1"))
    pair.standby.put_object(LISTS, THEIRS)
    with pytest.raises(Denied, match="changes of their own"):
        adapter.save()
    assert "/Common/theirs" in pair.standby.objects(LISTS)


@pytest.mark.parametrize(
    "advice", ["Recommended action: Synchronize bigip2.lab.example to group failover", "Disconnected"]
)
def test_nothing_is_pushed_from_a_unit_that_the_device_does_not_recommend(
    pair: Pair, advice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter = opened(pair, "push")
    reconcile(adapter, shop("10.0.0.1"))
    before = pair.standby.digest()
    monkeypatch.setattr(pair, "status", lambda: SyncStatus("Changes Pending", "", (advice,)))
    with pytest.raises(Denied, match="does not recommend"):
        adapter.save()
    assert pair.standby.digest() == before


def test_a_group_that_synchronizes_by_itself_is_left_to_it() -> None:
    with Pair(tls=False, automatic=True) as pair:
        adapter = opened(pair, "push")
        reconcile(adapter, shop("10.0.0.1"))
        adapter.save()
        assert pair.standby.members(LIST) == {"10.0.0.1"}
        assert not any(pushes(unit) for unit in pair.units)
        OPENED.pop().close()


def test_a_push_needs_the_permit(pair: Pair) -> None:
    asked: list[int] = []
    adapter = opened(pair, "push", permit=lambda: asked.append(len(pair.active.requests())))
    reconcile(adapter, shop("10.0.0.1"))
    adapter.save()
    at = next(n for n, one in enumerate(pair.active.requests()) if one.path == "/mgmt/tm/cm")
    assert at in asked


def test_every_unit_gets_its_token_back(pair: Pair) -> None:
    adapter = opened(pair)
    adapter.read(EVERYTHING)
    pair.failover()
    adapter.read(EVERYTHING)
    assert [len(unit.tokens.live()) for unit in pair.units] == [1, 1]
    adapter.close()
    assert [len(unit.tokens.live()) for unit in pair.units] == [0, 0]


def test_a_group_that_is_not_there_is_named(pair: Pair) -> None:
    ha = {"deviceGroup": "/Common/nobody", "peers": [pair.standby.url]}
    adapter = open_adapter(pair.active, scope={"ha": ha})
    with pytest.raises(Denied, match="/Common/nobody"):
        adapter.read(EVERYTHING)


def test_a_change_of_one_member_costs_two_questions_more(pair: Pair) -> None:
    adapter = opened(pair)
    reconcile(adapter, shop("10.0.0.1"))
    plan = planned(adapter, adapter.read(EVERYTHING).objects, wanted(adapter, shop("10.0.0.2")))
    assert adapter.apply(plan, FENCE).calls == 4


@pytest.mark.parametrize(
    "path", ["cm/device", "cm/device-group/~Common~failover", "cm/device-group/~Common~failover/devices"]
)
@pytest.mark.parametrize("body", ["[]", '{"items": [3]}', '{"items": [{}]}', '{"items": [{"name": 4}]}', "null"])
def test_whatever_the_units_answer_is_no_crash(pair: Pair, path: str, body: str) -> None:
    adapter = opened(pair)
    for unit in pair.units:
        unit.faults.add("answer", path=f"/mgmt/tm/{path}", status=200, body=body, content_type="application/json")
    with contextlib.suppress(Busy, Denied):
        adapter.read(EVERYTHING)
    assert not any(touched(unit) for unit in pair.units)


@pytest.mark.parametrize(
    "body", ["[]", "{}", '{"entries": 3}', '{"entries": {"a": {"nestedStats": {"entries": {"status": {}}}}}}']
)
def test_a_status_of_another_shape_pushes_nothing(pair: Pair, body: str) -> None:
    adapter = opened(pair, "push")
    reconcile(adapter, shop("10.0.0.1"))
    pair.active.faults.add(
        "answer", path="/mgmt/tm/cm/sync-status", status=200, body=body, content_type="application/json"
    )
    with pytest.raises((Busy, Denied)):
        adapter.save()
    assert not any(pushes(unit) for unit in pair.units)


def test_a_plan_is_for_the_unit_that_was_read_and_no_other(pair: Pair) -> None:
    adapter = opened(pair)
    have = adapter.read(EVERYTHING).objects
    pair.failover()
    assert adapter.read(ReadScope(frozenset())).complete is False
    with pytest.raises(Drifted):
        adapter.apply(planned(adapter, have, wanted(adapter, shop("10.0.0.1"))), FENCE)
    assert not any(touched(unit) for unit in pair.units)


def test_a_look_at_the_group_tells_who_answers_and_whether_it_is_in_step(pair: Pair) -> None:
    adapter = opened(pair, first=1)
    found = {one.subject: one for one in adapter.examine()}
    assert "bigip1" in found["device"].message
    assert found["group"].condition is Condition.OK
    assert all(unit.identity.serial in found["group"].message for unit in pair.units)
    pair.active.put_object(LISTS, THEIRS)
    (changed,) = (one for one in adapter.examine() if one.subject == "group")
    assert changed.condition is Condition.WARNING
    assert "Changes Pending" in changed.message


@pytest.mark.parametrize(
    ("ha", "paths"),
    [
        ("/Common/failover", {"scope.ha"}),
        ({"deviceGroup": "failover"}, {"scope.ha.deviceGroup"}),
        ({"deviceGroup": "/Common/x", "peers": "https://192.0.2.1"}, {"scope.ha.peers"}),
        ({"deviceGroup": "/Common/x", "peers": ["192.0.2.1"]}, {"scope.ha.peers"}),
        ({"deviceGroup": "/Common/x", "configSync": "always"}, {"scope.ha.configSync"}),
        ({"deviceGroup": "/Common/x", "units": []}, {"scope.ha.units"}),
    ],
)
def test_problems_of_the_settings(pair: Pair, ha: object, paths: set[str]) -> None:
    good = config(pair.active, scope={"ha": {"deviceGroup": "/Common/x"}})
    assert factory.problems(good) == {}
    assert set(factory.problems(replace(good, scope={"ha": ha}))) == paths


def test_the_groups_of_the_site_stay_as_they_are(pair: Pair) -> None:
    adapter = opened(pair, "push")
    pair.active.put_object(LISTS, THEIRS)
    pair.synchronize()
    reconcile(adapter, shop("10.0.0.1"))
    adapter.save()
    assert pair.standby.objects(LISTS)["/Common/theirs"]["addresses"] == THEIRS["addresses"]
    assert adapter.read(EVERYTHING).objects[CART] == wanted(adapter, shop("10.0.0.1"))[CART]
