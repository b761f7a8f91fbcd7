"""AWS on the bench: what every device is asked, and the first programming once more at the rates that EC2 lets an account call."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import TYPE_CHECKING

from adapters.aws import factory
from bridge.contract import Adapter, DeviceConfig
from bridge.lab.device import Exchange
from bridge.model.identity import Kind, ObjectKey, Scope
from tests.bench import programming
from tests.bench.programming import Bed, Subject, policy
from tests.bench.row import Row

if TYPE_CHECKING:
    from bridge.lab.devices.aws import Aws

_RULES = 800  # with their groups as many as fit a hundred lists, and sixty rules of each security group
_BEHIND = 20


def rows() -> Iterator[Row]:
    """All of them."""
    yield from programming.rows(Subject("AWS", _fresh, rules=_RULES))
    yield from _member()
    yield from _at_rates()


@contextmanager
def _fresh(*, rates: bool = False) -> Iterator[tuple[Adapter, Callable[[], Sequence[Exchange]]]]:
    """An account with its default quotas, and a security group before each destination.

    A list of ten thousand is no source of a rule at these quotas: where the policy is small, nothing is attached.
    """
    from bridge.lab.devices.aws import Aws  # slow to import: only where its rows are measured

    with Aws(tls=False) as device:
        places = [
            {"id": device.create_group(f"front-{at}", prefix), "destinations": [prefix]}
            for at in range(_BEHIND)
            for prefix in [f"198.51.100.{at + 1}/32"]
        ]
        device.throttle.on = rates
        config = DeviceConfig(
            "edge",
            "aws",
            device.url,
            "bench",
            _Keys(device),
            {"region": device.region},
            {"mode": "ifEmpty" if rates else "none", "securityGroups": places},
            timeout=60.0,
        )
        adapter = factory.open(config)
        try:
            yield adapter, device.requests
        finally:
            adapter.close()


class _Keys:
    def __init__(self, device: "Aws") -> None:
        self._device = device

    def value(self, name: str) -> str:
        return {"username": self._device.username, "password": self._device.password}[name]


def _member() -> Iterator[Row]:
    """One member comes, and nobody goes: a change of one list, which is three calls because EC2 answers before it is made."""
    with _fresh() as (adapter, requests):
        bed, key = Bed(adapter, requests), ObjectKey(Kind.GROUP, "east", Scope.SERVICE, "shop", "app-0")
        members = [f"10.1.{number // 250}.{number % 250 + 1}" for number in range(10_000)]
        bed.reach({one.key: one for one in bed.parts(key, members)})
        _, cost = bed.reach({one.key: one for one in bed.parts(key, [*members, "10.250.0.1"])})
    told = f"{len(cost.calls)} calls, {cost.volume / 1024:.1f} KiB"
    goal = "≤ 2 calls and ≤ 8 KiB (counted: the fence, the change, its completion)"
    reached = len(cost.calls) <= 2 and cost.volume <= 8 * 1024
    yield Row("AWS: one member more in a group of 10,000", goal, told, reached)


def _at_rates() -> Iterator[Row]:
    with _fresh(rates=True) as (adapter, requests):
        bed = Bed(adapter, requests)
        made, cost = bed.reach(policy(_RULES, _RULES // 10, _RULES // 50))
        audit = bed.audit()
    throttled = sum(one.status == 503 for one in cost.calls)
    waited = sum(after.at - one.at for one, after in pairwise(cost.calls) if one.status == 503) / cost.seconds
    told = f"{len(cost.calls)} calls, {throttled} of them refused as too many, {cost.seconds:.1f} s, {waited:.0%} of it waiting"
    what = f"AWS: first programming of {_RULES:,} rules, attached, at EC2's default request rates"
    notes = {"bytes": cost.volume, "steps": len(made.steps), "throttled": throttled}
    yield Row(what, "shown only", told, reached=True, notes=notes)
    told = f"{len(audit.calls)} calls, {audit.seconds:.2f} s, {audit.writes} writes"
    yield Row("AWS: audit of the same with nothing changed", "0 writes", told, reached=audit.writes == 0)
