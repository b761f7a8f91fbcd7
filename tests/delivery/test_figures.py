"""What delivery shows of itself."""

import pytest

from bridge import metrics
from bridge.delivery.timed import Timed
from bridge.errors import Busy
from bridge.model.intent import EVERYTHING
from bridge.model.plan import Fence
from tests.delivery.bench import Bench, FakeClock, addresses, bank, group, line, named, rules
from tests.delivery.memory import MemoryAdapter, MemoryDevice

PAY, CART = group("pay"), group("cart")


def _value(name: str, **labels: str) -> float:
    return metrics.REGISTRY.get_sample_value(f"fusion_bridge_{name}", {"device": "edge", **labels}) or 0.0


def _shop() -> Bench:
    bench = Bench()
    bench.state.want_group(PAY)
    bench.state.want_group(CART)
    bench.state.want(bank(), rules(line(PAY), line(CART)))
    bench.state.move(named(PAY, addresses(3)))
    bench.settle()
    return bench


def test_lag_is_from_the_record_to_the_device() -> None:
    bench = _shop()
    count, total = _value("device_lag_seconds_count"), _value("device_lag_seconds_sum")
    bench.settle()
    assert _value("device_lag_seconds_count") == count, "nothing changed"
    bench.clock.seconds = 100
    bench.state.move(named(PAY, ["10.0.9.9"]))
    bench.turn()
    assert _value("device_lag_seconds_count") == count + 1
    assert _value("device_lag_seconds_sum") == total + 100


def test_what_is_refused_is_not_on_the_device() -> None:
    bench = _shop()
    count = _value("device_lag_seconds_count")
    bench.memory.refuses[PAY] = "no"
    bench.state.move(named(PAY, ["10.0.9.9"]))
    bench.settle()
    assert _value("device_lag_seconds_count") == count


@pytest.mark.parametrize("fails", [False, True])
def test_hand_over_is_seen_when_the_old_holder_has_lost_the_address(fails: bool) -> None:
    bench = _shop()
    count, total = _value("device_handover_seconds_count"), _value("device_handover_seconds_sum")
    bench.state.move(named(CART, ["10.0.9.9"]))
    bench.state.move(leave=named(PAY, addresses(1)))
    bench.settle()
    assert _value("device_handover_seconds_count") == count, "nobody took over"
    moving = addresses(3)[1:]
    bench.clock.seconds = 50
    if fails:
        bench.memory.failures, bench.memory.fail_after = [Busy("edge", "later")], 0
    bench.state.move(named(CART, moving), named(PAY, moving))
    bench.turn()
    if fails:
        assert _value("device_handover_seconds_count") == count
        bench.settle()
    assert _value("device_handover_seconds_count") == count + 2
    assert _value("device_handover_seconds_sum") >= total + 100
    assert bench.members(CART) >= set(moving)


def test_operations_are_counted_whether_they_end_well_or_not() -> None:
    memory = MemoryDevice()
    timed = Timed(MemoryAdapter(memory), FakeClock())
    done = _value("device_operation_seconds_count", operation="read")
    calls, busy = _value("device_calls_total", operation="read"), _value("device_errors_total", error="Busy")
    timed.read(EVERYTHING)
    memory.failures = [Busy("edge", "later")]
    with pytest.raises(Busy):
        timed.read(EVERYTHING)
    assert _value("device_operation_seconds_count", operation="read") == done + 2
    assert _value("device_calls_total", operation="read") == calls + 2
    assert _value("device_errors_total", error="Busy") == busy + 1
    timed.raise_fence(Fence(3, "here"))
    assert timed.active()
    timed.save()
    assert (memory.fence.epoch, memory.saved, timed.calls) == (3, 1, memory.reads)
