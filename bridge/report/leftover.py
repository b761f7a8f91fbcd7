"""What a device still holds though policy says otherwise: lines of rules that were deleted or written anew, and groups as they were.

The other questions of a trace start from policy; this one starts from the device. Only what waits to be changed there is looked at.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from bridge.model.capabilities import Form
from bridge.model.identity import ObjectKey
from bridge.model.intent import RuleList
from bridge.model.policy import Action, AddressSource, Protocol, Tier, View
from bridge.model.rendering import entry_line
from bridge.model.tiers import SCOPES
from bridge.policy.compiled import Target
from bridge.policy.region import What
from bridge.report.considered import Considered, Piece, Verdict
from bridge.report.enforced import Enforcement, Seen, of_view, place_of
from bridge.report.held import Line, list_key
from bridge.report.naming import named, place
from bridge.report.trace_model import OnDevice, Sender
from bridge.state.trace_store import Reading

_MOST = 50  # lines of one device that are told about one sender


@dataclass(frozen=True, slots=True)
class _Suspect:
    """A line as the device holds it, which policy has no more, or which names a group that waits to be changed."""

    tier: Tier
    key: ObjectKey
    line: Line
    wanted: bool

    def label(self, view: View) -> str:
        """How its name says which rule it is of; behind shared addresses with the namespace, for one list is for all of them."""
        parts = 1 if view.source is AddressSource.POD or self.tier is Tier.CLUSTER else 2
        return "_".join(self.line.name.split("_")[:parts])


@dataclass(frozen=True, slots=True)
class _Dark:
    """A list of which it cannot be told which lines the device holds."""

    tier: Tier
    key: ObjectKey
    why: str


class Leftovers:
    """Looks at devices as they are now. `considered` of `of_sender` are the rules as policy has them for that sender."""

    def __init__(self, reading: Reading, cluster: str, enforcement: Enforcement) -> None:
        self._reading = reading
        self._cluster = cluster
        self._enforcement = enforcement
        self._pending: dict[str, frozenset[ObjectKey]] = {}
        self._suspects: dict[tuple[str, str, View], Sequence[_Suspect | _Dark]] = {}

    def of_sender(
        self, target: Target, sender: Sender, seen: Seen, considered: Iterable[Considered], pieces: Sequence[Piece]
    ) -> Iterator[OnDevice]:
        """The lines by which the device does, or may do, otherwise with this sender than the pieces say."""
        found = self._of_place(target, sender, seen)
        if not found:
            return
        suspects = [one for one in found if isinstance(one, _Suspect)]
        dark = (
            one for one in found if isinstance(one, _Dark) and any(_counts(target, one.tier, each) for each in pieces)
        )
        yield from (_not_known(target, sender, seen, one) for one in islice(dark, 1))
        rules = {place_of(self._cluster, one.rule.ref, one.rule.tier, seen.view): one for one in considered}
        told = 0
        for one in suspects:
            via = rules.get((one.key, one.label(seen.view) + "_"))
            if told == _MOST or (one.wanted and via is not None and via.matches is not False):
                continue  # policy says itself that it is about the sender
            against = next(self._against(target, sender, seen, one, pieces), None)
            if against is not None:
                told += 1
                yield against

    def _of_place(self, target: Target, sender: Sender, seen: Seen) -> Sequence[_Suspect | _Dark]:
        """The suspects of the lists in which lines about this sender stand, and those lists that cannot be told."""
        place = (target.name, sender.namespace, seen.view)
        if place not in self._suspects:
            if target.name not in self._pending:
                self._pending[target.name] = self._reading.pending(target.name)
            pending = self._pending[target.name]
            self._suspects[place] = tuple(self._look(target, sender, seen, pending)) if pending else ()
        return self._suspects[place]

    def _look(
        self, target: Target, sender: Sender, seen: Seen, pending: frozenset[ObjectKey]
    ) -> Iterator[_Suspect | _Dark]:
        for tier in Tier:
            whole = tier is Tier.CLUSTER or seen.view.source is not AddressSource.POD
            key = list_key(self._cluster, SCOPES[tier], "" if whole else sender.namespace)
            row = self._enforcement.row(target.name, key)
            if row is None and key not in pending:
                continue
            body = row.body if row is not None and isinstance(row.body, RuleList) else RuleList(key, ())
            wanted = {_bare(entry_line(entry)) for entry in body.entries}
            held = self._enforcement.held_lines(target.name, key, "")
            if held.more and (row is None or row.applied):
                yield _Dark(tier, key, held.more)
            for line in held.lines:
                asked_for = _bare(line.text) in wanted
                if not of_view(line, seen.view, target):
                    continue
                if not asked_for or not pending.isdisjoint((*line.sources, *line.destinations)):
                    yield _Suspect(tier, key, line, asked_for)

    def _against(
        self, target: Target, sender: Sender, seen: Seen, one: _Suspect, pieces: Iterable[Piece]
    ) -> Iterator[OnDevice]:
        """A row for each piece against which the line does, or may do."""
        device, line = target.name, one.line
        for piece in pieces:
            if not _does_otherwise(target, one, piece):
                continue
            carried = self._carries(device, line, piece.what)
            if carried is False:
                continue
            key, source = self._any_of(device, line.sources, seen.addresses)
            _, there = self._any_of(device, line.destinations, (seen.to,) if seen.to else ())
            if False not in (source, there):
                sure = None not in (source, there, carried) and _comes_first(one, piece)
                yield self._told(target, sender, seen, one, key, source, sure=sure)

    def _any_of(
        self, device: str, keys: Sequence[ObjectKey], addresses: Sequence[str]
    ) -> tuple[ObjectKey | None, bool | None]:
        """Whether one of these groups, as the device holds it, has one of the addresses, and which; None: nobody knows."""
        if not addresses:
            return None, None
        facts = [(key, self._enforcement.member(device, key, addresses).held) for key in keys]
        for wanted in (True, None):
            for key, held in facts:
                if held is wanted:
                    return key, held
        return None, False

    def _carries(self, device: str, line: Line, what: What) -> bool | None:
        """Whether the line is about some of the traffic; None where its ports or types are not to be had."""
        if line.traffic == Protocol.ANY:
            return True
        asked = what.ports.get(Protocol(line.traffic), ())
        if not asked:
            return False
        if line.traffic not in (Protocol.TCP, Protocol.UDP, Protocol.SCTP):
            return None
        if not line.ports:
            return True
        ports = self._enforcement.ports(device, ObjectKey.parse(line.ports))
        return None if ports is None else any(a.first <= b.last and b.first <= a.last for a in ports for b in asked)

    def _told(
        self,
        target: Target,
        sender: Sender,
        seen: Seen,
        one: _Suspect,
        group: ObjectKey | None,
        member: bool | None,
        *,
        sure: bool,
    ) -> OnDevice:
        device, line = target.name, one.line
        state, message = self._enforcement.late(device, (one.key, *line.sources, *line.destinations))
        return OnDevice(
            device=device,
            sender=sender.name,
            address=seen.addresses,
            view=seen.view.source.value,
            verdict=line.action,
            rule=f"{one.tier} rule {place(one.key.namespace, one.label(seen.view).replace('_', '/'))}",
            line=True,
            line_since=None,
            lines=(line.text,),
            group=named(group) if group else "",
            member=member,
            member_since=None,
            row=None,
            attached=None,
            state=state,
            message=message,
            proven_at=None,
            agrees=False if sure else None,
            stale=True,
        )


def _counts(target: Target, tier: Tier, piece: Piece) -> bool:
    """Whether what stands in a list of the tier can be about this decision; not where an earlier tier decides."""
    decides_earlier = piece.rule is not None and piece.rule.tier.rank < tier.rank
    return piece.verdict is not Verdict.UNKNOWN and not (
        decides_earlier and target.capabilities.form is not Form.ALLOW_ONLY
    )


def _does_otherwise(target: Target, one: _Suspect, piece: Piece) -> bool:
    """Whether the line, were it the first to match, would decide otherwise."""
    if not _counts(target, one.tier, piece):
        return False
    if one.line.action == Action.PASS:
        return piece.rule is not None and piece.rule.tier is one.tier
    return (one.line.action == Action.ALLOW) is not (piece.verdict is Verdict.ALLOW)


def _comes_first(one: _Suspect, piece: Piece) -> bool:
    """Whether nothing that policy has stands before the line for certain."""
    alone = piece.rule is None or piece.rule.tier is not one.tier
    return one.line.action != Action.PASS and alone and not piece.passed


def _not_known(target: Target, sender: Sender, seen: Seen, one: _Dark) -> OnDevice:
    """What is said in place of the lines that cannot be told."""
    return OnDevice(
        device=target.name,
        sender=sender.name,
        address=seen.addresses,
        view=seen.view.source.value,
        verdict=Verdict.UNKNOWN.value,
        rule=f"{one.tier} rules{f' of {one.key.namespace}' if one.key.namespace else ''}",
        line=None,
        line_since=None,
        lines=(),
        group="",
        member=None,
        member_since=None,
        row=None,
        attached=None,
        state="not known",
        message=one.why,
        proven_at=None,
        agrees=None,
        stale=True,
    )


def _bare(text: str) -> str:
    """A line without what is only about its being written."""
    return text.removesuffix(" withheld")
