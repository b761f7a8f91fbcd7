"""Manifests in files, read as a cluster would show them once they were applied. What is wrong with them, `validate` says."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bridge.cluster.decode import Codec
from bridge.dialects.dialect import Dialects
from bridge.dialects.documents import Document, documents
from bridge.dialects.manifests import DEFAULT_NAMESPACE, SUFFIXES
from bridge.intake.policies import NATIVE
from bridge.intake.rehearsal import Place
from bridge.model.kinds import KINDS, Kind, Resource
from bridge.model.observed import EndpointSlice, Namespace, PolicyObject, Service, Undecodable
from bridge.state.batch import Slim

_SURROUNDINGS = (Resource.NAMESPACES, Resource.SERVICES, Resource.ENDPOINT_SLICES)
_LABEL = "kubernetes.io/metadata.name"


@dataclass(frozen=True, slots=True)
class Proposed:
    """The objects of some manifests that policy sees, the last of each name, and the namespaces in which they stand ("" for none)."""

    objects: Mapping[Place, Slim | Undecodable]

    def pruned(self, known: Iterable[Place]) -> tuple[Place, ...]:
        """Of the known objects of policy those that go with `--prune`: of a kind and in a namespace that the manifests cover."""
        covered = {(resource, namespace) for resource, namespace, _ in self.objects if _is_policy(KINDS[resource])}
        kinds = {resource for resource, _ in covered}
        namespaces = {namespace for _, namespace, _ in self.objects if namespace}
        return tuple(
            place
            for place in known
            if place[0] in kinds
            and (place[1] in namespaces if place[1] else (place[0], "") in covered)
            and place not in self.objects
        )


def proposed(folders: Iterable[Path], dialects: Dialects = NATIVE) -> Proposed:
    """What the manifests in these folders and files hold of these dialects; what cannot be read at all is left to `validate`."""
    kinds = [*dialects.kinds.values(), *(KINDS[resource] for resource in _SURROUNDINGS)]
    by_name = {(kind.group, kind.name): kind for kind in kinds}
    codecs: dict[Resource, Codec] = {}
    found: dict[Place, Slim | Undecodable] = {}
    for document in _documents(folders):
        kind = by_name.get((str(document.get("apiVersion")).rpartition("/")[0], str(document.get("kind"))))
        if kind is None or document.get("apiVersion") != kind.api_version:
            continue
        codec = codecs.setdefault(kind.resource, Codec(kind.resource))
        value = _value(codec, kind, document)
        if value is not None:
            found[kind.resource, getattr(value, "namespace", ""), value.name] = value
    return Proposed(found)


def _is_policy(kind: Kind) -> bool:
    return kind.brings is not None


def _documents(folders: Iterable[Path]) -> Iterator[Mapping[str, Any]]:
    for folder in folders:
        below = sorted(file for file in folder.rglob("*") if file.suffix in SUFFIXES and file.is_file())
        for file in below if folder.is_dir() else [folder]:
            try:
                text = file.read_text(encoding="utf-8")
            except (OSError, ValueError):
                continue
            for one in documents(text):
                if isinstance(one, Document):
                    yield from _objects(one.value)


def _objects(value: object) -> Iterator[Mapping[str, Any]]:
    """The object, or each of a list."""
    if not isinstance(value, dict):
        return
    items = value.get("items")
    if str(value.get("kind", "")).endswith("List") and isinstance(items, list):
        for item in items:
            yield from _objects(item)
    elif isinstance(value.get("metadata"), dict) and isinstance(value["metadata"].get("name"), str):
        yield value


def _value(codec: Codec, kind: Kind, document: Mapping[str, Any]) -> Slim | Undecodable | None:
    """The object as a list of the API would show it."""
    metadata = dict(document["metadata"])
    metadata.update({"uid": "proposed", "resourceVersion": "", "generation": 1})
    metadata.pop("managedFields", None)
    if kind.namespaced:
        metadata.setdefault("namespace", DEFAULT_NAMESPACE)
    else:
        metadata.pop("namespace", None)
    if kind.resource is Resource.NAMESPACES and isinstance(metadata.get("labels", {}), dict):
        metadata["labels"] = {**(metadata.get("labels") or {}), _LABEL: metadata["name"]}
    page = json.dumps(
        {"metadata": {"resourceVersion": "1"}, "items": [{**document, "metadata": metadata}]}, default=str
    )
    try:
        (value,) = codec.page(page.encode()).values
    except ValueError:
        return None
    if isinstance(value, PolicyObject | Namespace | Service | EndpointSlice):
        return replace(value, actor="") if not isinstance(value, EndpointSlice) else value
    return value if isinstance(value, Undecodable) and kind.brings is not None else None
