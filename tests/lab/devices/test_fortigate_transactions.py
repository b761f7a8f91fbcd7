"""Transactions of the simulated FortiGate: together or not at all, locks, time."""

from typing import Any

import pytest

from bridge.lab.devices.fortigate import ApiUser, Fortigate
from tests.lab.devices.fortigate import ADDRESS, GROUP, POLICY, Api, Told, named, rule


def start(api: Api, timeout: int = 60) -> int:
    told = api.post("cmdb", {"timeout": timeout}, params={"action": "transaction-start"})
    assert (told.status, told.body["action"], told.body["revision_changed"]) == (200, "transaction-start", False)
    number: int = told.results["transaction-id"]
    return number


def end(api: Api, number: int, how: str = "commit", name: str = "transaction-id") -> Told:
    return api.post("cmdb", {name: number}, params={"action": f"transaction-{how}"})


def within(number: int, header: str = "X-TRANSACTION-ID") -> dict[str, Any]:
    return {"headers": {header: str(number)}}


@pytest.mark.parametrize("name", ["transaction-id", "transaction_id"])
@pytest.mark.parametrize("header", ["X-TRANSACTION-ID", "x_transaction_id"])
def test_everything_at_once_at_the_commit(box: Fortigate, api: Api, name: str, header: str) -> None:
    number = start(api)
    before = box.digest()
    writes = [
        api.post(ADDRESS, {"name": "a", "subnet": "10.0.0.1/32"}, **within(number, header)),
        api.post(GROUP, {"name": "g", "member": named("a")}, **within(number, header)),
        api.post(POLICY, rule(srcaddr=named("g")), **within(number, header)),
    ]
    assert [(told.status, told.body["revision_changed"]) for told in writes] == [(200, False)] * 3
    assert box.digest() == before
    assert api.get(f"{ADDRESS}/a").error == -3
    assert end(api, number, name=name).status == 200
    assert box.decide("10.0.0.1", "192.0.2.1").allowed
    (write,) = box.writes()
    assert write.touched == ("root:firewall/address/a", "root:firewall/addrgrp/g", "root:firewall/policy/1")
    assert {one.transaction for one in box.requests() if "firewall" in one.path and one.method == "POST"} == {
        str(number)
    }


def test_an_abort_leaves_nothing(box: Fortigate, api: Api) -> None:
    number = start(api)
    before = box.digest()
    api.post(ADDRESS, {"name": "a"}, **within(number))
    assert end(api, number, "abort").status == 200
    assert (box.digest(), len(box.transactions)) == (before, 0)
    assert end(api, number).status == 424


def test_a_refused_write_leaves_the_rest_of_the_transaction(box: Fortigate, api: Api) -> None:
    number = start(api)
    api.post(ADDRESS, {"name": "a"}, **within(number))
    assert api.post(GROUP, {"name": "g", "member": named("b")}, **within(number)).error == -651
    assert api.post(GROUP, {"name": "g", "member": named("a")}, **within(number)).status == 200
    assert api.delete(f"{ADDRESS}/a", **within(number)).error == -23
    assert end(api, number).status == 200
    assert box.members("firewall/addrgrp", "g") == {"a"}


def test_tables_are_locked_for_others(api: Api) -> None:
    number, other = start(api), start(api)
    api.post(ADDRESS, {"name": "a"}, **within(number))
    assert api.post(ADDRESS, {"name": "b"}).error == -7
    assert api.post(ADDRESS, {"name": "b"}, **within(other)).error == -7
    assert api.post("cmdb/firewall.service/custom", {"name": "s", "tcp-portrange": "1"}).status == 200
    end(api, number)
    assert api.post(ADDRESS, {"name": "b"}).status == 200


def test_a_rename_locks_what_follows_it(api: Api) -> None:
    api.address("a")
    api.group("g", "a")
    number = start(api)
    api.put(f"{ADDRESS}/a", {"name": "b"}, **within(number))
    assert api.put(f"{GROUP}/g", {"comment": "x"}).error == -7
    end(api, number)
    assert api.get(f"{GROUP}/g/member").results[0]["name"] == "b"


def test_what_others_did_meanwhile_is_checked_at_the_commit(box: Fortigate, api: Api) -> None:
    api.address("a")
    number = start(api)
    assert api.post(GROUP, {"name": "g", "member": named("a")}, **within(number)).status == 200
    assert api.delete(f"{ADDRESS}/a").status == 200
    before = box.digest()
    assert end(api, number).error == -651
    assert box.digest() == before


def test_time_runs_out(box: Fortigate, api: Api) -> None:
    number = start(api, timeout=30)
    api.post(ADDRESS, {"name": "a"}, **within(number))
    box.clock.advance(31)
    assert api.post(ADDRESS, {"name": "b"}, **within(number)).status == 424
    assert end(api, number).status == 424
    assert api.post(ADDRESS, {"name": "a"}).status == 200


def test_a_reboot_ends_them(box: Fortigate, api: Api) -> None:
    number = start(api)
    box.reboot()
    assert end(api, number).status == 424


def test_show_and_list(api: Api) -> None:
    number = start(api)
    api.post(ADDRESS, {"name": "a"}, **within(number))
    shown = api.get("cmdb", params={"action": "transaction-show", "transaction-id": number})
    (command,) = shown.results["commands"]
    assert (command["method"], command["path"], command["body"]) == ("POST", "firewall/address", {"name": "a"})
    listed = api.get("cmdb", params={"action": "transaction-list"})
    assert [one["transaction-id"] for one in listed.results] == [number]


def test_calls_that_make_no_sense(box: Fortigate, api: Api) -> None:
    assert api.get("cmdb").status == 404
    assert api.post("cmdb", {}, params={"action": "transaction-commit"}).status == 400
    assert api.post("cmdb", {"timeout": 0}, params={"action": "transaction-start"}).status == 400
    assert api.post(ADDRESS, {"name": "a"}, **within(99)).status == 424
    assert api.post(ADDRESS, {"name": "a"}, headers={"X-TRANSACTION-ID": "x"}).status == 424
    number = start(api)
    box.tokens.add(ApiUser("other", "o" * 31))
    other = Api(box, "o" * 31)
    with other.http:
        assert end(other, number).status == 424


def test_tables_that_take_no_transaction(box: Fortigate, api: Api) -> None:
    box.conduct.refuse_transactions = frozenset({"firewall/policy"})
    number = start(api)
    assert api.post(POLICY, rule(), **within(number)).error == -7
