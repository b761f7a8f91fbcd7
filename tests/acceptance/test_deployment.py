"""Installed as the documentation says, on a real control plane, and run from what stands there then."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import yaml
from sqlalchemy import make_url

from bridge.cli.adapters import InstalledAdapters
from bridge.cli.rights import needed
from bridge.cluster.rights import rights
from bridge.lab.devices.bigip import Bigip
from bridge.model.observed import RESOURCES
from bridge.resources import shipped
from bridge.settings import load as load_settings
from tests.acceptance.documented import Document
from tests.acceptance.site import bigip, eventually, members, ours
from tests.control_plane import binaries
from tests.control_plane.api import Json
from tests.control_plane.fixtures import remove_namespace
from tests.control_plane.node import NodeStandIn
from tests.control_plane.plane import ControlPlane
from tests.deployment.container import Container, needs_containers
from tests.deployment.kubelet import Kubelet
from tests.deployment.tunnel import Tunnel

pytestmark = pytest.mark.timeout(240)
ROOT = Path(__file__).parents[2]
HOME = "fusion-bridge"
ROLE = f"/apis/rbac.authorization.k8s.io/v1/clusterroles/{HOME}"
OPERATIONS = Document(ROOT / "docs/operations.md")
URL = "postgresql://bridge:PASSWORD@db.example.com/fusion_bridge"


@dataclass(frozen=True, slots=True)
class Replica:
    """A pod of the Deployment and its running container; `address` is one of this machine's."""

    pod: Json
    container: Container
    address: str

    def ask(self, path: str) -> httpx.Response | None:
        """A page of its monitoring; None while it does not answer."""
        (port,) = self.pod["spec"]["containers"][0]["ports"]
        try:
            return httpx.get(f"http://{self.address}:{port['containerPort']}{path}", timeout=5, trust_env=False)
        except httpx.TransportError:
            return None

    def probe(self, kind: str) -> bool:
        """What a kubelet finds."""
        answer = self.ask(self.pod["spec"]["containers"][0][kind]["httpGet"]["path"])
        return answer is not None and answer.is_success

    def acts_for(self) -> set[str]:
        """The clusters and devices that it acts for."""
        answer = self.ask("/metrics")
        said = answer.text if answer else ""
        return set(re.findall(r'^fusion_bridge_tenure_held\{name="([^"]+)",role="[a-z]+"\} 1\.0$', said, re.MULTILINE))


@dataclass(frozen=True, slots=True)
class Installation:
    """What the documented commands made of the control plane, beside a device."""

    plane: ControlPlane
    device: Bigip
    kubelet: Kubelet
    pods: tuple[Json, ...]

    def replica(self, number: int) -> Replica:
        """The container of one pod, not started."""
        address = f"127.{os.getpid() % 250 + 1}.{os.getpid() // 250 % 250}.{number + 1}"
        return Replica(self.pods[number], self.kubelet.container(self.pods[number], HOME, address), address)


def documented(name: str, folder: Path, names: Mapping[str, str], environment: Mapping[str, str]) -> None:
    """Run an example of docs/operations.md, to the letter but for these names."""
    text = OPERATIONS.examples()[name].removeprefix("```sh\n").removesuffix("```\n")
    for theirs, our in names.items():
        assert theirs in text
        text = text.replace(theirs, our)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", text],
        cwd=folder,
        env=dict(environment),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, (text, done.stdout, done.stderr)


def environment(plane: ControlPlane) -> dict[str, str]:
    """Where the commands of the documentation are found, and whom kubectl speaks to."""
    path = f"{binaries.find().folder}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    return {"PATH": path, "HOME": str(plane.folder), "KUBECONFIG": str(plane.kubeconfig)}


def make_it_ours(site: Path, device: Bigip) -> None:
    """What a person sets in the copy of the site."""
    settings = yaml.safe_load((site / "bridge.yaml").read_text())
    settings["owner"] = "fbtest"
    settings["clusters"][0] |= {
        "podRanges": ["10.244.0.0/16"],
        "nodeRanges": ["172.18.0.0/16"],
        "dialects": ["native", "ces"],
    }
    settings["devices"][0] |= {"url": device.url, "mode": "apply"}
    (site / "bridge.yaml").write_text(yaml.safe_dump(settings))
    text = (site / "kustomization.yaml").read_text()
    text, components = re.subn(r"^  # (- \.\./components/(?:monitoring|ces)\b)", r"  \1", text, flags=re.MULTILINE)
    assert components == 2
    (site / "kustomization.yaml").write_text(text.replace("components: []", "components:"))


