"""What a device in memory holds, in its own words: sets of addresses, sets of ports, entries, bundles of them, and places in force.

An entry lets through what goes from one of its sources to one of its destinations; where the device is an ordered list it may also stop
it. Nothing here is the bridge's: names and tags are whatever a client writes.
"""

from collections.abc import Iterator

import msgspec

PLACES = ("cluster", "namespace", "service", "site")
"""Where a bundle can be in force, in this order; nothing of the bridge's ever goes to the last."""


class AddressSet(msgspec.Struct, frozen=True, tag="addresses"):
    """Addresses, prefixes and ranges, each once and in the shortest form. An empty one matches nothing."""

    addresses: tuple[str, ...] = ()

    def references(self) -> Iterator[str]:
        """Nothing."""
        return iter(())


class PortSet(msgspec.Struct, frozen=True, tag="ports"):
    """Spans of ports, in order and apart from each other."""

    spans: tuple[tuple[int, int], ...]

    def references(self) -> Iterator[str]:
        """Nothing."""
        return iter(())


class Until(msgspec.Struct, frozen=True, tag="until"):
    """The second since 1970 from which on an entry that names it is not there."""

    second: int

    def references(self) -> Iterator[str]:
        """Nothing."""
        return iter(())


class Entry(msgspec.Struct, frozen=True):
    """One permission, or one line of a list. `protocol` is a number, None for every one; types of ICMP have a code or None."""

    name: str
    sources: tuple[str, ...]
    destinations: tuple[str, ...]
    protocol: int | None = None
    ports: str = ""
    icmp: tuple[tuple[int, int | None], ...] = ()
    action: str = "allow"
    log: bool = False
    until: str = ""

    def references(self) -> Iterator[str]:
        """The sets that it names, and the end."""
        yield from self.sources
        yield from self.destinations
        yield from filter(None, (self.ports, self.until))


class EntrySet(msgspec.Struct, frozen=True, tag="entries"):
    """Entries. Their order means something on an ordered device only; elsewhere they are kept by name."""

    entries: tuple[Entry, ...] = ()

    def references(self) -> Iterator[str]:
        """Every set that an entry names."""
        return (name for entry in self.entries for name in entry.references())


class Bundle(msgspec.Struct, frozen=True, tag="bundle"):
    """Sets of entries, one after the other."""

    members: tuple[str, ...] = ()

    def references(self) -> Iterator[str]:
        """The sets of entries."""
        return iter(self.members)


Body = AddressSet | PortSet | Until | EntrySet | Bundle


class Stored(msgspec.Struct, frozen=True):
    """One object: what somebody wrote on it, what it is, and which version of it."""

    tag: str
    body: Body
    version: int


class Claim(msgspec.Struct, frozen=True):
    """Who may write on behalf of an owner: an epoch, and who raised it."""

    epoch: int
    holder: str


class Contents(msgspec.Struct, frozen=True):
    """Everything, as it stood at one moment."""

    objects: dict[str, Stored] = {}
    claims: dict[str, Claim] = {}
    places: dict[str, str] = {}
    version: int = 0

    def enforced(self) -> Iterator[tuple[str, Entry]]:
        """Every entry in force, in order, with the name of the set that it stands in. What is missing has none."""
        for place in PLACES:
            bundle = self.objects.get(self.places.get(place, ""))
            for name in bundle.body.references() if bundle else ():
                held = self.objects.get(name)
                if held is not None and isinstance(held.body, EntrySet):
                    yield from ((name, entry) for entry in held.body.entries)
