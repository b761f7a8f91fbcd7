"""When a device is asked again after it refused: one small state machine, no sleeping of its own."""

from dataclasses import dataclass

from bridge.errors import Busy, Denied, DeviceError, Drifted


@dataclass(frozen=True, slots=True)
class PacingSettings:
    """Seconds. The breaker opens at once on Denied, since trying again locks accounts, and after `failures` others in a row."""

    first: float = 0.5
    longest: float = 30.0
    denied: float = 60.0
    failures: int = 5


class Pacing:
    """The state of the path to one device, and how long to leave it alone."""

    def __init__(self, settings: PacingSettings) -> None:
        self._settings = settings
        self._failures = 0
        self.state = "not read yet"
        self.message = ""

    @property
    def open(self) -> bool:
        """Whether the breaker is open: the device is left alone but for a try now and then."""
        return self.state == "denied" or self._failures >= self._settings.failures

    def well(self) -> None:
        """A cycle ended well."""
        self._failures = 0
        self.state, self.message = "ok", ""

    def failed(self, error: Exception) -> float:
        """Note a failed cycle; returns the seconds to wait before the next."""
        self._failures += 1
        self.message = str(error)
        backoff = min(self._settings.first * 2.0 ** (self._failures - 1), self._settings.longest)
        if isinstance(error, Denied):
            self.state = "denied"
            return self._settings.denied
        if isinstance(error, Busy):
            self.state = "busy" if self._failures < self._settings.failures else "unreachable"
            return max(error.retry_after or 0.0, backoff)
        if isinstance(error, Drifted):
            self.state = "drifted"
            return 0.0 if self._failures == 1 else backoff
        self.state = "refused" if isinstance(error, DeviceError) else "failed"
        return backoff
