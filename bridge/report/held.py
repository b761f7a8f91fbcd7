"""What one device was seen to hold at a moment: from the rows of its objects where all is applied, else from its audit.

An audit row's `after` is what the device held then, as observed; so the last row that tells of a word says whether it stood there.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_address, ip_network

from bridge.model.addresses import covers
from bridge.model.identity import Kind, ObjectKey, Scope
from bridge.model.intent import Group, RuleList
from bridge.model.policy import PortRange
from bridge.model.rendering import entry_line
from bridge.policy.shard import shard_index
from bridge.report.times import time_text
from bridge.state.desired import ObjectState
from bridge.state.trace_store import Change, Reading, Stood

_DELTA = re.compile(r"([0-9a-f]{16} )?[-+]\[(.*)\]( in another order)?", re.DOTALL)
_LINE = re.compile(r"(\S+) (\w+) (\S+) to (\S+) (\S+)(.*)")
_IN_FORCE = (ObjectState.PROGRAMMED, ObjectState.AWAITING_DEPLOY)
_OF_PREFIXES = (Scope.BUILTIN, Scope.EXTERNAL, Scope.CLUSTER_EXTERNAL)
_ROWS = 500  # of one list, looked through for the lines of one rule


@dataclass(frozen=True, slots=True)
class Fact:
    """Whether something stands on a device; None: not known, and `why`. `since` and `row`: the audit's word for it."""

    held: bool | None
    since: datetime | None = None
    row: int | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a rule list as it stands, or stood, on a device."""

    text: str
    name: str
    action: str
    sources: tuple[ObjectKey, ...]
    destinations: tuple[ObjectKey, ...]
    traffic: str
    ports: str = ""  # the key of its ports, "" for all

    @classmethod
    def of(cls, text: str) -> "Line | None":
        """The line of such a text; None for one of another form."""
        found = _LINE.fullmatch(text)
        if found is None:
            return None
        name, action, sources, destinations, traffic, _ = found.groups()
        protocol, _, ports = traffic.partition(":")
        return cls(text, name, action, _keys(sources), _keys(destinations), protocol, ports)


@dataclass(frozen=True, slots=True)
class Lines:
    """The lines of one rule on a device; `fact` tells whether that is known, and since when.

    `more` says why there may be lines beside these; "" where these are all.
    """

    lines: tuple[Line, ...]
    fact: Fact
    more: str = ""


class Holdings:
    """What devices held at `at`; `now` when that is the present, which the recorded rows tell. `briefly`: not since when."""

    def __init__(self, reading: Reading, at: datetime, *, now: bool, briefly: bool = False) -> None:
        self._briefly = briefly
        self._reading = reading
        self._at = at
        self._now = now

    def lines(self, device: str, key: ObjectKey, prefix: str, row: Stood | None) -> Lines:
        """The lines of that list whose names begin so."""
        told = self._told_lines(device, key, prefix)
        if self._now and row is not None and _settled(row) and isinstance(row.body, RuleList):
            texts = (entry_line(entry) for entry in row.body.entries if entry.name.startswith(prefix))
            since = told.fact if told else Fact(True)
            return Lines(tuple(_lines(texts)), Fact(True, since.since, since.row))
        if told is not None:
            return told
        never = self._never(device)
        return Lines((), never, never.why)

    def member(self, device: str, key: ObjectKey, address: str, row: Stood | None, *, joined: bool) -> Fact:
        """Whether the address is in that group there; `joined`: it is a member as recorded."""
        if self._now and row is not None and _settled(row):
            inside = _in_body(row.body, address) if isinstance(row.body, Group) else joined
            told = None if self._briefly else self._told_member(device, key, address)
            return told if told is not None and told.held is inside else Fact(inside)
        told = self._told_member(device, key, address)
        if told is not None:
            return told
        return self._told_later(device, key, address) or self._never(device)

    def ports(self, device: str, key: ObjectKey) -> tuple[PortRange, ...] | None:
        """The ports that the object of this key held there last; None where that is not known."""
        rows = self._reading.told(device, key, [], self._at)
        if not rows or not _inside(rows[0].after):
            return None
        ends = (text.partition("-") for text in _inside(rows[0].after))
        return tuple(PortRange(int(first), int(last or first)) for first, _, last in ends)

    def _told_lines(self, device: str, key: ObjectKey, prefix: str) -> Lines | None:
        rows = self._reading.told(device, key, [f"'{prefix}"], self._at, _ROWS)
        base = next((at for at, row in enumerate(rows) if _whole(row.after)), None)
        if not rows:
            return None
        if base is None and len(rows) == _ROWS:
            why = f"more changes of these rules are recorded on {device} than are looked through"
            return Lines((), Fact(None, why=why), why)
        standing: dict[str, Change] = {}
        for row in reversed(rows if base is None else rows[: base + 1]):
            if _whole(row.after):
                standing = dict.fromkeys(_inside(row.after), row)
            for text in _inside(row.before) if not _whole(row.after) else ():
                standing.pop(text, None)
            for text in _inside(row.after) if not _whole(row.after) else ():
                standing[text] = row
        mine = {text: row for text, row in standing.items() if text.startswith(prefix)}
        last = max(mine.values(), key=lambda one: one.number, default=rows[0])
        more = self._begins_late(device) if base is None else ""
        return Lines(tuple(_lines(mine)), Fact(True, last.at, last.number), more)

    def _told_member(self, device: str, key: ObjectKey, address: str) -> Fact | None:
        """What the audit's last word on it was."""
        forms = _forms(key, address)
        rows = self._reading.told(device, key, [f"'{form}'" for form in forms] + ["'shards="], self._at)
        if not rows:
            return None
        row = rows[0]
        parts = next((text for text in _inside(row.after) if text.startswith("shards=")), "")
        if parts:
            of = int(parts.removeprefix("shards="))
            found = [self._told_part(device, key.shard(shard_index(form, of), of), form) for form in forms]
            known = [one for one in found if one is not None]
            return next((one for one in known if one.held), known[0] if known else None)
        return Fact(_says(row, forms), row.at, row.number)

    def _told_part(self, device: str, part: ObjectKey, form: str) -> Fact | None:
        rows = self._reading.told(device, part, [f"'{form}'"], self._at)
        return Fact(_says(rows[0], [form]), rows[0].at, rows[0].number) if rows else None

    def _told_later(self, device: str, key: ObjectKey, address: str) -> Fact | None:
        """Where the rows from before were pruned: what the first row after it says was there before."""
        begins = self._reading.audit_begins(device)
        if begins is None or begins[0] == 1:
            return None
        forms = _forms(key, address)
        row = self._reading.told_after(device, key, [f"'{form}'" for form in forms], self._at)
        if row is None or not (_whole(row.before) or _DELTA.fullmatch(row.before)):
            return None
        return Fact(any(form in _inside(row.before) for form in forms), None, row.number)

    def _never(self, device: str) -> Fact:
        """Nothing is told of it: it was never there, as far back as the record reaches."""
        begins = self._reading.audit_begins(device)
        if begins is None:
            return Fact(None, why=f"nothing is recorded of what {device} holds")
        why = self._begins_late(device)
        return Fact(None, why=why) if why else Fact(False)

    def _begins_late(self, device: str) -> str:
        """Why the record cannot tell what was there before it; "" where it reaches back to the first change."""
        begins = self._reading.audit_begins(device)
        if begins is None or (begins[0] == 1 and begins[1] <= self._at):
            return ""
        return f"the record of {device} begins at {time_text(begins[1])}"


