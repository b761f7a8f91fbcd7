"""moto's EC2 of one account and region: where it is kept, what it holds now, and how it is emptied.

An account number of its own keeps each simulator apart from the others in the process.
"""

import secrets
from collections.abc import Iterable, Iterator
from typing import Any

from moto.ec2.models import ec2_backends

from bridge.lab.devices.aws.item import Item, PrefixList, Rule, SecurityGroup, Tags

OWNED_BY_AWS = "AWS"


class Backend:
    """One region of one account; not safe for several threads."""

    def __init__(self, region: str) -> None:
        self.region = region
        self.account = str(100_000_000_000 + secrets.randbelow(900_000_000_000))
        self.moto: Any = ec2_backends[self.account][region]
        self._factory = {group.id: (group.ingress_rules, group.egress_rules) for group in self._groups()}

    @property
    def vpc(self) -> str:
        """The default VPC."""
        return str(self.moto.default_vpc.id)

    def wipe(self) -> None:
        """As it was at first."""
        lists = self.moto.managed_prefix_lists
        for name in [name for name, one in lists.items() if one.owner_id != OWNED_BY_AWS]:
            del lists[name]
        for group in list(self._groups()):
            if group.id in self._factory:
                group.ingress_rules, group.egress_rules = (list(rules) for rules in self._factory[group.id])
            else:
                del self.moto.groups[group.vpc_id][group.id]
        self.moto.tags.clear()

    def ids(self) -> list[str]:
        """Every prefix list and security group."""
        return [*self.moto.managed_prefix_lists, *(group.id for group in self._groups())]

    def group(self, name: str) -> Any:  # noqa: ANN401 - moto's own
        """The security group of this id, None where there is none."""
        return self.moto.get_security_group_from_id(name)

    def prefix_list(self, name: str) -> Any:  # noqa: ANN401 - moto's own
        """The prefix list of this id, None where there is none."""
        return self.moto.managed_prefix_lists.get(name)

    def observe(self, names: Iterable[str]) -> Iterator[Item]:
        """What is there under these ids, a group followed by its rules."""
        for name in names:
            if (found := self.prefix_list(name)) is not None:
                yield self._prefix_list(found)
            elif (group := self.group(name)) is not None:
                yield self._group(group)
                yield from (self._rule(rule, name) for rule in (*group.ingress_rules, *group.egress_rules))

    def forget(self, names: Iterable[str]) -> None:
        """Tags of what is gone."""
        for name in names:
            self.moto.tags.pop(name, None)

    def _groups(self) -> Iterator[Any]:
        return (group for groups in self.moto.groups.values() for group in groups.values())

    def _tags(self, name: str) -> Tags:
        return tuple(sorted(self.moto.tags.get(name, {}).items()))

    def _prefix_list(self, found: Any) -> PrefixList:  # noqa: ANN401 - moto's own
        entries = found.entries.get(found.version if found.version is not None else 1, ())
        return PrefixList(
            found.id,
            found.prefix_list_name,
            found.address_family,
            found.owner_id,
            found.prefix_list_arn,
            int(found.max_entries) if found.max_entries is not None else None,
            found.version,
            found.state,
            found.state_message or "",
            tuple((one["Cidr"], one.get("Description") or "") for one in entries),
            self._tags(found.id),
        )

    def _group(self, group: Any) -> SecurityGroup:  # noqa: ANN401 - moto's own
        return SecurityGroup(
            group.id,
            group.name,
            group.description,
            group.vpc_id,
            group.owner_id,
            group.is_default,
            self._tags(group.id),
        )

    def _rule(self, rule: Any, group: str) -> Rule:  # noqa: ANN401 - moto's own
        held = rule.ip_range
        peer = rule.prefix_list_id or held.get("CidrIp") or held.get("CidrIpv6") or rule.source_group.get("GroupId")
        return Rule(
            rule.id,
            group,
            rule.owner_id,
            rule.is_egress,
            rule.ip_protocol,
            -1 if rule.from_port is None else int(rule.from_port),
            -1 if rule.to_port is None else int(rule.to_port),
            peer,
            held.get("Description") or rule.source_group.get("Description") or "",
            self._tags(rule.id),
        )
