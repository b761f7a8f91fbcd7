"""Names in the picture of one cluster: which of them the bridge has to resolve, and what they were found to stand for."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count

from bridge.model.policy import ExternalService, Ref, Rule
from bridge.model.reasons import Reason
from bridge.model.resolution import Resolution
from bridge.policy.compile import Target
from bridge.state.batch import Placement, Verdict

_NAMED = 3  # addresses in one cause
_FOR_NOTHING = frozenset({Reason.EXPIRED, Reason.UNSUPPORTED})


@dataclass(frozen=True, slots=True)
class Asked:
    """Devices that hold the same policy: the current one, or in a freeze that of its beginning."""

    rules: Iterable[Rule]
    externals: Mapping[Ref, ExternalService]
    targets: Sequence[Target]


class NameBook:
    """What names stand for, as recorded or told since. Where a device takes a name as it is, nobody asks what it stands for.

    `wanted` are the names to be resolved, for whoever does that in a thread of his own: it is replaced whole, and a name that is wanted
    anew has another number. None before it is known which they are.
    """

    def __init__(self, recorded: Mapping[str, Resolution]) -> None:
        self.recorded = recorded
        self.known = dict(recorded)
        self.wanted: Mapping[str, int] | None = None
        self._numbers = count(1)
        self._wake: Callable[[], None] = _nobody
        self._carriers: Mapping[str, tuple[Ref, ...]] = {}
        self._names: Mapping[Ref, tuple[str, ...]] = {}

    def listen(self, wake: Callable[[], None]) -> None:
        """Call this whenever other names are wanted."""
        self._wake = wake

    @property
    def meanings(self) -> Mapping[str, tuple[str, ...]]:
        """What names stand for; one that was never answered is not in it."""
        return {name: one.addresses for name, one in self.known.items() if one.answered}

    def take(self, found: Resolution) -> Mapping[Ref, str] | None:
        """Take in what a name stands for now; None where that is nothing new.

        Otherwise the external services that hold the name, each with the cause in words: "" where their addresses stay as they are.
        """
        if found.name not in (self.wanted or {}):
            return None
        before = self.known.get(found.name)
        if before == found:
            return None
        self.known[found.name] = found
        moved = (before.means if before else None) != found.means
        return dict.fromkeys(self._carriers.get(found.name, ()), _cause(found) if moved else "")

    def settle(
        self,
        asked: Iterable[Asked],
        placements: Mapping[tuple[Ref, str], Placement],
    ) -> list[str]:
        """From now on the names are wanted that these rules need on their devices; returns those that are no longer followed.

        A rule whose hour has not come needs them too, so that it is in force when it comes."""
        needed: dict[Ref, dict[str, None]] = {}
        for one in asked:
            for ref, names in _needed(one, placements):
                needed.setdefault(ref, {}).update(dict.fromkeys(names))
        self._names = {ref: tuple(needed[ref]) for ref in sorted(needed)}
        carriers: dict[str, tuple[Ref, ...]] = {}
        for ref, names in self._names.items():
            for name in names:
                carriers[name] = (*carriers.get(name, ()), ref)
        self._carriers = carriers
        gone = [name for name in self.known if name not in carriers]
        for name in gone:
            del self.known[name]
        self._want(carriers)
        return gone

    def _want(self, names: Iterable[str]) -> None:
        before = self.wanted
        numbers = {name: (before or {}).get(name) or next(self._numbers) for name in names}
        if numbers != before:
            self.wanted = numbers
            self._wake()

    def told(self, verdict: Verdict) -> Verdict:
        """The verdict on an external service with what there is to say of its names."""
        words = [
            word
            for name in self._names.get(verdict.ref, ())
            if (one := self.known.get(name)) is not None
            for word in one.warnings
        ]
        return replace(verdict, message="; ".join(filter(None, [verdict.message, *words]))) if words else verdict

    @property
    def carriers(self) -> Iterable[Ref]:
        """The external services with names that are followed."""
        return self._names


def _needed(asked: Asked, placements: Mapping[tuple[Ref, str], Placement]) -> Iterator[tuple[Ref, tuple[str, ...]]]:
    """The external services with names that rules on these devices lead to."""
    named = {ref: names for ref, one in asked.externals.items() if (names := _plain(one))}
    asking = [target.name for target in asked.targets if not _takes_names(target)] if named else []
    found = {
        ref
        for rule in asked.rules
        if asking and any(ref in named for ref in rule.destinations)
        for ref in rule.destinations
        if ref in named and any(_counts(placements.get((rule.ref, device))) for device in asking)
    }
    yield from ((ref, named[ref]) for ref in found)


def _nobody() -> None:
    """Whom nobody listens to."""


def _plain(service: ExternalService) -> tuple[str, ...]:
    """The names of a service that can be resolved at all."""
    return tuple(name for name in service.fqdns if "*" not in name)


def _takes_names(target: Target) -> bool:
    """Whether the device is given names as they are; not where it sees workloads in several ways (see bridge.policy.names)."""
    return target.capabilities.fqdn and len(target.views) <= 1


def _counts(placement: Placement | None) -> bool:
    """Whether a rule is or may come to be in force on a device."""
    return placement is not None and placement.reason not in _FOR_NOTHING


def _cause(found: Resolution) -> str:
    named = ", ".join(found.addresses[:_NAMED]) or "nothing"
    more = f" and {len(found.addresses) - _NAMED} more" if len(found.addresses) > _NAMED else ""
    return f"name {found.name} now {named}{more}"
