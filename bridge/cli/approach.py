"""The way to one device, gone before it is our turn: connected, logged in, and nothing written."""

from collections.abc import Callable
from dataclasses import replace

import structlog

from bridge.cli.tenure import Elsewhere
from bridge.cli.units import DeviceUnit
from bridge.clock import Clock
from bridge.contract import Adapter
from bridge.model.intent import ReadScope

log = structlog.get_logger(__name__)

_NOTHING = ReadScope(frozenset())


class Approach:
    """For the one thread that serves the device.

    When whoever acts for it falls silent, an adapter is opened and asked for no object at all, so that connections and logins, which may
    take seconds, are behind us when the lease is ours. More is not prepared: what is read before our fence stands may still change.
    """

    def __init__(self, unit: DeviceUnit, permit: Callable[[], None], *, warm: bool) -> None:
        self._unit, self._permit, self._warm = unit, permit, warm
        self._opened: Adapter | None = None

    def meanwhile(self, elsewhere: Elsewhere, _clock: Clock) -> None:
        """What is to be done while it is not our turn."""
        if elsewhere is Elsewhere.HELD:
            self.leave()
        elif elsewhere is Elsewhere.DOUBTED and self._warm and self._opened is None:
            self._go()

    def _go(self) -> None:
        try:
            self._opened = self._open()
            self._opened.read(_NOTHING)
        except Exception as error:  # noqa: BLE001 (what is wrong will be said when it is our turn)
            log.info("not reached beforehand", device=self._unit.config.name, error=str(error))
            self.leave()

    def arrive(self) -> Adapter:
        """The adapter, which is the caller's from now on."""
        opened, self._opened = self._opened, None
        return opened or self._open()

    def leave(self) -> None:
        """Somebody else acts after all, or nobody shall."""
        opened, self._opened = self._opened, None
        if opened is None:
            return
        try:
            opened.close()
        except Exception as error:  # noqa: BLE001 (whoever waits for his turn must not end before it)
            log.info("not left in good order", device=self._unit.config.name, error=str(error))

    def _open(self) -> Adapter:
        return self._unit.factory.open(replace(self._unit.config, permit=self._permit))
