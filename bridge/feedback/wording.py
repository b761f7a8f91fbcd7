"""Reasons as sentences: what is so, in the device's own words where there are any, and what to do about it."""

from collections.abc import Iterable, Sequence

from bridge.feedback.standing import Standing
from bridge.model.reasons import MEANINGS, Reason

LONGEST = 4000  # characters of one text; the schema of status takes some more
_LONGEST_EVENT = 1000


def text(reason: Reason, words: str = "") -> str:
    """What a reason says."""
    meaning = MEANINGS[reason].text
    return f"{meaning}: {words}"[:LONGEST] if words else meaning


def advised(said: str, reason: Reason, longest: int = LONGEST) -> str:
    """With what to do at its end, which is never cut off."""
    remedy = MEANINGS[reason].remedy
    if not remedy:
        return said[:longest]
    end = f". To do: {remedy}."
    return said[: longest - len(end)].rstrip(". ") + end


def announced(reason: str, said: Sequence[str]) -> str:
    """The message of an Event."""
    words = "; ".join(dict.fromkeys(said))
    return advised(words, Reason(reason), _LONGEST_EVENT) if reason in MEANINGS else words[:_LONGEST_EVENT]


def on_devices(standings: Iterable[Standing]) -> str:
    """What keeps an object from being programmed, one sentence for each reason."""
    by_reason: dict[tuple[Reason, str], list[str]] = {}
    for one in standings:
        by_reason.setdefault((one.reason, one.words), []).append(one.device)
    sentences = (
        advised(f"on {', '.join(devices)}: {text(reason, words)}", reason)
        for (reason, words), devices in by_reason.items()
    )
    return " ".join(sentences)[:LONGEST]


# Of several reasons, the condition names the one that a person can do most about.
_GRAVITY = (
    Reason.QUARANTINED,
    Reason.UNSUPPORTED,
    Reason.OVER_BROAD,
    Reason.WITHHELD,
    Reason.HELD,
    Reason.NOT_ATTACHED,
    Reason.NO_DESTINATION,
    Reason.DEVICE_UNREACHABLE,
    Reason.PENDING,
    Reason.AWAITING_DEPLOY,
)


def gravest(standings: Sequence[Standing]) -> Reason:
    """The reason that counts among those of several devices; Programmed when there is no other."""
    present = {one.reason for one in standings} - {Reason.PROGRAMMED}
    if not present:
        return Reason.PROGRAMMED
    return min(present, key=lambda reason: _GRAVITY.index(reason) if reason in _GRAVITY else len(_GRAVITY))
