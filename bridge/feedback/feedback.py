"""The loop that tells the objects of one cluster what became of them."""

import threading
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Protocol

import structlog

from bridge.clock import Clock
from bridge.cluster.answers import Throttled
from bridge.cluster.backoff import Backoff, BackoffSettings
from bridge.cluster.client import Connection
from bridge.errors import LostLease, StateError, StateUnavailable
from bridge.feedback.account import Account, Body
from bridge.feedback.pace import Pace, PaceSettings
from bridge.feedback.standing import Unsettled
from bridge.feedback.telling import Narrator, Telling
from bridge.feedback.writer import Attempt, Fate, Writer
from bridge.model.policy import Ref
from bridge.state.policy_picture import Markers, PolicyPicture, Told

log = structlog.get_logger(__name__)

_CHUNK = 20  # objects between two looks at the state
_SHARE = 10  # a picture is read again after this many times what the last one took: feedback is not to be felt


class Store(Protocol):
    """What feedback asks of the state."""

    def markers(self, cluster: str) -> Markers:
        """Whether anything moved."""
        ...

    def picture(self, cluster: str) -> PolicyPicture:
        """How policy stands."""
        ...

    def told(self, cluster: str) -> Sequence[Told]:
        """What people were told."""
        ...

    def record(self, cluster: str, epoch: int, told: Sequence[Told], forgotten: Iterable[Ref] = ()) -> None:
        """Write that down."""
        ...


@dataclass(frozen=True, slots=True)
class FeedbackSettings:
    """Seconds. What waits for less than `patience` is nobody's news; `gap` is the least between two looks, and `poll` the most.

    Before `start` has passed nothing is late: what waited while no bridge ran is taken up first. While something is late all is looked
    at every `late`, and every `safety` whatever happens.
    """

    patience: float = 3.0
    start: float = 15.0
    poll: float = 1.0
    gap: float = 0.25
    late: float = 5.0
    safety: float = 300.0
    pace: PaceSettings = field(default_factory=PaceSettings)
    backoff: BackoffSettings = field(default_factory=BackoffSettings)


