"""A running bridge is asked to read devices now, and its answer is waited for: a few seconds, and not in vain when nobody is there."""

import time
from collections.abc import Iterable
from dataclasses import dataclass

from bridge.delivery.auditor import DRIFT
from bridge.state.audit_store import AuditStore, Watch
from bridge.state.database import Database
from bridge.state.reported import Audited

_AGAIN = 2.0  # seconds after which a question that is not answered is put again
_LOOK = 0.1
_ROWS = 1000


@dataclass(frozen=True, slots=True)
class Fresh:
    """What came of it for one device: whether it was read since, why not, and the drift that this reading found."""

    device: str
    read: bool
    why: str = ""
    drift: tuple[Audited, ...] = ()


def read_now(database: Database, devices: Iterable[str], seconds: float = 10.0) -> tuple[Fresh, ...]:
    """Have these devices read by whoever has them; returns once all are, and recorded, or after that long.

    A device that no bridge has now is not waited for. Raises StateUnavailable.
    """
    store = AuditStore(database)
    asked = {device: store.watch(device) for device in devices}
    waiting = {device for device, watch in asked.items() if watch is not None and watch.owned}
    until, again = time.monotonic() + seconds, 0.0
    while waiting and time.monotonic() < until:
        if time.monotonic() >= again:
            again = time.monotonic() + _AGAIN
            for device in waiting:
                store.ask(device)
        time.sleep(_LOOK)
        waiting -= {device for device in waiting if _answered(asked[device], store.watch(device))}
    return tuple(_found(store, device, watch, device in waiting) for device, watch in asked.items())


def _answered(before: Watch | None, now: Watch | None) -> bool:
    """Whether a reading has begun, and come to its end, since the question."""
    return bool(before and now and now.last_read and now.last_read > before.now)


def _found(store: AuditStore, device: str, watch: Watch | None, unanswered: bool) -> Fresh:
    if watch is None or not watch.owned:
        return Fresh(device, read=False, why="no bridge has it now: start `fusion-bridge run`")
    drift = store.rows(device, op=DRIFT, after=watch.number, limit=_ROWS)
    why = "it was not read in time: see `fusion-bridge status`" if unanswered else ""
    return Fresh(device, not unanswered, why, drift)
