"""What proves what was done: the audit of each device, what it was last seen to hold, and reports that were kept."""

from sqlalchemy import JSON, BigInteger, Column, Double, Identity, Index, Table, Text, text

from bridge.state.tables.base import KEY, TIME, metadata, one_of, words

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
    words("hash"),  # over this row and the hash before it
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
    one_of("origin", ("asked", "scheduled")),
)
