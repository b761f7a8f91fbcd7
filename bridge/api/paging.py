"""Every list is bounded: so many rows at a time, and a word for where the next begin."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Annotated, TypeVar

import msgspec
from fastapi import Query

from bridge.api.problems import Wrong

R = TypeVar("R")
Parts = tuple[str | int, ...]
"""What the rows of a list are ordered by, of one row: the next page begins behind it."""

MOST = 500  # rows of one page
_LONGEST = 2000  # characters of a place: it may name an object

Limit = Annotated[int, Query(ge=1, le=MOST, description="Rows of one page at the most.")]
Place = Annotated[
    str,
    Query(
        alias="page", max_length=_LONGEST, pattern=r"^[A-Za-z0-9_=,.:+-]*$", description="`next` of the page before."
    ),
]


def place(*parts: str | int) -> str:
    """A place as it is handed out."""
    return urlsafe_b64encode(msgspec.json.encode(parts)).decode().rstrip("=")


def parts(found: str, *kinds: type[str | int]) -> Parts | None:
    """The parts of a place that was handed out; None for "", the beginning. Wrong for one that is none."""
    if not found:
        return None
    try:
        told = msgspec.json.decode(urlsafe_b64decode(found + "=" * (-len(found) % 4)), type=tuple[str | int, ...])
    except (ValueError, UnicodeDecodeError):
        told = ()
    same = len(told) == len(kinds) and all(isinstance(one, kind) for one, kind in zip(told, kinds, strict=True))
    if not same or any("\0" in one if isinstance(one, str) else abs(one) >= 1 << 63 for one in told):
        raise Wrong("page", "it is no place in this list: take `next` of the page before, with the same filters")
    return told


def behind(found: str) -> tuple[datetime, str, str] | None:
    """A place in a list that is ordered by a time and then by two texts; None for "", the beginning. Wrong for one that is none."""
    told = parts(found, str, str, str)
    if told is None:
        return None
    at, *texts = map(str, told)
    try:
        return datetime.fromisoformat(at).astimezone(UTC), texts[0], texts[1]
    except (ValueError, OverflowError):
        raise Wrong(
            "page", "it is no place in this list: take `next` of the page before, with the same filters"
        ) from None


def cut(found: Sequence[R], limit: int, parts_of: Callable[[R], Parts]) -> tuple[tuple[R, ...], str | None]:
    """A page of rows of which one more than the limit was read, where there is one, and the place of the next page."""
    rows = tuple(found[:limit])
    return rows, place(*parts_of(rows[-1])) if len(found) > limit else None
