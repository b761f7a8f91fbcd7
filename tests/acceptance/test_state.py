"""The state: one database for several processes, history that can be asked, and nothing lost by a crash."""

import contextlib
import os
import random
import signal
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from bridge.lab.population import Churn, believable
from bridge.state.database import Database
from bridge.state.tables import metadata
from tests.acceptance.site import PROGRAM, eventually
from tests.acceptance.world import OUTSIDE, World, run, world
from tests.state.catalog import catalog

PROVIDER, UNKNOWN = "192.0.2.1", "10.244.255.77"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[World]:
    """One team at work."""
    with world(tmp_path) as made:
        made.team("shop", "10.244.1.1", "10.244.1.2")
        made.bridge.start()
        eventually("in force", lambda: not made.allowed(UNKNOWN, OUTSIDE) and made.allowed("10.244.1.1", PROVIDER))
        yield made


def postmaster(folder: Path) -> int:
    """The process id of the embedded server of a data folder; 0 when there is none."""
    with contextlib.suppress(FileNotFoundError):
        number = int((folder / "postgres" / "data" / "postmaster.pid").read_text().split()[0])
        with contextlib.suppress(ProcessLookupError):
            os.kill(number, 0)
            return number
    return 0


@pytest.mark.acceptance(
    "embedded Postgres: `run`, `status` and `report` share it at the same time, the last one stops it"
)
def test_shared_by_processes(site: World) -> None:
    data = site.bridge.folder / "data"
    server = postmaster(data)
    words = [[*("--config", str(site.bridge.config)), *("--output", "json"), name] for name in ("status", "report")]
    others = [subprocess.Popen([PROGRAM, *line], stdout=subprocess.DEVNULL) for line in words * 2]
    assert [other.wait(60) for other in others] == [0, 0, 0, 0]
    assert postmaster(data) == server != 0, "those who end leave it to those who go on"
    with site.bridge.state() as connection:
        assert site.bridge.stop() == 0
        assert connection.execute("SELECT count(*) FROM cluster").fetchone() == (1,)
        assert postmaster(data) == server
    assert postmaster(data) == 0, "stopped by the last one"
    site.bridge.start()
    site.await_in_step()


@pytest.mark.acceptance("embedded Postgres: a short private socket folder, no change to any parent folder")
def test_private_and_polite(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*["a-folder-with-a-long-name"] * 5)
    deep.mkdir(parents=True, mode=0o750)
    parents = [folder for folder in (deep, *deep.parents) if folder.is_relative_to(tmp_path)]
    before = [(one, stat.S_IMODE(one.stat().st_mode), one.stat().st_uid) for one in parents]
    done = run(PROGRAM, "--data-dir", deep, "db", "upgrade")
    assert done.returncode == 0, done.stderr
    assert [(one, stat.S_IMODE(one.stat().st_mode), one.stat().st_uid) for one in parents] == before
    assert [one.name for one in deep.iterdir()] == ["postgres"]
    assert postmaster(deep) == 0


@pytest.mark.acceptance("kill -9 of the bridge in the middle of its work, then a start: the device equals the cluster")
def test_killed_in_the_middle(tmp_path: Path) -> None:
    rng = random.Random(5)
    with world(tmp_path) as site:
        fleet = believable(site.store, 150, seed=5)
        for name in ("frontend", "cart"):
            site.external("shop", f"for-{name}", "192.0.2.0/28")
            site.service_rule("shop", name, f"for-{name}")
        churn = Churn(fleet, seed=5)
        site.bridge.start()
        eventually("work has begun", lambda: bool(site.group("service", "shop", "cart")))
        with churn.start(60):
            for _ in range(4):
                time.sleep(rng.uniform(0.2, 1.2))
                site.bridge.stop(signal.SIGKILL)
                site.bridge.start()
        fleet.settle()

        def right() -> bool:
            return all(site.group("service", "shop", name) == alive(site, name) for name in ("frontend", "cart"))

        eventually("the device equals the cluster", right, 60)
        site.await_in_step()
        report = site.bridge.cli("report", codes=(0, 3))
        assert (report["missing"], report["extra"]) == (0, 0)


