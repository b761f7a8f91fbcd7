"""How devices stand at a glance, as the state knows it: what `status` prints and the first page of the console shows."""

from collections.abc import Mapping
from datetime import datetime

from bridge.model.baseline import FreezeStanding
from bridge.model.handover import Handovers
from bridge.report.about import Value
from bridge.report.model import FrozenPolicy, HandoverTimes
from bridge.report.words import counted, not_attached, span, unnamed
from bridge.state.desired import ObjectState
from bridge.state.device_store import DeviceView


class DriftSeen(Value, frozen=True):
    """How many objects were found changed by somebody else since the last report, which is of that number, or for a day where none is kept.

    Not `whole`: only the last rows of the audit were looked through, 20,000 of them.
    """

    count: int
    since: datetime
    report: int | None
    whole: bool


class DeviceStands(Value, frozen=True):
    """One device, as last heard of.

    `state` is how it answers: ok, busy, denied, unreachable, stopped or not read yet. `in_step`: it answers, and holds all that it should;
    `summary` says so in a few words. `waiting` counts objects of which a change is not applied; the oldest such change waits for
    `lag_seconds`. `objects` counts what is wanted there by its state. `held` and `rejected` are steps, `stops` those that it obeys.
    """

    name: str
    kind: str
    mode: str
    state: str
    message: str
    identity: str
    in_step: bool
    summary: str
    attached: Mapping[str, bool]  # by tier
    attach_by: Mapping[str, str]  # how a person attaches what is not
    objects: Mapping[str, int]
    waiting: int
    oldest_unapplied: datetime | None
    lag_seconds: float
    held: int
    rejected: int
    quarantined: int
    unsupported: int
    withheld: int
    drift: DriftSeen
    last_read: datetime | None
    last_verified: datetime | None
    freezes: tuple[FrozenPolicy, ...]
    handover: HandoverTimes
    stops: int
    taking_over: bool


def device_stands(one: DeviceView, now: datetime) -> DeviceStands:
    """As it is told of one device."""
    refused = {state: one.objects.get(state, 0) for state in ObjectState}
    lag = max(0.0, round((now - one.oldest).total_seconds(), 3)) if one.oldest else 0.0
    settled = one.state == "ok" and not one.waiting
    refusing = refused[ObjectState.QUARANTINED] + refused[ObjectState.UNSUPPORTED] + refused[ObjectState.WITHHELD]
    return DeviceStands(
        name=one.name,
        kind=one.kind,
        mode=one.mode,
        state=one.state,
        message=one.message,
        identity=one.identity,
        in_step=settled and not refusing,
        summary=_summary(one, lag, refusing),
        attached=one.attached,
        attach_by=one.attach_by,
        objects=one.objects,
        waiting=one.waiting,
        oldest_unapplied=one.oldest,
        lag_seconds=lag,
        held=one.held,
        rejected=one.rejected,
        quarantined=refused[ObjectState.QUARANTINED],
        unsupported=refused[ObjectState.UNSUPPORTED],
        withheld=refused[ObjectState.WITHHELD],
        drift=DriftSeen(one.drift.count, one.drift.since, one.drift.report, one.drift.whole),
        last_read=one.last_read,
        last_verified=one.last_verified,
        freezes=tuple(frozen_policy(freeze) for freeze in one.freezes),
        handover=handover_times(one.handovers),
        stops=one.stops,
        taking_over=one.taking_over,
    )


def frozen_policy(one: FreezeStanding) -> FrozenPolicy:
    """A freeze of a device, and what of one cluster waits for its end."""
    edits = tuple(edit.reason for edit in one.edits)
    rejected = one.rejected[0] if one.rejected else ""
    return FrozenPolicy(one.cluster, one.names, one.until, one.as_of, one.digest, edits, rejected)


def handover_times(one: Handovers) -> HandoverTimes:
    """How long addresses took to change hands there."""
    return HandoverTimes(one.count, one.p50, one.p99, one.worst, one.both)


def _summary(one: DeviceView, lag: float, refusing: int) -> str:
    """Whether it is in step, and what is to be known besides."""
    if one.state != "ok":
        said = f"{one.state}: {message}" if (message := unnamed(one.name, one.message)) else one.state
    elif one.waiting:
        said = f"{counted(one.waiting, 'object')} behind, for {span(lag)}"
    else:
        said = f"{counted(refusing, 'object')} not in force" if refusing else "in step"
    words = [said]
    words += ["only planned for"] if one.mode == "plan" else []
    words += ["being taken over"] if one.taking_over else []
    words += [f"{counted(one.held, 'change')} held"] if one.held else []
    words += [f"{counted(one.rejected, 'change')} rejected"] if one.rejected else []
    words += ["frozen"] if one.freezes else []
    words += [loose] if (loose := not_attached(one.attached)) else []
    return ", ".join(words)
