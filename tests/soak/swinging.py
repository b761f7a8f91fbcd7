"""Ten thousand pods come and go again, over and over: what the program and its database hold afterwards must not grow."""

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network
from itertools import pairwise
from pathlib import Path
from random import Random
from statistics import linear_regression, mean

import psycopg
from sqlalchemy import make_url

from bridge.lab.devices.bigip import Bigip
from bridge.lab.fleet import Fleet
from bridge.lab.population import _node, _nodes
from bridge.lab.workload import Workload
from bridge.state.embedded import EmbeddedPostgres
from tests.acceptance.site import LISTS, Bridge, ClusterEntry, bigip
from tests.acceptance.world import Cluster, cluster
from tests.soak import record
from tests.soak.meaning import CLUSTER
from tests.soak.proof import Findings, Order, Proof

_TEAMS, _STAY, _SWING = 20, 400, 10_000
_WARM, _REMEMBERED = (
    2,
    75.0,
)  # cycles, and seconds: who went within the last minute is remembered, for another replica's sake
_PODS_PER_NODE = 220
_PODS = "10.128.0.0/14"
_PATIENCE = 300.0  # seconds without any progress after which something counts as lost
_SLOPE = 0.02  # of what is resident, per cycle
_MORE = 4  # threads, files or connections at the end than after the first cycle: a pool's own ups and downs
_HISTORY = ("lease_closed", "member_closed", "audit", "version")
_SIZES = """SELECT c.relname, pg_total_relation_size(c.oid) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'r' AND n.nspname = 'public'"""


@dataclass(frozen=True, slots=True)
class Reading:
    """What there is at rest; memory and tables in bytes. `history` grows with what happened, `tables` must not."""

    memory: int
    threads: int
    files: int
    connections: int
    tables: int
    history: int


