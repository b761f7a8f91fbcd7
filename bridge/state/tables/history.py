"""What has a beginning and an end: leases, members, versions of policy, addresses of names."""

from sqlalchemy import (
    DDL,
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Identity,
    Index,
    Table,
    Text,
    UniqueConstraint,
    event,
    text,
)
from sqlalchemy.dialects.postgresql import INET

from bridge.state.tables.base import KEY, TIME, flag, metadata, partitioned

lease = Table(
    "lease",
    metadata,
    Column("cluster", KEY, primary_key=True),
    Column("address", INET, primary_key=True),
    Column("t2", TIME, primary_key=True),
    Column("t1", TIME, nullable=False),
    Column("uid", KEY, nullable=False),
    Column("namespace", Text, nullable=False),
    Column("pod", Text, nullable=False),
    Column("service_account", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("node", Text, nullable=False),
    Column("t1_since", TIME),  # not null: inferred, it began after this
    Column("t2_since", TIME),  # where the end is inferred: it ended after this
    flag("t2_inferred"),
    CheckConstraint("t1 <= t2", name="order"),
    postgresql_partition_by="RANGE (t2)",
)
partitioned(lease)

# All who ever bore a name, the last first, and all that a uid held. Hashes in a B-tree: smaller than the words, cheaper than a hash index.
for _part in ("lease_open", "lease_closed"):
    for _statement in (
        f"CREATE INDEX ix_{_part}_pod ON {_part} (hashtextextended(namespace || '/' || pod, 0), t2)",
        f"CREATE INDEX ix_{_part}_uid ON {_part} (hashtextextended(uid, 0))",
    ):
        event.listen(lease, "after_create", DDL(_statement))  # type: ignore[no-untyped-call]

# A group is never dropped while history names it: it keeps its id when it comes back.
address_group = Table(
    "address_group",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("cluster", KEY, ForeignKey("cluster.name"), nullable=False),
    Column("key", KEY, nullable=False),
    flag("gone"),
    UniqueConstraint("cluster", "key"),
)

member = Table(
    "member",
    metadata,
    Column("group_id", BigInteger, primary_key=True),
    Column("address", INET, primary_key=True),
    Column("t2", TIME, primary_key=True),
    Column("t1", TIME, nullable=False),
    Column("revision", BigInteger, nullable=False),  # of the cluster: when it joined, or once closed, when it left
    flag("inferred"),  # no event showed that it left: it was found gone
    flag("unproven"),  # its workload lives on, or an unproven removal widened what is left: the guard counts it
    CheckConstraint("t1 <= t2", name="order"),
    Index(None, "group_id", "revision"),
    postgresql_partition_by="RANGE (t2)",
)
partitioned(member)

# What was there when: the accepted versions of policy objects, namespaces with their labels, groups by their keys. An open `t2` is now.
version = Table(
    "version",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("cluster", KEY, ForeignKey("cluster.name"), nullable=False),
    Column("kind", KEY, nullable=False),
    Column("namespace", KEY, nullable=False),
    Column("name", KEY, nullable=False),
    Column("t1", TIME, nullable=False),
    Column("t2", TIME),
    Column("body", JSON, nullable=False),
    CheckConstraint("t1 <= t2", name="order"),
    Index("ix_version_open", "cluster", "kind", "namespace", "name", unique=True, postgresql_where=text("t2 IS NULL")),
    Index(None, "cluster", "namespace", "t2"),
)

# Names that the bridge resolves; the addresses that they stand for are in `name_address`.
name = Table(
    "name",
    metadata,
    Column("cluster", KEY, ForeignKey("cluster.name"), primary_key=True),
    Column("name", KEY, primary_key=True),
    Column("answered", Boolean, nullable=False),
    Column("cut", Boolean, nullable=False),
    Column("problem", Text, nullable=False),
    Column("dropped", JSON, nullable=False),
)

# An address that a name stands for, or stood for: `t2` is infinity as long as it does.
name_address = Table(
    "name_address",
    metadata,
    Column("cluster", KEY, ForeignKey("cluster.name"), primary_key=True),
    Column("name", KEY, primary_key=True),
    Column("address", INET, primary_key=True),
    Column("t2", TIME, primary_key=True),
    Column("t1", TIME, nullable=False),
    CheckConstraint("t1 <= t2", name="order"),
    Index(None, "address", "t2"),
    Index(None, "t2"),
)
