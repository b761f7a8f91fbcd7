"""Replicas: who acts for what, and that nobody else does."""

import contextlib
import os
import re
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import make_url

from adapters.bigip import factory as bigip_factory
from adapters.conformance.permits import Permits
from bridge.clock import SystemClock
from bridge.lab.devices.bigip.rig import bigip_rig
from bridge.lab.devices.memory import factory as memory_factory
from bridge.lab.devices.memory.rig import memory_rig
from bridge.model.capabilities import Form
from bridge.state.database import Database
from bridge.state.leases import ReplicaLeases
from tests.acceptance.documented import Document
from tests.acceptance.site import CLUSTER, OWNER, PROGRAM, Bridge, ClusterEntry, eventually, stays
from tests.acceptance.test_survival import prove
from tests.acceptance.world import cluster, run, world
from tests.adapters.nftables.machine import kernel
from tests.adapters.nftables.rig import nftables_rig, rigged
from tests.soak import pausing

_OPERATIONS = Path(__file__).parents[2] / "docs/operations.md"
_TIMES = {"term": 2, "renewal": 0.4, "deadline": 1.4}
_DEVICES = tuple(f"memory-{number}" for number in range(6))
_PERMITS = (
    "trust: deadlines are checked before every call that changes a device: once the permit is withdrawn in the middle of a plan, not "
    "one call more is made"
)


@pytest.mark.timeout(900)
@pytest.mark.slow
@pytest.mark.acceptance(
    "trust: a replica stopped by SIGSTOP past its lease in the middle of a device call, then resumed (10): no stale write in Postgres, "
    "none on devices with compare-and-swap, at most the one call already past its check elsewhere, repaired before take-over counts as "
    "complete"
)
def test_pauses(tmp_path: Path) -> None:
    prove(pausing.PROOF, tmp_path)


@pytest.mark.acceptance(_PERMITS)
class TestBigip(Permits):
    factory = bigip_factory
    rig = staticmethod(bigip_rig)


@pytest.mark.acceptance(_PERMITS)
class TestMemory(Permits):
    factory = memory_factory
    rig = staticmethod(memory_rig(Form.FLAT))


@kernel
@pytest.mark.acceptance(_PERMITS)
class TestGateway(Permits):
    factory = rigged
    rig = staticmethod(nftables_rig)


@pytest.mark.acceptance("trust: deadlines are on CLOCK_BOOTTIME, so that a suspended machine wakes with none left")
def test_the_clock_of_deadlines() -> None:
    before = time.clock_gettime(time.CLOCK_BOOTTIME)
    found = SystemClock().elapsed()
    assert before <= found <= time.clock_gettime(time.CLOCK_BOOTTIME)


@dataclass
class Fleet:
    """Replicas of the real program on one database: six devices, two clusters."""

    folder: Path
    url: str
    clusters: Sequence[ClusterEntry]
    connection: psycopg.Connection[tuple[Any, ...]]
    replicas: dict[str, Bridge] = field(default_factory=dict)  # by pid

    def add(self) -> str:
        """One more; its pid."""
        folder = self.folder / f"replica-{len(self.replicas)}"
        folder.mkdir()
        (folder / "token").write_text("unused")
        bridge = Bridge(folder, {}, list(self.clusters), environment={"FUSION_BRIDGE_DATABASE_URL": self.url})
        bridge.write_settings({"devices": [self._device(name) for name in _DEVICES], "replicas": _TIMES})
        bridge.start()
        assert bridge.process is not None
        self.replicas[str(bridge.process.pid)] = bridge
        return str(bridge.process.pid)

    def held(self, role: str) -> dict[str, int]:
        """By pid, how many it acts for."""
        query = """SELECT split_part(holder, '/', 2), count(*) FROM replica_lease
            WHERE role = %s AND expires_at > clock_timestamp() AND holder <> '' GROUP BY 1"""
        return dict(self.connection.execute(query, [role]).fetchall())

    def loads(self, role: str) -> list[int]:
        """How many each living one acts for."""
        held = self.held(role)
        living = [pid for pid, one in self.replicas.items() if one.running]
        return sorted(held.get(pid, 0) for pid in living) if held.keys() <= set(living) else []

    def _device(self, name: str) -> Mapping[str, Any]:
        return {
            "name": name,
            "kind": "memory",
            "url": f"memory://{name}",
            "timeout": 2,
            "credentials": {"token": {"file": "token"}},
            "scope": {
                "clusters": {
                    one.name: {"default": {"action": "None", "unknownAddresses": "Pass"}} for one in self.clusters
                },
                "memory": {"form": "allow-only", "file": str(self.folder / f"{name}.json")},
            },
        }


# Whoever takes or keeps a lease, and under which epoch.
_NOTE = """
CREATE TABLE held_under (role text, name text, epoch bigint, holder text, PRIMARY KEY (role, name, epoch, holder));
CREATE FUNCTION note_holder() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF NEW.holder <> '' THEN
        INSERT INTO held_under VALUES (NEW.role, NEW.name, NEW.epoch, NEW.holder) ON CONFLICT DO NOTHING;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER note AFTER INSERT OR UPDATE ON replica_lease FOR EACH ROW EXECUTE FUNCTION note_holder();
"""


