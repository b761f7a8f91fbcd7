"""What a proof is: something is done to the bridge at length, and then it is told what was found and what is wrong with it."""

import sys
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

Figure = int | float | str
_SILENCE = 30.0  # seconds between two lines of progress


@dataclass(frozen=True, slots=True)
class Order:
    """How a proof is to be run: everything random in it follows from `seed`; `folder` is its own and empty."""

    seed: int
    long: bool
    folder: Path

    def times(self, short: int, long: int) -> int:
        """How often, in this form of the proof."""
        return long if self.long else short


@dataclass(slots=True)
class Findings:
    """What a proof has found so far. `wrong` is empty when it holds; nothing in it is about how long something took."""

    figures: dict[str, Figure] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    _told: float = field(default_factory=time.monotonic)

    def progress(self, done: int, of: int) -> None:
        """Tell whoever waits how far it is, now and then, on standard error."""
        if time.monotonic() >= self._told + _SILENCE:
            self._told = time.monotonic()
            print(f"  {done:,} of {of:,}, {len(self.wrong)} wrong", file=sys.stderr, flush=True)

    def expect(self, holds: bool, otherwise: str) -> bool:
        """Note what is wrong unless it holds; whether it does."""
        if not holds:
            self.wrong.append(otherwise)
        return holds

    def expect_equal(self, found: object, wanted: object, what: str) -> bool:
        """The same for two values that must be alike."""
        return self.expect(found == wanted, f"{what}: {_short(found)} is not {_short(wanted)}")


@dataclass(frozen=True, slots=True)
class Proof:
    """One line of the program. `run` notes what it finds; what it raises counts as wrong."""

    name: str
    what: str
    run: Callable[[Order, Findings], None]


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a proof."""

    proof: str
    what: str
    seed: int
    long: bool
    seconds: float
    figures: Mapping[str, Figure]
    wrong: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether it holds."""
        return not self.wrong

    def line(self) -> str:
        """As the program prints it."""
        said = ", ".join(f"{name} {value}" for name, value in self.figures.items())
        word = "pass" if self.passed else "FAIL"
        return f"{word}  {self.proof:<8} seed {self.seed}, {self.seconds:.0f} s: {said or self.what}"


def carry_out(proof: Proof, order: Order) -> Result:
    """Run a proof to its end, whatever that is."""
    findings, began = Findings(), time.monotonic()
    order.folder.mkdir(parents=True, exist_ok=True)
    try:
        proof.run(order, findings)
    except Exception:  # noqa: BLE001 (a proof that breaks does not hold, and the others still run)
        findings.wrong.append(traceback.format_exc())
    seconds = round(time.monotonic() - began, 1)
    return Result(
        proof.name, proof.what, order.seed, order.long, seconds, dict(findings.figures), tuple(findings.wrong)
    )


def _short(value: object, length: int = 400) -> str:
    text = repr(value)
    return text if len(text) <= length else f"{text[:length]}…"
