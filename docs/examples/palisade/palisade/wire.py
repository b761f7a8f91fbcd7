"""What a Palisade answers: one document with everything in it, and who is asking."""

import msgspec


class Addresses(msgspec.Struct, frozen=True, tag=True):
    """A set of addresses, and of other sets."""

    items: tuple[str, ...] = ()
    sets: tuple[str, ...] = ()


class Services(msgspec.Struct, frozen=True, tag=True):
    """A set of ports, as spans of first and last."""

    spans: tuple[tuple[int, int], ...]


class Line(msgspec.Struct, frozen=True):
    """One rule. `protocol` is its name, "" every one; without `services` it is about every port."""

    name: str
    action: str
    sources: tuple[str, ...]
    destinations: tuple[str, ...]
    protocol: str = ""
    services: str = ""
    log: bool = False


class Rules(msgspec.Struct, frozen=True, tag=True):
    """Rules in order."""

    lines: tuple[Line, ...] = ()


class Chain(msgspec.Struct, frozen=True, tag=True):
    """Lists of rules in order: what can be put in force."""

    lists: tuple[str, ...] = ()


Body = Addresses | Services | Rules | Chain


class Record(msgspec.Struct, frozen=True):
    """One object. `note` is for whoever made it."""

    note: str
    body: Body


class Owner(msgspec.Struct, frozen=True):
    """Who says that objects are his."""

    epoch: int
    installation: str


class Document(msgspec.Struct, frozen=True):
    """The whole configuration. `places` says what is in force in each of the three places, which are met in order."""

    records: dict[str, Record] = {}
    places: dict[str, str] = {}
    owners: dict[str, Owner] = {}


class Session(msgspec.Struct, frozen=True):
    """Which device it is, and what the token may."""

    serial: str
    release: str
    rights: tuple[str, ...]


class Problem(msgspec.Struct, frozen=True):
    """Why something is refused, and because of which object."""

    error: str
    record: str = ""
