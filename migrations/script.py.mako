"""${message}"""

import sqlalchemy as sa
from alembic import op
${imports if imports else ""}

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = None
depends_on = None
stage = "pre"  # or "post", with `oldest`, the oldest revision that a program must know to run with it


def upgrade() -> None:
    """Only forward: a database is brought back from a backup, not by a migration."""
    ${upgrades if upgrades else "pass"}
