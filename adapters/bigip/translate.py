"""Model values to bodies, and answers to model values. Pure; with names.py and writes.py the only place for the vendor's words.

What stands on the device and cannot be said in the model must never read as equal to what we want: it shows as the placeholder among
the members, as a line without sources, as a list of the cluster "?". So the next plan sees a difference and puts it right.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from adapters.bigip import protocols, schedules, wire
from adapters.bigip.domains import ZERO, Domain
from adapters.bigip.names import PARTITION, Names
from bridge.model.addresses import canonical_member
from bridge.model.identity import Kind, ObjectKey, Scope
from bridge.model.intent import DeviceObject, Group, Policy, Ports, RuleEntry, RuleList, Schedule, Shard
from bridge.model.policy import Action, IcmpType, PortRange, Protocol

Json = dict[str, Any]

PLACEHOLDER = "::1:5ee:bad:c0de"
"""Stands in an address list that would be empty: a list must not be empty, and a rule without one matches any. AS3's own choice."""

ODD = "?"
"""The cluster of a line in one of our policies that is not ours."""

ACTIONS: Mapping[Action, str] = {
    Action.ALLOW: "accept-decisively",
    Action.DENY: "drop",
    Action.REJECT: "reject",
    Action.PASS: "accept",
}
_ACTION_OF = {word: action for action, word in ACTIONS.items()}


def ports_key_order(ports: Iterable[PortRange]) -> tuple[PortRange, ...]:
    """Ports in the one order that we use."""
    return tuple(sorted(set(ports)))


