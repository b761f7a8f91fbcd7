"""Whose pods never wait: the namespace of the bridge's database, as the URL in the settings names it."""

import pytest

from bridge.cli.assembly import service_namespace


@pytest.mark.parametrize(
    ("url", "namespace"),
    [
        ("postgresql://u:p@db.pg.svc.cluster.local:5432/x", "pg"),
        ("postgresql://u@db.pg.svc/x", "pg"),
        ("postgresql://u@db.pg/x", "pg"),
        ("postgresql://u@db/x", ""),
        ("postgresql://u@db.example.com/x", ""),
        ("postgresql://u@10.0.0.1/x", ""),
        ("postgresql:///x?host=/run/postgresql", ""),
        (None, ""),
    ],
)
def test_the_namespace_of_the_database(url: str | None, namespace: str) -> None:
    assert service_namespace(url) == namespace