@dataclass
class Stand:
    """A cluster of many pods, the program and its device."""

    fleet: Fleet
    bridge: Bridge
    device: Bigip
    conninfo: str
    random: Random

    def swing(self) -> None:
        """They come, all is in step; they go, all is in step."""
        added = [self.fleet.add(self.fleet.workloads[number % _TEAMS]) for number in range(_SWING)]
        self.await_step()
        self.random.shuffle(added)
        for pod in added:
            self.fleet.remove(pod)
        self.await_step()

    def await_step(self) -> None:
        """Until every address is recorded and on the device, and no other; TimeoutError when nothing moves any more."""
        wanted = {pod.address: pod.uid for workload in self.fleet.workloads for pod in workload.pods}
        seen, until = -1, time.monotonic() + _PATIENCE
        while time.monotonic() < until:
            with contextlib.suppress(psycopg.Error), psycopg.connect(self.conninfo, autocommit=True) as connection:
                held = record.open_leases(connection)
                if held == wanted and not record.waiting(connection) and self._on_device() == wanted.keys():
                    return
                if len(held) != seen:
                    seen, until = len(held), time.monotonic() + _PATIENCE
            time.sleep(0.2)
        raise TimeoutError(f"{seen} leases of {len(wanted)}, {len(self._on_device())} on the device")

    def look(self) -> Reading:
        """At rest. Tables are vacuumed first, as the server does on its own some time later."""
        assert self.bridge.process is not None
        process = Path(f"/proc/{self.bridge.process.pid}")
        with psycopg.connect(self.conninfo, autocommit=True) as connection:
            connection.execute("VACUUM")
            sizes = {str(name): int(size) for name, size in connection.execute(_SIZES)}
            query = (
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            (connections,) = connection.execute(query).fetchone() or (0,)
        history = sum(size for name, size in sizes.items() if name.startswith(_HISTORY))
        return Reading(
            _of(process / "status", "RssAnon") * 1024,
            _of(process / "status", "Threads"),
            len(list((process / "fd").iterdir())),
            int(connections),
            sum(sizes.values()) - history,
            history,
        )

    def _on_device(self) -> set[str]:
        """Every address of a pod in an address list of ours."""
        lists = self.device.objects(LISTS, "/Common/fbtest/").values()
        return {one["name"] for body in lists for one in body.get("addresses", ()) if "/" not in one["name"]} - {
            _NOWHERE
        }


_NOWHERE = "::1:5ee:bad:c0de"


def run(order: Order, findings: Findings) -> None:
    """What is remembered of those who come and go is full after a while; then come the cycles that count."""
    cycles = order.times(3, 20)
    with stand(order) as made:
        made.bridge.start()
        made.await_step()
        warm, until = 0, time.monotonic() + _REMEMBERED
        while warm < _WARM or time.monotonic() < until:
            made.swing()
            warm += 1
        readings = [made.look()]
        for number in range(1, cycles + 1):
            made.swing()
            findings.progress(number, cycles)
            readings.append(made.look())
            findings.expect(made.bridge.running, f"the program ended: {made.bridge.log()[-3:]}")
        judge(readings, findings)
        findings.figures |= {"cycles": cycles, "to warm up": warm, "pods": _SWING}


def judge(readings: Sequence[Reading], findings: Findings) -> None:
    """What grew."""
    memory = [one.memory for one in readings]
    slope = linear_regression(range(len(memory)), memory).slope / mean(memory)
    findings.figures |= {"memory MB": f"{memory[0] >> 20} … {memory[-1] >> 20}", "slope %": round(100 * slope, 2)}
    findings.expect(slope < _SLOPE, f"memory grows by {slope:.1%} per cycle: {[one >> 10 for one in memory]} KB")
    for what in ("threads", "files", "connections"):
        counts = [int(getattr(one, what)) for one in readings]
        findings.figures[what] = counts[-1]
        findings.expect(counts[-1] <= counts[0] + _MORE, f"{what}: {counts}")
    tables, history = [one.tables for one in readings], [one.history for one in readings]
    findings.figures |= {
        "tables MB": tables[-1] >> 20,
        "history MB per cycle": (history[-1] - history[0]) // len(history) >> 20,
    }
    findings.expect(tables[-1] <= 1.2 * tables[0] + (1 << 20), f"tables that hold what is now: {tables}")
    steps = [after - before for before, after in pairwise(history)]
    findings.expect(steps[-1] <= 1.5 * max(steps[0], 1 << 20), f"history grows faster from cycle to cycle: {steps}")


@contextlib.contextmanager
def stand(order: Order) -> Iterator[Stand]:
    """Everything but the started program."""
    random = Random(order.seed)
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(EmbeddedPostgres(order.folder / "data", durable=False))
        made, device = stack.enter_context(cluster(CLUSTER)), stack.enter_context(bigip(tls=False))
        # As many nodes as are needed: those who come get the addresses of those who went.
        nodes = _nodes(IPv4Network(_PODS), _SWING + _STAY)[: (_SWING + _STAY) // _PODS_PER_NODE]
        fleet = Fleet(made.store, random, nodes, slices=False)
        made.store.bulk_load("nodes", map(_node, fleet.nodes))
        for number in range(_TEAMS):
            fleet.workloads.append(_team(made, fleet, f"team-{number:02}"))
        for number in range(_STAY):
            fleet.add(fleet.workloads[number % _TEAMS])
        entry = ClusterEntry(CLUSTER, made.api.kubeconfig, (_PODS,))
        delivery = {"auditInterval": 300, "saveAfter": 0.5, "pollInterval": 1}
        # What unknown addresses may is said by prefixes with holes; here every address on the device is that of a pod.
        default = {"action": "None", "unknownAddresses": "Pass"}
        bridge = stack.enter_context(Bridge(order.folder, {"edge": device}, [entry], default, delivery))
        conninfo = make_url(server.url).set(drivername="postgresql").render_as_string(hide_password=False)
        yield Stand(fleet, bridge, device, conninfo, random)


def _team(made: Cluster, fleet: Fleet, name: str) -> Workload:
    made.team(name)
    return Workload(name, "web", "api", 1, fleet.uid(), fleet.suffix(10), 8080, "2026-01-01T00:00:00Z")


def _of(status: Path, word: str) -> int:
    (line,) = (line for line in status.read_text().splitlines() if line.startswith(f"{word}:"))
    return int(line.split()[1])


PROOF = Proof("swing", f"{_SWING:,} pods come and go, over and over: memory, threads, files, connections, tables", run)
