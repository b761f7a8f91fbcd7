"""Two units that stand in for each other: one carries the traffic, each has a configuration of its own until they are synchronized.

What they say of that has the words of sync-status as public clients and guides show them. A unit that stands by takes writes as the other
does. `config-sync to-group` makes the others like the unit that is told to, whoever is ahead: it undoes what they have of their own.
"""

from collections.abc import Sequence
from functools import partial
from types import TracebackType
from typing import Self

from bridge.lab.devices.bigip.answers import ApiError
from bridge.lab.devices.bigip.simulator import Bigip
from bridge.lab.devices.bigip.store import Author
from bridge.lab.devices.bigip.system import Identity, SyncStatus

_IN_STEP, _PENDING = "In Sync", "Changes Pending"


class Pair:
    """A sync-failover group of two simulated units with one account. `automatic`: each change is brought to the other at once."""

    def __init__(self, *, tls: bool = True, automatic: bool = False) -> None:
        first = Bigip(tls=tls)
        second = Bigip(tls=tls, username=first.username, password=first.password)
        self.units = (first, second)
        self.name = "/Common/failover"
        self.automatic = automatic
        self._base = first.store.digest()
        self._bringing = False
        second.changed = first.changed  # one lock: each looks at the other
        for number, unit in enumerate(self.units, 1):
            unit.identity.hostname, unit.identity.serial = f"bigip{number}.lab.example", f"chs40001{number}s"
            unit.identity.failover = "active" if unit is first else "standby"
            unit.system.group = self
            unit.bring = partial(self._command, unit)
            unit.store.on_change = partial(self._changed, unit)

    def __enter__(self) -> Self:
        for unit in self.units:
            unit.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        for unit in self.units:
            unit.stop()

    @property
    def active(self) -> Bigip:
        """The unit that carries the traffic."""
        return next(unit for unit in self.units if unit.identity.failover == "active")

    @property
    def standby(self) -> Bigip:
        """The one that waits."""
        return next(unit for unit in self.units if unit is not self.active)

    def failover(self) -> None:
        """The units change places."""
        before, after = self.active, self.standby
        before.identity.failover, after.identity.failover = "standby", "active"

    def synchronize(self) -> None:
        """A person brings the active unit's configuration to the other."""
        with self.active.changed:
            self._bring(self.active)

    def members(self) -> Sequence[Identity]:
        """Both units."""
        return [unit.identity for unit in self.units]

    def status(self) -> SyncStatus:
        """In step, or who has changed since."""
        first, second = self.units
        if first.store.digest() == second.store.digest():
            return SyncStatus(_IN_STEP, "All devices in the device group are in sync")
        changed = [unit for unit in self.units if unit.store.digest() != self._base]
        ahead = max(changed, key=lambda unit: unit.store.writes()[-1].at)
        name, group = ahead.identity.hostname, self.name.rpartition("/")[2]
        summary = f"{name} has changes that are not synchronized."
        if len(changed) > 1:
            summary = (
                f"There is a possible change conflict between {first.identity.hostname} and {second.identity.hostname}."
            )
        advice = f" - Recommended action: Synchronize {name} to group {group}"
        return SyncStatus(_PENDING, summary, (f"{group} ({_PENDING}): {summary}", advice))

    def _changed(self, unit: Bigip) -> None:
        if self.automatic and not self._bringing:
            self._bring(unit)

    def _command(self, unit: Bigip, words: str) -> None:
        if words not in (f"to-group {self.name}", f"to-group {self.name.rpartition('/')[2]}"):
            raise ApiError(400, f"01070734:3: Configuration error: no such device group ({words}).")
        self._bring(unit)

    def _bring(self, source: Bigip) -> None:
        self._bringing = True
        try:
            for unit in self.units:
                if unit is not source:
                    unit.store.replace(source.store.state, Author("config-sync", "", "SYNC", ""))
            self._base = source.store.digest()
        finally:
            self._bringing = False
