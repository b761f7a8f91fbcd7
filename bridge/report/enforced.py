"""What one device does about one decision: whether it holds the rule's line, and the sender as a member of the line's source."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec

from bridge.model.addresses import covers
from bridge.model.capabilities import Form
from bridge.model.identity import ObjectKey, Scope
from bridge.model.policy import Action, AddressSource, Ref, Tier, View
from bridge.model.tiers import SCOPES
from bridge.policy.compiled import Target
from bridge.policy.remainder import EXEMPT, builtin
from bridge.report.considered import Considered, Piece, Verdict
from bridge.report.held import Fact, Holdings, Line, Lines, list_key, prefixes_of
from bridge.report.naming import named
from bridge.report.sender import Sender
from bridge.report.trace_model import OnDevice
from bridge.report.words import unnamed
from bridge.state.batch import Placement
from bridge.state.desired import ObjectState
from bridge.state.policy_picture import DeviceRow
from bridge.state.trace_store import Reading, Stood

OK = "ok"
_FEW = 20  # senders of each of whom it is told since when
_DEFAULT = "default-deny"  # the name of the line
_STATED = (ObjectState.QUARANTINED, ObjectState.UNSUPPORTED, ObjectState.HELD, ObjectState.WITHHELD)
_NOTHING = Fact(True)


@dataclass(frozen=True, slots=True)
class Seen:
    """The sender as one device sees it in packets to the destination."""

    view: View
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Found:
    """The lines that would do it there, and the group among their sources that holds the sender, or should."""

    lines: Lines
    group: ObjectKey | None = None
    member: Fact = _NOTHING
    exempt: Fact | None = None


class Enforcement:
    """Looks at devices for one cluster at one moment. `at` None is now."""

    def __init__(
        self, reading: Reading, cluster: str, at: datetime | None, now: datetime, expected: Sequence[str] = ()
    ) -> None:
        self._reading = reading
        self._expected = tuple(expected)
        self._cluster = cluster
        self._at = at
        self._holdings = Holdings(reading, at or now, now=at is None, briefly=len(expected) > _FEW)
        self._devices = reading.devices()
        self._rows: dict[ObjectKey, dict[str, Stood]] = {}
        self._members: dict[ObjectKey, set[str]] = {}
        self._lines: dict[tuple[str, ObjectKey, str], Lines] = {}
        self._placements: dict[tuple[Ref, str], Placement] = {}
        self._loaded: set[Ref] = set()

    def load(self, refs: Sequence[Ref]) -> None:
        """Read at once what these rules become on the devices."""
        if self._at is None and (missing := [ref for ref in refs if ref not in self._loaded]):
            self._loaded.update(missing)
            self._placements |= self._reading.placements(self._cluster, missing)
            keys = {key for one in self._placements.values() for key in one.keys}
            self._fetch(keys | {list_key(self._cluster, Scope.DEFAULT)})

    def placed(self, ref: Ref, device: str) -> Placement | None:
        """What the rule becomes there now."""
        return self._placements.get((ref, device))

    def seen(self, target: Target, sender: Sender, address: str) -> Seen:
        """How the device sees the sender; a host that is not resolved is met by whatever view is not for some destinations only."""
        views = target.views
        view = next(
            (one for one in views if address and one.destinations and covers(one.destinations, [address])), None
        )
        view = view or next((one for one in views if not one.destinations), views[0])
        if view.source is AddressSource.EGRESS:
            return Seen(view, _alike(view.addresses, sender.address))
        if view.source is AddressSource.NODE and sender.node:
            return Seen(view, _alike(self._reading.node_addresses(self._cluster, sender.node), sender.address))
        return Seen(view, (sender.address,) if view.source is AddressSource.POD else ())

    def of_piece(self, target: Target, sender: Sender, seen: Seen, piece: Piece, via: Considered | None) -> OnDevice:
        """What the device does about one decision; `via` is the rule that took it."""
        if piece.verdict in (Verdict.UNMATCHED, Verdict.UNKNOWN):
            return self._told(target, sender, seen, piece, _Found(Lines((), _NOTHING)), None)
        if via is not None:
            return self._told(target, sender, seen, piece, self._by_rule(target, seen, via), via)
        if target.capabilities.form is Form.ALLOW_ONLY:
            return self._told(target, sender, seen, piece, _Found(Lines((), _NOTHING)), None)
        return self._told(target, sender, seen, piece, self._by_default(target, seen), None)

    def stale(self, target: Target, sender: Sender, seen: Seen, other: Considered) -> OnDevice | None:
        """A rule that allows and is not about the sender, or not now, and that the device still holds for it; None where it does not."""
        if self._at is None and not self._unsettled(target.name, other):
            return None
        found = self._by_rule(target, seen, other)
        if not found.lines.lines or not found.member.held:
            return None
        piece = Piece(other.carried, Verdict.ALLOW, other.rule)
        told = self._told(target, sender, seen, piece, found, other)
        state = told.state if told.state != OK else "Pending"
        return msgspec.structs.replace(told, state=state, stale=True, agrees=False)

    # ---- lines and members

    def _by_rule(self, target: Target, seen: Seen, via: Considered) -> _Found:
        rule = via.rule
        key = list_key(self._cluster, SCOPES[rule.tier], rule.ref.namespace)
        lines = self._held_lines(target.name, key, f"{rule.ref.name}_")
        meant = tuple(line for line in lines.lines if _meets(line, via, seen.view, target))
        return self._with_member(target, seen, Lines(meant, lines.fact))

    def _by_default(self, target: Target, seen: Seen) -> _Found:
        key = list_key(self._cluster, Scope.DEFAULT)
        lines = self._held_lines(target.name, key, _DEFAULT)
        meant = tuple(line for line in lines.lines if _of_view(line, seen.view, target))
        found = self._with_member(target, seen, Lines(meant, lines.fact))
        exempt = builtin(self._cluster, EXEMPT if target.namespaces is None else f"{EXEMPT}-.{target.name}")
        return _Found(found.lines, found.group, found.member, self._member(target.name, exempt, seen.addresses))

    def _with_member(self, target: Target, seen: Seen, lines: Lines) -> _Found:
        """The first source that holds the sender; else what is known of the first of all."""
        facts = [(key, self._member(target.name, key, seen.addresses)) for line in lines.lines for key in line.sources]
        if not facts:
            return _Found(lines, None, Fact(None if lines.fact.held is None else False, why=lines.fact.why))
        key, fact = next(((key, fact) for key, fact in facts if fact.held), facts[0])
        return _Found(lines, key, fact)

    def _member(self, device: str, key: ObjectKey, addresses: Iterable[str]) -> Fact:
        found = [
            self._holdings.member(device, key, one, self._row(device, key), joined=self._joined(key, one))
            for one in addresses
        ]
        return next(
            (one for one in found if one.held), found[0] if found else Fact(False, why="it has no address there")
        )

    def _joined(self, key: ObjectKey, address: str) -> bool:
        """Whether it is a member as recorded; of groups of workloads all that are expected are looked up at once."""
        if key.scope is Scope.BUILTIN:
            return bool(self._reading.members(self._cluster, [key], prefixes_of(address), self._at))
        if key not in self._members:
            found = self._reading.members(self._cluster, [key], self._expected, self._at)
            self._members[key] = {one for _, one in found}
        if address not in self._expected:
            return bool(self._reading.members(self._cluster, [key], [address], self._at))
        return address in self._members[key]

    def _held_lines(self, device: str, key: ObjectKey, prefix: str) -> Lines:
        place = (device, key, prefix)
        if place not in self._lines:
            self._lines[place] = self._holdings.lines(device, key, prefix, self._row(device, key))
        return self._lines[place]

    # ---- rows

    def _row(self, device: str, key: ObjectKey) -> Stood | None:
        if self._at is not None:
            return None
        self._fetch({key})
        return self._rows[key].get(device)

    def _fetch(self, keys: Iterable[ObjectKey]) -> None:
        missing = [key for key in keys if key not in self._rows]
        if missing:
            self._rows |= {key: {} for key in missing}
            for (device, key), row in self._reading.objects(missing).items():
                self._rows[key][device] = row

    def _unsettled(self, device: str, other: Considered) -> bool:
        placed = self.placed(other.rule.ref, device)
        key = list_key(self._cluster, SCOPES[other.rule.tier], other.rule.ref.namespace)
        rows = [self._row(device, one) for one in (key, *(placed.keys if placed else ()))]
        return any(row is not None and (not row.settled or row.state in _STATED) for row in rows)

    # ---- in words

    def _told(
        self, target: Target, sender: Sender, seen: Seen, piece: Piece, found: _Found, via: Considered | None
    ) -> OnDevice:
        device = self._devices.get(target.name, DeviceRow("not read yet"))
        nothing = found.lines.fact is _NOTHING
        line = None if nothing else _line_held(found.lines)
        member = None if nothing else found.member.held
        tier = via.rule.tier if via is not None else Tier.SERVICE
        attached = device.attached.get(tier) if self._at is None and not nothing else None
        agrees = True if nothing else _agrees(line, member, attached, found.exempt)
        placed = self.placed(via.rule.ref, target.name) if via is not None else None
        state, message = (OK, "") if nothing else self._state(target, found, placed, device, via, agrees=agrees)
        if piece.verdict is Verdict.UNKNOWN:
            agrees = None
        return OnDevice(
            device=target.name,
            sender=sender.name,
            address=seen.addresses,
            view=seen.view.source.value,
            verdict=piece.verdict.value,
            rule=str(piece.rule.ref) if piece.rule else "",
            line=line,
            line_since=found.lines.fact.since,
            lines=tuple(one.text for one in found.lines.lines),
            group=named(found.group) if found.group else "",
            member=member,
            member_since=found.member.since if member else None,
            row=found.member.row,
            attached=attached,
            state=state,
            message=message,
            proven_at=self._proven(target.name, found),
            agrees=agrees,
        )

    def _state(
        self,
        target: Target,
        found: _Found,
        placed: Placement | None,
        device: DeviceRow,
        via: Considered | None,
        *,
        agrees: bool | None,
    ) -> tuple[str, str]:
        """Why the device does not do it, in the words of status; `ok` where it does."""
        why = found.lines.fact.why or found.member.why
        if self._at is not None:
            word = {True: OK, False: "not held then", None: "not known"}[agrees]
            return word, "" if agrees else why
        rows = self._concerned(target.name, found, placed, via)
        tier = via.rule.tier if via is not None else Tier.SERVICE
        loose = bool(found.lines.lines) and device.attached.get(tier) is False
        if not agrees:
            told = next(_why_not(target.name, rows, placed, device, loose=loose), None)
            if told is not None:
                return told
        if any(row.state is ObjectState.AWAITING_DEPLOY for row in rows):
            return "AwaitingDeploy", "stored, not yet enforced"
        if loose:
            return "NotAttached", device.attach_by.get(tier, "")
        return self._rest(target, found, device, placed, via, why, agrees=agrees)

    @staticmethod
    def _rest(
        target: Target,
        found: _Found,
        device: DeviceRow,
        placed: Placement | None,
        via: Considered | None,
        why: str,
        *,
        agrees: bool | None,
    ) -> tuple[str, str]:
        """Where nothing that is recorded says that something is amiss."""
        if agrees:
            unwell = "" if device.state == OK else f"as last seen: the device is {device.state}"
            return OK, unwell or (placed.message if placed else "")
        if device.state != OK:
            return _late(target.name, device)
        if found.exempt is not None and found.exempt.held:
            return "Exempt", "the device lets it on unmatched, as the pod of a namespace that is not governed"
        return ("not known" if agrees is None else "Missing"), why or _missing(placed, via)

    def _concerned(self, device: str, found: _Found, placed: Placement | None, via: Considered | None) -> list[Stood]:
        keys = dict.fromkeys(placed.keys if placed else ())
        keys |= dict.fromkeys(key for line in found.lines.lines for key in line.sources)
        if via is None:
            keys[list_key(self._cluster, Scope.DEFAULT)] = None
        rows = (self._row(device, key) for key in keys)
        return [row for row in rows if row is not None]

    def _proven(self, device: str, found: _Found) -> datetime | None:
        """When the device was last seen to hold the group as recorded."""
        row = self._row(device, found.group) if found.group is not None else None
        return row.proven_at if row is not None and found.member.held else None


def _line_held(lines: Lines) -> bool | None:
    return bool(lines.lines) if lines.lines or lines.fact.held is not None else None


def _agrees(line: bool | None, member: bool | None, attached: bool | None, exempt: Fact | None) -> bool | None:
    let_on = None if exempt is None else exempt.held
    if False in (line, member) or attached is False or let_on:
        return False
    return None if None in (line, member) or (exempt is not None and let_on is None) else True


def _late(name: str, device: DeviceRow) -> tuple[str, str]:
    if device.mode == "plan":
        return "Pending", "the bridge only plans for it (mode: plan) and writes nothing there"
    if device.state == OK:
        return "Pending", "a change has not reached the device yet"
    return "DeviceUnreachable", unnamed(name, device.message) or device.state


def _why_not(
    name: str, rows: Sequence[Stood], placed: Placement | None, device: DeviceRow, *, loose: bool
) -> Iterator[tuple[str, str]]:
    """What is recorded to be in the way, the most telling first."""
    if placed is not None and placed.reason:
        yield placed.reason, placed.message
    for state in _STATED:
        yield from ((row.state.value, row.message) for row in rows if row.state is state)
    if any(row.waiting_since for row in rows) and not loose:
        yield _late(name, device)


def _missing(placed: Placement | None, via: Considered | None) -> str:
    if via is not None and placed is None:
        return "it is not recorded that the device is to hold the rule"
    return "the device was not seen to hold it"


def _meets(line: Line, via: Considered, view: View, target: Target) -> bool:
    """Whether the line is about the traffic: its destination is one that was met, or of a kind that stands for several."""
    if not _of_view(line, view, target):
        return False
    met = {(ref.namespace, ref.name) for ref in via.reached}
    external = [key for key in line.destinations if key.scope in (Scope.EXTERNAL, Scope.CLUSTER_EXTERNAL)]
    if external and not any((key.namespace, key.name.partition("-.")[0]) in met for key in external):
        return False
    protocols = {protocol.value for part in (via.carried, via.perhaps) for protocol in part.ports}
    return line.traffic == "Any" or line.traffic in protocols


def _of_view(line: Line, view: View, target: Target) -> bool:
    if len(target.views) == 1:
        return True
    others = {one.name for one in target.views if one.name and one.name != view.name}
    return (
        line.name.endswith(f"_{view.name}") if view.name else not line.name.endswith(tuple(f"_{one}" for one in others))
    )


def _alike(addresses: Iterable[str], address: str) -> tuple[str, ...]:
    """Those of the same IP version."""
    return tuple(one for one in addresses if (":" in one) == (":" in address))


def allows(considered: Iterable[Considered], pieces: Iterable[Piece]) -> tuple[Considered, ...]:
    """Rules that allow some of what is stopped here, and are not about the sender or not now: where a device may be behind."""
    stopped = any(piece.verdict is not Verdict.ALLOW for piece in pieces)
    if not stopped:
        return ()
    return tuple(one for one in considered if one.rule.action is Action.ALLOW and one.meets and one.matches is False)
