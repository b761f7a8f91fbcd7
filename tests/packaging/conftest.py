"""The package as users get it: built from a clean copy of the tree, installed where nothing else is."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Installation:
    """A fresh environment with the wheel and its pinned dependencies; commands run far from the checkout."""

    prefix: Path
    elsewhere: Path

    @property
    def packages(self) -> Path:
        """Its site-packages."""
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        return self.prefix / "lib" / version / "site-packages"

    def run(self, program: str, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a program of the environment to its end, whatever that is."""
        command = [str(self.prefix / "bin" / program), *words]
        environment = bare_environment() | {"HOME": str(self.elsewhere)}
        return subprocess.run(
            command, cwd=self.elsewhere, env=environment, capture_output=True, text=True, check=False, timeout=120
        )

    def python(self, script: str) -> str:
        """What a script prints in the environment; it must end well."""
        ended = self.run("python", "-I", "-c", script)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout.strip()


def bare_environment() -> dict[str, str]:
    """This process's environment without what could lead Python, or us, back into the checkout."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON", "FUSION_BRIDGE_", "VIRTUAL_ENV"))
    }


@pytest.fixture(scope="package")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout with what a build may read, and nothing that was made in it."""
    copy = tmp_path_factory.mktemp("tree") / "source"
    made = shutil.ignore_patterns("__pycache__", ".venv", ".git", ".*_cache", ".hypothesis", "build", "dist")
    shutil.copytree(
        ROOT, copy, ignore=lambda folder, names: made(folder, names) if Path(folder) == ROOT else _bytecode(names)
    )
    return copy


@pytest.fixture(scope="package")
def context(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What of the tree is sent to a container build: the exceptions of .dockerignore, which begins by leaving out everything."""
    everything, *lines = (tree / ".dockerignore").read_text().splitlines()
    assert everything == "*"
    sent = tmp_path_factory.mktemp("context")
    for name in (line.removeprefix("!") for line in lines if line.startswith("!")):
        (sent / name).parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if (tree / name).is_dir() else shutil.copy)(tree / name, sent / name)
    return sent


@pytest.fixture(scope="package")
def installation(context: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """Made as the container image is: of the same files, by the same script."""
    folder = tmp_path_factory.mktemp("installation")
    # "no" is how pip is told --no-compile; bytecode would take as long again.
    environment = {**bare_environment(), "PYTHON": sys.executable, "PIP_NO_COMPILE": "no"}
    words = [context / ".ci" / "install", folder / "prefix"]
    made = subprocess.run(words, env=environment, capture_output=True, text=True, check=False, timeout=280)
    assert made.returncode == 0, made.stderr
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    yield Installation(folder / "prefix", elsewhere)
    shutil.rmtree(folder)  # hundreds of megabytes


def build(tree: Path, target: str, into: Path) -> Path:
    """The wheel or sdist that hatchling makes of `tree`."""
    words = [sys.executable, "-m", "hatchling", "build", "--target", target, "--directory", str(into)]
    subprocess.run(words, cwd=tree, env=bare_environment(), check=True, capture_output=True, timeout=120)
    (made,) = into.iterdir()
    return made


def _bytecode(names: list[str]) -> set[str]:
    return {name for name in names if name == "__pycache__"}
