"""What a client asks before anything else: groups, versions, resources."""

from collections.abc import Sequence
from typing import Final

from bridge.lab.apiserver.kinds import Kind, Manifest
from bridge.lab.apiserver.refusal import no_such_path

VERSION: Final[Manifest] = {
    "major": "1",
    "minor": "36",
    "gitVersion": "v1.36.0+fusion-bridge-lab",
    "gitCommit": "",
    "gitTreeState": "clean",
    "buildDate": "2026-01-01T00:00:00Z",
    "goVersion": "",
    "compiler": "",
    "platform": "lab",
}
_VERBS: Final = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]


def document(parts: Sequence[str], kinds: Sequence[Kind]) -> Manifest:
    """The discovery document of a path such as `api`, `apis`, `apis/<group>`, `apis/<group>/<version>`. Raises Refusal 404."""
    match parts:
        case ["version"]:
            return VERSION
        case ["api"]:
            return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}
        case ["apis"]:
            groups = sorted({kind.group for kind in kinds if kind.group})
            return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group(group, kinds) for group in groups]}
        case ["apis", group] if any(kind.group == group for kind in kinds):
            return {"kind": "APIGroup", "apiVersion": "v1"} | _group(group, kinds)
        case ["api", version]:
            return _resources("", version, kinds)
        case ["apis", group, version]:
            return _resources(group, version, kinds)
    raise no_such_path()


def _group(group: str, kinds: Sequence[Kind]) -> Manifest:
    versions = sorted({version for kind in kinds if kind.group == group for version in kind.served})
    named = [{"groupVersion": f"{group}/{version}", "version": version} for version in versions]
    return {"name": group, "versions": named, "preferredVersion": named[0]}


def _resources(group: str, version: str, kinds: Sequence[Kind]) -> Manifest:
    served = [kind for kind in kinds if kind.group == group and version in kind.served]
    if not served:
        raise no_such_path()
    resources: list[Manifest] = []
    for kind in served:
        plain: Manifest = {
            "name": kind.plural,
            "singularName": kind.kind.lower(),
            "namespaced": kind.namespaced,
            "kind": kind.kind,
        }
        resources.append(plain | {"verbs": _VERBS, "shortNames": list(kind.short)})
        if kind.status:
            resources.append(
                plain | {"name": f"{kind.plural}/status", "singularName": "", "verbs": ["get", "patch", "update"]}
            )
    named = f"{group}/{version}" if group else version
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": named, "resources": resources}
