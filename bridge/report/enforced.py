"""What one device does about one decision: whether it holds the rule's line, and the sender as a member of the line's source."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec

from bridge.model.addresses import covers, overlap
from bridge.model.capabilities import Form
from bridge.model.identity import ObjectKey, Scope
from bridge.model.intent import Group, Ports
from bridge.model.kinds import BY_REF
from bridge.model.policy import AS_POD, Action, AddressSource, PortRange, Ref, Tier, View
from bridge.model.tiers import SCOPES
from bridge.policy.compiled import Target
from bridge.policy.remainder import EXEMPT
from bridge.report.amiss import AWAITING, OK, STATED, Situation, amiss, late
from bridge.report.considered import Considered, Piece, Verdict
from bridge.report.held import Fact, Holdings, Line, Lines, list_key, prefixes_of
from bridge.report.naming import named
from bridge.report.trace_model import OnDevice, Sender
from bridge.state.batch import Placement
from bridge.state.policy_picture import DeviceRow
from bridge.state.trace_store import Reading, Stood

_FEW = 20  # senders of each of whom it is told since when
_DEFAULT = "default-deny"  # the name of the line
_NOTHING = Fact(True)
_SHARED = View(AddressSource.NODE)


@dataclass(frozen=True, slots=True)
class Seen:
    """The sender as one device sees it in packets to the destination, which is `to` ("" where no address of it is known)."""

    view: View
    addresses: tuple[str, ...]
    to: str = ""


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
            return Seen(view, _alike(view.addresses, sender.address), address)
        if view.source is AddressSource.NODE and sender.node:
            nodes = self._reading.node_addresses(self._cluster, sender.node)
            return Seen(view, _alike(nodes, sender.address), address)
        return Seen(view, (sender.address,) if view.source is AddressSource.POD else (), address)

    def of_piece(self, target: Target, sender: Sender, seen: Seen, piece: Piece, via: Considered | None) -> OnDevice:
        """What the device does about one decision; `via` is the rule that took it."""
        if piece.verdict in (Verdict.UNMATCHED, Verdict.UNKNOWN) or _implied(target, piece):
            return self._told(target, sender, seen, piece, _Found(Lines((), _NOTHING)), None)
        if target.capabilities.form is Form.FLAT and piece.passed:
            found = self._by_pass(target, seen, piece)
            if found.lines.lines:
                return self._told(target, sender, seen, piece, found, via)
        if via is not None:
            return self._told(target, sender, seen, piece, self._by_rule(target, seen, via), via)
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
        key, prefix = place_of(self._cluster, rule.ref, rule.tier, seen.view)
        lines = self.held_lines(target.name, key, prefix)
        meant = tuple(line for line in lines.lines if self._meets(target, line, via, seen))
        return self._with_member(target, seen, Lines(meant, lines.fact))

    def _by_pass(self, target: Target, seen: Seen, piece: Piece) -> _Found:
        """What a Pass became on an ordered list: the lower rules, or the default, as lines of its own."""
        of = f"_{piece.rule.ref.label}_" if piece.rule is not None else f"_{_DEFAULT}"
        found: list[Line] = []
        for ref in piece.passed:
            tier = BY_REF[ref.kind].tier or Tier.SERVICE
            lines = self.held_lines(target.name, *place_of(self._cluster, ref, tier, seen.view))
            chosen = (one for one in lines.lines if of in one.name and one.action == piece.verdict.value)
            found += [one for one in chosen if self._goes_there(target.name, one, seen.to)]
        return self._with_member(target, seen, Lines(tuple(found), Fact(True)))

    def _by_default(self, target: Target, seen: Seen) -> _Found:
        key = list_key(self._cluster, Scope.DEFAULT)
        lines = self.held_lines(target.name, key, _DEFAULT)
        meant = tuple(line for line in lines.lines if of_view(line, seen.view, target))
        found = self._with_member(target, seen, Lines(meant, lines.fact))
        onward = [one for line in self.held_lines(target.name, key, EXEMPT).lines for one in line.sources]
        exempt = next((self.member(target.name, one, seen.addresses) for one in onward), None)
        return _Found(found.lines, found.group, found.member, exempt)

    def _meets(self, target: Target, line: Line, via: Considered, seen: Seen) -> bool:
        """Whether the line is about the traffic: its destination is one that was met, or made of one."""
        if not of_view(line, seen.view, target) or line.action != _action(target, via):
            return False
        external = [key for key in line.destinations if key.scope in (Scope.EXTERNAL, Scope.CLUSTER_EXTERNAL)]
        if external and not any(_stands_for(key, ref) for key in external for ref in via.reached):
            return False
        protocols = {protocol.value for part in (via.carried, via.perhaps) for protocol in part.ports}
        return line.traffic in ("Any", *protocols) and self._goes_there(target.name, line, seen.to)

    def _goes_there(self, device: str, line: Line, to: str) -> bool:
        """Whether the line's destinations have the address in them, on the device, as far as that is recorded."""
        rows = {key: row for key in line.destinations if (row := self.row(device, key)) is not None}
        if to and any(not row.settled for row in rows.values()):
            return any(self.member(device, key, (to,)).held is not False for key in line.destinations)
        bodies = [row.body for row in rows.values()]
        groups = [body for body in bodies if isinstance(body, Group) and not body.shards]
        if not to or len(groups) < len(line.destinations) or any(group.fqdns for group in groups):
            return True
        return any(overlap(group.members, [to]) for group in groups)

    def _with_member(self, target: Target, seen: Seen, lines: Lines) -> _Found:
        """The first source that holds the sender; else what is known of the first of all."""
        facts = [(key, self.member(target.name, key, seen.addresses)) for line in lines.lines for key in line.sources]
        if not facts:
            return _Found(lines, None, Fact(None if lines.fact.held is None else False, why=lines.fact.why))
        key, fact = next(((key, fact) for key, fact in facts if fact.held), facts[0])
        return _Found(lines, key, fact)

    def member(self, device: str, key: ObjectKey, addresses: Iterable[str]) -> Fact:
        """Whether the group there has one of the addresses."""
        row = self.row(device, key)
        counted = row.members_of or key if row is not None else key
        found = [self._holdings.member(device, key, one, row, joined=self._joined(counted, one)) for one in addresses]
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

    def held_lines(self, device: str, key: ObjectKey, prefix: str) -> Lines:
        """The lines there whose names begin so."""
        place = (device, key, prefix)
        if place not in self._lines:
            self._lines[place] = self._holdings.lines(device, key, prefix, self.row(device, key))
        return self._lines[place]

    # ---- rows

    def ports(self, device: str, key: ObjectKey) -> tuple[PortRange, ...] | None:
        """What the ports of that key are there; None where that is not known."""
        row = self.row(device, key)
        found = row.body if row is not None else None
        return found.ports if isinstance(found, Ports) else self._holdings.ports(device, key)

    def row(self, device: str, key: ObjectKey) -> Stood | None:
        """The object as it is recorded to be wanted there now."""
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
        keys = [place_of(self._cluster, other.rule.ref, other.rule.tier, view)[0] for view in (AS_POD, _SHARED)]
        rows = [self.row(device, one) for one in (*keys, *(placed.keys if placed else ()))]
        return any(row is not None and (not row.settled or row.state in STATED) for row in rows)

    # ---- in words

    def late(self, device: str, keys: Iterable[ObjectKey]) -> tuple[str, str]:
        """Why these objects are not there yet as they should be, in the words of status."""
        rows = [row for key in keys if (row := self.row(device, key)) is not None]
        stated = next((row for row in rows if row.state in STATED), None)
        if stated is not None:
            return stated.state.value, stated.message
        return late(device, self._devices.get(device, DeviceRow("not read yet")))

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
        placed = self.placed(via.rule.ref, target.name) if via is not None else self._default(target.name)
        state, message = (OK, "") if nothing else self._state(target, found, placed, device, via, agrees=agrees)
        if piece.verdict is Verdict.UNKNOWN or (agrees and state == AWAITING):
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
        tier = via.rule.tier if via is not None else Tier.SERVICE
        situation = Situation(
            target.name,
            device,
            tuple(self._concerned(target.name, found, placed, via)),
            placed,
            loose=bool(found.lines.lines) and device.attached.get(tier) is False,
            attach_by=device.attach_by.get(tier, ""),
            exempt=found.exempt is not None and bool(found.exempt.held),
            why=why or ("" if placed is not None or via is None else "it is not recorded that it is to hold the rule"),
        )
        return amiss(situation, agrees=agrees)

    def _default(self, device: str) -> Placement | None:
        """What is said of the device's default where it is not in force as stated; nothing of the past."""
        ref = Ref("Default", "", device)
        said = self._reading.written_as(self._cluster, [ref], None) if self._at is None else ()
        return next((Placement(ref, device, (), None, one.reason, one.message) for one in said if not one.ok), None)

    def _concerned(self, device: str, found: _Found, placed: Placement | None, via: Considered | None) -> list[Stood]:
        keys = dict.fromkeys(placed.keys if placed else ())
        keys |= dict.fromkeys(key for line in found.lines.lines for key in line.sources)
        if via is None:
            keys[list_key(self._cluster, Scope.DEFAULT)] = None
        rows = (self.row(device, key) for key in keys)
        return [row for row in rows if row is not None]

    def _proven(self, device: str, found: _Found) -> datetime | None:
        """When the device was last seen to hold the group as recorded."""
        row = self.row(device, found.group) if found.group is not None else None
        return row.proven_at if row is not None and found.member.held else None


