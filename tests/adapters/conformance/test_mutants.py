"""Every check of the suite can fail: for each there is an adapter, wrong in one way, that it catches."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree

import pytest

from adapters.conformance import Conformance
from tests.adapters.conformance.mutants import MUTANTS

_ROOT = Path(__file__).parents[3]
_BINDINGS = """
from hypothesis import Phase, settings

settings.register_profile("first failure", phases=[Phase.generate])  # nobody reads a smallest one here
settings.load_profile("first failure")

from tests.adapters.conformance.mutants import MUTANTS, binding

globals().update({f"Test{mutant.__name__}": binding(mutant) for mutant in MUTANTS})
"""


@pytest.fixture(scope="module")
def failed(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, set[str]]:
    """The checks that did not pass, by class: one run of pytest, as somebody would who has installed the suite."""
    folder = tmp_path_factory.mktemp("elsewhere")
    (folder / "test_bindings.py").write_text(_BINDINGS)
    ids = [
        f"test_bindings.py::Test{mutant.__name__}::{check}" for mutant, checks in MUTANTS.items() for check in checks
    ]
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=no", "--junitxml=told.xml", *ids]
    environment = {**os.environ, "PYTHONPATH": str(_ROOT)}
    ended = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == pytest.ExitCode.TESTS_FAILED, ended.stdout + ended.stderr
    found: dict[str, set[str]] = {}
    for case in ElementTree.parse(folder / "told.xml").iter("testcase"):  # noqa: S314 - written a moment ago
        if case.find("failure") is not None or case.find("error") is not None:
            found.setdefault(case.attrib["classname"].rpartition(".")[2], set()).add(
                case.attrib["name"].partition("[")[0]
            )
    return found


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_a_wrong_adapter_is_caught(failed: Mapping[str, set[str]], mutant: type) -> None:
    assert failed.get(f"Test{mutant.__name__}", set()) == set(MUTANTS[mutant])


def test_every_check_catches_somebody() -> None:
    checks = {name for name in dir(Conformance) if name.startswith("test_")}
    assert {check for checks in MUTANTS.values() for check in checks} == checks


def test_the_binding_in_the_documentation_is_the_one_that_runs() -> None:
    shown = (_ROOT / "docs" / "conformance.md").read_text().partition("```python\n")[2].partition("```")[0]
    assert shown in (_ROOT / "tests" / "adapters" / "bigip" / "test_conformance.py").read_text()
