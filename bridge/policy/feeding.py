"""Which groups a device is given as feeds, whose members are pushed beside its configuration: those that change most."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from bridge.model.identity import ObjectKey

LEAST = 32  # changes since the group began; below, a feed is not worth its place
_STAYS = 2  # whoever would take a place must have changed so many times as often as who has it
_FILL = 0.8  # of the room for members: feeds grow


@dataclass(frozen=True, slots=True)
class Churn:
    """How often a group has changed on a device, ever, and how many members it has. The first only grows, so that choices settle."""

    changes: int
    members: int


def is_time(before: int, after: int) -> bool:
    """Whether so many changes, after so many before, are worth another choice: each time that they have doubled."""
    return after >= LEAST and before.bit_length() != after.bit_length()


def chosen(
    churn: Mapping[ObjectKey, Churn],
    pushed: Collection[ObjectKey],
    feeds: int,
    room: int | None,
    refused: Collection[ObjectKey] = frozenset(),
) -> frozenset[ObjectKey]:
    """The groups to push: so many feeds at most, with so many members in all. What is pushed already keeps its place rather long.

    What the device `refused` is not among them.
    """
    worth = (key for key, one in churn.items() if (one.changes >= LEAST or key in pushed) and key not in refused)
    ranked = sorted(worth, key=lambda key: (-churn[key].changes * (_STAYS if key in pushed else 1), key))
    return frozenset(_fitting(ranked, churn, feeds, None if room is None else int(room * _FILL)))


def _fitting(
    ranked: Iterable[ObjectKey], churn: Mapping[ObjectKey, Churn], feeds: int, room: int | None
) -> Iterable[ObjectKey]:
    for key in ranked:
        if not feeds:
            return
        if room is not None:
            if churn[key].members > room:
                continue
            room -= churn[key].members
        feeds -= 1
        yield key
