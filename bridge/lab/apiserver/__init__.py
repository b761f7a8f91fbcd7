"""A simulated Kubernetes API server: `LabCluster` is the store and its verbs, `ApiServer` puts it on the wire.

What it is good for: everything a watching and writing client can tell (paged lists, watches, bookmarks, 410, resource
versions, conflicts, status subresources, server-side apply, finalizers, namespaces that take their contents along).
What it is not: no admission, no quota, no RBAC beyond one token, no protobuf, no tables, no OpenAPI, no controllers; custom
resources are checked by type, required, enum, pattern and bounds, not by CEL.
"""

from bridge.lab.apiserver.cluster import LabCluster, PatchType
from bridge.lab.apiserver.faults import Fault
from bridge.lab.apiserver.kinds import Kind, Manifest
from bridge.lab.apiserver.refusal import Refusal
from bridge.lab.apiserver.server import ApiServer

__all__ = ["ApiServer", "Fault", "Kind", "LabCluster", "Manifest", "PatchType", "Refusal"]
