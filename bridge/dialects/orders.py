"""Orders about devices as people write them: Decisions about held steps, and Stops.

Whatever JSON a spec is, it means something here: a Decision that cannot be read decides nothing, and a Stop that cannot be read stops all
that it may have meant. The schema keeps both from being written; it may be missing, or older than this program.
"""

from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from bridge.dialects.fields import dns_label, moment, shown
from bridge.errors import PolicyError
from bridge.model.decisions import Choice, Decision, DecisionRecord, Lifted, Settled, Stop, StopRecord
from bridge.model.kinds import Resource
from bridge.model.observed import Order

_LONGEST = 1024
_DIGEST = frozenset("0123456789abcdef")
_SETTLED = frozenset(Settled) - {Settled.WAITING}
_DECISION = ("device", "digest", "verdict", "by", "reason")
_STOP = ("devices", "by", "reason", "lifted")


def decision(order: Order, cluster: str, devices: Collection[str], at: datetime) -> DecisionRecord:
    """A Decision, settled at once where no device is to hear of it. `devices` serve the cluster; it was seen at `at`."""
    spec = order.spec if isinstance(order.spec, dict) else {}
    wrong = problems(order)
    verdict = spec.get("verdict")
    found = Decision(
        cluster,
        order.name,
        order.uid,
        _text(spec, "device"),
        _text(spec, "digest"),
        Choice(verdict) if verdict in ("Release", "Reject") else Choice.UNREADABLE,
        _text(spec, "by"),
        _text(spec, "reason"),
        _written(order, at),
    )
    if wrong:
        return DecisionRecord(found, Settled.MALFORMED, "; ".join(map(str, wrong)))
    if order.state in _SETTLED:
        return DecisionRecord(
            found, Settled(order.state), "its status says so, and nothing else is known of it any more"
        )
    if found.device not in devices:
        known = ", ".join(sorted(devices)) or "none"
        return DecisionRecord(
            found, Settled.NOT_HERE, f"no device {found.device} serves this cluster; there are: {known}"
        )
    return DecisionRecord(found)


def stop(order: Order, cluster: str, at: datetime) -> StopRecord:
    """A Stop. What of it cannot be read widens it, and never ends it."""
    spec = order.spec if isinstance(order.spec, dict) else {}
    wrong = problems(order)
    named = spec.get("devices")
    devices = tuple(dict.fromkeys(named)) if isinstance(named, list) and not list(_devices(named)) else ()
    found = Stop(
        cluster,
        order.name,
        order.uid,
        devices,
        _text(spec, "by") or "somebody",
        _text(spec, "reason") or "no reason is given",
        _written(order, at),
    )
    return StopRecord(found, _lifted(spec.get("lifted")), "; ".join(map(str, wrong)))


def problems(order: Order) -> list[PolicyError]:
    """Everything that is wrong with an order, field by field; empty where it is as it should be."""
    if not isinstance(order.spec, dict):
        return [PolicyError("spec", "must be a mapping")]
    known = _DECISION if order.resource is Resource.DECISIONS else _STOP
    found = [PolicyError(f"spec.{name}", "is no field of this object") for name in order.spec if name not in known]
    check = _decision_problems if order.resource is Resource.DECISIONS else _stop_problems
    return [*found, *check(order.spec)]


def _decision_problems(spec: Mapping[str, Any]) -> Iterator[PolicyError]:
    for name in _DECISION:
        if name not in spec:
            yield PolicyError(f"spec.{name}", "is required")
    if "device" in spec:
        yield from _device("spec.device", spec["device"])
    digest = spec.get("digest", "0" * 8)
    if not isinstance(digest, str) or not 8 <= len(digest) <= 64 or set(digest) - _DIGEST:
        yield PolicyError("spec.digest", f"{shown(digest)} is no digest: 8 to 64 hexadecimal digits in small letters")
    verdict = spec.get("verdict", "Release")
    if verdict not in ("Release", "Reject"):
        yield PolicyError("spec.verdict", f"{shown(verdict)} is neither Release nor Reject")
    yield from _person("spec", {name: spec[name] for name in ("by", "reason") if name in spec})


def _stop_problems(spec: Mapping[str, Any]) -> Iterator[PolicyError]:
    named = spec.get("devices", [])
    if not isinstance(named, list):
        yield PolicyError("spec.devices", "must be a list of names")
    else:
        yield from _devices(named)
    yield from _person("spec", {name: spec.get(name) for name in ("by", "reason")})
    lifted = spec.get("lifted")
    if "lifted" in spec and not isinstance(lifted, dict):
        yield PolicyError("spec.lifted", "must be a mapping")
    elif isinstance(lifted, dict):
        yield from _person("spec.lifted", {name: lifted.get(name) for name in ("by", "reason")})


def _devices(named: list[Any]) -> Iterator[PolicyError]:
    for index, one in enumerate(named):
        yield from _device(f"spec.devices[{index}]", one)


def _device(where: str, value: object) -> Iterator[PolicyError]:
    try:
        dns_label(value if isinstance(value, str) else "")
    except ValueError:
        yield PolicyError(where, f"{shown(value)} is no name of a device")


def _person(where: str, texts: Mapping[str, object]) -> Iterator[PolicyError]:
    for name, value in texts.items():
        if not isinstance(value, str) or not value.strip():
            yield PolicyError(
                f"{where}.{name}", "must say something" if isinstance(value, str) else "is required, as text"
            )


def _text(spec: Mapping[str, Any], name: str) -> str:
    value = spec.get(name)
    return value.strip()[:_LONGEST] if isinstance(value, str) else ""


def _lifted(value: object) -> Lifted | None:
    """None unless it says by whom and why."""
    if not isinstance(value, dict) or list(_person("", {name: value.get(name) for name in ("by", "reason")})):
        return None
    return Lifted(_text(value, "by"), _text(value, "reason"))


def _written(order: Order, at: datetime) -> datetime:
    try:
        return min(moment(order.created), at).astimezone(UTC)
    except (ValueError, OverflowError):
        return at
