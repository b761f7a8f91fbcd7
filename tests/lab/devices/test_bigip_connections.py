"""The connections of a simulated BIG-IP: shown as real ones are, to an independent client too, and as dangerous to delete."""

import httpx
import pytest

from bridge.lab.devices.bigip import Bigip
from bridge.lab.devices.bigip.connections import Connection
from tests.lab.devices.conftest import Untyped

OPEN = [Connection("10.0.0.1", 40000, "192.0.2.1", 443), Connection("10.0.0.2", 5, "192.0.2.1", 8, "icmp")]
PATH = "/mgmt/tm/sys/connection"


@pytest.fixture(autouse=True)
def _open(device: Bigip) -> None:
    device.connections.open = list(OPEN)


def shown(http: httpx.Client, query: str = "") -> list[tuple[str, int]]:
    """Client and protocol of each."""
    entries = http.get(f"{PATH}{query}").raise_for_status().json().get("entries", {})
    values = [one["nestedStats"]["entries"] for one in entries.values()]
    return [(one["csClientAddr"]["description"], one["protocol"]["value"]) for one in values]


def test_options_say_which_are_meant(http: httpx.Client) -> None:
    assert shown(http) == [("10.0.0.1", 6), ("10.0.0.2", 1)]
    assert shown(http, "?options=cs-client-addr+10.0.0.1") == [("10.0.0.1", 6)]
    assert shown(http, "?options=cs-client-addr+10.0.0.1+cs-client-port+40001") == []


def test_one_is_deleted_by_its_options_and_all_without_any(http: httpx.Client, device: Bigip) -> None:
    http.delete(f"{PATH}?options=cs-client-addr+10.0.0.1").raise_for_status()
    assert device.connections.open == OPEN[1:]
    http.delete(PATH).raise_for_status()
    assert not device.connections.open


@pytest.mark.parametrize("query", ["?options=cs-client-addr", "?options=client+10.0.0.1", "?filter=x"])
def test_what_it_does_not_know_is_refused(http: httpx.Client, device: Bigip, query: str) -> None:
    assert http.delete(f"{PATH}{query}").status_code == 400
    assert http.post(PATH, json={}).status_code == 400
    assert device.connections.open == OPEN


def test_the_vendors_own_client_reads_them(sdk: Untyped) -> None:
    assert len(sdk.tm.sys.connection.load().entries) == 2


def test_a_reboot_ends_them(device: Bigip) -> None:
    device.reboot()
    assert not device.connections.open
