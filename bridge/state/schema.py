"""The schema's versions: which there are, which one stands, who may run on it, and how far it may be brought now.

A migration is `pre` when programs of the version before run on with it: it only adds. It is `post` when it takes away or renames what
they use, and then says the `oldest` revision that a program must know to run with it. So a new version is rolled out in three steps:
what is `pre`, the programs one by one, what is `post`. What stands in the table `migration` tells a program of migrations that are
younger than itself.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text

from bridge.errors import Refused, SchemaNewer, SchemaOutdated, StateError
from bridge.resources import shipped

ALIVE_SECONDS = 15  # since a replica last showed itself; whoever holds a lease is alive for as long as that lasts

_LOCK = 0x6662_7363_6865_6D61  # "fbschema"
_PATIENCE = "20s"  # for a lock on a table: whoever asks for one stands before all who come later


class Stage(StrEnum):
    """When a migration may be applied: before the programs are replaced, or after."""

    PRE = "pre"
    POST = "post"


@dataclass(frozen=True, slots=True)
class Revision:
    """One migration. `oldest` is empty where every program that runs on the revision before runs on this one too."""

    name: str
    stage: Stage
    oldest: str = ""


@dataclass(frozen=True, slots=True)
class Upgraded:
    """What an upgrade has applied, oldest first, and what of it waits for which replicas."""

    applied: tuple[str, ...]
    waiting: tuple[str, ...] = ()
    held_up_by: tuple[str, ...] = ()


@cache
def revisions() -> tuple[Revision, ...]:
    """All that this version brings, oldest first. StateError when it brings none."""
    scripts = [*ScriptDirectory.from_config(_alembic()).walk_revisions()]
    found = tuple(_revision(script.revision, script.module) for script in reversed(scripts))
    if not found:
        raise StateError("the installation brings no migrations")
    return found


def head() -> str:
    """The newest revision that this version knows."""
    return revisions()[-1].name


def needed() -> str:
    """The oldest revision that this version runs on: what is `post` may come later."""
    return next(one.name for one in reversed(revisions()) if one.stage is Stage.PRE)


def current(connection: Connection) -> str | None:
    """The revision that stands; None for a database without a schema."""
    return MigrationContext.configure(connection).get_current_revision()


def waiting(connection: Connection) -> tuple[Revision, ...]:
    """What this version brings and is not applied; nothing where the schema is younger than this version."""
    known = [one.name for one in revisions()]
    now = current(connection)
    if now is None:
        return revisions()
    return revisions()[known.index(now) + 1 :] if now in known else ()


def require(connection: Connection) -> None:
    """Raises SchemaOutdated when this version cannot run on the schema yet, SchemaNewer when it can no longer."""
    _require_not_newer(connection)
    if any(one.stage is Stage.PRE for one in waiting(connection)):
        now = current(connection) or "none"
        raise SchemaOutdated(
            f"the database is at schema {now}, this version needs {needed()}: run `fusion-bridge db upgrade`"
        )


def upgrade(connection: Connection, stage: Stage | None = None) -> Upgraded:
    """Apply what may be applied now, in the caller's transaction and one process at a time.

    PRE: what this version needs. POST: all of it. None: what it needs, and as much more as the replicas that are alive can run with.
    Raises Refused, naming them, when one of them is too old for what was asked, SchemaNewer as `require`.
    """
    connection.execute(text("SELECT pg_advisory_xact_lock(:key), set_config('lock_timeout', :patience, true)"), _WAIT)
    _require_not_newer(connection)
    chain = waiting(connection)
    asked = chain if stage is Stage.POST else chain[: _last_pre(chain)]
    alive = replicas(connection)
    if held := _first_held(asked, alive):
        raise Refused(
            f"migration {held[0]} would break what runs: {', '.join(held[1])}. Bring every replica to a version that knows schema "
            f"{held[2]}, or stop it, and upgrade again"
        )
    rest = _first_held(chain, alive)
    until = [one.name for one in chain].index(rest[0]) if rest and stage is None else len(chain)
    todo = asked if stage is not None else chain[:until]
    if todo:
        _apply(connection, todo)
    left = tuple(one.name for one in chain[len(todo) :])
    return Upgraded(tuple(one.name for one in todo), left, rest[1] if rest and left else ())


def replicas(connection: Connection) -> Mapping[str, str]:
    """The programs that run on this database now, each with the newest revision that it knows."""
    if not inspect(connection).has_table("replica"):
        return {}
    rows = connection.execute(text(_ALIVE), {"alive": ALIVE_SECONDS})
    return {str(row[0]): str(row[1]) for row in rows}


_WAIT = {"key": _LOCK, "patience": _PATIENCE}
_ALIVE = """
SELECT holder, schema FROM replica WHERE seen_at > clock_timestamp() - make_interval(secs => :alive)
OR holder IN (SELECT holder FROM replica_lease WHERE expires_at > clock_timestamp()) ORDER BY holder
"""


def _require_not_newer(connection: Connection) -> None:
    """Raises SchemaNewer when the schema is younger than we are, and nothing says that we can run on it."""
    now, known = current(connection), {one.name for one in revisions()}
    if now is None or now in known:
        return
    told: Mapping[str, str] = {}
    if inspect(connection).has_table("migration"):
        rows = connection.execute(text("SELECT revision, coalesce(oldest, '') FROM migration"))
        told = {revision: oldest for revision, oldest in rows if revision not in known}
    too_young = [oldest for oldest in told.values() if oldest and oldest not in known]
    if now not in told or too_young:
        raise SchemaNewer(
            f"the database is at schema {now}, made by a newer version, and this one can no longer run on it: "
            "install that version of fusion-bridge"
        )


def _first_held(chain: Sequence[Revision], alive: Mapping[str, str]) -> tuple[str, tuple[str, ...], str] | None:
    """The first of these that somebody alive is too old for, who, and what he would have to know."""
    order = [one.name for one in revisions()]
    for one in chain:
        if one.stage is Stage.PRE:
            continue
        # Whose revision we do not know is younger than we are.
        old = tuple(
            f"{holder} (schema {knows})"
            for holder, knows in alive.items()
            if knows in order and order.index(knows) < order.index(one.oldest)
        )
        if old:
            return one.name, old, one.oldest
    return None


def _last_pre(chain: Sequence[Revision]) -> int:
    """How many of these there are up to the last that is `pre`."""
    return max((place for place, one in enumerate(chain, 1) if one.stage is Stage.PRE), default=0)


def _apply(connection: Connection, todo: Sequence[Revision]) -> None:
    config = _alembic()
    config.attributes.update(connection=connection)
    command.upgrade(config, todo[-1].name)
    if inspect(connection).has_table("migration"):
        insert = text(
            "INSERT INTO migration (revision, stage, oldest, at) VALUES (:revision, :stage, :oldest, clock_timestamp())"
        )
        for one in todo:
            values = {"revision": one.name, "stage": one.stage.value, "oldest": one.oldest or None}
            connection.execute(insert, values)


def _revision(name: str, module: object) -> Revision:
    stage = Stage(getattr(module, "stage", Stage.PRE))
    oldest = getattr(module, "oldest", "")
    if (stage is Stage.POST) is not bool(oldest):
        raise StateError(f"migration {name}: `oldest` belongs to a migration that is post, and to no other")
    return Revision(name, stage, oldest)


def _alembic() -> Config:
    config = Config()
    config.set_main_option("script_location", str(shipped("migrations")).replace("%", "%%"))
    return config
