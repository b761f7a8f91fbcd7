"""Stages: which versions of the program may run beside this schema; and what a person decided about identity and ownership."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None
stage = "pre"

_KEY = sa.Text(collation="C")
_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """One table more, and columns."""
    op.create_table(
        "migration",
        sa.Column("revision", _KEY, nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("oldest", sa.Text(), nullable=True),
        sa.Column("at", _TIME, nullable=False),
        sa.CheckConstraint("stage IN ('pre', 'post')", name=op.f("ck_migration_stage")),
        sa.PrimaryKeyConstraint("revision", name=op.f("pk_migration")),
    )
    op.add_column("cluster", sa.Column("current_at", _TIME, nullable=True))
    op.add_column("cluster", sa.Column("problem", sa.Text(), server_default="", nullable=False))
    op.add_column("device", sa.Column("fence_epoch", sa.BigInteger(), server_default=sa.text("0"), nullable=False))
    op.add_column("device", sa.Column("fence_installation", sa.Text(), server_default="", nullable=False))
    op.add_column("device", sa.Column("fence_allowed", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.add_column("device", sa.Column("adopting", sa.JSON(), server_default=sa.text("'[]'"), nullable=False))
