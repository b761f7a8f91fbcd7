"""Small pictures of policy on devices, each with as much said as the test is about, and a store that keeps one in memory."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from bridge.errors import LostLease, StateUnavailable
from bridge.feedback.account import Account
from bridge.feedback.standing import Unsettled
from bridge.feedback.telling import Narrator, Telling
from bridge.model.identity import Kind, ObjectKey, Scope
from bridge.model.intent import RuleEntry, RuleList
from bridge.model.policy import Action, Ref
from bridge.state.desired import ObjectState
from bridge.state.policy_picture import DeviceRow, Judged, Markers, Placed, PolicyPicture, Told, Unfinished

START = datetime(2026, 1, 1, tzinfo=UTC)
PATIENCE = timedelta(seconds=3)
RULE = Ref("ServiceEgressRule", "shop", "web-provider")
LIST = ObjectKey(Kind.RULE_LIST, "real", Scope.SERVICE, "shop")
GROUP = ObjectKey(Kind.GROUP, "real", Scope.SERVICE, "shop", "web")
EDGE = DeviceRow("ok", attached={"cluster": True, "namespace": True, "service": True}, last_read=START)


def at(seconds: float) -> datetime:
    """So long after the start of the test's time."""
    return START + timedelta(seconds=seconds)


def judged(generation: int = 1, *, in_force: int | None = 1, reason: str = "Accepted", message: str = "") -> Judged:
    """What became of an object of uid "u1"; in force unless said otherwise."""
    return Judged("u1", generation, reason == "Accepted", reason, message, in_force, START)


def placed(
    *keys: ObjectKey, device: str = "edge", tier: str = "service", reason: str = "", message: str = ""
) -> Placed:
    """On a device; the rule's list and group unless told."""
    return Placed(device, tuple(str(key) for key in keys or (GROUP, LIST)), tier, reason, message)


def row(
    state: ObjectState = ObjectState.PROGRAMMED,
    message: str = "",
    *,
    applied: bool = True,
    waiting: datetime | None = None,
    verified: datetime | None = None,
) -> Unfinished:
    """One object that is not simply programmed."""
    return Unfinished(state, message, applied, waiting, verified)


def new(waiting: datetime = START) -> Unfinished:
    """An object that the device never had."""
    return row(ObjectState.PENDING, applied=False, waiting=waiting)


def line(rule: str, action: Action, *, source: ObjectKey = GROUP, withheld: bool = False) -> RuleEntry:
    """The one line of a rule."""
    destination = ObjectKey(Kind.GROUP, "real", Scope.EXTERNAL, "shop", "provider")
    return RuleEntry(f"{rule}_provider_tcp", action, (source,), (destination,), withheld=withheld)


@dataclass
class Picture:
    """A picture that a test changes as it goes."""

    judged: dict[Ref, Judged] = field(default_factory=lambda: {RULE: judged()})
    placed: dict[Ref, tuple[Placed, ...]] = field(default_factory=lambda: {RULE: (placed(),)})
    unfinished: dict[tuple[str, ObjectKey], Unfinished] = field(default_factory=dict)
    devices: dict[str, DeviceRow] = field(default_factory=lambda: {"edge": EDGE, "west": EDGE})
    lists: dict[str, dict[ObjectKey, RuleList]] = field(default_factory=dict)
    uids: dict[Ref, str] = field(default_factory=dict)

    def taken(self) -> PolicyPicture:
        """As it is now."""
        unfinished = {(device, str(key)): one for (device, key), one in self.unfinished.items()}
        return PolicyPicture(
            dict(self.judged), dict(self.placed), unfinished, dict(self.devices), self.lists, dict(self.uids)
        )

    def tell(
        self, ref: Ref = RULE, account: Account | None = None, now: datetime = START, *, hurry: bool = False
    ) -> Telling | Unsettled | None:
        """What the object is to be told now."""
        return Narrator(self.taken(), now, PATIENCE).tell(ref, account, hurry=hurry)

    def told(self, ref: Ref = RULE, account: Account | None = None, now: datetime = START) -> Telling:
        """The same where it is known."""
        found = self.tell(ref, account, now)
        assert isinstance(found, Telling), found
        return found


def condition(telling: Telling | Account, kind: str) -> Mapping[str, str]:
    """One condition of what is told."""
    content = telling.content if isinstance(telling, Telling) else telling.body.content
    assert isinstance(content, dict)
    found: Mapping[str, str] = next(one for one in content["conditions"] if one["type"] == kind)
    return found


def done(telling: Telling, before: Account | None = None) -> Account:
    """The account once all of it was told."""
    account = telling.after(before).written()
    while account.body.due:
        account = account.announced()
    return account


@dataclass
class MemoryStore:
    """Keeps a picture and accounts as the tables do, and counts what is read."""

    picture_now: Picture = field(default_factory=Picture)
    revision: int = 1
    standing: int = 1
    waiting: dict[str, datetime] = field(default_factory=dict)
    rows: dict[Ref, Told] = field(default_factory=dict)
    pictures: int = 0
    epoch: int = 1
    away: bool = False
    failing_records: int = 0

    def markers(self, cluster: str) -> Markers:
        """What moves."""
        assert cluster == "real"
        self._reachable()
        return Markers(self.revision, {"edge": self.standing}, dict(self.waiting))

    def picture(self, cluster: str) -> PolicyPicture:
        """How it stands."""
        assert cluster == "real"
        self._reachable()
        self.pictures += 1
        return self.picture_now.taken()

    def told(self, cluster: str) -> tuple[Told, ...]:
        """What was told."""
        assert cluster == "real"
        self._reachable()
        return tuple(self.rows.values())

    def record(self, cluster: str, epoch: int, told: Iterable[Told], forgotten: Iterable[Ref] = ()) -> None:
        """Keep it."""
        assert cluster == "real"
        self._reachable()
        if self.failing_records:
            self.failing_records -= 1
            raise StateUnavailable("the database cannot be used now")
        if epoch != self.epoch:
            raise LostLease("not ours")
        self.rows |= {one.ref: one for one in told}
        for ref in forgotten:
            self.rows.pop(ref, None)

    def _reachable(self) -> None:
        if self.away:
            raise StateUnavailable("the database cannot be used now")
