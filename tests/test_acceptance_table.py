"""The table of `make acceptance` tells the truth about each test, whoever ran it."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

_PLUGIN = Path(__file__).parent / "acceptance" / "conftest.py"
_TESTS = """
import pytest

@pytest.fixture
def absent():
    pytest.skip("no device here")

@pytest.fixture
def leaves_a_mess():
    yield
    raise RuntimeError("mess")

@pytest.mark.acceptance("1 starts")
@pytest.mark.acceptance("1 stops")
def test_good(): ...

@pytest.mark.acceptance("2 writes")
def test_bad(): assert False

@pytest.mark.acceptance("3 reads")
def test_left_out(absent): ...

@pytest.mark.acceptance("4 cleans up")
def test_untidy(leaves_a_mess): ...
"""


def _run(folder: Path, tests: str, *options: str) -> subprocess.CompletedProcess[str]:
    shutil.copy(_PLUGIN, folder / "conftest.py")
    (folder / "test_lines.py").write_text(tests)
    (folder / "pytest.ini").write_text("[pytest]\nmarkers = acceptance(line): a line\n")
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options, str(folder)]
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("options", [["-p", "no:xdist"], ["-n", "2"]], ids=["one process", "two processes"])
def test_each_line_with_its_test_and_result(tmp_path: Path, options: list[str]) -> None:
    told = _run(tmp_path, _TESTS, *options).stdout
    rows = [line for line in told.splitlines() if line.startswith("| ")][2:]
    assert sorted(rows) == [
        "| 1 starts | test_lines.py::test_good | passed |",
        "| 1 stops | test_lines.py::test_good | passed |",
        "| 2 writes | test_lines.py::test_bad | failed |",
        "| 3 reads | test_lines.py::test_left_out | skipped: no device here |",
        "| 4 cleans up | test_lines.py::test_untidy | failed |",
    ]


def test_a_test_that_names_no_line_is_refused(tmp_path: Path) -> None:
    ended = _run(tmp_path, "def test_nothing(): ...\n")
    assert ended.returncode == pytest.ExitCode.USAGE_ERROR
    assert "test_nothing names no line" in ended.stderr
