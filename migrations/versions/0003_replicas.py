"""Replicas: who is alive, so that they share the work; and whether a take-over is complete."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None
stage = "pre"

_KEY = sa.Text(collation="C")
_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """One table more, and two columns."""
    op.create_table(
        "replica",
        sa.Column("holder", _KEY, nullable=False),
        sa.Column("started_at", _TIME, nullable=False),
        sa.Column("seen_at", _TIME, nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("schema", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("holder", name=op.f("pk_replica")),
    )
    op.add_column("replica_lease", sa.Column("wanted_by", sa.Text(), server_default="", nullable=False))
    op.add_column(
        "replica_lease", sa.Column("taking_over", sa.Boolean(), server_default=sa.text("false"), nullable=False)
    )
