"""EC2's wire format, by the models of botocore: parameters in a form, answers in XML."""

from collections.abc import Mapping
from functools import cache
from typing import Any
from uuid import uuid4
from xml.sax.saxutils import escape

import botocore.session
from botocore.model import ListShape, Shape, StructureShape

from bridge.lab.devices.aws.answers import Refusal, invalid

_COMMON = frozenset({"Action", "Version"})
_NAMESPACE = "http://ec2.amazonaws.com/doc/2016-11-15/"
_Tree = dict[str, Any]


def is_action(action: str) -> bool:
    """Whether EC2 has it."""
    return action in _model().operation_names


def parameters(action: str, form: Mapping[str, str]) -> dict[str, Any]:
    """The parameters by their names in the API. Refusal for one that the API does not know, at whatever depth, and for one that lacks."""
    shape = _operation(action).input_shape
    tree: _Tree = {}
    for key, value in form.items():
        if key not in _COMMON:
            _put(tree, key.split("."), value)
    read: dict[str, Any] = _read(shape, tree, "")
    for name in shape.required_members:
        if name not in read:
            raise Refusal(
                "MissingParameter", f"The request must contain the parameter {_wire_name(name, shape.members[name])}"
            )
    return read


def answered(action: str, result: Mapping[str, Any]) -> bytes:
    """The answer to an action; what is None is left out."""
    shape = _operation(action).output_shape
    parts: list[str] = []
    if shape is not None:
        _members(shape, result, parts)
    head = f'<?xml version="1.0" encoding="UTF-8"?>\n<{action}Response xmlns="{_NAMESPACE}">'
    return f"{head}<requestId>{uuid4()}</requestId>{''.join(parts)}</{action}Response>".encode()


@cache
def _model() -> Any:  # noqa: ANN401 - botocore is not typed
    return botocore.session.Session().get_service_model("ec2")


@cache
def _operation(action: str) -> Any:  # noqa: ANN401 - botocore is not typed
    return _model().operation_model(action)


def _wire_name(name: str, member: Shape) -> str:
    said = member.serialization
    if "queryName" in said:
        return str(said["queryName"])
    first = str(said.get("name", name))
    return first[0].upper() + first[1:]


@cache
def _wire_names(shape: StructureShape) -> dict[str, tuple[str, Shape]]:
    return {_wire_name(name, member): (name, member) for name, member in shape.members.items()}


def _put(tree: _Tree, path: list[str], value: str) -> None:
    for name in path[:-1]:
        found = tree.setdefault(name, {})
        if not isinstance(found, dict):
            raise _unknown(".".join(path))
        tree = found
    tree[path[-1]] = value


def _read(shape: Shape, node: Any, path: str) -> Any:  # noqa: ANN401 - whatever the shape says
    if isinstance(shape, StructureShape):
        return _read_structure(shape, node, path)
    if isinstance(shape, ListShape):
        if not isinstance(node, dict) or not all(name.isdecimal() for name in node):
            raise _unknown(path)
        return [_read(shape.member, node[name], f"{path}.{name}") for name in sorted(node, key=int)]
    if not isinstance(node, str):
        raise _unknown(path)
    if shape.type_name == "boolean":
        return node.lower() == "true"
    if shape.type_name in ("integer", "long"):
        try:
            return int(node)
        except ValueError:
            raise invalid(f"Value ({node}) for parameter {path} is invalid.") from None
    return node


def _read_structure(shape: StructureShape, node: Any, path: str) -> dict[str, Any]:  # noqa: ANN401
    if not isinstance(node, dict):
        raise _unknown(path)
    known, read = _wire_names(shape), {}
    for said, value in node.items():
        where = f"{path}.{said}" if path else said
        if said not in known:
            raise _unknown(where)
        name, member = known[said]
        read[name] = _read(member, value, where)
    return read


def _unknown(name: str) -> Refusal:
    return Refusal("UnknownParameter", f"The parameter {name} is not recognized")


@cache
def _layout(shape: StructureShape) -> tuple[tuple[str, str, Shape], ...]:
    """The members of a structure: their names, and those of their elements."""
    return tuple((name, str(one.serialization.get("name", name)), one) for name, one in shape.members.items())


def _members(shape: StructureShape, value: Mapping[str, Any], parts: list[str]) -> None:
    for name, said, member in _layout(shape):
        held = value.get(name)
        if held is not None:
            _element(said, member, held, parts)


def _element(name: str, shape: Shape, value: Any, parts: list[str]) -> None:  # noqa: ANN401
    parts.append(f"<{name}>")
    if isinstance(shape, StructureShape):
        _members(shape, value, parts)
    elif isinstance(shape, ListShape):
        inner = str(shape.member.serialization.get("name", "item"))
        for one in value:
            _element(inner, shape.member, one, parts)
    else:
        parts.append(str(value).lower() if isinstance(value, bool) else escape(str(value)))
    parts.append(f"</{name}>")
