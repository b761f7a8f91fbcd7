"""Times as people write and read them: ISO 8601, UTC where no zone is said, or so long ago."""

import re
from datetime import UTC, datetime, timedelta

_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_AGO = re.compile(r"(\d{1,9})\s*([smhdw])(?:\s+ago)?")
FORMS = "an ISO 8601 time (2026-11-23T10:00, UTC unless it says a zone) or how long ago (90s, 10m, 2h, 3d, 1w)"


def time_from(text: str, now: datetime) -> datetime:
    """The time of these words; ValueError says which are understood."""
    ago = _AGO.fullmatch(text.strip())
    try:
        if ago:
            return now - timedelta(seconds=int(ago[1]) * _UNITS[ago[2]])
        found = datetime.fromisoformat(text.strip())
    except (ValueError, OverflowError):
        raise ValueError(f"{text!r} is no time; write {FORMS}") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def zone_assumed(text: str) -> bool:
    """Whether these words are a time that says no zone."""
    return not _AGO.fullmatch(text.strip()) and datetime.fromisoformat(text.strip()).tzinfo is None


def time_text(at: datetime) -> str:
    """ISO 8601 in UTC, to the microsecond where there are any."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
