"""What people write into a request: words, names, times. What is wrong with them is said of the parameter that they stand in."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import Path, Query

from bridge.api.problems import Wrong
from bridge.report.times import FORMS, time_from, time_text

TEXT = r"^[^\x00]*$"  # Postgres knows no NUL in a text
MOST_OF_NAME = 253  # characters of a name, as Kubernetes has them


def words(description: str, *, most: int = MOST_OF_NAME, alias: str | None = None) -> Any:  # noqa: ANN401 (as FastAPI has it)
    """A parameter of the query that is text."""
    return Query(max_length=most, pattern=TEXT, description=description, alias=alias)


def named(description: str, *, most: int = MOST_OF_NAME) -> Any:  # noqa: ANN401
    """A part of the path that is a name."""
    return Path(max_length=most, pattern=TEXT, description=description)


Name = Annotated[str, words("A name, or part of one; all unless told.")]
Device = Annotated[str, named("The device, by its name.")]
OfDevice = Annotated[str | None, words("Of this device only.")]
OfCluster = Annotated[str | None, words("Of this cluster only.")]
OfNamespace = Annotated[str | None, words("Of this namespace only.")]
At = Annotated[str | None, words(f"At a past moment: {FORMS}; now unless told.", most=60)]
Since = Annotated[str | None, words(f"Nothing that was over before: {FORMS}.", most=60)]


class Several(Wrong):
    """The words of a parameter can mean several things; `choices` are words that mean one each."""

    def __init__(self, parameter: str, why: str, choices: Sequence[str]) -> None:
        self.choices = tuple(choices)
        super().__init__(parameter, why)


def moment(text: str | None, parameter: str, now: datetime) -> datetime | None:
    """The time of these words, in UTC; None for none. Raises Wrong, also for a time that has not come yet."""
    if text is None or not text.strip():
        return None
    try:
        found = time_from(text, now).astimezone(UTC)
    except OverflowError:
        raise Wrong(parameter, f"{text!r} is no time that anything is recorded of") from None
    except ValueError as error:
        raise Wrong(parameter, str(error)) from None
    if found > now:
        raise Wrong(parameter, f"{time_text(found)} has not come yet")
    return found
