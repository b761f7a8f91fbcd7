"""Gates: pods that wait until the firewalls know them."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None
stage = "pre"
stage = "pre"

_KEY = sa.Text(collation="C")
_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Who waits, for what, and up to where each object of a device has settled."""
    op.create_table(
        "gate",
        sa.Column("cluster", _KEY, nullable=False),
        sa.Column("uid", _KEY, nullable=False),
        sa.Column("namespace", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("since", _TIME, nullable=False),
        sa.Column("state", sa.Text(), server_default="waiting", nullable=False),
        sa.Column("blocked", sa.Text(), server_default="", nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("message", sa.Text(), server_default="", nullable=False),
        sa.Column("told", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("opened_at", _TIME, nullable=True),
        sa.CheckConstraint("state IN ('waiting', 'open')", name=op.f("ck_gate_state")),
        sa.ForeignKeyConstraint(["cluster"], ["cluster.name"], name=op.f("fk_gate_cluster")),
        sa.PrimaryKeyConstraint("cluster", "uid", name=op.f("pk_gate")),
    )
    op.create_index(
        "ix_gate_unfinished", "gate", ["cluster"], postgresql_where=sa.text("state = 'waiting' OR NOT told")
    )
    op.create_table(
        "gate_need",
        sa.Column("cluster", _KEY, nullable=False),
        sa.Column("uid", _KEY, nullable=False),
        sa.Column("key", _KEY, nullable=False),
        sa.Column("address", postgresql.INET(), nullable=False),
        sa.Column("joins", sa.Boolean(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("held_on", postgresql.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.ForeignKeyConstraint(
            ["cluster", "uid"], ["gate.cluster", "gate.uid"], name=op.f("fk_gate_need_cluster_uid"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("cluster", "uid", "key", "address", "joins", name=op.f("pk_gate_need")),
    )
    op.create_index(op.f("ix_gate_need_key"), "gate_need", ["key"])
    op.add_column(
        "device_object", sa.Column("settled_revision", sa.BigInteger(), server_default=sa.text("0"), nullable=False)
    )
    op.create_index(
        "ix_device_object_unsettled", "device_object", ["cluster"], postgresql_where=sa.text("state <> 'Programmed'")
    )
    op.create_index(
        "ix_device_object_members_of",
        "device_object",
        ["members_of"],
        postgresql_where=sa.text("members_of IS NOT NULL"),
    )
