"""Whether an audit chain is whole: each row follows from the one before, up to the head, and whoever wrote down a head finds it in it.

Pure: fed with rows in their order, it remembers one of them. What it cannot see is a chain that somebody wrote anew from some row to the
end, head included; for that there are heads outside of the database, in reports.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from bridge.state.chain import Head, Link

_TOLD = 50  # problems of one chain; where one row was renumbered, all that follow are wrong
_CLOCKS = timedelta(hours=1)  # by which two clocks may differ


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Where a chain begins after its older rows went: the last that went, its hash and its time."""

    number: int
    hash: str
    until: datetime


@dataclass(frozen=True, slots=True)
class Claim:
    """A head that somebody wrote down: in which report, as of when, after how many rows, where that is known.

    One that is only `asked` about may be of another device: an answer against it is no problem of the chain.
    """

    source: str
    hash: str
    number: int | None = None
    at: datetime | None = None
    asked: bool = False


class Answer(StrEnum):
    """What a chain says to a claim."""

    PART = "part of the chain"
    BEFORE = "before the oldest checkpoint"
    UNKNOWN = "not found since the oldest checkpoint"
    DENIED = "not part of the chain"

    @property
    def good(self) -> bool:
        """Whether the chain has it, or had it before it was pruned."""
        return self in (Answer.PART, Answer.BEFORE)


@dataclass(frozen=True, slots=True)
class Answered:
    """A claim, and at which row it was met."""

    claim: Claim
    answer: Answer
    number: int | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """Where a chain is broken, and how."""

    number: int
    what: str


@dataclass(frozen=True, slots=True)
class Verified:
    """What came out for one device. `unchained` counts rows from before there was a chain; `more` the problems that are not told."""

    device: str
    rows: int
    head: Head
    checkpoint: Checkpoint | None
    problems: tuple[Problem, ...]
    more: int
    answers: tuple[Answered, ...]
    unchained: int = 0

    @property
    def sound(self) -> bool:
        """Whether nothing contradicts the chain."""
        return not self.problems


class ChainCheck:
    """Takes the rows after the checkpoint, then the end."""

    def __init__(self, checkpoint: Checkpoint | None, claims: Iterable[Claim] = ()) -> None:
        self._checkpoint = checkpoint
        self._number, self._hash = (checkpoint.number, checkpoint.hash) if checkpoint else (0, "")
        self._doubt: tuple[int, str] | None = None  # a row whose hash is not what it should be, and what it should be
        self._problems: list[Problem] = []
        self._more = 0
        self._numbered: dict[int, list[Claim]] = {}
        self._bare: dict[str, list[Claim]] = {}
        self._answers: list[Answered] = []
        self.rows = 0
        for claim in claims:
            if claim.number is None:
                self._bare.setdefault(claim.hash, []).append(claim)
            else:
                self._numbered.setdefault(claim.number, []).append(claim)
        self._meet(self._number, self._hash)

    def take(self, link: Link, stored: str) -> None:
        """The next row, with the hash that it bears."""
        self.rows += 1
        if link.number != self._number + 1:
            self._settle("")
            self.problem(self._number + 1, f"{_span(self._number + 1, link.number - 1)} missing")
        else:
            expected = link.hash_after(self._hash)
            self._settle(stored, link)
            if expected != stored:
                self._doubt = (link.number, expected)
        self._number, self._hash = link.number, stored
        self._meet(link.number, stored)

    def end(self, device: str, head: Head, unchained: int = 0) -> Verified:
        """All rows were there; `head` is what the bridge wrote down as the end."""
        self._settle(head.hash)
        if self._number < head.number:
            self.problem(self._number + 1, f"{_span(self._number + 1, head.number)} missing at the end")
        elif self._number > head.number:
            self.problem(head.number + 1, f"{_span(head.number + 1, self._number)} beyond the head of the device")
        elif self._hash != head.hash:
            self.problem(head.number, "the head of the device is not the hash of its last row")
        for claims in (*self._numbered.values(), *self._bare.values()):
            for claim in claims:
                self._answer(claim)
        answers = tuple(sorted(self._answers, key=lambda one: one.number or 0))
        return Verified(
            device, self.rows, head, self._checkpoint, tuple(self._problems), self._more, answers, unchained
        )

    def problem(self, number: int, what: str) -> None:
        """Something is wrong at this row."""
        if len(self._problems) < _TOLD:
            self._problems.append(Problem(number, what))
        else:
            self._more += 1

    def _settle(self, following: str, link: Link | None = None) -> None:
        """What is wrong with a doubtful row shows in what follows it: a row, or the head."""
        if self._doubt is None:
            return
        (number, expected), self._doubt = self._doubt, None
        if following == (link.hash_after(expected) if link else expected):
            self.problem(number, f"row {number} bears another hash than was written")
        else:
            before = f"row {number - 1} was written anew together with its hash"
            self.problem(number, f"row {number} is not as it was written, or {before}")

    def _meet(self, number: int, stored: str) -> None:
        for claim in self._numbered.pop(number, ()):
            if claim.hash == stored or not number:
                self._answers.append(Answered(claim, Answer.PART, number))
            else:
                self._deny(claim, number, f"{claim.source} has another hash for row {number}")
        for claim in self._bare.pop(stored, ()):
            self._answers.append(Answered(claim, Answer.PART, number))

    def _answer(self, claim: Claim) -> None:
        """A claim that no row met."""
        start = self._checkpoint
        if claim.number is None:
            self._answers.append(Answered(claim, Answer.UNKNOWN if start else Answer.DENIED))
        elif not start or claim.number > start.number:
            self._deny(claim, claim.number, f"{claim.source} has seen row {claim.number}, which is not there")
        elif claim.at is not None and claim.at > start.until + _CLOCKS:
            self._deny(claim, start.number, f"{claim.source} saw fewer rows than the checkpoint has from before it")
        else:
            self._answers.append(Answered(claim, Answer.BEFORE, claim.number))

    def _deny(self, claim: Claim, number: int, what: str) -> None:
        self._answers.append(Answered(claim, Answer.DENIED, claim.number))
        if not claim.asked:
            self.problem(number, what)


def _span(first: int, last: int) -> str:
    return f"row {first} is" if first == last else f"rows {first} to {last} are"
