"""A large policy compiled from nothing, one pod's change under it, and one rule edited, for each form of device.

All of it is one thread that waits for nothing, so times are those of the processor: others on the machine do not count.
"""

import gc
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta

from bridge.dialects.annotations import annotation_groups
from bridge.intake import collector, compiler
from bridge.intake.cluster_index import ClusterIndex
from bridge.intake.freezes import Drawing
from bridge.intake.recorder import Recorder
from bridge.model.capabilities import Capabilities, Form
from bridge.model.observed import Change, Event, Observed, resource_of
from bridge.policy.compile import Target
from bridge.policy.memory import Memory
from bridge.state.batch import Batch, Recorded
from tests.bench.row import Row, quantile
from tests.bench.stand import DEFAULTS, GOVERNANCE
from tests.bench.written import Size, Written, replaced

_SMALL = 1_000
_CHANGES, _ROUNDS = 500, 10
_EDITS = 30
_NOTHING = Recorded(0, "", {}, {}, {}, {}, {}, {})
_START = datetime(2026, 3, 1, 12, tzinfo=UTC)
FORMS = (Form.TIERED, Form.FLAT, Form.ALLOW_ONLY)


class Desk:
    """One cluster's intake without its watchers and its database: events in, batches out."""

    def __init__(self, form: Form, written: Written, pods: int) -> None:
        self.now = _START
        self.written = written
        self.pods = written.pods(pods)
        can = Capabilities(form, deny=form is not Form.ALLOW_ONLY, reject=form is not Form.ALLOW_ONLY, atomic=True)
        self.index = ClusterIndex(GOVERNANCE, _NOTHING)
        self.targets = [Target("fw", can, DEFAULTS)]
        self.recorder = Recorder("lab", GOVERNANCE, self.targets, self.index, _NOTHING)
        self._memory = Memory()
        self._drawn: Mapping[compiler.Place, str] = {}
        self.see(*written.around, *written.nodes(pods), *self.pods)

    def see(self, *values: Observed, change: Change = Change.UPSERT) -> None:
        """Take these, recording nothing yet."""
        self.now += timedelta(seconds=1)
        self.index.take([Event(change, resource_of(one), one) for one in values], self.now)

    def compile(self) -> Batch:
        """From nothing to the first batch: parse, compile, and find every group's members."""
        self.see(*self.written.policy)
        return self.recorder.first(self.now)

    def draw(self) -> float:
        """Only compile, beside the recorder and as it does; returns the seconds that it took."""
        began = time.process_time()
        governs, landscape = self.index.landscape.governs, self.index.landscape
        in_force = self.index.policies.settle(governs)
        asked = annotation_groups(landscape.namespaces.values(), landscape.services.values(), self.index.annotated_pods)
        drawings = [Drawing(one, one, in_force) for one in self.targets]
        drawn = compiler.outline("lab", GOVERNANCE, drawings, asked, self.now, {}, {}, self._memory)
        compiler.changes(self._drawn, drawn.desired)
        passed = time.process_time() - began
        self._drawn = {place: one.digest for place, one in drawn.desired.items()}
        return passed

    def step(self) -> Batch:
        """The batch of what was seen."""
        return self.recorder.next(self.now)


def rows(pods: int, rules: int) -> Iterator[Row]:
    """For each form: from nothing, growth, one edit."""
    collector.relax()  # as the controller does
    size = Size.of(rules)
    for form in FORMS:
        written = Written(size)
        desk = Desk(form, written, pods)
        seconds, batch = _timed(desk.compile)
        collector.settle()
        what = f"{len(written.policy):,} policy objects"
        notes = {
            "rules": size.rules,
            "of_one_namespace": size.big,
            "pods": pods,
            "groups": len(batch.groups),
            "objects": len(batch.desired),
            "members": len(batch.joined),
            "placed": len(batch.placements),
            "what": what,
        }
        size_of = f"{size.rules:,} rules over {len(batch.groups):,} groups and {pods:,} pods"
        yield Row(f"{size_of} compiled from nothing, {form}", "≤ 10 s", f"{seconds:.1f} s", seconds <= 10, notes)
        yield _edits(desk, form, size_of)
        large = _change(desk)
        small_desk = Desk(form, written, min(_SMALL, pods))
        small_desk.compile()
        small = _change(small_desk)
        notes = {"us_small": round(small * 1e6, 1), "us_large": round(large * 1e6, 1), "small": _SMALL, "large": pods}
        goal, figure = "≤ 1.2 ×", large / small
        what = f"one pod's change under {size.rules:,} rules as the fleet grows {_SMALL:,} → {pods:,} pods, {form}"
        yield Row(what, goal, f"{figure:.2f} ×", figure <= 1.2, notes)
        gc.unfreeze()


def _edits(desk: Desk, form: Form, size_of: str) -> Row:
    """Each edit leads one rule of the large namespace elsewhere. Compiled is what settling, compiling and comparing take."""
    compiled, whole, written = [], [], 0
    desk.draw()
    for turn in range(_EDITS):
        desk.see(desk.written.edited(turn))
        compiled.append(desk.draw())
        passed, batch = _timed(desk.step)
        whole.append(passed)
        written += len(batch.desired) + len(batch.desired_gone)
    middle = quantile(compiled, 0.5)
    notes = {
        "ms_p50": round(middle * 1e3, 1),
        "ms_max": round(max(compiled) * 1e3, 1),
        "ms_of_the_whole_batch_p50": round(quantile(whole, 0.5) * 1e3, 1),
        "objects_per_edit": round(written / _EDITS, 1),
    }
    return Row(f"one rule edited among {size_of}, {form}", "≤ 50 ms", f"{middle * 1e3:.1f} ms", middle <= 0.05, notes)


def _change(desk: Desk) -> float:
    """CPU seconds of one pod's change, a batch each: the best of several rounds over pods spread over the fleet."""
    best, count = float("inf"), min(_CHANGES, len(desk.pods))
    apart = len(desk.pods) // count
    for turn in range(_ROUNDS):
        changes = [(desk.pods[number * apart], replaced(desk.pods[number * apart], turn)) for number in range(count)]
        gc.collect()
        began = time.process_time()
        for old, new in changes:
            desk.see(old, change=Change.DELETED)
            desk.see(new)
            desk.step()
        best = min(best, time.process_time() - began)
        for number, (_, new) in enumerate(changes):
            desk.pods[number * apart] = new
    return best / count


def _timed(run: Callable[[], Batch]) -> tuple[float, Batch]:
    began = time.process_time()
    batch = run()
    return time.process_time() - began, batch
