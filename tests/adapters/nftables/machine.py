"""Network namespaces of this machine's own kernel: what the tests of the gateway stand on."""

import ctypes
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count

import pytest

_NUMBERS = count(1)
_CLONE_NEWNET = 0x40000000
_LIBC = ctypes.CDLL(None, use_errno=True)


def _missing() -> str:
    if os.geteuid() != 0:
        return "not root"
    lacking = [name for name in ("nft", "ip", "nsenter") if not shutil.which(name)]
    if lacking:
        return f"not installed: {', '.join(lacking)}"
    tried = subprocess.run(["unshare", "--net", "nft", "list", "ruleset"], capture_output=True, check=False)
    return "" if tried.returncode == 0 else f"no nftables in a network namespace: {tried.stderr.decode().strip()}"


MISSING = _missing()

kernel = pytest.mark.skipif(
    bool(MISSING) and os.environ.get("CI") != "true", reason=f"needs root, iproute2 and nftables: {MISSING}"
)
"""For tests on the real kernel: left out by name where it cannot be had, and failing for want of it on CI."""


tracked = pytest.mark.skipif(
    shutil.which("conntrack") is None and os.environ.get("CI") != "true",
    reason="needs conntrack, which is not installed",
)
"""For tests of tracked flows, beside `kernel`."""


def run(*words: str, stdin: str = "", check: bool = True, zone: str = "UTC0") -> str:
    """A command's output; nft prints and takes dates in UTC, unless another zone is given."""
    env = {**os.environ, "TZ": zone}
    done = subprocess.run(words, input=stdin, capture_output=True, text=True, check=False, timeout=30, env=env)
    if check and done.returncode != 0:
        raise AssertionError(f"{' '.join(words)}: {done.stderr.strip()}")
    return done.stdout


@contextmanager
def namespace(name: str = "gw") -> Iterator[str]:
    """A network namespace of its own with its loopback up; deleted at the end, and with it all that is in it."""
    full = f"fbtest-{os.getpid()}-{next(_NUMBERS)}-{name}"
    run("ip", "netns", "add", full)
    try:
        run("ip", "-n", full, "link", "set", "lo", "up")
        yield full
    finally:
        run("ip", "netns", "delete", full)


def enter(name: str) -> None:
    """Have this thread, and the commands that it runs, be in that namespace from now on."""
    handle = os.open(f"/run/netns/{name}", os.O_RDONLY)
    try:
        if _LIBC.setns(handle, _CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"setns {name}")
    finally:
        os.close(handle)


def nft(namespace: str, *words: str, stdin: str = "", check: bool = True, zone: str = "UTC0") -> str:
    """nft in a namespace."""
    return run("nsenter", f"--net=/run/netns/{namespace}", "nft", *words, stdin=stdin, check=check, zone=zone)


def script(namespace: str, *lines: str) -> None:
    """Lines of nft's own language, as one transaction."""
    nft(namespace, "-f", "-", stdin="\n".join(lines) + "\n")


def ruleset(namespace: str, tables: Sequence[str] | None = None) -> str:
    """Everything, or some tables, as nft prints it without counts."""
    if tables is None:
        return nft(namespace, "-s", "list", "ruleset")
    return "".join(nft(namespace, "-s", "list", "table", *table.split()) for table in tables)
