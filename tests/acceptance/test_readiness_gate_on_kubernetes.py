"""The readiness gate on a real kube-apiserver: kubelet's side, the webhook over HTTPS, an init container with its pod's own account."""

import base64
import contextlib
import os
import re
import shlex
import socket
import ssl
import subprocess
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trustme
import yaml

from bridge.model.gate import CONDITION, MEANINGS, GateReason
from bridge.resources import shipped
from tests.acceptance.documented import Document
from tests.acceptance.site import CLUSTER, PROGRAM, Bridge, ClusterEntry, bigip, eventually, stays
from tests.control_plane.api import MERGE, Json
from tests.control_plane.fixtures import remove_namespace
from tests.control_plane.node import NodeStandIn
from tests.control_plane.plane import ControlPlane
from tests.deployment.container import needs_containers
from tests.deployment.kubelet import Kubelet

pytestmark = pytest.mark.timeout(240)

API = "fusionbridge.io/v1alpha1"
ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "readiness-gate.md"
COMPONENT = "config/kubernetes/components/gate"
HOOKS = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
WRITES = "POST PATCH PUT DELETE"
TIMES = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


@dataclass
class Gated:
    """A namespace whose new pods are gated, a device and the bridge between them."""

    plane: ControlPlane
    bridge: Bridge
    namespace: str
    hook: str  # address:port
    files: Path

    @property
    def pods(self) -> str:
        """The collection."""
        return f"/api/v1/namespaces/{self.namespace}/pods"

    def pod(self, name: str) -> Json:
        """As it is; empty when it is not there."""
        return self.plane.api.find(f"{self.pods}/{name}") or {}

    def condition(self, name: str, which: str = CONDITION) -> Json:
        """One of its conditions; empty without one."""
        found: list[Json] = self.pod(name).get("status", {}).get("conditions", [])
        return next((one for one in found if one["type"] == which), {})

    def ready(self, name: str) -> bool:
        """Whether the pod counts as Ready."""
        return bool(self.condition(name, "Ready").get("status") == "True")

    def make(self, name: str, app: str = "web", **annotations: str) -> Json:
        """A pod as somebody writes one who knows nothing of gates."""
        metadata = {"name": name, "labels": {"app": app}, "annotations": annotations}
        return self.plane.api.post(
            self.pods, {"metadata": metadata, "spec": {"containers": [{"name": "c", "image": "i"}]}}
        )

    @contextlib.contextmanager
    def silent(self) -> Iterator[None]:
        """The device takes no write."""
        device = self.bridge.devices["edge"]
        device.faults.add("answer", times=None, method=WRITES, path="security/firewall", status=503)
        try:
            yield
        finally:
            device.faults.clear()


def certify(folder: Path, authority: trustme.CA) -> None:
    """A new certificate for the webhook, in place of the one before."""
    made = authority.issue_cert("127.0.0.1", "fusion-bridge-webhook.fusion-bridge.svc")
    made.private_key_pem.write_to_path(folder / "tls.key")
    made.cert_chain_pems[0].write_to_path(folder / "tls.crt")


def webhook(address: str, authority: trustme.CA) -> Json:
    """The configuration that is shipped, asking at an address in place of a Service."""
    (hook,) = yaml.safe_load_all((shipped(COMPONENT) / "mutating-webhook.yaml").read_text())
    (one,) = hook["webhooks"]
    bundle = base64.b64encode(authority.cert_pem.bytes()).decode()
    one["clientConfig"] = {"url": f"https://{address}/gate", "caBundle": bundle}
    found: Json = hook
    return found


