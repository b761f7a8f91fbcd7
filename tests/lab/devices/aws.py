"""boto3 against the simulated account, and what its tests have in common."""

from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from bridge.lab.devices.aws import Aws

Untyped = Any
"""Clients of boto3, which carry no types."""

_SESSION = boto3.Session()


def client(device: Aws, *, service: str = "ec2", secret: str = "", key: str = "", region: str = "") -> Untyped:
    """A client that asks once and says what it is told."""
    return _SESSION.client(
        service,
        endpoint_url=device.url,
        region_name=region or device.region,
        aws_access_key_id=key or device.username,
        aws_secret_access_key=secret or device.password,
        verify=device.ca,
        config=Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=5),
    )


def code(call: Callable[..., Any], **given: Any) -> str:  # noqa: ANN401
    """The code with which the call is refused."""
    with pytest.raises(ClientError) as caught:
        call(**given)
    return str(caught.value.response["Error"]["Code"])


def made(ec2: Untyped, *prefixes: str, name: str = "web", size: int = 10, family: str = "IPv4", **more: Any) -> str:  # noqa: ANN401
    """A prefix list; its id."""
    entries = [{"Cidr": one} for one in prefixes]
    answer = ec2.create_managed_prefix_list(
        PrefixListName=name, MaxEntries=size, AddressFamily=family, Entries=entries, **more
    )
    return str(answer["PrefixList"]["PrefixListId"])


def group(ec2: Untyped, name: str = "front", **more: Any) -> str:  # noqa: ANN401
    """A security group; its id."""
    return str(ec2.create_security_group(GroupName=name, Description="a group", **more)["GroupId"])


def told(ec2: Untyped, name: str) -> Any:  # noqa: ANN401
    """What is told of a prefix list."""
    return ec2.describe_managed_prefix_lists(PrefixListIds=[name])["PrefixLists"][0]


def entries(ec2: Untyped, name: str, **more: Any) -> list[str]:  # noqa: ANN401
    """The prefixes of a list."""
    return [one["Cidr"] for one in ec2.get_managed_prefix_list_entries(PrefixListId=name, **more)["Entries"]]


def by_list(name: str, port: int = 443, description: str = "") -> dict[str, Any]:
    """A permission for who is in a prefix list."""
    peer = {"PrefixListId": name} | ({"Description": description} if description else {})
    return {"IpProtocol": "tcp", "FromPort": port, "ToPort": port, "PrefixListIds": [peer]}


def by_prefix(*prefixes: str, port: int = 443, protocol: str = "tcp") -> dict[str, Any]:
    """A permission for prefixes of IPv4."""
    ranges = [{"CidrIp": one} for one in prefixes]
    return {"IpProtocol": protocol, "FromPort": port, "ToPort": port, "IpRanges": ranges}
