"""Why something changes, in words that last: the object, its version and, where the cluster tells, who wrote it. Always one short line."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from bridge.model.identity import ObjectKey
from bridge.model.observed import (
    KINDS,
    Change,
    Namespace,
    Observed,
    Pod,
    PolicyObject,
    Service,
    Undecodable,
    resource_of,
)

NAMED = 3
OF_OURSELVES = "settings or version of the bridge"


def cause(change: Change, value: Observed | Undecodable) -> str:
    """One change of one object. Its last writer did not delete it, so a deletion names nobody."""
    namespace = getattr(value, "namespace", "")
    name = (
        f"{KINDS[resource_of(value)]} {namespace}/{value.name}"
        if namespace
        else f"{KINDS[resource_of(value)]} {value.name}"
    )
    if change is Change.GONE:
        return f"{name} found gone"
    if change is Change.DELETED:
        return f"{name} deleted at {value.resource_version}"
    by = value.actor if isinstance(value, Namespace | Service | PolicyObject) else ""
    return f"{name} at {value.resource_version} by {by}" if by else f"{name} at {value.resource_version}"


def together(causes: Iterable[str]) -> str:
    """Several causes in one line: the first few, and how many more."""
    listed = list(causes)
    return _line(listed[:NAMED], len(listed))


def _line(named: Iterable[str], count: int) -> str:
    more = f" and {count - NAMED} more" if count > NAMED else ""
    return ", ".join(named) + more


@dataclass(slots=True)
class _Moves:
    """What happened to one group. The addresses of one pod follow each other, and count as one."""

    count: int = 0
    last: str = ""
    joined: bool = False
    named: list[tuple[Pod, bool]] = field(default_factory=list)


class MemberCauses:
    """Whose comings and goings change the groups of one batch. Words are made for those who will be named, and for nobody else."""

    def __init__(self) -> None:
        self._moves: dict[ObjectKey, _Moves] = {}

    def add(self, groups: Iterable[ObjectKey], pod: Pod, *, joined: bool) -> None:
        """The pod joined these groups, or left them."""
        for key in groups:
            moves = self._moves.get(key)
            if moves is None:
                moves = self._moves[key] = _Moves()
            elif moves.last == pod.uid and moves.joined is joined:
                continue
            moves.count += 1
            moves.last, moves.joined = pod.uid, joined
            if len(moves.named) < NAMED:
                moves.named.append((pod, joined))

    def lines(self, changed: Callable[[str], bool], around: str) -> dict[ObjectKey, str]:
        """One line for each group. `changed` tells pods that changed themselves by uid; `around` is what moved the others."""
        found = {}
        for key, moves in self._moves.items():
            line = _line((_moved(pod, changed(pod.uid), joined) for pod, joined in moves.named), moves.count)
            led = around and not all(changed(pod.uid) for pod, _ in moves.named)
            found[key] = f"{around}: {line}" if led else line
        return found


def _moved(pod: Pod, changed: bool, joined: bool) -> str:
    version = f" at {pod.resource_version}" if changed and pod.resource_version else ""
    return f"Pod {pod.namespace}/{pod.name}{version} {'joined' if joined else 'left'}"
