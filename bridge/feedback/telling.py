"""What each object of a cluster is to be told, by one picture at one moment."""

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import uuid4

from bridge.feedback import annotation, orders, status
from bridge.feedback.account import NEVER, Account, Body, Content, Due
from bridge.feedback.standing import ALWAYS, Asked, Standing, Standings, Unsettled
from bridge.feedback.wording import announced, text
from bridge.model.identity import ObjectKey
from bridge.model.kinds import BY_REF, Brings, brings
from bridge.model.observed import KINDS, Resource
from bridge.model.policy import Ref
from bridge.model.reasons import MEANINGS, Reason
from bridge.state.policy_picture import Judged, Placed, PolicyPicture

_CARRIERS = frozenset(KINDS[one] for one in (Resource.NAMESPACES, Resource.SERVICES))
_GONE = "Missing"  # deleted in the cluster, and kept for the rules that name it


@dataclass(frozen=True, slots=True)
class Telling:
    """What one object is to be told. `marks` name what is amiss: where and why, with the words for it."""

    ref: Ref
    uid: str
    content: Content = ""
    marks: Mapping[str, str] = field(default_factory=dict)
    events: Mapping[str, tuple[str, str]] = field(default_factory=dict)  # by mark: what an Event says

    def after(self, account: Account | None) -> Account:
        """The account of it: as it was where nothing is new; else with what is now to be written and announced."""
        before = account.body if account and account.uid == self.uid else None
        if account and before and before.content == self.content and before.marks == self.marks:
            return account
        known = before or Body()
        body = Body(
            content=self.content,
            marks=dict(self.marks),
            due=(*(one for one in known.due if self.marks.keys() & set(one.marks)), *self._due(known.marks)),
            written=known.written and known.content == self.content,
        )
        return Account(self.ref, self.uid, body, account.at if account and before else NEVER)

    def _due(self, told: Mapping[str, str]) -> Iterator[Due]:
        """One Event for each reason that is new."""
        fresh: dict[str, list[str]] = {}
        for mark, (reason, _) in self.events.items():
            if mark not in told:
                fresh.setdefault(reason, []).append(mark)
        for reason, marks in fresh.items():
            name = f"{self.ref.name[:200]}.{uuid4().hex[:16]}"
            yield Due(name, str(reason), announced(reason, [self.events[mark][1] for mark in marks]), tuple(marks))


