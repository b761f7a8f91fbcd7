"""Managed prefix lists of the simulated account, driven by boto3: what moto accepts and Amazon refuses is refused."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from bridge.lab.devices.aws import Aws
from tests.lab.devices.aws import Untyped, by_list, client, code, entries, group, made, told

_A, _B, _C = "10.0.0.1/32", "10.0.0.2/32", "10.0.0.3/32"


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
    account.settling = 0
    account.limits.prefix_lists, account.limits.versions, account.limits.removals_first = 100, 1000, True
    account.wipe()


def change(ec2: Untyped, name: str, version: int, add: Any = (), remove: Any = (), **more: Any) -> dict[str, Any]:  # noqa: ANN401
    """The parameters of a change."""
    return {
        "PrefixListId": name,
        "CurrentVersion": version,
        "AddEntries": [{"Cidr": one} for one in add],
        "RemoveEntries": [{"Cidr": one} for one in remove],
        **more,
    }


def test_a_change_of_entries_makes_a_version_and_a_name_or_a_size_makes_none(ec2: Untyped) -> None:
    name = made(ec2, _A)
    ec2.modify_managed_prefix_list(**change(ec2, name, 1, [_B], [_A]))
    ec2.modify_managed_prefix_list(PrefixListId=name, PrefixListName="other")
    ec2.modify_managed_prefix_list(PrefixListId=name, MaxEntries=12)
    held = told(ec2, name)
    assert (held["Version"], held["PrefixListName"], held["MaxEntries"]) == (2, "other", 12)
    assert (entries(ec2, name), entries(ec2, name, TargetVersion=1)) == ([_B], [_A])


def test_a_name_that_is_not_said_stays(ec2: Untyped) -> None:
    name = made(ec2, _A, name="web")
    ec2.modify_managed_prefix_list(**change(ec2, name, 1, [_B]))
    assert told(ec2, name)["PrefixListName"] == "web"


def test_a_stale_version_is_refused_and_so_is_none(ec2: Untyped) -> None:
    name = made(ec2, _A)
    ec2.modify_managed_prefix_list(**change(ec2, name, 1, [_B]))
    assert code(ec2.modify_managed_prefix_list, **change(ec2, name, 1, [_C])) == "PrefixListVersionMismatch"
    assert code(ec2.modify_managed_prefix_list, **change(ec2, name, 3, [_C])) == "PrefixListVersionMismatch"
    blind = {"PrefixListId": name, "AddEntries": [{"Cidr": _C}]}
    assert code(ec2.modify_managed_prefix_list, **blind) == "MissingParameter"
    assert entries(ec2, name) == [_A, _B]


def test_a_change_takes_a_while_in_which_there_is_no_other(account: Aws, ec2: Untyped) -> None:
    account.settling = 5
    name = made(ec2, _A)
    assert told(ec2, name)["State"] == "create-in-progress"
    assert code(ec2.modify_managed_prefix_list, **change(ec2, name, 1, [_B])) == "IncorrectState"
    account.clock.advance(5)
    answer = ec2.modify_managed_prefix_list(**change(ec2, name, 1, [_B]))["PrefixList"]
    assert (answer["State"], answer["Version"], entries(ec2, name)) == ("modify-in-progress", 1, [_A])
    assert code(ec2.delete_managed_prefix_list, PrefixListId=name) == "IncorrectState"
    account.clock.advance(5)
    held = told(ec2, name)
    assert (held["State"], held["Version"], entries(ec2, name)) == ("modify-complete", 2, [_A, _B])
    assert ec2.delete_managed_prefix_list(PrefixListId=name)["PrefixList"]["State"] == "delete-in-progress"
    account.clock.advance(5)
    assert code(ec2.describe_managed_prefix_lists, PrefixListIds=[name]) == "InvalidPrefixListID.NotFound"


def test_also_a_change_that_is_quick_is_first_said_to_be_under_way(ec2: Untyped) -> None:
    name = made(ec2, _A)
    assert ec2.modify_managed_prefix_list(**change(ec2, name, 1, [_B]))["PrefixList"]["State"] == "modify-in-progress"
    assert told(ec2, name)["State"] == "modify-complete"


def test_a_hundred_changes_fit_one_call(ec2: Untyped) -> None:
    many = [f"10.1.0.{at}/32" for at in range(101)]
    name = made(ec2, *many[:100], size=200)
    assert code(ec2.modify_managed_prefix_list, **change(ec2, name, 1, remove=many)) == "InvalidParameterValue"
    others = [f"10.2.0.{at}/32" for at in range(101)]
    assert code(ec2.modify_managed_prefix_list, **change(ec2, name, 1, others)) == "InvalidParameterValue"
    ec2.modify_managed_prefix_list(**change(ec2, name, 1, others[:100], many[:100]))
    assert len(entries(ec2, name)) == 100
    too_many = {"PrefixListName": "more", "MaxEntries": 200, "AddressFamily": "IPv4"}
    assert code(ec2.create_managed_prefix_list, Entries=[{"Cidr": one} for one in many], **too_many) == (
        "InvalidParameterValue"
    )


def test_no_more_entries_than_the_list_is_made_for(account: Aws, ec2: Untyped) -> None:
    name = made(ec2, _A, _B, size=2)
    assert code(ec2.modify_managed_prefix_list, **change(ec2, name, 1, [_C])) == "PrefixListMaxEntriesExceeded"
    full = {"PrefixListName": "x", "MaxEntries": 1, "AddressFamily": "IPv4"}
    assert code(ec2.create_managed_prefix_list, Entries=[{"Cidr": _A}, {"Cidr": _B}], **full) == (
        "PrefixListMaxEntriesExceeded"
    )
    account.limits.removals_first = False
    assert code(ec2.modify_managed_prefix_list, **change(ec2, name, 1, [_C], [_A])) == "PrefixListMaxEntriesExceeded"
    account.limits.removals_first = True
    ec2.modify_managed_prefix_list(**change(ec2, name, 1, [_C], [_A]))
    assert entries(ec2, name) == [_B, _C]


@pytest.mark.parametrize("size", [0, 1001])
def test_sizes_are_from_one_to_a_thousand(ec2: Untyped, size: int) -> None:
    given = {"PrefixListName": "x", "AddressFamily": "IPv4", "MaxEntries": size}
    assert code(ec2.create_managed_prefix_list, **given) == "InvalidParameterValue"
    assert code(ec2.modify_managed_prefix_list, PrefixListId=made(ec2), MaxEntries=size) == "InvalidParameterValue"


@pytest.mark.parametrize(
    ("family", "prefix"),
    [
        ("IPv4", "10.0.0.1/8"),
        ("IPv4", "10.0.0.1"),
        ("IPv4", "any"),
        ("IPv4", "2001:db8::/32"),
        ("IPv6", "10.0.0.0/8"),
        ("IPv6", "2001:DB8::/32"),
        ("IPv6", "2001:db8::1/32"),
        ("IPv4", "10.0.0.0/255.0.0.0"),
    ],
)
def test_a_prefix_is_canonical_and_of_the_family(ec2: Untyped, family: str, prefix: str) -> None:
    given = {"PrefixListName": "x", "AddressFamily": family, "MaxEntries": 5}
    assert code(ec2.create_managed_prefix_list, Entries=[{"Cidr": prefix}], **given) == "InvalidParameterValue"
    name = made(ec2, family=family)
    assert code(ec2.modify_managed_prefix_list, **change(ec2, name, 1, [prefix])) == "InvalidParameterValue"


@pytest.mark.parametrize(("add", "remove"), [([_A], []), ([_B, _B], []), ([], [_C]), ([_A], [_A])])
def test_nothing_comes_twice_and_nothing_goes_that_is_not_there(
    ec2: Untyped, add: list[str], remove: list[str]
) -> None:
    name = made(ec2, _A)
    assert code(ec2.modify_managed_prefix_list, **change(ec2, name, 1, add, remove)) == "InvalidPrefixListModification"
    assert (told(ec2, name)["Version"], entries(ec2, name)) == (1, [_A])


def test_entries_and_size_are_not_changed_together(ec2: Untyped) -> None:
    name = made(ec2, _A)
    both = change(ec2, name, 1, [_B], MaxEntries=20)
    assert code(ec2.modify_managed_prefix_list, **both) == "InvalidParameterCombination"


def test_it_grows_only_where_every_group_that_refers_to_it_has_room(ec2: Untyped) -> None:
    name, other, front = made(ec2, _A, size=10), made(ec2, size=40, name="other"), group(ec2)
    permissions = [by_list(name), by_list(other)]
    ec2.authorize_security_group_ingress(GroupId=front, IpPermissions=permissions)
    ec2.modify_managed_prefix_list(PrefixListId=name, MaxEntries=20)
    assert (told(ec2, name)["State"], told(ec2, name)["MaxEntries"]) == ("modify-complete", 20)
    ec2.modify_managed_prefix_list(PrefixListId=name, MaxEntries=21)
    held = told(ec2, name)
    assert (held["State"], held["MaxEntries"], held["Version"]) == ("modify-failed", 20, 1)
    assert front in held["StateMessage"]
    ec2.modify_managed_prefix_list(**change(ec2, name, 1, [_B]))
    assert told(ec2, name)["State"] == "modify-complete"


def test_it_does_not_shrink_below_what_it_holds(ec2: Untyped) -> None:
    name = made(ec2, _A, _B)
    assert code(ec2.modify_managed_prefix_list, PrefixListId=name, MaxEntries=1) == "InvalidParameterValue"


def test_one_that_is_referred_to_stays(ec2: Untyped) -> None:
    name, front = made(ec2, _A), group(ec2)
    ec2.authorize_security_group_ingress(GroupId=front, IpPermissions=[by_list(name)])
    assert code(ec2.delete_managed_prefix_list, PrefixListId=name) == "DependencyViolation"
    found = ec2.get_managed_prefix_list_associations(PrefixListId=name)["PrefixListAssociations"]
    assert [one["ResourceId"] for one in found] == [front]
    ec2.revoke_security_group_ingress(GroupId=front, IpPermissions=[by_list(name)])
    ec2.delete_managed_prefix_list(PrefixListId=name)
    assert code(ec2.get_managed_prefix_list_entries, PrefixListId=name) == "InvalidPrefixListID.NotFound"


def test_the_same_token_makes_one_list(ec2: Untyped) -> None:
    first = made(ec2, _A, ClientToken="once")
    assert made(ec2, _A, ClientToken="once") == first
    other = {"PrefixListName": "other", "MaxEntries": 3, "AddressFamily": "IPv4", "ClientToken": "once"}
    assert code(ec2.create_managed_prefix_list, **other) == "IdempotentParameterMismatch"


def test_there_are_a_hundred_and_amazons_own_do_not_count(account: Aws, ec2: Untyped) -> None:
    account.limits.prefix_lists = 2
    made(ec2, name="a")
    gone = made(ec2, name="b")
    third = {"PrefixListName": "c", "MaxEntries": 3, "AddressFamily": "IPv4"}
    assert code(ec2.create_managed_prefix_list, **third) == "PrefixListLimitExceeded"
    ec2.delete_managed_prefix_list(PrefixListId=gone)
    made(ec2, name="c")
    amazons = [one for one in ec2.describe_managed_prefix_lists()["PrefixLists"] if one["OwnerId"] == "AWS"]
    assert amazons
    name = amazons[0]["PrefixListId"]
    assert code(ec2.delete_managed_prefix_list, PrefixListId=name) == "UnauthorizedOperation"
    assert code(ec2.create_tags, Resources=[name], Tags=[{"Key": "a", "Value": "b"}]) == "UnauthorizedOperation"


@pytest.mark.parametrize("name", ["com.amazonaws.mine", "", "x" * 256])
def test_names_that_cannot_be(ec2: Untyped, name: str) -> None:
    given = {"PrefixListName": name, "MaxEntries": 3, "AddressFamily": "IPv4"}
    assert code(ec2.create_managed_prefix_list, **given) == "InvalidParameterValue"


def test_a_description_has_its_length_and_letters(ec2: Untyped) -> None:
    name = made(ec2)
    for words in ("x" * 256, "grün", "a\nb"):
        given = {"PrefixListId": name, "CurrentVersion": 1, "AddEntries": [{"Cidr": _A, "Description": words}]}
        assert code(ec2.modify_managed_prefix_list, **given) == "InvalidParameterValue"


def test_entries_come_in_pages_of_a_hundred(ec2: Untyped) -> None:
    name = made(ec2, *(f"10.1.0.{at}/32" for at in range(100)), size=200)
    ec2.modify_managed_prefix_list(**change(ec2, name, 1, [f"10.2.0.{at}/32" for at in range(50)]))
    first = ec2.get_managed_prefix_list_entries(PrefixListId=name)
    assert len(first["Entries"]) == 100
    rest = ec2.get_managed_prefix_list_entries(PrefixListId=name, NextToken=first["NextToken"])
    assert (len(rest["Entries"]), "NextToken" in rest) == (50, False)
    pages = ec2.get_paginator("get_managed_prefix_list_entries").paginate(
        PrefixListId=name, PaginationConfig={"PageSize": 40}
    )
    assert [len(page["Entries"]) for page in pages] == [40, 40, 40, 30]
    assert code(ec2.get_managed_prefix_list_entries, PrefixListId=name, MaxResults=101) == "InvalidParameterValue"
    assert code(ec2.get_managed_prefix_list_entries, PrefixListId=name, NextToken="?") == "InvalidNextToken"
    assert code(ec2.get_managed_prefix_list_entries, PrefixListId=name, TargetVersion=3) == "InvalidParameterValue"


def test_lists_are_found_by_name_and_by_tag(ec2: Untyped) -> None:
    tags = [{"ResourceType": "prefix-list", "Tags": [{"Key": "owner", "Value": "fb"}]}]
    name = made(ec2, name="fb/web", TagSpecifications=tags)
    made(ec2, name="other")
    for filters in (
        {"Name": "prefix-list-name", "Values": ["fb/*"]},
        {"Name": "tag:owner", "Values": ["fb"]},
        {"Name": "tag-key", "Values": ["owner"]},
        {"Name": "prefix-list-id", "Values": [name]},
    ):
        found = ec2.describe_managed_prefix_lists(Filters=[filters])["PrefixLists"]
        assert [one["PrefixListId"] for one in found] == [name]
    wrong = [{"Name": "colour", "Values": ["red"]}]
    assert code(ec2.describe_managed_prefix_lists, Filters=wrong) == "InvalidParameterValue"


def test_an_earlier_version_is_restored_as_a_new_one(account: Aws, ec2: Untyped) -> None:
    name = made(ec2, _A)
    ec2.modify_managed_prefix_list(**change(ec2, name, 1, [_B], [_A]))
    ec2.restore_managed_prefix_list_version(PrefixListId=name, PreviousVersion=1, CurrentVersion=2)
    held = told(ec2, name)
    assert (held["Version"], held["State"], entries(ec2, name)) == (3, "restore-complete", [_A])
    account.limits.versions = 2
    ec2.modify_managed_prefix_list(**change(ec2, name, 3, [_B]))
    wrong = {"PrefixListId": name, "PreviousVersion": 2, "CurrentVersion": 4}
    assert code(ec2.restore_managed_prefix_list_version, **wrong) == "InvalidParameterValue"