@pytest.fixture(scope="module")
def gated(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gated]:
    """With the webhook as it is shipped, and a rule for pods `web` and `batch`."""
    control_plane.install_crds(shipped("config/crd"))
    folder, authority = tmp_path_factory.mktemp("bridge"), trustme.CA()
    certify(folder, authority)
    namespace = f"shop-{uuid.uuid4().hex[:6]}"
    entry = ClusterEntry(CLUSTER, control_plane.kubeconfig)
    with contextlib.ExitStack() as stack:
        stack.enter_context(NodeStandIn(control_plane.api))
        device = stack.enter_context(bigip(tls=False))
        bridge = stack.enter_context(Bridge(folder, {"edge": device}, [entry]))
        hook = {"listen": "127.0.0.1:0", "certFile": "tls.crt", "keyFile": "tls.key"}
        bridge.write_settings({"webhook": hook})
        bridge.start()
        eventually("the bridge runs", lambda: any(one["event"] == "running" for one in bridge.log()), 60)
        (address,) = [one["webhook"] for one in bridge.log() if one["event"] == "running"]
        stack.callback(remove_namespace, control_plane, namespace)
        labels = {"fusionbridge.io/egress": "governed", "fusionbridge.io/gate": "enabled"}
        control_plane.apply(
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": labels}}
        )
        account = f"/api/v1/namespaces/{namespace}/serviceaccounts/default"
        eventually("the service account", lambda: bool(control_plane.api.find(account)))
        _populate(control_plane, namespace)
        control_plane.apply(webhook(address, authority))
        stack.callback(control_plane.api.delete, f"{HOOKS}/fusion-bridge-gate")
        bridge.await_in_step(60)
        made = Gated(control_plane, bridge, namespace, address, folder)
        eventually("the API server asks", lambda: _asks(made))
        yield made
        assert bridge.running, bridge.log()[-5:]


def _populate(plane: ControlPlane, namespace: str) -> None:
    spec = {"addresses": ["192.0.2.0/28"], "ports": [{"protocol": "TCP", "port": 443}]}
    things = [{"apiVersion": API, "kind": "ExternalService", "metadata": {"name": "provider"}, "spec": spec}]
    for app in ("web", "batch"):
        selector = {"selector": {"app": app}, "ports": [{"port": 80}]}
        rule = {"service": app, "action": "Allow", "to": [{"name": "provider"}]}
        things += [
            {"apiVersion": "v1", "kind": "Service", "metadata": {"name": app}, "spec": selector},
            {"apiVersion": API, "kind": "ServiceEgressRule", "metadata": {"name": app}, "spec": rule},
        ]
    plane.apply(*things, namespace=namespace)


def _asks(gated: Gated) -> bool:
    """The API server learns of a webhook a moment after it was made."""
    made = gated.make(f"probe-{uuid.uuid4().hex[:6]}", "probe")
    gated.plane.api.delete(f"{gated.pods}/{made['metadata']['name']}", {"gracePeriodSeconds": 0})
    return bool(made["spec"].get("readinessGates"))


@pytest.mark.acceptance(
    "trust: readiness gate: the webhook adds it by namespace label, and the pod is Ready once the device holds it"
)
def test_webhook_and_kubelet(gated: Gated) -> None:
    with gated.silent():
        made = gated.make("web-1")
        assert made["spec"]["readinessGates"] == [{"conditionType": CONDITION}]
        eventually("containers are ready", lambda: gated.condition("web-1", "ContainersReady").get("status") == "True")
        eventually("why it waits is told", lambda: gated.condition("web-1").get("status") == "False")
        stays("not ready", lambda: not gated.ready("web-1"), 1)
    eventually("ready", lambda: gated.ready("web-1"))
    assert gated.condition("web-1")["reason"] == "Programmed"
    kubelet = {"PodScheduled", "ContainersReady", "Ready"}
    assert kubelet <= {one["type"] for one in gated.pod("web-1")["status"]["conditions"]}


@pytest.mark.acceptance(
    "trust: readiness gate: the webhook asks nobody about kube-system, and a gate of its own stays one"
)
def test_whom_the_webhook_leaves_alone(gated: Gated) -> None:
    (hook,) = webhook(gated.hook, trustme.CA())["webhooks"]
    assert hook["failurePolicy"] == "Ignore"
    assert hook["timeoutSeconds"] == 2
    (apart,) = hook["namespaceSelector"]["matchExpressions"]
    assert {"kube-system", "fusion-bridge"} <= set(apart["values"])
    containers = [{"name": "c", "image": "i"}]
    gates = [{"conditionType": "example.org/other"}, {"conditionType": CONDITION}]
    both = gated.plane.api.post(
        gated.pods, {"metadata": {"name": "both"}, "spec": {"containers": containers, "readinessGates": gates}}
    )
    assert both["spec"]["readinessGates"] == gates
    one = gated.plane.api.post(
        gated.pods, {"metadata": {"name": "one"}, "spec": {"containers": containers, "readinessGates": gates[:1]}}
    )
    assert one["spec"]["readinessGates"] == gates
    host = gated.plane.api.post(
        gated.pods, {"metadata": {"name": "host"}, "spec": {"containers": containers, "hostNetwork": True}}
    )
    assert "readinessGates" not in host["spec"]


