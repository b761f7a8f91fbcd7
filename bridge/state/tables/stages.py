"""Which migrations were applied, as programs have to know that are older than some of them."""

from sqlalchemy import Column, Table, Text

from bridge.state.tables.base import KEY, TIME, metadata, one_of

migration = Table(
    "migration",
    metadata,
    Column("revision", KEY, primary_key=True),
    Column("stage", Text, nullable=False),
    Column(
        "oldest", Text
    ),  # the oldest revision that a program must know to run with it; null: any that ran on the one before
    Column("at", TIME, nullable=False),
    one_of("stage", ("pre", "post")),
)
