"""A simulated AWS account in the hands of the conformance suite."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from typing import Any

import msgspec

from bridge.contract import DeviceConfig
from bridge.lab.device import Moment, Trouble
from bridge.lab.devices.aws import referee
from bridge.lab.devices.aws.answers import XML, Refusal, refused
from bridge.lab.devices.aws.backend import OWNED_BY_AWS
from bridge.lab.devices.aws.item import PrefixList, Rule, SecurityGroup, State
from bridge.lab.devices.aws.limits import Limits
from bridge.lab.devices.aws.simulator import Aws
from bridge.lab.devices.message import Answer
from bridge.lab.devices.rig import Login, ServedRig
from bridge.model.identity import ObjectKey
from bridge.model.policy import NUMBERS
from bridge.policy.evaluate import Packet, Verdict

_BEHIND = ("198.51.100.1/32", "198.51.100.2/32", "2001:db8:f::1/128")
_OWNER, _OBJECT = "fusionbridge.io/owner", "fusionbridge.io/object"
_LISTS, _RULES = 200, 100_000  # more than an account has, so that whatever the suite builds fits
_CANNED = {
    Trouble.UNAUTHORIZED: "unauthorized",
    Trouble.FORBIDDEN: "forbidden",
    Trouble.MISSING: "missing",
    Trouble.CONFLICT: "stale",
    Trouble.TOO_MANY: "throttled",
    Trouble.UNAVAILABLE: "unavailable",
    Trouble.SILENCE: "hang",
    Trouble.CUT: "cut",
}


def verdict(state: State, interfaces: referee.Interfaces, packet: Packet) -> Verdict:
    """What the security groups do with a packet; UNMATCHED where they leave it out, for no rule can say so."""
    icmp = (packet.icmp.type, packet.icmp.code or 0) if packet.icmp else None
    number = NUMBERS.get(packet.protocol, packet.number)
    seen = referee.Packet(packet.source, packet.destination, number, packet.port, icmp)
    return Verdict.ALLOW if referee.judge(state, interfaces, seen).allowed else Verdict.UNMATCHED


class AwsMoment:
    """The account after one of its changes."""

    def __init__(self, device: Aws, number: int, interfaces: referee.Interfaces) -> None:
        self._device = device
        self._number = number
        self._interfaces = interfaces

    @cached_property
    def state(self) -> State:
        """Made when it is first asked for."""
        return self._device.state(self._number)

    def verdict(self, packet: Packet, at: float | None = None) -> Verdict:  # noqa: ARG002 (no schedules here)
        """The referee's."""
        return verdict(self.state, self._interfaces, packet)

    def dangling(self) -> Sequence[str]:
        """References to what is not there."""
        return list(referee.dangling(self.state))


