"""When a take-over counts as complete, and what was put right before."""

import math
from dataclasses import dataclass, field

import pytest

from bridge.delivery.take_over import TakeOver
from bridge.delivery.worker import Worker
from bridge.errors import Busy, StateUnavailable
from bridge.model.identity import ObjectKey
from bridge.model.intent import DeviceObject, Group
from tests.delivery.bench import Bench, FakeClock, addresses, bank, group, line, named, rules
from tests.delivery.memory import MemoryAdapter, tampered

PAY, CART = group("pay"), group("cart")
PATIENCE = 20.0


@dataclass
class Taken(Bench):
    """A bench whose worker took over from an owner who did not let go."""

    completed: list[float] = field(default_factory=list)
    database_away: bool = False

    def restart(self) -> None:
        adapter = MemoryAdapter(self.memory, atomic=self.atomic, limits=self.limits)
        take_over = TakeOver(self.clock, PATIENCE, self.settle_take_over)
        self.worker = Worker(adapter, self.state, self.clock, "installation", self.settings, (), take_over)

    def settle_take_over(self) -> None:
        if self.database_away:
            raise StateUnavailable("away")
        self.completed.append(self.clock.seconds)


def _taken() -> Taken:
    bench = Taken()
    bench.state.want_group(PAY)
    bench.state.want_group(CART)
    bench.state.want(bank(), rules(line(PAY), line(CART)))
    bench.state.move(named(PAY, addresses(3)))
    bench.settle()
    return bench


def _stale(bench: Bench) -> None:
    """The last call of the owner before lands."""

    def change(objects: dict[ObjectKey, DeviceObject]) -> None:
        objects[PAY] = Group(PAY, frozenset({*addresses(3), "10.0.9.9"}))

    tampered(bench.memory, change)


def _until(bench: Taken, seconds: float) -> None:
    while bench.clock.seconds < seconds:
        bench.turn()


def test_what_lands_late_is_put_right_before_it_counts() -> None:
    bench = _taken()
    assert bench.clock.seconds < PATIENCE
    _stale(bench)
    bench.state.move(named(CART, ["10.0.1.1"]))
    bench.turn()
    assert bench.members(CART) == {"10.0.1.1"}
    assert not bench.completed, "it delivers, and is not complete"
    assert "10.0.9.9" in bench.members(PAY)
    _until(bench, PATIENCE + 1)
    bench.settle()
    assert len(bench.completed) == 1
    assert bench.members(PAY) == set(addresses(3))
    reads = bench.memory.reads
    _until(bench, PATIENCE * 3)
    assert (len(bench.completed), bench.memory.reads) == (1, reads), "once, and no reading more than it takes"


def test_a_device_that_does_not_answer_is_not_taken_over() -> None:
    bench = _taken()
    _stale(bench)
    bench.memory.failures = [Busy("edge", "down")] * 3
    bench.clock.seconds += PATIENCE
    bench.turn()
    assert not bench.completed
    bench.settle()
    assert len(bench.completed) == 1
    assert bench.members(PAY) == set(addresses(3))


def test_it_is_said_as_soon_as_the_database_hears_it() -> None:
    bench = _taken()
    bench.database_away = True
    bench.clock.seconds += PATIENCE
    bench.turn()
    assert not bench.completed
    bench.database_away = False
    bench.settle()
    assert len(bench.completed) == 1


@pytest.mark.parametrize("began", [0.0, PATIENCE - 0.1])
def test_a_reading_that_began_before_the_time_does_not_count(began: float) -> None:
    clock, settled = FakeClock(), list[bool]()
    over = TakeOver(clock, PATIENCE, lambda: settled.append(True))
    assert over.wait == math.inf, "our fence does not stand yet"
    over.saw(0.0)
    assert over.wait == PATIENCE
    clock.seconds = PATIENCE
    over.saw(began)
    over.in_step()
    assert not settled
    assert over.wait == 0
    over.saw(clock.seconds)
    over.in_step()
    assert settled


def test_after_a_clean_hand_over_there_is_nothing_to_wait_for() -> None:
    over = TakeOver(FakeClock())
    over.saw(0.0)
    assert over.wait == math.inf
    over.in_step()
