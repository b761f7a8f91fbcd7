"""The controller process: the loops of its clusters and devices around one database."""

import os
import socket
import threading
import uuid
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Any

import structlog
from apscheduler.schedulers.background import BackgroundScheduler

from bridge import __version__, metrics
from bridge.cli import gating, gauges, naming, telling
from bridge.cli.approach import Approach
from bridge.cli.keeper import Keeper
from bridge.cli.loops import Loops, Pulse
from bridge.cli.probe import Probe
from bridge.cli.standby import CLOCKS_APART, Standby
from bridge.cli.tenure import Meanwhile, Tenure, wait
from bridge.cli.units import ClusterUnit, ControllerSettings, DeviceUnit
from bridge.cli.upkeep import Upkeep
from bridge.clock import Clock
from bridge.cluster.client import Connection
from bridge.cluster.watcher import ClusterWatcher
from bridge.delivery.take_over import TakeOver
from bridge.delivery.timed import Timed
from bridge.delivery.worker import Worker
from bridge.errors import BridgeError, FencedOff, LostLease, Refused
from bridge.feedback.feedback import Feedback
from bridge.feedback.gatekeeper import Gatekeeper
from bridge.intake import collector
from bridge.intake.intake import Intake
from bridge.model.observed import Resource
from bridge.names.follower import Follower
from bridge.settings.schedule import trigger
from bridge.state.database import Database
from bridge.state.decisions import heard
from bridge.state.delivery_store import DeliveryStore
from bridge.state.intake_store import IntakeStore
from bridge.state.leases import ReplicaLeases
from bridge.state.partitions import make_months
from bridge.state.wakeups import ANY, Wakeups

log = structlog.get_logger(__name__)

_SCHEDULE_BEAT = 15  # seconds
_WATCHED_SECONDS = 10
_CURRENT_SECONDS = 2
_HEARING_SECONDS, _HEARING_PAUSE = 5.0, 0.1


