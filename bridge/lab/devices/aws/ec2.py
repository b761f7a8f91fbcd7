"""The actions that this EC2 serves: ours where moto is too kind, else moto's."""

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from moto.core.request import Request as MotoRequest
from moto.ec2.responses import EC2Response

from bridge.lab.devices.aws.backend import Backend
from bridge.lab.devices.aws.desk import Desk, Told
from bridge.lab.devices.aws.groups import SecurityGroups
from bridge.lab.devices.aws.prefixlists import PrefixLists
from bridge.lab.devices.aws.store import Author
from bridge.lab.devices.aws.tags import Tags

if TYPE_CHECKING:
    from bridge.lab.devices.aws.simulator import Aws

_WORD = re.compile(r"(?:^|&)Action=([A-Za-z0-9]+)(?:&|$)")

_Desk = TypeVar("_Desk", bound=Desk)
_Handler = Callable[["Aws", Author, Mapping[str, Any]], Told]


def _at(desk: type[_Desk], act: Callable[[_Desk], Told]) -> _Handler:
    return lambda device, author, given: act(desk(device, author, given))


HANDLERS: dict[str, _Handler] = {
    "AuthorizeSecurityGroupEgress": _at(SecurityGroups, SecurityGroups.authorize_egress),
    "AuthorizeSecurityGroupIngress": _at(SecurityGroups, SecurityGroups.authorize_ingress),
    "CreateManagedPrefixList": _at(PrefixLists, PrefixLists.create),
    "CreateSecurityGroup": _at(SecurityGroups, SecurityGroups.create),
    "CreateTags": _at(Tags, Tags.create),
    "DeleteManagedPrefixList": _at(PrefixLists, PrefixLists.delete),
    "DeleteSecurityGroup": _at(SecurityGroups, SecurityGroups.delete),
    "DeleteTags": _at(Tags, Tags.delete),
    "ModifyManagedPrefixList": _at(PrefixLists, PrefixLists.modify),
    "ModifySecurityGroupRules": _at(SecurityGroups, SecurityGroups.modify_rules),
    "RestoreManagedPrefixListVersion": _at(PrefixLists, PrefixLists.restore),
    "RevokeSecurityGroupEgress": _at(SecurityGroups, SecurityGroups.revoke_egress),
    "RevokeSecurityGroupIngress": _at(SecurityGroups, SecurityGroups.revoke_ingress),
    "UpdateSecurityGroupRuleDescriptionsEgress": _at(SecurityGroups, SecurityGroups.describe_egress),
    "UpdateSecurityGroupRuleDescriptionsIngress": _at(SecurityGroups, SecurityGroups.describe_ingress),
    "DescribeManagedPrefixLists": _at(PrefixLists, PrefixLists.describe),
    "DescribeSecurityGroupRules": _at(SecurityGroups, SecurityGroups.show_rules),
    "DescribeSecurityGroups": _at(SecurityGroups, SecurityGroups.show),
    "DescribeTags": _at(Tags, Tags.describe),
    "GetManagedPrefixListAssociations": _at(PrefixLists, PrefixLists.associations),
    "GetManagedPrefixListEntries": _at(PrefixLists, PrefixLists.entries),
}
_OF_MOTO = frozenset({"DescribeAccountAttributes", "DescribeRegions", "DescribeSubnets", "DescribeVpcs"})
READS = _OF_MOTO | {action for action in HANDLERS if action.startswith(("Describe", "Get"))}
WRITES = HANDLERS.keys() - READS


def action_of(body: bytes) -> str:
    """The action that a call names; empty where it names none."""
    found = _WORD.search(body.decode("latin-1"))
    return found.group(1) if found else ""


def by_moto(backend: Backend, form: dict[str, str]) -> bytes:
    """What moto answers, in the account of the backend."""
    host = f"ec2.{backend.region}.amazonaws.com"
    headers = {
        "x-moto-account-id": backend.account,
        "Content-Type": "application/x-www-form-urlencoded; charset=utf-8",
        "Host": host,
    }
    request = MotoRequest.from_values(method="POST", base_url=f"https://{host}", data=form, headers=headers)
    _status, _headers, body = EC2Response.dispatch(request)
    return body.encode() if isinstance(body, str) else bytes(body)
