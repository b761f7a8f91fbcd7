"""Pods that wait until the firewalls know them, and what each waits for."""

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, ForeignKeyConstraint, Index, Table, Text, text
from sqlalchemy.dialects.postgresql import ARRAY, INET

from bridge.state.tables.base import KEY, TIME, flag, metadata, one_of, words

GATE_CHANNEL = "fusion_bridge_gate"  # the payload is the name of a cluster whose gates may open

# `reason` and `message` are why it waits, or why it opened; `told` once the pod says the same. `blocked` is a reason in the cluster itself,
# which no device can take away.
gate = Table(
    "gate",
    metadata,
    Column("cluster", KEY, ForeignKey("cluster.name"), primary_key=True),
    Column("uid", KEY, primary_key=True),
    Column("namespace", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("since", TIME, nullable=False),
    Column("state", Text, nullable=False, server_default="waiting"),
    words("blocked"),
    words("reason"),
    words("message"),
    flag("told"),
    Column("opened_at", TIME),
    one_of("state", ("waiting", "open")),
    Index("ix_gate_unfinished", "cluster", postgresql_where=text("state = 'waiting' OR NOT told")),
)

# A group that must have settled, on every device, up to a revision of the cluster. Gone when the gate opens.
gate_need = Table(
    "gate_need",
    metadata,
    Column("cluster", KEY, primary_key=True),
    Column("uid", KEY, primary_key=True),
    Column("key", KEY, primary_key=True),
    Column("address", INET, primary_key=True),
    Column("joins", Boolean, primary_key=True),
    Column("revision", BigInteger, nullable=False),
    Column(
        "held_on", ARRAY(Text), nullable=False, server_default=text("'{}'")
    ),  # devices where just this address is held back
    ForeignKeyConstraint(["cluster", "uid"], ["gate.cluster", "gate.uid"], ondelete="CASCADE"),
    Index(None, "key"),
)
