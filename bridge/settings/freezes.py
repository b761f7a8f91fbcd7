"""Freeze windows as people write them: once, from one moment to another, or on days of the week by the clocks of a time zone."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import cache
from typing import Annotated, Any, Self
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, Field, model_validator

from bridge.model.policy import Day, Validity, Window
from bridge.policy.freeze import Freeze
from bridge.settings.fields import Section

_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9 ._-]{0,61}[A-Za-z0-9])?")
_ZONE = re.compile(r"UTC|[A-Z][A-Za-z_]*(/[A-Za-z0-9_+-]+)+")
_CLOCK = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d)?([Zz]|[+-]\d\d:\d\d)")


def _time(value: Any) -> Any:  # noqa: ANN401 (whatever somebody typed)
    """YAML reads 18:00 without quotes as the number 1080: the minutes of the day, which are just what is meant."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1440:
        return f"{value // 60:02}:{value % 60:02}"
    return value


Time = Annotated[str, BeforeValidator(_time)]


class FreezeSettings(Section):
    """One window: on `days` by the clocks of `timezone`, or without days once, from one moment to another."""

    name: str = Field(description="As people are told; 1 to 63 letters, digits, blanks, dots, hyphens.")
    days: tuple[Day, ...] | None = Field(None, description="Mon to Sun, on which it begins; without it, once.")
    begin: Time = Field(
        alias="from", description="HH:MM with days; else a moment with its offset, 2026-12-20T18:00:00+01:00."
    )
    end: Time = Field(
        alias="to", description="As from; with days, a time that is not later than from is on the day after."
    )
    timezone: str | None = Field(None, description="With days: UTC, or a name such as Europe/Berlin.")

    @model_validator(mode="after")
    def _whole(self) -> Self:
        wrong = [*self._wrong_name(), *(self._wrong_moments() if self.days is None else self._wrong_days())]
        if wrong:
            raise ValueError("; ".join(wrong))
        return self

    def freeze(self) -> Freeze:
        """The value that policy takes."""
        if self.days is None:
            return Freeze(self.name, Validity(_moment(self.begin), _moment(self.end)))
        window = Window(frozenset(self.days), _minutes(self.begin), _minutes(self.end), self.timezone or "")
        return Freeze(self.name, Validity(windows=frozenset({window})))

    def _wrong_name(self) -> Iterable[str]:
        if not _NAME.fullmatch(self.name):
            yield "name must be 1 to 63 letters, digits, blanks, dots, hyphens or underscores"

    def _wrong_days(self) -> Iterable[str]:
        if not self.days:
            yield "days must name at least one"
        for key, text in (("from", self.begin), ("to", self.end)):
            if not _CLOCK.fullmatch(text):
                yield f"{key} must be a time such as 18:00 where days are named"
        if self.timezone is None:
            yield "timezone is required where days are named"
        elif not _known(self.timezone):
            yield "timezone must be UTC, or a name such as Europe/Berlin that is known here"

    def _wrong_moments(self) -> Iterable[str]:
        if self.timezone is not None:
            yield "timezone belongs to days; a moment has its own offset"
        moments = [_moment(text) for text in (self.begin, self.end)]
        for key, found in zip(("from", "to"), moments, strict=True):
            if found is None:
                yield f"{key} must be a moment with its offset, such as 2026-12-20T18:00:00+01:00, where no days are named"
        begin, end = moments
        if begin and end and end <= begin:
            yield "to must be later than from"


def freezes(listed: Iterable[FreezeSettings]) -> tuple[Freeze, ...]:
    """The values of all."""
    return tuple(one.freeze() for one in listed)


def _moment(text: str) -> datetime | None:
    if not _MOMENT.fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _minutes(text: str) -> int:
    return int(text[:2]) * 60 + int(text[3:])


@cache
def _known(zone: str) -> bool:
    if len(zone) > 64 or not _ZONE.fullmatch(zone):
        return False
    try:
        ZoneInfo(zone)
    except (OSError, ValueError, KeyError):
        return False
    return True
