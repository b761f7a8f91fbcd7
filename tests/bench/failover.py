"""The owner of everything is killed while the cluster changes: how long until a standby has it all on the device."""

import contextlib
import os
import signal
import tempfile
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import Any

from bridge.state.database import Database
from bridge.state.embedded import EmbeddedPostgres
from tests.bench import cluster_process, device_process, replica_process
from tests.bench.cluster_process import Load
from tests.bench.replica_process import Place
from tests.bench.row import Row
from tests.bench.stand import await_, spawned

_CHANGES = 50
_GOAL = 10.0
_LOOK = 0.1  # seconds between two looks at the device
_LONGEST_CALL = 1.0  # of the simulated device: the last answer of a plan may come so late


def rows(pods: int, services: int) -> Iterator[Row]:
    """One kill, with a standby that watches."""
    with contextlib.ExitStack() as stack:
        postgres = stack.enter_context(EmbeddedPostgres(Path(tempfile.mkdtemp(prefix="bench-"))))
        cluster, document = stack.enter_context(spawned(cluster_process.serve, Load(pods, idle_services=services)))
        device, found = stack.enter_context(spawned(device_process.serve))
        _upgraded(postgres.url)
        place = Place(postgres.url, Path(document["kubeconfig"]), found)
        owner, _ = stack.enter_context(spawned(replica_process.serve, place))
        await_(lambda: _ask(owner, "in step"))
        standby, _ = stack.enter_context(spawned(replica_process.serve, place))
        await_(lambda: _ask(standby, "warm"))
        resident = {"owner": _ask(owner, "resident"), "standby": _ask(standby, "resident")}
        spent = _ask(standby, "cpu")
        seconds, wrong = _killed(owner, cluster, device)
        spent = _ask(standby, "cpu") - spent
        await_(lambda: _ask(standby, "in step"))
        resident["standby after"] = _ask(standby, "resident")
    notes = {
        "pods": pods,
        "services": services,
        "changes": _CHANGES,
        "cpu_s": round(spent, 1),
        "resident_mb": {k: round(v) for k, v in resident.items()},
    }
    what = f"failover to a standby, {pods:,} pods: from the kill of the owner until {_CHANGES} changes of that moment are on the device"
    goal = f"≤ {_GOAL:g} s + the longest call"
    yield Row(what, goal, f"{seconds:.1f} s", seconds <= _GOAL + _LONGEST_CALL, notes)
    yield Row("members lost or stale after it", "0", str(wrong), wrong == 0, notes)
    warm = resident["standby"]
    yield Row(f"resident while it stands by, {pods:,} pods", "≤ 500 MB", f"{warm:.0f} MB", warm <= 500, notes)


def _killed(owner: Pipe, cluster: Pipe, device: Pipe) -> tuple[float, int]:
    """Seconds until the device holds what it should, and how many members it has too few or too many then."""
    _ask(owner, "resident")
    died = time.monotonic()
    os.kill(_pid(owner), signal.SIGKILL)
    cluster.send(("churn", 0, _CHANGES))
    _, _, log = cluster.recv()
    truth = set(_ask(cluster, ("truth",)))
    came = [address for _, address in log if address in truth]  # some went again
    while not _ask(device, ("holds", came)):
        time.sleep(_LOOK)
    seconds = time.monotonic() - died
    held: set[str] = set(_ask(device, ("members",)))
    while held != truth and time.monotonic() < died + 30:
        time.sleep(_LOOK)
        held = set(_ask(device, ("members",)))
        seconds = time.monotonic() - died
    return seconds, len(held ^ truth)


def _pid(owner: Pipe) -> int:
    pid: int = _ask(owner, "pid")
    return pid


def _ask(pipe: Pipe, order: Any) -> Any:
    pipe.send(order)
    answer = pipe.recv()
    if isinstance(answer, Exception):
        raise answer
    return answer


def _upgraded(url: str) -> None:
    database = Database(url)
    try:
        database.upgrade()
    finally:
        database.close()
