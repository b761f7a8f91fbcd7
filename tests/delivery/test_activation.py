"""When a device is asked whether it enforces what it stores: soon after a lone change, seldom under a stream of them."""

from itertools import pairwise

import pytest

from bridge.delivery.activation import Activation
from tests.delivery.bench import Bench, addresses, bank, group, line, named, rules


def _questions(activation: Activation, until: float, changes: list[float]) -> list[float]:
    """When it is asked, in a world that moves in milliseconds."""
    asked, coming = [], list(changes)
    for number in range(round(until * 1000)):
        now = number / 1000
        if coming and now >= coming[0]:
            activation.begin(coming.pop(0))
        if activation.due(now):
            activation.asked(now)
            asked.append(now)
    return asked


def test_a_lone_change_is_asked_about_at_once_and_then_ever_less() -> None:
    assert _questions(Activation(0.5), 2.4, [0.0]) == pytest.approx(
        [0, 0.05, 0.15, 0.35, 0.75, 1.25, 1.75, 2.25], abs=0.005
    )


def test_each_plan_begins_anew() -> None:
    activation = Activation(0.5)
    activation.asked(0.0)
    activation.begin(20.0)
    asked = []
    for number in range(20_000, 20_800):
        if activation.due(number / 1000):
            activation.asked(number / 1000)
            asked.append(number / 1000)
    assert asked == pytest.approx([20, 20.05, 20.15, 20.35, 20.75], abs=0.005)


@pytest.mark.parametrize("interval", [0.02, 0.5, 5.0])
def test_under_a_stream_of_changes_the_interval_holds_on_average(interval: float) -> None:
    for apart in (0.01, 0.3):
        changes = [number * apart for number in range(round(60 / apart))]
        asked = _questions(Activation(interval), 60.0, changes)
        assert len(asked) <= 60 / interval + 9
        assert max(b - a for a, b in pairwise(asked)) <= interval + 0.01


def test_a_worker_waits_no_longer_than_it_takes() -> None:
    bench = Bench()
    pay = group("pay")
    bench.state.want_group(pay)
    bench.state.want(bank(), rules(line(pay)))
    bench.settle()
    bench.clock.seconds += 60
    bench.memory.active = False
    bench.state.move(named(pay, addresses(1)))
    pauses = [bench.turn() for _ in range(3)]
    assert pauses == pytest.approx([0.05, 0.1, 0.2])
    bench.memory.active = True
    assert bench.turn() == bench.settings.poll_interval
    assert not bench.state.pending
