"""What no single field can tell: names twice, ranges that meet, clusters and kinds that are not there.

These look at the settings as they were typed, so that one bad field hides none of them.
"""

from collections.abc import Collection, Iterator, Mapping
from itertools import combinations
from typing import Any
from urllib.parse import urlsplit

from bridge.model.addresses import overlap
from bridge.settings.opening import opening
from bridge.settings.problems import Problems, like, path_of

_SCOPE = ("clusters", "namespaces")


def relations(raw: Mapping[str, Any], kinds: Collection[str], problems: Problems) -> None:
    """Everything about clusters and devices together. `kinds` are the adapters that are installed."""
    clusters, devices = _items(raw, "clusters"), _items(raw, "devices")
    _unique("clusters", clusters, problems)
    _unique("devices", devices, problems)
    _one_writer(devices, problems)
    for index, device in devices:
        _egresses(index, device, problems)
    names = {item["name"] for _, item in clusters if isinstance(item.get("name"), str)}
    for index, device in devices:
        _kind(index, device, kinds, problems)
        _scope(index, device, names, problems)
        _secrets(index, device, names, problems)
    _disjoint(clusters, devices, problems)
    opening(raw.get("api"), names, problems)


def _items(raw: Mapping[str, Any], key: str) -> list[tuple[int, Mapping[str, Any]]]:
    listed = raw.get(key)
    if not isinstance(listed, list):
        return []
    return [(index, item) for index, item in enumerate(listed) if isinstance(item, Mapping)]


def _unique(key: str, items: list[tuple[int, Mapping[str, Any]]], problems: Problems) -> None:
    first: dict[str, int] = {}
    for index, item in items:
        name = item.get("name")
        if isinstance(name, str) and first.setdefault(name, index) != index:
            problems.add(path_of((key, index, "name")), f"is the name of {key}[{first[name]}] too")


def _one_writer(devices: list[tuple[int, Mapping[str, Any]]], problems: Problems) -> None:
    """The same device twice would have two writers, each undoing the other's work."""
    first: dict[str, int] = {}
    for index, device in devices:
        place = _place(device.get("url"))
        if place and first.setdefault(place, index) != index:
            problems.add(path_of(("devices", index, "url")), f"is the device of devices[{first[place]}] too")


def _place(url: object) -> str:
    try:
        parts = urlsplit(url) if isinstance(url, str) else None
        if parts is None or not parts.hostname:
            return ""
        port = parts.port or {"https": 443, "http": 80}.get(parts.scheme)
        return f"{parts.hostname}:{port}{parts.path.rstrip('/')}"
    except ValueError:
        return ""


def _kind(index: int, device: Mapping[str, Any], kinds: Collection[str], problems: Problems) -> None:
    kind = device.get("kind")
    if isinstance(kind, str) and kind and kind not in kinds:
        hint = like(kind, kinds) if kinds else "none is installed"
        problems.add(path_of(("devices", index, "kind")), f"no adapter of this kind is installed; {hint}")


def _scope(index: int, device: Mapping[str, Any], clusters: Collection[str], problems: Problems) -> None:
    at, kind = ("devices", index, "scope"), device.get("kind")
    scope = _mapping(device.get("scope"))
    for key, value in scope.items():
        if key == kind:
            if not isinstance(value, Mapping):
                problems.add(path_of((*at, str(key))), "must be a mapping")
        elif key not in _SCOPE:
            known = (*_SCOPE, *([kind] if isinstance(kind, str) and kind else []))
            problems.add(path_of((*at, str(key))), f"is no setting here; {like(str(key), known)}")
    for name in _mapping(scope.get("clusters")):
        if isinstance(name, str) and name not in clusters:
            hint = like(name, clusters) if clusters else "there is none"
            problems.add(path_of((*at, "clusters", name)), f"no cluster has this name; {hint}")


def _secrets(index: int, device: Mapping[str, Any], clusters: Collection[str], problems: Problems) -> None:
    for name, source in _mapping(device.get("credentials")).items():
        secret = _mapping(_mapping(source).get("secret"))
        if not secret:
            continue
        path = path_of(("devices", index, "credentials", str(name), "secret", "cluster"))
        cluster = secret.get("cluster")
        if cluster is None and len(clusters) > 1:
            problems.add(path, "is required where there are several clusters")
        elif isinstance(cluster, str) and cluster not in clusters:
            problems.add(path, "no cluster has this name")


def _egresses(index: int, device: Mapping[str, Any], problems: Problems) -> None:
    """By an address that two clusters leave by, nobody can tell whose packets they are."""
    first: dict[str, str] = {}
    for name, served in _mapping(_mapping(device.get("scope")).get("clusters")).items():
        own = _mapping(served).get("addressSource")
        listed = device.get("addressSource") if own is None else own
        views = [_mapping(one) for one in listed] if isinstance(listed, list) else []
        for address in {str(one) for view in views for one in _listed(view.get("addresses"))}:
            other = first.setdefault(address, str(name))
            if other != name:
                where = ("devices", index, "scope", "clusters", str(name), "addressSource")
                problems.add(path_of(where), f"{address} is an egress of cluster {other} too: state one for each")


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _disjoint(
    clusters: list[tuple[int, Mapping[str, Any]]], devices: list[tuple[int, Mapping[str, Any]]], problems: Problems
) -> None:
    """On a device that serves two clusters, an address must say which of them it is of."""
    ranges = {item["name"]: (i, _prefixes(item)) for i, item in clusters if isinstance(item.get("name"), str)}
    seen: set[tuple[str, str]] = set()
    for _, device in devices:
        served = [name for name in _mapping(_mapping(device.get("scope")).get("clusters")) if name in ranges]
        for one, other in combinations(sorted(served), 2):
            if (one, other) in seen:
                continue
            seen.add((one, other))
            for mine, theirs in _meeting(ranges[one][1], ranges[other][1]):
                words = f"{theirs} meets {mine} of cluster {one}, and device {device.get('name')!s} serves both"
                problems.add(path_of(("clusters", ranges[other][0], "podRanges")), words)


def _prefixes(cluster: Mapping[str, Any]) -> list[str]:
    listed = cluster.get("podRanges")
    return [one for one in listed if isinstance(one, str)] if isinstance(listed, list) else []


def _meeting(left: list[str], right: list[str]) -> Iterator[tuple[str, str]]:
    for mine in left:
        for theirs in right:
            try:
                if overlap((mine,), (theirs,)):
                    yield mine, theirs
            except ValueError:
                continue


def _mapping(value: object) -> Mapping[Any, Any]:
    return value if isinstance(value, Mapping) else {}
