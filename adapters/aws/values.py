"""What EC2 answers, as values: prefix lists and entries of security groups."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from adapters.aws.scope import FAMILIES

AMAZON = "AWS"
_PORTED = ("tcp", "udp", "icmp", "icmpv6")
ANY_PORT = (-1, -1)


@dataclass(frozen=True, slots=True)
class PrefixList:
    """One managed prefix list, without its entries."""

    id: str
    name: str
    family: str
    version: int
    size: int  # MaxEntries
    state: str
    message: str = ""
    account: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> "PrefixList":
        """As it is told."""
        return cls(
            str(told.get("PrefixListId", "")),
            str(told.get("PrefixListName", "")),
            str(told.get("AddressFamily", "")),
            int(told.get("Version") or 0),
            int(told.get("MaxEntries") or 0),
            str(told.get("State", "")),
            str(told.get("StateMessage") or ""),
            str(told.get("OwnerId", "")),
            _tags(told.get("Tags")),
        )

    @property
    def moving(self) -> bool:
        """Whether a change of it is not complete."""
        return self.state.endswith("-in-progress")

    @property
    def failed(self) -> bool:
        """Whether the last change of it was not made after all."""
        return self.state.endswith("-failed")

    def differs(self, before: "PrefixList") -> bool:
        """Whether a change of it was made, or has failed."""
        return self.failed or (self.version, self.size) != (before.version, before.size)

    @property
    def gone(self) -> bool:
        """Whether it is told of though it is no more."""
        return self.state == "delete-complete"


@dataclass(frozen=True, slots=True, order=True)
class Way:
    """What kind of traffic an entry lets in: a protocol as EC2 calls it, and ports, or type and code of ICMP."""

    protocol: str
    first: int = -1
    last: int = -1

    def __str__(self) -> str:
        if self.protocol == "-1":
            return "every protocol"
        return self.protocol if (self.first, self.last) == ANY_PORT else f"{self.protocol} {self.first}-{self.last}"


@dataclass(frozen=True, slots=True)
class Rule:
    """One inbound entry of a security group. `peer` is the id of a prefix list or group, or a prefix."""

    id: str
    group: str
    way: Way
    peer: str
    families: tuple[str, ...]
    description: str = ""
    account: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> "Rule":
        """As it is told."""
        v4, v6 = str(told.get("CidrIpv4") or ""), str(told.get("CidrIpv6") or "")
        referred = (told.get("ReferencedGroupInfo") or {}).get("GroupId")
        return cls(
            str(told.get("SecurityGroupRuleId", "")),
            str(told.get("GroupId", "")),
            _way(told),
            v4 or v6 or str(told.get("PrefixListId") or referred or ""),
            FAMILIES[:1] if v4 else FAMILIES[1:] if v6 else FAMILIES,
            str(told.get("Description") or ""),
            str(told.get("GroupOwnerId", "")),
            _tags(told.get("Tags")),
        )


def _way(told: Mapping[str, Any]) -> Way:
    protocol = str(told.get("IpProtocol", "-1"))
    if protocol not in _PORTED:
        return Way(protocol)
    first, last = (told.get(name) for name in ("FromPort", "ToPort"))
    return Way(protocol, -1 if first is None else int(first), -1 if last is None else int(last))


def _tags(told: Iterable[Mapping[str, str]] | None) -> dict[str, str]:
    return {one["Key"]: one.get("Value", "") for one in told or ()}
