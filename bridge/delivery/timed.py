"""An adapter, with what it is asked for counted and timed."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager

from bridge import metrics
from bridge.clock import Clock
from bridge.contract import Adapter
from bridge.model.capabilities import Capabilities, Limits
from bridge.model.examination import Finding
from bridge.model.flows import Flow
from bridge.model.identity import ObjectKey
from bridge.model.intent import Intent, Objects, ReadScope, Snapshot
from bridge.model.plan import Fence, Outcome, Plan


class Timed:
    """Passes everything on. Nobody who uses it need think of metrics, and no adapter either."""

    def __init__(self, adapter: Adapter, clock: Clock) -> None:
        self._adapter = adapter
        self._clock = clock
        self._series = metrics.device(adapter.device)

    @property
    def device(self) -> str:
        """As the adapter says."""
        return self._adapter.device

    @property
    def capabilities(self) -> Capabilities:
        """As the adapter says."""
        return self._adapter.capabilities

    @property
    def limits(self) -> Limits:
        """As the adapter says."""
        return self._adapter.limits

    @property
    def calls(self) -> int:
        """As the adapter says."""
        return self._adapter.calls

    def normalize(self, intent: Intent) -> Objects:
        """As the adapter does; no call, no time to speak of."""
        return self._adapter.normalize(intent)

    def read(self, scope: ReadScope) -> Snapshot:
        """As the adapter does."""
        with self._timing("read"):
            return self._adapter.read(scope)

    def apply(self, plan: Plan, fence: Fence) -> Outcome:
        """As the adapter does."""
        with self._timing("apply"):
            return self._adapter.apply(plan, fence)

    def raise_fence(self, fence: Fence) -> None:
        """As the adapter does."""
        with self._timing("fence"):
            self._adapter.raise_fence(fence)

    def adopt(self, keys: Collection[ObjectKey], fence: Fence) -> None:
        """As the adapter does."""
        with self._timing("adopt"):
            self._adapter.adopt(keys, fence)

    def active(self) -> bool:
        """As the adapter says."""
        with self._timing("active"):
            return self._adapter.active()

    def save(self) -> None:
        """As the adapter does."""
        with self._timing("save"):
            self._adapter.save()

    def flows(self, sources: Collection[str]) -> Sequence[Flow]:
        """As the adapter does."""
        with self._timing("flows"):
            return self._adapter.flows(sources)

    def close_flows(self, flows: Collection[Flow], fence: Fence) -> int:
        """As the adapter does."""
        with self._timing("close flows"):
            return self._adapter.close_flows(flows, fence)

    def examine(self) -> Sequence[Finding]:
        """As the adapter does; commands alone ask for it, which nobody measures."""
        return self._adapter.examine()

    def close(self) -> None:
        """As the adapter does."""
        with self._timing("close"):
            self._adapter.close()

    @contextmanager
    def _timing(self, operation: str) -> Iterator[None]:
        calls, began = self._adapter.calls, self._clock.elapsed()
        try:
            yield
        except Exception as error:
            self._series.failed(error)
            raise
        finally:
            self._series.operated(operation, self._clock.elapsed() - began, self._adapter.calls - calls)
