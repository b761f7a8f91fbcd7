"""How often somebody may be unknown: each attempt may cost a question to a cluster, and guesses are to be slow."""

import math
import threading
from collections import OrderedDict
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final

from bridge.api.access import TooMany
from bridge.clock import Clock

_PLACES: Final = 10_000  # that are remembered at a time


@dataclass(frozen=True, slots=True)
class Pace:
    """So many at once, and one more every so many seconds."""

    burst: int
    seconds: float


EACH: Final = Pace(10, 6.0)
ALL: Final = Pace(200, 0.2)


class Attempts:
    """Counts failed attempts of each address (of IPv6: each /64) and of all together; what was tried is not kept."""

    __slots__ = ("_all", "_clock", "_each", "_lock", "_places")

    def __init__(self, clock: Clock, each: Pace = EACH, overall: Pace = ALL) -> None:
        self._clock = clock
        self._each = each
        self._all = overall
        self._places: OrderedDict[str, float] = OrderedDict()  # until when what failed there weighs, the oldest first
        self._lock = threading.Lock()

    def take(self, address: str) -> None:
        """Begin one, which counts as failed until it is given back. Raise TooMany where no more may be tried now."""
        now = self._clock.elapsed()
        with self._lock:
            longest = max(_excess(self._places.get(where, 0.0) - now, pace) for where, pace in self._paces(address))
            if longest > 0:
                raise TooMany(math.ceil(longest))
            for where, pace in self._paces(address):
                self._places[where] = max(self._places.get(where, 0.0), now) + pace.seconds
                self._places.move_to_end(where)
            while len(self._places) > _PLACES:
                self._places.popitem(last=False)

    def give_back(self, address: str) -> None:
        """It did not fail."""
        with self._lock:
            for where, pace in self._paces(address):
                if where in self._places:
                    self._places[where] -= pace.seconds

    def _paces(self, address: str) -> tuple[tuple[str, Pace], tuple[str, Pace]]:
        return (_place(address), self._each), ("", self._all)


def _excess(weight: float, pace: Pace) -> float:
    """Seconds until one more may fail: a burst of failures weighs so long."""
    return weight - (pace.burst - 1) * pace.seconds


def _place(address: str) -> str:
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return "unknown"
    return str(ip_network((found, 64), strict=False)) if isinstance(found, IPv6Address) else str(found)
