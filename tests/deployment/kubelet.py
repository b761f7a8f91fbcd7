"""The part of a kubelet that turns a pod of the API server into what its containers find: their files and their environment."""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.control_plane.api import Json
from tests.control_plane.plane import ControlPlane
from tests.deployment.container import Container, Mount

_REFERENCE = re.compile(r"\$\((\w+)\)")


@dataclass(frozen=True, slots=True)
class Kubelet:
    """Makes containers of a pod. `address` is what the pod's own is said to be: one of this machine's."""

    plane: ControlPlane
    folder: Path

    def container(self, pod: Json, name: str, address: str) -> Container:
        """One of the pod's containers, not started yet."""
        spec = pod["spec"]
        one = next(one for one in (*spec["initContainers"], *spec["containers"]) if one["name"] == name)
        here = self.folder / pod["metadata"]["name"] / name
        volumes = {volume["name"]: self._volume(pod, volume, here / "volumes") for volume in spec["volumes"]}
        mounts = [
            Mount(volumes[mount["name"]], mount["mountPath"], writable=not mount.get("readOnly", False))
            for mount in one["volumeMounts"]
        ]
        wanted = spec["securityContext"] | one["securityContext"]
        assert wanted["readOnlyRootFilesystem"]
        command = [*one["command"], *one["args"]]
        uid, gid = wanted["runAsUser"], wanted["runAsGroup"]
        return Container(here, command, self._environment(pod, one, address), mounts, uid, gid)

    def _environment(self, pod: Json, container: Json, address: str) -> Mapping[str, str]:
        """The variables of every pod, and those stated, which may refer to the ones before them."""
        host, _, port = self.plane.url.removeprefix("https://").partition(":")
        found = {"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port}
        assert pod["spec"]["enableServiceLinks"] is False
        for variable in container["env"]:
            found[variable["name"]] = self._value(pod, variable, found, address)
        return found

    def _value(self, pod: Json, variable: Json, known: Mapping[str, str], address: str) -> str:
        if "value" in variable:
            return _REFERENCE.sub(lambda match: known[match[1]], variable["value"])
        source = variable["valueFrom"]
        if "fieldRef" in source:
            about = pod["metadata"]
            known = {
                "status.podIP": address,
                "metadata.name": about["name"],
                "metadata.namespace": about["namespace"],
            }
            return known[source["fieldRef"]["fieldPath"]]
        reference = source["secretKeyRef"]
        return self._secret(pod, reference["name"])[reference["key"]].decode()

    def _volume(self, pod: Json, volume: Json, folder: Path) -> Path:
        """A folder with what the volume holds, which whoever runs in the pod may read."""
        place = folder / str(volume["name"])
        place.mkdir(parents=True, exist_ok=True)
        if "emptyDir" in volume:
            place.chmod(0o777)
            return place
        for name, content in self._files(pod, volume).items():
            (place / name).write_bytes(content)
        return place

    def _files(self, pod: Json, volume: Json) -> Mapping[str, bytes]:
        if "projected" in volume:
            sources = volume["projected"]["sources"]
            return {name: content for source in sources for name, content in self._projected(pod, source).items()}
        if "secret" in volume:
            return self._secret(pod, volume["secret"]["secretName"])
        return self._config(pod, volume["configMap"]["name"])

    def _projected(self, pod: Json, source: Json) -> Mapping[str, bytes]:
        """One source of the volume that the API server adds to every pod."""
        space = pod["metadata"]["namespace"]
        if "serviceAccountToken" in source:
            account = pod["spec"]["serviceAccountName"]
            path = f"/api/v1/namespaces/{space}/serviceaccounts/{account}/token"
            said = self.plane.api.post(path, {"spec": {"expirationSeconds": 3600}})
            return {source["serviceAccountToken"]["path"]: said["status"]["token"].encode()}
        if "downwardAPI" in source:
            return {item["path"]: space.encode() for item in source["downwardAPI"]["items"]}
        # No controller of this control plane writes kube-root-ca.crt into namespaces.
        return {item["path"]: self.plane.ca.read_bytes() for item in source["configMap"]["items"]}

    def _secret(self, pod: Json, name: str) -> Mapping[str, bytes]:
        found = self.plane.api.get(f"/api/v1/namespaces/{pod['metadata']['namespace']}/secrets/{name}")
        return {key: base64.b64decode(value) for key, value in found["data"].items()}

    def _config(self, pod: Json, name: str) -> Mapping[str, bytes]:
        found = self.plane.api.get(f"/api/v1/namespaces/{pod['metadata']['namespace']}/configmaps/{name}")
        return {key: value.encode() for key, value in found["data"].items()}
