"""What people wrote, what it becomes on devices, and what they were told of it."""

from sqlalchemy import JSON, BigInteger, Boolean, Column, ForeignKey, Table, Text
from sqlalchemy.dialects.postgresql import ARRAY

from bridge.state.tables.base import KEY, TIME, metadata, words

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
    words("tier"),  # of a rule: whose attachment it needs
    words("reason"),  # why the compiler could not place it as written
    words("message"),
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
