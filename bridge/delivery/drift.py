"""What stands on a device otherwise than it was last seen: found by comparison, before anybody knows who did it."""

from collections.abc import Mapping
from dataclasses import dataclass

from bridge.model.identity import ObjectKey
from bridge.model.intent import DeviceObject, Objects
from bridge.model.rendering import change_lines, digest_of, line_of


@dataclass(frozen=True, slots=True)
class Difference:
    """One object: as it was last seen, of which over a restart only the digest is known ("" for nothing), and as it is now."""

    key: ObjectKey
    before: DeviceObject | str | None
    after: DeviceObject | None

    @property
    def lines(self) -> tuple[str, str]:
        """Before and after as the audit has them."""
        if isinstance(self.before, str):
            return self.before or "-", line_of(self.after)
        return change_lines(self.before, self.after)

    def known_as(self, expected: DeviceObject | None) -> "Difference":
        """The same with what it was before, where the digest shows that it was this."""
        known = isinstance(self.before, str) and expected is not None and self.before == digest_of(expected)
        return Difference(self.key, expected, self.after) if known else self


def watched(before: Objects, found: Objects) -> list[Difference]:
    """What changed since it was last seen whole, by key."""
    changed = (key for key in before.keys() | found.keys() if before.get(key) != found.get(key))
    return [Difference(key, before.get(key), found.get(key)) for key in sorted(changed)]


def unwatched(verified: Mapping[ObjectKey, str], found: Objects) -> list[Difference]:
    """What changed since a bridge before this one recorded the digests, by key."""
    digests = {key: digest_of(value) for key, value in found.items()}
    changed = (key for key in verified.keys() | digests.keys() if verified.get(key) != digests.get(key))
    return [Difference(key, verified.get(key, ""), found.get(key)) for key in sorted(changed)]


def touched_groups(differences: list[Difference], verified: Mapping[ObjectKey, str]) -> frozenset[ObjectKey]:
    """The groups that we had on the device and that somebody may have changed there."""
    had = {key.group for key in verified}
    return frozenset(one.key.group for one in differences) & had