class Narrator:
    """Says of each object what it is to be told."""

    def __init__(
        self,
        picture: PolicyPicture,
        now: datetime,
        patience: timedelta,
        began: datetime = ALWAYS,
        serving: Collection[str] = (),
    ) -> None:
        self._picture = picture
        self._now = now
        self._patience = patience
        self._serving = serving  # the devices of the cluster
        self._standings = Standings(picture, now, patience, began)

    def refs(self) -> Iterable[Ref]:
        """Every object that somebody is told about."""
        picture = self._picture
        judged = (ref for ref, one in picture.judged.items() if one.reason != _GONE)
        carriers = (ref for ref in picture.placed if ref.kind in _CARRIERS)
        return dict.fromkeys((*judged, *carriers, *picture.decisions, *picture.stops))

    def tell(self, ref: Ref, account: Account | None, *, hurry: bool = False) -> Telling | Unsettled | None:
        """What the object is to be told; None where that cannot be known yet."""
        if ref in self._picture.decisions or ref in self._picture.stops:
            return self._order(ref, hurry=hurry)
        judged = self._picture.judged.get(ref)
        uid = (judged.uid if judged else "") or self._picture.uids.get(ref, "")
        body = account.body if account and account.uid == uid else Body()
        if judged and brings(ref.kind):
            return self._ours(ref, judged, body, hurry=hurry)
        if not uid:
            return None
        if judged:
            content = annotation.complaint(judged) if ref.kind in _CARRIERS else ""
            return Telling(ref, uid, content, *_of_judgement(judged))
        return self._carrier(ref, uid, body, hurry=hurry)

    def _order(self, ref: Ref, *, hurry: bool) -> Telling | Unsettled:
        """What became of an order. That it is still on its way is told only where it takes its time: another word follows soon."""
        picture = self._picture
        if record := picture.decisions.get(ref):
            uid, said = record.decision.uid, orders.about_decision(record)
        else:
            stop = picture.stops[ref]
            uid, said = stop.stop.uid, orders.about_stop(stop, picture.devices, self._serving)
        if not said.reason and not hurry:
            return Unsettled(self._now + self._patience)
        mark = {f":{said.reason}": ""} if said.reason else {}
        return Telling(ref, uid, dict(said.status), mark, dict.fromkeys(mark, (said.reason, said.words)))

    def _ours(self, ref: Ref, judged: Judged, body: Body, *, hurry: bool) -> Telling | Unsettled:
        before = body.content if isinstance(body.content, dict) else {}
        found: list[Standing] = []
        for placed in self._picture.placed.get(ref, ()) if judged.in_force is not None else ():
            fresh = status.generation_on(placed.device, before) != judged.in_force
            one = self._standings.of(ref, placed, Asked(fresh, judged.changed_at, hurry))
            if isinstance(one, Unsettled):
                return one
            found.append(_as_first_said(one, one.mark, body))
        absent = Reason.NOT_USED if brings(ref.kind) is Brings.EXTERNAL_SERVICE else Reason.NO_DEVICE
        content = status.status(judged, found, absent, before, self._now, BY_REF[ref.kind].phases)
        marks, events = _of_judgement(judged)
        if judged.in_force is not None and not found:
            marks, events = {**marks, f":{absent}": ""}, _with_event(events, f":{absent}", absent, text(absent))
        for one in found:
            marks, events = _with_standing(marks, events, one, one.mark, f"on {one.device}")
        return Telling(ref, judged.uid, content, marks, events)

    def _carrier(self, ref: Ref, uid: str, body: Body, *, hurry: bool) -> Telling | Unsettled:
        before = annotation.groups(body.content) if isinstance(body.content, str) else {}
        groups: dict[str, list[Standing]] = {}
        marks: dict[str, str] = {}
        events: Events = {}
        for name, placed in _by_group(self._picture.placed.get(ref, ())):
            known = before.get(name, {}).get(placed.device)
            one = self._standings.of(ref, placed, Asked(known is None, None, hurry))
            if isinstance(one, Unsettled):
                return one
            mark = f"{name}@{one.mark}"
            one = _as_first_said(one, mark, body)
            groups.setdefault(name, []).append(one)
            marks, events = _with_standing(marks, events, one, mark, f"group {name} on {one.device}")
        return Telling(ref, uid, annotation.annotation(groups), marks, events)


Marks = dict[str, str]
Events = dict[str, tuple[str, str]]


def _of_judgement(judged: Judged) -> tuple[Marks, Events]:
    """What is amiss with the object itself. What a device cannot express is told for the device."""
    if judged.ok or judged.reason == Reason.UNSUPPORTED:
        return {}, {}
    reason = Reason(judged.reason)
    said = text(reason, judged.message)
    mark = f"{reason}:{hashlib.sha256(said.encode()).hexdigest()[:12]}"
    return {mark: ""}, _with_event({}, mark, reason, said)


def _with_event(events: Events, mark: str, reason: Reason, said: str) -> Events:
    return {**events, mark: (reason, said)} if MEANINGS[reason].event else events


def _with_standing(marks: Marks, events: Events, one: Standing, mark: str, where: str) -> tuple[Marks, Events]:
    if one.reason is Reason.PROGRAMMED:
        return marks, events
    return {**marks, mark: one.words}, _with_event(events, mark, one.reason, f"{where}: {text(one.reason, one.words)}")


def _as_first_said(one: Standing, mark: str, body: Body) -> Standing:
    return replace(one, words=body.marks[mark]) if one.lasting is not None and mark in body.marks else one


def _by_group(placed: Sequence[Placed]) -> Iterator[tuple[str, Placed]]:
    """One placement for each group and device."""
    for one in placed:
        for key in one.keys:
            yield ObjectKey.parse(key).name, replace(one, keys=(key,))
