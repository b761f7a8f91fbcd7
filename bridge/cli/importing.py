"""`fusion-bridge import`: policy of another program, written anew in our own kinds."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bridge.cli.errors import FINDINGS
from bridge.cli.invocation import Invocation, invocation
from bridge.cli.output import complain, plain
from bridge.errors import BridgeError

if TYPE_CHECKING:
    from bridge.dialects.ces_import import Carried
    from bridge.model.observed import PolicyObject

app = typer.Typer(help="Write policy of another program anew in our own kinds.", no_args_is_help=True)

_HOME = "kube-system"


@app.command(short_help="The rules of F5 CES.")
def ces(
    context: typer.Context,
    paths: Annotated[
        list[str] | None,
        typer.Argument(metavar="[PATH]…", help="Files, folders, or - for standard input.", show_default=False),
    ] = None,
    cluster: Annotated[
        str | None, typer.Option("--cluster", metavar="NAME", help="Read them from a cluster of the settings.")
    ] = None,
    home: Annotated[
        str | None,
        typer.Option("--controller-namespace", help="Where cluster rules find external services.", show_default=_HOME),
    ] = None,
) -> None:
    """Print our own kinds, as YAML, that mean what these rules of F5 CES mean.

    Rules come in the order in which they were created, or in which they stand in the files where that is not told. What cannot be carried
    over is named on standard error and in comments; exit code 1 then.
    """
    if (cluster is None) == (not paths):
        raise typer.BadParameter("name files, or a cluster with --cluster")
    asked = invocation(context)
    strange: list[str] = []
    if cluster is None:
        found, prefixes = _of_files(paths or (), strange)
    else:
        found, prefixes, home = _of_cluster(asked, cluster, home)
    from bridge.dialects.ces_import import carry

    carried = carry(found, home or _HOME, prefixes)
    carried.lost += strange
    _print(asked, carried)
    if carried.lost:
        raise typer.Exit(FINDINGS)


def _print(asked: Invocation, carried: "Carried") -> None:
    import yaml

    complain("\n".join(f"not carried over: {one}" for one in carried.lost))
    if asked.output.json:
        asked.output.document({"manifests": carried.manifests, "lost": carried.lost})
        return
    for one in carried.lost:
        print(f"# not carried over: {plain(one)}")
    if carried.manifests:
        print(yaml.safe_dump_all(carried.manifests, sort_keys=False, explicit_start=True), end="")


def _of_files(paths: Iterable[str], strange: list[str]) -> "tuple[list[PolicyObject], dict[str, str]]":
    """The objects of CES in these manifests, and the prefixes of namespaces; `strange` gets what is of its group and of no kind that we
    know. BridgeError on what cannot be read."""
    from bridge.dialects import ces as dialect

    found: list[PolicyObject] = []
    prefixes: dict[str, str] = {}
    kinds = {kind.name: kind for kind in dialect.KINDS}
    for value in _documents(paths):
        kind = kinds.get(str(value.get("kind"))) if value.get("apiVersion") == dialect.API_VERSION else None
        if kind is not None:
            found.append(_object(kind.resource, value, namespaced=kind.namespaced))
        elif value.get("apiVersion") == dialect.API_VERSION:
            strange.append(
                f"{value.get('kind')} {_mapping(value.get('metadata')).get('name', '')}: is no kind that is known of CES"
            )
        elif value.get("kind") == "Namespace":
            metadata = _mapping(value.get("metadata"))
            annotated = _mapping(metadata.get("annotations")).get(dialect.CIDR)
            if isinstance(annotated, str):
                prefixes[str(metadata.get("name"))] = annotated
    return _by_age(found), prefixes


def _documents(paths: Iterable[str]) -> Iterator[dict[str, Any]]:
    from bridge.dialects.documents import Document, documents

    for name, text in _texts(paths):
        for one in documents(text):
            if not isinstance(one, Document):
                at = f"{name}:{one.line}" if one.line is not None else name
                raise BridgeError(f"{at}: {one.reason}")
            yield from _items(one.value)


def _items(value: object) -> Iterator[dict[str, Any]]:
    if not isinstance(value, dict):
        return
    items = value.get("items")
    if str(value.get("kind")).endswith("List") and isinstance(items, list):
        for one in items:
            yield from _items(one)
    else:
        yield value


def _texts(paths: Iterable[str]) -> Iterator[tuple[str, str]]:
    from bridge.dialects.manifests import STDIN, SUFFIXES

    for path in paths:
        if path == STDIN:
            yield "<stdin>", sys.stdin.read()
            continue
        place = Path(path)
        files = sorted(one for one in place.rglob("*") if one.suffix in SUFFIXES) if place.is_dir() else [place]
        for file in files:
            try:
                yield str(file), file.read_text(encoding="utf-8")
            except (OSError, ValueError) as error:
                words = error.strerror if isinstance(error, OSError) and error.strerror else "is not UTF-8 text"
                raise BridgeError(f"{file}: {words}") from error


def _object(resource: str, value: dict[str, Any], *, namespaced: bool) -> "PolicyObject":
    from bridge.dialects.manifests import DEFAULT_NAMESPACE
    from bridge.model.observed import PolicyObject, Resource

    metadata = _mapping(value.get("metadata"))
    namespace = str(metadata.get("namespace", DEFAULT_NAMESPACE)) if namespaced else ""
    created = str(metadata.get("creationTimestamp") or "")
    name, spec = str(metadata.get("name", "")), _mapping(value.get("spec"))
    return PolicyObject(Resource(resource), "", namespace, name, "", 0, {}, spec, created=created)


def _of_cluster(asked: Invocation, name: str, home: str | None) -> "tuple[list[PolicyObject], dict[str, str], str]":
    """The objects of CES in a cluster, now. BridgeError for what cannot be reached or is not installed."""
    from bridge.cli.assembly import cluster_config
    from bridge.cluster.answers import RequestRefused
    from bridge.cluster.client import Connection
    from bridge.dialects import ces as dialect
    from bridge.dialects.dialect import Dialects
    from bridge.model.observed import Namespace, PolicyObject, Resource, Undecodable

    settings = next((one for one in asked.settings.clusters if one.name == name), None)
    if settings is None:
        known = ", ".join(one.name for one in asked.settings.clusters)
        raise BridgeError(f"there is no cluster {name} in the settings; there are {known}")
    Dialects((dialect.DIALECT,))
    connection = Connection(cluster_config(settings))
    try:
        values = [
            value
            for resource in (*(kind.resource for kind in dialect.KINDS), Resource.NAMESPACES)
            for value in _listed(connection, resource)
        ]
    except RequestRefused as error:
        raise BridgeError(f"{error}; are the definitions of CES installed there?") from error
    finally:
        connection.close()
    unreadable = [one for one in values if isinstance(one, Undecodable)]
    if unreadable:
        raise BridgeError("; ".join(f"{one.resource} {one.namespace}/{one.name}: {one.reason}" for one in unreadable))
    found = [one for one in values if isinstance(one, PolicyObject)]
    annotated = {one.name: one.annotations for one in values if isinstance(one, Namespace)}
    prefixes = {name: notes[dialect.CIDR] for name, notes in annotated.items() if dialect.CIDR in notes}
    return _by_age(found), prefixes, home or settings.ces.controller_namespace


def _listed(connection: Any, resource: Any) -> Iterator[Any]:  # noqa: ANN401 (imported when used)
    from bridge.cluster.listing import Lister

    for page in Lister(connection, resource, 500).pages(not_before=0):
        yield from page.values


def _by_age(found: "Sequence[PolicyObject]") -> "list[PolicyObject]":
    """The oldest first of each kind and namespace, whose rules are one list; as they stand where the age of one of these is missing."""
    ageless = {(one.resource, one.namespace) for one in found if not one.created}
    return sorted(found, key=lambda one: "" if (one.resource, one.namespace) in ageless else one.created)


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
