"""Parts of rules, as regions, written as the lines that a device holds: with groups, destinations and ports whose names say what they are.

The name of a group tells what it is made of (`web-.and.cluster.delegate`, `all-.not.rule.shop.batch`), so that it means the same wherever
it stands; a "-." is in no name of Kubernetes. A set of ports, and a destination that is no plain part of another, are named by what is in
them: they never change.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256

from bridge.model.identity import Kind, ObjectKey, Scope
from bridge.model.intent import Group, Ports, RuleEntry
from bridge.model.policy import Action, ExternalService, Ref, Rule, Source, SourceKind, Traffic
from bridge.policy.compiled import Compiled
from bridge.policy.ground import Ground
from bridge.policy.lines import external_group, ports_of, schedule_of, source_key
from bridge.policy.region import Region, common, less, what
from bridge.policy.remainder import EVERYONE, builtin
from bridge.policy.who import Who, everyone

EVERYBODY = Source(SourceKind.BUILTIN, service=EVERYONE)
_NARROWEST = (
    SourceKind.SERVICE,
    SourceKind.NAMESPACE,
    SourceKind.PREFIXES,
    SourceKind.CLUSTER,
    SourceKind.ANNOTATION,
    SourceKind.BUILTIN,
)
_ROOM = 120  # characters of a name, before it is cut
_PARENTS = 8  # services that a destination is compared with, to find it a name


@dataclass(frozen=True, slots=True)
class Piece:
    """Packets that a rule decides (None: the default), and what its lines are called; `services` are those that it came from."""

    rule: Rule | None
    name: str
    region: Region
    services: tuple[Ref, ...]
    withheld: bool = False
    log: bool = False
    end: datetime | None = None  # when the device is to end it by itself

    @property
    def action(self) -> Action:
        """What becomes of them."""
        return self.rule.action if self.rule else Action.DENY

    @property
    def traffic(self) -> tuple[Traffic, ...]:
        """What its lines are about. Inexpressible where they would be very many."""
        written = self.region.what.traffic()
        if written is None:
            raise Inexpressible("what is left of its traffic is no short list of protocols, ports and types")
        return written

    def by_line(self) -> "Iterator[Piece]":
        """The same packets, a piece for each line."""
        for one in self.traffic:
            yield replace(self, region=replace(self.region, what=what([one])))


class Inexpressible(ValueError):
    """Something has no form on a device; says what, for people."""


class Writing:
    """Pieces as lines, and what these name put into `result`."""

    def __init__(self, ground: Ground, rules: Iterable[Rule], result: Compiled) -> None:
        self._ground = ground
        self._cluster = ground.policy.cluster
        self._result = result
        self._keys: dict[Source, ObjectKey] = {}
        for rule in rules:
            key = source_key(self._cluster, rule)
            self._keys[rule.source] = min(self._keys.get(rule.source, key), key)

    def lines(self, piece: Piece) -> Iterator[RuleEntry]:
        """The lines of one piece. Inexpressible where they would be very many."""
        source = self.group(piece.region.who, piece.rule)
        destination = self._destination(piece.region.where, piece.services)
        origin = self._ground.policy.externals[piece.services[0]] if piece.rule else None
        for traffic in piece.traffic:
            ports = self._ports(traffic, piece.services)
            for ref in piece.services:
                self._result.place(ref, destination, *([ports] if ports else ()))
            name = f"{piece.name}_{traffic.protocol.lower()}{traffic.number or ''}"
            limit = origin.limit(traffic.protocol) if origin else ""
            sides, more = ((source,), (destination,)), (traffic.icmp, traffic.number)
            until = self._until(piece)
            yield RuleEntry(
                name, piece.action, *sides, traffic.protocol, ports, piece.log, piece.withheld, *more, limit, until
            )

    def _until(self, piece: Piece) -> ObjectKey | None:
        schedule = schedule_of(self._cluster, piece.action, piece.end)
        if schedule is None:
            return None
        self._result.objects[schedule.key] = schedule
        return schedule.key

    def group(self, whom: Who, rule: Rule | None = None) -> ObjectKey:
        """The group of these workloads; what is the rule's own source goes by the name that the rule gives it."""
        own = {rule.source: source_key(self._cluster, rule)} if rule else {}
        keys = {one: own.get(one) or self._key(one) for one in whom.all_of}
        first, *others = sorted(whom.all_of, key=lambda one: (_NARROWEST.index(one.kind), keys[one], one))
        out = sorted(whom.none_of, key=lambda one: (self._key(one), one))
        key = self._key(first) if everyone(first) else keys[first]
        more = (*(f"-.and.{self._text(one)}" for one in others), *(f"-.not.{self._text(one)}" for one in out))
        if more:
            key = replace(key, name=_cut((key.name or "all") + "".join(more)))
        also, unless = (tuple(_reached(one) for one in some) for some in (others, out))
        self._result.groups[key] = (replace(_reached(first), also=also, unless=unless),)
        return key

    def _key(self, source: Source) -> ObjectKey:
        if everyone(source):
            return builtin(self._cluster, EVERYONE)
        return builtin(self._cluster, source.service) if source.kind is SourceKind.BUILTIN else self._keys[source]

    def _text(self, source: Source) -> str:
        return _said(self._key(source))

    def _destination(self, where: tuple[str, ...], services: tuple[Ref, ...]) -> ObjectKey:
        """A service's own group where it is that; else one of its own."""
        meant = [self._ground.policy.externals[ref] for ref in services[:_PARENTS]]
        for service in meant:
            if where == self._ground.outside(service) and not service.fqdns:
                return external_group(self._cluster, service, where, self._result)
        key = _external_key(self._cluster, meant[0])
        key = replace(key, name=_cut(f"{key.name}-.{self._made(where, meant)}"))
        self._result.objects[key] = Group(key, frozenset(where))
        return key

    def _made(self, where: tuple[str, ...], services: list[ExternalService]) -> str:
        """How a destination came about."""
        whole = self._ground.outside(services[0])
        for other in services[1:]:
            there = self._ground.outside(other)
            name = _said(_external_key(self._cluster, other))
            if where == common(whole, there):
                return f"and.{name}"
            if where == less(whole, there):
                return f"not.{name}"
        return f"part.{_digest(' '.join(where))}"

    def _ports(self, traffic: Traffic, services: Iterable[Ref]) -> ObjectKey | None:
        if not traffic.ports:
            return None
        for ref in services:
            service = self._ground.policy.externals[ref]
            if traffic in service.traffic:
                return ports_of(self._cluster, service, traffic, self._result)
        name = _cut(f"{traffic.protocol.lower()}-.{'.'.join(str(one) for one in traffic.ports)}")
        key = replace(builtin(self._cluster, name), kind=Kind.PORTS)
        self._result.objects[key] = Ports(key, traffic.ports)
        return key


def numbered(lines: Iterable[RuleEntry], taken: set[str]) -> Iterator[RuleEntry]:
    """The lines, each by a name that no other of the list has."""
    for line in lines:
        name, number = line.name, 1
        while name in taken:
            number += 1
            name = f"{line.name}_{number}"
        taken.add(name)
        yield line if name == line.name else replace(line, name=name)


def _reached(source: Source) -> Source:
    """The source as a group of a rule's: of governed namespaces only."""
    if everyone(source):
        return EVERYBODY
    return source if source.kind is SourceKind.BUILTIN else replace(source, governed_only=True)


def _external_key(cluster: str, service: ExternalService) -> ObjectKey:
    scope = Scope.EXTERNAL if service.ref.namespace else Scope.CLUSTER_EXTERNAL
    return ObjectKey(Kind.GROUP, cluster, scope, service.ref.namespace, service.ref.label)


def _said(key: ObjectKey) -> str:
    """A key inside the name of another."""
    return ".".join(part for part in (key.scope.value, key.namespace, key.name) if part)


def _cut(name: str) -> str:
    return name if len(name) <= _ROOM else f"{name[: _ROOM - 14].rstrip('-.')}-.{_digest(name)}"


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:12]
