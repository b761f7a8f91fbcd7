"""Decisions: what people release, reject and stop."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None
stage = "pre"

_KEY = sa.Text(collation="C")
_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """What people decided, and what it is about."""
    _decisions()
    _stops()
    _held()


def _decisions() -> None:
    op.create_table(
        "decision",
        sa.Column("cluster", _KEY, nullable=False),
        sa.Column("uid", _KEY, nullable=False),
        sa.Column("name", _KEY, nullable=False),
        sa.Column("device", _KEY, nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), server_default="", nullable=False),
        sa.Column("settled_at", _TIME, nullable=True),
        sa.CheckConstraint("verdict IN ('Release', 'Reject', '')", name=op.f("ck_decision_verdict")),
        sa.CheckConstraint(
            "state IN ('Waiting', 'Done', 'NothingHeld', 'NotHere', 'Malformed', 'Withdrawn')",
            name=op.f("ck_decision_state"),
        ),
        sa.ForeignKeyConstraint(["cluster"], ["cluster.name"], name=op.f("fk_decision_cluster")),
        sa.PrimaryKeyConstraint("cluster", "uid", name=op.f("pk_decision")),
    )
    op.create_index("ix_decision_waiting", "decision", ["device"], postgresql_where=sa.text("state = 'Waiting'"))


def _stops() -> None:
    op.create_table(
        "stop",
        sa.Column("cluster", _KEY, nullable=False),
        sa.Column("name", _KEY, nullable=False),
        sa.Column("uid", sa.Text(), nullable=False),
        sa.Column("devices", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("since", _TIME, nullable=False),
        sa.Column("message", sa.Text(), server_default="", nullable=False),
        sa.Column("lifted_by", sa.Text(), server_default="", nullable=False),
        sa.Column("lifted_reason", sa.Text(), server_default="", nullable=False),
        sa.Column("ended_at", _TIME, nullable=True),
        sa.ForeignKeyConstraint(["cluster"], ["cluster.name"], name=op.f("fk_stop_cluster")),
        sa.PrimaryKeyConstraint("cluster", "name", name=op.f("pk_stop")),
    )
    op.create_index("ix_stop_in_force", "stop", ["cluster"], postgresql_where=sa.text("ended_at IS NULL"))
    op.add_column(
        "device",
        sa.Column("stopped_by", postgresql.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
    )


def _held() -> None:
    """What is held, as delivery records it, and which changes of members nothing proves."""
    op.add_column("held_plan", sa.Column("cluster", _KEY, server_default="", nullable=False))
    op.add_column("held_plan", sa.Column("kind", sa.Text(), server_default="guard", nullable=False))
    for name in ("by", "reason", "message"):
        op.add_column("held_plan", sa.Column(name, sa.Text(), server_default="", nullable=False))
    op.add_column("held_plan", sa.Column("changed_at", _TIME, nullable=True))
    op.drop_constraint(op.f("ck_held_plan_state"), "held_plan")
    op.create_check_constraint(
        op.f("ck_held_plan_state"), "held_plan", "state IN ('held', 'superseded', 'released', 'rejected', 'done')"
    )
    op.create_check_constraint(op.f("ck_held_plan_kind"), "held_plan", "kind IN ('guard', 'freeze')")
    op.create_index(
        "ix_held_plan_open",
        "held_plan",
        ["device"],
        postgresql_where=sa.text("state IN ('held', 'released', 'rejected')"),
    )
    op.add_column("member", sa.Column("unproven", sa.Boolean(), server_default=sa.text("false"), nullable=False))