class Feedback:
    """Compares how policy stands with what was told, and tells the difference; for one cluster, in one thread.

    It reads the markers, and the whole picture when one moved. What is to be told is recorded before it is written and again after, so
    that after a crash the same words are written again, which changes nothing, and no Event is created twice. `serving` are the devices
    of the cluster.
    """

    def __init__(
        self,
        cluster: str,
        connection: Connection,
        store: Store,
        clock: Clock,
        epoch: Callable[[], int],
        settings: FeedbackSettings | None = None,
        serving: Collection[str] = (),
    ) -> None:
        self._cluster = cluster
        self._serving = serving
        self._store = store
        self._clock = clock
        self._epoch = epoch
        self._settings = settings or FeedbackSettings()
        self._patience = timedelta(seconds=self._settings.patience)
        self._began = clock.now() + timedelta(seconds=self._settings.start) - self._patience
        self._writer = Writer(connection, clock, epoch)
        self._pace = Pace(self._settings.pace)
        self._backoff = Backoff(self._settings.backoff)
        self._wake = threading.Event()
        self._accounts: dict[Ref, Account] | None = None
        self._open: dict[Ref, Telling | None] = {}  # None: to be told no more
        self._unsettled: dict[Ref, datetime] = {}
        self._failed: set[Ref] = set()  # of which nothing can be said: once said so
        self._unrecorded: dict[Ref, None] = {}
        self._seen: object = None
        self._look_at = 0.0  # never later than this
        self._look_after = 0.0  # never sooner
        self._away_until = 0.0
        self._trouble = ""

    @property
    def waiting(self) -> int:
        """How many objects are to be told something."""
        return len(self._open)

    def wake(self) -> None:
        """Something may have changed: look soon."""
        self._wake.set()

    def run(self, stop: threading.Event) -> None:
        """Tell until `stop` is set. Whatever fails is tried again: nothing here ends the loop."""
        while not stop.is_set():
            self._wake.clear()
            pause = self.turn(stop)
            if pause > self._settings.gap:
                self._clock.wait(stop, self._settings.gap)
                self._clock.wait(self._wake, pause - self._settings.gap)
            else:
                self._clock.wait(stop, pause)

    def turn(self, stop: threading.Event) -> float:
        """Look, and tell what is to be told now; returns the seconds to wait, unless woken."""
        try:
            if self._accounts is None:
                self._accounts = {one.ref: Account.of(one) for one in self._store.told(self._cluster)}
            self._look(self._accounts)
            more = self._tell_some(self._accounts, stop)
        except StateUnavailable as error:
            self._complain(error)
        except (LostLease, StateError) as error:
            # What others may have written meanwhile is read again.
            self._accounts, self._seen = None, None
            self._unrecorded.clear()
            self._complain(error)
        except Exception:
            self._seen = None
            log.exception("feedback failed", cluster=self._cluster)
        else:
            self._trouble = ""
            return 0.0 if more else self._settings.poll
        return self._settings.poll

    def _complain(self, error: StateError) -> None:
        """Once, not with every try."""
        if str(error) != self._trouble:
            self._trouble = str(error)
            log.warning("nothing is told meanwhile", cluster=self._cluster, error=self._trouble)

    def _look(self, accounts: dict[Ref, Account]) -> None:
        """Find what is to be told, when something may have changed since the last look."""
        markers = self._store.markers(self._cluster)
        if not markers.policy_revision:
            return  # nobody has said yet what policy becomes on the devices, as after an upgrade: that is not "nothing"
        now, elapsed = self._clock.now(), self._clock.elapsed()
        late = {
            device: since
            for device, since in markers.waiting.items()
            if max(since, self._began) + self._patience <= now
        }
        seen = (markers.policy_revision, markers.standing, late)
        if elapsed < self._look_after or (seen == self._seen and elapsed < self._look_at):
            return
        picture = self._store.picture(self._cluster)
        again = self._consider(picture, accounts, self._clock.now())
        pause = self._settings.late if late else self._settings.safety
        if again is not None:
            pause = min(pause, max(0.0, (again - self._clock.now()).total_seconds()))
        self._seen = seen
        self._look_after = self._clock.elapsed() + _SHARE * (self._clock.elapsed() - elapsed)
        self._look_at = self._clock.elapsed() + pause

    def _consider(self, picture: PolicyPicture, accounts: dict[Ref, Account], now: datetime) -> datetime | None:
        """Compare the picture with what was told; returns when something may be otherwise by the mere passing of time."""
        narrator = Narrator(picture, now, self._patience, self._began, self._serving)
        unsettled: dict[Ref, datetime] = {}
        failed: set[Ref] = set()
        times: list[datetime] = []
        self._open = {}
        for ref in narrator.refs():
            account = accounts.get(ref)
            since = self._unsettled.get(ref, now)
            try:
                telling = narrator.tell(ref, account, hurry=since + 2 * self._patience <= now)
            except Exception:  # what cannot be said of one object keeps nothing from the others
                failed.add(ref)
                if ref not in self._failed:
                    log.exception("nothing can be told of an object", cluster=self._cluster, object=str(ref))
                continue
            if isinstance(telling, Unsettled):
                unsettled[ref] = since
                times.append(min(telling.until, since + 2 * self._patience))
            elif telling is not None and not _told(telling, account):
                self._open[ref] = telling
        self._unsettled, self._failed = unsettled, failed
        self._open |= dict.fromkeys(accounts.keys() - set(narrator.refs()))
        return min(times, default=None)

    def _tell_some(self, accounts: dict[Ref, Account], stop: threading.Event) -> bool:
        """Tell some of those whose turn it is; whether there are more of them."""
        if self._unrecorded:
            self._record(accounts, list(self._unrecorded))
        now = self._clock.now()
        if self._clock.elapsed() < self._away_until:
            return False
        turns = (ref for ref in self._open if self._pace.may(self._meant(ref, accounts), now))
        chosen = list(islice(turns, 1 if self._pace.slowly else _CHUNK))
        for ref in chosen:
            accounts[ref] = replace(self._meant(ref, accounts), at=now)
        self._record(accounts, [ref for ref in chosen if not accounts[ref].settled])
        for ref in chosen:
            if stop.is_set() or not self._take(self._writer.tell(accounts[ref]), accounts):
                break
        self._record(accounts, list(self._unrecorded))
        return len(chosen) == _CHUNK

    def _meant(self, ref: Ref, accounts: dict[Ref, Account]) -> Account:
        """The account as it is to become."""
        telling, known = self._open[ref], accounts.get(ref)
        if telling is not None:
            return telling.after(known)
        assert known is not None  # noqa: S101 (what is to be told no more was told)
        if isinstance(known.body.content, dict) or not known.body.content:
            return replace(known, body=Body())  # the object went, or there is nothing to take back
        return replace(known, body=Body(written=False))

    def _take(self, attempt: Attempt, accounts: dict[Ref, Account]) -> bool:
        """Note what came of it; False when nobody else needs to be tried now."""
        account, ref = attempt.account, attempt.account.ref
        accounts[ref] = account
        self._unrecorded[ref] = None
        if attempt.fate is Fate.AWAY:
            self._away(attempt)
            return False
        self._backoff.reset()
        if attempt.fate is Fate.TOLD:
            self._pace.well()
            telling = self._open.pop(ref)
            if telling is None:
                del accounts[ref]
            return True
        log.warning(
            "not told", cluster=self._cluster, object=str(ref), fate=attempt.fate.name, error=str(attempt.error)
        )
        self._pace.refused(account, self._clock.now(), denied=attempt.fate is Fate.DENIED)
        if attempt.fate is Fate.GONE:
            del accounts[ref]
            if self._open[ref] is None:
                del self._open[ref]
        return True

    def _away(self, attempt: Attempt) -> None:
        pause = self._backoff.next()
        if isinstance(attempt.error, Throttled):
            pause = max(pause, attempt.error.retry_after)
        self._away_until = self._clock.elapsed() + pause
        log.warning("cluster unavailable", cluster=self._cluster, error=str(attempt.error), retry_in=round(pause, 1))

    def _record(self, accounts: dict[Ref, Account], refs: Sequence[Ref]) -> None:
        """Write the accounts down as they are now; those that are no more are forgotten."""
        if not refs:
            return
        self._unrecorded |= dict.fromkeys(refs)
        told = [accounts[ref].told for ref in refs if ref in accounts]
        self._store.record(self._cluster, self._epoch(), told, [ref for ref in refs if ref not in accounts])
        for ref in refs:
            self._unrecorded.pop(ref, None)


def _told(telling: Telling, account: Account | None) -> bool:
    return account is not None and account.settled and telling.after(account) is account
