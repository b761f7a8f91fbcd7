"""The private folder in which the embedded server listens; a socket's whole path has room for 107 bytes only."""

import contextlib
import os
import re
import stat
import tempfile
from pathlib import Path

from bridge.errors import StateError
from bridge.state.account import Account
from bridge.state.postmaster import PORT, Layout

_LONGEST = 100  # of 107 bytes that sockaddr_un holds; Postgres adds ".lock"


def socket_folder(home: Path, account: Account, *, make: bool) -> Path:
    """Where the server of `home` listens: inside it, else (path too long or too odd) in a short folder that `socket.path` names.

    With `make`, for which the caller holds `server.lock`, the folder is made if there is none that is private to the account.
    """
    inside, record = home / "socket", home / "socket.path"
    if _usable(inside):
        if make and not _is_private(inside, account):
            _make_inside(inside, account)
        return inside
    recorded = Path(record.read_text()) if record.exists() else None
    if recorded is not None and recorded.is_absolute() and _is_private(recorded, account):
        return recorded
    return _make_short(record, account) if make else inside


def drop_short_folder(layout: Layout) -> None:
    """Leave nothing outside the data folder once the server is down."""
    if layout.sockets.parent == layout.home:
        return
    with contextlib.suppress(OSError):
        layout.sockets.rmdir()
    (layout.home / "socket.path").unlink(missing_ok=True)


def _usable(folder: Path) -> bool:
    # libpq and Postgres split the path at commas and read a leading @ as something else.
    short = len(os.fsencode(folder / f".s.PGSQL.{PORT}")) <= _LONGEST
    return short and re.fullmatch(r"[\w/.+-]+", str(folder), re.ASCII) is not None


def _make_inside(folder: Path, account: Account) -> None:
    if os.path.lexists(folder):
        raise StateError(f"{folder} is not a private folder of uid {account.uid}: remove it, then try again")
    folder.mkdir(mode=0o700)
    account.give(folder)


def _make_short(record: Path, account: Account) -> Path:
    """In /run for root, else in /tmp: a runtime folder of the user's would go when the user logs out, under a running server."""
    parent = "/run" if account.other and os.access("/run", os.W_OK) else "/tmp"  # noqa: S108 - 0700, not to be guessed
    short = Path(tempfile.mkdtemp(prefix="fusion-bridge-", dir=parent))
    account.give(short)
    draft = record.with_suffix(".new")
    draft.write_text(str(short))
    draft.replace(record)
    return short


def _is_private(folder: Path, account: Account) -> bool:
    try:
        info = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(info.st_mode) and stat.S_IMODE(info.st_mode) == 0o700 and info.st_uid == account.uid
