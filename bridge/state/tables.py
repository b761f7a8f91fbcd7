"""The tables, as SQLAlchemy sees them. `migrations/` makes the same ones step by step; a test keeps both equal.

What Postgres can guarantee at speed stands here as a constraint. Left to the statements instead: foreign keys of pods, leases and members
(thousands of rows a second; each would cost a lookup and a row lock), and the absence of overlap among closed leases.

Leases and members are history. The open ones live in a partition of their own, `t2` = infinity, where the primary key refuses a
second open one. Statements write to the partitions directly: moving a row between them by UPDATE would cost twice as much. What has
ended lies in `_closed`, itself partitioned by the month of its end, so that the oldest can be dropped as a whole.

JSON is kept as `json`, not `jsonb`: exactly as encoded, "\\u0000" included. `jsonb` appears only where the database itself merges.
"""

from sqlalchemy import (
    DDL,
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    event,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, INET, JSONB

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


def _text(name: str) -> Column[str]:
    return Column(name, Text, nullable=False, server_default="")


def _flag(name: str) -> Column[bool]:
    return Column(name, Boolean, nullable=False, server_default=text("false"))


def _count(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False, server_default=text("0"))


def _one_of(column: str, words: tuple[str, ...]) -> CheckConstraint:
    return CheckConstraint(f"{column} IN ({', '.join(repr(word) for word in words)})", name=column)


def _partitioned(table: Table) -> None:
    """Make the partitions with the table: what is open, and what has ended; months are added as time goes on."""
    name, closed = table.name, f"{table.name}_closed"
    for statement in (
        f"CREATE TABLE {name}_open PARTITION OF {name} FOR VALUES FROM ('infinity') TO (MAXVALUE)",
        f"CREATE TABLE {closed} PARTITION OF {name} FOR VALUES FROM (MINVALUE) TO ('infinity') PARTITION BY RANGE (t2)",
        f"CREATE TABLE {closed}_rest PARTITION OF {closed} DEFAULT",  # of months that were not made in time
    ):
        event.listen(table, "after_create", DDL(statement))  # type: ignore[no-untyped-call]


installation = Table(
    "installation",
    metadata,
    Column("one", Boolean, primary_key=True, server_default=text("true")),
    Column("id", Uuid, nullable=False, server_default=text("gen_random_uuid()")),
    CheckConstraint("one", name="one"),
)

cluster = Table(
    "cluster",
    metadata,
    Column("name", KEY, primary_key=True),
    _text("uid"),  # of its kube-system namespace
    _count("revision"),  # + 1 with every batch
    Column("changed_at", TIME),  # of the last batch; never runs backwards
    Column("synced", JSONB, nullable=False, server_default=text("'{}'")),
    _count("policy_revision"),  # of the last batch in which policy or its placement changed
    Column("watched_at", TIME),  # the last time up to which all that happened is recorded
    Column("kept_from", TIME),  # history is whole from here on: the first batch, or what was pruned until then
    Column("versions_from", TIME),  # the same of `version`, where that is younger
    CheckConstraint("revision >= 0", name="revision"),
)

pod = Table(
    "pod",
    metadata,
    Column("cluster", KEY, primary_key=True),
    Column("uid", KEY, primary_key=True),
    Column("namespace", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("service_account", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("node", Text, nullable=False),
    Column("phase", Text, nullable=False),
    Column("labels", JSON, nullable=False),
    Column("rest", JSON, nullable=False),
)

observed = Table(
    "observed",
    metadata,
    Column("cluster", KEY, ForeignKey("cluster.name"), primary_key=True),
    Column("resource", KEY, primary_key=True),
    Column("namespace", KEY, primary_key=True),
    Column("name", KEY, primary_key=True),
    Column("uid", Text, nullable=False),
    Column("resource_version", Text, nullable=False),
    Column("body", JSON, nullable=False),
)

# A time in which a cluster was not watched: who came and went within it was not seen.
outage = Table(
    "outage",
    metadata,
    Column("cluster", KEY, ForeignKey("cluster.name"), primary_key=True),
    Column("t2", TIME, primary_key=True),
    Column("t1", TIME, nullable=False),
    CheckConstraint("t1 <= t2", name="order"),
)

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
    _flag("t2_inferred"),
    CheckConstraint("t1 <= t2", name="order"),
    postgresql_partition_by="RANGE (t2)",
)
_partitioned(lease)
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
    _flag("gone"),
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
    _flag("inferred"),  # no event proved that it left
    CheckConstraint("t1 <= t2", name="order"),
    Index(None, "group_id", "revision"),
    postgresql_partition_by="RANGE (t2)",
)
_partitioned(member)

# Rules, external services and address groups as people wrote them; the text itself is in `observed`.
policy_object = Table(
    "policy_object",
    metadata,
    Column("cluster", KEY, ForeignKey("cluster.name"), primary_key=True),
    Column("kind", KEY, primary_key=True),
    Column("namespace", KEY, primary_key=True),
    Column("name", KEY, primary_key=True),
    Column("uid", Text, nullable=False),
    Column("generation", BigInteger, nullable=False),
    Column("ok", Boolean, nullable=False),
    Column("reason", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("accepted", JSON(none_as_null=True)),  # the last accepted version, which is in force
    Column("changed_at", TIME, nullable=False),
)

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

# What one policy object, or one object with an annotation, becomes on one device: the objects that must stand there.
placement = Table(
    "placement",
    metadata,
    Column("cluster", KEY, ForeignKey("cluster.name"), primary_key=True),
    Column("kind", KEY, primary_key=True),
    Column("namespace", KEY, primary_key=True),
    Column("name", KEY, primary_key=True),
    Column("device", KEY, primary_key=True),
    Column("keys", ARRAY(Text), nullable=False),
    _text("tier"),  # of a rule: whose attachment it needs
    _text("reason"),  # why the compiler could not place it as written
    _text("message"),
)

# What was last told about an object, so that nothing is told twice.
feedback = Table(
    "feedback",
    metadata,
    Column("cluster", KEY, ForeignKey("cluster.name"), primary_key=True),
    Column("kind", KEY, primary_key=True),
    Column("namespace", KEY, primary_key=True),
    Column("name", KEY, primary_key=True),
    Column("uid", Text, nullable=False),
    Column("body", JSON, nullable=False),
    Column("at", TIME, nullable=False),
)

device = Table(
    "device",
    metadata,
    Column("name", KEY, primary_key=True),
    Column("kind", Text, nullable=False),
    _text("identity"),  # its serial
    Column("state", Text, nullable=False, server_default="not read yet"),
    _text("message"),
    Column("look_alikes", JSON, nullable=False, server_default=text("'[]'")),
    Column("attached", JSON(none_as_null=True)),
    Column("last_read", TIME),
    Column("last_verified", TIME),
    Column("mode", Text, nullable=False, server_default="apply"),
    Column("attach_by", JSON(none_as_null=True)),  # tier -> how a person attaches what is not
    _count("standing_revision"),  # + 1 whenever the device or one of its objects stands otherwise than before
    _count("audit_number"),  # of the last row of its audit, whose hash is the head of the chain
    _text("audit_head"),
    _one_of("mode", ("apply", "plan")),
    _one_of("state", ("ok", "busy", "denied", "unreachable", "stopped", "not read yet")),
)

device_object = Table(
    "device_object",
    metadata,
    Column("key", KEY, primary_key=True),
    Column("device", KEY, ForeignKey("device.name"), primary_key=True),
    Column("cluster", KEY, ForeignKey("cluster.name"), nullable=False),
    Column("kind", Text, nullable=False),
    Column("body", JSON(none_as_null=True)),
    Column("desired_generation", BigInteger, nullable=False, server_default=text("1")),
    Column("desired_digest", Text, nullable=False),
    Column("since_revision", BigInteger, nullable=False),  # the device did not have it before
    Column("changed_at", TIME, nullable=False),
    Column("waiting_since", TIME, nullable=False),  # the oldest change that is not applied
    _text("cause"),
    _flag("gone"),
    _count("applied_generation"),
    _text("applied_digest"),
    Column("state", Text, nullable=False, server_default="Pending"),
    _text("message"),
    Column("shards", Integer, nullable=False, server_default=text("0")),
    Column("verified_at", TIME),
    CheckConstraint("applied_generation BETWEEN 0 AND desired_generation", name="generation"),
    CheckConstraint("shards >= 0", name="shards"),
    CheckConstraint("NOT gone OR body IS NULL", name="gone"),
    _one_of("kind", ("group", "shard", "ports", "rules", "policy", "attachment")),
    _one_of(
        "state",
        ("Pending", "Programmed", "Held", "Quarantined", "Withheld", "AwaitingDeploy", "Unsupported"),
    ),
    Index("ix_device_object_work", "device", postgresql_where=text("desired_generation > applied_generation")),
    Index("ix_device_object_awaiting", "device", postgresql_where=text("state = 'AwaitingDeploy'")),
    Index(None, "device"),
)

replica_lease = Table(
    "replica_lease",
    metadata,
    Column("role", KEY, primary_key=True),
    Column("name", KEY, primary_key=True),
    Column("holder", Text, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("expires_at", TIME, nullable=False),
    CheckConstraint("epoch > 0", name="epoch"),
    _one_of("role", ("cluster", "device")),
)

audit = Table(
    "audit",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("device", KEY, nullable=False),  # outlives the device
    Column("at", TIME, nullable=False),
    Column("key", KEY, nullable=False),
    Column("op", Text, nullable=False),
    Column("cause", Text, nullable=False),
    Column("before", Text, nullable=False),
    Column("after", Text, nullable=False),
    Column("plan_digest", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("number", BigInteger, nullable=False),  # counts the device's rows, without a gap
    _text("hash"),  # over this row and the hash before it
    Column("lag", Double),  # seconds from the change in the cluster to this one on the device
    Index(None, "device", "number", unique=True),
    Index(None, "key", "id"),
    Index(None, "at", postgresql_using="brin"),
)

# What each device was last seen to hold of ours, as the audit has it: what differs from it was changed while nobody watched.
verified = Table(
    "verified",
    metadata,
    Column("device", KEY, primary_key=True),
    Column("key", KEY, primary_key=True),
    Column("digest", Text, nullable=False),
)

# Where a chain begins after its older rows were pruned: the last that went, and its hash.
audit_checkpoint = Table(
    "audit_checkpoint",
    metadata,
    Column("device", KEY, primary_key=True),
    Column("number", BigInteger, primary_key=True),
    Column("hash", Text, nullable=False),
    Column("until", TIME, nullable=False),
    Column("at", TIME, nullable=False),
)

held_plan = Table(
    "held_plan",
    metadata,
    Column("device", KEY, ForeignKey("device.name"), primary_key=True),
    Column("digest", KEY, primary_key=True),
    Column("steps", JSON, nullable=False),
    Column("since", TIME, nullable=False),
    Column("state", Text, nullable=False, server_default="held"),
    _one_of("state", ("held", "released", "rejected")),
)

report = Table(
    "report",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("at", TIME, nullable=False),
    Column("body", JSON, nullable=False),
    Column("origin", Text, nullable=False, server_default="asked"),
    Column("slot", TIME, unique=True),  # of the schedule: made once, whoever is faster
    Column("summary", JSON, nullable=False, server_default=text("'{}'")),  # what a list shows without the body
    Index(None, "at"),
    _one_of("origin", ("asked", "scheduled")),
)
