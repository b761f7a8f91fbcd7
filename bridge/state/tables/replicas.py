"""Which processes are there, and which of them acts for what."""

from sqlalchemy import BigInteger, CheckConstraint, Column, Table, Text

from bridge.state.tables.base import KEY, TIME, flag, metadata, one_of, words

replica = Table(
    "replica",
    metadata,
    Column("holder", KEY, primary_key=True),  # as in replica_lease
    Column("started_at", TIME, nullable=False),
    Column("seen_at", TIME, nullable=False),  # by the clock of the database, as `started_at`
    Column("version", Text, nullable=False),
    Column("schema", Text, nullable=False),  # the newest revision that this program knows
)

# Who gave his lease up is `holder` no more, and `expires_at` is when he did.
replica_lease = Table(
    "replica_lease",
    metadata,
    Column("role", KEY, primary_key=True),
    Column("name", KEY, primary_key=True),
    Column("holder", Text, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("expires_at", TIME, nullable=False),
    words("wanted_by"),  # a holder with less to do, who waits for this one to give it up
    flag("taking_over"),  # a holder went without giving it up, and what he may have sent last is not made good yet
    CheckConstraint("epoch > 0", name="epoch"),
    one_of("role", ("cluster", "device")),
)
