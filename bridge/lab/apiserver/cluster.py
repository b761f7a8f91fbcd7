"""The simulated cluster: one store with one resource version, and the verbs of the Kubernetes API on it, for use without HTTP."""

import threading
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

import msgspec
import yaml

from bridge.lab.apiserver import listing, ownership, patches, rules, schema, selectors
from bridge.lab.apiserver.kinds import BUILTIN, OURS, Json, Kind, Manifest, from_definition
from bridge.lab.apiserver.objects import Shelf, encode, with_revision
from bridge.lab.apiserver.ownership import Manager
from bridge.lab.apiserver.refusal import Refusal, already_exists, conflict, no_such_path, not_found
from bridge.lab.apiserver.shelves import Shelves
from bridge.resources import shipped

PatchType = Literal["merge", "json", "strategic"]
SYSTEM_UID: Final = "0f05fb1d-6e00-4bd5-9d1c-6b6d0e1ab001"
_DEFINITIONS: Final = "customresourcedefinitions.apiextensions.k8s.io"


class LabCluster:
    """A cluster's API without the wire; every method is thread-safe, and every refusal is a `Refusal`.

    `window` is the number of changes per resource that watches can go back. With `pod_grace` a deleted pod that has a node
    stays, terminating, until it is deleted with a grace of 0, as under a kubelet. `system_uid` is the uid of `kube-system`,
    the identity of the cluster. Resources are named as in `shelves`. Objects go in and out as dicts; those that come out are fresh copies.
    """

    def __init__(self, *, window: int = 65_536, pod_grace: bool = False, system_uid: str = SYSTEM_UID) -> None:
        self.lock = threading.RLock()
        self.revision = 1000
        self.listeners: list[Callable[[Shelf], None]] = []
        self.shelves = Shelves(self.lock, window)
        self._pod_grace = pod_grace
        self._ending: set[str] = set()
        for kind in (*BUILTIN, *OURS):
            self.shelves.serve(kind, self.revision)
        for name in ("default", "kube-node-lease", "kube-public", "kube-system"):
            uid = {"uid": system_uid} if name == "kube-system" else {}
            self.create("namespaces", {"metadata": {"name": name} | uid})

    # Resources

    def load_definitions(self) -> int:
        """Create or replace every CustomResourceDefinition of the shipped `config/crd`; returns how many, 0 when there are none."""
        try:
            folder = shipped("config/crd")
        except FileNotFoundError:
            return 0
        count = 0
        for path in sorted(folder.glob("*.yaml")):
            for obj in yaml.safe_load_all(path.read_text()):
                if isinstance(obj, dict) and obj.get("kind") == "CustomResourceDefinition":
                    self.put(obj)
                    count += 1
        return count

    # Reading

    def get(self, resource: str, namespace: str | None, name: str) -> Manifest:
        """One object. Raises Refusal 404."""
        shelf = self.shelves.named(resource)
        with self.lock:
            return self._read(shelf, namespace, name)

    def list(
        self, resource: str, namespace: str | None = None, *, labels: str = "", fields: str = ""
    ) -> tuple[Manifest, ...]:
        """All objects of a resource, or of one namespace, in storage order."""
        shelf = self.shelves.named(resource)
        selector = selectors.parse(labels, fields, shelf.kind.fields)
        found = self.page(shelf, listing.Request(namespace or "", selector))
        return tuple(_full(shelf.kind, body) for body in found.bodies)

    def page(self, shelf: Shelf, request: listing.Request) -> listing.Page:
        """One page of stored bodies, as the wire gives them."""
        with self.lock:
            return listing.page(shelf, request, self.revision)

    def _read(self, shelf: Shelf, namespace: str | None, name: str) -> Manifest:
        if (body := shelf.items.get(shelf.kind.key(namespace, name))) is None:
            raise not_found(shelf.kind.name, name)
        return _full(shelf.kind, body)

    # Writing

    def create(
        self,
        resource: str,
        obj: Manifest,
        *,
        namespace: str | None = None,
        manager: str = "",
        bare: bool = False,
        dry_run: bool = False,
    ) -> Manifest:
        """Create an object; its status is kept unless `bare`, which does what the API does to kinds with a status subresource.

        With a `manager`, managedFields are kept. Raises Refusal 400, 404 (namespace), 409 or 422.
        """
        shelf = self.shelves.named(resource)
        kind = shelf.kind
        if bare and kind.status:
            obj = {name: value for name, value in obj.items() if name != "status"}
        new = rules.prepared(kind, obj, namespace)
        if manager:
            who = Manager(manager, "Update")
            new = ownership.record({}, new, who, kind.lists, api_version=kind.api_version(), now=rules.now())
        return self._created(shelf, new, dry_run=dry_run)

    def put(self, obj: Manifest) -> Manifest:
        """Create an object by its apiVersion and kind, or replace what has its name: for fixtures and manifests."""
        shelf = self.shelves.of_manifest(obj.get("apiVersion", ""), obj.get("kind", ""))
        metadata = obj["metadata"]
        home = metadata.get("namespace", "default") if shelf.kind.namespaced else None
        with self.lock:
            if shelf.kind.key(home, metadata["name"]) not in shelf.items:
                return self.create(shelf.kind.name, obj, namespace=home)
            return self.replace(shelf.kind.name, home, metadata["name"], obj)

    def replace(
        self,
        resource: str,
        namespace: str | None,
        name: str,
        obj: Manifest,
        *,
        subresource: str = "",
        manager: str = "",
        dry_run: bool = False,
    ) -> Manifest:
        """PUT: the object as given, checked against a resourceVersion where it has one. Raises Refusal 400, 404, 409 or 422."""
        return self._updated(
            resource, namespace, name, lambda _: obj, subresource=subresource, manager=manager, dry_run=dry_run
        )

    def patch(
        self,
        resource: str,
        namespace: str | None,
        name: str,
        patch: Json,
        *,
        how: PatchType = "merge",
        subresource: str = "",
        manager: str = "",
        dry_run: bool = False,
    ) -> Manifest:
        """PATCH of the three older types; strategic merge is refused (415) for custom resources, as the real server does."""
        kind = self.shelves.named(resource).kind
        if how == "strategic" and not kind.builtin:
            raise Refusal(415, "UnsupportedMediaType", "strategic merge patch is not supported for custom resources")

        def edit(old: Manifest) -> Json:
            if how == "json":
                return patches.json_patch(old, patch)
            return patches.merge(old, patch) if how == "merge" else patches.strategic(old, patch, kind.lists)

        return self._updated(resource, namespace, name, edit, subresource=subresource, manager=manager, dry_run=dry_run)

    def apply(
        self,
        resource: str,
        namespace: str | None,
        name: str,
        obj: Manifest,
        *,
        manager: str,
        force: bool = False,
        subresource: str = "",
        dry_run: bool = False,
    ) -> Manifest:
        """Server-side apply, creating the object where it is absent. Raises Refusal 409 naming every field held by another manager."""
        shelf = self.shelves.named(resource)
        who = Manager(manager, "Apply", subresource)
        part = rules.applied(
            schema.with_keys(obj, shelf.kind.schema or {}), name, subresource, has_status=shelf.kind.status
        )

        def edit(old: Manifest) -> Manifest:
            return ownership.apply(
                old, part, who, shelf.kind.lists, now=rules.now(), force=force, resource=shelf.kind.name
            )

        with self.lock:
            if subresource or shelf.kind.key(namespace, name) in shelf.items:
                return self._updated(
                    resource, namespace, name, edit, subresource=subresource, manager="", dry_run=dry_run
                )
            return self._created(shelf, rules.prepared(shelf.kind, edit({}), namespace), dry_run=dry_run)

    def delete(
        self,
        resource: str,
        namespace: str | None,
        name: str,
        *,
        grace: int | None = None,
        uid: str = "",
        version: str = "",
        dry_run: bool = False,
    ) -> tuple[Manifest, bool]:
        """Delete; returns the object as last seen and whether it is gone (finalizers, grace and namespaces' contents keep it)."""
        shelf = self.shelves.named(resource)
        with self.lock:
            obj = self._read(shelf, namespace, name)
            metadata = obj["metadata"]
            if uid not in ("", metadata["uid"]) or version not in ("", metadata["resourceVersion"]):
                raise conflict(shelf.kind.name, name, "Precondition failed: UID or ResourceVersion differs")
            if dry_run:
                return obj, True
            if shelf.kind.name == "namespaces":
                return self._end_namespace(shelf, obj)
            return self._remove(shelf, obj, grace)

    def _created(self, shelf: Shelf, new: Manifest, *, dry_run: bool) -> Manifest:
        metadata = new["metadata"]
        home, name = metadata.get("namespace"), metadata["name"]
        key = shelf.kind.key(home, name)
        with self.lock:
            if home is not None:
                self._check_home(home, shelf.kind)
            if key in shelf.items:
                raise already_exists(shelf.kind.name, name)
            return new if dry_run else self._store(shelf, key, new)

    def _check_home(self, namespace: str, kind: Kind) -> None:
        if namespace not in self.shelves.named("namespaces").items:
            raise not_found("namespaces", namespace)
        if namespace in self._ending:
            cause = {
                "reason": "NamespaceTerminating",
                "field": "metadata.namespace",
                "message": f"{namespace} is being terminated",
            }
            message = (
                f"{kind.name}: unable to create new content in namespace {namespace} because it is being terminated"
            )
            raise Refusal(403, "Forbidden", message, details={"causes": [cause]})

    def _updated(
        self,
        resource: str,
        namespace: str | None,
        name: str,
        edit: Callable[[Manifest], Json],
        *,
        subresource: str,
        manager: str,
        dry_run: bool,
    ) -> Manifest:
        shelf = self.shelves.named(resource)
        kind = shelf.kind
        if subresource and not (subresource == "status" and kind.status):
            raise no_such_path()
        with self.lock:
            old = self._read(shelf, namespace, name)
            new = rules.settled(kind, old, edit(old), subresource)
            if manager:
                who = Manager(manager, "Update", subresource)
                new = ownership.record(old, new, who, kind.lists, api_version=kind.api_version(), now=rules.now())
            new["metadata"]["resourceVersion"] = old["metadata"]["resourceVersion"]
            if new == old or dry_run:
                return new
            stored = self._store(shelf, kind.key(namespace, name), new)
            if _finished(stored):
                self._drop(shelf, kind.key(namespace, name))
            return stored

    def _store(self, shelf: Shelf, key: str, obj: Manifest) -> Manifest:
        self.revision += 1
        body = encode(obj, self.revision)
        shelf.put(key, body, self.revision)
        self._announce(shelf)
        if shelf.kind.name == _DEFINITIONS:
            self.shelves.serve(from_definition(obj), self.revision)
        return _full(shelf.kind, body)

    def _drop(self, shelf: Shelf, key: str) -> Manifest:
        self.revision += 1
        obj = _full(shelf.kind, shelf.drop(key, self.revision))
        self._announce(shelf)
        if shelf.kind.name == _DEFINITIONS:
            self._withdraw(self.shelves.named(from_definition(obj).name))
        if (home := obj["metadata"].get("namespace")) in self._ending:
            self._finish_namespace(home)
        return obj

    def _announce(self, shelf: Shelf) -> None:
        for listener in self.listeners:
            listener(shelf)

    def _withdraw(self, shelf: Shelf) -> None:
        for key in tuple(shelf.items):
            self._drop(shelf, key)
        shelf.closed = True
        self._announce(shelf)
        self.shelves.withdraw(shelf)

    def _remove(self, shelf: Shelf, obj: Manifest, grace: int | None) -> tuple[Manifest, bool]:
        metadata = obj["metadata"]
        key = shelf.kind.key(metadata.get("namespace"), metadata["name"])
        seconds = self._grace(shelf.kind, obj, grace)
        if not metadata.get("finalizers") and not seconds:
            return self._drop(shelf, key), True
        if "deletionTimestamp" in metadata and not (seconds == 0 and metadata.get("deletionGracePeriodSeconds")):
            return obj, False
        ends = (datetime.now(UTC) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")
        obj = obj | {"metadata": metadata | {"deletionTimestamp": ends, "deletionGracePeriodSeconds": seconds}}
        return self._store(shelf, key, obj), False

    def _grace(self, kind: Kind, obj: Manifest, grace: int | None) -> int:
        spec = obj.get("spec", {})
        if not (self._pod_grace and kind.name == "pods" and spec.get("nodeName")):
            return 0
        return int(spec.get("terminationGracePeriodSeconds", 30)) if grace is None else grace

    def _end_namespace(self, shelf: Shelf, obj: Manifest) -> tuple[Manifest, bool]:
        metadata = obj["metadata"]
        name = metadata["name"]
        if name not in self._ending:
            self._ending.add(name)
            obj = obj | {"metadata": metadata | {"deletionTimestamp": rules.now()}, "status": {"phase": "Terminating"}}
            obj = self._store(shelf, name, obj)
            for other in [one for one in self.shelves if one.kind.namespaced]:
                for key in [key for key in other.items if key.startswith(f"{name}/")]:
                    self._remove(other, _full(other.kind, other.items[key]), None)
            self._finish_namespace(name)
        return obj, name not in shelf.items

    def _finish_namespace(self, name: str) -> None:
        """Let a terminating namespace go once it is empty."""
        shelf = self.shelves.named("namespaces")
        prefix = f"{name}/"
        left = (key for one in self.shelves if one.kind.namespaced for key in one.items if key.startswith(prefix))
        if next(left, None) is None and name in shelf.items:
            self._ending.discard(name)
            self._drop(shelf, name)

    # In bulk

    def bulk_load(self, resource: str, objects: Iterable[Manifest]) -> int:
        """Store objects as they are, without checks, replacing those of the same name; returns how many.

        Only a uid and a creation time are added where they lack.
        """
        kind = self.shelves.named(resource).kind
        count = 0
        for obj in objects:
            metadata = obj["metadata"]
            if "uid" not in metadata:
                metadata = {"uid": rules.new_uid(), "creationTimestamp": rules.now(), **metadata}
            key = kind.key(metadata.get("namespace"), metadata["name"])
            self.write_encoded(resource, key, encode(obj | {"metadata": metadata}, 0))
            count += 1
        return count

    def write_encoded(self, resource: str, key: str, body: bytes) -> int:
        """Store a body that `objects.encode` or a template made, under the next resource version, which is returned."""
        shelf = self.shelves.named(resource)
        with self.lock:
            self.revision += 1
            shelf.put(key, with_revision(body, self.revision), self.revision)
            self._announce(shelf)
            return self.revision

    def drop_encoded(self, resource: str, key: str) -> int:
        """Remove an object by its key, whatever it says of finalizers; returns the resource version of the deletion."""
        shelf = self.shelves.named(resource)
        with self.lock:
            if key not in shelf.items:
                raise not_found(resource, key)
            self.revision += 1
            shelf.drop(key, self.revision)
            self._announce(shelf)
            return self.revision

    def compact(self) -> None:
        """Forget all history now: every older resource version and continue token is answered with 410."""
        with self.lock:
            for shelf in self.shelves:
                shelf.compact(self.revision)


def _full(kind: Kind, body: bytes) -> Manifest:
    return {"kind": kind.kind, "apiVersion": kind.api_version(), **msgspec.json.decode(body)}


def _finished(obj: Manifest) -> bool:
    metadata = obj["metadata"]
    held = metadata.get("finalizers") or metadata.get("deletionGracePeriodSeconds") or obj["kind"] == "Namespace"
    return "deletionTimestamp" in metadata and not held
