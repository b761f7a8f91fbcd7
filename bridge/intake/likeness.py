"""Whether two versions of an object are the same to us: heartbeats, a pod's way through its life and our own writes change nothing."""

from dataclasses import fields, replace
from operator import attrgetter

from bridge.model.observed import Namespace, Order, Pod, PolicyObject, Service
from bridge.state.batch import Slim, Verdict

_PASSING = {"resource_version", "deleting", "phase", "programmed"}
_lasting = attrgetter(*(one.name for one in fields(Pod) if one.name not in _PASSING))


def alike(known: Pod | Slim, value: Pod | Slim) -> bool:
    """Versions are not looked at, nor who wrote last."""
    match known, value:
        case Pod(), Pod():
            return _lasting(known) == _lasting(value) and known.terminal == value.terminal
        case Namespace() | Service() | PolicyObject(), Namespace() | Service() | PolicyObject():
            return replace(known, resource_version=value.resource_version, actor=value.actor) == value
        case _:
            return replace(known, resource_version=value.resource_version) == value


def same_order(known: Order, order: Order) -> bool:
    """Whether it says what it said: what we told of it ourselves is no news."""
    return replace(known, resource_version=order.resource_version, state=order.state) == order


def same_verdict(known: Verdict | None, verdict: Verdict) -> bool:
    """Whether a verdict says what is known, about a version that is the same to us."""
    if known is None or known is verdict:
        return known is verdict
    if known.accepted is None or verdict.accepted is None:
        return known == verdict
    return replace(known, accepted=verdict.accepted) == verdict and alike(known.accepted, verdict.accepted)