class AwsRig(ServedRig[Aws]):
    """The controls of one account, in the suite's words. Before each prefix of `behind` stands a security group of its own.

    `rules` is the quota of each, of which only what stands above the default is told to the adapter.
    """

    canned = _CANNED
    limits: Mapping[str, int] = {"groups": 6}

    def __init__(self, device: Aws, behind: Sequence[str] = _BEHIND, rules: int = Limits().rules) -> None:
        super().__init__(device)
        self._behind = tuple(behind)
        self._rules = rules
        self._groups: dict[str, str] = {}
        self.reset()

    def config(self, *, owner: str = "fb", batch: int | None = None, timeout: float = 10.0) -> DeviceConfig:
        """The first owner's entries stand in the security groups; small calls where few changes are asked for."""
        scope: dict[str, Any] = {"region": self.device.region, "prefixLists": _LISTS, "rulesPerGroup": _RULES}
        scope |= {"rulesPerGroup": self._rules} if self._rules != Limits().rules else {}
        scope |= {"changesPerCall": max(1, batch)} if batch else {}
        places = [{"id": name, "destinations": [prefix]} for prefix, name in self._groups.items()]
        attach = {"mode": "ifEmpty" if owner == "fb" else "none", "securityGroups": places}
        return DeviceConfig(
            "edge",
            "aws",
            self.device.url,
            owner,
            Login(self.device),
            scope,
            attach,
            ca_file=self.device.ca,
            timeout=timeout,
        )

    def reset(self) -> None:
        """An empty account with its security groups and their interfaces."""
        self.calm()
        wide = Limits()
        for name in Limits.__slots__:
            setattr(self.device.limits, name, getattr(wide, name))
        self.device.limits.prefix_lists, self.device.limits.rules = _LISTS, self._rules
        self.device.wipe()
        self._groups = {
            prefix: self.device.create_group(f"front-{at}", prefix) for at, prefix in enumerate(self._behind)
        }
        self._since = self.device.writes()[-1].number

    def plant(self) -> Collection[str]:
        """Lists with our name, with our tags, with neither; and an entry of the site's own beside ours."""
        device = self.device
        named = device.create_list("fb/prod/service/shop/web2/ipv4", "192.0.2.99/32")
        tags = {_OWNER: "fb", _OBJECT: "group:prod/service/shop/web"}
        copy = device.create_list("copy", "192.0.2.98/32", tags=tags)
        device.create_list("unrelated", "192.0.2.99/32")
        permission = {"IpProtocol": "tcp", "FromPort": "443", "ToPort": "443", "IpRanges.1.CidrIp": "172.16.0.0/12"}
        front = self._groups[self._behind[0]]
        form = {"GroupId": front} | {f"IpPermissions.1.{name}": value for name, value in permission.items()}
        device.call("AuthorizeSecurityGroupIngress", form)
        own = next(rule.id for rule in device.rules(front) if not rule.egress)
        return (named, copy, own)

    def contents(self) -> Mapping[str, bytes]:
        """Every list, group and rule by its name, for the ids are another's choice; without versions."""
        state, seen = self.device.state(), Counter[str]()
        found = {}
        for one in sorted(state.values(), key=lambda one: _named(state, one)):
            if isinstance(one, PrefixList) and one.owner == OWNED_BY_AWS:
                continue
            name = _named(state, one)
            seen[name] += 1
            found[name if seen[name] == 1 else f"{name} #{seen[name]}"] = _bytes(one)
        return found

    def moments(self) -> Sequence[Moment]:
        """The states are made when they are asked for."""
        interfaces = dict(self.device.interfaces)
        return [AwsMoment(self.device, number, interfaces) for number in self.numbers()]

    def narrow(self, limit: str) -> None:
        """No more lists than there are, and these."""
        held = sum(one.owner != OWNED_BY_AWS for one in self.device.state().prefix_lists())
        self.device.limits.prefix_lists = held + self.limits[limit]

    def unmark(self, key: ObjectKey) -> str:
        """No tags, and one more address."""
        found = self._list(key)
        self.device.call("DeleteTags", {"ResourceId.1": found.id})
        self._add(found, "192.0.2.97/32")
        return f"list {found.name}"

    def tamper(self, key: ObjectKey) -> None:
        """One more address."""
        self._add(self._list(key), "10.66.0.66/32")

    def secrets(self) -> Collection[str]:
        """The secret key."""
        return {self.device.password}

    def _list(self, key: ObjectKey) -> PrefixList:
        tags = {(_OWNER, "fb"), (_OBJECT, str(key))}
        return next(
            one for one in self.device.state().prefix_lists() if tags <= set(one.tags) and one.name.startswith("fb/")
        )

    def _add(self, found: PrefixList, prefix: str) -> None:
        if len(found.entries) == found.max_entries:
            size = str(found.max_entries + 1)
            self.device.call("ModifyManagedPrefixList", {"PrefixListId": found.id, "MaxEntries": size})
        form = {"PrefixListId": found.id, "CurrentVersion": str(found.version), "AddEntry.1.Cidr": prefix}
        self.device.call("ModifyManagedPrefixList", form)

    def _in_the_way(self, *, writes: bool) -> Mapping[str, str]:
        return {"path": "/write/" if writes else ""}

    def _answer(self, trouble: Trouble) -> Answer:
        if trouble is Trouble.HTML:
            return Answer(200, b"<html><body>Please log in.</body></html>", "text/html")
        words = f"cannot serve {' '.join(sorted(self.secrets()))}"
        return replace(refused(Refusal("InvalidParameterValue", words)), content_type=XML)


@contextmanager
def aws_rig() -> Iterator[AwsRig]:
    """A rig around an account that lasts as long as the context."""
    with Aws(tls=False, keep=2_000) as device:
        yield AwsRig(device)


def _named(state: State, one: PrefixList | SecurityGroup | Rule) -> str:
    """What a person calls it."""
    if isinstance(one, PrefixList):
        return f"list {one.name}"
    if isinstance(one, SecurityGroup):
        return f"group {one.name}"
    home, peer = state.group(one.group), state.get(one.peer)
    whom = one.peer if peer is None or isinstance(peer, Rule) else peer.name
    way = "out" if one.egress else "in"
    return f"rule {home.name if home else one.group} {way} {one.protocol} {one.low}-{one.high} {whom}"


def _bytes(one: PrefixList | SecurityGroup | Rule) -> bytes:
    if isinstance(one, PrefixList):
        held = (one.name, one.family, one.max_entries, sorted(one.entries), one.tags)
    elif isinstance(one, SecurityGroup):
        held = (one.name, one.description, one.tags)  # type: ignore[assignment]
    else:
        held = (one.protocol, one.low, one.high, one.description, one.tags)  # type: ignore[assignment]
    return msgspec.json.encode(held)