@dataclass(frozen=True, slots=True)
class Translator:
    """Between the model and the device, for one owner and one address domain. `index` holds the keys of long names.

    Names of hosts are read and written where `fqdn` says so; else a name in a list of ours is none that we could have written.
    """

    names: Names
    domain: Domain = ZERO
    index: Mapping[str, str] = field(default_factory=dict)
    fqdn: bool = False

    # To the device.

    def creation(self, value: DeviceObject) -> Json:
        """The body that creates the object; a holder of rules is created without them."""
        head: Json = {
            "name": self.names.name(value.key),
            "partition": PARTITION,
            "subPath": self.names.owner,
            "description": self.names.mark(value.key),
        }
        return head | self._content(value)

    def change(self, before: DeviceObject | None, after: DeviceObject) -> Json:
        """The body that turns one content into the other. Arrays are replaced whole: the device knows no change of members."""
        body = self._content(after)
        if isinstance(after, Group | Shard):
            body.setdefault("addresses", [])
            body.setdefault("addressLists", [])
            if isinstance(before, Group | Shard) and PLACEHOLDER in before.members:
                body = {"fqdns": [], "geo": []} | body
            elif isinstance(before, Group) and before.fqdns:
                body.setdefault("fqdns", [])
        elif isinstance(after, Ports):
            body["portLists"] = []
        elif isinstance(after, Schedule):
            body |= schedules.WHOLE
        return body

    def line(self, entry: RuleEntry, before: RuleEntry | None = None) -> Json:
        """A rule of a rule list, which is as `before` until now. A side is never without an address list: that would match any.

        Types are told of where the protocol has any, or where some must go; so are a limit, and when the rule ends by itself.
        """
        if not entry.sources or not entry.destinations or entry.withheld:
            raise ValueError(f"{entry.name}: a line without source or destination, or withheld, is never written")
        ports = [self.names.path(entry.ports)] if entry.ports else []
        typed = entry.protocol in (Protocol.ICMP, Protocol.ICMPV6) or (before is not None and bool(before.icmp))
        limited = bool(entry.bandwidth) or (before is not None and bool(before.bandwidth))
        limit = {"irule": f"/{PARTITION}/{entry.bandwidth}" if entry.bandwidth else "none"}
        ending = bool(entry.schedule) or (before is not None and bool(before.schedule))
        types = {"icmp": [{"name": str(one).replace("/", ":")} for one in entry.icmp]}
        return {
            "action": ACTIONS[entry.action],
            "ipProtocol": protocols.written(entry.protocol, entry.number),
            **(types if typed else {}),
            **(limit if limited else {}),
            **(self._end(entry.schedule) if ending else {}),
            "log": "yes" if entry.log else "no",
            "source": {"addressLists": [self.names.path(key) for key in entry.sources]},
            "destination": {"addressLists": [self.names.path(key) for key in entry.destinations], "portLists": ports},
        }

    def _end(self, schedule: ObjectKey | None) -> Json:
        if schedule is None:
            return {"status": "enabled", "schedule": "none"}
        return {"status": "scheduled", "schedule": self.names.path(schedule)}

    def _content(self, value: DeviceObject) -> Json:
        match value:
            case Group() if value.shards:
                return {"addressLists": [self.names.path(key) for key in value.references()]}
            case Group() if value.fqdns:
                named = {"fqdns": [{"name": name} for name in sorted(value.fqdns)]}
                return named | {"addresses": [{"name": self._to_wire(member)} for member in sorted(value.members)]}
            case Group() | Shard():
                members = sorted(value.members) or [PLACEHOLDER]
                return {"addresses": [{"name": self._to_wire(member)} for member in members]}
            case Ports():
                return {"ports": [{"name": str(port)} for port in value.ports]}
            case Schedule():
                return {"dateValidEnd": schedules.written(value.until)}
            case _:
                return {}

    def _to_wire(self, member: str) -> str:
        if self.domain.number == self.domain.bare:
            return member
        mark = f"%{self.domain.number}"
        first, dash, last = member.partition("-")
        address, slash, length = first.partition("/")
        return f"{address}{mark}{slash}{length}" + (f"{dash}{last}{mark}" if dash else "")

    # From the device.

    def read(self, kind: Kind, raw: bytes | msgspec.Raw) -> DeviceObject | None:
        """The object of ours that the answer shows; None when name and mark do not say that it is ours.

        msgspec.MsgspecError when the answer is not what such an object looks like.
        """
        if kind in (Kind.GROUP, Kind.SHARD):
            listed = msgspec.json.decode(raw, type=wire.AddressList)
            key = self._owned(Kind.GROUP, listed)
            return None if key is None else self._addresses(key, listed)
        if kind is Kind.PORTS:
            found = msgspec.json.decode(raw, type=wire.PortList)
            key = self._owned(kind, found)
            return None if key is None else self._ports(key, found)
        if kind is Kind.SCHEDULE:
            ending = msgspec.json.decode(raw, type=wire.Schedule)
            key = self._owned(kind, ending)
            return None if key is None else Schedule(key, schedules.read(ending))
        holder = msgspec.json.decode(raw, type=wire.RuleHolder)
        key = self._owned(kind, holder)
        if key is None:
            return None
        rules = holder.rules_reference.items
        if kind is Kind.POLICY:
            return Policy(key, tuple(self.read_reference(rule) for rule in rules))
        return RuleList(key, tuple(self.read_line(rule) for rule in rules))

    def read_line(self, rule: wire.Rule) -> RuleEntry:
        """The line that a rule of a rule list is; one without sources when it is none that we could have written."""
        sources = self._keys(Kind.GROUP, rule.source.address_lists)
        destinations = self._keys(Kind.GROUP, rule.destination.address_lists)
        ports = self._keys(Kind.PORTS, rule.destination.port_lists)
        action, protocol, types = _ACTION_OF.get(rule.action), protocols.read(rule.ip_protocol), _types(rule)
        if action is None or protocol is None or not sources or not destinations or ports is None or len(ports) > 1:
            return unreadable(rule.name)
        limit, ends = _limit(rule), self._ends(rule)
        if types is None or limit is None or ends is None or _decorated(rule) or rule.rule_list:
            return unreadable(rule.name)
        log, port = rule.log in ("yes", "true"), ports[0] if ports else None
        return RuleEntry(
            rule.name,
            action,
            sources,
            destinations,
            protocol[0],
            port,
            log,
            icmp=types,
            number=protocol[1],
            bandwidth=limit,
            schedule=next(iter(ends), None),
        )

    def read_reference(self, rule: wire.Rule) -> ObjectKey:
        """The list that a rule of a policy refers to; a key of the cluster "?" when it is none that we could have written."""
        folder, _, name = rule.rule_list.rpartition("/")
        own = folder == self.names.home(Kind.RULE_LIST)
        key = self.names.key(Kind.RULE_LIST, name, self.index) if own else None
        plain = not (_decorated(rule) or rule.icmp or rule.irule or rule.schedule) and rule.status == "enabled"
        if key is None or name != rule.name or not plain:
            return ObjectKey(Kind.RULE_LIST, ODD, Scope.CLUSTER, "", rule.name)
        return key

    def _ends(self, rule: wire.Rule) -> tuple[ObjectKey, ...] | None:
        """The schedule that ends the rule, if any; None where it is none of ours, or the rule is switched off."""
        if rule.status == "scheduled":
            return self._keys(Kind.SCHEDULE, (rule.schedule,))
        return () if rule.status == "enabled" and not rule.schedule else None

    def _owned(self, kind: Kind, item: wire.Item) -> ObjectKey | None:
        if item.full_path != f"{self.names.home(kind)}/{item.name}":
            return None
        key = self.names.key(kind, item.name, self.index)
        return key if key is not None and item.description == self.names.mark(key) else None

    def _addresses(self, key: ObjectKey, item: wire.AddressList) -> Group | Shard:
        members, odd = self._members(one.name for one in item.addresses)
        of = len(item.address_lists)
        shards = [self.names.path(key.shard(at, of)) for at in range(of)]
        nested = of > 0 and (bool(members) or key.kind is Kind.SHARD or sorted(shards) != sorted(item.address_lists))
        fqdns = frozenset(one.name for one in item.fqdns) if self.fqdn else frozenset()
        named = bool(item.fqdns) and (not self.fqdn or key.kind is Kind.SHARD or of > 0)
        if odd or nested or named or item.geo:
            shards, members = [], members | {PLACEHOLDER}
        return Shard(key, members) if key.kind is Kind.SHARD else Group(key, members, fqdns, len(shards))

    def _members(self, texts: Iterable[str]) -> tuple[frozenset[str], bool]:
        """The members, less the placeholder, and whether there is anything else than addresses of our domain."""
        members, odd = set(), False
        for text in texts:
            bare, inside = self._from_wire(text)
            try:
                member = canonical_member(bare)
            except ValueError:
                inside, member = False, text
            if not inside:
                odd = True
            elif member != PLACEHOLDER:
                members.add(member)
        return frozenset(members), odd

    def _from_wire(self, text: str) -> tuple[str, bool]:
        """The address without its domain, and whether it lies in ours. One without is in the partition's."""
        if "%" not in text:
            return text, self.domain.number == self.domain.bare
        mark = f"%{self.domain.number}"
        parts = [part.partition("/") for part in text.split("-", 1)]
        inside = all(address.endswith(mark) for address, _, _ in parts)
        return "-".join(address.partition("%")[0] + slash + length for address, slash, length in parts), inside

    def _ports(self, key: ObjectKey, item: wire.PortList) -> Ports | None:
        if item.port_lists:
            return Ports(key, ())
        ranges = (one.name.partition("-") for one in item.ports)
        try:
            return Ports(key, ports_key_order(PortRange(int(low), int(high or low)) for low, _, high in ranges))
        except ValueError:
            return Ports(key, ())

    def _keys(self, kind: Kind, paths: Iterable[str]) -> tuple[ObjectKey, ...] | None:
        keys = []
        for path in paths:
            folder, _, name = path.rpartition("/")
            key = self.names.key(kind, name, self.index) if folder == self.names.home(kind) else None
            if key is None or key.kind is not kind:
                return None
            keys.append(key)
        return tuple(sorted(keys))


def unreadable(name: str) -> RuleEntry:
    """A line that stands on the device and is none that we could have written; it is replaced, not changed."""
    return RuleEntry(name, Action.PASS, (), ())


def _types(rule: wire.Rule) -> tuple[IcmpType, ...] | None:
    """The types of ICMP of a rule, in order; None where they are none that we could have written: the device has 255 for every one."""
    found = []
    for one in rule.icmp or ():
        kind, colon, code = one.name.partition(":")
        if not all(part.isdecimal() and int(part) < 255 for part in ((kind, code) if colon else (kind,))):
            return None
        found.append(IcmpType(int(kind), int(code) if colon else None))
    return tuple(sorted(found))


def _limit(rule: wire.Rule) -> str | None:
    """What limits the rate: the iRule by its name in /Common; None for one that stands elsewhere, which is none of ours."""
    folder, _, name = rule.irule.rpartition("/")
    return name if folder in ("", f"/{PARTITION}") else None


def _decorated(rule: wire.Rule) -> bool:
    """Whether a side of the rule says more than one of ours can: a country, a port of the source, …"""
    return rule.source.odd or rule.destination.odd or bool(rule.source.port_lists)
