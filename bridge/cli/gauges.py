"""The figures that are read off the loops and the probe when somebody asks, rather than kept."""

from datetime import datetime
from typing import TYPE_CHECKING

from bridge import metrics
from bridge.cli import probe
from bridge.cluster.health import Health, State

if TYPE_CHECKING:
    from bridge.cli.controller import Controller
    from bridge.cli.units import DeviceUnit


def expect(controller: "Controller") -> None:
    """Every series of every cluster and device in the settings, before anything has happened."""
    for cluster, resources in controller.watched.items():
        metrics.cluster(cluster)
        for resource in resources:
            metrics.watch(cluster, resource)
    for unit in controller.devices:
        metrics.device(unit.config.name).written.set(unit.settings.write)
    for role, name in controller.tenures:
        metrics.tenure(role, name)


def show(controller: "Controller", *, ready: bool) -> None:
    """Set every gauge to what is true now."""
    metrics.ready.set(ready)
    probe.show(controller.probe)
    due = controller.report_due
    metrics.reports.due.set(due.timestamp() if due else 0)
    for (role, name), tenure in controller.tenures.items():
        series = metrics.tenure(role, name)
        series.epoch(tenure.current)
        series.taking_over.set(tenure.taking_over)
    metrics.replicas.set(controller.keeper.replicas)
    for cluster in controller.cluster_names:
        _show_cluster(controller, cluster)
    now = controller.clock.now()
    for unit in controller.devices:
        _show_device(controller, unit, now)


def _show_cluster(controller: "Controller", cluster: str) -> None:
    series = metrics.cluster(cluster)
    series.open_leases.set(controller.probe.leases.get(cluster, 0))
    told = controller.probe.standing
    decided = told.decisions.get(cluster)
    series.decision_waiting.set(max(0.0, (controller.clock.now() - decided).total_seconds()) if decided else 0)
    series.stops.set(told.stops.get(cluster, 0))
    series.doubted.set(told.doubted.get(cluster, 0))
    intake = controller.intakes.get(cluster)
    series.waiting_events.set(intake.waiting if intake else 0)
    series.unrecorded.set(intake.unrecorded_for if intake else 0)
    if intake:
        series.revision.set(intake.revision)
    feedback = controller.feedbacks.get(cluster)
    series.untold.set(feedback.waiting if feedback else 0)
    keeper = controller.gatekeepers.get(cluster)
    series.gates_waiting.set(keeper.waiting if keeper else 0)
    series.gates_oldest.set(keeper.oldest if keeper else 0)
    follower = controller.followers.get(cluster)
    figures = follower.figures() if follower else None
    series.names.set(figures.names if figures else 0)
    series.names_failing.set(figures.failing if figures else 0)
    series.names_stale.set(figures.stale if figures else 0)
    watcher = controller.watchers.get(cluster)
    known = watcher.health() if watcher else {}
    held_for = controller.tenures["cluster", cluster].held_for
    for resource in controller.watched[cluster]:
        _show_watch(metrics.watch(cluster, resource), known.get(resource), held_for)


def _show_watch(series: metrics.Watch, health: Health | None, held_for: float) -> None:
    """Before the first list, silence counts from when watching became our task. A kind that is not installed has nothing to say."""
    installed = health is None or health.state is not State.NOT_INSTALLED
    heard = health.silent_for if health else None
    series.synced.set(health is not None and health.synced)
    series.objects.set(health.objects if health else 0)
    series.silent.set((held_for if heard is None else heard) if installed else 0)


def _show_device(controller: "Controller", unit: "DeviceUnit", now: datetime) -> None:
    name = unit.config.name
    series, seen = metrics.device(name), controller.probe
    since = seen.oldest(name)
    waited = max(0.0, (now - since).total_seconds()) if since else 0.0
    heard = [controller.intakes[one].unrecorded_for for one in unit.clusters if one in controller.intakes]
    series.oldest_unapplied.set(max(waited, *heard, 0.0))
    backlog = seen.urgent.backlog.get(name)
    series.waiting.set(backlog.objects if backlog else 0)
    worker = controller.workers.get(name)
    series.in_step.set(worker is not None and worker.in_step.is_set())
    series.breaker_open.set(worker is not None and worker.pacing.open)
    figures = seen.standing.devices.get(name)
    for state, gauge in series.state.items():
        gauge.set(state == (figures.state if figures else "not read yet"))
    if figures is None:
        return
    for state, gauge in series.objects.items():
        gauge.set(figures.objects.get(state, 0))
    series.held_members.set(figures.held_members)
    series.rejected_members.set(figures.rejected_members)
    series.stops.set(figures.stops)
    series.frozen.set(figures.frozen_edits is not None)
    series.frozen_edits.set(figures.frozen_edits or 0)
    series.handover_worst.set(figures.worst_handover)
    series.audit_rows.set(figures.audit_rows)
    series.last_read.set(figures.last_read.timestamp() if figures.last_read else 0)
    series.last_verified.set(figures.last_verified.timestamp() if figures.last_verified else 0)
