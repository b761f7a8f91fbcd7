"""Schedules: moments at which devices end lines by themselves."""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None
stage = "pre"

_KIND = "ck_device_object_kind"


def upgrade() -> None:
    """One more kind of object. Rows that are there keep to fewer, so none is looked at while the table is locked."""
    op.execute(f"ALTER TABLE device_object DROP CONSTRAINT {_KIND}")
    kinds = "'group', 'shard', 'ports', 'schedule', 'rules', 'policy', 'attachment'"
    op.execute(f"ALTER TABLE device_object ADD CONSTRAINT {_KIND} CHECK (kind IN ({kinds})) NOT VALID")
    op.execute(f"ALTER TABLE device_object VALIDATE CONSTRAINT {_KIND}")
