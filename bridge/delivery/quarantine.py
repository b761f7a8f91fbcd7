"""Objects that a device will not take as they are: set aside with its own words, tried again when they change or at an audit."""

from collections.abc import Callable, Iterable, Mapping

from bridge.model.identity import ObjectKey
from bridge.model.intent import DeviceObject
from bridge.model.plan import Step
from bridge.model.rendering import digest_of


class Quarantine:
    """What one device refused, by key, with the digest of what was desired."""

    def __init__(self) -> None:
        self._refused: dict[ObjectKey, tuple[str, str]] = {}

    def __contains__(self, key: ObjectKey) -> bool:
        return key in self._refused

    @property
    def keys(self) -> frozenset[ObjectKey]:
        """The refused objects."""
        return frozenset(self._refused)

    def message(self, key: ObjectKey) -> str:
        """The device's own words."""
        return self._refused[key][1]

    def put(self, refused: Mapping[ObjectKey, str], wanted: Mapping[ObjectKey, DeviceObject]) -> None:
        """Set these aside; `wanted` is what was desired of them, before it was brought into the device's form."""
        for key, words in refused.items():
            self._refused[key] = (digest_of(wanted.get(key)), words)

    def lift(self, wanted: Callable[[ObjectKey], DeviceObject | None]) -> bool:
        """Let those go of which something else is wanted now; returns whether there were any."""
        over = [key for key, (digest, _) in self._refused.items() if digest_of(wanted(key)) != digest]
        for key in over:
            del self._refused[key]
        return bool(over)

    def clear(self) -> None:
        """Try all again."""
        self._refused.clear()

    def filter(self, steps: Iterable[Step]) -> list[Step]:
        """The steps that touch nothing set aside."""
        return [step for step in steps if step.key not in self._refused]
