"""The state, opened for one command: the database of the URL, or the embedded Postgres of the data folder."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from bridge.errors import StateError
from bridge.state.database import Database
from bridge.state.embedded import EmbeddedPostgres

if TYPE_CHECKING:
    from bridge.settings import BaseSettings

log = structlog.get_logger(__name__)

_WATCH_SECONDS = 1.0


@contextmanager
def opened(settings: "BaseSettings", data_dir: Path, *, make: bool = False) -> Iterator[Database]:
    """A database with the schema that this version needs, closed at the end.

    An embedded one is migrated; without `make` it must be there already. One behind a URL is left as it is: SchemaOutdated names
    the command that migrates it. Raises StateError, StateUnavailable.
    """
    with connected(settings, data_dir, make=make) as database:
        if settings.database.url is None:
            database.upgrade()
        else:
            database.require_current()
        yield database


@contextmanager
def connected(settings: "BaseSettings", data_dir: Path, *, make: bool = False) -> Iterator[Database]:
    """The same with whatever schema it has."""
    url, pool_size = settings.database.url, settings.database.pool_size
    if url is not None:
        password = settings.database.password()
        with _closing(Database(url.get_secret_value(), pool_size=pool_size, password=password)) as database:
            yield database
        return
    if not make and not (data_dir.expanduser() / "postgres" / "data").exists():
        raise StateError(
            f"there is no state in {data_dir}: `fusion-bridge run` makes it; "
            "if it is elsewhere, say so with --data-dir or FUSION_BRIDGE_DATABASE_URL"
        )
    with (
        EmbeddedPostgres(data_dir) as server,
        _kept_up(server),
        _closing(Database(server.url, pool_size=pool_size)) as database,
    ):
        yield database


@contextmanager
def _kept_up(server: EmbeddedPostgres) -> Iterator[None]:
    """Bring the embedded server back whenever it dies: for as long as we run, nobody else would."""
    done = threading.Event()

    def watch() -> None:
        while not done.wait(_WATCH_SECONDS):
            if server.pid is None:
                try:
                    server.start()
                    log.warning("embedded Postgres had died and is up again", pid=server.pid)
                except StateError as error:
                    log.warning("embedded Postgres is down", error=str(error))

    thread = threading.Thread(target=watch, name="embedded-postgres", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


@contextmanager
def _closing(database: Database) -> Iterator[Database]:
    try:
        yield database
    finally:
        database.close()
