"""The contracts of import-linter in pyproject.toml catch what they are there for."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[1]
_LINT = "from importlinter.cli import lint_imports_command; lint_imports_command()"


def _lint(tree: Path) -> str:
    words = [sys.executable, "-c", _LINT, "--no-cache", "--no-logo"]
    return subprocess.run(words, cwd=tree, capture_output=True, text=True, check=False).stdout


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for room in ("bridge", "adapters"):
        shutil.copytree(_ROOT / room, tmp_path / room, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(_ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_the_tree_keeps_every_contract(tree: Path) -> None:
    assert " 0 broken." in _lint(tree)


@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        ("bridge/model/bad.py", "import bridge.policy.diff", "Layers of the bridge"),
        ("bridge/intake/bad.py", "import bridge.delivery.worker", "Layers of the bridge"),
        ("bridge/cluster/bad.py", "import bridge.state.tables", "Layers of the bridge"),
        ("bridge/helpers.py", "import json", "Layers of the bridge"),
        (
            "adapters/bad/client.py",
            "import bridge.policy.diff",
            "Adapters see the contract, the model and the errors only",
        ),
        ("adapters/bad/client.py", "import adapters.bigip", "Adapters are blind to each other"),
        ("bridge/lab/bad.py", "import adapters.bigip", "The bridge finds adapters by entry point"),
        (
            "bridge/feedback/bad.py",
            "from kubernetes.client import ApiClient",
            "Only the cluster room imports the Kubernetes client",
        ),
        ("bridge/intake/bad.py", "import dns.message", "Only the names room asks name servers"),
        ("adapters/bad/client.py", "import sqlalchemy", "Only the state room speaks to Postgres"),
        ("bridge/policy/bad.py", "import msgspec", "Values and pure functions stand on the standard library"),
    ],
)
def test_a_bad_import_is_caught(tree: Path, module: str, line: str, contract: str) -> None:
    path = tree / module
    path.parent.mkdir(exist_ok=True)
    (path.parent / "__init__.py").touch()
    path.write_text(f"{line}\n")
    told = _lint(tree)
    assert f"{contract} BROKEN" in told, told
