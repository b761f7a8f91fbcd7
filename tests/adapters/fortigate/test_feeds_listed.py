"""A feed of which the unit lists less than it counts: what it does not tell might be let through for ever."""

import httpx
import msgspec

from adapters.conformance.site import CART
from adapters.fortigate import feeds
from adapters.fortigate.client import Client
from adapters.fortigate.feeds_pushed import Feeds
from adapters.fortigate.names import Names
from adapters.fortigate.transport import Transport
from bridge.contract import DeviceConfig
from bridge.model.intent import Group

NAMES = Names("fb")


class NoToken:
    """No call is made."""

    def value(self, name: str) -> str:
        raise KeyError(name)


class Unit(Transport):
    """A unit with one feed, of which it lists one entry."""

    def __init__(self, count: int) -> None:
        super().__init__(DeviceConfig("edge", "fortigate", "https://unit.invalid", "fb", NoToken()))
        self.count = count

    def send(self, *given: object, **_named: object) -> httpx.Response:
        held = {"valid_count": self.count, "invalid_count": 0, "entries": [{"entry": "10.0.0.1", "valid": True}]}
        results = held if "entry-list" in str(given[1]) else [feeds.configuration(NAMES, CART)]
        told = {"status": "success", "results": results, "matched_count": 1}
        return httpx.Response(200, content=msgspec.json.encode(told))


def read(count: int) -> object:
    found = Feeds(Client(Unit(count), "root"), NAMES, 0)
    found.read()
    return found.over(CART, None)


def test_what_is_listed_is_what_is_held() -> None:
    assert read(1) == Group(CART, frozenset({"10.0.0.1"}), pushed=True)


def test_what_is_counted_and_not_listed_is_seen() -> None:
    assert read(2) == feeds.odd(Group(CART, frozenset({"10.0.0.1"})))
