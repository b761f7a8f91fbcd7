"""The policy objects of one cluster: what was written, what of it is in force, and what to tell its author (SEMANTICS 4)."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from bridge.dialects import native
from bridge.errors import PolicyError
from bridge.intake.likeness import alike
from bridge.model.observed import KINDS, PolicyObject, Resource, Undecodable
from bridge.model.policy import Action, AddressGroupSpec, ExternalService, Ref, Rule, Source, SourceKind, Tier
from bridge.state.batch import Verdict

Parsed = Rule | ExternalService | AddressGroupSpec

_RULES = (Resource.CLUSTER_RULES, Resource.NAMESPACE_RULES, Resource.SERVICE_RULES)
_EXTERNALS = (Resource.CLUSTER_EXTERNAL_SERVICES, Resource.EXTERNAL_SERVICES)
_RULE_KINDS = frozenset(KINDS[resource] for resource in _RULES)
_EXTERNAL_KINDS = frozenset(KINDS[resource] for resource in _EXTERNALS)


@dataclass(frozen=True, slots=True)
class _Version:
    """One readable version of an object; or a rule that was accepted and cannot be read any more, as `_barrier` makes it."""

    written: PolicyObject
    parsed: Parsed
    readable: bool = True


@dataclass(slots=True)
class _Entry:
    """An object by its reference: as it is now, why that cannot be taken, and the last version that could."""

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

    def __init__(self, verdicts: Mapping[Ref, Verdict]) -> None:
        self._entries: dict[Ref, _Entry] = {}
        for ref, verdict in verdicts.items():
            if verdict.accepted is not None:
                version = _version(verdict.accepted)
                self._entries[ref] = _Entry(
                    accepted=version if isinstance(version, _Version) else _barrier(verdict.accepted)
                )

    def put(self, written: PolicyObject) -> bool:
        """Take an object as it is written now; whether it says anything new. Another uid says that the one before was deleted."""
        entry = self._entry(ref_of(written), written.uid)
        if entry.written is not None and alike(entry.written, written):
            return False
        entry.written = written
        version = _version(written)
        if isinstance(version, str):
            entry.candidate, entry.problem = None, version
        else:
            entry.candidate, entry.problem = version, ""
        return True

    def put_unreadable(self, found: Undecodable) -> None:
        """An object that is not even readable: its last good version stays."""
        ref = Ref(KINDS[found.resource], found.namespace, found.name)
        entry = self._entry(ref, found.uid)
        entry.written = PolicyObject(
            found.resource, found.uid, found.namespace, found.name, found.resource_version, 0, {}, {}
        )
        entry.candidate, entry.problem = None, found.reason

    def _entry(self, ref: Ref, uid: str) -> _Entry:
        known = self._entries.get(ref)
        if known is not None and uid and known.uid and known.uid != uid:
            self.remove(ref)
        return self._entries.setdefault(ref, _Entry())

    def remove(self, ref: Ref) -> None:
        """The object was deleted. An external service stays accepted until no rule in force names it."""
        entry = self._entries.get(ref)
        if entry is None:
            return
        if ref.kind in _EXTERNAL_KINDS and entry.accepted is not None:
            entry.written, entry.candidate, entry.problem = None, None, "deleted"
        else:
            del self._entries[ref]

    def forget_absent(self) -> None:
        """After the first complete lists: what the database knew and no list showed was deleted meanwhile."""
        for ref in [ref for ref, entry in self._entries.items() if entry.written is None]:
            self.remove(ref)

    def settle(self, governs: Callable[[str], bool]) -> InForce:
        """Decide what is in force now, and say so about every object."""
        verdicts: dict[Ref, Verdict] = {}
        externals = dict(self._settle_simple(_EXTERNAL_KINDS, verdicts))
        groups = dict(self._settle_simple({KINDS[Resource.ADDRESS_GROUPS]}, verdicts))
        rules = self._settle_rules(externals, governs, verdicts)
        self._drop_unused(externals, rules, verdicts)
        return InForce(
            tuple(rules),
            {ref: found for ref, found in externals.items() if isinstance(found, ExternalService)},
            tuple(found for found in groups.values() if isinstance(found, AddressGroupSpec)),
            verdicts,
        )

    def _settle_simple(self, kinds: Iterable[str], verdicts: dict[Ref, Verdict]) -> Iterable[tuple[Ref, Parsed]]:
        """Objects that stand for themselves: accepted when they can be read."""
        for ref, entry in self._entries.items():
            if ref.kind not in kinds:
                continue
            if entry.candidate:
                entry.accepted = entry.candidate
            verdicts[ref] = _verdict(ref, entry, *self._say(entry))
            if entry.accepted:
                yield ref, entry.accepted.parsed

    def _settle_rules(
        self, externals: Mapping[Ref, Parsed], governs: Callable[[str], bool], verdicts: dict[Ref, Verdict]
    ) -> list[Rule]:
        rules = []
        for ref, entry in self._entries.items():
            if ref.kind not in _RULE_KINDS:
                continue
            if ref.namespace and not governs(ref.namespace):
                message = f"namespace {ref.namespace} is not governed: see governed.namespaceSelector in the settings"
                entry.accepted = None
                verdicts[ref] = _verdict(ref, entry, "NamespaceNotGoverned", message)
                continue
            entry.problem = _unknown(entry, externals) or (entry.problem if not entry.candidate else "")
            if entry.candidate and not entry.problem:
                entry.accepted = entry.candidate
            verdicts[ref] = _verdict(ref, entry, *self._say(entry))
            if entry.accepted and isinstance(entry.accepted.parsed, Rule):
                rules.append(entry.accepted.parsed)
        return rules

    @staticmethod
    def _say(entry: _Entry) -> tuple[str, str]:
        if not entry.problem:
            return "Accepted", ""
        if entry.written is None:
            return "Missing", "deleted while rules name it: what was accepted stays in force until they are gone"
        stays = "; the last accepted version stays in force" if entry.accepted and entry.accepted.readable else ""
        return "Invalid", f"{entry.problem}{stays}"

    def _drop_unused(self, externals: dict[Ref, Parsed], rules: list[Rule], verdicts: dict[Ref, Verdict]) -> None:
        """Deleted external services go when the last rule that names them has gone."""
        used = {ref for rule in rules for ref in rule.destinations}
        for ref in [ref for ref in externals if self._entries[ref].written is None and ref not in used]:
            del self._entries[ref], externals[ref], verdicts[ref]


def ref_of(written: PolicyObject) -> Ref:
    """How others name this object."""
    return Ref(KINDS[written.resource], written.namespace, written.name)


def _version(written: PolicyObject) -> _Version | str:
    """The object parsed, or what is wrong with it."""
    try:
        if written.resource in _RULES:
            return _Version(written, native.parse_rule(written))
        if written.resource in _EXTERNALS:
            return _Version(written, native.parse_external_service(written))
        return _Version(written, native.parse_address_group(written))
    except PolicyError as error:
        return str(error)


def _barrier(written: PolicyObject) -> _Version | None:
    """In place of a rule that was accepted and is not to be read by this version of the bridge: a Deny of nobody knows what.

    It names itself as its destination, which is no external service; so the compilers leave it out, and withhold every Allow below it.
    An Allow leaves nothing behind.
    """
    if written.resource not in _RULES or written.spec.get("action") == Action.ALLOW:
        return None
    ref, tier = ref_of(written), tuple(Tier)[_RULES.index(written.resource)]
    source = Source(SourceKind.NAMESPACE, ref.namespace) if ref.namespace else Source(SourceKind.CLUSTER)
    return _Version(written, Rule(ref, tier, 0, Action.DENY, source, (ref,), log=False), readable=False)


def _unknown(entry: _Entry, externals: Mapping[Ref, Parsed]) -> str:
    if entry.candidate is None or not isinstance(entry.candidate.parsed, Rule):
        return ""
    missing = [str(ref) for ref in entry.candidate.parsed.destinations if ref not in externals]
    return f"spec.to: not found, or not accepted: {', '.join(missing)}" if missing else ""


def _verdict(ref: Ref, entry: _Entry, reason: str, message: str) -> Verdict:
    accepted = entry.accepted.written if entry.accepted else None
    return Verdict(ref, entry.uid, entry.generation, reason == "Accepted", reason, message, accepted)
