"""How long to wait after a failure."""

from collections.abc import Callable
from dataclasses import dataclass
from random import SystemRandom

Uniform = Callable[[float, float], float]
uniform: Uniform = SystemRandom().uniform


@dataclass(frozen=True, slots=True)
class BackoffSettings:
    """Seconds. `slow` bounds the waits after what trying again does not mend: refused credentials, missing CRDs."""

    first: float = 0.8
    longest: float = 30.0
    slow: tuple[float, float] = (10.0, 30.0)


class Backoff:
    """Exponential with full jitter: each wait is anything up to a bound that doubles from `first` to `longest`. `reset` on success."""

    def __init__(self, settings: BackoffSettings, uniform: Uniform = uniform) -> None:
        self.failures = 0
        self._settings = settings
        self._uniform = uniform

    def next(self) -> float:
        """The wait after one more failure."""
        bound = self._settings.first * 2 ** min(self.failures, 30)
        self.failures += 1
        return self._uniform(0, min(bound, self._settings.longest))

    def slow(self) -> float:
        """The wait after one more failure of the kind that lasts."""
        self.failures += 1
        return self._uniform(*self._settings.slow)

    def reset(self) -> None:
        """All is well again."""
        self.failures = 0