def list_key(cluster: str, scope: Scope, namespace: str = "") -> ObjectKey:
    """The list in which the lines of a tier, or of the default, stand."""
    return ObjectKey(Kind.RULE_LIST, cluster, scope, namespace)


def prefixes_of(address: str) -> Iterator[str]:
    """Every prefix that has the address in it, itself first."""
    most = ip_address(address).max_prefixlen
    yield address
    for bits in range(most - 1, -1, -1):
        yield str(ip_network(f"{address}/{bits}", strict=False))


def _forms(key: ObjectKey, address: str) -> tuple[str, ...]:
    """How a group can name the address: groups of selected workloads hold addresses, our own and destinations may hold prefixes."""
    return tuple(prefixes_of(address)) if key.scope in _OF_PREFIXES or key.name == ".prefixes" else (address,)


def _in_body(body: Group, address: str) -> bool:
    return bool(body.members) and covers(body.members, [address])


def _settled(row: Stood) -> bool:
    return row.settled and row.state in _IN_FORCE


def _whole(text: str) -> bool:
    return text == "-" or text.startswith("{")


def _inside(text: str) -> tuple[str, ...]:
    """The parts that a text of the audit names: all of an object told whole, else those that went or came."""
    if text.startswith("{"):
        return tuple(text[1:-1].split(", ")) if len(text) > 2 else ()
    found = _DELTA.fullmatch(text)
    return tuple(part[1:-1] for part in re.findall(r"'[^']*'", found[2])) if found else ()


def _says(row: Change, forms: Sequence[str]) -> bool:
    """Whether one of these stands there after the change, which tells of the object whole or of one of them."""
    return not set(forms).isdisjoint(_inside(row.after))


def _lines(texts: Iterable[str]) -> Iterator[Line]:
    return (line for text in texts if (line := Line.of(text)) is not None)


def _keys(text: str) -> tuple[ObjectKey, ...]:
    return tuple(ObjectKey.parse(part) for part in text.split("+"))
