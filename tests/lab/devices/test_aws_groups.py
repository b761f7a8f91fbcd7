"""Security groups of the simulated account, driven by boto3."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from bridge.lab.devices.aws import Aws, Refusal
from tests.lab.devices.aws import Untyped, by_list, by_prefix, client, code, group, made


@pytest.fixture(scope="module")
def account() -> Iterator[Aws]:
    with Aws() as device:
        yield device


@pytest.fixture(scope="module")
def ec2(account: Aws) -> Iterator[Untyped]:
    with closing(client(account)) as opened:
        yield opened


@pytest.fixture(autouse=True)
def _wiped(account: Aws) -> Iterator[None]:
    yield
    account.limits.rules, account.limits.groups, account.limits.group_page, account.settling = 60, 2500, 1000, 0
    account.wipe()


def rules(ec2: Untyped, name: str) -> list[dict[str, Any]]:
    """The inbound rules of a group."""
    found = ec2.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [name]}])["SecurityGroupRules"]
    return [one for one in found if not one["IsEgress"]]


def test_a_list_weighs_what_it_is_made_for(ec2: Untyped) -> None:
    front, big, rest = group(ec2), made(ec2, size=59), made(ec2, size=1, name="rest")
    ec2.authorize_security_group_ingress(GroupId=front, IpPermissions=[by_list(big), by_list(rest)])
    full = {"GroupId": front, "IpPermissions": [by_prefix("10.0.0.0/8")]}
    assert code(ec2.authorize_security_group_ingress, **full) == "RulesPerSecurityGroupLimitExceeded"
    other = made(ec2, size=60, name="six", family="IPv6")
    ec2.authorize_security_group_ingress(GroupId=front, IpPermissions=[by_list(other)])
    assert len(rules(ec2, front)) == 3


def test_sixty_rules_each_way_and_family(ec2: Untyped) -> None:
    front = group(ec2)
    sixty = [f"10.0.{at}.0/24" for at in range(60)]
    ec2.authorize_security_group_ingress(GroupId=front, IpPermissions=[by_prefix(*sixty)])
    more = {"GroupId": front, "IpPermissions": [by_prefix("10.1.0.0/24")]}
    assert code(ec2.authorize_security_group_ingress, **more) == "RulesPerSecurityGroupLimitExceeded"
    ec2.authorize_security_group_egress(**more)
    six = {"IpProtocol": "tcp", "FromPort": 1, "ToPort": 1, "Ipv6Ranges": [{"CidrIpv6": "2001:db8::/32"}]}
    ec2.authorize_security_group_ingress(GroupId=front, IpPermissions=[six])
    by_group = {"IpProtocol": "tcp", "FromPort": 1, "ToPort": 1, "UserIdGroupPairs": [{"GroupId": front}]}
    given = {"GroupId": front, "IpPermissions": [by_group]}
    assert code(ec2.authorize_security_group_ingress, **given) == "RulesPerSecurityGroupLimitExceeded"


def test_a_larger_quota_is_taken(account: Aws, ec2: Untyped) -> None:
    account.limits.rules = 200
    front = group(ec2)
    ec2.authorize_security_group_ingress(
        GroupId=front, IpPermissions=[by_prefix(*(f"10.0.{at}.0/24" for at in range(150)))]
    )
    assert len(rules(ec2, front)) == 150


def test_all_rules_of_a_call_or_none(ec2: Untyped) -> None:
    front = group(ec2)
    ec2.authorize_security_group_ingress(GroupId=front, IpPermissions=[by_prefix("10.0.0.0/24")])
    both = [by_prefix("10.1.0.0/24"), by_prefix("10.0.0.0/24")]
    assert (
        code(ec2.authorize_security_group_ingress, GroupId=front, IpPermissions=both) == "InvalidPermission.Duplicate"
    )
    lost = [by_prefix("10.1.0.0/24"), by_list("pl-0123456789abcdef0")]
    assert (
        code(ec2.authorize_security_group_ingress, GroupId=front, IpPermissions=lost) == "InvalidPrefixListID.NotFound"
    )
    assert code(ec2.revoke_security_group_ingress, GroupId=front, IpPermissions=both) == "InvalidPermission.NotFound"
    assert [one["CidrIpv4"] for one in rules(ec2, front)] == ["10.0.0.0/24"]
    twice = [by_prefix("10.2.0.0/24", "10.2.0.0/24")]
    assert (
        code(ec2.authorize_security_group_ingress, GroupId=front, IpPermissions=twice) == "InvalidPermission.Duplicate"
    )


def test_the_answer_names_every_rule_and_what_is_written_on_it(ec2: Untyped) -> None:
    front, web = group(ec2), made(ec2)
    tags = [{"ResourceType": "security-group-rule", "Tags": [{"Key": "owner", "Value": "fb"}]}]
    permissions = [by_list(web, description="who is web"), by_prefix("10.0.0.0/8", port=53, protocol="udp")]
    answer = ec2.authorize_security_group_ingress(GroupId=front, IpPermissions=permissions, TagSpecifications=tags)
    there = rules(ec2, front)
    assert answer["SecurityGroupRules"] == there
    assert [(one.get("PrefixListId"), one.get("Description"), one["Tags"][0]["Value"]) for one in there] == [
        (web, "who is web", "fb"),
        (None, None, "fb"),
    ]
    shown = ec2.describe_security_groups(GroupIds=[front])["SecurityGroups"][0]["IpPermissions"]
    assert shown[0]["PrefixListIds"] == [{"PrefixListId": web, "Description": "who is web"}]


def test_rules_go_by_their_ids_or_by_what_they_say(ec2: Untyped) -> None:
    front = group(ec2)
    permissions = [by_prefix("10.0.0.0/24", "10.1.0.0/24", "10.2.0.0/24")]
    made_rules = ec2.authorize_security_group_ingress(GroupId=front, IpPermissions=permissions)["SecurityGroupRules"]
    first = made_rules[0]["SecurityGroupRuleId"]
    ec2.revoke_security_group_ingress(GroupId=front, SecurityGroupRuleIds=[first])
    again = {"GroupId": front, "SecurityGroupRuleIds": [first]}
    assert code(ec2.revoke_security_group_ingress, **again) == "InvalidSecurityGroupRuleId.NotFound"
    ec2.revoke_security_group_ingress(GroupId=front, IpPermissions=[by_prefix("10.1.0.0/24")])
    assert [one["CidrIpv4"] for one in rules(ec2, front)] == ["10.2.0.0/24"]


def test_a_rule_is_changed_under_its_id(ec2: Untyped) -> None:
    front, web, other = group(ec2), made(ec2), made(ec2, size=61, name="other")
    (rule,) = ec2.authorize_security_group_ingress(GroupId=front, IpPermissions=[by_list(web)])["SecurityGroupRules"]
    name = rule["SecurityGroupRuleId"]

    def asked(**peer: str) -> dict[str, Any]:
        changed = {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 90, "Description": "new", **peer}
        return {"GroupId": front, "SecurityGroupRules": [{"SecurityGroupRuleId": name, "SecurityGroupRule": changed}]}

    ec2.modify_security_group_rules(**asked(PrefixListId=web))
    (now,) = rules(ec2, front)
    assert (now["SecurityGroupRuleId"], now["FromPort"], now["ToPort"], now["Description"]) == (name, 80, 90, "new")
    assert code(ec2.modify_security_group_rules, **asked(CidrIpv4="10.0.0.0/8")) == "InvalidParameterValue"
    full = asked(PrefixListId=other)
    assert code(ec2.modify_security_group_rules, **full) == "RulesPerSecurityGroupLimitExceeded"


def test_descriptions_are_changed_in_place(ec2: Untyped) -> None:
    front, web = group(ec2), made(ec2)
    ec2.authorize_security_group_ingress(GroupId=front, IpPermissions=[by_list(web)])
    ec2.update_security_group_rule_descriptions_ingress(
        GroupId=front, IpPermissions=[by_list(web, description="better")]
    )
    assert rules(ec2, front)[0]["Description"] == "better"
    lost = {"GroupId": front, "IpPermissions": [by_list(web, port=1)]}
    assert code(ec2.update_security_group_rule_descriptions_ingress, **lost) == "InvalidPermission.NotFound"


@pytest.mark.parametrize(
    "permission",
    [
        by_prefix("10.0.0.1/8"),
        by_prefix("10.0.0.1"),
        by_prefix("10.0.0.0/8", protocol="carrier-pigeon"),
        by_prefix("10.0.0.0/8", port=70_000),
        {"IpProtocol": "tcp", "IpRanges": [{"CidrIp": "10.0.0.0/8"}]},
        {"IpProtocol": "tcp", "FromPort": 9, "ToPort": 8, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]},
        {"IpProtocol": "icmp", "FromPort": -1, "ToPort": 0, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]},
        {"IpProtocol": "-1", "Ipv6Ranges": [{"CidrIpv6": "2001:db8::1/32"}]},
        {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "10.0.0.0/8", "Description": "x" * 256}]},
        {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "10.0.0.0/8", "Description": "größer"}]},
        {"IpProtocol": "-1", "Ipv6Ranges": [{"CidrIpv6": "2001:db8::/32", "Description": "a & b"}]},
    ],
)
def test_a_permission_that_cannot_be(ec2: Untyped, permission: dict[str, Any]) -> None:
    given = {"GroupId": group(ec2), "IpPermissions": [permission]}
    assert code(ec2.authorize_security_group_ingress, **given) == "InvalidParameterValue"


def test_protocols_are_kept_by_name_where_they_have_one(ec2: Untyped) -> None:
    front = group(ec2)
    protocols = {"6": "tcp", "17": "udp", "1": "icmp", "58": "icmpv6", "47": "47", "-1": "-1"}
    for said in protocols:
        ec2.authorize_security_group_ingress(
            GroupId=front,
            IpPermissions=[{"IpProtocol": said, "FromPort": 8, "ToPort": 8, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}],
        )
    found = [(one["IpProtocol"], one["FromPort"]) for one in rules(ec2, front)]
    assert found == [("tcp", 8), ("udp", 8), ("icmp", 8), ("icmpv6", 8), ("47", -1), ("-1", -1)]


@pytest.mark.parametrize("name", ["sg-mine", "SG-mine", "x" * 256, "grün"])
def test_names_of_groups_that_cannot_be(ec2: Untyped, name: str) -> None:
    assert code(ec2.create_security_group, GroupName=name, Description="x") == "InvalidParameterValue"


def test_names_are_unique_whatever_their_case(ec2: Untyped) -> None:
    group(ec2, "front")
    assert code(ec2.create_security_group, GroupName="Front", Description="x") == "InvalidGroup.Duplicate"


def test_groups_are_limited_and_stay_while_they_are_needed(account: Aws, ec2: Untyped) -> None:
    front, back = group(ec2), group(ec2, "back")
    account.limits.groups = 3
    assert code(ec2.create_security_group, GroupName="more", Description="x") == "SecurityGroupLimitExceeded"
    by_group = {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": front}]}
    ec2.authorize_security_group_ingress(GroupId=back, IpPermissions=[by_group])
    assert code(ec2.delete_security_group, GroupId=front) == "DependencyViolation"
    ec2.revoke_security_group_ingress(GroupId=back, IpPermissions=[by_group])
    account.place("192.0.2.0/24", front)
    assert code(ec2.delete_security_group, GroupId=front) == "DependencyViolation"
    account.place("192.0.2.0/24")
    ec2.delete_security_group(GroupId=front)
    assert code(ec2.describe_security_groups, GroupIds=[front]) == "InvalidGroup.NotFound"


def test_rules_come_in_pages(account: Aws, ec2: Untyped) -> None:
    front = group(ec2)
    ec2.authorize_security_group_ingress(
        GroupId=front, IpPermissions=[by_prefix(*(f"10.0.{at}.0/24" for at in range(20)))]
    )
    mine = [{"Name": "group-id", "Values": [front]}]
    pages = ec2.get_paginator("describe_security_group_rules").paginate(Filters=mine, PaginationConfig={"PageSize": 8})
    assert [len(page["SecurityGroupRules"]) for page in pages] == [8, 8, 5]
    assert code(ec2.describe_security_group_rules, MaxResults=1001) == "InvalidParameterValue"
    assert code(ec2.describe_security_groups, MaxResults=1001) == "InvalidParameterValue"
    with pytest.raises(Refusal, match="InvalidParameterValue"):
        account.call("DescribeSecurityGroupRules", {"MaxResults": "4"})
    account.limits.group_page = 10
    assert "NextToken" in ec2.describe_security_group_rules(Filters=mine)


def test_tags_are_limited(ec2: Untyped) -> None:
    front = group(ec2)
    ec2.create_tags(Resources=[front], Tags=[{"Key": f"k{at}", "Value": "v"} for at in range(50)])
    more = {"Resources": [front], "Tags": [{"Key": "one", "Value": "more"}]}
    assert code(ec2.create_tags, **more) == "TagLimitExceeded"
    ec2.create_tags(Resources=[front], Tags=[{"Key": "k0", "Value": "other"}])
    for key, value in (("aws:x", "v"), ("k" * 129, "v"), ("k0", "v" * 257)):
        given = {"Resources": [front], "Tags": [{"Key": key, "Value": value}]}
        assert code(ec2.create_tags, **given) == "InvalidParameterValue"
    lost = {"Resources": ["pl-0123456789abcdef0"], "Tags": [{"Key": "a", "Value": "b"}]}
    assert code(ec2.create_tags, **lost) == "InvalidPrefixListID.NotFound"
    ec2.delete_tags(Resources=[front], Tags=[{"Key": "k0", "Value": "v"}, {"Key": "k1"}])
    held = {
        one["Key"]: one["Value"] for one in ec2.describe_security_groups(GroupIds=[front])["SecurityGroups"][0]["Tags"]
    }
    assert ("k1" in held, held["k0"]) == (False, "other")
    found = ec2.describe_tags(Filters=[{"Name": "resource-id", "Values": [front]}])["Tags"]
    assert len(found) == 49


def test_a_list_that_is_being_made_or_deleted_is_not_referred_to(account: Aws, ec2: Untyped) -> None:
    account.settling = 60
    web, front = made(ec2), group(ec2)
    given = {"GroupId": front, "IpPermissions": [by_list(web)]}
    assert code(ec2.authorize_security_group_ingress, **given) == "IncorrectState"
    account.clock.advance(60)
    ec2.authorize_security_group_ingress(**given)
