"""Before anything is written: whether the device is the one that it was, whose it is, and whether the state is not older than it."""

from dataclasses import replace
from datetime import timedelta

import pytest

from bridge.delivery.worker import Worker
from bridge.errors import FencedOff, Refused
from bridge.model.intent import FenceState, Group
from bridge.state.recognition import Recognition
from tests.delivery.bench import Bench, addresses, bank, group, line, named, rules
from tests.delivery.memory import MemoryAdapter, tampered
from tests.state.builders import START

PAY = group("pay")


def _shop() -> Bench:
    """A Service that may reach the bank, in step."""
    bench = Bench()
    bench.state.want_group(PAY)
    bench.state.want(bank(), rules(line(PAY)))
    bench.state.move(named(PAY, addresses(3)))
    bench.settle()
    return bench


def test_another_serial_stops_the_device_until_it_is_confirmed() -> None:
    bench = _shop()
    bench.state.recognized = Recognition(frozenset({"memory-0"}))
    bench.state.move(named(PAY, ["10.0.9.9"]))
    bench.restart()
    writes, fence = bench.memory.writes, bench.memory.fence
    with pytest.raises(Refused, match=r"was memory-0 and is now memory-1.*confirm device edge"):
        bench.turn()
    assert (bench.memory.writes, bench.memory.fence) == (writes, fence)
    assert bench.state.health[-1].state == "stopped"
    bench.state.recognized = Recognition(frozenset({"memory-0", "memory-1"}))
    bench.settle()
    assert "10.0.9.9" in bench.members(PAY)


def test_a_fence_that_stops_us_is_not_outgrown_by_trying_again() -> None:
    bench = _shop()
    bench.memory.fence = FenceState(5, "installation")
    for epoch in (2, 6, 9):
        bench.epoch = epoch
        bench.restart()
        with pytest.raises(FencedOff, match="fence reset edge"):
            bench.turn()
    bench.state.recognized = replace(bench.state.recognized, stopped_by=None, replaces=bench.memory.fence)
    bench.settle()
    assert bench.memory.fence == FenceState(9, "installation")
    assert bench.state.recognized == Recognition()


def test_nor_is_one_that_is_met_in_the_middle_of_a_plan() -> None:
    """A copy of our database, and a bridge on it: of two who write with the same right, neither may win by trying again."""
    bench = _shop()
    bench.memory.fence = other = FenceState(bench.epoch + 1, "installation")
    bench.state.move(named(PAY, ["10.0.9.9"]))
    with pytest.raises(FencedOff):
        bench.turn()
    for epoch in (other.epoch, other.epoch + 1):
        bench.epoch = epoch
        bench.restart()
        with pytest.raises(FencedOff, match="fence reset edge"):
            bench.turn()
    assert bench.memory.fence == other
    assert "10.0.9.9" not in bench.members(PAY)


def test_only_the_fence_that_a_person_gave_up_is_replaced() -> None:
    bench = _shop()
    bench.state.recognized = Recognition(replaces=FenceState(5, "another"))
    bench.memory.fence = FenceState(6, "another")
    bench.epoch = 7
    bench.restart()
    with pytest.raises(FencedOff):
        bench.turn()
    assert bench.memory.fence == FenceState(6, "another")


def test_what_the_state_cannot_explain_waits_until_the_clusters_were_heard_of() -> None:
    """The device holds what our own later self brought there: an old state knows nothing of it, and must not undo it."""
    bench = _shop()
    tampered(bench.memory, lambda objects: objects.update({PAY: Group(PAY, frozenset(addresses(4)))}))
    adapter = MemoryAdapter(bench.memory)
    bench.worker = Worker(adapter, bench.state, bench.clock, "installation", bench.settings, ("east",))
    bench.state.heard_until = START - timedelta(seconds=1)
    writes = bench.memory.writes
    for _ in range(5):
        bench.turn()
    assert bench.memory.writes == writes
    bench.state.move(named(PAY, addresses(4)[3:]))  # it is there, as the cluster says
    bench.state.heard_until = START
    bench.settle()
    assert bench.members(PAY) == set(addresses(4))
    assert bench.memory.writes == writes, "nothing to undo, nothing to do again"
