"""A service account on the control plane that may do just what it is given."""

import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from bridge.cluster.client import Connection
from bridge.cluster.rights import Right, bindings, roles
from bridge.cluster.settings import ClusterConfig
from tests.control_plane.api import Api, Json, eventually
from tests.control_plane.plane import ControlPlane

_RBAC = "/apis/rbac.authorization.k8s.io/v1"
_REVIEW = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """A service account that is there, and the rights that it has been given."""

    plane: ControlPlane
    namespace: str
    name: str

    @classmethod
    def make(cls, plane: ControlPlane, namespace: str, name: str, granted: Iterable[Right]) -> "ServiceAccount":
        """A new one with these rights, once they count."""
        plane.api.post(f"/api/v1/namespaces/{namespace}/serviceaccounts", {"metadata": {"name": name}})
        made, given = cls(plane, namespace, name), list(granted)
        for item in (*roles(f"{namespace}-{name}", given), *bindings(f"{namespace}-{name}", given, name, namespace)):
            plane.api.post(collection(item), item)
        made.await_roles(given)
        return made

    def await_roles(self, granted: Iterable[Right]) -> None:
        """The API server learns of roles by a watch of its own; of each it knows all or nothing."""
        api = Api(self.plane.url, self.token(), ssl.create_default_context(cafile=str(self.plane.ca)))
        try:
            for right in {right.namespace: right for right in granted}.values():
                eventually(f"may {right}", partial(_may, api, right))
        finally:
            api.close()

    def token(self) -> str:
        """A token of its own, as a kubelet asks for one."""
        path = f"/api/v1/namespaces/{self.namespace}/serviceaccounts/{self.name}/token"
        answer = self.plane.api.post(path, {"spec": {"expirationSeconds": 3600}})
        return str(answer["status"]["token"])

    def connection(self, folder: Path) -> Connection:
        """The product's own, as this account."""
        config: dict[str, Any] = yaml.safe_load(self.plane.kubeconfig.read_text())
        config["users"][0]["user"] = {"token": self.token()}
        path = folder / f"{self.name}.kubeconfig"
        path.write_text(yaml.safe_dump(config))
        return Connection(ClusterConfig("east", kubeconfig=path))


def collection(item: Json) -> str:
    """Where roles and bindings are."""
    space = item["metadata"].get("namespace")
    return f"{_RBAC}{f'/namespaces/{space}' if space else ''}/{item['kind'].lower()}s"


def _may(api: Api, right: Right) -> bool:
    attributes = {
        "verb": right.verb,
        "group": right.group,
        "resource": right.asked.partition("/")[0],
        "subresource": right.subresource,
        "namespace": right.namespace,
        "name": right.names[0] if right.names else "",
    }
    answer = api.post(_REVIEW, {"spec": {"resourceAttributes": attributes}})
    return bool(answer["status"]["allowed"])