def _line_held(lines: Lines) -> bool | None:
    return bool(lines.lines) if lines.lines or lines.fact.held is not None else None


def _agrees(line: bool | None, member: bool | None, attached: bool | None, exempt: Fact | None) -> bool | None:
    let_on = None if exempt is None else exempt.held
    if False in (line, member) or attached is False or let_on:
        return False
    return None if None in (line, member) or (exempt is not None and let_on is None) else True


def _implied(target: Target, piece: Piece) -> bool:
    """Whether it takes no line on a device that only allows: what is stopped there is what no line allows."""
    return target.capabilities.form is Form.ALLOW_ONLY and piece.verdict.stops


def place_of(cluster: str, ref: Ref, tier: Tier, view: View) -> tuple[ObjectKey, str]:
    """The list of a rule, and how the names of its lines begin; where namespaces share addresses, one list is for the tier."""
    if view.source is AddressSource.POD:
        return list_key(cluster, SCOPES[tier], ref.namespace), f"{ref.label}_"
    return list_key(cluster, SCOPES[tier]), f"{ref.namespace}_{ref.label}_" if ref.namespace else f"{ref.label}_"


def _action(target: Target, via: Considered) -> Action:
    """What lines of the rule do there as it is written now; those that do another thing are left from before an edit."""
    meant = via.rule.action
    return Action.DENY if meant is Action.REJECT and not target.capabilities.reject else meant


def _stands_for(key: ObjectKey, ref: Ref) -> bool:
    """Whether the group is that of the external service, or a part of it."""
    return key.namespace == ref.namespace and (key.name == ref.label or key.name.startswith(f"{ref.label}-."))


def of_view(line: Line, view: View, target: Target) -> bool:
    """Whether the line is for senders as the device sees them by that view."""
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
