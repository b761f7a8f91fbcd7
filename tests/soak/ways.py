"""The way of a device from before a plan to after it: no packet gets through on it that neither end lets through (SEMANTICS 6)."""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any, cast

from bridge.contract import Adapter, AdapterFactory, DeviceConfig
from bridge.lab.device import Moment
from bridge.model.capabilities import Capabilities, Form, Limits
from bridge.model.plan import Fence, Outcome, Plan
from bridge.policy.evaluate import Packet
from tests.soak.meaning import passes

_PACKETS, _BETWEEN = 60, 4  # looked at of one way


@dataclass(frozen=True, slots=True)
class Way:
    """What one plan did: how the device stood before it, in between, and after it."""

    before: Moment
    between: tuple[Moment, ...]
    after: Moment


@dataclass
class Track:
    """Every state of a device since it was last asked, and the plans that were applied whole."""

    drain: Callable[[], list[Moment]]
    moments: list[Moment] = field(default_factory=list)
    ways: list[Way] = field(default_factory=list)
    _last: Moment | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def look(self) -> list[Moment]:
        """Take down what is new, and return it."""
        with self._lock:
            new = self.drain()
            self.moments += new
            self._last = new[-1] if new else self._last
            return new

    def applied(self, apply: Callable[[], Outcome]) -> Outcome:
        """Take down what a plan does; of one that fails nobody can say where it would have ended."""
        self.look()
        before = self._last
        try:
            outcome = apply()
        except BaseException:
            self.look()
            raise
        new = self.look()
        if before is not None and len(new) > 1 and not outcome.refused:
            self.ways.append(Way(before, tuple(new[:-1]), new[-1]))
        return outcome

    def take(self) -> tuple[list[Moment], list[Way]]:
        """All of it; from now on anew."""
        self.look()
        with self._lock:
            (moments, self.moments), (ways, self.ways) = (self.moments, []), (self.ways, [])
        return moments, ways


class Watched:
    """An adapter whose plans are taken down."""

    def __init__(self, inner: Adapter, track: Track) -> None:
        self._inner, self._track = inner, track

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 (whatever the adapter has)
        return getattr(self._inner, name)

    def apply(self, plan: Plan, fence: Fence) -> Outcome:
        """As the adapter does."""
        return self._track.applied(lambda: self._inner.apply(plan, fence))


class WatchedFactory:
    """Opens adapters whose plans are taken down."""

    def __init__(self, inner: AdapterFactory, track: Track) -> None:
        self._inner, self._track = inner, track
        self.kind = inner.kind

    def capabilities(self, config: DeviceConfig) -> Capabilities:
        """As the real one."""
        return self._inner.capabilities(config)

    def limits(self, config: DeviceConfig) -> Limits:
        """As the real one."""
        return self._inner.limits(config)

    def problems(self, config: DeviceConfig) -> Mapping[str, str]:
        """As the real one."""
        return self._inner.problems(config)

    def open(self, config: DeviceConfig) -> Adapter:
        """One that is watched."""
        return cast("Adapter", Watched(self._inner.open(config), self._track))


def opened(form: Form, ways: Iterable[Way], packets: list[Packet], random: Random) -> Iterator[str]:
    """What got through on the way and at neither end."""
    for way in ways:
        some = random.sample(packets, min(len(packets), _PACKETS))
        between = random.sample(way.between, min(len(way.between), _BETWEEN))
        stopped = [one for one in some if not any(passes(form, end.verdict(one)) for end in (way.before, way.after))]
        for moment in between:
            for packet in stopped:
                if passes(form, moment.verdict(packet)):
                    yield f"{packet.source} -> {packet.destination} {packet.protocol}/{packet.port} got through on the way"
