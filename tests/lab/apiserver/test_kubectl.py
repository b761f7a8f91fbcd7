"""The server as kubectl sees it; skipped where the control plane's binaries were not built."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bridge.lab.apiserver import ApiServer, LabCluster

Kubectl = Callable[..., str]
BUILD = Path(__file__).parents[2] / "control_plane" / "build" / "build.sh"
MANIFEST = """
apiVersion: v1
kind: Service
metadata: {name: web, namespace: default}
spec: {selector: {app: web}, ports: [{port: PORT, name: http}]}
---
apiVersion: fusionbridge.io/v1alpha1
kind: ExternalService
metadata: {name: pay, namespace: default}
spec: {addresses: [203.0.113.7], ports: PORT}
"""


@pytest.fixture
def kubectl() -> Iterator[Kubectl]:
    folder = subprocess.run([str(BUILD), "--where"], capture_output=True, text=True, check=False).stdout.strip()
    program = Path(folder) / "kubectl"
    if not folder or not program.exists():
        pytest.skip("kubectl is not built: make control-plane")
    with ApiServer(LabCluster(), tls=True) as server:

        def run(*arguments: str, given: str = "") -> str:
            command = [str(program), "--kubeconfig", str(server.kubeconfig), *arguments]
            done = subprocess.run(command, input=given, capture_output=True, text=True, timeout=30, check=False)
            return done.stdout + done.stderr

        yield run


def test_kubectl_gets_applies_describes_and_deletes(kubectl: Kubectl) -> None:
    assert "kube-system" in kubectl("get", "namespaces")
    apply = ("apply", "--validate=false", "-f", "-")
    assert "service/web created" in kubectl(*apply, given=MANIFEST.replace("PORT", "80"))
    changed = kubectl(*apply, given=MANIFEST.replace("PORT", "81"))
    assert "externalservice.fusionbridge.io/pay configured" in changed
    assert "unchanged" in kubectl(*apply, given=MANIFEST.replace("PORT", "81"))
    assert kubectl("get", "service", "web", "-o", "jsonpath={.spec.ports[*].port}") == "81"
    assert "81/TCP" in kubectl("describe", "service", "web")
    assert "labeled" in kubectl("label", "service", "web", "team=shop")
    assert kubectl("get", "services", "-l", "team=shop", "-o", "name").strip() == "service/web"
    server_side = kubectl("apply", "--server-side", "--validate=false", "-f", "-", given=MANIFEST.replace("PORT", "82"))
    assert 'conflict with "kubectl-client-side-apply"' in server_side
    assert "deleted" in kubectl("delete", "externalservice", "pay")
    assert "NotFound" in kubectl("get", "externalservices", "pay")
