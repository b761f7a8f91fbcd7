"""Who among the processes acts for what."""

from sqlalchemy import BigInteger, CheckConstraint, Column, Table, Text

from bridge.state.tables.base import KEY, TIME, metadata, one_of

replica_lease = Table(
    "replica_lease",
    metadata,
    Column("role", KEY, primary_key=True),
    Column("name", KEY, primary_key=True),
    Column("holder", Text, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("expires_at", TIME, nullable=False),
    CheckConstraint("epoch > 0", name="epoch"),
    one_of("role", ("cluster", "device")),
)
