"""Freezes: since when a device keeps to the policy of an earlier time, and how long addresses took to change hands."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None
stage = "pre"

_KEY = sa.Text(collation="C")
_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Two tables more, and a column."""
    op.create_table(
        "frozen",
        sa.Column("cluster", _KEY, nullable=False),
        sa.Column("device", _KEY, nullable=False),
        sa.Column("t1", _TIME, nullable=False),
        sa.Column("t2", _TIME, nullable=True),
        sa.Column("as_of", _TIME, nullable=False),
        sa.Column("until", _TIME, nullable=True),
        sa.Column("names", sa.JSON(), nullable=False),
        sa.Column("stance", sa.JSON(), nullable=False),
        sa.CheckConstraint("t1 <= t2", name=op.f("ck_frozen_order")),
        sa.ForeignKeyConstraint(["cluster"], ["cluster.name"], name=op.f("fk_frozen_cluster")),
        sa.PrimaryKeyConstraint("cluster", "device", "t1", name=op.f("pk_frozen")),
    )
    op.create_index(
        "ix_frozen_open", "frozen", ["cluster", "device"], unique=True, postgresql_where=sa.text("t2 IS NULL")
    )
    op.create_table(
        "handover",
        sa.Column("device", _KEY, nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("bucket", sa.Integer(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("worst", sa.Double(), nullable=False),
        sa.Column("at_once", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("count >= at_once", name=op.f("ck_handover_count")),
        sa.PrimaryKeyConstraint("device", "at", "bucket", name=op.f("pk_handover")),
    )
    op.create_index(op.f("ix_handover_at"), "handover", ["at"])
    op.add_column("device_object", sa.Column("members_of", _KEY, nullable=True))
