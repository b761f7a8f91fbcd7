"""Who the embedded server runs as: ourselves, or for root (whom Postgres refuses) an account without rights.

A data folder of root often lies below a folder that only root may enter, and so may the binaries. No mode of such a folder is
changed: the server then keeps one capability, to read and enter folders (CAP_DAC_READ_SEARCH), as an ambient one.
"""

import os
import pwd
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bridge.errors import StateError

PREFERRED = (
    "fusion-bridge",
    "nobody",
)  # an administrator who makes the first keeps the data from other users of the second
DAC_OVERRIDE, DAC_READ_SEARCH = 1, 2  # bit numbers, linux/capability.h


@dataclass(frozen=True, slots=True)
class Account:
    """The user and group that own the data and run the server. `other` is True when they are not this process's own."""

    uid: int
    gid: int
    other: bool

    def give(self, path: Path) -> None:
        """Hand a file or folder that we have just made to the account; nothing to do when we are the account."""
        if self.other:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)

    def command(self, program: Path, folders: Iterable[Path]) -> list[str]:
        """The words to put before `program` so that it runs as the account and reaches itself and `folders`."""
        if not self.other:
            return []
        if shutil.which("setpriv") is None:
            raise StateError(
                "root needs setpriv to run Postgres as another user: install util-linux, or run as an ordinary user"
            )
        words = ["setpriv", f"--reuid={self.uid}", f"--regid={self.gid}", "--clear-groups", "--no-new-privs"]
        capability = self._capability(program, folders)
        if capability:
            # Without the fixup, access(2), by which Postgres looks for its own programs, would not count the capability.
            words += ["--securebits=+no_setuid_fixup"]
            words += [f"--inh-caps=-all,+{capability}", f"--ambient-caps=-all,+{capability}"]
        return [*words, "--"]

    def _capability(self, program: Path, folders: Iterable[Path]) -> str | None:
        """The weakest capability with which the account reaches everything, None when it needs none."""
        closed = [parent for path in (program, *folders) for parent in path.parents if not self._may_enter(parent)]
        runnable = self._may_enter(program)
        if not closed and runnable:
            return None
        held = _capabilities()
        if runnable and held & (1 << DAC_READ_SEARCH):
            return "dac_read_search"
        if held & (1 << DAC_OVERRIDE):
            return "dac_override"
        raise StateError(
            f"{closed[0] if closed else program} is closed to uid {self.uid}, which runs the embedded Postgres for root:"
            " choose a --data-dir (and an installation) in folders open to it, or run as an ordinary user"
        )

    def _may_enter(self, path: Path) -> bool:
        """Whether the mode lets the account enter a folder or run a program (the same bit)."""
        info = path.stat()
        if info.st_uid == self.uid:
            return bool(info.st_mode & 0o100)
        return bool(info.st_mode & (0o010 if info.st_gid == self.gid else 0o001))


def server_account(name: str | None = None) -> Account:
    """Ourselves; for root the named account, else the first of `PREFERRED` that exists.

    Raises StateError when there is none, or when a name is given by someone who is not root and is not that user.
    """
    if os.geteuid() != 0:
        if name is not None and _entry(name).pw_uid != os.geteuid():
            raise StateError(f"only root can run the embedded Postgres as {name}: leave the account out")
        return Account(uid=os.geteuid(), gid=os.getegid(), other=False)
    entry = _entry(name) if name else next((found for found in map(_look_up, PREFERRED) if found), None)
    if entry is None or entry.pw_uid == 0:
        raise StateError(
            "Postgres does not run as root: create a system user fusion-bridge, or run as an ordinary user"
        )
    return Account(uid=entry.pw_uid, gid=entry.pw_gid, other=True)


def own_name() -> str:
    """The name of the user we run as; Postgres asks for one on both sides of its socket."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        raise StateError(
            f"uid {os.geteuid()} has no name in the user database, which Postgres needs: add it to /etc/passwd, or set a database URL"
        ) from None


def _look_up(name: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None


def _entry(name: str) -> pwd.struct_passwd:
    entry = _look_up(name)
    if entry is None:
        raise StateError(f"there is no user {name} to run the embedded Postgres: create it or leave the account out")
    return entry


def _capabilities() -> int:
    """The permitted capabilities of this process (/proc/self/status, CapPrm, hexadecimal)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapPrm:"):
            return int(line.split()[1], 16)
    return 0