class Controller:
    """All loops of one process. `start` returns at once; `stop` ends every loop and waits for it."""

    def __init__(
        self,
        database: Database,
        clusters: Sequence[ClusterUnit],
        devices: Sequence[DeviceUnit],
        clock: Clock,
        settings: ControllerSettings | None = None,
    ) -> None:
        self._database = database
        self._clusters = clusters
        self.devices = devices
        self.clock = clock
        self._settings = settings or ControllerSettings()
        self._intake_store = IntakeStore(database)
        self._delivery_store = DeliveryStore(database)
        self.holder = f"{socket.gethostname()}/{os.getpid()}/{uuid.uuid4().hex[:8]}"
        self._stop = threading.Event()
        self._schedule: Any = None  # APScheduler's own
        self._started = clock.now()
        self.running = False
        self.loops = Loops(clock)
        self.probe = Probe(database, clock)
        self._for_leases = database.apart(2)  # a renewal waits for no batch
        leases, times = ReplicaLeases(self._for_leases), self._settings.lease
        self.tenures = {
            (role, name): Tenure(role, name, self.holder, leases, clock, times)
            for role, names in (("cluster", self.cluster_names), ("device", self.device_names))
            for name in names
        }
        self.keeper = Keeper(self.holder, self.tenures, leases, clock, times, (__version__, database.head()))
        self.standbys = {
            unit.config.name: Standby(
                unit, self._intake_store, clock, self._settings.watch, warm=self._settings.warm_standby
            )
            for unit in clusters
        }
        self._approaches = {
            one.config.name: Approach(one, partial(self._permit, one.config.name), warm=self._settings.warm_standby)
            for one in devices
        }
        self.intakes: dict[str, Intake] = {}
        self.watchers: dict[str, ClusterWatcher] = {}
        self.feedbacks: dict[str, Feedback] = {}
        self.followers: dict[str, Follower] = {}
        self.gatekeepers: dict[str, Gatekeeper] = {}
        self.workers: dict[str, Worker] = {}
        self._wakeups = Wakeups(database)
        self._scheduler = BackgroundScheduler(timezone="UTC")
        gauges.expect(self)

    @property
    def cluster_names(self) -> list[str]:
        """As in the settings."""
        return [one.config.name for one in self._clusters]

    @property
    def watched(self) -> dict[str, tuple[Resource, ...]]:
        """What is watched of each cluster."""
        return {one.config.name: one.resources for one in self._clusters}

    @property
    def device_names(self) -> list[str]:
        """As in the settings."""
        return [one.config.name for one in self.devices]

    def start(self) -> None:
        """Register what the settings name, and begin. Raises StateUnavailable, StateError."""
        collector.relax()
        self._installation = self._database.installation()
        for device in self.devices:
            mode = "apply" if device.settings.write else "plan"
            self._delivery_store.register_device(device.config.name, device.config.kind, mode)
        for cluster in self._clusters:
            self._intake_store.register_cluster(cluster.config.name)
        make_months(self._database, self.clock.now())
        self._wakeups.register(self._wake)
        self._wakeups.register_audits(self._audit)
        self._wakeups.register_gates(partial(gating.wake, self.gatekeepers))
        self._wakeups.start()
        for cluster in self._clusters:
            standby = self.standbys[cluster.config.name]
            self._begin("cluster", standby.name, partial(self._serve_cluster, cluster), standby.meanwhile)
        for device in self.devices:
            approach = self._approaches[device.config.name]
            self._begin("device", device.config.name, partial(self._serve_device, device), approach.meanwhile)
            self._scheduler.add_job(self._audit, "interval", [device.config.name], seconds=device.audit_interval)
        upkeep = Upkeep(self, self._database, self._intake_store, self._settings.history_days)
        self._scheduler.add_job(upkeep.keep_history, "interval", hours=6)
        self._scheduler.add_job(upkeep.note_watched, "interval", seconds=_WATCHED_SECONDS)
        self._scheduler.add_job(upkeep.note_current, "interval", seconds=_CURRENT_SECONDS)
        schedule = partial(self.loops.pulse("schedule").beat, 2 * _SCHEDULE_BEAT)
        schedule()
        self._scheduler.add_job(schedule, "interval", seconds=_SCHEDULE_BEAT)
        self._scheduler.start()
        self.loops.start("leases", partial(self.keeper.run, self._stop))
        self.loops.start("probe", partial(self.probe.run, self._stop))
        self.running = True

    def threads_gone(self) -> list[str]:
        """Which threads that rooms keep for themselves do not run although they should."""
        found = [] if self._wakeups.alive else ["wake-ups"]
        return found + [f"watch of {name}/{one}" for name, each in self.standbys.items() for one in each.ended]

    def on_schedule(self, cron: str, job: Callable[[], None]) -> None:
        """Call this whenever the schedule (five fields, UTC) says; a call that could not be made in time is made within the hour."""
        self._schedule = trigger(cron)
        self._scheduler.add_job(job, self._schedule, misfire_grace_time=3600, coalesce=True)

    @property
    def report_due(self) -> datetime | None:
        """When the next scheduled report is to be there: after the last that was kept, or after our start. None without a schedule."""
        if self._schedule is None:
            return None
        last = max(self.probe.standing.reports.values(), default=self._started)
        due: datetime | None = self._schedule.get_next_fire_time(None, last + CLOCKS_APART)
        return due

    def stop(self) -> None:
        """End every loop, give up the leases."""
        self.running = False
        self._stop.set()
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)
        for tenure in self.tenures.values():
            tenure.close()
        self.loops.join()
        for standby in self.standbys.values():
            standby.close()
        for approach in self._approaches.values():
            approach.leave()
        self.keeper.depart()
        self._for_leases.close()
        self._wakeups.close()

    def _begin(self, role: str, name: str, serve: Callable[[Tenure, Pulse], None], meanwhile: Meanwhile = wait) -> None:
        self.loops.start(f"{role} {name}", partial(self._hold, self.tenures[role, name], serve, meanwhile))

    def _hold(self, tenure: Tenure, serve: Callable[[Tenure, Pulse], None], meanwhile: Meanwhile, clock: Pulse) -> None:
        """Serve whenever the lease is ours, until it is given up or lost, or something breaks: no failure of one ends the others."""
        while tenure.await_grant(clock, meanwhile):
            pause = self._settings.retry
            try:
                self._database.require_current()  # a process that stood still may have been left behind
                serve(tenure, clock)
                tenure.permit()  # whether it was given up, or lost where nothing happened
                pause = 0.0
            except LostLease as error:
                pause = 0.0
                metrics.tenure(tenure.role, tenure.name).lost.inc()
                log.warning("lease lost", role=tenure.role, name=tenure.name, error=str(error))
            except (Refused, FencedOff) as error:
                log.warning("stopped until a person decides", role=tenure.role, name=tenure.name, error=str(error))
                pause = self._settings.refused_retry
            except BridgeError as error:
                log.warning("begins again", role=tenure.role, name=tenure.name, error=str(error), retry_in=pause)
            except Exception:
                log.exception("begins again", role=tenure.role, name=tenure.name, retry_in=pause)
            finally:
                tenure.release(pause)

    def _serve_cluster(self, unit: ClusterUnit, tenure: Tenure, clock: Pulse) -> None:
        name, standby = unit.config.name, self.standbys[unit.config.name]
        with standby.serving(clock) as intake:
            self._identify(standby.connection, intake, tenure)
            self.intakes[name] = intake
            if standby.watcher is not None:
                self.watchers[name] = standby.watcher
            try:
                with (
                    telling.kept(unit, tenure, self._database, self.clock, self.loops, self.feedbacks),
                    naming.kept(unit, intake, self._settings.names, self.clock, self.loops, self.followers),
                    gating.kept(unit, tenure, self._database, self.clock, self.loops, self.gatekeepers),
                ):
                    tenure.wake = partial(intake.sink, ())
                    intake.run(tenure.over, tenure.epoch)
            finally:
                del self.intakes[name], self.watchers[name]

    def _identify(self, connection: Connection, intake: Intake, tenure: Tenure) -> None:
        """A cluster is who it was: another one under the same name must not empty the groups of the first."""
        uid = connection.identity()
        if intake.identity and uid != intake.identity:
            self.standbys[connection.name].close()
            words = (
                f"cluster {connection.name} was {intake.identity} and is now {uid}: nothing is taken from it. If it was rebuilt, "
                f"`fusion-bridge confirm cluster {connection.name} --by NAME --reason TEXT`; if not, set right where its kubeconfig points"
            )
            self._intake_store.refuse(connection.name, words, tenure.epoch())
            raise Refused(words)
        self._intake_store.identify(connection.name, uid, tenure.epoch())
        if (watcher := self.standbys[connection.name].watcher) is not None:
            watcher.identify(uid)

    def _serve_device(self, unit: DeviceUnit, tenure: Tenure, clock: Pulse) -> None:
        name = unit.config.name
        if unit.settings.write:
            self._hear(unit.clusters, tenure, clock)
        adapter = Timed(self._approaches[name].arrive(), self.clock)
        clock.follow(lambda: adapter.calls)  # a long plan is many calls: each shows that it goes on
        settle = tenure.settle if tenure.taking_over else None
        # A call that was let in may be taken at the end of its time, and what it commits be decided as long after.
        take_over = TakeOver(clock, 2 * unit.config.timeout, settle)
        worker = Worker(
            adapter, self._delivery_store, clock, self._installation, unit.settings, unit.clusters, take_over
        )
        self.workers[name] = worker
        try:
            tenure.wake = worker.wake
            worker.run(tenure.over, tenure.epoch)
        finally:
            del self.workers[name]
            clock.follow(None)
            adapter.close()

    def _hear(self, clusters: Sequence[str], tenure: Tenure, clock: Pulse) -> None:
        """Where nobody listened for a while, a person may have stopped the device meanwhile: that comes first, if it can be heard."""
        until = clock.elapsed() + _HEARING_SECONDS
        while clock.elapsed() < until and not tenure.over.is_set():
            with self._database.transaction(snapshot=True) as connection:
                if heard(connection, clusters):
                    return
            clock.wait(tenure.over, _HEARING_PAUSE)

    def _permit(self, device: str) -> None:
        """Whoever lost the lease writes no more, nor does anybody to a device that a person has stopped."""
        self.tenures["device", device].permit()
        if (working := self.workers.get(device)) is not None:
            working.permit()

    def _wake(self, cluster: str) -> None:
        if (tenure := self.tenures.get(("cluster", cluster))) is not None:
            tenure.resume()
        for name, feedback in list(self.feedbacks.items()):
            if cluster in (ANY, name):
                feedback.wake()
        for device in self.devices:
            worker = self.workers.get(device.config.name)
            if worker is not None and (cluster == ANY or cluster in device.clusters):
                worker.wake()

    def _audit(self, device: str) -> None:
        worker = self.workers.get(device)
        if worker is not None:
            worker.audit()
        elif ("device", device) in self.tenures:
            self.tenures["device", device].resume()
