"""The installed wheel works alone: away from the checkout, with the pinned dependencies and nothing else."""

import json
import re
from pathlib import Path

import pytest

import bridge
from tests.deployment.container import Container, Mount, needs_containers
from tests.packaging.conftest import ROOT, Installation

_SHIPPED = """
from bridge.resources import shipped
for name in ("migrations", "config/crd", "config/samples"):
    print(shipped(name))
"""
_ENTRY_POINTS = """
from importlib.metadata import entry_points
for group in ("fusion_bridge.adapters", "fusion_bridge.lab_devices"):
    for entry in entry_points(group=group):
        print(group, entry.name)
for entry in entry_points(group="fusion_bridge.adapters"):
    print(entry.load().kind)
"""


def test_says_its_version(installation: Installation) -> None:
    ended = installation.run("fusion-bridge", "version")
    assert ended.returncode == 0, ended.stderr
    assert bridge.__version__ in ended.stdout


def test_prints_the_schema_of_its_settings(installation: Installation) -> None:
    ended = installation.run("fusion-bridge", "config", "schema")
    assert ended.returncode == 0, ended.stderr
    assert "owner" in json.loads(ended.stdout)["properties"]


def test_finds_what_it_ships_inside_itself(installation: Installation) -> None:
    migrations, resources, samples = map(Path, installation.python(_SHIPPED).splitlines())
    for folder, original in ((migrations, "migrations"), (resources, "config/crd"), (samples, "config/samples")):
        assert folder.is_relative_to(installation.packages)
        there = {
            path.relative_to(ROOT / original)
            for path in (ROOT / original).rglob("*")
            if "__pycache__" not in path.parts
        }
        assert there <= {path.relative_to(folder) for path in folder.rglob("*")}


def test_migrates_an_embedded_database(installation: Installation, tmp_path: Path) -> None:
    ended = installation.run("fusion-bridge", "--data-dir", str(tmp_path), "db", "upgrade")
    assert ended.returncode == 0, ended.stderr


def test_finds_adapters_and_simulators_by_entry_point(installation: Installation) -> None:
    assert installation.python(_ENTRY_POINTS).splitlines() == [
        "fusion_bridge.adapters aws",
        "fusion_bridge.adapters bigip",
        "fusion_bridge.adapters fortigate",
        "fusion_bridge.adapters memory",
        "fusion_bridge.adapters nftables",
        "fusion_bridge.lab_devices aws",
        "fusion_bridge.lab_devices bigip",
        "fusion_bridge.lab_devices fortigate",
        "aws",
        "bigip",
        "fortigate",
        "memory",
        "nftables",
    ]


def test_image_runs_only_the_script_tested_here() -> None:
    runs = re.findall(r"^RUN (.*)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert runs == [".ci/install /opt/fusion-bridge"]


@needs_containers
def test_starts_as_the_user_of_the_image_on_a_read_only_root(installation: Installation, tmp_path: Path) -> None:
    image = (ROOT / "Dockerfile").read_text()
    user, group = (int(number) for number in re.findall(r"^USER (\d+):(\d+)$", image, re.MULTILINE)[-1])
    assert user > 0
    command = [*json.loads(image.rpartition("ENTRYPOINT ")[2].splitlines()[0]), "version"]
    place = Mount(installation.prefix, str(installation.prefix))
    container = Container(tmp_path, command, {"PATH": f"{installation.prefix}/bin"}, [place], user, group)
    container.start()
    assert (container.wait(), container.log.strip()) == (0, f"fusion-bridge {bridge.__version__}")


@pytest.mark.parametrize("package", ["pytest", "trustme", "moto", "playwright", "pip"])
def test_holds_no_more_than_the_product_needs(installation: Installation, package: str) -> None:
    found = installation.python(f"import importlib.util; print(importlib.util.find_spec({package!r}))")
    assert found == "None"


def test_holds_what_the_api_needs(installation: Installation) -> None:
    assert (
        installation.python("import bridge.api.application, bridge.api.authentication.oidc; print('there')") == "there"
    )
