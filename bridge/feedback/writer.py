"""What an account says, brought into the cluster: content first, then the Events that are due."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from bridge import metrics
from bridge.clock import Clock
from bridge.cluster.answers import RequestRefused
from bridge.cluster.client import Connection
from bridge.cluster.writes import Notice, apply_annotations, apply_status, create_event
from bridge.errors import ClusterDenied, ClusterError, ClusterUnavailable
from bridge.feedback.account import Account
from bridge.feedback.annotation import STATUS, summary
from bridge.feedback.orders import GOOD_NEWS
from bridge.model.kinds import BY_REF, Kind
from bridge.model.observed import Resource

_EXISTS = "AlreadyExists"
_Place = tuple[Connection, Resource, str, str, str]


class Fate(Enum):
    """What came of an attempt."""

    TOLD = auto()
    GONE = auto()  # no object of that uid is there any more
    REFUSED = auto()  # trying again at once would not help
    DENIED = auto()  # nor would it for others like it
    AWAY = auto()  # nothing helps anybody now


@dataclass(frozen=True, slots=True)
class Attempt:
    """How far an account was brought, and the server's words where it ended early."""

    account: Account
    fate: Fate
    error: ClusterError | None = None


class Writer:
    """Writes into one cluster over a connection of its own. `allowed` is asked before each call and raises when it is not."""

    def __init__(self, connection: Connection, clock: Clock, allowed: Callable[[], object]) -> None:
        self._connection = connection
        self._clock = clock
        self._allowed = allowed
        self._series = metrics.cluster(connection.name)

    def tell(self, account: Account) -> Attempt:
        """Bring the account as far as it goes. Raises nothing but what `allowed` raises."""
        try:
            if not account.body.written:
                self._write(account)
                account = account.written()
            while account.body.due:
                self._announce(account)
                account = account.announced()
        except ClusterError as error:
            fate = _fate(error)
            if fate in (Fate.REFUSED, Fate.DENIED):
                self._series.refused.inc()
            return Attempt(account, fate, error)
        return Attempt(account, Fate.TOLD)

    def _write(self, account: Account) -> None:
        self._allowed()
        ref, content = account.ref, account.body.content
        kind = BY_REF.get(ref.kind)
        if kind is None:
            return  # of a dialect that is no longer installed: there is nobody to tell
        place = (self._connection, kind.resource, ref.namespace, ref.name, account.uid)
        if isinstance(content, dict):
            self._write_status(place, content, kind)
        elif kind.resource is not Resource.PODS:
            self._write_annotation(place, content)

    def _write_status(self, place: _Place, content: dict[str, Any], kind: Kind) -> None:
        """On another program's object its phase, where it has one: its definition knows no conditions, so the annotation tells of them."""
        if not kind.foreign:
            apply_status(*place, content)
            self._series.told["status"].inc()
            return
        if kind.phases:
            apply_status(*place, {"phase": content["phase"]})
            self._series.told["status"].inc()
        self._write_annotation(place, summary(content))

    def _write_annotation(self, place: _Place, content: str) -> None:
        apply_annotations(*place, {STATUS: content} if content else {})
        self._series.told["annotation"].inc()

    def _announce(self, account: Account) -> None:
        self._allowed()
        ref, due = account.ref, account.body.due[0]
        notice = Notice(due.reason, due.message, warning=due.reason not in GOOD_NEWS, name=due.name)
        place = (BY_REF[ref.kind].resource, ref.namespace, ref.name, account.uid)
        try:
            create_event(self._connection, *place, notice, self._clock.now())
            self._series.told["event"].inc()
        except RequestRefused as error:
            if error.reason != _EXISTS:
                raise


def _fate(error: ClusterError) -> Fate:
    if isinstance(error, ClusterUnavailable):
        return Fate.AWAY
    if isinstance(error, ClusterDenied):
        return Fate.DENIED
    if isinstance(error, RequestRefused) and (error.code == 404 or (error.code in (409, 422) and _is_namesake(error))):
        return Fate.GONE
    return Fate.REFUSED


def _is_namesake(error: RequestRefused) -> bool:
    """Whether it is refused because another object, or none, bears the name now: uids are what such refusals speak of."""
    return "uid" in str(error).lower()
