"""One line of the benchmark's table."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Row:
    """What was measured, what the design asks for, and whether it is reached. `notes` are the figures behind it."""

    what: str
    goal: str
    figure: str
    reached: bool
    notes: dict[str, Any] = field(default_factory=dict)


def quantile(values: list[float], share: float) -> float:
    """The value below which so large a share lies; 0 for nothing."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0
