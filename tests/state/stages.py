"""Versions of the program to come: the migrations of this one, and more of them."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from bridge.resources import shipped

_FILE = '''"""{name}: made up."""

from alembic import op

revision = "{name}"
down_revision = "{before}"
branch_labels = None
depends_on = None
stage = "{stage}"
{oldest}

def upgrade() -> None:
    op.execute("{statement}")
'''
PRE = {"9001": ("pre", "", "ALTER TABLE pod ADD COLUMN mood text NOT NULL DEFAULT ''")}
POST = {"9002": ("post", "9001", "ALTER TABLE pod RENAME COLUMN mood TO temper")}


def migrations(folder: Path, more: Mapping[str, tuple[str, str, str]]) -> Path:
    """A folder of migrations with these after ours: name -> stage, oldest, statement."""
    made = folder / "migrations"
    shutil.copytree(shipped("migrations"), made, ignore=shutil.ignore_patterns("__pycache__"))
    before = max(path.name.partition("_")[0] for path in (made / "versions").glob("*.py"))
    for name, (stage, oldest, statement) in more.items():
        said = f'oldest = "{oldest}"\n' if oldest else ""
        text = _FILE.format(name=name, before=before, stage=stage, oldest=said, statement=statement)
        (made / "versions" / f"{name}_made_up.py").write_text(text)
        before = name
    return made
