"""One name over time: which addresses it stands for, by all that was answered so far."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum, auto

from bridge.model.addresses import sort_key
from bridge.model.resolution import Resolution
from bridge.names.answer import Answer, Found, Unanswered
from bridge.names.settings import NamesSettings

_FAILURES_TOLD = 2  # in a row, before people hear of a name that was answered before
_BACKOFF = (2.0, 600.0)  # seconds after the first failure, and at most


class Standing(Enum):
    """How a name has done so far, by which it is told how likely the next question is to take long."""

    ANSWERED = auto()  # the last time
    UNSURE = auto()  # never asked about, or failed once after it was answered, or only one family fails
    FAILING = auto()  # wholly, and so that people hear of it


@dataclass(slots=True)
class Tracked:
    """`missing` holds every address that counts or was dropped, with the time since when answers come without it; None while they name it.

    All times are seconds of one clock. `good_until` is when the last answer became or becomes too old; before any, when following began.
    """

    name: str
    settings: NamesSettings
    why_not: Callable[[str], str]
    good_until: float
    missing: dict[str, float | None] = field(default_factory=dict)
    answered: bool = False
    cut_until: float | None = None  # as long as it is told that there is more than a name may have
    failures: int = 0
    mute: bool = False  # no family was answered the last time
    problem: str = ""

    @classmethod
    def begun(
        cls, name: str, settings: NamesSettings, why_not: Callable[[str], str], now: float, known: Resolution | None
    ) -> "Tracked":
        """As far as it is recorded. What was answered while nobody asked is unknown: grace begins anew."""
        found = cls(name, settings, why_not, now)
        if known is not None:
            found.missing = dict.fromkeys((*known.addresses, *(address for address, _ in known.dropped)))
            found.answered, found.problem = known.answered, known.problem
            found.cut_until = now + settings.grace if known.cut else None
            found.failures, found.mute = (_FAILURES_TOLD, True) if known.problem else (0, False)
        return found

    def take(self, found: Found, now: float) -> float:
        """Take in what was found out; returns after how many seconds to ask again, without jitter."""
        waits, cut = [], False
        for family, said in found.items():
            if isinstance(said, Answer):
                waits.append(min(max(said.ttl, self.settings.shortest), self.settings.longest))
                own = [address for address in self.missing if family.holds(address)]
                cut = self._fold(said.addresses, own, now) or cut
        if cut:  # told until answers have come without, however long they are good for
            self.cut_until = now + max(waits) + self.settings.grace
        problems = {said.problem: None for said in found.values() if isinstance(said, Unanswered)}
        self.answered, self.mute = self.answered or bool(waits), not waits
        if problems:
            self.failures += 1
            if self.failures >= _FAILURES_TOLD or not self.answered:
                self.problem = "; ".join(problems)
            first, longest = _BACKOFF
            return min(*waits, longest, first * 2.0 ** min(self.failures - 1, 30))
        self.failures, self.problem = 0, ""
        self.good_until = now + min(waits)
        return min(waits)

    def _fold(self, answered: Iterable[str], own: Iterable[str], now: float) -> bool:
        """Take in the answer about one family, in place of what it said before; returns whether something that counts found no room."""
        for address in own:
            if self.missing[address] is None:
                self.missing[address] = now
        fresh = [address for address in answered if address not in self.missing]
        self.missing.update(dict.fromkeys(answered))
        return len(self.missing) > self.settings.most and self._bound(frozenset(fresh))

    def _bound(self, fresh: frozenset[str]) -> bool:
        """Keep at most so many that count, and as many that do not: first what is answered, of that first what was known before."""

        def rank(address: str) -> tuple[bool, float, bool, tuple[int, int, str]]:
            since = self.missing[address]
            return since is not None, -(since or 0.0), address in fresh, sort_key(address)

        cut = False
        for counts in (True, False):
            ranked = sorted((one for one in self.missing if (not self.why_not(one)) is counts), key=rank)
            for address in ranked[self.settings.most :]:
                cut = cut or counts
                del self.missing[address]
        return cut

    def expire(self, now: float) -> None:
        """Let go of what has been missing for the time of grace, and of the word that there were too many."""
        if self.cut_until is not None and self.cut_until <= now:
            self.cut_until = None
        gone = [one for one, since in self.missing.items() if since is not None and since + self.settings.grace <= now]
        for address in gone:
            del self.missing[address]

    @property
    def standing(self) -> Standing:
        """How it has done so far."""
        if self.problem and self.mute:
            return Standing.FAILING
        return Standing.ANSWERED if self.answered and not self.failures else Standing.UNSURE

    @property
    def expires(self) -> float | None:
        """When there is next something to let go of; None while there is nothing."""
        ends = [since + self.settings.grace for since in self.missing.values() if since is not None]
        return min(ends if self.cut_until is None else [*ends, self.cut_until], default=None)

    @property
    def resolution(self) -> Resolution:
        """What the name stands for."""
        ordered = sorted(self.missing, key=sort_key)
        said = {address: self.why_not(address) for address in ordered}
        return Resolution(
            self.name,
            tuple(address for address, why in said.items() if not why),
            tuple((address, why) for address, why in said.items() if why),
            self.answered,
            self.cut_until is not None,
            self.problem,
        )
