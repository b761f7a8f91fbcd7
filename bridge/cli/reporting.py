"""Reports made, kept and found again: for the commands, the demo and the schedule.

A report reads each device through an adapter of its own, as `plan` does: no worker is asked for anything, and nothing is written to a
device.
"""

from collections.abc import Callable, Collection, Iterable
from datetime import UTC, datetime

import msgspec
import structlog

from bridge import __version__, metrics
from bridge.cli.comparison import Comparison, compare_all
from bridge.errors import BridgeError, SettingsError
from bridge.report import build
from bridge.report.evidence import Witness, addresses_of
from bridge.report.kept import keep, kept_report
from bridge.report.model import DeviceReport, Origin, Report, report_of
from bridge.settings import Settings
from bridge.settings.schedule import last_due
from bridge.state.database import Database
from bridge.state.report_archive import ReportArchive

log = structlog.get_logger(__name__)

Fresh = Callable[[Database, tuple[str, ...]], Collection[str]]


def made(
    settings: Settings,
    names: Iterable[str],
    database: Database,
    *,
    origin: Origin = Origin.ASKED,
    fresh: Fresh | None = None,
) -> Report:
    """The report of these devices, or of all. `fresh` is called with the devices that differ before the audit is read; those that it
    returns have been read, and perhaps repaired, and are compared once more.

    Raises SettingsError for a name that is none, StateUnavailable.
    """
    compared = list(compare_all(settings, names, database))
    if fresh is not None:
        read = fresh(database, tuple(one.device for one in compared if one.plan is not None and not one.plan.empty))
        again = {one.device: one for one in compare_all(settings, read, database)} if read else {}
        compared = [again.get(one.device, one) for one in compared]
    at = datetime.now(UTC)
    witness = Witness(database, at)
    devices = tuple(device_report(one, witness) for one in compared)
    return report_of(at, devices, version=__version__, origin=origin)


def device_report(compared: Comparison, witness: Witness) -> DeviceReport:
    """What is to be said of one device."""
    if compared.snapshot is None or compared.plan is None:
        return build.recorded(compared.device, compared.kind, witness.evidence(compared.device, {}), compared.error)
    evidence = witness.evidence(compared.device, addresses_of(compared.snapshot, compared.plan))
    found = build.device_report(compared.kind, compared.snapshot, compared.plan, compared.standings, evidence)
    return msgspec.structs.replace(found, closes_flows=compared.closes_flows)


def recall(number: int, database: Database) -> Report:
    """A kept report. SettingsError, as for any name that is none, when there is none of that number."""
    found = kept_report(number, database)
    if found is None:
        raise SettingsError({str(number): "no report of that number is kept; see `report list`"}, "the command line")
    return found


def keep_of_schedule(settings: Settings, database: Database, cron: str) -> None:
    """Make and keep the report that is due now, unless another replica does. Never raises: what fails is logged."""
    try:
        due = last_due(cron, datetime.now(UTC))
        with ReportArchive(database).slot(due) as ours:
            kept = keep(made(settings, (), database, origin=Origin.SCHEDULED), database, due) if ours else None
        if kept is not None:
            metrics.reports.made.inc()
            log.info("report kept", number=kept.number, in_step=kept.in_step, missing=kept.missing, extra=kept.extra)
    except BridgeError as error:
        metrics.reports.failed.inc()
        log.warning("no report kept", error=str(error))
    except Exception:
        metrics.reports.failed.inc()
        log.exception("no report kept")