def alive(site: World, app: str) -> set[str]:
    """The addresses that the pods of a workload hold, as the cluster says."""
    pods = site.store.list("pods", "shop", labels=f"app={app}")
    return {one["ip"] for pod in pods for one in pod["status"].get("podIPs", ())}


@pytest.mark.acceptance("leases with full history, members with history, an audit row with its cause for every change")
def test_history(site: World) -> None:
    old = site.store.get("pods", "shop", "web-0")["metadata"]["uid"]
    site.delete_pod("shop", "web-0")
    eventually("released", lambda: not site.allowed("10.244.1.1", PROVIDER))
    new = site.pod("shop", "web-7", "10.244.1.1")
    eventually("held again", lambda: site.allowed("10.244.1.1", PROVIDER))
    site.await_in_step()
    with site.bridge.state() as connection:
        leases = connection.execute(
            "SELECT uid, pod, t1, NULLIF(t2, 'infinity'), t2_since FROM lease WHERE address = '10.244.1.1' ORDER BY t1"
        ).fetchall()
        assert [(row[0], row[1], row[3] is None) for row in leases] == [(old, "web-0", False), (new, "web-7", True)]
        assert leases[0][3] <= leases[1][2], "never two at once"  # type: ignore[operator]
        assert leases[0][4] is None, "an end that was observed"
        members = "SELECT count(*) FROM member JOIN address_group ON id = group_id WHERE key LIKE %s AND address = %s"
        assert connection.execute(members, ("%service/shop/web", "10.244.1.1")).fetchone() == (2,)
        audit = connection.execute(
            "SELECT device, op, cause, before, after, plan_digest, outcome FROM audit WHERE op <> 'take-over' ORDER BY id"
        ).fetchall()
    assert all(row[0] == "edge" and row[5] and row[6] == "done" for row in audit)
    assert any("ServiceEgressRule shop/web-provider" in str(row[2]) for row in audit)
    assert any("10.244.1.1" in f"{row[3]}{row[4]}" for row in audit)


@pytest.mark.acceptance("invariants as constraints: Postgres itself refuses a second open lease of one address")
def test_one_open_lease(site: World) -> None:
    copy = (
        "INSERT INTO lease (cluster, address, t2, t1, uid, namespace, pod, service_account, owner, node) "
        "SELECT cluster, address, t2, now(), 'another', namespace, pod, service_account, owner, node FROM lease_open"
    )
    with site.bridge.state() as connection, pytest.raises(psycopg.errors.UniqueViolation):
        connection.execute(copy)


@pytest.mark.acceptance(
    "a place in the schema for everything that section 2 names; from scratch it equals the one from migrations"
)
def test_schema(database: Database, empty_url: str) -> None:
    scratch = Database(empty_url)
    with scratch.engine.begin() as connection:
        metadata.create_all(connection)
    with scratch.transaction() as made, database.transaction() as migrated:
        found = catalog(made)
        assert found == catalog(migrated)
        (version,) = made.execute("SELECT current_setting('server_version_num')::int").fetchone() or (0,)
    scratch.close()
    assert int(str(version)) >= 150000
    wanted = "cluster pod observed lease address_group member policy_object device device_object replica_lease audit held_plan report"
    assert set(wanted.split()) <= set(metadata.tables)


@pytest.mark.acceptance(
    "`db upgrade`, `db current`, and `run` refuses an old schema behind a URL and names the command"
)
def test_schema_behind_a_url(tmp_path: Path, empty_url: str) -> None:
    with world(tmp_path, environment={"FUSION_BRIDGE_DATABASE_URL": empty_url}) as site:
        refused = site.bridge.command("run")
        assert refused.returncode == 2
        assert "fusion-bridge db upgrade" in refused.stderr
        assert site.bridge.command("db", "current").returncode == 1
        assert site.bridge.command("db", "upgrade").returncode == 0
        found = site.bridge.cli("db", "current")
        assert found["current"] == found["head"]
        assert site.bridge.cli("db", "upgrade")["applied"] == []
        site.bridge.start()
        eventually("it runs", lambda: not site.allowed(UNKNOWN, OUTSIDE))
        assert not (tmp_path / "data").exists(), "no embedded server beside a URL"
