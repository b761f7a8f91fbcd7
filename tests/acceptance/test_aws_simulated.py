"""The simulated AWS account: alone, for Amazon's own client; and as strict as Amazon where moto is not."""

import ssl
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import boto3
import httpx
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from bridge.lab.devices.aws import Aws
from tests.acceptance.test_lab import KEYS, lab

Client = Any
"""Of boto3, which has no types."""


@contextmanager
def client(found: dict[str, Any]) -> Iterator[Client]:
    """Amazon's client for what a simulator tells of itself."""
    with closing(
        boto3.client(
            "ec2",
            endpoint_url=found["url"],
            region_name=found["region"],
            aws_access_key_id=found["username"],
            aws_secret_access_key=found["password"],
            verify=found["ca"],
            config=Config(retries={"total_max_attempts": 1}),
        )
    ) as opened:
        yield opened


def refusal(call: Callable[..., Any], **given: Any) -> str:  # noqa: ANN401
    """The code with which a call is refused."""
    with pytest.raises(ClientError) as caught:
        call(**given)
    return str(caught.value.response["Error"]["Code"])


def a_list(ec2: Client, *prefixes: str, name: str = "web", size: int = 10) -> str:
    """A prefix list; its id."""
    entries = [{"Cidr": one} for one in prefixes]
    given = {"PrefixListName": name, "MaxEntries": size, "AddressFamily": "IPv4", "Entries": entries}
    return str(ec2.create_managed_prefix_list(**given)["PrefixList"]["PrefixListId"])


def admitting(*names: str) -> list[dict[str, Any]]:
    """Permissions for those in these lists."""
    return [
        {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "PrefixListIds": [{"PrefixListId": name}]}
        for name in names
    ]


@pytest.mark.acceptance("devices: `lab device aws` alone: one JSON line; boto3 drives it; SIGTERM ends it")
def test_alone() -> None:
    with lab("device", "aws") as found:
        assert set(found) >= KEYS
        with (
            client(found) as ec2,
            httpx.Client(base_url=found["url"], verify=ssl.create_default_context(cafile=found["ca"])) as told,
        ):
            front = ec2.create_security_group(GroupName="front", Description="x")["GroupId"]
            told.post("/__lab/interfaces", json={"prefix": "192.0.2.0/24", "groups": [front]})
            name = a_list(ec2, "10.0.0.1/32")
            ec2.authorize_security_group_ingress(GroupId=front, IpPermissions=admitting(name))
            asked = {"source": "10.0.0.1", "destination": "192.0.2.1", "port": "443"}
            assert told.get("/__lab/decide", params=asked).json()["allowed"]
            gone = {"PrefixListId": name, "CurrentVersion": 1, "RemoveEntries": [{"Cidr": "10.0.0.1/32"}]}
            ec2.modify_managed_prefix_list(**gone)
            assert not told.get("/__lab/decide", params=asked).json()["allowed"]


@pytest.mark.acceptance("devices: the simulated AWS account refuses what moto accepts and Amazon refuses")
def test_strict() -> None:
    with Aws() as device, client(dict(device.document())) as ec2:
        front = ec2.create_security_group(GroupName="front", Description="x")["GroupId"]
        name, heavy = a_list(ec2, "10.0.0.1/32", size=20), a_list(ec2, name="heavy", size=41)
        many = [{"Cidr": f"10.1.0.{at}/32"} for at in range(101)]
        cases: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
            "PrefixListVersionMismatch": (_change(ec2, name), {"CurrentVersion": 7, "AddEntries": many[:1]}),
            "PrefixListMaxEntriesExceeded": (_change(ec2, name), {"CurrentVersion": 1, "AddEntries": many[:20]}),
            "InvalidParameterValue": (_change(ec2, name), {"CurrentVersion": 1, "AddEntries": many}),
            "InvalidParameterCombination": (
                _change(ec2, name),
                {"CurrentVersion": 1, "AddEntries": many[:1], "MaxEntries": 30},
            ),
            "InvalidPrefixListModification": (_change(ec2, name), {"CurrentVersion": 1, "RemoveEntries": many[:1]}),
            "InvalidPrefixListID.NotFound": (
                ec2.authorize_security_group_ingress,
                {"GroupId": front, "IpPermissions": admitting("pl-0123456789abcdef0")},
            ),
            "RulesPerSecurityGroupLimitExceeded": (
                ec2.authorize_security_group_ingress,
                {"GroupId": front, "IpPermissions": admitting(name, heavy)},
            ),
        }
        before = device.digest()
        assert {code: refusal(call, **given) for code, (call, given) in cases.items()} == {code: code for code in cases}
        assert device.digest() == before
        ec2.authorize_security_group_ingress(GroupId=front, IpPermissions=admitting(name))
        assert refusal(ec2.delete_managed_prefix_list, PrefixListId=name) == "DependencyViolation"


def _change(ec2: Client, name: str) -> Callable[..., Any]:
    return lambda **given: ec2.modify_managed_prefix_list(PrefixListId=name, **given)


@pytest.mark.acceptance("devices: the simulated AWS account takes its time for a change, and tells who calls too often")
def test_slow() -> None:
    with Aws(settling=3600) as device, client(dict(device.document())) as ec2:
        name = a_list(ec2, "10.0.0.1/32")
        change = {"PrefixListId": name, "CurrentVersion": 1, "AddEntries": [{"Cidr": "10.0.0.2/32"}]}
        assert refusal(ec2.modify_managed_prefix_list, **change) == "IncorrectState"
        device.clock.advance(3600)
        assert ec2.modify_managed_prefix_list(**change)["PrefixList"]["State"] == "modify-in-progress"
        assert device.members(name) == {"10.0.0.1/32"}
        device.clock.advance(3600)
        assert device.members(name) == {"10.0.0.1/32", "10.0.0.2/32"}
        moment = device.clock.now()
        device.throttle.now, device.throttle.on = (lambda: moment), True
        codes = [refusal(ec2.delete_managed_prefix_list, PrefixListId="pl-0123456789abcdef0") for _ in range(51)]
        assert codes == ["InvalidPrefixListID.NotFound"] * 50 + ["RequestLimitExceeded"]
