"""When an object may be written to: seldom, and one that was refused not for a while. No object waits for another."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from bridge.feedback.account import Account
from bridge.model.policy import Ref

_MANY = 5  # refusals in a row


@dataclass(frozen=True, slots=True)
class PaceSettings:
    """Seconds: between two writes to one object, and for how long one that was refused is left alone."""

    spacing: float = 5.0
    aside: float = 60.0


class Pace:
    """Remembers who was refused. What was written when stands in the accounts."""

    def __init__(self, settings: PaceSettings) -> None:
        self._spacing = timedelta(seconds=settings.spacing)
        self._aside = timedelta(seconds=settings.aside)
        self._until: dict[tuple[Ref, str], datetime] = {}
        self._denied = 0

    def may(self, account: Account, now: datetime) -> bool:
        """Whether it is time to write to the object. A clock that was set back delays nothing."""
        until = self._until.get((account.ref, account.uid))
        if until is not None and now < until <= now + self._aside:
            return False
        return not account.at <= now < account.at + self._spacing

    def refused(self, account: Account, now: datetime, *, denied: bool) -> None:
        """Leave it alone for a while."""
        self._until = {place: until for place, until in self._until.items() if until > now}
        self._until[account.ref, account.uid] = now + self._aside
        self._denied += denied

    def well(self) -> None:
        """A write was taken."""
        self._denied = 0

    @property
    def slowly(self) -> bool:
        """So much was denied in a row that it is likely to be so with the rest: one at a time, to see."""
        return self._denied >= _MANY
