"""The actions that this EC2 serves, and the names of parameters that each takes."""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import botocore.session
from botocore.model import ListShape, Shape, StructureShape

from bridge.lab.devices.aws.answers import Refusal
from bridge.lab.devices.aws.groups import SecurityGroups
from bridge.lab.devices.aws.prefixlists import PrefixLists
from bridge.lab.devices.aws.tags import Tags

_WORD = re.compile(r"(?:^|&)Action=([A-Za-z0-9]+)(?:&|$)")
_COMMON = frozenset({"Action", "Version"})

WRITES = frozenset(
    {
        "AuthorizeSecurityGroupEgress",
        "AuthorizeSecurityGroupIngress",
        "CreateManagedPrefixList",
        "CreateSecurityGroup",
        "CreateTags",
        "DeleteManagedPrefixList",
        "DeleteSecurityGroup",
        "DeleteTags",
        "ModifyManagedPrefixList",
        "ModifySecurityGroupRules",
        "RestoreManagedPrefixListVersion",
        "RevokeSecurityGroupEgress",
        "RevokeSecurityGroupIngress",
        "UpdateSecurityGroupRuleDescriptionsEgress",
        "UpdateSecurityGroupRuleDescriptionsIngress",
    }
)
READS = frozenset(
    {
        "DescribeAccountAttributes",
        "DescribeManagedPrefixLists",
        "DescribeRegions",
        "DescribeSecurityGroupRules",
        "DescribeSecurityGroups",
        "DescribeSubnets",
        "DescribeTags",
        "DescribeVpcs",
        "GetManagedPrefixListAssociations",
        "GetManagedPrefixListEntries",
    }
)


class Ec2(PrefixLists, SecurityGroups, Tags):
    """What answers one call: ours where moto is too kind, else moto's."""


def action_of(body: bytes) -> str:
    """The action that a call names; empty where it names none."""
    found = _WORD.search(body.decode("latin-1"))
    return found.group(1) if found else ""


def check_parameters(action: str, form: Mapping[str, str]) -> None:
    """Refusal for a parameter that the API does not know, at whatever depth, and for one that it needs and does not get."""
    shape = _input(action)
    for key in form:
        if key not in _COMMON and not _known(shape, key.split(".")):
            raise Refusal("UnknownParameter", f"The parameter {key} is not recognized")
    for path in _missing(shape, form, ""):
        raise Refusal("MissingParameter", f"The request must contain the parameter {path}")


@cache
def _model() -> Any:  # noqa: ANN401 - botocore is not typed
    return botocore.session.Session().get_service_model("ec2")


@cache
def _input(action: str) -> StructureShape:
    return _model().operation_model(action).input_shape


def _wire_name(name: str, member: Shape) -> str:
    said = member.serialization
    if "queryName" in said:
        return str(said["queryName"])
    first = str(said.get("name", name))
    return first[0].upper() + first[1:]


@cache
def _members(shape: StructureShape) -> dict[str, Shape]:
    return {_wire_name(name, member): member for name, member in shape.members.items()}


def _known(shape: Shape, path: list[str]) -> bool:
    if not path:
        return True
    if isinstance(shape, ListShape):
        return path[0].isdecimal() and _known(shape.member, path[1:])
    if isinstance(shape, StructureShape):
        member = _members(shape).get(path[0])
        return member is not None and _known(member, path[1:])
    return False


def _missing(shape: StructureShape, form: Mapping[str, str], prefix: str) -> Iterator[str]:
    needed = [_wire_name(name, shape.members[name]) for name in shape.required_members]
    for name in needed:
        path = f"{prefix}{name}"
        if not any(key == path or key.startswith(f"{path}.") for key in form):
            yield path
