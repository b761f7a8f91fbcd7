"""What an account holds, as values: prefix lists, security groups and their rules, by their ids."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from hashlib import sha256
from typing import Any

Tags = tuple[tuple[str, str], ...]
Shown = dict[str, Any]


@dataclass(frozen=True, slots=True)
class PrefixList:
    """A managed prefix list in its latest version; `entries` are pairs of prefix and description."""

    id: str
    name: str
    family: str
    owner: str
    arn: str
    max_entries: int | None
    version: int | None
    state: str
    message: str
    entries: Tags
    tags: Tags

    def show(self) -> Shown:
        """As DescribeManagedPrefixLists has it."""
        return {
            "PrefixListId": self.id,
            "PrefixListName": self.name,
            "AddressFamily": self.family,
            "OwnerId": self.owner,
            "PrefixListArn": self.arn,
            "MaxEntries": self.max_entries,
            "Version": self.version,
            "State": self.state,
            "StateMessage": self.message or None,
            "Tags": shown_tags(dict(self.tags)),
        }

    def filters(self) -> dict[str, str]:
        """What a filter of that name is compared with."""
        return {"owner-id": self.owner, "prefix-list-id": self.id, "prefix-list-name": self.name}


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of a security group. `peer` is a prefix, or the id of a prefix list or of a security group.

    `low` and `high` are ports, or type and code of ICMP; -1 where any will do.
    """

    id: str
    group: str
    owner: str
    egress: bool
    protocol: str
    low: int
    high: int
    peer: str
    description: str
    tags: Tags

    @property
    def matches(self) -> tuple[object, ...]:
        """What two rules of a group cannot both be."""
        return self.egress, self.protocol, self.low, self.high, self.peer

    def show(self) -> Shown:
        """As DescribeSecurityGroupRules has it."""
        kind = peer_kind(self.peer)
        return {
            "SecurityGroupRuleId": self.id,
            "GroupId": self.group,
            "GroupOwnerId": self.owner,
            "IsEgress": self.egress,
            "IpProtocol": self.protocol,
            "FromPort": self.low,
            "ToPort": self.high,
            _PEERS[kind]: {"GroupId": self.peer, "UserId": self.owner} if kind == "group" else self.peer,
            "Description": self.description or None,
            "Tags": shown_tags(dict(self.tags)),
        }

    def filters(self) -> dict[str, str]:
        """What a filter of that name is compared with."""
        return {"group-id": self.group, "security-group-rule-id": self.id}


@dataclass(frozen=True, slots=True)
class SecurityGroup:
    """A security group without its rules."""

    id: str
    name: str
    description: str
    vpc: str
    owner: str
    default: bool
    tags: Tags

    def show(self, rules: Iterable[Rule]) -> Shown:
        """As DescribeSecurityGroups has it, the rules folded by protocol and ports."""
        ways: dict[bool, dict[tuple[str, int, int], Shown]] = {False: {}, True: {}}
        for rule in rules:
            way = ways[rule.egress].setdefault((rule.protocol, rule.low, rule.high), _way(rule))
            name, field = _FOLDED[peer_kind(rule.peer)]
            peer = {field: rule.peer} | ({"Description": rule.description} if rule.description else {})
            way[name].append(peer | ({"UserId": rule.owner} if name == "UserIdGroupPairs" else {}))
        return {
            "GroupId": self.id,
            "GroupName": self.name,
            "Description": self.description,
            "VpcId": self.vpc,
            "OwnerId": self.owner,
            "IpPermissions": list(ways[False].values()),
            "IpPermissionsEgress": list(ways[True].values()),
            "Tags": shown_tags(dict(self.tags)),
        }

    def filters(self) -> dict[str, str]:
        """What a filter of that name is compared with."""
        return {
            "group-id": self.id,
            "group-name": self.name,
            "vpc-id": self.vpc,
            "owner-id": self.owner,
            "description": self.description,
        }


Item = PrefixList | Rule | SecurityGroup
_PEERS = {
    "IPv4": "CidrIpv4",
    "IPv6": "CidrIpv6",
    "list": "PrefixListId",
    "group": "ReferencedGroupInfo",
}
_FOLDED = {
    "IPv4": ("IpRanges", "CidrIp"),
    "IPv6": ("Ipv6Ranges", "CidrIpv6"),
    "list": ("PrefixListIds", "PrefixListId"),
    "group": ("UserIdGroupPairs", "GroupId"),
}


class State(dict[str, Item]):
    """Items by id."""

    def prefix_lists(self) -> Iterator[PrefixList]:
        """The prefix lists, in order of creation."""
        return (one for one in self.values() if isinstance(one, PrefixList))

    def groups(self) -> Iterator[SecurityGroup]:
        """The security groups."""
        return (one for one in self.values() if isinstance(one, SecurityGroup))

    def rules(self, group: str = "") -> Iterator[Rule]:
        """The rules, or those of one group."""
        return (one for one in self.values() if isinstance(one, Rule) and group in ("", one.group))

    def prefix_list(self, name: str) -> PrefixList | None:
        """The prefix list of this id."""
        found = self.get(name)
        return found if isinstance(found, PrefixList) else None

    def group(self, name: str) -> SecurityGroup | None:
        """The security group of this id."""
        found = self.get(name)
        return found if isinstance(found, SecurityGroup) else None

    def digest(self) -> str:
        """Equal for equal states."""
        return sha256("\n".join(repr(self[name]) for name in sorted(self)).encode()).hexdigest()


def peer_kind(peer: str) -> str:
    """`IPv4`, `IPv6`, `list` or `group`."""
    if peer.startswith("pl-"):
        return "list"
    if peer.startswith("sg-"):
        return "group"
    return "IPv6" if ":" in peer else "IPv4"


def meets(item: Item, filters: Iterable[tuple[str, Iterable[str]]]) -> bool:
    """Whether the item passes every filter; one value of each is enough, with `*` and `?` in it."""
    tags = dict(item.tags)
    own = item.filters()
    for name, values in filters:
        if name == "tag-key":
            held = list(tags)
        elif name.startswith("tag:"):
            held = [tags[name[4:]]] if name[4:] in tags else []
        else:
            held = [own[name]]
        if not any(fnmatchcase(one, value.replace("[", "[[]")) for one in held for value in values):
            return False
    return True


def _way(rule: Rule) -> Shown:
    way: Shown = {"IpProtocol": rule.protocol} | {name: [] for name, _ in _FOLDED.values()}
    if rule.protocol in ("tcp", "udp", "icmp", "icmpv6"):
        way |= {"FromPort": rule.low, "ToPort": rule.high}
    return way


def shown_tags(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """As the API has them."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]
