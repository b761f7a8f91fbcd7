"""What the wheel and the sdist hold."""

import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.packaging.conftest import build


@pytest.fixture(scope="module")
def wheel(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tree, "wheel", tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_wheel_ships_every_module_and_says_that_it_is_typed(tree: Path, names: set[str]) -> None:
    ours = {str(path.relative_to(tree)) for room in ("bridge", "adapters") for path in (tree / room).rglob("*.py")}
    assert ours
    assert ours | {"bridge/py.typed", "adapters/py.typed"} <= names


def test_wheel_ships_migrations_and_config_whole(tree: Path, names: set[str]) -> None:
    for folder in ("migrations", "config"):
        inside = {str(path.relative_to(tree)) for path in (tree / folder).rglob("*") if path.is_file()}
        assert inside
        assert {f"bridge/_shipped/{name}" for name in inside} == {
            n for n in names if n.startswith(f"bridge/_shipped/{folder}/")
        }


def test_wheel_holds_nothing_else(names: set[str]) -> None:
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"bridge", "adapters"}
    assert not [name for name in names if "__pycache__" in name or name.endswith(".pyc")]


def test_wheel_carries_the_license(names: set[str]) -> None:
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)


def test_wheel_from_the_sdist_is_the_wheel_from_the_tree(tree: Path, names: set[str], tmp_path: Path) -> None:
    with tarfile.open(build(tree, "sdist", tmp_path / "sdist")) as archive:
        archive.extractall(tmp_path / "unpacked", filter="data")
    (unpacked,) = (tmp_path / "unpacked").iterdir()
    with zipfile.ZipFile(build(unpacked, "wheel", tmp_path / "wheel")) as archive:
        assert set(archive.namelist()) == names
    assert (unpacked / "Makefile").exists()
    assert (unpacked / "tests").is_dir()
