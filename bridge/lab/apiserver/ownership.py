"""Who owns which field: managedFields, and server-side apply on leaf paths.

A path is a tuple of `fieldsV1` elements (`f:spec`, `k:{"type":"Ready"}`); a list that merges by key is followed into its
elements, any other list is one value. Two managers conflict only on the very same leaf with different values: a manager that
owns a whole branch as one value and another inside it are not told apart.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import msgspec

from bridge.lab.apiserver.kinds import Json, Manifest
from bridge.lab.apiserver.refusal import Refusal

Path = tuple[str, ...]
Lists = Mapping[str, tuple[str, ...]]
_SELF = "."  # the existence of a list element
_KEY_DEFAULTS = {"protocol": "TCP"}  # a port without a protocol is the same element as one that says TCP
_UNOWNED = frozenset(
    ("f:metadata", f"f:{name}")
    for name in (
        "name",
        "namespace",
        "uid",
        "resourceVersion",
        "generation",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "managedFields",
        "selfLink",
        "generateName",
    )
) | {("f:apiVersion",), ("f:kind",)}


@dataclass(frozen=True, slots=True)
class Manager:
    """One entry of managedFields: who, by which operation, through which subresource."""

    name: str
    operation: str
    subresource: str = ""


@dataclass(slots=True)
class Owners:
    """The managedFields of an object, as sets of paths."""

    fields: dict[Manager, set[Path]] = field(default_factory=dict)
    times: dict[Manager, str] = field(default_factory=dict)
    versions: dict[Manager, str] = field(default_factory=dict)

    @classmethod
    def of(cls, obj: Manifest) -> "Owners":
        """What the object's managedFields say."""
        owners = cls()
        for entry in obj.get("metadata", {}).get("managedFields") or ():
            manager = Manager(entry.get("manager", ""), entry.get("operation", "Update"), entry.get("subresource", ""))
            owners.fields[manager] = set(_from_fields(entry.get("fieldsV1") or {}))
            owners.times[manager] = entry.get("time", "")
            owners.versions[manager] = entry.get("apiVersion", "")
        return owners

    def grant(self, manager: Manager, paths: set[Path], api_version: str, now: str) -> None:
        """Let the manager own exactly these paths; the time moves only when they change."""
        if paths != self.fields.get(manager) or manager not in self.times:
            self.times[manager] = now
            self.versions[manager] = api_version
        self.fields[manager] = paths

    def entries(self) -> list[Manifest]:
        """The managedFields again; managers that own nothing are left out."""
        return [self._entry(manager, paths) for manager, paths in self.fields.items() if paths]

    def _entry(self, manager: Manager, paths: set[Path]) -> Manifest:
        entry: Manifest = {
            "manager": manager.name,
            "operation": manager.operation,
            "apiVersion": self.versions[manager],
            "time": self.times[manager],
            "fieldsType": "FieldsV1",
            "fieldsV1": _to_fields(paths),
        }
        return entry | ({"subresource": manager.subresource} if manager.subresource else {})


def record(old: Manifest, new: Manifest, manager: Manager, lists: Lists, *, api_version: str, now: str) -> Manifest:
    """`new`, its managedFields giving each leaf that differs from `old` to the manager of this plain write and to nobody else."""
    before, after = dict(_leaves(old, lists)), dict(_leaves(new, lists))
    changed = {path for path, value in after.items() if path not in before or before[path] != value}
    gone = before.keys() - after.keys()
    owners = Owners.of(old)
    for other, paths in owners.fields.items():
        owners.fields[other] = paths - gone if other == manager else paths - gone - changed
    if changed:
        owners.grant(manager, owners.fields.get(manager, set()) | changed, api_version, now)
    return _with_owners(new, owners)


def apply(
    live: Manifest, applied: Manifest, manager: Manager, lists: Lists, *, now: str, force: bool, resource: str
) -> Manifest:
    """Server-side apply. Raises Refusal 409 naming each field that another manager holds at another value, unless forced.

    Fields that this manager applied before and applies no more are removed where nobody else owns them.
    """
    wanted = dict(_leaves(applied, lists))
    current = dict(_leaves(live, lists))
    owners = Owners.of(live)
    differing = {path for path, value in wanted.items() if path in current and current[path] != value}
    others = {other: paths & differing for other, paths in owners.fields.items() if other != manager}
    if any(others.values()) and not force:
        raise _conflicts(resource, applied, others, owners)
    for other, taken in others.items():
        owners.fields[other] = owners.fields[other] - taken
    dropped = owners.fields.get(manager, set()) - wanted.keys()
    owners.grant(manager, set(wanted), applied.get("apiVersion", ""), now)
    result = _merged(live, applied, lists, "")
    # Whole elements first: without its key fields an element could not be found any more.
    for path in sorted(dropped, key=lambda path: (path[-1] != _SELF, path)):
        if not _is_key(path) and not any(_touches(path, held) for paths in owners.fields.values() for held in paths):
            result = _pruned(result, path)
    return _with_owners(result, owners)


