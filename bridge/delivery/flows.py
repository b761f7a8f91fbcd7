"""Live flows of one device: what was allowed when it began and is denied now is closed, where the settings ask for it (SEMANTICS 8).

What stood on the device is remembered until it has been compared with what stands now. Who lost something by that is looked up, a few
addresses at a time so that no change waits for it, and each flow found is judged by what the device holds at that moment. It is a service
beside the work: no failure of it delays anything, and what it could not do is told.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice

import structlog

from bridge import metrics
from bridge.clock import Clock
from bridge.delivery.auditor import Note
from bridge.delivery.enforcement import Enforcement
from bridge.delivery.ledger import Ledger
from bridge.errors import Busy, DeviceError, Drifted, FencedOff
from bridge.model.flows import Flow
from bridge.model.identity import ObjectKey
from bridge.model.intent import Objects
from bridge.model.plan import Fence
from bridge.model.policy import Tier
from bridge.model.rendering import line_of
from bridge.policy.live import Court, in_force, senders
from bridge.state.desired import AuditEntry

log = structlog.get_logger(__name__)

FLOWS = "flows"  # what the audit calls it, beside the operations of steps

_TOGETHER = 16  # addresses asked for in one go, at most
_BUDGET = 0.2  # seconds for that: changes of policy wait no longer
_MOST = 5_000  # addresses that one comparison has asked for
_STATES = 8  # remembered at most
_REST = 4  # times as long as a comparison took, until the next
_TOLD = 20  # flows named in one entry
_TRIES = 5
_REVOKED = "permission was revoked"
_WAIT = 1.0  # before the second try; then twice as long each time


class LiveFlows:
    """Used by the worker's thread. Does nothing unless `close` and the device can. `holders` tells who holds an address now."""

    def __init__(
        self,
        enforcement: Enforcement,
        ledger: Ledger,
        clock: Clock,
        holders: Callable[[], Iterable[str]],
        *,
        close: bool,
    ) -> None:
        self.device = enforcement.device
        self._enforcement = enforcement
        self._ledger = ledger
        self._clock = clock
        self._holders = holders
        self._closes = close and enforcement.adapter.capabilities.close_flows
        self._attached: Mapping[Tier, bool] = {}
        self._stood: list[Objects] = []  # what was in force and is not compared yet, oldest first
        self._queue: dict[str, None] = {}  # addresses to be asked for
        self._court: Court | None = None
        self._compared = 0.0  # when the next comparison may begin
        self._asked = 0.0  # when the device may be asked again
        self._failures = 0
        self._fence = ""

    @property
    def wait(self) -> float:
        """Seconds until there is something to do; infinite while there is not."""
        compare = self._compared if self._stood else math.inf
        ask = self._asked if self._queue else math.inf
        return max(0.0, min(compare, ask) - self._clock.elapsed())

    def found(self, objects: Objects, attached: Mapping[Tier, bool]) -> None:
        """The device was read whole and holds this, by whoever's hand; `attached` says which policies are enforced."""
        if not self._closes:
            return
        for reachable in dict.fromkeys((tuple(self._attached.items()), tuple(attached.items()))):
            self._attached = dict(reachable)
            self._remember(objects)
        self._court = None

    def changes(self) -> None:
        """A plan goes out."""
        if self._closes:
            self._court = None
            if not self._stood:
                self._remember(self._enforcement.objects)

    def close(self, fence: Fence) -> None:
        """Do a part of what there is to do, once everything stored is enforced. Raises FencedOff and what the permit raises."""
        self._fence = f"epoch {fence.epoch} of {fence.installation}"
        if self._stood and self._clock.elapsed() >= self._compared:
            self._compare()
        if not self._queue or self._clock.elapsed() < self._asked:
            return
        asked: list[str] = []
        try:
            self._close(self._found(asked), fence)
        except FencedOff:
            raise
        except DeviceError as error:
            self._failed(error, asked)
            return
        self._failures = 0
        self._forget(asked)

    def _remember(self, objects: Objects) -> None:
        self._stood.append(in_force(objects, self._attached))
        del self._stood[1:-_STATES]

    def _compare(self) -> None:
        began = self._clock.elapsed()
        now = in_force(self._enforcement.objects, self._attached)
        for before in self._stood:
            if before != now:
                self._enqueue(senders(before, now, self._holders))
        self._stood.clear()
        ended = self._clock.elapsed()
        self._compared = ended + _REST * (ended - began)

    def _enqueue(self, addresses: Sequence[str]) -> None:
        self._queue.update(dict.fromkeys(addresses[:_MOST]))
        if len(addresses) > _MOST:
            log.warning("too many to ask for their live flows", device=self.device, left_out=len(addresses) - _MOST)
            outcome = f"live flows of {len(addresses) - _MOST} addresses were not looked for: more than {_MOST} at once"
            self._note(ObjectKey.fence(), _REVOKED, outcome, self._fence)

    def _found(self, asked: list[str]) -> list[Flow]:
        """The flows of the next few addresses, which are put into `asked`; fewer where the device is slow."""
        found: list[Flow] = []
        until = self._clock.elapsed() + _BUDGET
        for address in islice(tuple(self._queue), _TOGETHER):
            asked.append(address)
            found += self._enforcement.adapter.flows((address,))
            if self._clock.elapsed() >= until:
                break
        return found

    def _close(self, found: Sequence[Flow], fence: Fence) -> None:
        if self._court is None:
            self._court = Court(in_force(self._enforcement.objects, self._attached))
        for_line: dict[tuple[ObjectKey, str], list[Flow]] = {}
        for flow, line in self._court.stopped(found):
            for_line.setdefault((line.key, line.entry.name), []).append(flow)
        for (key, name), flows in for_line.items():
            outcome = f"broke off while {len(flows)} live flows were closed"
            try:
                closed = self._enforcement.adapter.close_flows(flows, fence)
                metrics.device(self.device).flows_closed.inc(closed)
                outcome = f"closed {closed} of {len(flows)} live flows"
            finally:
                log.info("live flows", device=self.device, list=str(key), line=name, outcome=outcome)
                stands = line_of(self._enforcement.objects.get(key))
                self._note(key, f"denied now by {name}", f"{outcome}: {_told(flows)}", stands)

    def _failed(self, error: DeviceError, asked: Sequence[str]) -> None:
        self._failures += 1
        log.warning("live flows not closed", device=self.device, error=str(error), attempt=self._failures)
        told = error.retry_after if isinstance(error, Busy) else None
        if isinstance(error, Busy | Drifted) and self._failures < _TRIES:
            self._asked = self._clock.elapsed() + max(_WAIT * 2 ** (self._failures - 1), told or 0.0)
            return
        self._failures = 0
        self._forget(asked)
        who = ", ".join(asked[:_TOLD])
        self._note(ObjectKey.fence(), _REVOKED, f"live flows of {who} were not closed: {error}", self._fence)

    def _forget(self, asked: Sequence[str]) -> None:
        for address in asked:
            self._queue.pop(address, None)

    def _note(self, key: ObjectKey, cause: str, outcome: str, stands: str) -> None:
        self._ledger.note(Note((AuditEntry(key, FLOWS, cause, stands, stands, outcome),)), self._clock.now())


def _told(flows: Sequence[Flow]) -> str:
    more = f", and {len(flows) - _TOLD} more" if len(flows) > _TOLD else ""
    return ", ".join(map(str, flows[:_TOLD])) + more
