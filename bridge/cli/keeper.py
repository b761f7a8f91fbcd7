"""Keeps the tenures of this replica: renews what it holds, takes what is free up to its share, gives up what another should have.

The share of a replica is the roles of a kind, clusters or devices, over the replicas that are alive, rounded up. Who has at least two less
than another asks it for one; who is asked gives up one of each kind in a renewal, between two turns of its loop. What is free beyond all
shares for a whole term is anybody's: somebody who should take it does not.
"""

import math
import threading
from collections import Counter
from collections.abc import Mapping, Sequence

import structlog

from bridge.cli.loops import Pulse
from bridge.cli.tenure import Elsewhere, LeaseTimes, Tenure
from bridge.clock import Clock
from bridge.errors import StateError
from bridge.state.leases import Lease, ReplicaLeases, Role, Survey

log = structlog.get_logger(__name__)

_ASK_AGAIN = 60.0  # seconds after a role could not be served, doubled each time: nobody keeps others from what he cannot do himself


class Keeper:
    """One thread for all tenures of a process. The database going away ends no tenure before its deadline."""

    def __init__(
        self,
        holder: str,
        tenures: Mapping[Role, Tenure],
        leases: ReplicaLeases,
        clock: Clock,
        times: LeaseTimes,
        program: tuple[str, str],
    ) -> None:
        self._holder, self._tenures, self._leases = holder, tenures, leases
        self._clock, self._times, self._program = clock, times, program
        self._renew_at = 0.0
        self._away = False  # the database, at the last try
        self._asked: dict[Role, float] = {}
        self.replicas = 0  # alive, as far as is known

    def run(self, stop: threading.Event, clock: Pulse) -> None:
        """Keep them until `stop` is set; whoever serves one then releases it."""
        while not stop.is_set():
            self.round()
            clock.wait(stop, self._times.attempt)

    def round(self) -> None:
        """Renew when it is time, and look for what is free."""
        try:
            shares = self._clock.elapsed() >= self._renew_at
            self._renew_in_time()
            survey = self._leases.survey(self._times.term)
            self.replicas = len(survey.replicas)
            for kind in ("cluster", "device"):
                self._look(kind, survey, shares=shares)
        except StateError as error:
            if not self._away:  # told once, not at each try
                log.warning("leases not kept", error=str(error))
            self._away = True
        else:
            self._away = False

    def depart(self) -> None:
        """No share for this replica any more."""
        try:
            self._leases.depart(self._holder)
        except StateError as error:
            log.warning("the other replicas will find out by themselves that this one is gone", error=str(error))

    def _renew_in_time(self) -> None:
        asked = self._clock.elapsed()
        if asked < self._renew_at:
            return
        self._renew_at = asked + self._times.renewal
        held = {role: epoch for role, one in self._tenures.items() if (epoch := one.renewable) is not None}
        kept = self._leases.renew(self._holder, held, self._times.term) if held else set()
        for role, epoch in held.items():
            self._tenures[role].renewed(epoch, asked, kept=role in kept)
        self._leases.beat(self._holder, *self._program)

    def _look(self, kind: str, survey: Survey, *, shares: bool) -> None:
        rows = {(one.role, one.name): one for one in survey.leases}
        ours = [rows.get(role, Lease(*role, "", free_for=0.0)) for role in self._tenures if role[0] == kind]
        loads = Loads(self._holder, survey.replicas, ours)
        for lease in ours:
            tenure = self._tenures[lease.role, lease.name]
            tenure.look(self._elsewhere(lease))
            if not lease.holder and tenure.free and loads.may_take(lease, self._times.term):
                if self._take(tenure):
                    loads.mine += 1
                self._renew_in_time()  # taking may wait for a transaction of the owner before
        if shares:
            self._give(ours, loads)
            self._ask(ours, loads)

    def _elsewhere(self, lease: Lease) -> Elsewhere:
        if lease.holder in ("", self._holder):
            return Elsewhere.NOBODY
        return Elsewhere.DOUBTED if self._times.overdue(lease.left) else Elsewhere.HELD

    def _take(self, tenure: Tenure) -> bool:
        asked = self._clock.elapsed()
        grant = self._leases.take(tenure.role, tenure.name, self._holder, self._times.term)
        if grant is None:
            return False
        tenure.grant(grant.epoch, asked, taking_over=grant.taking_over)
        log.info("takes", role=tenure.role, name=tenure.name, epoch=grant.epoch, taking_over=grant.taking_over)
        return True

    def _give(self, leases: Sequence[Lease], loads: "Loads") -> None:
        for lease in leases:
            tenure = self._tenures[lease.role, lease.name]
            if lease.holder == self._holder and tenure.settled and loads.lighter(lease.wanted_by):
                if not tenure.over.is_set():
                    log.info("gives up", role=lease.role, name=lease.name, to=lease.wanted_by)
                    tenure.give_up()
                return

    def _ask(self, leases: Sequence[Lease], loads: "Loads") -> None:
        """For one of those that who has most holds, unless one that was asked for is still awaited."""
        if any(lease.holder and lease.wanted_by == self._holder for lease in leases):
            return
        now, most = self._clock.elapsed(), loads.heaviest
        for lease in leases:
            role = lease.role, lease.name
            tenure = self._tenures[role]
            pause = _ASK_AGAIN * 2.0 ** (tenure.failures - 1) if tenure.failures else self._times.term
            late = now - self._asked.get(role, -math.inf) >= pause
            if lease.holder == most and tenure.free and late and not loads.awaited(lease):
                self._asked[role] = now
                self._leases.want(lease, self._holder)
                return


class Loads:
    """Who of the living holds how many of these leases. `mine` goes up with each that we take."""

    def __init__(self, me: str, replicas: Sequence[str], leases: Sequence[Lease]) -> None:
        held = Counter(lease.holder for lease in leases)
        self._me = me
        self._loads = {holder: held[holder] for holder in replicas}
        self._share = math.ceil(len(leases) / max(1, len(replicas)))
        self.mine = held[me]

    def may_take(self, lease: Lease, term: float) -> bool:
        """Whether a lease that is free is for us."""
        return (self.mine < self._share and not self.awaited(lease)) or lease.free_for >= term

    def awaited(self, lease: Lease) -> bool:
        """Whether another one, who lives, has asked for it."""
        return lease.wanted_by != self._me and lease.wanted_by in self._loads

    def lighter(self, other: str) -> bool:
        """Whether another one, who lives, would still have no more than we, had he one of ours."""
        return other != self._me and other in self._loads and self._loads[other] + 1 < self.mine

    @property
    def heaviest(self) -> str | None:
        """Who has so many that one of them should be ours; None when nobody has."""
        most = max(self._loads, key=lambda one: (self._loads[one], one), default=None)
        return most if most is not None and self._loads[most] > self.mine + 1 else None