@pytest.fixture(scope="module")
def operator(control_plane: ControlPlane) -> Iterator[None]:
    """Stand-ins for the definitions that come with the Prometheus operator: they take anything."""
    definitions = [
        operator_kind("ServiceMonitor", "servicemonitors"),
        operator_kind("PrometheusRule", "prometheusrules"),
    ]
    control_plane.apply(*definitions)
    names = [f"crd/{one['metadata']['name']}" for one in definitions]
    control_plane.kubectl("wait", "--for=condition=Established", *names)
    yield
    control_plane.kubectl("delete", "--wait=false", *names)


def operator_kind(kind: str, plural: str) -> Json:
    """The definition of a kind of the Prometheus operator."""
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": anything}}
    group = "monitoring.coreos.com"
    names = {"kind": kind, "plural": plural, "singular": kind.lower()}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {"group": group, "scope": "Namespaced", "names": names, "versions": [version]},
    }


@pytest.fixture
def installation(
    control_plane: ControlPlane, operator: None, node: NodeStandIn, empty_url: str, tmp_path: Path
) -> Iterator[Installation]:
    """Installed by the commands of the documentation, with an empty database."""
    shutil.copytree(shipped("config"), tmp_path / "config")
    known = environment(control_plane)
    where = make_url(empty_url)
    socket = Path(str(where.query["host"])) / f".s.PGSQL.{where.query['port']}"
    with bigip() as device, Tunnel(socket) as tunnel:
        documented("copy", tmp_path, {}, known)
        make_it_ours(tmp_path / "config/kubernetes/mine", device)
        assert device.ca is not None
        for name, content in (
            ("username", device.username),
            ("password", device.password),
            ("ca", Path(device.ca).read_text()),
        ):
            (tmp_path / f"dc1-edge-{name}").write_text(content)
        url = f"postgresql://{where.username}@127.0.0.1:{tunnel.port}/{where.database}"
        try:
            documented("install", tmp_path, {URL: url}, known)
            pods = control_plane.api.items(f"/api/v1/namespaces/{HOME}/pods")
            yield Installation(control_plane, device, Kubelet(control_plane, tmp_path / "pods"), tuple(pods))
        finally:
            remove_namespace(control_plane, HOME)
            control_plane.kubectl("delete", "clusterrole,clusterrolebinding", "-l", f"app.kubernetes.io/name={HOME}")


@pytest.fixture
def workload(control_plane: ControlPlane, new_namespace: Callable[..., str]) -> str:
    """A governed namespace that asks for a group, with a Service that asks for one, its pod, a rule that is right and one that is not."""
    namespace = new_namespace(**{"fusionbridge.io/egress": "governed"})
    patch = {"metadata": {"annotations": {"fusionbridge.io/address-group": "everybody"}}}
    control_plane.api.patch(f"/api/v1/namespaces/{namespace}", patch)
    labels = {"app": "web"}
    containers = [{"name": "main", "image": "example.org/main:1"}]
    api = "fusionbridge.io/v1alpha1"
    rule = {"service": "web", "action": "Allow"}
    control_plane.apply(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "web", "labels": labels},
            "spec": {"containers": containers},
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "web", "annotations": {"fusionbridge.io/address-group": "partner"}},
            "spec": {"selector": labels, "ports": [{"port": 80}]},
        },
        {
            "apiVersion": api,
            "kind": "ExternalService",
            "metadata": {"name": "provider"},
            "spec": {"addresses": ["198.51.100.7"], "ports": [{"protocol": "TCP", "port": 443}]},
        },
        {
            "apiVersion": api,
            "kind": "ServiceEgressRule",
            "metadata": {"name": "right"},
            "spec": {**rule, "to": [{"name": "provider"}]},
        },
        {
            "apiVersion": api,
            "kind": "ServiceEgressRule",
            "metadata": {"name": "wrong"},
            "spec": {**rule, "to": [{"name": "nobody"}]},
        },
        namespace=namespace,
    )
    return namespace


