"""What security groups are to hold for the rules of the bridge. Pure.

An entry lets a prefix list through to whatever wears its security group; it cannot say to which of that. So a line is written into a
security group only where its destinations cover all that the settings say stands behind it, each family by itself.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from adapters.aws.scope import V4, V6, Place, family
from adapters.aws.values import Way
from bridge.model.addresses import covers, overlap
from bridge.model.identity import ObjectKey
from bridge.model.intent import Attachment, Group, Objects, Policy, Ports, RuleEntry, RuleList, Shard
from bridge.model.policy import PortRange, Protocol

_EVERY_PORT = (PortRange(0, 65535),)
_WORDS = {
    Protocol.TCP: "tcp",
    Protocol.UDP: "udp",
    Protocol.ICMP: "icmp",
    Protocol.ICMPV6: "icmpv6",
    Protocol.SCTP: "132",
}
_FAMILY = {Protocol.ICMP: (V4,), Protocol.ICMPV6: (V6,)}


@dataclass(frozen=True, slots=True, order=True)
class Entry:
    """One entry: into which security group, from which list of which group or part, and what kind of traffic."""

    group: str
    source: ObjectKey
    family: str
    way: Way


def compiled(objects: Objects, places: Iterable[Place]) -> frozenset[Entry]:
    """The entries for all that is attached."""
    places = tuple(places)
    return frozenset(made for entry in _attached(objects) for made in _entries(entry, objects, places))


def families(members: Collection[str]) -> tuple[str, ...]:
    """The families of which a group or part has a list: always one of IPv4, so that it stands somewhere when it is empty."""
    return (V4, V6) if any(":" in one for one in members) else (V4,)


def _attached(objects: Objects) -> Iterator[RuleEntry]:
    for value in objects.values():
        policy = objects.get(value.policy) if isinstance(value, Attachment) else None
        for key in policy.lists if isinstance(policy, Policy) else ():
            found = objects.get(key)
            if isinstance(found, RuleList):
                yield from found.entries


def _entries(entry: RuleEntry, objects: Objects, places: tuple[Place, ...]) -> Iterator[Entry]:
    there = frozenset(one for key in entry.destinations for one in _members(key, objects))
    for place in places:
        for version, prefixes in place.behind.items():
            if _covers(there, prefixes):
                for part, way in _ways(entry, version, objects):
                    yield Entry(place.group, part, version, way)


def partly(entry: RuleEntry, objects: Objects, place: Place) -> bool:
    """Whether a line's destinations are some of what stands behind a security group, and not all of it."""
    there = frozenset(one for key in entry.destinations for one in _members(key, objects))
    return any(not _covers(there, behind) and overlap(there, behind) for behind in place.behind.values())


def blind(entry: RuleEntry) -> bool:
    """Whether an entry could not tell a line's ports: EC2 knows those of TCP and UDP alone."""
    return entry.protocol is Protocol.SCTP and entry.ports is not None


def _ways(entry: RuleEntry, version: str, objects: Objects) -> Iterator[tuple[ObjectKey, Way]]:
    if version not in _FAMILY.get(entry.protocol, (version,)):
        return
    ways = list(_traffic(entry, objects))
    for key in entry.sources:
        for part in _parts(key, objects):
            if version in families(part.members):
                yield from ((part.key, way) for way in ways)


def _traffic(entry: RuleEntry, objects: Objects) -> Iterator[Way]:
    if blind(entry):
        return
    match entry.protocol:
        case Protocol.ANY:
            yield Way("-1")
        case Protocol.OTHER:
            yield Way(str(entry.number))
        case Protocol.SCTP:
            yield Way(_WORDS[entry.protocol])
        case Protocol.TCP | Protocol.UDP:
            ports = objects.get(entry.ports) if entry.ports else None
            spans = ports.ports if isinstance(ports, Ports) else () if entry.ports else _EVERY_PORT
            yield from (Way(_WORDS[entry.protocol], span.first, span.last) for span in spans)
        case _:
            word = _WORDS[entry.protocol]
            messages = [Way(word, one.type, -1 if one.code is None else one.code) for one in entry.icmp]
            yield from messages or [Way(word)]


def _parts(key: ObjectKey, objects: Objects) -> Iterator[Group | Shard]:
    """Where the members of a group stand."""
    group = objects.get(key)
    if isinstance(group, Group):
        found = [objects.get(part) for part in group.references()] if group.shards else [group]
        yield from (part for part in found if isinstance(part, Group | Shard))


def _members(key: ObjectKey, objects: Objects) -> Iterator[str]:
    for part in _parts(key, objects):
        yield from part.members


@lru_cache(maxsize=4096)
def _covers(outer: frozenset[str], inner: tuple[str, ...]) -> bool:
    version = family(inner[0])
    return covers([one for one in outer if family(one) == version], inner)
