"""What all tables are made of."""

from sqlalchemy import DDL, BigInteger, Boolean, CheckConstraint, Column, DateTime, MetaData, Table, Text, event, text

CHANNEL = "fusion_bridge"  # of NOTIFY; the payload is the name of a cluster
AUDIT_CHANNEL = "fusion_bridge_audit"  # the payload is the name of a device that somebody wants read now

KEY = Text(collation="C")  # compared byte by byte: fast, and in the same order on every server
TIME = DateTime(timezone=True)

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)


def words(name: str) -> Column[str]:
    return Column(name, Text, nullable=False, server_default="")


def flag(name: str) -> Column[bool]:
    return Column(name, Boolean, nullable=False, server_default=text("false"))


def count(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False, server_default=text("0"))


def one_of(column: str, words: tuple[str, ...]) -> CheckConstraint:
    return CheckConstraint(f"{column} IN ({', '.join(repr(word) for word in words)})", name=column)


def partitioned(table: Table) -> None:
    """Make the partitions with the table: what is open, and what has ended; months are added as time goes on."""
    name, closed = table.name, f"{table.name}_closed"
    for statement in (
        f"CREATE TABLE {name}_open PARTITION OF {name} FOR VALUES FROM ('infinity') TO (MAXVALUE)",
        f"CREATE TABLE {closed} PARTITION OF {name} FOR VALUES FROM (MINVALUE) TO ('infinity') PARTITION BY RANGE (t2)",
        f"CREATE TABLE {closed}_rest PARTITION OF {closed} DEFAULT",  # of months that were not made in time
    ):
        event.listen(table, "after_create", DDL(statement))  # type: ignore[no-untyped-call]