@pytest.mark.acceptance("trust: readiness gate: a renewed certificate of the webhook needs no restart")
def test_certificate_is_renewed(gated: Gated) -> None:
    address, _, port = gated.hook.rpartition(":")
    authority = trustme.CA()
    certify(gated.files, authority)
    trust = ssl.create_default_context(cadata=authority.cert_pem.bytes().decode())
    with (
        socket.create_connection((address, int(port)), 5) as plain,
        trust.wrap_socket(plain, server_hostname="127.0.0.1") as secure,
    ):
        assert secure.version() in ("TLSv1.2", "TLSv1.3")
    gated.plane.apply(webhook(gated.hook, authority))
    eventually("the API server trusts it", lambda: _asks(gated))


@pytest.mark.acceptance(
    "trust: `fusion-bridge wait` in an init container needs nothing but the right to get its own pod"
)
@needs_containers
def test_init_container(gated: Gated, tmp_path: Path) -> None:
    example = Document(DOCUMENT).examples()["init-container"]
    documents = list(yaml.safe_load_all(example.removeprefix("```yaml\n").removesuffix("```\n")))
    with gated.silent():
        gated.plane.apply(*documents, namespace=gated.namespace)
        eventually("it has an address", lambda: bool(gated.pod("batch").get("status", {}).get("podIP")))
        waiting = Kubelet(gated.plane, tmp_path).container(gated.pod("batch"), "wait-for-firewalls", "127.0.0.1")
        waiting.start()
        eventually("why it waits is told", lambda: gated.condition("batch").get("status") == "False")
        stays("waiting", lambda: waiting.running, 2)
    assert waiting.wait(30) == 0, waiting.log
    assert "Programmed" in waiting.log
    assert gated.condition("batch")["status"] == "True"


def aligned(names: Mapping[str, str], table: str) -> str:
    """A table with other names and one time, in columns of their width."""
    for ours, theirs in names.items():
        table = table.replace(ours, theirs)
    rows = [re.split(r"\s{2,}", TIMES.sub("2026-03-01T12:00:00Z", line)) for line in table.splitlines() if line]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


@pytest.mark.acceptance("trust: docs/operations.md, break-glass: the commands that open gates are those that are tried")
def test_break_glass_in_operations() -> None:
    said = Document(DOCUMENT.with_name("operations.md")).examples()["open-gates"].splitlines()[1:-1]
    shown = Document(DOCUMENT).examples()
    assert said[0] in shown["gate-list"]
    words = said[1].replace("NAME", '"Ann Smith"').replace("TEXT", '"incident 4711"')
    assert words.removeprefix("fusion-bridge gate open ") in shown["gate-open"]


@pytest.mark.acceptance("trust: `fusion-bridge gate open` on a real API server, without settings, database or bridge")
def test_break_glass(gated: Gated, tmp_path: Path) -> None:
    document = Document(DOCUMENT, {gated.namespace: "shop", "web-9": "web-1"})
    environment = {**os.environ, "KUBECONFIG": str(gated.plane.kubeconfig)}

    def command(line: str) -> "subprocess.CompletedProcess[str]":
        program, *words = shlex.split(line)
        done = [str(PROGRAM.with_name(program)), *words]
        return subprocess.run(
            done, capture_output=True, text=True, check=False, cwd=tmp_path, timeout=60, env=environment
        )

    with gated.silent():
        gated.make("web-9")
        eventually("it waits", lambda: gated.condition("web-9").get("reason") == "Pending")
        listed = command("fusion-bridge gate list")
        assert listed.returncode == 1, listed.stderr
        document.check("gate-list", "fusion-bridge gate list", aligned(document.names, listed.stdout))
        line = f'fusion-bridge gate open --namespace {gated.namespace} --by "Ann Smith" --reason "incident 4711"'
        opened = command(line)
        assert opened.returncode == 0, opened.stderr
        document.check("gate-open", line, opened.stdout.rstrip("\n"))
        eventually("ready", lambda: gated.ready("web-9"))
        stays("open", lambda: gated.condition("web-9")["reason"] == "OpenedByHand", 6)
    gated.bridge.await_in_step()
    stays("open", lambda: gated.condition("web-9")["reason"] == "OpenedByHand", 2)
    events = gated.plane.api.items(f"/api/v1/namespaces/{gated.namespace}/events")
    (told,) = [one for one in events if one["reason"] == "OpenedByHand"]
    assert (told["type"], told["message"]) == (
        "Warning",
        f"Readiness gate {CONDITION} opened by Ann Smith: incident 4711",
    )


