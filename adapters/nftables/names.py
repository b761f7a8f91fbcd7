"""What our objects are called in nftables, and the mark by which we know them again.

Everything lives in one table, `inet fusion_bridge_<owner>`. A name is `<kind>/<cluster>/<scope>/<namespace>/<name>`; fields that are empty
at the end are left out. It leads back to the key and is a word that nft's own grammar takes without quotes: a character other than a
letter, a digit, "." or "-" is written `_xx`, its bytes in hexadecimal. A group is one to four sets, told apart by their endings. A name
that is too long becomes `<kind>/_long/<what fits>_<hash>`; the whole of it is kept beside its mark.

nft 1.0.6 shows no comment of a table, a set or a chain in JSON, so the marks stand in a set of their own, `marks`: one element for each
object, the hash of its name, with owner and name as the comment. Name and mark must agree before anything is taken for ours.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from ipaddress import IPv6Address

from bridge.model.identity import Kind, ObjectKey, Scope
from bridge.model.policy import Tier

NAME_LENGTH = 255  # NFT_NAME_MAXLEN less the end, seen on 6.18: 255 is taken, 256 is not
COMMENT_LENGTH = 128  # of a rule or an element, nft 1.0.6
_ROOM = NAME_LENGTH - len(".hosts4")
PREFIX_LENGTH = 127  # of a log line, NF_LOG_PREFIXLEN less the end
LINE_LENGTH = 100

MARKS = "marks"
ENTER = "enter"
HOOK = "hook/forward"
REJECT = "verdict/reject"
ODD = "?"
"""The cluster of a jump in one of our policies that is not ours, and what a policy holds while our own chains are not as they should be."""
_FENCE = "fence/"
_TWIN = f"{Kind.PORTS}/_twin/"
_LONG = "_long"

_WORD = re.compile(r"[A-Za-z0-9.-]*\Z")
_PLAIN = re.compile(r"[A-Za-z0-9.-]")
_ESCAPED = re.compile(r"_([0-9a-f]{2})")
_LINE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*\Z")


class Flavour(StrEnum):
    """One set of a group: single addresses stand in a hash, prefixes and ranges in intervals, each family for itself."""

    HOSTS4 = "hosts4"
    NETS4 = "nets4"
    HOSTS6 = "hosts6"
    NETS6 = "nets6"
    TWIN4 = "nets4b"
    TWIN6 = "nets6b"

    @property
    def family(self) -> str:
        """How a rule names the header: ip or ip6."""
        return "ip" if "4" in self.value else "ip6"

    @property
    def intervals(self) -> bool:
        """Whether the set holds prefixes and ranges."""
        return self in _TWINS

    @property
    def plain(self) -> "Flavour":
        """What it holds, whichever of two twins it is."""
        return Flavour(self.value.removesuffix("b"))

    @property
    def twin(self) -> "Flavour":
        """The other set for the same intervals: what is written anew stands beside what it replaces until the rules turn to it."""
        return _TWINS[self]

    @property
    def type(self) -> str:
        """The set's type."""
        return "ipv4_addr" if self.family == "ip" else "ipv6_addr"


_TWINS = {
    Flavour.NETS4: Flavour.TWIN4,
    Flavour.TWIN4: Flavour.NETS4,
    Flavour.NETS6: Flavour.TWIN6,
    Flavour.TWIN6: Flavour.NETS6,
}
BASE = Flavour.HOSTS4
"""The set that every group has, even an empty one: through it each line has a rule at least, and an empty group matches nothing."""


def next_chain(tier: Tier) -> str:
    """Where a Pass of this tier goes on."""
    return f"next/{tier}"


