"""A container without a container runtime: a process that sees the files, the user and the environment that a pod asks for, and no others.

Its root is made in a mount namespace of its own, of the machine's programs, the checkout and the pod's volumes, and is read-only like them;
the network is the machine's. The image's part (the program on its PATH) is this environment's.
"""

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_PROGRAMS = ("/usr", "/lib", "/lib64", "/bin", "/sbin")
_KNOWN = ("passwd", "group", "hosts", "resolv.conf", "nsswitch.conf", "ld.so.cache", "localtime")


def missing() -> str:
    """Why no container can be made here; "" where one can."""
    if os.geteuid() != 0:
        return "needs root, who may make a mount namespace"
    tried = subprocess.run(["unshare", "--mount", "true"], capture_output=True, text=True, check=False)
    return tried.stderr.strip() if tried.returncode else ""


needs_containers = pytest.mark.skipif(missing() != "", reason=missing() or "can be made here")


@dataclass(frozen=True, slots=True)
class Mount:
    """A folder that the container sees at `path`."""

    source: Path
    path: str
    writable: bool = False


@dataclass
class Container:
    """One process, started and ended at will. `folder` takes its log and its root."""

    folder: Path
    command: Sequence[str]
    environment: Mapping[str, str]
    mounts: Sequence[Mount]
    uid: int
    gid: int
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def log(self) -> str:
        """What it has said."""
        path = self.folder / "log"
        return path.read_text() if path.exists() else ""

    @property
    def running(self) -> bool:
        """Whether it lives."""
        return self.process is not None and self.process.poll() is None

    def start(self) -> None:
        """Start it and return at once."""
        root = self.folder / "root"
        root.mkdir(parents=True, exist_ok=True)
        environment = {
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONUNBUFFERED": "1",
            **self.environment,
            "PATH": "/usr/bin:/bin:/usr/sbin:/sbin",
        }
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                ["unshare", "--mount", "--propagation", "private", "sh", "-euc", self._script(root)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
            )

    def end(self, number: int = signal.SIGTERM, seconds: float = 30) -> int:
        """End it; its exit code."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(seconds)

    def wait(self, seconds: float = 60) -> int:
        """Its exit code, once it has ended by itself."""
        assert self.process is not None
        return self.process.wait(seconds)

    def _script(self, root: Path) -> str:
        """Makes the root and becomes the program: every step is a mount that goes with the process."""
        places = {str(ROOT), sys.prefix, sys.base_prefix}
        lines = [f"mount -t tmpfs -o mode=755 none {root}", f"cd {root}", "mkdir -p etc proc dev"]
        lines += [_same(path) for path in _PROGRAMS if Path(path).exists()]
        lines += [f"cp -L /etc/{name} etc/" for name in _KNOWN if Path("/etc", name).exists()]
        lines += ["mount --rbind /dev dev", "mount -t proc none proc || mount --rbind /proc proc"]
        for mount in self.mounts:
            lines.append(f"mkdir -p .{mount.path} && {_bound(str(mount.source), mount.path, writable=mount.writable)}")
        # Last of all: one of them may lie below a folder of the pod, /tmp for one.
        lines += [f"mkdir -p .{place} && {_bound(place, place)}" for place in sorted(places)]
        lines.append("mount -o remount,ro,bind . .")
        account = f"--reuid={self.uid} --regid={self.gid} --clear-groups --no-new-privs --bounding-set=-all"
        path = self.environment.get("PATH", f"{Path(sys.executable).parent}:/usr/bin:/bin")
        program = shlex.join(["env", f"PATH={path}", *self.command])
        lines.append(f"exec chroot . setpriv {account} --inh-caps=-all -- {program}")
        return "\n".join(lines)


def _bound(source: str, path: str, *, writable: bool = False) -> str:
    bound = f"mount --bind {shlex.quote(source)} .{path}"
    return bound if writable else f"{bound} && mount -o remount,ro,bind .{path}"


def _same(path: str) -> str:
    """The machine's own folder; where it is a link, the link."""
    if Path(path).is_symlink():
        return f"ln -s {Path(path).readlink()} .{path}"
    return f"mkdir -p .{path} && {_bound(path, path)}"
