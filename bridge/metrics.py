"""The series that the bridge shows to Prometheus: one table, and the one registry that holds them.

A room asks once for the series of its device, cluster or watch (`device`, `cluster`, `watch`, `tenure`), keeps them, and observes: labels
are looked up once, and an observation costs a microsecond or two. Asking makes every series of that device or cluster with all its labels,
at zero: the controller asks for all that the settings name before it starts, so that no query meets a series that is not there yet.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from bridge import __version__

PREFIX = "fusion_bridge"
disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each, which nobody asks for
REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)
PlatformCollector(registry=REGISTRY)
GCCollector(registry=REGISTRY)

OPERATIONS = (
    "read",
    "apply",
    "fence",
    "adopt",
    "active",
    "save",
    "flows",
    "close flows",
    "close",
)  # what an adapter is asked for
ERRORS = ("Busy", "Denied", "Drifted", "FencedOff", "NotOwned", "Rejected", "other")
OBJECT_STATES = ("Pending", "Programmed", "Held", "Quarantined", "Withheld", "AwaitingDeploy", "Unsupported")
DEVICE_STATES = ("ok", "busy", "denied", "unreachable", "stopped", "not read yet")
ORIGINS = ("asked", "scheduled")  # of a report
OUTCOMES = ("answered", "failed")  # of a question about a name
TARGETS = ("status", "annotation", "event")  # what feedback writes
GATE_OUTCOMES = ("confirmed", "not needed", "timed out")  # why a gate opened
DATABASE_KINDS = ("transaction", "snapshot", "reading")
DATABASE_ERRORS = ("unavailable", "refused")

_SHORT = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0)
_LONG = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0, 600.0)


@dataclass(frozen=True, slots=True)
class Series:
    """One line of the table: the name as Prometheus has it, what kind it is, what it says, and its labels."""

    name: str
    kind: str
    text: str
    labels: tuple[str, ...]


TABLE: list[Series] = []


def _gauge(name: str, text: str, *labels: str) -> Gauge:
    TABLE.append(Series(f"{PREFIX}_{name}", "gauge", text, labels))
    return Gauge(name, text, labels, namespace=PREFIX, registry=REGISTRY)


def _counter(name: str, text: str, *labels: str) -> Counter:
    TABLE.append(Series(f"{PREFIX}_{name}_total", "counter", text, labels))
    return Counter(name, text, labels, namespace=PREFIX, registry=REGISTRY)


def _histogram(name: str, buckets: Sequence[float], text: str, *labels: str) -> Histogram:
    TABLE.append(Series(f"{PREFIX}_{name}", "histogram", text, labels))
    return Histogram(name, text, labels, namespace=PREFIX, registry=REGISTRY, buckets=buckets)


# ---- the table

_OLDEST = _gauge(
    "device_oldest_unapplied_seconds",
    "Age of the oldest change that is not on the device yet: the objective. 0 while nothing waits.",
    "device",
)
_LAG = _histogram(
    "device_lag_seconds", _LONG, "From the moment a change was recorded until the device held it, per object.", "device"
)
_HANDOVER = _histogram(
    "device_handover_seconds",
    _LONG,
    "How long an address that moved to another group stayed in the one it left, after the change was recorded.",
    "device",
)
_HANDOVER_BOTH = _counter(
    "device_handover_both",
    "Addresses of which, while they moved to another group, the old and the new permission may have stood at once.",
    "device",
)
_HANDOVER_WORST = _gauge(
    "device_handover_worst_seconds", "The longest hand-over of an address of the last day.", "device"
)
_FROZEN = _gauge("device_frozen", "1 while the device keeps to an earlier policy because of a freeze window.", "device")
_FROZEN_EDITS = _gauge("device_frozen_edits", "Edits of policy that wait for the end of the device's freeze.", "device")
_WAITING = _gauge("device_waiting_objects", "Objects of which a change is not on the device yet.", "device")
_OBJECTS = _gauge("device_objects", "Objects wanted on the device, by where they stand.", "device", "state")
_HELD = _gauge("device_held_members", "Members whose change waits for a person.", "device")
_REJECTED = _gauge("device_rejected_members", "Members whose change a person does not want.", "device")
_STOPS = _gauge("device_stops", "Stops that the device obeys: nothing is written to it while there is any.", "device")
_STATE = _gauge("device_state", "1 for the state that the device is in, 0 for the others.", "device", "state")
_IN_STEP = _gauge("device_in_step", "1 while this replica keeps the device and nothing is left to do.", "device")
_BREAKER = _gauge("device_breaker_open", "1 while a device that refuses is left alone by this replica.", "device")
_WRITTEN = _gauge("device_written", "1 when the device is written to, 0 in mode plan.", "device")
_CALLS = _counter("device_calls", "Requests sent to the device.", "device", "operation")
_SECONDS = _histogram(
    "device_operation_seconds", _LONG, "How long operations on the device took.", "device", "operation"
)
_ERRORS = _counter("device_errors", "Operations on the device that ended in an error.", "device", "error")
_DRIFT = _counter("device_drift", "Objects found to be other than last verified: somebody else changed them.", "device")
_FLOWS = _counter(
    "device_flows_closed", "Live flows that were closed because what they were allowed by is revoked.", "device"
)
_READ = _gauge("device_last_read_timestamp_seconds", "When the device was last read whole; 0 before.", "device")
_VERIFIED = _gauge(
    "device_last_verified_timestamp_seconds",
    "When all on the device was last seen to be as wanted; 0 before.",
    "device",
)
_AUDIT = _gauge("device_audit_rows", "Changes in the audit chain of the device, pruned ones included.", "device")

_EVENTS = _gauge("intake_waiting_events", "Events of a cluster that wait to be recorded.", "cluster")
_UNRECORDED = _gauge(
    "intake_unrecorded_seconds",
    "For how long what came from the cluster has not been recorded; 0 when all is.",
    "cluster",
)
_REVISION = _gauge("cluster_revision", "How many batches of a cluster have been recorded.", "cluster")
_CLUSTER_STOPS = _gauge("cluster_stops", "Stops in force that were written in the cluster.", "cluster")
_UNDECIDED = _gauge(
    "cluster_decision_waiting_seconds",
    "Age of the oldest decision about held steps that its device has not taken up; 0 while there is none.",
    "cluster",
)
_DOUBTED = _gauge(
    "cluster_doubted_objects",
    "Policy objects that stay in force though lists show them no longer: too many at once, and nobody saw them deleted.",
    "cluster",
)
_LEASES = _gauge("cluster_open_leases", "Addresses that workloads of the cluster hold now.", "cluster")
_SYNCED = _gauge("watch_synced", "1 once this replica had a complete list of the resource.", "cluster", "resource")
_SILENT = _gauge(
    "watch_silent_seconds",
    "Since anything was heard of the resource, while this replica watches it.",
    "cluster",
    "resource",
)
_WATCHED = _gauge("watch_objects", "Objects of the resource that this replica knows.", "cluster", "resource")

_NAMES = _gauge("names", "Names that this replica resolves for devices that take none.", "cluster")
_UNRESOLVED = _gauge("names_failing", "Names of which the last questions failed, or that are too many.", "cluster")
_STALE = _gauge(
    "names_stale_seconds",
    "Age of the oldest answer about a name that should have been replaced by now; 0 while there is none.",
    "cluster",
)
_QUESTIONS = _counter("name_questions", "Questions about names, by what came of them.", "cluster", "outcome")

_WRITES = _counter("feedback_writes", "What was written to objects of the cluster.", "cluster", "target")
_REFUSED = _counter("feedback_refused", "Writes of feedback that the cluster refused.", "cluster")
_UNTOLD = _gauge("feedback_waiting_objects", "Objects of the cluster whose status is still to be written.", "cluster")

_GATES = _counter(
    "gates_opened",
    "Gates of pods that opened: confirmed by every device, not needed, or because the time was over.",
    "cluster",
    "outcome",
)
_GATES_WAITING = _gauge("gates_waiting", "Pods that wait for the firewalls to know them.", "cluster")
_GATES_OLDEST = _gauge(
    "gates_oldest_seconds", "For how long the one of them has waited that has waited longest.", "cluster"
)
_GATE_SECONDS = _histogram(
    "gate_seconds",
    _LONG,
    "From the moment a pod's address was recorded until every device had confirmed its groups.",
    "cluster",
)

_TENURE = _gauge("tenure_held", "1 while this replica acts for the cluster or device.", "role", "name")
_EPOCH = _gauge(
    "epoch", "Under which this replica acts for the cluster or device; 0 while it does not.", "role", "name"
)
_TAKING_OVER = _gauge(
    "tenure_taking_over",
    "1 while what a former owner may have sent last, who did not give the device up, is not made good yet.",
    "role",
    "name",
)
_LOST = _counter("tenure_lost", "How often this replica lost the right to act.", "role", "name")

_REPLICAS = _gauge("replicas", "Replicas that share the work, as far as this one knows.")

_DATABASE = _histogram("database_seconds", _SHORT, "How long the database was used in one go.", "kind")
_FAILURES = _counter("database_errors", "Uses of the database that failed.", "error")
_DATABASE_UP = _gauge("database_up", "1 while the database answers.")
_SCHEMA = _gauge("database_schema_current", "1 while the schema is the one that this version needs.")

_REPORTS = _counter("reports_made", "Scheduled reports that this replica made and kept.")
_UNMADE = _counter("reports_failed", "Scheduled reports that this replica could not make.")
_REPORTED = _gauge(
    "report_last_timestamp_seconds", "When the last report was kept, by any replica; 0 before.", "origin"
)
_DUE = _gauge("report_due_timestamp_seconds", "When the next scheduled report is to be there; 0 without a schedule.")

_READY = _gauge("ready", "1 while /readyz says so.")
_BUILD = _gauge("build_info", "1, with the version in a label.", "version")
_BUILD.labels(__version__).set(1)


# ---- for the rooms


class Device:
    """The series of one device."""

    def __init__(self, name: str) -> None:
        self.oldest_unapplied = _OLDEST.labels(name)
        self.lag = _LAG.labels(name)
        self.handover = _HANDOVER.labels(name)
        self.handover_both = _HANDOVER_BOTH.labels(name)
        self.handover_worst = _HANDOVER_WORST.labels(name)
        self.frozen = _FROZEN.labels(name)
        self.frozen_edits = _FROZEN_EDITS.labels(name)
        self.waiting = _WAITING.labels(name)
        self.objects = {state: _OBJECTS.labels(name, state) for state in OBJECT_STATES}
        self.held_members = _HELD.labels(name)
        self.rejected_members = _REJECTED.labels(name)
        self.stops = _STOPS.labels(name)
        self.state = {state: _STATE.labels(name, state) for state in DEVICE_STATES}
        self.in_step = _IN_STEP.labels(name)
        self.breaker_open = _BREAKER.labels(name)
        self.written = _WRITTEN.labels(name)
        self.drift = _DRIFT.labels(name)
        self.flows_closed = _FLOWS.labels(name)
        self.last_read = _READ.labels(name)
        self.last_verified = _VERIFIED.labels(name)
        self.audit_rows = _AUDIT.labels(name)
        self._calls = {operation: _CALLS.labels(name, operation) for operation in OPERATIONS}
        self._seconds = {operation: _SECONDS.labels(name, operation) for operation in OPERATIONS}
        self._errors = {error: _ERRORS.labels(name, error) for error in ERRORS}

    def operated(self, operation: str, seconds: float, calls: int) -> None:
        """An operation ended, well or not, after so many requests to the device."""
        self._seconds[operation].observe(seconds)
        self._calls[operation].inc(calls)

    def failed(self, error: Exception) -> None:
        """An operation ended in this error."""
        self._errors.get(type(error).__name__, self._errors["other"]).inc()


class Cluster:
    """The series of one cluster."""

    def __init__(self, name: str) -> None:
        self.waiting_events = _EVENTS.labels(name)
        self.unrecorded = _UNRECORDED.labels(name)
        self.revision = _REVISION.labels(name)
        self.stops = _CLUSTER_STOPS.labels(name)
        self.decision_waiting = _UNDECIDED.labels(name)
        self.doubted = _DOUBTED.labels(name)
        self.open_leases = _LEASES.labels(name)
        self.told = {target: _WRITES.labels(name, target) for target in TARGETS}
        self.untold = _UNTOLD.labels(name)
        self.refused = _REFUSED.labels(name)
        self.gates = {outcome: _GATES.labels(name, outcome) for outcome in GATE_OUTCOMES}
        self.gates_waiting = _GATES_WAITING.labels(name)
        self.gates_oldest = _GATES_OLDEST.labels(name)
        self.gate_seconds = _GATE_SECONDS.labels(name)
        self.names = _NAMES.labels(name)
        self.names_failing = _UNRESOLVED.labels(name)
        self.names_stale = _STALE.labels(name)
        self.questions = {outcome: _QUESTIONS.labels(name, outcome) for outcome in OUTCOMES}


class Watch:
    """The series of one resource of one cluster."""

    def __init__(self, cluster: str, resource: str) -> None:
        self.synced = _SYNCED.labels(cluster, resource)
        self.silent = _SILENT.labels(cluster, resource)
        self.objects = _WATCHED.labels(cluster, resource)


class Tenure:
    """The series of the right to act for one cluster or device."""

    def __init__(self, role: str, name: str) -> None:
        self._held = _TENURE.labels(role, name)
        self._epoch = _EPOCH.labels(role, name)
        self.taking_over = _TAKING_OVER.labels(role, name)
        self.lost = _LOST.labels(role, name)

    def epoch(self, epoch: int | None) -> None:
        """Under which we act now; None while we do not."""
        self._held.set(epoch is not None)
        self._epoch.set(epoch or 0)


class Database:
    """The series of the database."""

    def __init__(self) -> None:
        self.seconds = {kind: _DATABASE.labels(kind) for kind in DATABASE_KINDS}
        self.errors = {error: _FAILURES.labels(error) for error in DATABASE_ERRORS}
        self.up = _DATABASE_UP
        self.schema_current = _SCHEMA


class Reports:
    """The series of reports that are kept."""

    def __init__(self) -> None:
        self.made = _REPORTS
        self.failed = _UNMADE
        self.last = {origin: _REPORTED.labels(origin) for origin in ORIGINS}
        self.due = _DUE


@cache
def device(name: str) -> Device:
    """The series of this device."""
    return Device(name)


@cache
def cluster(name: str) -> Cluster:
    """The series of this cluster."""
    return Cluster(name)


@cache
def watch(cluster: str, resource: str) -> Watch:
    """The series of this resource of this cluster."""
    return Watch(cluster, resource)


@cache
def tenure(role: str, name: str) -> Tenure:
    """The series of the right to act for this cluster or device."""
    return Tenure(role, name)


database = Database()
reports = Reports()
ready = _READY
replicas = _REPLICAS
