"""Trace: what becomes of a packet, by which rule, which rules it meets on its way, and whether each device in scope does just that.

What policy means is decided by the reference evaluator on what is recorded: the pod with its labels and the accepted versions now, or of a
past moment the accepted versions, the namespaces and the members of groups as they were then. What is not recorded is said, not guessed.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from bridge.dialects.dialect import Dialects
from bridge.model.addresses import ALL, networks, overlap, subtract
from bridge.model.observed import Namespace
from bridge.model.policy import DefaultAction, Defaults, Governance, Ref, UnknownAddresses
from bridge.policy import evaluate as reference
from bridge.policy.compiled import Target
from bridge.policy.evaluate import Scene, evaluate
from bridge.policy.standing import concerns
from bridge.report import trace_words as words
from bridge.report.considered import Considered, Piece, Verdict, consider, decide
from bridge.report.destination import Destination
from bridge.report.enforced import Enforcement, allows
from bridge.report.leftover import Leftovers
from bridge.report.meant import Names
from bridge.report.meant import meant as is_meant
from bridge.report.sender import Crowd, From, NotTraceable, Place, Senders
from bridge.report.sides import Side, sides, together
from bridge.report.times import time_text
from bridge.report.trace_model import SCHEMA, Answer, Decided, OnDevice, Sender, Trace
from bridge.report.written import (
    Policy,
    policy_of,
    scenes_of,
    sources_now,
    sources_then,
    widened,
)
from bridge.report.written import Scene as Recorded
from bridge.state.past import Watched
from bridge.state.trace_store import Reading

_BOTH_DENY = Defaults(DefaultAction.DENY, UnknownAddresses.DENY)
_NO_DEVICE = Defaults(DefaultAction.NONE, UnknownAddresses.PASS)
_STALE = 50  # rules of which it is looked whether a device still holds the sender


@dataclass(frozen=True, slots=True)
class Site:
    """One cluster as the settings have it."""

    governance: Governance
    targets: tuple[Target, ...]
    dialects: Dialects


@dataclass(frozen=True, slots=True)
class _Case:
    """One sender and everything about it that decisions take."""

    sender: Sender
    namespace: Namespace | None
    policy: Policy
    scene: Scene
    sources: Mapping[Ref, bool | None]
    side: Side


@dataclass(frozen=True, slots=True)
class _Decided:
    """What policy says on these devices, which are all told the same."""

    targets: tuple[Target, ...]
    considered: tuple[Considered, ...]
    pieces: tuple[Piece, ...]


class Tracer:
    """Answers from one reading of the state. `at` None is now; `sites` are the clusters of the settings by name.

    `trace` raises NotTraceable and Ambiguous for a sender that cannot be told, with words for people; Crowd for more than `most`.
    """

    def __init__(
        self,
        reading: Reading,
        sites: Mapping[str, Site],
        at: datetime | None,
        now: datetime,
        *,
        most: int | None = None,
    ) -> None:
        self._reading = reading
        self._sites = sites
        self._at = at
        self._now = now
        self._most = most
        self._before: dict[object, list[_Decided]] = {}
        self._resolved: dict[frozenset[str], Names] = {}

    def trace(self, source: From, to: Destination, cluster: str | None = None) -> Trace:
        """The whole answer."""
        watched = {one.cluster: (one, versions) for one, versions in self._reading.clusters(cluster)}
        places = [
            Place(watched[name][0], site.governance.pod_ranges) for name, site in self._sites.items() if name in watched
        ]
        if not places:
            raise NotTraceable(
                "no cluster of the settings is recorded yet" if cluster is None else f"nothing is recorded of {cluster}"
            )
        family = None if not to.address else 6 if ":" in to.address else 4
        senders = Senders(self._reading, places, self._at, self._now).find(source, family)
        if self._most is not None and len(senders) > self._most:
            raise Crowd(f"{source.text} are {len(senders)} senders, more than {self._most}: ask about one of them")
        name = senders[0].cluster
        self._refuse_before(*watched[name])
        site = self._sites[name]
        enforcement = Enforcement(self._reading, name, self._at, self._now, [one.address for one in senders])
        leftovers = Leftovers(self._reading, name, enforcement) if self._at is None else None
        parts = list(sides(site.targets, self._reading.kept(name, self._at)))
        each = (zip(*(self._cases(one, site, side) for side in parts), strict=True) for one in _by_namespace(senders))
        answers = _grouped(
            together([self._answer(case, site, to, enforcement, leftovers) for case in cases])
            for several in each
            for cases in several
        )
        headline, agrees = words.headline(answers)
        return Trace(
            schema=SCHEMA,
            at=self._at or self._now,
            past=self._at is not None,
            cluster=name,
            sender=source.text,
            host=to.host,
            address=to.address,
            traffic=to.wording,
            agrees=agrees,
            headline=headline,
            answers=answers,
            notes=(*self._notes(to), *(side.note for side in parts if side.note)),
        )

    def _refuse_before(self, watched: Watched, versions: datetime | None) -> None:
        begins = max((one for one in (watched.kept_from, versions) if one is not None), default=None)
        if self._at is not None and (begins is None or self._at < begins):
            since = f"begins at {time_text(begins)}" if begins else "has not begun"
            raise NotTraceable(
                f"what was in force at {time_text(self._at)} is not known: the record of policy in {watched.cluster} {since}"
            )

    def _notes(self, to: Destination) -> Iterable[str]:
        if self._at is not None:
            yield "settings (pod ranges, governed namespaces, defaults, scopes of devices) are taken as they are now"
            yield "whom rules were about then is told by the recorded members of groups; whether a policy was attached then is not recorded"
        if not to.address:
            yield f"{to.host} is not an address: rules are met by this name, and by address only where the bridge has resolved it"

    # ---- one sender

    def _answer(
        self, case: _Case, site: Site, to: Destination, enforcement: Enforcement, leftovers: Leftovers | None
    ) -> Answer:
        names = self._names(case.sender.cluster, case.policy)
        decided = self._all_decided(case, site, to, names)
        enforcement.load(sorted({one.rule.ref for each in decided for one in each.considered if one.meets}))
        return Answer(
            senders=(case.sender,),
            decisions=tuple(one for each in decided for one in _decisions(each, to)),
            rules=words.looked(decided[0].considered, decided[0].pieces, case.policy, enforcement, case.side.targets),
            devices=tuple(row for each in decided for row in _rows(each, case, to, enforcement, leftovers, names)),
        )

    def _all_decided(self, case: _Case, site: Site, to: Destination, names: Names) -> list[_Decided]:
        """Senders of whom the same rules are are told the same, so the pods of a Service are decided about once."""
        inside = overlap(site.governance.pod_ranges, [case.sender.address])
        of = (case.side.as_of, tuple(target.name for target in site.targets))
        alike = (of, case.sender.namespace, ":" in case.sender.address, inside, tuple(case.sources.items()))
        if alike not in self._before:
            self._before[alike] = [
                self._decided(case, site, targets, defaults, to, names)
                for targets, defaults in _alike(case, case.side.targets)
            ]
        return self._before[alike]

    def _cases(self, senders: Sequence[Sender], site: Site, side: Side) -> Iterable[_Case]:
        """Senders of one namespace."""
        first = senders[0]
        namespace = self._reading.namespace(first.cluster, first.namespace, self._at) if first.pod else None
        policy = policy_of(
            self._reading,
            first.cluster,
            namespace or first.namespace,
            site.dialects,
            site.governance,
            self._at,
            self._now,
            side.as_of,
        )
        if self._at is not None:
            sources = sources_then(self._reading, policy, senders, namespace, self._at)
            for sender in senders:
                pod = words.anybody(sender) if sender.pod else None
                scene = Recorded(sender, pod, namespace)
                yield _Case(sender, namespace, policy, scene, sources[sender.address], side)
            return
        for sender, scene in zip(senders, scenes_of(self._reading, senders, namespace, policy).values(), strict=True):
            if sender.pod and scene.pod is None:
                raise NotTraceable(f"{sender.name} has just gone: ask again")
            yield _Case(sender, namespace, policy, scene, sources_now(policy, scene), side)

    def _names(self, cluster: str, policy: Policy) -> Names:
        wanted = frozenset(name for one in policy.externals.values() for name in one.fqdns if "*" not in name)
        if wanted not in self._resolved:
            self._resolved[wanted] = self._reading.names(cluster, wanted, self._at) if wanted else {}
        return self._resolved[wanted]

    def _decided(
        self,
        case: _Case,
        site: Site,
        targets: tuple[Target, ...],
        defaults: Defaults,
        to: Destination,
        names: Names,
    ) -> _Decided:
        rules = tuple((rule, rest) for rule, rest in case.policy.rules if not targets or concerns(rule, targets[0]))
        policy = replace(case.policy, rules=rules)
        meant = {ref: is_meant(one, to, names) for ref, one in policy.externals.items()}
        considered = consider(rules, policy.externals, case.sources, meant, to.what)
        return _Decided(targets, considered, self._pieces(case, policy, site, considered, defaults, to, names))

    def _pieces(
        self,
        case: _Case,
        policy: Policy,
        site: Site,
        considered: Sequence[Considered],
        defaults: Defaults,
        to: Destination,
        names: Names,
    ) -> tuple[Piece, ...]:
        """By the reference evaluator where one packet is asked about and all of it is known."""
        moment = self._at or self._now
        stand_in = to.address or _outside(site.governance, case.sender.address)
        packet = to.packet(case.sender.address, stand_in)
        bare = replace(policy, rules=()).cluster_policy(case.sender.cluster, site.governance, moment)
        first = evaluate(bare, _BOTH_DENY, case.scene, packet)
        if first.verdict is reference.Verdict.UNMATCHED:
            return (Piece(to.what, Verdict.UNMATCHED, why=first.why),)
        if not to.exact or any(one.matches is None for one in considered) or not to.address:
            return decide(considered, to.what, defaults, known=bool(case.sender.pod))
        asked = widened(policy, case.sources) if self._at is not None else policy
        known = asked.cluster_policy(case.sender.cluster, site.governance, moment)
        return (_piece(evaluate(known, defaults, case.scene, packet, _resolver(names)), policy, to),)


def _by_namespace(senders: Iterable[Sender]) -> Iterable[list[Sender]]:
    found: dict[str, list[Sender]] = {}
    for one in senders:
        found.setdefault(one.namespace, []).append(one)
    return found.values()


def _piece(found: reference.Decision, policy: Policy, to: Destination) -> Piece:
    rules = {rule.ref: rule for rule, _ in policy.rules}
    rule = rules[found.rule] if found.rule is not None else None
    return Piece(to.what, Verdict(found.verdict), rule, found.passed, found.why)


def _alike(case: _Case, targets: Iterable[Target]) -> list[tuple[tuple[Target, ...], Defaults]]:
    """The devices that decide about this sender, together where all of them are told the same."""
    found: dict[tuple[frozenset[Ref], Defaults], list[Target]] = {}
    for target in targets:
        if target.namespaces is None or not case.sender.pod or case.sender.namespace in target.namespaces:
            refs = frozenset(rule.ref for rule, _ in case.policy.rules if concerns(rule, target))
            found.setdefault((refs, target.defaults), []).append(target)
    return [(tuple(several), defaults) for (_, defaults), several in found.items()] or [((), _NO_DEVICE)]


def _resolver(names: Names) -> reference.Resolve:
    return lambda name, address: address in names.get(name, ())


def _outside(governance: Governance, like: str) -> str:
    """An address outside the cluster, for a host of which none is known."""
    free = subtract([one for one in ALL if (":" in one) == (":" in like)], governance.internal)
    return str(next(networks(free))[1]) if free else like


def _decisions(decided: _Decided, to: Destination) -> Iterable[Decided]:
    devices = tuple(one.name for one in decided.targets)
    for piece in decided.pieces:
        yield words.decided(piece, devices, words.traffic_of(piece, decided.pieces, to))


def _rows(
    decided: _Decided, case: _Case, to: Destination, enforcement: Enforcement, leftovers: Leftovers | None, names: Names
) -> Iterable[OnDevice]:
    by_ref = {one.rule.ref: one for one in decided.considered}
    address = to.address or next(iter(sorted(names.get(to.host, ()))), "")
    for target in decided.targets:
        seen = enforcement.seen(target, case.sender, address)
        for piece in decided.pieces:
            via = by_ref[piece.rule.ref] if piece.rule is not None else None
            yield enforcement.of_piece(target, case.sender, seen, piece, via)
        told: set[str] = set()
        for other in allows(decided.considered, decided.pieces)[:_STALE]:
            row = enforcement.stale(target, case.sender, seen, other)
            if row is not None:
                told.update(row.lines)
                yield row
        if leftovers is not None:
            found = leftovers.of_sender(target, case.sender, seen, decided.considered, decided.pieces)
            yield from (row for row in found if told.isdisjoint(row.lines))


def _grouped(answers: Iterable[Answer]) -> tuple[Answer, ...]:
    """Senders of whom the same is decided, together."""
    found: dict[tuple[Decided, ...], list[Answer]] = {}
    for one in answers:
        found.setdefault(one.decisions, []).append(one)
    return tuple(
        Answer(
            tuple(sender for one in several for sender in one.senders),
            decisions,
            several[0].rules,
            tuple(row for one in several for row in one.devices),
        )
        for decisions, several in found.items()
    )
