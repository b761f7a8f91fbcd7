"""From a pod's change to the database and to the device: rates, latencies, growth, start."""

import bisect
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from bridge.delivery.worker import Worker
from bridge.model.intent import Shard
from bridge.model.plan import Fence, Op, Plan, Step
from tests.bench.cluster_process import Load
from tests.bench.row import Row, quantile
from tests.bench.stand import Stand, await_, stand

_SMALL, _BURST = 1_000, 10_000


def sustained(pods: int) -> Iterator[Row]:
    """As fast as the cluster can make them: a burst of replacements, until the record holds them all."""
    with _stand(Load(pods), device=False) as bench:
        bench.start()
        bench.wait_settled()
        began, _, log = bench.ask("churn", 0, _BURST)
        truth = bench.ask("truth")
        last = log[-1][1]
        await_(lambda: bench.holder(last) == truth[last])
        rate = _BURST / (time.monotonic() - began)
        lost = len(truth.items() ^ bench.leases().items())
    notes = {"pods": pods, "burst": _BURST, "lost": lost}
    yield Row("sustained pod changes, watch to committed state", "≥ 2,500 /s", f"{rate:,.0f} /s", rate >= 2_500, notes)
    yield Row(f"a burst of {_BURST:,} loses", "0", str(lost), lost == 0, notes)


def latency(pods: int, seconds: float) -> Iterator[Row]:
    """Change to device acknowledged at two rates, against the bare commit and the bare calls of one member change."""
    with _stand(Load(pods), device=True) as bench:
        bench.start()
        bench.wait_settled()
        yield from _one_member(bench)
        bare = _bare(bench)
        slow = _paced(bench, 100, int(100 * seconds))
        fast = _paced(bench, 1_000, int(1_000 * min(seconds, 20)))
        busy = (
            [(objects, calls) for objects, calls, _ in bench.adapters.opened.applies] if bench.adapters.opened else []
        )
    notes = {"pods": pods, "bare_ms": round(bare * 1e3, 2), "ms_at_100": _ms(slow), "ms_at_1000": _ms(fast)}
    p50, p99 = quantile(slow, 0.5), quantile(slow, 0.99)
    what = f"pod change to device acknowledged, {pods:,} pods, 100 changes/s over 20 groups"
    yield Row(f"{what}: p50", "≤ 8 × bare", f"{p50 / bare:.1f} ×", p50 <= 8 * bare, notes)
    yield Row(f"{what}: p99", "≤ 30 × bare", f"{p99 / bare:.1f} ×", p99 <= 30 * bare, notes)
    yield Row(f"{what}: p99 in time", "≤ 100 ms", f"{p99 * 1e3:.0f} ms", p99 <= 0.1, notes)
    top = quantile(fast, 0.99)
    yield Row("the same at 1,000 changes/s: p99", "≤ 500 ms", f"{top * 1e3:.0f} ms", top <= 0.5, notes)
    over = sum(calls > objects + 3 for objects, calls in busy)
    goal = "0 batches over"
    yield Row("device calls per batch ≤ objects touched + 3", goal, f"{over} of {len(busy)} over", over == 0, notes)


def growth(pods: int, seconds: float) -> Iterator[Row]:
    """CPU per change in a small fleet and in a large one, product and database together."""
    small, large = (_cpu(size, seconds) for size in (_SMALL, pods))
    notes = {"us_small": round(small * 1e6), "us_large": round(large * 1e6), "small": _SMALL, "large": pods}
    what = f"CPU per change as the fleet grows {_SMALL:,} → {pods:,} pods"
    yield Row(what, "≤ 1.2 ×", f"{large / small:.2f} ×", large <= 1.2 * small, notes)


