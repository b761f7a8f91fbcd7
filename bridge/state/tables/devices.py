"""Devices, what each should hold and how that stands, and what waits there for a person."""

from sqlalchemy import JSON, BigInteger, CheckConstraint, Column, ForeignKey, Index, Integer, Table, Text, text
from sqlalchemy.dialects.postgresql import ARRAY

from bridge.state.tables.base import KEY, TIME, count, flag, metadata, one_of, words

device = Table(
    "device",
    metadata,
    Column("name", KEY, primary_key=True),
    Column("kind", Text, nullable=False),
    words("identity"),  # its serial
    Column("state", Text, nullable=False, server_default="not read yet"),
    words("message"),
    Column("look_alikes", JSON, nullable=False, server_default=text("'[]'")),
    Column("attached", JSON(none_as_null=True)),
    Column("last_read", TIME),
    Column("last_verified", TIME),
    Column("mode", Text, nullable=False, server_default="apply"),
    Column("attach_by", JSON(none_as_null=True)),  # tier -> how a person attaches what is not
    count("standing_revision"),  # + 1 whenever the device or one of its objects stands otherwise than before
    count("audit_number"),  # of the last row of its audit, whose hash is the head of the chain
    words("audit_head"),
    count("fence_epoch"),  # of the fence that stops us, until a person lets this one be replaced, and no other
    words("fence_installation"),
    flag("fence_allowed"),
    Column(
        "adopting", JSON, nullable=False, server_default=text("'[]'")
    ),  # names of objects that a person wants marked as ours
    Column("stopped_by", ARRAY(Text), nullable=False, server_default=text("'{}'")),  # uids of the stops that it obeys
    one_of("mode", ("apply", "plan")),
    one_of("state", ("ok", "busy", "denied", "unreachable", "stopped", "not read yet")),
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
    words("cause"),
    flag("gone"),
    count("applied_generation"),
    words("applied_digest"),
    Column("state", Text, nullable=False, server_default="Pending"),
    words("message"),
    Column("shards", Integer, nullable=False, server_default=text("0")),
    Column("verified_at", TIME),
    Column("members_of", KEY),  # of a group in a freeze that is defined otherwise now: where its members are counted
    count(
        "settled_revision"
    ),  # of the cluster: what happened until then is in force there, but for what is held or withheld
    CheckConstraint("applied_generation BETWEEN 0 AND desired_generation", name="generation"),
    CheckConstraint("shards >= 0", name="shards"),
    CheckConstraint("NOT gone OR body IS NULL", name="gone"),
    one_of("kind", ("group", "shard", "ports", "schedule", "rules", "policy", "attachment")),
    one_of(
        "state",
        ("Pending", "Programmed", "Held", "Quarantined", "Withheld", "AwaitingDeploy", "Unsupported"),
    ),
    Index("ix_device_object_work", "device", postgresql_where=text("desired_generation > applied_generation")),
    Index("ix_device_object_awaiting", "device", postgresql_where=text("state = 'AwaitingDeploy'")),
    Index("ix_device_object_members_of", "members_of", postgresql_where=text("members_of IS NOT NULL")),
    Index("ix_device_object_unsettled", "cluster", postgresql_where=text("state <> 'Programmed'")),
    Index(None, "device"),
)

# Lists of steps that wait for a person, each fixed for good: what of one is still wanted may shrink, what comes up later is another list.
held_plan = Table(
    "held_plan",
    metadata,
    Column("device", KEY, ForeignKey("device.name"), primary_key=True),
    Column("digest", KEY, primary_key=True),
    Column("steps", JSON, nullable=False),
    Column("since", TIME, nullable=False),
    Column("state", Text, nullable=False, server_default="held"),
    Column("cluster", KEY, nullable=False, server_default=""),  # whose objects it is about
    Column("kind", Text, nullable=False, server_default="guard"),
    words("by"),  # who released or rejected it, and why
    words("reason"),
    words("message"),  # how it ended
    Column("changed_at", TIME),  # when it came to its state, if that is not the first
    one_of("state", ("held", "superseded", "released", "rejected", "done")),
    one_of("kind", ("guard", "freeze")),
    Index("ix_held_plan_open", "device", postgresql_where=text("state IN ('held', 'released', 'rejected')")),
)