@pytest.mark.acceptance("security: `config rights` gives a bridge outside the cluster what it needs there")
def test_rights_for_a_bridge_outside(control_plane: ControlPlane, fresh_namespace: str, tmp_path: Path) -> None:
    shutil.copy(shipped("config/kubernetes") / "site/bridge.yaml", tmp_path)
    names = {"CLUSTER": "east", "NAMESPACE/NAME": f"{fresh_namespace}/default"}
    try:
        documented("outside", tmp_path, names, environment(control_plane))
        allowed = control_plane.kubectl(
            "auth",
            "can-i",
            "--list",
            "--as",
            f"system:serviceaccount:{fresh_namespace}:default",
            "--namespace",
            "default",
        )
    finally:
        control_plane.kubectl("delete", f"clusterrole/{HOME}", f"clusterrolebinding/{HOME}")
    rows = {line.split()[0]: line.rpartition("[")[2].rstrip("]") for line in allowed.splitlines()}
    assert set(rows["pods"].split()) == {"list", "watch"}
    assert rows["serviceegressrules.fusionbridge.io/status"] == "patch"
    assert "secrets" not in rows


@needs_containers
@pytest.mark.acceptance(
    "deployment: config/kubernetes applied to the real control plane; a process run from it becomes ready, another stands by"
)
@pytest.mark.acceptance(
    "security: the role suffices for the running program; a right taken away is named in log and readiness"
)
def test_installed_as_documented(installation: Installation, workload: str) -> None:
    assert len(installation.pods) == 2
    refuses_more(installation)
    schema = installation.kubelet.container(installation.pods[0], "schema", "127.0.0.1")
    schema.start()
    assert schema.wait() == 0, schema.log
    first, second = installation.replica(0), installation.replica(1)
    try:
        without_pods(installation, first)
        began = len(first.container.log)
        first.container.start()
        eventually("the first is ready", lambda: first.probe("readinessProbe"))
        assert first.probe("livenessProbe")
        eventually("it acts for both", lambda: first.acts_for() == {"east", "dc1-edge"})
        second.container.start()
        eventually("the second is ready", lambda: second.probe("readinessProbe"))
        assert second.acts_for() == set()
        served(installation, workload)
        assert first.container.end() == 0, first.container.log
        eventually("the second takes over", lambda: second.acts_for() == {"east", "dc1-edge"})
        assert second.container.running
        assert " 403 " not in first.container.log[began:] + second.container.log
    finally:
        for one in (first, second):
            if one.container.running:
                one.container.end()


@pytest.mark.acceptance(
    "deployment: Dockerfile multi-stage and non-root, its RUN lines one script (tests/packaging runs it in a clean tree)"
)
def test_image() -> None:
    image = (ROOT / "Dockerfile").read_text()
    assert len(re.findall(r"^FROM ", image, re.MULTILINE)) == 2
    assert re.findall(r"^USER (.*)$", image, re.MULTILINE) == ["65534:65534"]
    (script,) = re.findall(r"^RUN (\S+) /opt/fusion-bridge$", image, re.MULTILINE)
    assert image.count("RUN ") == 1
    assert os.access(ROOT / script, os.X_OK)
    assert f'"{Path(script).parent}" / "{Path(script).name}"' in (ROOT / "tests/packaging/conftest.py").read_text()


@pytest.mark.acceptance(
    "security: the role in config/kubernetes is what the code uses, and docs/operations.md says the same"
)
def test_roles_as_documented() -> None:
    said: set[tuple[str, str]] = set()
    for line in OPERATIONS.examples()["rights"].splitlines()[2:]:
        verbs, objects, _ = (cell.strip() for cell in line.strip("|").split("|"))
        said |= {(verb, thing) for verb in verbs.split(", ") for thing in objects.split(", ")}
    role = yaml.safe_load((shipped("config/kubernetes") / "base/role.yaml").read_text())
    assert said == {
        (verb, documented_name(resource, rule))
        for rule in role["rules"]
        for verb in rule["verbs"]
        for resource in rule["resources"]
    }
    assert needed(
        load_settings(shipped("config/kubernetes") / "site/bridge.yaml", InstalledAdapters(), environ={})
    ) == rights(RESOURCES)


