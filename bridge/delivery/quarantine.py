"""Objects that a device will not take as they are: set aside with its own words, tried again when they change or at an audit."""

from collections.abc import Iterable, Mapping

from bridge.model.identity import ObjectKey
from bridge.model.intent import DeviceObject
from bridge.model.plan import Step
from bridge.model.rendering import digest_of


class Quarantine:
    """What one device refused, by key, with the digest of the refused content."""

    def __init__(self) -> None:
        self._refused: dict[ObjectKey, tuple[str, str]] = {}

    def __contains__(self, key: ObjectKey) -> bool:
        return key in self._refused

    @property
    def keys(self) -> Iterable[ObjectKey]:
        """The refused objects."""
        return self._refused.keys()

    def message(self, key: ObjectKey) -> str:
        """The device's own words."""
        return self._refused[key][1]

    def put(self, refused: Mapping[ObjectKey, str], steps: Iterable[Step]) -> None:
        """Set these aside as the steps wanted them."""
        wanted = {step.key: step.after for step in steps}
        for key, words in refused.items():
            self._refused[key] = (digest_of(wanted.get(key)), words)

    def put_wanted(self, refused: Mapping[ObjectKey, tuple[DeviceObject, str]]) -> None:
        """Set these aside with the content that was wanted."""
        for key, (value, words) in refused.items():
            self._refused[key] = (digest_of(value), words)

    def lift(self, objects: Mapping[ObjectKey, DeviceObject], absent: Iterable[ObjectKey]) -> None:
        """Let those go that are no longer what was refused, or no longer wanted."""
        if not self._refused:
            return
        gone = set(absent)
        for key, (digest, _) in list(self._refused.items()):
            if key in gone or (key in objects and digest_of(objects[key]) != digest):
                del self._refused[key]

    def clear(self) -> None:
        """Try all again."""
        self._refused.clear()

    def filter(self, steps: Iterable[Step]) -> list[Step]:
        """The steps that touch nothing set aside."""
        return [step for step in steps if step.key not in self._refused]
