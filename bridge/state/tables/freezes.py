"""Freezes of devices, and how long addresses took to change hands on them."""

from sqlalchemy import JSON, BigInteger, CheckConstraint, Column, Double, ForeignKey, Index, Integer, Table, text

from bridge.state.tables.base import KEY, TIME, metadata

# A device that keeps to the policy of a cluster as it was accepted at `as_of`; an open `t2`: now.
frozen = Table(
    "frozen",
    metadata,
    Column("cluster", KEY, ForeignKey("cluster.name"), primary_key=True),
    Column("device", KEY, primary_key=True),
    Column("t1", TIME, primary_key=True),
    Column("t2", TIME),
    Column("as_of", TIME, nullable=False),
    Column("until", TIME),  # as far as was known when this was written; null: no end in sight
    Column("names", JSON, nullable=False),  # of the windows
    Column("stance", JSON, nullable=False),  # what the settings said of the device then
    CheckConstraint("t1 <= t2", name="order"),
    Index("ix_frozen_open", "cluster", "device", unique=True, postgresql_where=text("t2 IS NULL")),
)

# Addresses that changed hands on a device within one minute, by how long that took: `bucket` grows with the logarithm of the seconds.
handover = Table(
    "handover",
    metadata,
    Column("device", KEY, primary_key=True),
    Column("at", TIME, primary_key=True),
    Column("bucket", Integer, primary_key=True),
    Column("count", BigInteger, nullable=False),
    Column("worst", Double, nullable=False),
    Column(
        "at_once", BigInteger, nullable=False
    ),  # of these, the new permission may have stood before the old one had gone
    CheckConstraint("count >= at_once", name="count"),
    Index(None, "at"),
)
