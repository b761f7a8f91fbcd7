"""The database behind the state: connections, their errors, and the schema's version."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, LiteralString

import psycopg
import sqlalchemy.exc
from psycopg import IsolationLevel
from psycopg.abc import Buffer
from psycopg.adapt import Loader
from sqlalchemy import URL, Engine, create_engine, event, make_url
from sqlalchemy import Connection as CoreConnection
from sqlalchemy.pool import ConnectionPoolEntry

from bridge import metrics
from bridge.errors import SchemaOutdated, SettingsError, StateError, StateUnavailable
from bridge.model.addresses import canonical_member
from bridge.state import schema

Connection = psycopg.Connection[tuple[Any, ...]]

OLDEST = 15  # the oldest major version of PostgreSQL that is served
# To be selected once in a transaction whose statements look up rows by key: for the rest of it the planner neither scans whole tables nor
# sorts or hashes them, and plans once for arrays of any length. A plan made while the tables were empty then serves full ones too.
BY_KEY: LiteralString = ", ".join(
    f"set_config('{name}', '{value}', true)"
    for name, value in (
        ("enable_seqscan", "off"),
        ("enable_hashjoin", "off"),
        ("enable_mergejoin", "off"),
        ("plan_cache_mode", "force_generic_plan"),
    )
)

_AWAY = ("08", "53", "57P", "40", "55P03")  # SQLSTATE: connection, resources, shut down, what a repetition solves
# A server that is gone without a word is found out in seconds, not in hours.
_ALIVE = {"keepalives_idle": 5, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 20_000}

_MADE = "made"  # when a connection was, by the monotonic clock


class Database:
    """One PostgreSQL database. `url` is postgresql://, postgres:// or postgresql+psycopg://; nothing is opened before the first use.

    Safe to use from several threads. At most twice `pool_size` connections. SettingsError for a URL of anything else. `password` is asked
    for each connection, in place of one in the URL; it may raise StateUnavailable.
    """

    def __init__(self, url: str, *, pool_size: int = 8, password: Callable[[], str] | None = None) -> None:
        self._url = _normal(url)
        self._password = password
        self.engine: Engine = create_engine(
            self._url,
            pool_size=pool_size,
            max_overflow=pool_size,
            use_native_hstore=False,
            connect_args={"connect_timeout": 10, "application_name": "fusion-bridge", **_ALIVE},
        )
        self._doubted = 0.0  # connections from before then are made anew when they are next asked for
        self._closed = 0.0  # connections from before then are closed when they are given back
        event.listen(self.engine, "connect", self._greet)
        event.listen(self.engine, "checkout", self._vet)
        event.listen(self.engine, "checkin", self._retire)
        if password is not None:
            event.listen(self.engine, "do_connect", self._with_password)

    def apart(self, pool_size: int) -> "Database":
        """The same database, by connections that nobody else waits for."""
        url = self._url.render_as_string(hide_password=False)
        return Database(url, pool_size=pool_size, password=self._password)

    def __repr__(self) -> str:
        return f"Database({self._url!r})"  # SQLAlchemy shows *** for a password

    @property
    def conninfo(self) -> str:
        """For connections outside the pool, with the password of now. It holds the password: never to be shown."""
        url = self._url if self._password is None else self._url.set(password=self._password())
        return url.set(drivername="postgresql").render_as_string(hide_password=False)

    @contextmanager
    def transaction(self, *, snapshot: bool = False) -> Iterator[Connection]:
        """A psycopg connection in one transaction: committed at the end, rolled back by an error.

        With `snapshot` it only reads, and everything as of one moment. Raises StateUnavailable, StateError, SchemaOutdated.
        """
        with self._using("snapshot" if snapshot else "transaction"):
            pooled = self.engine.raw_connection()
            connection: Connection = pooled.driver_connection  # type: ignore[assignment]
            try:
                if snapshot:
                    connection.isolation_level, connection.read_only = IsolationLevel.REPEATABLE_READ, True
                with connection.transaction():
                    yield connection
                if snapshot:
                    connection.isolation_level, connection.read_only = None, None
            except BaseException:
                pooled.invalidate()  # rare, and it may be half dead
                raise
            finally:
                pooled.close()

    @contextmanager
    def reading(self) -> Iterator[CoreConnection]:
        """A SQLAlchemy connection on one snapshot, which only reads. Raises as `transaction`."""
        with self._using("reading"), self.engine.connect() as connection:
            yield connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)

    @contextmanager
    def translating(self) -> Iterator[None]:
        """Errors of the driver become errors of the tree."""
        try:
            yield
        except (psycopg.Error, sqlalchemy.exc.SQLAlchemyError) as error:
            known = self._translated(error)
            metrics.database.errors["unavailable" if isinstance(known, StateUnavailable) else "refused"].inc()
            raise known from None

    @contextmanager
    def _using(self, kind: str) -> Iterator[None]:
        """The same, timed: waiting for a connection included."""
        began = time.perf_counter()
        try:
            with self.translating():
                yield
        finally:
            metrics.database.seconds[kind].observe(time.perf_counter() - began)

    def upgrade(self, stage: schema.Stage | None = None) -> schema.Upgraded:
        """Bring the schema as far as `schema.upgrade` says, in one transaction and one process at a time."""
        with self.translating(), self.engine.begin() as connection:
            return schema.upgrade(connection, stage)

    def current(self) -> str | None:
        """The revision of the schema; None for a database without one."""
        with self.translating(), self.engine.connect() as connection:
            return schema.current(connection)

    def head(self) -> str:
        """The newest revision that this version of the code knows."""
        return schema.head()

    def waiting(self) -> tuple[schema.Revision, ...]:
        """What this version brings and is not applied."""
        with self.translating(), self.engine.connect() as connection:
            return schema.waiting(connection)

    def require_current(self) -> None:
        """Raises SchemaOutdated when this version cannot run on the schema yet, SchemaNewer when it can no longer."""
        with self.translating(), self.engine.connect() as connection:
            schema.require(connection)

    def wait_until_reachable(self, seconds: float) -> None:
        """Try to connect until it works; StateUnavailable with the last reason after that time."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                with self.transaction() as connection:
                    connection.execute("SELECT 1")
            except StateUnavailable:
                if time.monotonic() >= deadline:
                    raise
            else:
                return
            time.sleep(0.1)

    def installation(self) -> str:
        """The id of this database, made up once and never changed."""
        with self.transaction() as connection:
            connection.execute("INSERT INTO installation DEFAULT VALUES ON CONFLICT DO NOTHING")
            row = connection.execute("SELECT id::text FROM installation").fetchone()
            return str(row[0]) if row else ""

    def close(self) -> None:
        """Give back every idle connection, and each that is in use once it is not. The database may be used again."""
        self._closed = time.monotonic()
        self.engine.dispose()

    def _with_password(self, _dialect: object, _record: object, _args: object, named: dict[str, Any]) -> None:
        assert self._password is not None  # noqa: S101 (listens only then)
        named["password"] = self._password()

    def _greet(self, connection: Connection, record: ConnectionPoolEntry) -> None:
        record.info[_MADE] = time.monotonic()
        try:
            check_version(connection)
            adapt(connection)
        except BaseException:
            connection.close()  # nobody else would: it is in no pool yet
            raise

    def _vet(self, _connection: Connection, record: ConnectionPoolEntry, _proxy: object) -> None:
        if record.info[_MADE] < self._doubted:
            raise sqlalchemy.exc.DisconnectionError

    def _retire(self, connection: Connection | None, record: ConnectionPoolEntry) -> None:
        """What comes back into a pool that was disposed of meanwhile would stay open until somebody collects garbage."""
        if connection is not None and record.info[_MADE] < self._closed:
            record.invalidate()

    def _translated(self, error: Exception) -> StateError:
        cause = error.orig if isinstance(error, sqlalchemy.exc.DBAPIError) else error
        message = " ".join(str(cause).split())
        if self._url.password:
            message = message.replace(str(self._url.password), "***")
        state = getattr(cause, "sqlstate", None)
        if state in ("42P01", "42703"):
            return SchemaOutdated(
                f"the schema is not the one this version needs: run `fusion-bridge db upgrade` ({message})"
            )
        broken = isinstance(cause, psycopg.OperationalError | psycopg.InterfaceError) and not state
        if broken or (state or "").startswith(_AWAY) or isinstance(cause, sqlalchemy.exc.TimeoutError):
            # All pooled connections are likely as dead as this one: none is to fail the next call too. To dispose of the pool instead
            # would leave those that are in use now open until somebody collects garbage, which is done hardly ever.
            if broken or (state or "").startswith(("08", "57P")):
                self._doubted = time.monotonic()
            return StateUnavailable(f"the database cannot be used now: {message}")
        return StateError(f"the database refuses: {message}")


def check_version(connection: Connection) -> None:
    """StateError when the server is older than we serve."""
    version = connection.info.server_version
    if version < OLDEST * 10_000:
        raise StateError(f"PostgreSQL {version // 10_000} is too old: {OLDEST} or later is needed")


def adapt(connection: Connection) -> None:
    """Addresses come as text ("10.1.2.3", prefixes as "10.1.0.0/16"): objects for each would cost more than the query."""
    connection.adapters.register_loader("inet", _AddressText)


class _AddressText(Loader):
    """Postgres' own form is the canonical one, but for `::a.b.c.d`, which Python writes `::ab:cd`."""

    def load(self, data: Buffer) -> str:
        words = bytes(data).decode()
        return canonical_member(words) if ":" in words and "." in words else words


def _normal(url: str) -> URL:
    try:
        parsed = make_url(url)
    except sqlalchemy.exc.ArgumentError:
        raise SettingsError({"database.url": "not a URL; write postgresql://user@host/database"}) from None
    if parsed.drivername not in ("postgresql", "postgres", "postgresql+psycopg"):
        raise SettingsError(
            {"database.url": f"{parsed.drivername}:// is not PostgreSQL; write postgresql://user@host/database"}
        )
    return parsed.set(drivername="postgresql+psycopg")
