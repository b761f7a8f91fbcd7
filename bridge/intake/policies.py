"""The policy objects of one cluster: what was written, what of it is in force, and what to tell its author (SEMANTICS 4)."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from bridge.dialects import native
from bridge.dialects.dialect import Context, Dialects, Policy, ref_of
from bridge.errors import PolicyError
from bridge.intake.likeness import alike
from bridge.model.kinds import BY_REF, KINDS, Brings, brings
from bridge.model.observed import NO_LABELS, Namespace, PolicyObject, Resource, Undecodable
from bridge.model.policy import Action, AddressGroupSpec, ExternalService, Ref, Rule, Source, SourceKind
from bridge.state.batch import Verdict

NATIVE = Dialects((native.DIALECT,))


@dataclass(frozen=True, slots=True)
class _Version:
    """One readable version of an object; or a rule that was accepted and cannot be read any more, as `_barrier` makes it."""

    written: PolicyObject
    parsed: Policy
    readable: bool = True


@dataclass(slots=True)
class _Entry:
    """An object by its reference: as it is now, why that cannot be taken, and the last version that could."""

    ref: Ref
    brings: Brings | None
    written: PolicyObject | None = None
    candidate: _Version | None = None
    problem: str = ""
    accepted: _Version | None = None

    @property
    def uid(self) -> str:
        known = self.written or (self.accepted.written if self.accepted else None)
        return known.uid if known else ""

    @property
    def generation(self) -> int:
        return self.written.generation if self.written else 0


@dataclass(frozen=True, slots=True)
class InForce:
    """What is accepted now. Rules count as their times say; a rule may name what cannot be read any more."""

    rules: tuple[Rule, ...]
    externals: Mapping[Ref, ExternalService]
    address_groups: tuple[AddressGroupSpec, ...]
    verdicts: Mapping[Ref, Verdict]


class PolicyBook:
    """A rejected edit leaves the last accepted version in force; only deletion removes. A missing external service keeps what was
    accepted for as long as a rule names it."""

    def __init__(
        self,
        verdicts: Mapping[Ref, Verdict],
        dialects: Dialects = NATIVE,
        around: Context | None = None,
        known: Iterable[PolicyObject] = (),
    ) -> None:
        """`known` are the objects as recorded, with their places in the order in which they were first seen."""
        self._dialects = dialects
        self._around = around or Context()
        self._sequence = {one.uid: one.sequence for one in known if one.sequence}
        self._unnumbered: set[Ref] = set()
        self._entries: dict[Ref, _Entry] = {}
        # As it was settled the last time, and to what something happened since.
        self._verdicts: dict[Ref, Verdict] = {}
        self._accepted: dict[Brings, dict[Ref, Policy]] = {what: {} for what in Brings}
        self._there: frozenset[tuple[Ref, bool]] = frozenset()  # external services, and whether they are deleted
        self._governed: frozenset[str] = frozenset()
        self._unsettled: set[Ref] = set()
        for ref, verdict in verdicts.items():
            if verdict.accepted is not None and verdict.accepted.resource in dialects.kinds:
                self._unsettled.add(ref)
                self._entries[ref] = _Entry(ref, brings(ref.kind), accepted=self._still(verdict.accepted))

    def put(self, written: PolicyObject) -> bool:
        """Take an object as it is written now; whether it says anything new. Another uid says that the one before was deleted."""
        kind = KINDS[written.resource]
        ref = ref_of(kind, written)
        entry = self._entry(ref, written.uid)
        if entry.written is not None and alike(entry.written, written):
            return False
        entry.written = written
        self._consider(entry)
        if not written.sequence and self._dialects.first_seen(written.resource):
            self._unnumbered.add(ref)
        return True

    def stamped(self, written: PolicyObject) -> PolicyObject:
        """The object with its place in the order in which objects were first seen, where it has one."""
        sequence = self._sequence.get(written.uid, 0)
        return replace(written, sequence=sequence) if sequence else written

    def number(self) -> list[PolicyObject]:
        """Give places to those that are new, the oldest first where several are; returns them as they are now."""
        if not self._unnumbered:
            return []
        fresh = [self._entries[ref] for ref in self._unnumbered if ref in self._entries]
        self._unnumbered.clear()
        found = [one.written for one in fresh if one.written is not None and not one.written.sequence]
        last = max(self._sequence.values(), default=0)
        for number, one in enumerate(sorted(found, key=_age), last + 1):
            self._sequence[one.uid] = number
            entry = self._entries[ref_of(KINDS[one.resource], one)]
            entry.written = replace(one, sequence=number)
            self._consider(entry)
        return [self.stamped(one) for one in found]

    def reread(self, namespace: str) -> None:
        """What is known around the objects of a namespace changed: take all of them anew, what was accepted too."""
        for ref, entry in self._entries.items():
            if ref.namespace != namespace or not BY_REF[ref.kind].foreign:
                continue
            if entry.written is not None and entry.written.spec:
                self._consider(entry)
            if entry.accepted is not None:
                entry.accepted = self._still(entry.accepted.written)
                self._unsettled.add(ref)

    def _consider(self, entry: _Entry) -> None:
        """Read the object as it is written now."""
        entry.candidate, entry.problem = None, ""
        self._unsettled.add(entry.ref)
        if entry.written is None:
            return
        try:
            entry.candidate = _Version(entry.written, self._dialects.read(entry.written, self._around))
        except PolicyError as error:
            entry.problem = str(error)

    def _still(self, accepted: PolicyObject, around: Context | None = None) -> _Version | None:
        """What was accepted, read again."""
        try:
            return _Version(accepted, self._dialects.read(accepted, around or self._around))
        except PolicyError:
            return _barrier(accepted)

    def put_unreadable(self, found: Undecodable) -> None:
        """An object that is not even readable: its last good version stays."""
        entry = self._entry(Ref(KINDS[found.resource].ref, found.namespace, found.name), found.uid)
        entry.written = PolicyObject(
            found.resource, found.uid, found.namespace, found.name, found.resource_version, 0, {}, {}
        )
        entry.candidate, entry.problem = None, found.reason
        self._unsettled.add(entry.ref)

    def _entry(self, ref: Ref, uid: str) -> _Entry:
        known = self._entries.get(ref)
        if known is not None and uid and known.uid and known.uid != uid:
            self.remove(ref)
        if ref not in self._entries:
            self._entries[ref] = _Entry(ref, brings(ref.kind))
            self._unsettled.add(ref)
        return self._entries[ref]

    def remove(self, ref: Ref) -> None:
        """The object was deleted. An external service stays accepted until no rule in force names it."""
        entry = self._entries.get(ref)
        if entry is None:
            return
        if entry.brings is Brings.EXTERNAL_SERVICE and entry.accepted is not None:
            entry.written, entry.candidate, entry.problem = None, None, "deleted"
            self._unsettled.add(ref)
        else:
            self._sequence.pop(entry.uid, None)
            self._forget(ref)

    def knows(self, ref: Ref) -> bool:
        """Whether there is such an object, as it was last seen."""
        entry = self._entries.get(ref)
        return entry is not None and entry.written is not None

    def reaches(self, namespace: str) -> bool:
        """Whether there is any object in the namespace."""
        return any(ref.namespace == namespace for ref in self._entries)

    def counts(self) -> Counter[Resource]:
        """How many objects there are, by kind."""
        return Counter(entry.written.resource for entry in self._entries.values() if entry.written is not None)

    def _forget(self, ref: Ref) -> None:
        entry = self._entries.pop(ref)
        self._unsettled.discard(ref)
        self._verdicts.pop(ref, None)
        if entry.brings is not None:
            self._accepted[entry.brings].pop(ref, None)

    def forget_absent(self) -> None:
        """After the first complete lists: what the database knew and no list showed was deleted meanwhile."""
        for ref in [ref for ref, entry in self._entries.items() if entry.written is None]:
            self.remove(ref)

    def then(self, accepted: Iterable[PolicyObject], surroundings: Iterable[Namespace] = ()) -> InForce:
        """What was in force when these versions were the accepted ones, and these the namespaces (none: as they are now)."""
        around, verdicts, parsed = self._as_of(tuple(surroundings)), {}, {}
        for written in accepted:
            if written.resource not in self._dialects.kinds:
                continue
            ref = ref_of(KINDS[written.resource], written)
            version = self._still(written, around)
            verdicts[ref] = Verdict(ref, written.uid, written.generation, True, "Accepted", "", written)
            if version is not None:
                parsed[ref] = version.parsed
        return InForce(
            tuple(one for one in parsed.values() if isinstance(one, Rule)),
            {ref: one for ref, one in parsed.items() if isinstance(one, ExternalService)},
            tuple(one for one in parsed.values() if isinstance(one, AddressGroupSpec)),
            verdicts,
        )

    def _as_of(self, surroundings: Sequence[Namespace]) -> Context:
        if not surroundings:
            return self._around
        known = {one.name: one.annotations for one in surroundings}
        carried = Counter((name, value) for found in known.values() for name, value in found.items())
        return Context(
            self._around.pod_ranges,
            annotations=lambda namespace: known.get(namespace, NO_LABELS),
            shared=lambda name, value: carried[name, value] > 1,
        )

    def settle(self, governs: Callable[[str], bool]) -> InForce:
        """Decide what is in force now, and say so about every object. What nothing happened to is as it was settled the last time."""
        for ref in self._unsettled:
            if self._entries[ref].brings is not Brings.RULE:
                self._settle_simple(self._entries[ref])
        for ref in self._rules_to_settle(governs):
            self._settle_rule(self._entries[ref])
        self._unsettled.clear()
        self._drop_unused()
        return InForce(
            tuple(one for one in self._accepted[Brings.RULE].values() if isinstance(one, Rule)),
            {ref: one for ref, one in self._externals.items() if isinstance(one, ExternalService)},
            tuple(one for one in self._accepted[Brings.ADDRESS_GROUP].values() if isinstance(one, AddressGroupSpec)),
            dict(self._verdicts),
        )

    @property
    def _externals(self) -> dict[Ref, Policy]:
        return self._accepted[Brings.EXTERNAL_SERVICE]

    def _rules_to_settle(self, governs: Callable[[str], bool]) -> list[Ref]:
        """Those to which something happened; all where other namespaces are governed than the last time, or other services are there."""
        rules = [ref for ref, entry in self._entries.items() if entry.brings is Brings.RULE]
        before = (self._there, self._governed)
        self._there = frozenset((ref, self._entries[ref].written is None) for ref in self._externals)
        self._governed = frozenset(home for home in {ref.namespace for ref in rules} if not home or governs(home))
        return [ref for ref in rules if ref in self._unsettled] if before == (self._there, self._governed) else rules

    def _settle_simple(self, entry: _Entry) -> None:
        """An object that stands for itself: accepted when it can be read."""
        entry.accepted = entry.candidate or entry.accepted
        self._settled(entry, *self._say(entry))

    def _settle_rule(self, entry: _Entry) -> None:
        if entry.ref.namespace not in self._governed:
            where = f"namespace {entry.ref.namespace} is not governed"
            entry.accepted = None
            self._settled(entry, "NamespaceNotGoverned", f"{where}: see governed.namespaceSelector in the settings")
            return
        entry.problem = self._unknown(entry) or (entry.problem if not entry.candidate else "")
        if entry.candidate and not entry.problem:
            entry.accepted = entry.candidate
        self._settled(entry, *self._say(entry))

    def _settled(self, entry: _Entry, reason: str, message: str) -> None:
        ref, accepted = entry.ref, entry.accepted
        written = accepted.written if accepted else None
        self._verdicts[ref] = Verdict(ref, entry.uid, entry.generation, reason == "Accepted", reason, message, written)
        if entry.brings is None:
            return
        if accepted is None:
            self._accepted[entry.brings].pop(ref, None)
        else:
            self._accepted[entry.brings][ref] = accepted.parsed

    def _unknown(self, entry: _Entry) -> str:
        """What leads nowhere. An external service that was deleted is there for those only who named it before."""
        if entry.candidate is None or not isinstance(entry.candidate.parsed, Rule):
            return ""
        accepted = entry.accepted.parsed if entry.accepted else None
        before = accepted.destinations if isinstance(accepted, Rule) else ()
        missing = [
            str(ref)
            for ref in entry.candidate.parsed.destinations
            if ref not in self._externals or (self._entries[ref].written is None and ref not in before)
        ]
        where = KINDS[entry.candidate.written.resource].targets
        return f"{where}: not found, or not accepted: {', '.join(missing)}" if missing else ""

    @staticmethod
    def _say(entry: _Entry) -> tuple[str, str]:
        if not entry.problem:
            return "Accepted", ""
        if entry.written is None:
            return "Missing", "deleted while rules name it: what was accepted stays in force until they are gone"
        stays = "; the last accepted version stays in force" if entry.accepted and entry.accepted.readable else ""
        return "Invalid", f"{entry.problem}{stays}"

    def _drop_unused(self) -> None:
        """Deleted external services go when the last rule that names them has gone."""
        deleted = [ref for ref in self._externals if self._entries[ref].written is None]
        if deleted:
            rules = (one for one in self._accepted[Brings.RULE].values() if isinstance(one, Rule))
            used = {ref for rule in rules for ref in rule.destinations}
            for ref in [ref for ref in deleted if ref not in used]:
                self._forget(ref)


def _age(written: PolicyObject) -> tuple[str, str, str, str]:
    """Sort key: the oldest first."""
    return (written.created, written.namespace, written.name, written.resource)


def _barrier(written: PolicyObject) -> _Version | None:
    """In place of a rule that was accepted and is not to be read by this version of the bridge: a Deny of nobody knows what.

    It names itself as its destination, which is no external service; so the compilers leave it out, and withhold every Allow below it.
    An Allow leaves nothing behind.
    """
    kind = KINDS[written.resource]
    if kind.tier is None or written.spec.get("action") in kind.allows:
        return None
    ref, tier = ref_of(kind, written), kind.tier
    source = Source(SourceKind.NAMESPACE, ref.namespace) if ref.namespace else Source(SourceKind.CLUSTER)
    return _Version(written, Rule(ref, tier, 0, Action.DENY, source, (ref,), log=False), readable=False)