@pytest.mark.acceptance("trust: readiness gate: while no bridge answers, pods are created all the same")
def test_nobody_answers(gated: Gated) -> None:
    hook = gated.plane.api.get(f"{HOOKS}/fusion-bridge-gate")
    (one,) = hook["webhooks"]
    one["clientConfig"]["url"] = "https://127.0.0.1:1/gate"
    gated.plane.api.patch(f"{HOOKS}/fusion-bridge-gate", {"webhooks": [one]}, MERGE)

    def ungated() -> bool:
        made = gated.make(f"free-{uuid.uuid4().hex[:6]}", "free")
        return "readinessGates" not in made["spec"]

    eventually("a pod without a gate", ungated)


@pytest.mark.acceptance(
    "trust: readiness gate: config/kubernetes/components/gate gives the bridge its certificate and port"
)
def test_component(control_plane: ControlPlane, tmp_path: Path) -> None:
    for name in ("base", "components", "site"):
        (tmp_path / name).symlink_to(shipped("config/kubernetes") / name)
    (tmp_path.parent / "crd").symlink_to(shipped("config/crd"))
    whole = {"resources": ["../base"], "components": ["../components/gate"]}
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "kustomization.yaml").write_text(yaml.safe_dump(whole))
    made = list(yaml.safe_load_all(control_plane.kubectl("kustomize", str(tmp_path / "mine"))))
    (deployment,) = [one for one in made if one["kind"] == "Deployment"]
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    said = {one["name"]: one.get("value") for one in container["env"] if "WEBHOOK" in one["name"]}
    mount = next(one["mountPath"] for one in container["volumeMounts"] if one["name"] == "webhook")
    assert said == {
        "FUSION_BRIDGE_WEBHOOK__LISTEN": "$(POD_IP):9443",
        "FUSION_BRIDGE_WEBHOOK__CERT_FILE": f"{mount}/tls.crt",
        "FUSION_BRIDGE_WEBHOOK__KEY_FILE": f"{mount}/tls.key",
    }
    (service,) = [one for one in made if one["kind"] == "Service"]
    ports = {one["name"]: one["containerPort"] for one in container["ports"]}
    assert service["spec"]["ports"][0]["targetPort"] in ports
    (hook,) = [one for one in made if one["kind"] == "MutatingWebhookConfiguration"]
    asked = hook["webhooks"][0]["clientConfig"]["service"]
    assert (asked["name"], asked["namespace"]) == (service["metadata"]["name"], service["metadata"]["namespace"])


@pytest.mark.acceptance(
    "trust: readiness gate: docs/readiness-gate.md names every reason, and its settings are settings"
)
def test_documented() -> None:
    text = DOCUMENT.read_text()
    order = list(GateReason)
    last = order.index(GateReason.NEVER_GATED)
    for reason in order:
        state = "open" if order.index(reason) <= last else "shut"
        assert f"| {reason} | {state} | {MEANINGS[reason]} |\n" in text
    said: Any = yaml.safe_load(Document(DOCUMENT).examples()["webhook-settings"].strip("`\nyaml"))
    from bridge.settings.webhook import WebhookSettings

    assert WebhookSettings.model_validate(said["webhook"]).listen == "192.0.2.5:9443"
