"""What people decided about devices, as the clusters' objects say it, and what became of that."""

from sqlalchemy import Column, ForeignKey, Index, Table, Text, text
from sqlalchemy.dialects.postgresql import ARRAY

from bridge.state.tables.base import KEY, TIME, metadata, one_of, words

decision = Table(
    "decision",
    metadata,
    Column("cluster", KEY, ForeignKey("cluster.name"), primary_key=True),
    Column("uid", KEY, primary_key=True),
    Column("name", KEY, nullable=False),
    Column("device", KEY, nullable=False),  # as somebody wrote it: there may be none
    Column("digest", Text, nullable=False),
    Column("verdict", Text, nullable=False),
    Column("by", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", TIME, nullable=False),
    Column("state", Text, nullable=False),
    words("message"),
    Column("settled_at", TIME),
    one_of("verdict", ("Release", "Reject", "")),
    one_of("state", ("Waiting", "Done", "NothingHeld", "NotHere", "Malformed", "Withdrawn")),
    Index("ix_decision_waiting", "device", postgresql_where=text("state = 'Waiting'")),
)

# Of each name the last: another object under the name of one proves that one gone.
stop = Table(
    "stop",
    metadata,
    Column("cluster", KEY, ForeignKey("cluster.name"), primary_key=True),
    Column("name", KEY, primary_key=True),
    Column("uid", Text, nullable=False),
    Column("devices", ARRAY(Text), nullable=False),  # none: every one that serves the cluster
    Column("by", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("since", TIME, nullable=False),
    words("message"),
    words("lifted_by"),
    words("lifted_reason"),
    Column("ended_at", TIME),  # lifted, or seen deleted; in force until then
    Index("ix_stop_in_force", "cluster", postgresql_where=text("ended_at IS NULL")),
)
