"""`fusion-bridge plan --manifests`: what a pull request would change in a cluster as recorded. No device is asked."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import typer

from bridge.cli.errors import FINDINGS, HELD
from bridge.cli.invocation import Invocation
from bridge.cli.output import complain
from bridge.cli.plan import show
from bridge.cli.proposal import Proposal, propose
from bridge.cli.who import time_of
from bridge.dialects.dialect import load
from bridge.dialects.manifests import Finding as Found
from bridge.dialects.manifests import Severity, check, failed
from bridge.intake import collector
from bridge.intake.proposed import proposed
from bridge.intake.snapshot import ClusterSnapshot, read
from bridge.model.observed import Service
from bridge.model.policy import Ref
from bridge.model.reasons import LACKING
from bridge.report.planned import (
    Finding,
    ManifestPlan,
    Remark,
    device_sheets,
    document,
    manifest_plan,
    planned_device,
)
from bridge.report.reachability import reachings
from bridge.report.text import Sheet
from bridge.report.words import clock

_LARGE = 10_000  # pods, from which on it takes so long that it is said how far it is


def plan_manifests(asked: Invocation, folders: Sequence[Path], against: str, at: str | None, *, prune: bool) -> None:
    """Print it. Exit code 1 for differences, objects that are not accepted and errors in the manifests; 3 where all is held."""
    now = datetime.now(UTC)
    moment = time_of(at, now, "--at") if at else now
    collector.relax()
    snapshot = _snapshot(asked, against)
    dialects = load(snapshot.dialects, snapshot.options)
    findings = check(folders, now=moment, dialects=dialects)
    say = _say if len(snapshot.recorded.pods) >= _LARGE else None
    found = propose(snapshot, proposed(folders, dialects), moment, prune=prune, say=say)
    told = _told(snapshot, against, moment, found, _open(findings, snapshot))
    if asked.output.json:
        asked.output.document(document(told))
    else:
        show(asked.output, _heading(told))
        for one, shown in zip(found.devices, told.devices, strict=True):
            show(asked.output, device_sheets(one.plan, shown))
        asked.output.line(f"{'differences' if told.different else 'no difference'}, digest {told.digest}")
    if told.different or told.unaccepted or failed(findings):
        raise typer.Exit(FINDINGS)
    if told.held:
        raise typer.Exit(HELD)


def _snapshot(asked: Invocation, against: str) -> ClusterSnapshot:
    """A snapshot where there is a file of this name, else a cluster of the settings."""
    if Path(against).is_file():
        from bridge.cli.log import configure

        configure(asked.log_level or "warning", "text")
        return read(Path(against))
    from bridge.cli.snapshot import taken
    from bridge.cli.state import opened

    if any(one in against for one in "/."):
        raise typer.BadParameter(f"there is no file {against}, and no cluster has such a name", param_hint="--against")
    with opened(asked.settings, asked.folder(asked.settings)) as database:
        return taken(asked.settings, against, database)


def _told(
    snapshot: ClusterSnapshot, against: str, at: datetime, found: Proposal, findings: Iterable[Found]
) -> ManifestPlan:
    devices = (
        planned_device(
            one.kind,
            one.plan,
            reachings(one.reach, found.people),
            (Remark(str(said.ref), said.reason, said.message) for said in one.remarks),
        )
        for one in found.devices
    )
    notes = [
        f"nobody is known to stand behind Service {service}: no selector, and no rule in force by which it was counted"
        for service in found.blind
    ]
    return manifest_plan(
        snapshot.cluster,
        against,
        clock(at),
        devices,
        (Finding(one.path, one.line, one.object, one.field, one.severity.value, one.message) for one in findings),
        (Remark(str(one.ref), one.reason, one.message) for one in found.unaccepted),
        notes,
    )


def _open(findings: Iterable[Found], snapshot: ClusterSnapshot) -> Iterator[Found]:
    """What `validate` finds, without what it misses among the manifests and the cluster has."""
    services = (one for one in snapshot.recorded.objects.values() if isinstance(one, Service))
    known: set[Ref] = {Ref("Service", one.namespace, one.name) for one in services}
    known.update(ref for ref, one in snapshot.recorded.verdicts.items() if one.accepted is not None)
    missed = {f"{ref} is not among these manifests" for ref in known}
    for one in findings:
        if one.severity is Severity.ERROR or one.message not in missed:
            yield one


def _heading(told: ManifestPlan) -> Iterator[Sheet]:
    if told.findings:
        rows = tuple(
            (f"{one.path}:{one.line}" if one.line else one.path, one.severity, one.object, one.field, one.message)
            for one in told.findings
        )
        yield Sheet("Manifests", ("place", "severity", "object", "field", "message"), rows)
    lacking = [one for one in told.unaccepted if one.reason in LACKING]
    for title, remarks in (
        ("Not accepted, so that nothing of it changes", [one for one in told.unaccepted if one not in lacking]),
        ("Accepted, and not in force as written on every device", lacking),
    ):
        if remarks:
            said = tuple((one.object, one.reason, one.message) for one in remarks)
            yield Sheet(title, ("object", "reason", "message"), said)
    for note in told.notes:
        yield Sheet(note, (), ())


def _say(words: str) -> None:
    """How far it is, for whoever waits."""
    complain(f"fusion-bridge: {words}")
