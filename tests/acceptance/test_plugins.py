"""Adapters that others write: built, installed and run where only they and the bridge are; and what `devices` says of any."""

import contextlib
import json
import re
import shutil
import signal
import ssl
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import httpx
import pytest

from bridge.cli.adapters import InstalledAdapters
from bridge.lab.devices.bigip import Bigip
from tests.acceptance.site import CLUSTER, OWNER, Bridge, ClusterEntry, eventually
from tests.acceptance.world import World, cluster, run, world
from tests.packaging.conftest import ROOT, bare_environment, build

EXAMPLE = ROOT / "docs" / "examples" / "palisade"
PAGE = ROOT / "docs" / "adding-an-adapter.md"
_MADE = shutil.ignore_patterns(".venv", ".git", ".*_cache", ".hypothesis", "build", "dist", "__pycache__")


@dataclass(frozen=True, slots=True)
class Place:
    """A fresh environment with the bridge and a package of somebody else's in it, and a folder far from the checkout."""

    prefix: Path
    folder: Path

    def program(self, name: str) -> Path:
        return self.prefix / "bin" / name

    def run(self, name: str, *words: str | Path, **more: Any) -> subprocess.CompletedProcess[str]:  # noqa: ANN401
        environment = bare_environment() | {"HOME": str(self.folder)}
        return run(self.program(name), *words, cwd=self.folder, env=environment, **more)

    @contextlib.contextmanager
    def lab(self, *words: str) -> Iterator[Mapping[str, str]]:
        """A party of the lab as a process of its own."""
        line = [str(self.program("fusion-bridge")), "lab", *words]
        with subprocess.Popen(
            line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=bare_environment(), cwd=self.folder, text=True
        ) as process:
            try:
                assert process.stdout is not None
                found: Mapping[str, str] = json.loads(process.stdout.readline())
                yield found
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait(30)


