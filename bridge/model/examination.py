"""What a look at a device shows before anything is written there."""

from dataclasses import dataclass
from enum import StrEnum


class Condition(StrEnum):
    """Whether something is as it should be."""

    OK = "ok"
    WARNING = "warning"  # works, and is not as it should be, or nobody can tell
    ERROR = "error"  # the bridge cannot do its work so


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: `subject` in a word or two ("version", "rights"), and what is to be said about it, without a secret."""

    subject: str
    condition: Condition
    message: str


def fine(subject: str, message: str) -> Finding:
    """As it should be."""
    return Finding(subject, Condition.OK, message)


def doubtful(subject: str, message: str) -> Finding:
    """A person should think about it."""
    return Finding(subject, Condition.WARNING, message)


def wrong(subject: str, message: str) -> Finding:
    """A person must mend it."""
    return Finding(subject, Condition.ERROR, message)
