"""Transactions over plain HTTP: all or nothing, timed, not nested."""

import httpx
import pytest

from bridge.lab.devices.bigip import Bigip
from tests.lab.devices.conftest import FIREWALL

LIST = f"{FIREWALL}/address-list"
TRANSACTION = "/mgmt/tm/transaction"


def begin(http: httpx.Client) -> str:
    return str(http.post(TRANSACTION, json={}).json()["transId"])


def inside(number: str) -> dict[str, str]:
    return {"X-F5-REST-Coordination-Id": number}


def commit(http: httpx.Client, number: str, **more: object) -> httpx.Response:
    return http.patch(f"{TRANSACTION}/{number}", json={"state": "VALIDATING", **more})


def make(http: httpx.Client, name: str, number: str | None = None, **body: object) -> httpx.Response:
    content = {"name": name} | (body or {"addresses": ["10.0.0.1"]})
    return http.post(LIST, json=content, headers=inside(number) if number else {})


def test_commands_wait_in_order_until_commit(device: Bigip, http: httpx.Client) -> None:
    number = begin(http)
    before = device.digest()
    queued = make(http, "inner", number).json()
    assert queued["kind"] == "tm:transaction:commandsstate"
    make(http, "outer", number, addressLists=["/Common/inner"])
    assert [one["evalOrder"] for one in http.get(f"{TRANSACTION}/{number}/commands").json()["items"]] == [1, 2]
    assert device.digest() == before
    assert commit(http, number).json()["state"] == "COMPLETED"
    assert set(device.objects("security/firewall/address-list")) == {"/Common/inner", "/Common/outer"}
    assert device.writes()[-1].touched == (
        "security/firewall/address-list/Common/inner",
        "security/firewall/address-list/Common/outer",
    )


def test_references_are_judged_at_the_end(device: Bigip, http: httpx.Client) -> None:
    number = begin(http)
    make(http, "outer", number, addressLists=["/Common/inner"])
    make(http, "inner", number)
    assert commit(http, number).status_code == 200
    assert len(device.objects("security/firewall/address-list")) == 2


def test_one_bad_command_stops_all(device: Bigip, http: httpx.Client) -> None:
    make(http, "there")
    before, writes = device.digest(), len(device.writes())
    number = begin(http)
    make(http, "x", number)
    http.patch(f"{LIST}/~Common~there", json={"addresses": ["10.9.9.9"]}, headers=inside(number))
    make(http, "there", number)
    answer = commit(http, number)
    assert answer.status_code == 409
    assert answer.json()["message"].startswith("transaction failed:01020066:3:")
    shown = http.get(f"{TRANSACTION}/{number}").json()
    assert (shown["state"], "already exists" in shown["failureReason"]) == ("FAILED", True)
    assert (device.digest(), len(device.writes())) == (before, writes)


def test_aborted_leaves_nothing(device: Bigip, http: httpx.Client) -> None:
    before = device.digest()
    number = begin(http)
    make(http, "x", number)
    assert http.delete(f"{TRANSACTION}/{number}").status_code == 200
    assert commit(http, number).status_code == 404
    assert device.digest() == before


def test_expired_is_gone(device: Bigip, http: httpx.Client) -> None:
    number = begin(http)
    device.clock.advance(119)
    assert make(http, "x", number).status_code == 200
    device.clock.advance(2)
    assert make(http, "y", number).status_code == 404
    assert commit(http, number).status_code == 404
    assert device.objects("security/firewall/address-list") == {}


def test_what_can_not_be_inside(device: Bigip, http: httpx.Client) -> None:
    number = begin(http)
    login = {"username": device.username, "password": device.password}
    assert http.post(TRANSACTION, json={}, headers=inside(number)).status_code == 400
    assert http.post("/mgmt/shared/authn/login", json=login, headers=inside(number)).status_code == 400
    assert (
        http.patch(f"{TRANSACTION}/{number}", json={"state": "VALIDATING"}, headers=inside(number)).status_code == 400
    )
    assert http.get(f"{TRANSACTION}/{number}").json()["state"] == "STARTED"
    assert device.tokens.live() == []


def test_validate_only_changes_nothing(device: Bigip, http: httpx.Client) -> None:
    before = device.digest()
    number = begin(http)
    make(http, "x", number)
    assert commit(http, number, validateOnly=True).status_code == 200
    assert device.digest() == before
    other = begin(http)
    make(http, "y", other, addressLists=["/Common/absent"])
    assert commit(http, other, validateOnly=True).status_code == 400


@pytest.mark.parametrize("good", [True, False])
def test_outcome_of_a_slow_commit_is_polled(device: Bigip, http: httpx.Client, good: bool) -> None:
    device.transactions.seconds = 5
    number = begin(http)
    content: dict[str, object] = {} if good else {"addressLists": ["/Common/absent"]}
    make(http, "x", number, **content)
    assert commit(http, number).json()["state"] == "VALIDATING"
    assert http.get(f"{TRANSACTION}/{number}").json()["state"] == "VALIDATING"
    assert device.objects("security/firewall/address-list") == {}
    device.clock.advance(6)
    shown = http.get(f"{TRANSACTION}/{number}").json()
    assert shown["state"] == ("COMPLETED" if good else "FAILED")
    assert bool(shown["failureReason"]) is not good
    assert bool(device.objects("security/firewall/address-list")) is good


def test_foreign_write_between_is_not_lost(device: Bigip, http: httpx.Client) -> None:
    number = begin(http)
    make(http, "ours", number)
    device.put_object("security/firewall/address-list", {"name": "theirs", "addresses": ["10.0.0.9"]})
    assert commit(http, number).status_code == 200
    assert set(device.objects("security/firewall/address-list")) == {"/Common/ours", "/Common/theirs"}
