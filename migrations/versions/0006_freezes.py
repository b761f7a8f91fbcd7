"""Freezes: since when a device keeps to the policy of an earlier time, and how long addresses took to change hands."""

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nothing yet."""