def start(pods: int, services: int) -> Iterator[Row]:
    """From nothing, and from a warm database, to the first plan."""
    folder = tempfile.mkdtemp(prefix="bench-")
    for name in ("cold", "warm"):
        words = [sys.executable, "-m", "tests.bench.start_once", folder, str(pods), str(services)]
        done = subprocess.run(words, check=True, capture_output=True, text=True)
        found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
        notes = {"pods": pods, "services": services, **{key: round(value, 1) for key, value in found.items()}}
        over, resident = found["seconds"] - found["sending"], found["resident"]
        what = f"start with a {name} database, {pods:,} pods, {services:,} services, to the first recorded picture"
        yield Row(what, "≤ 10 s over sending", f"{over:.1f} s over", over <= 10, notes)
        yield Row(f"resident after the {name} start", "≤ 500 MB", f"{resident:.0f} MB", resident <= 500, notes)


def _stand(load: Load, *, device: bool) -> AbstractContextManager[Stand]:
    return stand(Path(tempfile.mkdtemp(prefix="bench-")), load, device=device)


def _paced(bench: Stand, rate: float, count: int) -> list[float]:
    """Seconds from each replacement to the acknowledgement of its address."""
    watched = bench.adapters.opened
    assert watched is not None
    watched.acknowledged.clear()
    _, _, log = bench.ask("churn", rate, count)
    bench.wait_settled()
    times: dict[str, list[float]] = {}
    for at, address in watched.acknowledged:
        times.setdefault(address, []).append(at)
    found = []
    for began, address in log:
        after = times.get(address, [])
        place = bisect.bisect(after, began)
        if place < len(after):  # an address given out again at once changes nothing on the device
            found.append(after[place] - began)
    return found


def _bare(bench: Stand) -> float:
    """One commit, and the device calls of one member change, each alone: the least that a change can take."""
    commits = []
    with bench.database.transaction() as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS bare (n int)")
    for number in range(50):
        began = time.monotonic()
        with bench.database.transaction() as connection:
            connection.execute("INSERT INTO bare VALUES (%s)", [number])
        commits.append(time.monotonic() - began)
    calls = [_member_change(bench)[0] for _ in range(20)]
    return quantile(commits, 0.5) + quantile(calls, 0.5)


def _member_change(bench: Stand) -> tuple[float, list[tuple[str, str, int, int]]]:
    """Write one shard of the device once more with a member less or more; seconds, and the calls that it took."""
    worker: Worker = bench.controller.workers["fw"]
    watched = bench.adapters.opened
    assert watched is not None
    before = next(value for value in worker.verified.values() if isinstance(value, Shard))
    key = before.key
    less = Shard(key, before.members - {next(iter(before.members))})
    fence = Fence(_epoch(bench), bench.database.installation())
    count = bench.ask_device("count")
    began = time.monotonic()
    watched.inner.apply(Plan("fw", ((Step(Op.UPDATE, key, before, less),),)), fence)
    passed = time.monotonic() - began
    exchanges = bench.ask_device("requests")[count:]
    watched.inner.apply(Plan("fw", ((Step(Op.UPDATE, key, less, before),),)), fence)
    return passed, exchanges


def _epoch(bench: Stand) -> int:
    query = "SELECT epoch FROM replica_lease WHERE role = 'device' AND name = 'fw'"
    with bench.database.transaction() as connection:
        row = connection.execute(query).fetchone()
    assert row is not None
    return int(row[0])


def _one_member(bench: Stand) -> Iterator[Row]:
    _, exchanges = _member_change(bench)
    volume = sum(received + sent for _, _, received, sent in exchanges)
    notes = {"calls": [(method, path) for method, path, _, _ in exchanges], "bytes": volume}
    good = len(exchanges) <= 2 and volume <= 8 * 1024
    figure = f"{len(exchanges)} calls, {volume / 1024:.1f} KiB"
    yield Row("one member change in a large group", "≤ 2 calls, ≤ 8 KiB", figure, good, notes)


def _cpu(pods: int, seconds: float) -> float:
    with _stand(Load(pods), device=True) as bench:
        bench.start()
        bench.wait_settled()
        count = int(100 * seconds)
        before = bench.cpu()
        bench.ask("churn", 100, count)
        bench.wait_settled()
        return (bench.cpu() - before) / count


def _ms(values: list[float]) -> dict[str, float]:
    return {f"p{int(share * 100)}": round(quantile(values, share) * 1e3, 1) for share in (0.5, 0.99, 1.0)}