@dataclass(frozen=True, slots=True)
class Simulated:
    """A simulated device in another process."""

    url: str
    username: str
    password: str
    ca: str

    def held(self) -> Mapping[str, Any]:
        """Everything that it holds, as it tells its own clients."""
        login = {"Authorization": f"Bearer {self.password}"}
        with httpx.Client(verify=ssl.create_default_context(cafile=self.ca)) as client:
            found: Mapping[str, Any] = client.get(f"{self.url}/config", headers=login).json()
        return found

    def settings(self, folder: Path) -> Mapping[str, Any]:
        """What stands in the bridge's settings about it."""
        (folder / "token").write_text(self.password)
        return {"kind": "palisade", "credentials": {"token": {"file": "token"}}, "attach": {"mode": "ifEmpty"}}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Both packages built from copies and installed without any index; their libraries are those of this environment."""
    folder = tmp_path_factory.mktemp("plugins")
    wheels = []
    for name, source in (("bridge", ROOT), ("example", EXAMPLE)):
        shutil.copytree(source, folder / name, ignore=_MADE)
        wheels.append(str(build(folder / name, "wheel", folder / f"dist-{name}")))
    prefix = folder / "prefix"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", prefix], check=True)
    words = ["--disable-pip-version-check", "--quiet", "--python", str(prefix / "bin" / "python")]
    subprocess.run([sys.executable, "-m", "pip", *words, "install", "--no-deps", "--no-index", *wheels], check=True)
    (packages,) = (prefix / "lib").glob("python*/site-packages")
    (packages / "libraries.pth").write_text(str(Path(pytest.__file__).parents[1]))
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    yield Place(prefix, elsewhere)
    shutil.rmtree(folder)


@contextlib.contextmanager
def palisade(place: Place) -> Iterator[Simulated]:
    with place.lab("device", "palisade") as found:
        yield Simulated(found["url"], found["username"], found["token"], found["ca"])


@pytest.fixture
def edge(place: Place) -> Iterator[Simulated]:
    with palisade(place) as device:
        yield device


def findings(told: Mapping[str, Any], of: str) -> Mapping[str, Mapping[str, str]]:
    (device,) = told["devices"]
    return {one["subject"]: one for one in device[of]}


@pytest.mark.acceptance(
    "devices: a third-party adapter is built, installed beside the bridge, and found with what it can and takes"
)
def test_a_package_of_others_is_built_installed_and_found(place: Place) -> None:
    assert "palisade" not in InstalledAdapters().kinds, "it is a part of this environment"
    told = json.loads(place.run("fusion-bridge", "devices", "--kinds", "--output", "json").stdout)
    kinds = {one["kind"]: one for one in told["kinds"]}
    ours = kinds["palisade"]
    assert set(kinds) == {*InstalledAdapters().kinds, "palisade"}
    assert (ours["package"], ours["simulator"], ours["problem"]) == ("fusion-bridge-palisade 0.1.0", True, "")
    assert (ours["capabilities"]["form"], ours["capabilities"]["atomic"], ours["limits"]["batch"]) == (
        "flat",
        True,
        1000,
    )


@pytest.mark.acceptance(
    "devices: that adapter passes the whole conformance suite on its own simulator, where it is installed"
)
def test_it_passes_the_suite(place: Place) -> None:
    shutil.copytree(EXAMPLE / "tests", place.folder / "tests", dirs_exist_ok=True)
    shutil.copy(EXAMPLE / "pyproject.toml", place.folder)
    said = place.run("python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "2", "tests")
    assert said.returncode == 0, said.stdout[-3000:]
    found = re.search(r"(\d+) passed, (\d+) skipped", said.stdout)
    assert found is not None
    assert int(found[1]) > 100, "not the whole suite"
    assert int(found[2]) == 5


@pytest.mark.acceptance(
    "devices: the bridge runs with that adapter: pods of a cluster reach its device, in force, and leave it"
)
def test_the_bridge_runs_with_it(place: Place, edge: Simulated, tmp_path: Path) -> None:
    with cluster() as made:
        made.team("shop", "10.244.1.1", "10.244.1.2")
        bridge = Bridge(
            tmp_path,
            {"edge": cast("Bigip", edge)},
            [ClusterEntry(CLUSTER, made.api.kubeconfig)],
            overrides={"edge": edge.settings(tmp_path)},
            program=place.program("fusion-bridge"),
        )
        with bridge:
            bridge.start()
            name = f"{OWNER}:group:{CLUSTER}/service/shop/web"
            wanted = ["10.244.1.1", "10.244.1.2"]
            eventually("its pods are there", lambda: _items(edge, name) == wanted, 60)
            bridge.await_in_step()
            assert set(edge.held()["places"]) == {"cluster", "namespace", "service"}
            made.delete_pod("shop", "web-0")
            eventually("who left is gone", lambda: _items(edge, name) == wanted[1:])
            bridge.await_in_step()
            assert bridge.cli("report")["inStep"] is True


def _items(device: Simulated, name: str) -> list[str]:
    found: list[str] = device.held()["records"].get(name, {}).get("body", {}).get("items", [])
    return found


@pytest.mark.acceptance(
    "devices: `devices` checks credentials and their breadth; `--canary` tries each claim on the box, unattached, and leaves nothing"
)
def test_a_device_of_others_is_looked_at_and_tried(place: Place, edge: Simulated, tmp_path: Path) -> None:
    devices, overrides = {"edge": cast("Bigip", edge)}, {"edge": edge.settings(tmp_path)}
    entry, program = ClusterEntry(CLUSTER, tmp_path / "nowhere"), place.program("fusion-bridge")
    with Bridge(tmp_path, devices, [entry], overrides=overrides, program=program) as bridge:
        told = bridge.cli("devices", "edge", "--canary")
    looked, tried = findings(told, "findings"), findings(told, "canary")
    assert {name: one["state"] for name, one in looked.items()} == {"device": "ok", "version": "ok", "rights": "ok"}
    assert {one["state"] for one in tried.values()} == {"ok"}, tried
    assert "dry_run, member_deltas, close_flows" in tried["not tried"]["message"], (
        "what is not declared is said not to be tried"
    )
    assert {
        "create",
        "atomic",
        "member change",
        "deny",
        "reject",
        "log",
        "ipv6",
        "unattached",
        "fenced off",
        "delete",
    } <= set(tried)
    held = edge.held()
    assert (held["records"], held["places"], set(held["owners"])) == ({}, {}, {f"{OWNER}c"})


@pytest.fixture
def site(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        yield made


@pytest.mark.acceptance(
    "devices: `devices` lists kinds, capabilities and limits, and says of a BIG-IP whose credentials are too broad or too narrow"
)
def test_the_breadth_of_credentials_is_told(site: World) -> None:
    written = len(site.device.writes())
    told = site.bridge.cli("devices")
    assert {one["kind"] for one in told["kinds"]} == set(InstalledAdapters().kinds)
    (device,) = told["devices"]
    assert device["capabilities"]["form"] == "tiered"
    assert device["limits"]["shard_members"] == 128
    assert findings(told, "findings")["rights"]["state"] == "warning"
    site.device.identity.role = "guest"
    narrow = site.bridge.cli("devices", codes=(1,))
    assert findings(narrow, "findings")["rights"]["state"] == "error"
    site.device.identity.role = "firewall-manager"
    assert findings(site.bridge.cli("devices"), "findings")["rights"]["state"] == "ok"
    assert len(site.device.writes()) == written


@pytest.mark.acceptance(
    "devices: docs/adding-an-adapter.md shows the code that runs, and every command that it names is one"
)
def test_the_page_shows_what_runs() -> None:
    page = PAGE.read_text()
    sources = {path.name: path.read_text() for path in EXAMPLE.rglob("*") if path.suffix in (".py", ".toml")}
    blocks = re.findall(r"```(?:python|toml)\n(.*?)```", page, re.DOTALL)
    assert len(blocks) > 5
    for block in blocks:
        for part in re.split(r"^\s*# …\n", block, flags=re.MULTILINE):
            assert any(part.strip("\n") in source for source in sources.values()), part
    assert all(name in page for name in sources if name != "__init__.py"), "a file of the example is not spoken of"
    helped = run(Path(sys.executable).with_name("fusion-bridge"), "--help").stdout
    commands = set(re.findall(r"^fusion-bridge (\w+)", page, re.MULTILINE))
    assert {"devices", "lab"} <= commands
    assert all(re.search(rf"^  {name} ", helped, re.MULTILINE) for name in commands)


@pytest.mark.acceptance("devices: the example of an adapter is typed strictly against the contract as it is now")
def test_the_example_is_typed(tmp_path: Path) -> None:
    environment = bare_environment() | {"MYPYPATH": str(EXAMPLE)}
    words = ["--strict", "--cache-dir", str(tmp_path), "-p", "palisade"]
    said = run(sys.executable, "-m", "mypy", *words, cwd=ROOT, env=environment)
    assert said.returncode == 0, said.stdout