@pytest.fixture
def fleet(tmp_path: Path, database_url: str) -> Iterator[Fleet]:
    conninfo = make_url(database_url).set(drivername="postgresql").render_as_string(hide_password=False)
    with contextlib.ExitStack() as stack:
        names = ("east", "west")
        entries = [
            ClusterEntry(name, stack.enter_context(cluster(name)).api.kubeconfig, (f"10.{244 + number}.0.0/16",))
            for number, name in enumerate(names)
        ]
        connection = stack.enter_context(psycopg.connect(conninfo, autocommit=True))
        connection.execute(_NOTE.encode())
        made = Fleet(tmp_path, conninfo, entries, connection)
        try:
            yield made
        finally:
            for one in made.replicas.values():
                one.stop(signal.SIGKILL)


@pytest.mark.timeout(300)
@pytest.mark.acceptance(
    "trust: any number of replicas share clusters and devices by leases: three share them, one more takes its share, one is killed and "
    "the others take over; two never hold the same epoch"
)
def test_replicas_share(fleet: Fleet) -> None:
    pids = [fleet.add() for _ in range(3)]
    eventually("three share", lambda: (fleet.loads("device"), fleet.loads("cluster")) == ([2, 2, 2], [0, 1, 1]), 60)
    pids.append(fleet.add())
    eventually("and a fourth", lambda: fleet.loads("device") == [1, 1, 2, 2], 60)
    told = next(iter(fleet.replicas.values())).cli("status", codes=(0, 1))["replicas"]
    assert sorted(len(one["devices"]) for one in told) == [1, 1, 2, 2]
    _looked_at(next(iter(fleet.replicas.values())))
    busiest = max(pids, key=lambda pid: fleet.held("device").get(pid, 0))
    fleet.replicas[busiest].stop(signal.SIGKILL)
    eventually("the others take over", lambda: fleet.loads("device") == [2, 2, 2], 60)
    assert sum(fleet.loads("cluster")) == 2
    twice = "SELECT role, name, epoch FROM held_under GROUP BY 1, 2, 3 HAVING count(*) > 1"
    assert fleet.connection.execute(twice).fetchall() == []
    (many,) = fleet.connection.execute("SELECT count(*) FROM held_under").fetchone() or (0,)
    assert many > len(_DEVICES) + len(fleet.clusters), "nothing was ever handed over"


def _looked_at(bridge: Bridge) -> None:
    """What the operators' page says to look at, from beside this replica."""
    (block,) = re.findall(r"```sh\n(.*?)```", Document(_OPERATIONS).examples()["replicas"], re.DOTALL)
    listening = next(str(one["monitoring"]) for one in bridge.log() if one.get("event") == "running")
    commands = block.replace("fusion-bridge ", f"{PROGRAM} --config {bridge.config} ").replace(
        "127.0.0.1:9808", listening
    )
    environment = {**os.environ, **bridge.environment}
    said = run("sh", "-c", commands, env=environment).stdout
    assert "Replicas" in said
    assert "fusion_bridge_replicas 4.0" in said
    assert 'fusion_bridge_tenure_taking_over{name="memory-0",role="device"}' in said


@pytest.mark.timeout(120)
@pytest.mark.acceptance(
    "trust: `run` refuses to write where a live epoch holds the same owner under another installation id, and says so"
)
def test_another_installation(tmp_path: Path) -> None:
    (tmp_path / "first").mkdir()
    (tmp_path / "second").mkdir()
    with world(tmp_path / "first") as made:
        made.team("shop", "10.244.0.1")
        made.bridge.start()
        made.await_in_step()
        written = len(made.device.writes())
        with Bridge(tmp_path / "second", {"edge": made.device}, made.bridge.clusters) as second:
            second.start()
            eventually("it says so", lambda: _refusal(second))
            stays("nothing is written", lambda: len(made.device.writes()) == written, 2)
            second.stop()
        made.pod("shop", "web-1", "10.244.0.2")
        eventually("the first goes on", lambda: made.allowed("10.244.0.2", "192.0.2.1"))


def _refusal(bridge: Bridge) -> bool:
    """Whether its log says that another installation owns the device, and what a person can do."""
    said = [str(one.get("error", "")) for one in bridge.log() if one.get("event") == "stopped until a person decides"]
    return any("installation" in one and "fusion-bridge fence reset" in one for one in said)


@pytest.mark.acceptance(
    "trust: a process that is stopped in the middle of a transaction keeps nobody out of what it owned"
)
def test_a_transaction_of_a_stopped_process(database: Database) -> None:

    leases = ReplicaLeases(database)
    assert leases.acquire("cluster", CLUSTER, OWNER, -1) == 1
    with psycopg.connect(database.conninfo) as stopped:
        stopped.execute("SELECT FROM replica_lease FOR KEY SHARE")
        assert leases.acquire("cluster", CLUSTER, f"not-{OWNER}-{os.getpid()}", 60) == 2
        with pytest.raises(psycopg.OperationalError):
            stopped.execute("SELECT 1")
