"""What is known of each cluster: itself, its pods and other objects, and when nobody watched it."""

from sqlalchemy import JSON, Boolean, CheckConstraint, Column, ForeignKey, Table, Text, Uuid, text
from sqlalchemy.dialects.postgresql import JSONB

from bridge.state.tables.base import KEY, TIME, count, metadata, words

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
    words("uid"),  # of its kube-system namespace
    count("revision"),  # + 1 with every batch
    Column("changed_at", TIME),  # of the last batch; never runs backwards
    Column("synced", JSONB, nullable=False, server_default=text("'{}'")),
    count("policy_revision"),  # of the last batch in which policy or its placement changed
    Column("watched_at", TIME),  # the last time up to which all that happened is recorded
    Column("kept_from", TIME),  # history is whole from here on: the first batch, or what was pruned until then
    Column("versions_from", TIME),  # the same of `version`, where that is younger
    Column("current_at", TIME),  # by the clock of the database: all that was heard until then is recorded
    words("problem"),  # why nothing is taken from it until a person decides
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
