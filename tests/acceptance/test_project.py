"""The project as it stands in a checkout, and as it is installed."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import requires
from pathlib import Path

import pytest

import bridge
from bridge.resources import shipped
from tests.acceptance.world import run
from tests.packaging.conftest import bare_environment, build

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


@pytest.mark.acceptance(
    "project: the top level, README, Makefile, LICENSE (Apache-2.0), CONTRIBUTING, CHANGELOG, docs/, .ci/run"
)
def test_top_level() -> None:
    folders = {"bridge", "adapters", "migrations", "config", "tests", "docs"}
    files = {"pyproject.toml", "Dockerfile", "README.md", "Makefile", "LICENSE", "CONTRIBUTING.md", "CHANGELOG.md"}
    assert {name for name in folders if not (ROOT / name).is_dir()} == set()
    assert {name for name in files if not (ROOT / name).is_file()} == set()
    assert "Apache License" in (ROOT / "LICENSE").read_text()
    assert PROJECT["project"]["license"] == "Apache-2.0"
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


@pytest.mark.acceptance("project: distribution and console script `fusion-bridge`, built on the libraries named")
def test_distribution() -> None:
    assert PROJECT["project"]["name"] == "fusion-bridge"
    assert list(PROJECT["project"]["scripts"]) == ["fusion-bridge"]
    needed = {re.split(r"[^a-z-]", one)[0] for one in requires("fusion-bridge") or ()}
    wanted = "kubernetes httpx tenacity sqlalchemy alembic apscheduler psycopg msgspec pydantic typer rich structlog prometheus-client"
    assert set(wanted.split()) <= needed
    used = "\n".join(path.read_text() for room in ("bridge", "adapters") for path in (ROOT / room).rglob("*.py"))
    for library in wanted.replace("prometheus-client", "prometheus_client").split():
        assert f"import {library}" in used or f"from {library}" in used, f"{library} is asked for and never used"
    developing = " ".join(PROJECT["dependency-groups"]["dev"])
    assert all(name in developing for name in ("pytest", "respx", "hypothesis", "ruff", "mypy", "import-linter"))


@pytest.mark.acceptance(
    "project: migrations/ and config/crd/ ship with the wheel, found by one function there and in a checkout; the wheel runs"
)
def test_wheel(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    made = shutil.ignore_patterns(".venv", ".git", ".*_cache", ".hypothesis", "build", "dist", "__pycache__")
    shutil.copytree(ROOT, tree, ignore=made)
    wheel = build(tree, "wheel", tmp_path / "dist")
    prefix = tmp_path / "prefix"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", prefix], check=True)
    python = prefix / "bin" / "python"
    words = [
        "--disable-pip-version-check",
        "--quiet",
        "--python",
        str(python),
        "install",
        "--no-deps",
        "--no-index",
        str(wheel),
    ]
    subprocess.run([sys.executable, "-m", "pip", *words], check=True)
    # The libraries are this environment's; its own editable install does not come along with a path.
    (packages,) = (prefix / "lib").glob("python*/site-packages")
    (packages / "libraries.pth").write_text(str(Path(pytest.__file__).parents[1]))
    environment = bare_environment() | {"HOME": str(tmp_path)}
    program = prefix / "bin" / "fusion-bridge"
    said = run(program, "version", cwd=tmp_path, env=environment)
    assert said.stdout == f"fusion-bridge {bridge.__version__}\n", said.stderr
    assert run(program, "--data-dir", "state", "db", "upgrade", cwd=tmp_path, env=environment).returncode == 0
    script = "from bridge.resources import shipped; [print(shipped(name)) for name in ('migrations', 'config/crd')]"
    found = [Path(line) for line in run(python, "-c", script, cwd=tmp_path, env=environment).stdout.split()]
    assert [one.is_relative_to(packages) for one in found] == [True, True]
    for inside, outside in zip(found, (shipped("migrations"), shipped("config/crd")), strict=True):
        assert outside.is_relative_to(ROOT)
        names = {path.name for path in outside.rglob("*") if path.suffix in (".py", ".yaml", ".ini", ".mako")}
        assert names <= {path.name for path in inside.rglob("*")}


@pytest.mark.acceptance(
    "project: `make check` is ruff, mypy --strict of package and tests, import-linter with the design's layers, exhaustive"
)
def test_check() -> None:
    said = run("make", "-n", "check", cwd=ROOT).stdout
    assert all(tool in said for tool in ("ruff check", "ruff format --check", "mypy", "lint-imports"))
    assert PROJECT["tool"]["mypy"]["strict"] is True
    assert set(PROJECT["tool"]["mypy"]["packages"]) == {"bridge", "adapters", "tests"}
    (layers,) = [one for one in PROJECT["tool"]["importlinter"]["contracts"] if one["type"] == "layers"]
    assert layers["exhaustive"]
    order = [set(one.replace(" ", "").split("|")) for one in layers["layers"]]
    rooms = [{"cli"}, {"lab"}, {"api"}, {"intake", "delivery", "feedback", "report"}, {"dialects", "cluster", "state"}]
    assert [found & room for found, room in zip(order, rooms, strict=False)] == rooms
    linted = run(Path(sys.executable).parent / "lint-imports", "--no-logo", "--no-cache", cwd=ROOT)
    assert " 0 broken." in linted.stdout, linted.stdout


@pytest.mark.acceptance(
    "project: on a fresh machine `make demo` and `make test` do all the set-up; later runs start in seconds"
)
def test_two_commands(tmp_path: Path) -> None:
    for name in ("Makefile", "pyproject.toml", "requirements"):
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, tmp_path / name)
    for target in ("demo", "test"):
        fresh = run("make", "-n", target, cwd=tmp_path).stdout
        assert "-m venv" in fresh, target
        assert "--require-hashes" in fresh, target
    (tmp_path / ".venv").mkdir()
    checksum = run("sh", "-c", "cksum <requirements/dev.txt", cwd=tmp_path).stdout.split()[0]
    for stamp in (f".packages-{checksum}", ".installed"):
        (tmp_path / ".venv" / stamp).touch()
    for target in ("demo", "test"):
        later = run("make", "-n", target, cwd=tmp_path).stdout
        assert "venv " not in later, later
        assert " install " not in later, later


@pytest.mark.acceptance("project: `.ci/run` installs what apt must give, then runs `make check` and `make test`")
def test_gate(tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("apt-get", "make", "sudo", "go"):
        shift = "shift; " if name == "sudo" else ""
        (tools / name).write_text(f'#!/bin/sh\necho "{name} $* CI=$CI" >>"{tmp_path}/called"\n{shift}exit 0\n')
        (tools / name).chmod(0o755)
    environment = {**bare_environment(), "PATH": f"{tools}:{os.environ['PATH']}"}
    environment.pop("CI", None)
    assert run(ROOT / ".ci" / "run", env=environment).returncode == 0
    called = (tmp_path / "called").read_text().splitlines()
    assert called[-2:] == ["make check CI=true", "make test CI=true"]