def documented_name(resource: str, rule: Json) -> str:
    """What the documentation calls a resource of a role."""
    ours = "fusionbridge.io" in rule["apiGroups"]
    if resource.endswith("/status"):
        return "the status of our kinds" if ours else f"the status of {resource.removesuffix('/status')}"
    named = ", ".join(rule.get("resourceNames", ()))
    return f"the namespace {named}" if named else "our kinds" if ours else resource


@pytest.mark.acceptance(
    "security: a bill of materials and a list of licences of the locked dependencies; requirements with hashes"
)
def test_bill_of_materials(tmp_path: Path) -> None:
    outer = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}  # the tests' own make
    words = ["make", "--no-print-directory", "-n", "sbom"]
    recipe = subprocess.run(words, cwd=ROOT, env=outer, capture_output=True, text=True, check=True).stdout
    assert recipe.splitlines()[-1] == ".venv/bin/python .ci/sbom.py build"
    subprocess.run([sys.executable, ROOT / ".ci/sbom.py", tmp_path], check=True, capture_output=True)
    bill = json.loads((tmp_path / "sbom.cdx.json").read_text())
    lock = (ROOT / "requirements/runtime.txt").read_text()
    assert all(f"{one['name']}=={one['version']} " in lock for one in bill["components"])
    assert len(bill["components"]) == len((tmp_path / "licences.txt").read_text().splitlines())
    pins = re.split(r"^(?=[a-z])", lock, flags=re.MULTILINE)[1:]
    assert all("--hash=sha256:" in pin for pin in pins)


def without_pods(installation: Installation, replica: Replica) -> None:
    """Run the replica with one verb taken away: it says which, and is not ready."""
    api = installation.plane.api
    granted = api.get(ROLE)["rules"]
    spoiled = [
        {**rule, "verbs": [verb for verb in rule["verbs"] if not ("pods" in rule["resources"] and verb == "list")]}
        for rule in granted
    ]
    api.patch(ROLE, {"rules": spoiled})
    replica.container.start()
    eventually("it is missed in the log", lambda: "east: list pods: 403" in replica.container.log)

    def said() -> bool:
        answer = replica.ask("/readyz")
        return answer is not None and answer.status_code == 503 and "of pods, nodes" in answer.text

    eventually("and on the page", said)
    assert replica.probe("livenessProbe")
    assert replica.container.end() == 0
    api.patch(ROLE, {"rules": granted})


def refuses_more(installation: Installation) -> None:
    """The namespace takes no pod that could do more than the bridge's."""
    own = installation.pods[0]["spec"]
    spec: Json = {
        "containers": [{"name": "it", "image": "it", "securityContext": own["containers"][0]["securityContext"]}]
    }
    spec |= {"securityContext": own["securityContext"], "hostNetwork": True}
    with pytest.raises(httpx.HTTPStatusError, match="violates PodSecurity"):
        installation.plane.api.post(f"/api/v1/namespaces/{HOME}/pods", {"metadata": {"name": "more"}, "spec": spec})


def served(installation: Installation, namespace: str) -> None:
    """The device holds the workload's groups, and everybody was told."""
    api, device = installation.plane.api, installation.device
    pod = api.get(f"/api/v1/namespaces/{namespace}/pods/web")["status"]["podIP"]

    def holds() -> bool:
        return any(members(device, name) == {pod} for name in ours(device) if namespace in name)

    eventually("the device holds the group", holds)
    path = f"/apis/fusionbridge.io/v1alpha1/namespaces/{namespace}/serviceegressrules"
    eventually("the rule has a status", lambda: bool(api.get(f"{path}/right").get("status", {}).get("conditions")))
    places = (f"/api/v1/namespaces/{namespace}", f"/api/v1/namespaces/{namespace}/services/web")

    def told() -> bool:
        return all("fusionbridge.io/status" in api.get(place)["metadata"]["annotations"] for place in places)

    eventually("namespace and Service are told", told)
    events = f"/api/v1/namespaces/{namespace}/events"
    eventually(
        "an Event tells of the wrong rule",
        lambda: "wrong" in {one["involvedObject"]["name"] for one in api.items(events)},
    )
