"""What the API server does to an object between the request and the store: identity, defaults, what a write may touch."""

import hashlib
import re
import secrets
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from bridge.lab.apiserver import schema
from bridge.lab.apiserver.kinds import Json, Kind, Manifest
from bridge.lab.apiserver.refusal import bad_request, conflict, invalid

_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_SUFFIX: Final = "bcdfghjklmnpqrstvwxz2456789"
# What a write never changes, whatever the request says.
_FIXED: Final = (
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "namespace",
    "name",
    "generation",
)


def now() -> str:
    """The time as Kubernetes writes it: UTC, whole seconds."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def new_uid() -> str:
    """A random version 4 UUID."""
    return str(UUID(bytes=secrets.token_bytes(16), version=4))


def prepared(kind: Kind, obj: Manifest, namespace: str | None) -> Manifest:
    """A new object with its identity and defaults. Raises Refusal 400 or 422."""
    _check_type(kind, obj)
    given = obj.get("metadata") or {}
    name = given.get("name") or ""
    if not name and (prefix := given.get("generateName")):
        name = prefix + "".join(secrets.choice(_SUFFIX) for _ in range(5))
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise invalid(kind.name, str(name), {"metadata.name": "a lowercase RFC 1123 subdomain is needed"})
    metadata: Manifest = {"name": name}
    if kind.namespaced:
        if not (home := namespace or given.get("namespace")):
            raise bad_request(f"{kind.name} are namespaced: a namespace is needed")
        if given.get("namespace", home) != home:
            raise bad_request(
                f"the namespace of the object ({given['namespace']}) does not match that of the request ({home})"
            )
        metadata["namespace"] = home
    metadata |= {"uid": new_uid(), "creationTimestamp": now()}
    if kind.generation:
        metadata["generation"] = 1
    ignored = (
        "name",
        "namespace",
        "resourceVersion",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "generation",
        "selfLink",
    )
    metadata |= {key: value for key, value in given.items() if key not in ignored and value is not None}
    return _completed(kind, {**obj, "metadata": metadata})


def settled(kind: Kind, old: Manifest, new: Manifest, subresource: str) -> Manifest:
    """The object that results from a write of `new` over `old`: only what that write may touch differs.

    Raises Refusal 409 for a stale resourceVersion or another uid, 400 for another name.
    """
    _check_type(kind, new)
    before, after = old["metadata"], dict(new.get("metadata") or {})
    _check_identity(kind, before, after)
    if subresource == "status":
        kept = before | ({"managedFields": after["managedFields"]} if "managedFields" in after else {})
        result = old | {"metadata": kept, "status": new.get("status", {})}
        return _completed(kind, result)
    for name in _FIXED:
        after.pop(name, None)
        if name in before:
            after[name] = before[name]
    result = {**new, "metadata": after}
    if kind.status:
        result.pop("status", None)
        result |= {"status": old["status"]} if "status" in old else {}
    result = _completed(kind, result)
    if kind.generation and _spec(result) != _spec(old):
        after["generation"] = before.get("generation", 0) + 1
    return result


def applied(obj: Manifest, name: str, subresource: str, *, has_status: bool) -> Manifest:
    """The part of an applied configuration that the path lets through."""
    metadata = {**(obj.get("metadata") or {}), "name": name}
    metadata.pop("managedFields", None)
    if subresource == "status":
        kept = {
            field: metadata[field] for field in ("name", "namespace", "uid", "resourceVersion") if field in metadata
        }
        return {**{field: obj[field] for field in ("apiVersion", "kind", "status") if field in obj}, "metadata": kept}
    return {
        **{field: value for field, value in obj.items() if not (has_status and field == "status")},
        "metadata": metadata,
    }


def _spec(obj: Manifest) -> Manifest:
    return {name: value for name, value in obj.items() if name not in ("kind", "apiVersion", "metadata", "status")}


def _check_type(kind: Kind, obj: Json) -> None:
    if not isinstance(obj, dict) or not isinstance(obj.get("metadata") or {}, dict):
        raise bad_request("the body is not an object")
    if obj.get("kind", kind.kind) != kind.kind:
        raise bad_request(f"{obj['kind']} in a request for {kind.name}")
    if obj.get("apiVersion", "") not in ("", *map(kind.api_version, kind.served)):
        raise bad_request(f"the API version in the data ({obj['apiVersion']}) does not match that of the request")


def _check_identity(kind: Kind, before: Manifest, after: Manifest) -> None:
    name = before["name"]
    if after.get("name", name) != name:
        raise bad_request(f"the name of the object ({after['name']}) does not match the name on the URL ({name})")
    if after.get("uid") not in (None, "", before["uid"]):
        raise conflict(kind.name, name, "Precondition failed: UID differs")
    if after.get("resourceVersion") not in (None, "", before["resourceVersion"]):
        raise conflict(
            kind.name,
            name,
            "the object has been modified; please apply your changes to the latest version and try again",
        )


def _completed(kind: Kind, obj: Manifest) -> Manifest:
    if kind.schema is not None:
        obj = schema.with_defaults(obj, kind.schema)
        if wrong := dict(schema.problems(obj, kind.schema)):
            raise invalid(kind.name, obj["metadata"]["name"], wrong)
    elif (complete := _DEFAULTS.get(kind.name)) is not None:
        obj = complete(obj)
    return obj


def _namespace(obj: Manifest) -> Manifest:
    metadata = obj["metadata"]
    labels = {**(metadata.get("labels") or {}), "kubernetes.io/metadata.name": metadata["name"]}
    return {
        "spec": {"finalizers": ["kubernetes"]},
        "status": {"phase": "Active"},
        **obj,
        "metadata": metadata | {"labels": labels},
    }


def _pod(obj: Manifest) -> Manifest:
    spec = {
        "restartPolicy": "Always",
        "serviceAccountName": "default",
        "schedulerName": "default-scheduler",
        **(obj.get("spec") or {}),
    }
    return {**obj, "spec": spec, "status": obj.get("status") or {"phase": "Pending"}}


def _service(obj: Manifest) -> Manifest:
    spec = {"type": "ClusterIP", "sessionAffinity": "None", **(obj.get("spec") or {})}
    if "ports" in spec:
        spec["ports"] = [{"protocol": "TCP", "targetPort": port.get("port"), **port} for port in spec["ports"] or ()]
    if spec["type"] != "ExternalName":
        spec.setdefault("clusterIP", _cluster_ip(obj["metadata"]["uid"]))
        spec.setdefault("clusterIPs", [spec["clusterIP"]])
    return {**obj, "spec": spec, "status": obj.get("status") or {"loadBalancer": {}}}


def _cluster_ip(uid: str) -> str:
    """An address of 10.96.0.0/12 from the uid: two services may get the same one, which nothing here minds."""
    number = int.from_bytes(hashlib.sha256(uid.encode()).digest()[:3])
    return f"10.{96 + (number >> 16) % 16}.{number >> 8 & 255}.{number & 255}"


def _definition(obj: Manifest) -> Manifest:
    conditions = [
        {
            "type": name,
            "status": "True",
            "reason": reason,
            "message": "",
            "lastTransitionTime": obj["metadata"]["creationTimestamp"],
        }
        for name, reason in (("NamesAccepted", "NoConflicts"), ("Established", "InitialNamesAccepted"))
    ]
    spec = obj["spec"]
    stored = [version["name"] for version in spec["versions"] if version.get("storage")]
    return {**obj, "status": {"conditions": conditions, "acceptedNames": spec["names"], "storedVersions": stored}}


_DEFAULTS: Final = {
    "namespaces": _namespace,
    "pods": _pod,
    "services": _service,
    "customresourcedefinitions.apiextensions.k8s.io": _definition,
}
