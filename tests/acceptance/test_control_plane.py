"""The real control plane for tests: what it is made of, how it is found, and the node stand-in that lends it nodes."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.acceptance.world import run
from tests.control_plane.api import Json, eventually
from tests.control_plane.binaries import PROGRAMS, BinariesMissing, built_folder, find
from tests.control_plane.node import NodeStandIn
from tests.control_plane.plane import ControlPlane

ROOT = Path(__file__).parents[2]
BUILD = ROOT / "tests" / "control_plane" / "build"


@pytest.mark.acceptance(
    "control plane: kube-apiserver, kube-controller-manager, kubectl and etcd 3.6, current, found by KUBEBUILDER_ASSETS"
)
def test_programs() -> None:
    try:
        found = find()
    except BinariesMissing as missing:
        pytest.skip(str(missing))
    assert set(PROGRAMS) == {"etcd", "kube-apiserver", "kube-controller-manager", "kubectl"}
    versions = {
        name: run(found[name], "--version").stdout for name in ("etcd", "kube-apiserver", "kube-controller-manager")
    }
    assert "etcd Version: 3.6." in versions["etcd"]
    kubernetes = {re.search(r"v1\.(\d+)\.", versions[name]) for name in ("kube-apiserver", "kube-controller-manager")}
    minors = {int(match[1]) for match in kubernetes if match}
    assert len(minors) == 1
    assert min(minors) >= 34
    assert run(found["kubectl"], "version", "--client").returncode == 0


@pytest.mark.acceptance(
    "control plane: built by `make control-plane` from a small pinned module under tests/, cached outside the tree"
)
def test_build() -> None:
    made = run("make", "-n", "control-plane", cwd=ROOT)
    assert "tests/control_plane/build/build.sh" in made.stdout
    pinned = list(BUILD.rglob("go.mod"))
    assert pinned
    assert all((path.parent / "go.sum").exists() for path in pinned)
    assert any(re.search(r"k8s\.io/kubernetes v1\.\d+\.\d+", path.read_text()) for path in pinned)
    assert not built_folder().is_relative_to(ROOT)


@pytest.mark.acceptance(
    "control plane: without the programs the tests say what is missing and skip; with CI=true they must be there"
)
def test_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path))
    with pytest.raises(BinariesMissing, match="make control-plane"):
        find()
    words = [
        "-q",
        "-rs",
        "-p",
        "no:cacheprovider",
        str(ROOT / "tests/control_plane/test_plane.py"),
        "-k",
        "both_families",
    ]
    python = ROOT / ".venv" / "bin" / "python"
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "KUBEBUILDER_ASSETS": str(tmp_path)}
    skipped = run(python, "-m", "pytest", *words, env=environment, cwd=ROOT)
    assert "make control-plane" in skipped.stdout
    assert "1 skipped" in skipped.stdout
    failed = run(python, "-m", "pytest", *words, env=environment | {"CI": "true"}, cwd=ROOT)
    assert failed.returncode == 1


@pytest.mark.acceptance(
    "node stand-in: binds pods, gives addresses of a small range and released ones again, computes Ready from gates, ends terminating pods"
)
def test_node(control_plane: ControlPlane, node: NodeStandIn, new_namespace: Callable[..., str]) -> None:
    path = f"/api/v1/namespaces/{new_namespace()}/pods"
    gate = "example.com/open"
    container = {"name": "c", "image": "registry.example/c"}
    spec = {"containers": [container], "readinessGates": [{"conditionType": gate}], "terminationGracePeriodSeconds": 1}

    def pod(name: str) -> Json:
        return control_plane.api.find(f"{path}/{name}") or {}

    def ready(name: str) -> str:
        found = {one["type"]: one["status"] for one in pod(name).get("status", {}).get("conditions", ())}
        return str(found.get("Ready", ""))

    control_plane.api.post(path, {"metadata": {"name": "one"}, "spec": spec})
    eventually("bound, running, with an address", lambda: pod("one").get("status", {}).get("podIP"))
    address = pod("one")["status"]["podIP"]
    assert address.startswith("10.244.0.")
    assert pod("one")["spec"]["nodeName"]
    eventually("not ready before its gate", lambda: ready("one") == "False")
    control_plane.api.patch(f"{path}/one/status", {"status": {"conditions": [{"type": gate, "status": "True"}]}})
    eventually("ready behind its gate", lambda: ready("one") == "True")
    control_plane.api.delete(f"{path}/one")
    eventually("ended", lambda: not pod("one"))
    control_plane.api.post(path, {"metadata": {"name": "two"}, "spec": spec})
    eventually("the released address again", lambda: pod("two").get("status", {}).get("podIP") == address)
