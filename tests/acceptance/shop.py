"""Online Boutique on the real control plane, with one rule: paymentservice alone reaches its payment provider."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from bridge.lab.devices.bigip import Bigip
from tests.acceptance.site import CLUSTER, OWNER, Bridge, eventually, members, ours
from tests.control_plane.plane import ControlPlane

MANIFESTS = Path(__file__).resolve().parents[3] / "shared" / "real-input" / "online-boutique.yaml"
PROVIDER, ELSEWHERE = "192.0.2.10", "198.51.100.99"
API = "fusionbridge.io/v1alpha1"


def external_service(
    name: str = "provider", addresses: tuple[str, ...] = ("192.0.2.0/28",), port: int = 443
) -> dict[str, Any]:
    """A destination."""
    spec = {"addresses": list(addresses), "ports": [{"protocol": "TCP", "port": port}]}
    return {"apiVersion": API, "kind": "ExternalService", "metadata": {"name": name}, "spec": spec}


def rule(service: str = "paymentservice", to: str = "provider", action: str = "Allow") -> dict[str, Any]:
    """A rule of the service tier."""
    spec = {"service": service, "action": action, "to": [{"name": to}]}
    return {"apiVersion": API, "kind": "ServiceEgressRule", "metadata": {"name": f"{service}-{to}"}, "spec": spec}


@dataclass
class Shop:
    """One namespace with the boutique in it, a device, and the bridge between them."""

    plane: ControlPlane
    namespace: str
    device: Bigip
    bridge: Bridge
    port: int = 443
    provider: str = PROVIDER

    def load(self) -> None:
        """Apply the boutique, without its images' resource requests that no node here could meet."""
        documents = [one for one in yaml.safe_load_all(MANIFESTS.read_text()) if one]
        self.plane.apply(*documents, namespace=self.namespace)

    def apply(self, *objects: Mapping[str, Any]) -> None:
        """Apply objects in the namespace."""
        self.plane.apply(*[dict(one) for one in objects], namespace=self.namespace)

    def kubectl(self, *words: str) -> str:
        """kubectl in the namespace."""
        return self.plane.kubectl("-n", self.namespace, *words)

    def pods(self, **labels: str) -> set[str]:
        """The addresses that live pods with these labels hold, as the cluster says now."""
        found = set()
        for pod in self.plane.api.items(f"/api/v1/namespaces/{self.namespace}/pods"):
            alive = pod["status"].get("phase") not in ("Succeeded", "Failed")
            if alive and labels.items() <= pod["metadata"].get("labels", {}).items():
                found |= {one["ip"] for one in pod["status"].get("podIPs", ())}
        return found

    def group(self, service: str) -> frozenset[str]:
        """The members of a Service's group on the device."""
        return members(self.device, f"{OWNER}_{CLUSTER}_service_{self.namespace}_{service}")

    def allowed(self, address: str, destination: str | None = None) -> bool:
        """What the device decides for a packet to the provider."""
        decision = self.device.decide(
            address,
            destination or self.provider,
            protocol="tcp",
            port=self.port,
            virtual="/Common/egress",
        )
        return bool(decision.allowed)

    def in_step(self, service: str = "paymentservice", **labels: str) -> bool:
        """Whether exactly the pods behind the Service may reach the provider, and nobody anything else."""
        may = self.pods(**(labels or {"app": service}))
        everyone = self.pods()
        return all(self.allowed(one) == (one in may) for one in everyone) and not any(
            self.allowed(one, ELSEWHERE) for one in everyone
        )

    def await_step(self, what: str, service: str = "paymentservice", seconds: float = 60.0, **labels: str) -> None:
        """Until the device is in step, and it is so once more after a look at the group."""
        eventually(what, lambda: self.in_step(service, **labels), seconds)

    def await_scaled(self, deployment: str, replicas: int) -> None:
        """Until so many pods of a Deployment have addresses and no other is left."""
        eventually(f"{replicas} pods of {deployment}", lambda: len(self.pods(app=deployment)) == replicas, 60)

    def nothing_left(self) -> bool:
        """Whether nothing on the device speaks of the namespace."""
        return not any(self.namespace in name for name in ours(self.device))