@dataclass(frozen=True, slots=True)
class Names:
    """The names and marks of one owner. What long names stand for is remembered when it is met: it never changes."""

    owner: str
    _long: dict[str, str] = field(default_factory=dict, compare=False, repr=False)

    @property
    def table(self) -> str:
        """Our table, of the family inet."""
        return f"fusion_bridge_{self.owner}"

    @property
    def flows(self) -> str:
        """The table that keeps closed flows closed; no owner's own table, since an owner has no "_"."""
        return f"{self.table}_flows"

    def name(self, key: ObjectKey) -> str:
        """What the object is called; a group's sets are called so and end in their flavours."""
        if key.kind is Kind.ATTACHMENT:
            return f"{HOOK}/{key.scope}"
        if key.kind is Kind.POLICY:
            return f"policy/{key.scope}"
        fields = (key.cluster, key.scope.value, key.namespace, key.name)
        plain = f"{key.kind}/{'/'.join(map(_escaped, fields))}".rstrip("/")
        if len(plain) <= _ROOM:
            return plain
        head, tail = f"{key.kind}/{_LONG}/", f"_{_hash(plain, 16)}"
        name = f"{head}{plain.partition('/')[2][: _ROOM - len(head) - len(tail)]}{tail}"
        self._long[name] = plain
        return name

    def ports_name(self, key: ObjectKey, *, turned: bool) -> str:
        """A set of ports, or its twin."""
        name = self.name(key)
        return f"{_TWIN}{name.partition('/')[2]}" if turned else name

    def set_name(self, key: ObjectKey, flavour: Flavour) -> str:
        """One set of a group."""
        return f"{self.name(key)}.{flavour}"

    def key(self, name: str) -> ObjectKey | None:
        """The key that a name of a set of ports, a list or a policy leads back to; None when it is none of ours."""
        kind, _, rest = self._long.get(name, name).partition("/")
        try:
            if kind == Kind.POLICY:
                key = ObjectKey(Kind.POLICY, "", Scope(rest))
            else:
                cluster, scope, namespace, own = (*(_plain(field) for field in rest.split("/")), "", "", "")[:4]
                key = ObjectKey(Kind(kind), cluster, Scope(scope), namespace, own)
        except (ValueError, UnicodeDecodeError):
            return None
        return key if self.name(key) == name else None

    def set_key(self, name: str) -> tuple[ObjectKey, Flavour] | None:
        """The group and the flavour that the name of a set leads back to."""
        head, _, tail = name.rpartition(".")
        key = self.key(head)
        if key is None or key.kind is not Kind.GROUP or tail not in list(Flavour):
            return None
        return key, Flavour(tail)

    def twins(self, name: str) -> tuple[ObjectKey, str, str] | None:
        """The object whose set of intervals this is, and the two names between which it goes back and forth."""
        group, key = self.set_key(name), self.key(untwinned(name))
        if group is not None and group[1].intervals:
            kind = group[1].plain
            return group[0], self.set_name(group[0], kind), self.set_name(group[0], kind.twin)
        if key is not None and key.kind is Kind.PORTS:
            return key, self.ports_name(key, turned=False), self.ports_name(key, turned=True)
        return None

    def counter(self, key: ObjectKey, line: str) -> str:
        """What counts the hits of one line."""
        full = f"{self.name(key)}/{line}"
        return full if len(full) <= NAME_LENGTH else f"{full[: NAME_LENGTH - 17]}_{_hash(full, 16)}"

    def mark(self, name: str) -> tuple[str, str]:
        """The element of `marks` for a name: its value and its comment."""
        comment = f"fb:{self.owner}:{name}"
        if len(comment) > COMMENT_LENGTH:
            comment = f"{comment[: COMMENT_LENGTH - 17]}_{_hash(comment, 16)}"
        return _element(f"fb:{self.owner}:{name}"), comment

    def marks(self, name: str) -> Iterator[tuple[str, str]]:
        """All elements for a name: its mark, and what a long one stands for, in pieces."""
        yield self.mark(name)
        whole = self._long.get(name, "")
        for at in range(0, len(whole), COMMENT_LENGTH):
            yield self._piece(name, at), whole[at : at + COMMENT_LENGTH]

    def learn(self, name: str, carried: Mapping[str, str]) -> None:
        """Take in what the elements of `marks` say that a long name stands for."""
        if f"/{_LONG}/" in name and name not in self._long:
            whole = "".join(self._pieces(name, carried))
            if whole:
                self._long[name] = whole

    def _pieces(self, name: str, carried: Mapping[str, str]) -> Iterator[str]:
        at = 0
        while piece := carried.get(self._piece(name, at), ""):
            yield piece
            at += COMMENT_LENGTH

    def _piece(self, name: str, at: int) -> str:
        return _element(f"fb:{self.owner}:{at}:{name}")

    def fence(self, epoch: int, installation: str) -> str:
        """The chain that stands for this epoch of this installation."""
        return f"{_FENCE}{epoch}/{_escaped(installation)}"

    def fence_of(self, name: str) -> tuple[int, str] | None:
        """Epoch and installation of a fence chain; None when it is none."""
        epoch, _, installation = name.removeprefix(_FENCE).partition("/")
        if not name.startswith(_FENCE) or not epoch.isdecimal():
            return None
        try:
            return int(epoch), _plain(installation)
        except (ValueError, UnicodeDecodeError):
            return None

    def prefix(self, key: ObjectKey, line: str) -> str:
        """What begins each log line of a rule: owner, list and line, cut where the kernel would refuse it."""
        full = f"{self.table} {self.name(key).removeprefix('rules/')} {line}: "
        if len(full) <= PREFIX_LENGTH:
            return full
        return f"{full[: PREFIX_LENGTH - 20]}_{_hash(full, 16)}: "


def key_problem(key: ObjectKey) -> str:
    """Why no object can be called after this key; empty when one can."""
    text = str(key)
    try:
        same = ObjectKey.parse(text) == key and not key.part
    except ValueError:
        same = False
    return "" if same else "its name has separators that make it ambiguous"


def untwinned(name: str) -> str:
    """What a set of ports is called, whichever of two twins it is; any other name as it is."""
    return f"{Kind.PORTS}/{name.removeprefix(_TWIN)}" if name.startswith(_TWIN) else name


def line_name(name: str) -> str:
    """What a line is called: the name itself, or cut with a hash where it is too long or odd."""
    if _LINE.match(name) and len(name) <= LINE_LENGTH:
        return name
    readable = re.sub(r"[^A-Za-z0-9_.-]", "-", name).lstrip("-.")[: LINE_LENGTH - 13]
    return f"{readable or 'rule'}_{_hash(name, 12)}"


def _element(text: str) -> str:
    return str(IPv6Address(hashlib.sha256(text.encode()).digest()[:16]))


@lru_cache(maxsize=65536)
def _escaped(text: str) -> str:
    if _WORD.match(text):
        return text
    return "".join(
        one if _PLAIN.match(one) else "".join(f"_{byte:02x}" for byte in one.encode("utf-8")) for one in text
    )


def _plain(text: str) -> str:
    if "_" not in text:
        return text
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text).encode("latin-1").decode("utf-8")


def _hash(text: str, digits: int) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:digits]
