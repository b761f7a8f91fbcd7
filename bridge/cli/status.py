"""`fusion-bridge status`: how far everything has got, as the state knows it; no device and no cluster is asked."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import typer

from bridge.cli.errors import FINDINGS, HELD
from bridge.cli.invocation import invocation
from bridge.cli.output import Output

if TYPE_CHECKING:
    from bridge.report.model import FrozenPolicy, HandoverTimes
    from bridge.report.overview import DeviceStands
    from bridge.state.database import Database
    from bridge.state.report_store import ReportStore
    from bridge.state.reported import ClusterStanding


def status(context: typer.Context) -> None:
    """How clusters, devices and policy objects stand; exit code 1 when something needs a look, 3 when something is held."""
    from bridge.cli.state import opened

    asked = invocation(context)
    with opened(asked.base, asked.folder(asked.base)) as database:
        found = standing(database, datetime.now(UTC))
    if asked.output.json:
        asked.output.document(found)
    else:
        _show(asked.output, found)
    if any(device["held"] for device in found["devices"]):
        raise typer.Exit(HELD)
    if (
        found["problems"]
        or any(one["problem"] for one in found["clusters"])
        or any(device["state"] != "ok" or device["quarantined"] for device in found["devices"])
    ):
        raise typer.Exit(FINDINGS)


def standing(database: "Database", now: datetime) -> dict[str, Any]:
    """Everything that the state says, as plain values; times in ISO 8601, lag in seconds."""
    from bridge.report.overview import device_stands
    from bridge.state.device_store import DeviceStore
    from bridge.state.report_store import ReportStore

    store = ReportStore(database)
    clusters, replicas = store.clusters(), store.replicas()
    return {
        "at": now.isoformat(),
        "clusters": [
            {
                "name": one.name,
                "identity": one.uid,
                "revision": one.revision,
                "changedAt": one.changed_at.isoformat() if one.changed_at else None,
                "synced": sorted(one.synced),
                "problem": _problem(one),
                "doubted": one.doubted,
            }
            for one in clusters
        ],
        "devices": [_device(device_stands(one, now)) for one in DeviceStore(database).devices(now)],
        "replicas": [
            {
                "name": one.holder,
                "version": one.version,
                "schema": one.schema,
                "startedAt": one.started_at.isoformat(),
                "seenAt": one.seen_at.isoformat(),
                "clusters": list(one.clusters),
                "devices": list(one.devices),
            }
            for one in replicas
        ],
        "problems": [problem for one in clusters for problem in _problems(store, one.name)],
    }


def _problem(one: "ClusterStanding") -> str:
    """Why nothing is taken from the cluster, or not all that its lists say; "" when all is well."""
    from bridge.report.words import doubted_line

    return "; ".join(filter(None, [one.problem, doubted_line(one.name, one.doubted) if one.doubted else ""]))


def _device(one: "DeviceStands") -> dict[str, Any]:
    return {
        "name": one.name,
        "kind": one.kind,
        "mode": one.mode,
        "state": one.state,
        "message": one.message,
        "identity": one.identity,
        "attached": dict(one.attached),
        "objects": dict(one.objects),
        "oldestUnapplied": _iso(one.oldest_unapplied),
        "lagSeconds": one.lag_seconds,
        "held": one.held,
        "rejected": one.rejected,
        "freezes": [_freeze(each) for each in one.freezes],
        "handover": _handed(one.handover),
        "quarantined": one.quarantined,
        "drift": one.drift.count,
        "lastRead": _iso(one.last_read),
        "lastVerified": _iso(one.last_verified),
        "takingOver": one.taking_over,
    }


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def _freeze(one: "FrozenPolicy") -> dict[str, Any]:
    """A freeze of a device, and what of one cluster waits for its end."""
    return {
        "cluster": one.cluster,
        "windows": list(one.windows),
        "until": _iso(one.until),
        "policyOf": one.policy_of.isoformat(),
        "digest": one.digest,
        "edits": list(one.edits),
        "rejectedBy": one.rejected_by,
    }


def _handed(found: "HandoverTimes") -> dict[str, Any]:
    """How long the addresses of the last day took that changed hands there, in seconds; null where there was none."""
    return {
        "count": found.count,
        "p50Seconds": found.p50,
        "p99Seconds": found.p99,
        "worstSeconds": found.worst,
        "both": found.both,
    }


def _handover(found: dict[str, Any]) -> str:
    """The three figures in short."""
    if not found["count"]:
        return "none"
    figures = "/".join(f"{found[name]:.2g}" for name in ("p50Seconds", "p99Seconds", "worstSeconds"))
    return f"{figures} s"


def _problems(store: "ReportStore", cluster: str) -> list[dict[str, Any]]:
    return [
        {"cluster": cluster, "object": str(ref), "reason": verdict.reason, "message": verdict.message}
        for ref, verdict in sorted(store.verdicts(cluster).items())
        if not verdict.ok
    ]


def _state(device: dict[str, Any]) -> str:
    """How it answers, and what of it is not in force."""
    from bridge.report.words import not_attached, unnamed

    message = unnamed(device["name"], device["message"])
    words = f"{device['state']}: {message}" if message else device["state"]
    words += ", taking over" if device["takingOver"] else ""
    ends = {one["until"] for one in device["freezes"]}
    waiting = sum(len(one["edits"]) for one in device["freezes"])
    if ends:
        end = "" if None in ends else f" until {_time(max(one for one in ends if one))}"
        words += f", frozen{end}" + (f" ({waiting} edit(s) wait)" if waiting else "")
    loose = not_attached(device["attached"])
    return f"{words}, {loose}" if loose else words


def _time(text: str | None) -> str:
    from bridge.report.words import clock

    return clock(datetime.fromisoformat(text) if text else None)


def _show(output: Output, found: dict[str, Any]) -> None:
    clusters = [
        (
            one["name"],
            str(one["revision"]),
            _time(one["changedAt"]),
            one["problem"] or ", ".join(one["synced"]) or "nothing yet",
        )
        for one in found["clusters"]
    ]
    output.table("Clusters", ("cluster", "revision", "changed", "synced"), clusters)
    devices = [
        (
            one["name"],
            one["kind"],
            _state(one),
            f"{one['lagSeconds']:.1f} s",
            str(sum(one["objects"].values())),
            str(one["held"]),
            str(one["quarantined"]),
            _handover(one["handover"]),
            _time(one["lastVerified"]),
        )
        for one in found["devices"]
    ]
    columns = ("device", "kind", "state", "lag", "objects", "held", "quarantined", "hand-over", "verified")
    output.table("Devices", columns, devices)
    replicas = [
        (
            one["name"],
            one["version"],
            ", ".join(one["clusters"]) or "none",
            ", ".join(one["devices"]) or "none",
            _time(one["seenAt"]),
        )
        for one in found["replicas"]
    ]
    if replicas:
        output.table("Replicas", ("replica", "version", "acts for clusters", "for devices", "seen"), replicas)
    if found["problems"]:
        rows = [(one["cluster"], one["object"], one["reason"], one["message"]) for one in found["problems"]]
        output.table("Objects that are not accepted as they stand", ("cluster", "object", "reason", "message"), rows)
