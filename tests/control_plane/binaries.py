"""The programs of the control plane: found by envtest's convention, else in the folder that build/build.sh fills."""

import fcntl
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

PROGRAMS = ("etcd", "kube-apiserver", "kube-controller-manager", "kubectl")
BUILD = Path(__file__).parent / "build" / "build.sh"
HOW_TO_GET = "needs the control plane: run make control-plane"


class BinariesMissing(Exception):
    """Programs are missing; the message names them and says what to do."""


@dataclass(frozen=True, slots=True)
class Binaries:
    """A folder that holds all of PROGRAMS."""

    folder: Path

    def __getitem__(self, program: str) -> Path:
        return self.folder / program


def find() -> Binaries:
    """The programs in `$KUBEBUILDER_ASSETS` where that is set, else those built before; raises BinariesMissing."""
    named = os.environ.get("KUBEBUILDER_ASSETS")
    folder = Path(named) if named else built_folder()
    missing = [program for program in PROGRAMS if not os.access(folder / program, os.X_OK)]
    if missing:
        where = "$KUBEBUILDER_ASSETS" if named else "the build folder"
        raise BinariesMissing(f"{HOW_TO_GET} ({where} lacks {', '.join(missing)})")
    return Binaries(folder)


def find_or_build() -> Binaries:
    """As `find`; with CI=true builds what is missing (minutes, told on stderr), unless `$KUBEBUILDER_ASSETS` chose a folder."""
    try:
        return find()
    except BinariesMissing:
        if os.environ.get("CI") != "true" or os.environ.get("KUBEBUILDER_ASSETS"):
            raise
    build()
    return find()


def built_folder() -> Path:
    """Where build.sh puts the programs of the present pins, whether they are there or not."""
    told = subprocess.run([BUILD, "--where"], check=False, capture_output=True, text=True)
    return Path(told.stdout.strip())


def build() -> None:
    """Build what is missing. Several test processes may call this at once: one builds, the others wait for it."""
    folder = built_folder()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        print("control plane: building, this takes some minutes the first time", file=sys.stderr, flush=True)
        with subprocess.Popen([BUILD], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr is not None
            told = []
            for line in process.stderr:
                told.append(line)
                print(f"control plane: {line.rstrip()}", file=sys.stderr, flush=True)
    if process.returncode:
        raise BinariesMissing(f"building the control plane failed:\n{''.join(told[-20:])}")
