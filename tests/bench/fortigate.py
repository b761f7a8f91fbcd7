"""FortiGate on the bench: what every device is asked, with groups as address objects and as pushed feeds."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from adapters.fortigate import factory
from bridge.contract import Adapter, DeviceConfig
from bridge.lab.device import Exchange
from bridge.lab.devices.fortigate import Fortigate
from bridge.model.identity import Kind, ObjectKey, Scope
from bridge.model.intent import DeviceObject, Group
from tests.bench import programming
from tests.bench.programming import Bed, Subject, policy
from tests.bench.row import Row

_ANCHOR = "site deny"
_ANY: dict[str, Any] = {
    "srcintf": [{"name": "any"}],
    "dstintf": [{"name": "any"}],
    "schedule": "always",
    "service": [{"name": "ALL"}],
}


def rows() -> Iterator[Row]:
    """All of them."""
    yield from programming.rows(Subject("FortiGate", _fresh, rules=1_000))
    yield from _entries()
    yield from _fed_member()
    yield from _fed_changes()


@contextmanager
def _fresh(**scope: Any) -> Iterator[tuple[Adapter, Callable[[], Sequence[Exchange]]]]:
    """A box whose policies the bridge keeps."""
    with Fortigate(tls=False) as device:
        never = {"name": _ANCHOR, "srcaddr": [{"name": "none"}], "dstaddr": [{"name": "none"}], "action": "deny"}
        device.put_object("firewall/policy", _ANY | never, user="site")
        told = {"mode": "policies", "policies": {"before": _ANCHOR}} | scope
        config = DeviceConfig("edge", "fortigate", device.url, "bench", _Token(device), told, timeout=60.0)
        adapter = factory.open(config)
        try:
            yield adapter, device.requests
        finally:
            adapter.close()


class _Token:
    def __init__(self, device: Fortigate) -> None:
        self._device = device

    def value(self, name: str) -> str:
        return {"token": self._device.password}[name]


def _entries() -> Iterator[Row]:
    """The same thousand changes, counted against what is touched on the box: an address that comes or goes is an entry of its own there."""
    with _fresh() as (adapter, requests):
        bed, site = Bed(adapter, requests), policy(20, 20, 1)
        groups = {_key(at): [f"10.{at + 1}.{n // 250}.{n % 250 + 1}" for n in range(500)] for at in range(20)}
        bed.reach(site | _in_parts(bed, groups))
        worst = -(10**6)
        for batch in range(10):
            for at, (key, held) in enumerate(groups.items()):
                groups[key] = held[5:] + [f"10.{at + 101}.{batch}.{number + 1}" for number in range(5)]
            made, cost = bed.reach(site | _in_parts(bed, groups))
            worst = max(worst, len(cost.calls) - len({step.key for step in made.steps}) - 2 * 5 * len(groups))
    what = "FortiGate: the same, groups and addresses that come and go counted as objects"
    yield Row(what, "calls of a batch ≤ touched entries of the box + 3", f"{worst:+} calls at worst", worst <= 3)


def _in_parts(bed: Bed, groups: Mapping[ObjectKey, list[str]]) -> dict[ObjectKey, DeviceObject]:
    return {one.key: one for key, held in groups.items() for one in bed.parts(key, held)}


def _fed_member() -> Iterator[Row]:
    """Three calls, for a push tells nothing: the fence, the push, and the counts of the feed."""
    with _fresh(feeds={"most": 8}) as (adapter, requests):
        bed, site, key = Bed(adapter, requests), policy(1, 1, 1), _key(0)
        members = [f"10.1.{number // 250}.{number % 250 + 1}" for number in range(10_000)]
        bed.reach(site | {key: Group(key, frozenset(members), pushed=True)})
        _, cost = bed.reach(site | {key: Group(key, frozenset([*members[1:], "10.250.0.1"]), pushed=True)})
    figure = f"{len(cost.calls)} calls, {cost.volume / 1024:.1f} KiB, {cost.seconds * 1000:.0f} ms"
    reached = len(cost.calls) <= 2 and cost.volume <= 8 * 1024
    what = "FortiGate, feeds: one member replaced in a group of 10,000"
    yield Row(what, "≤ 2 calls and ≤ 8 KiB for a change of one member", figure, reached)


def _fed_changes() -> Iterator[Row]:
    with _fresh(feeds={"most": 32}) as (adapter, requests):
        bed, site = Bed(adapter, requests), policy(20, 20, 1)
        groups = {
            _key(at): Group(
                _key(at), frozenset(f"10.{at + 1}.{n // 250}.{n % 250 + 1}" for n in range(500)), pushed=True
            )
            for at in range(20)
        }
        bed.reach(site | groups)
        worst, calls, seconds = -(10**6), 0, 0.0
        for batch in range(10):
            for at, (key, group) in enumerate(groups.items()):
                gone = sorted(group.members)[:5]
                come = {f"10.{at + 101}.{batch}.{number + 1}" for number in range(5)}
                groups[key] = replace(group, members=(group.members - frozenset(gone)) | come)
            made, cost = bed.reach(site | groups)
            worst = max(worst, len(cost.calls) - len({step.key for step in made.steps}))
            calls, seconds = calls + len(cost.calls), seconds + cost.seconds
    figure = f"{worst:+} calls at worst; {calls} calls, {seconds:.2f} s"
    what = "FortiGate, feeds: 1,000 changes over 20 groups in 10 batches"
    yield Row(what, "calls of a batch ≤ touched objects + 3", figure, worst <= 3)


def _key(at: int) -> ObjectKey:
    return ObjectKey(Kind.GROUP, "east", Scope.SERVICE, "shop", f"app-{at}")