def _conflicts(resource: str, applied: Manifest, others: Mapping[Manager, set[Path]], owners: Owners) -> Refusal:
    causes = [
        {
            "reason": "FieldManagerConflict",
            "message": f'conflict with "{other.name}" using {owners.versions[other]}',
            "field": "".join(f".{part[2:]}" if part.startswith("f:") else f"[{part[2:]}]" for part in path),
        }
        for other, paths in others.items()
        for path in sorted(paths)
    ]
    named = "; ".join(f"{cause['message']}: {cause['field']}" for cause in causes)
    details = {"name": applied["metadata"]["name"], "kind": resource.partition(".")[0], "causes": causes}
    return Refusal(409, "Conflict", f"Apply failed with {len(causes)} conflict(s): {named}", details=details)


def _with_owners(obj: Manifest, owners: Owners) -> Manifest:
    metadata = {name: value for name, value in obj["metadata"].items() if name != "managedFields"}
    entries = owners.entries()
    return obj | {"metadata": metadata | ({"managedFields": entries} if entries else {})}


def _is_key(path: Path) -> bool:
    """Whether the path is a key field of a list element: it goes with the element only."""
    return len(path) > 1 and path[-2].startswith("k:") and path[-1][2:] in msgspec.json.decode(path[-2][2:])


def _touches(path: Path, held: Path) -> bool:
    """Whether removing `path` would take away what `held` stands for."""
    whole = path[:-1] if path[-1] == _SELF else path
    return held[: len(whole)] == whole


def _leaves(obj: Manifest, lists: Lists) -> Iterator[tuple[Path, Json]]:
    for path, value in _walk(obj, lists, (), ""):
        if path not in _UNOWNED and path[:2] != ("f:metadata", "f:managedFields"):
            yield path, value


def _walk(value: Json, lists: Lists, path: Path, dotted: str) -> Iterator[tuple[Path, Json]]:
    if isinstance(value, dict) and value:
        for name, child in value.items():
            yield from _walk(child, lists, (*path, f"f:{name}"), f"{dotted}.{name}" if dotted else name)
    elif isinstance(value, list) and value and dotted in lists:
        for element in value:
            here = (*path, _element(element, lists[dotted]))
            yield (*here, _SELF), True
            yield from _walk(element, lists, here, dotted)
    elif value is not None:
        yield path, value


def _element(element: Manifest, keys: tuple[str, ...]) -> str:
    named = {name: element.get(name, _KEY_DEFAULTS.get(name)) for name in keys}
    return "k:" + msgspec.json.encode({name: value for name, value in named.items() if value is not None}).decode()


def _to_fields(paths: set[Path]) -> Manifest:
    tree: Manifest = {}
    for path in sorted(paths):
        node = tree
        for part in path:
            node = node.setdefault(part, {})
    return tree


def _from_fields(tree: Manifest, path: Path = ()) -> Iterator[Path]:
    for part, child in tree.items():
        if child:
            yield from _from_fields(child, (*path, part))
        else:
            yield (*path, part)


def _merged(live: Json, applied: Json, lists: Lists, dotted: str) -> Json:
    if isinstance(applied, dict) and isinstance(live, dict):
        result = dict(live)
        for name, value in applied.items():
            if value is not None:
                result[name] = _merged(live.get(name), value, lists, f"{dotted}.{name}" if dotted else name)
        return result
    if isinstance(applied, list) and dotted in lists and isinstance(live, list):
        elements = {_element(element, lists[dotted]): element for element in live}
        for element in applied:
            key = _element(element, lists[dotted])
            elements[key] = _merged(elements.get(key), element, lists, dotted)
        return list(elements.values())
    return applied


def _pruned(tree: Json, path: Path) -> Json:
    """The tree without what `path` names; branches that this empties go too, but for the object's own top fields."""
    head, *rest = path
    if rest == [_SELF] or head == _SELF:
        rest = []
    if isinstance(tree, list):
        wanted = msgspec.json.decode(head[2:])
        return [
            element
            if any(element.get(name) != value for name, value in wanted.items())
            else _pruned(element, tuple(rest))
            for element in tree
            if rest or any(element.get(name) != value for name, value in wanted.items())
        ]
    if not isinstance(tree, dict) or (name := head[2:]) not in tree:
        return tree
    child = _pruned(tree[name], tuple(rest)) if rest else None
    if child in (None, {}, []):
        return {other: value for other, value in tree.items() if other != name}
    return tree | {name: child}
