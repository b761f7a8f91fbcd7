"""Versions of the program beside each other, over changes of the schema: real processes on one database."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.state import schema
from bridge.state.database import Database
from bridge.state.schema import Stage
from tests.acceptance.documented import Document
from tests.acceptance.site import Bridge, ClusterEntry, eventually, stays
from tests.acceptance.world import World, world
from tests.state.stages import POST, PRE, migrations

PROVIDER, UNKNOWN = "192.0.2.1", "10.244.255.77"
_VERSION = """#!{python}
from pathlib import Path
import bridge.state.schema as schema
schema.shipped = lambda name: Path({folder!r})
from bridge.cli.main import main
main()
"""


@pytest.fixture
def next_version(tmp_path: Path) -> Path:
    """The program of the next version: it adds a column, and takes one away once nobody of this version is left."""
    folder = tmp_path / "next"
    folder.mkdir()
    program = folder / "fusion-bridge"
    program.write_text(_VERSION.format(python=sys.executable, folder=str(migrations(folder, {**PRE, **POST}))))
    program.chmod(0o755)
    return program


@pytest.fixture
def site(tmp_path: Path, database_url: str) -> Iterator[World]:
    """One team at work, on a database of its own."""
    with world(tmp_path, environment={"FUSION_BRIDGE_DATABASE_URL": database_url}) as made:
        made.team("shop", "10.244.1.1")
        made.bridge.start()
        eventually("in force", lambda: made.allowed("10.244.1.1", PROVIDER) and not made.allowed(UNKNOWN, PROVIDER))
        yield made


@pytest.fixture
def newer(site: World, tmp_path: Path, next_version: Path) -> Iterator[Bridge]:
    """A replica of the next version, not started."""
    folder = tmp_path / "newer"
    folder.mkdir()
    entry = ClusterEntry(site.name, site.api.kubeconfig)
    environment = dict(site.bridge.environment)
    with Bridge(folder, {"edge": site.device}, [entry], environment=environment, program=next_version) as bridge:
        yield bridge


def follows(site: World, number: int) -> None:
    """A new pod is let through: whoever keeps the device goes on."""
    address = f"10.244.1.{number}"
    site.pod("shop", f"web-{number}", address)
    eventually(f"{address} is let through", lambda: site.allowed(address, PROVIDER))


@pytest.mark.acceptance(
    "trust: rolling upgrade and schema upgrade with old and new side by side, each step by what stands there"
)
def test_side_by_side(site: World, newer: Bridge) -> None:
    old, head = site.bridge, schema.head()
    refused = newer.command("status")
    assert refused.returncode == 2
    assert "needs 9001: run `fusion-bridge db upgrade`" in refused.stderr

    assert newer.cli("db", "upgrade", "--pre")["applied"] == ["9001"]
    follows(site, 2)
    newer.start()
    eventually("both are there", lambda: len(replicas(site)) == 2)
    assert sorted(replicas(site).values()) == sorted([head, "9002"])
    follows(site, 3)
    assert old.command("db", "current").returncode == newer.command("db", "current").returncode == 0

    mine = next(holder for holder, knows in replicas(site).items() if knows == head)
    held = newer.command("db", "upgrade", "--post")
    assert held.returncode == 3
    assert f"{mine} (schema {head})" in held.stderr
    waits = newer.cli("db", "upgrade")
    assert (waits["applied"], waits["waiting"], waits["heldUpBy"]) == ([], ["9002"], [f"{mine} (schema {head})"])
    follows(site, 4)

    assert old.stop() == 0
    follows(site, 5)
    eventually("nobody old is left", lambda: newer.cli("db", "upgrade", codes=(0, 3))["current"] == "9002")
    follows(site, 6)
    late = old.command("run")
    assert late.returncode == 2
    assert "at schema 9002, made by a newer version" in late.stderr


@pytest.mark.acceptance(
    "trust: a version under which the schema was changed all the same ends, and writes nothing more"
)
def test_left_behind(site: World, newer: Bridge, monkeypatch: pytest.MonkeyPatch) -> None:
    old = site.bridge
    assert old.process is not None
    with monkeypatch.context() as patched:
        patched.setattr(schema, "shipped", lambda _: newer.program.parent / "migrations")
        schema.revisions.cache_clear()
        around_the_check(site.bridge.environment["FUSION_BRIDGE_DATABASE_URL"])
    schema.revisions.cache_clear()

    assert old.process.wait(30) == 2
    old.process = None
    assert "install that version of fusion-bridge" in (old.folder / "bridge.log").read_text()
    site.pod("shop", "web-2", "10.244.1.2")
    old.start()
    assert old.process is not None
    assert old.process.wait(30) == 2, "and does not come back"
    old.process = None
    stays("nobody writes", lambda: not site.allowed("10.244.1.2", PROVIDER), 1)
    newer.start()
    eventually("the next version goes on", lambda: site.allowed("10.244.1.2", PROVIDER))


def around_the_check(url: str) -> None:
    """A person applies it whoever is alive."""
    database = Database(url)
    try:
        with database.engine.begin() as connection:
            connection.exec_driver_sql("ALTER TABLE replica RENAME TO replica_hidden")
            assert schema.upgrade(connection, Stage.POST).applied == ("9001", "9002")
            connection.exec_driver_sql("ALTER TABLE replica_hidden RENAME TO replica")
    finally:
        database.close()


def replicas(site: World) -> dict[str, str]:
    """Who is alive, with the schema that he knows."""
    with site.bridge.state() as connection:
        query = "SELECT holder, schema FROM replica WHERE seen_at > clock_timestamp() - interval '5 seconds'"
        return {str(holder): str(knows) for holder, knows in connection.execute(query)}


@pytest.mark.acceptance("trust: docs/operations.md, upgrade: what it names is there")
def test_documented(site: World) -> None:
    text = Document(Path("docs/operations.md")).examples()["upgrade"]
    commands = [line.strip() for line in text.splitlines() if line.strip().startswith("kubectl exec")]
    assert commands
    for line in commands:
        words = line.partition("-- fusion-bridge ")[2].split()
        done = site.bridge.command(*words)
        assert done.returncode == 0, (line, done.stderr)
