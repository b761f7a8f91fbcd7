"""What a device does with the objects that it holds: policies of lists of lines, first match, tier by tier; or Allows without an order."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cache

from bridge.model.addresses import overlap, subtract
from bridge.model.identity import Kind, ObjectKey, Scope
from bridge.model.intent import DeviceObject, Group, Objects, Policy, Ports, RuleEntry, RuleList, Shard
from bridge.model.policy import Action, Protocol, Source, SourceKind
from bridge.policy.compile import EVERYONE, EXEMPT, KNOWN, Compiled, policies
from bridge.policy.compile import GOVERNED as GOVERNED_GROUP
from bridge.policy.shard import shard_count, spread
from tests.policy.reference import Decision
from tests.policy.world import GOVERNANCE, GOVERNED, NAMESPACES, SERVICES, Holder, Packet, World

EXEMPTED = Source(SourceKind.BUILTIN, service=EXEMPT)
TIERS = (Scope.CLUSTER, Scope.NAMESPACE, Scope.SERVICE)


def holdings(compiled: Compiled, world: World, size: int | None = None) -> dict[ObjectKey, DeviceObject]:
    """Everything that a device holds of a compiled policy, its groups filled and split in parts of this size."""
    objects: dict[ObjectKey, DeviceObject] = dict(compiled.objects)
    for key, sources in compiled.groups.items():
        members = _selected(sources, world)
        objects.update((one.key, one) for one in spread(key, members, shard_count(len(members), 0, size)))
    lists = [key for key in objects if key.kind is Kind.RULE_LIST]
    objects.update((policy.key, policy) for policy in policies(lists))
    return objects


def decide(objects: Objects, packet: Packet, resolved: Iterable[str] = ()) -> Decision:
    """What the device does with a packet; `resolved` are the names that stand for its destination."""
    names = frozenset(resolved)
    for scope in TIERS:
        for entry in lines(objects, scope):
            if not _matches(objects, entry, packet, names):
                continue
            if entry.action is Action.PASS:
                break
            return Decision(entry.action)
    return Decision.UNMATCHED


def lets_through(objects: Objects, packet: Packet, resolved: Iterable[str] = ()) -> bool:
    """Whether a device that only allows lets a packet through by one of our lines."""
    names = frozenset(resolved)
    return any(_matches(objects, entry, packet, names) for scope in TIERS for entry in lines(objects, scope))


def lines(objects: Objects, scope: Scope) -> Iterator[RuleEntry]:
    """The lines of one tier in order."""
    policy = objects.get(ObjectKey(Kind.POLICY, "", scope))
    if isinstance(policy, Policy):
        for key in policy.lists:
            rules = objects[key]
            assert isinstance(rules, RuleList)
            yield from rules.entries


def members(objects: Objects, key: ObjectKey) -> frozenset[str]:
    """Everyone in a group, its parts included."""
    group = objects[key]
    assert isinstance(group, Group)
    found = set(group.members)
    for part in group.references():
        shard = objects[part]
        assert isinstance(shard, Shard)
        found |= shard.members
    return frozenset(found)


@cache
def holds(among: frozenset[str], address: str) -> bool:
    """Whether an address is among these members."""
    return overlap(among, (address,))


def dangling(objects: Objects) -> list[str]:
    """References that lead nowhere."""
    return [f"{key} -> {ref}" for key, value in objects.items() for ref in value.references() if ref not in objects]


def _matches(objects: Objects, entry: RuleEntry, packet: Packet, names: frozenset[str]) -> bool:
    if not any(holds(members(objects, key), packet.source) for key in entry.sources):
        return False
    if not any(_reaches(objects, key, packet, names) for key in entry.destinations):
        return False
    return carries(objects, entry, packet)


def carries(objects: Objects, entry: RuleEntry, packet: Packet) -> bool:
    """Whether a line is about this protocol, and these ports or types."""
    if entry.protocol not in (Protocol.ANY, packet.protocol) or entry.number not in (0, packet.number):
        return False
    if entry.icmp:
        seen = packet.icmp
        return seen is not None and any(one in (seen, replace(seen, code=None)) for one in entry.icmp)
    if entry.ports is None:
        return True
    ports = objects[entry.ports]
    assert isinstance(ports, Ports)
    return any(span.first <= packet.port <= span.last for span in ports.ports)


def _reaches(objects: Objects, key: ObjectKey, packet: Packet, names: frozenset[str]) -> bool:
    group = objects[key]
    assert isinstance(group, Group)
    return holds(members(objects, key), packet.destination) or bool(group.fqdns & names)


def _selected(sources: Iterable[Source], world: World) -> list[str]:
    found: list[str] = []
    for source in sources:
        if source.kind is SourceKind.BUILTIN and source.service == EVERYONE:
            out = (EXEMPTED, *source.unless)
            holes = [address for address, holder in world.holders.items() if any(_one_selects(s, holder) for s in out)]
            found += subtract(GOVERNANCE.pod_ranges, holes)
        else:
            found += [address for address, holder in world.holders.items() if _one_selects(source, holder)]
    return found


def _one_selects(source: Source, holder: Holder) -> bool:
    return (
        _selects(source, holder)
        and all(_one_selects(one, holder) for one in source.also)
        and not any(_one_selects(one, holder) for one in source.unless)
    )


def _selects(source: Source, holder: Holder) -> bool:
    governed = holder.namespace in GOVERNED
    if source.governed_only and not governed:
        return False
    if source.service_accounts and f"{holder.namespace}/{holder.account}" not in source.service_accounts:
        return False
    match source.kind:
        case SourceKind.BUILTIN:
            return {KNOWN: True, GOVERNED_GROUP: governed, EXEMPT: not governed}[source.service]
        case SourceKind.SERVICE:
            selector: Mapping[str, str] = SERVICES[source.namespace, source.service]
            return holder.namespace == source.namespace and bool(selector) and selector.items() <= holder.labels.items()
        case SourceKind.NAMESPACE:
            return holder.namespace == source.namespace and source.pods.matches(holder.labels)
        case _:
            return source.pods.matches(holder.labels) and source.namespaces.matches(NAMESPACES[holder.namespace])
