"""BIG-IP on the bench: what every device is asked, and 300 rules by transactions and by a declaration."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from adapters.bigip import factory
from bridge.contract import Adapter, DeviceConfig
from bridge.lab.device import Exchange
from bridge.lab.devices.bigip import Bigip
from tests.bench import programming
from tests.bench.programming import Bed, Subject, policy
from tests.bench.row import Row

_RULES = 300
_MEGABYTE = 1_000_000


def rows() -> Iterator[Row]:
    """All of them."""
    yield from programming.rows(Subject("BIG-IP", _fresh, rules=5_000))
    yield from transactions()
    yield from declarations()


@contextmanager
def _fresh(**scope: Any) -> Iterator[tuple[Adapter, Callable[[], Sequence[Exchange]]]]:
    with Bigip(tls=False) as device:
        config = DeviceConfig("edge", "bigip", device.url, "bench", _Login(device), scope, timeout=60.0)
        adapter = factory.open(config)
        try:
            yield adapter, device.requests
        finally:
            adapter.close()


class _Login:
    def __init__(self, device: Bigip) -> None:
        self._device = device

    def value(self, name: str) -> str:
        return {"username": self._device.username, "password": self._device.password}[name]


def transactions() -> Iterator[Row]:
    """Each write is one call, so what counts are the calls beside them: fence, opening, commit, and what is asked until it is done."""
    with _fresh() as (adapter, requests):
        _, cost = Bed(adapter, requests).reach(policy(_RULES, 30, 6))
    chunks = len({one.transaction for one in cost.calls if one.transaction})
    beside = sum(not one.transaction for one in cost.calls)
    share, volume = beside / max(1, chunks), cost.volume / _MEGABYTE
    figure = f"{share:.1f} calls for each of {chunks} chunks, {len(cost.calls)} with the writes, {volume:.2f} MB in all"
    notes = {"calls": len(cost.calls), "seconds": round(cost.seconds, 2)}
    reached = chunks > 0 and beside <= 10 * chunks and cost.volume <= _MEGABYTE
    yield Row(
        f"BIG-IP: {_RULES} rules, line by line",
        "≤ 10 calls per transaction chunk (the fence, its opening, its commit, and what is asked until it is done; not the writes "
        "that it carries, each of which is a call) and ≤ 1 MB in all, those included",
        figure,
        reached,
        notes,
    )


def declarations() -> Iterator[Row]:
    """The rules of the same site in one declaration; its address lists are written in a transaction, as members are."""
    with _fresh(mode="as3") as (adapter, requests):
        bed = Bed(adapter, requests)
        _, cost = bed.reach(policy(_RULES, 30, 6))
    by_as3 = [one for one in cost.calls if "/appsvcs/" in one.path]
    figure = f"{len(by_as3)} calls of AS3, {len(cost.calls)} in all, {cost.volume / _MEGABYTE:.2f} MB"
    reached = len(by_as3) <= 10 and cost.volume <= _MEGABYTE
    yield Row(f"BIG-IP: {_RULES} rules by AS3", "≤ 10 calls for the rules and ≤ 1 MB in all", figure, reached)
