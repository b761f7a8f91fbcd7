"""Fixtures for tests on a real Postgres: list this module in `pytest_plugins`."""

import uuid
from collections.abc import Iterator

import psycopg
import pytest
from sqlalchemy import make_url

from bridge.state.database import Database
from bridge.state.embedded import EmbeddedPostgres

_TEMPLATE = "bridge_template"


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """One server per test process, not durable."""
    with EmbeddedPostgres(tmp_path_factory.mktemp("postgres"), durable=False) as server:
        yield server


@pytest.fixture(scope="session")
def template(postgres: EmbeddedPostgres) -> str:
    """The name of a migrated database, to be cloned; nobody connects to it."""
    _administer(postgres, f"CREATE DATABASE {_TEMPLATE}")
    database = Database(_url(postgres, _TEMPLATE))
    database.upgrade()
    database.close()
    return _TEMPLATE


@pytest.fixture
def empty_url(postgres: EmbeddedPostgres) -> Iterator[str]:
    """The URL of a database with nothing in it."""
    yield from _fresh(postgres, "template1")


@pytest.fixture
def database_url(postgres: EmbeddedPostgres, template: str) -> Iterator[str]:
    """The URL of a fresh database with the current schema."""
    yield from _fresh(postgres, template)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A fresh database with the current schema."""
    found = Database(database_url)
    yield found
    found.close()


def _fresh(postgres: EmbeddedPostgres, template: str) -> Iterator[str]:
    name = f"test_{uuid.uuid4().hex[:12]}"
    _administer(postgres, f"CREATE DATABASE {name} TEMPLATE {template}")
    yield _url(postgres, name)
    _administer(postgres, f"DROP DATABASE {name} WITH (FORCE)")


def _url(postgres: EmbeddedPostgres, name: str) -> str:
    return make_url(postgres.url).set(database=name).render_as_string(hide_password=False)


def _administer(postgres: EmbeddedPostgres, statement: str) -> None:
    url = make_url(postgres.url).set(drivername="postgresql", database="postgres")
    with psycopg.connect(url.render_as_string(hide_password=False), autocommit=True) as connection:
        connection.execute(statement.encode())
