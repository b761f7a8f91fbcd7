"""What stands around the spec in a manifest: its top fields, names, and our annotations."""

from collections.abc import Callable, Iterator
from typing import Any

from bridge.dialects import fields
from bridge.dialects.annotations import ADDRESS_GROUP, KNOWN, group_names
from bridge.errors import PolicyError
from bridge.model.kinds import GROUP, Kind

ANNOTATED = ("Namespace", "Service", "Pod")
_TOP = ("apiVersion", "kind", "metadata", "spec", "status")


def frame(kind: Kind, value: dict[Any, Any], metadata: dict[Any, Any]) -> Iterator[PolicyError]:
    """What is wrong around the spec."""
    for key in value:
        if key not in _TOP:
            yield PolicyError(str(key), "is no field of this object")
    if "spec" not in value:
        yield PolicyError("spec", "is required")
    elif not isinstance(value["spec"], dict):
        yield PolicyError("spec", "must be a mapping")
    if "name" not in metadata:
        yield PolicyError("metadata.name", "is required")
    else:
        yield from _name("metadata.name", metadata["name"], fields.object_name)
    if not kind.namespaced and "namespace" in metadata:
        yield PolicyError("metadata.namespace", f"a {kind} is cluster-scoped and stands in no namespace")
    elif "namespace" in metadata:
        yield from _name("metadata.namespace", metadata["namespace"], fields.dns_label)


def annotation(key: str, value: object, *, takes_groups: bool) -> tuple[str, bool]:
    """What to say about one annotation of ours, "" for nothing; and whether it is refused."""
    if not isinstance(value, str):
        return "must be a string; put it in quotes", True
    if key not in KNOWN:
        return f"is no annotation of {GROUP}: {', '.join(KNOWN)}", False
    if key != ADDRESS_GROUP:
        return "", False
    if not takes_groups:
        return f"has no effect here: it belongs on a {', '.join(ANNOTATED)} or pod template", False
    try:
        group_names({key: value})
    except PolicyError as error:
        return error.reason, True
    return "", False


def _name(where: str, value: object, check_name: Callable[[str], str]) -> Iterator[PolicyError]:
    if not isinstance(value, str):
        yield PolicyError(where, "must be a string")
        return
    try:
        check_name(value)
    except ValueError as error:
        yield PolicyError(where, str(error))
