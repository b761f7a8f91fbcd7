"""Old and new versions of the program beside one schema: which of them may run, and how far an upgrade goes."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from bridge.errors import Refused, SchemaNewer, SchemaOutdated, StateError
from bridge.resources import shipped
from bridge.state import schema
from bridge.state.database import Database
from bridge.state.leases import ReplicaLeases
from bridge.state.schema import Stage
from tests.state.stages import POST, PRE, migrations

NEXT = {"9003": ("pre", "", "ALTER TABLE pod ADD COLUMN colour text")}


class Versions:
    """Which version of the program this process is."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._folder = folder
        self._patch = monkeypatch
        self.ours = schema.head()

    def be(self, **more: tuple[str, str, str]) -> None:
        """The one that brings these migrations after ours."""
        folder = self._folder / "-".join(["v", *more])
        place = migrations(folder, more) if not folder.exists() else folder / "migrations"
        self._patch.setattr(schema, "shipped", lambda _: place)
        schema.revisions.cache_clear()


@pytest.fixture
def versions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Versions]:
    """As the checkout has it, until told otherwise."""
    yield Versions(tmp_path, monkeypatch)
    schema.revisions.cache_clear()


def alive(database: Database, holder: str, knows: str, seconds: int = 0) -> None:
    """A replica that showed itself so many seconds ago."""
    with database.transaction() as connection:
        connection.execute(
            "INSERT INTO replica (holder, started_at, seen_at, version, schema)"
            " VALUES (%s, now(), now() - make_interval(secs => %s), '1', %s)",
            [holder, seconds, knows],
        )


def numbered(*sets: Mapping[str, tuple[str, str, str]]) -> dict[str, tuple[str, str, str]]:
    """All of them, by what they are called as arguments."""
    return {name: one for each in sets for name, one in each.items()}


def test_every_migration_says_its_stage() -> None:
    for path in sorted((shipped("migrations") / "versions").glob("*.py")):
        assert '\nstage = "' in path.read_text(), path.name


def test_a_version_runs_on_what_later_ones_added(database: Database, versions: Versions) -> None:
    versions.be(**PRE)
    with pytest.raises(SchemaOutdated, match="needs 9001: run `fusion-bridge db upgrade`"):
        database.require_current()
    assert database.upgrade(Stage.PRE).applied == ("9001",)
    versions.be()
    database.require_current()
    assert database.upgrade().applied == (), "the older one has nothing to do, and undoes nothing"


def test_what_takes_away_waits_for_the_replicas_that_use_it(database: Database, versions: Versions) -> None:
    alive(database, "host/1/old", versions.ours)
    alive(database, "host/2/long-gone", versions.ours, seconds=schema.ALIVE_SECONDS + 5)
    versions.be(**numbered(PRE, POST))
    done = database.upgrade()
    assert (done.applied, done.waiting) == (("9001",), ("9002",))
    assert done.held_up_by == (f"host/1/old (schema {versions.ours})",)
    database.require_current()
    with pytest.raises(Refused, match=r"migration 9002 would break what runs: host/1/old \(schema \d+\)\. .*9001"):
        database.upgrade(Stage.POST)
    assert database.current() == "9001"

    with database.transaction() as connection:
        connection.execute("DELETE FROM replica WHERE holder LIKE '%%old'")
    alive(database, "host/3/new", "9002")
    alive(database, "host/4/newer", "9009")
    assert database.upgrade(Stage.POST).applied == ("9002",)


def test_who_holds_a_lease_is_waited_for_however_long_it_lasts(database: Database, versions: Versions) -> None:
    """One that stands still for a while goes on with what it holds."""
    alive(database, "host/1/still", versions.ours, seconds=schema.ALIVE_SECONDS + 5)
    assert ReplicaLeases(database).acquire("device", "edge", "host/1/still", 60)
    versions.be(**numbered(PRE, POST))
    assert database.upgrade().held_up_by == (f"host/1/still (schema {versions.ours})",)


def test_a_version_ends_where_a_later_one_took_away_what_it_uses(database: Database, versions: Versions) -> None:
    versions.be(**numbered(PRE, POST))
    assert database.upgrade(Stage.POST).applied == ("9001", "9002")
    versions.be(**PRE)
    database.require_current()
    versions.be()
    for ask in (database.require_current, database.upgrade):
        with pytest.raises(SchemaNewer, match="at schema 9002, made by a newer version"):
            ask()


def test_what_is_needed_behind_what_takes_away_is_refused_by_name(database: Database, versions: Versions) -> None:
    """Nothing is applied by half: the version in between has to be everywhere first."""
    alive(database, "host/1/old", versions.ours)
    versions.be(**numbered(PRE, POST, NEXT))
    for stage in (None, Stage.PRE, Stage.POST):
        with pytest.raises(Refused, match="host/1/old"):
            database.upgrade(stage)
    assert database.current() == versions.ours


@pytest.mark.parametrize("bad", [("post", "", "SELECT 1"), ("pre", "0001", "SELECT 1")])
def test_who_may_run_beside_is_said_exactly_where_it_matters(versions: Versions, bad: tuple[str, str, str]) -> None:
    versions.be(**{"9001": bad})
    with pytest.raises(StateError, match="migration 9001"):
        schema.head()
