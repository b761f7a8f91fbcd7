"""Who held an address at a time, as far as anybody can know: exact, between two times, nobody, unknown and why, or no pod could.

A lease began between `t1_since` and `t1` where the beginning was not watched, and ended between `t2_since` and `t2` where the end was
not. In between the answer is that the workload may have held the address; two workloads may, where one followed the other unwatched.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from bridge.model.addresses import covers
from bridge.report.times import time_text
from bridge.state.past import Around, Membership, Outage, Watched
from bridge.state.reported import LeaseRecord

# A cluster that is watched is heard of at least every minute, and that is written down every ten seconds. A holder is taken to be there
# still for so long; that nobody came is never taken for granted.
HEARD_WITHIN = timedelta(minutes=3)


class Certainty(StrEnum):
    """How sure it is that a workload held the address at the time asked about."""

    EXACT = "exact"
    MAY_HAVE_BEGUN = "may have begun"
    MAY_HAVE_ENDED = "may have ended"
    LAST_SEEN = "last seen"  # the cluster has not been watched since


class Verdict(StrEnum):
    """The answer for one cluster in a word."""

    HELD = "held"
    POSSIBLY_HELD = "possibly held"
    NOBODY = "nobody"
    OUTSIDE = "outside"  # no pod of the cluster can have it
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Moment:
    """When something happened: at `at` exactly, or after `after` and by `at`."""

    at: datetime
    after: datetime | None = None

    @property
    def exact(self) -> bool:
        """Whether it was watched."""
        return self.after is None


@dataclass(frozen=True, slots=True)
class Holding:
    """One workload and the time in which it held the address; no `ended`: it does so still, as far as is known."""

    lease: LeaseRecord
    began: Moment
    ended: Moment | None

    def certainty(self, at: datetime) -> Certainty | None:
        """How sure it is that it held the address at that time; None when it did not."""
        if at < self.began.at:
            return Certainty.MAY_HAVE_BEGUN if self.began.after and at > self.began.after else None
        if self.ended is None or (self.ended.exact and at < self.ended.at):
            return Certainty.EXACT
        if self.ended.after and at <= self.ended.after:
            return Certainty.EXACT
        return Certainty.MAY_HAVE_ENDED if not self.ended.exact and at < self.ended.at else None


@dataclass(frozen=True, slots=True)
class Answer:
    """What one cluster's history says of an address at a time.

    `previous` and `next` held it before and after that time; `groups` are the address groups that the address was in; `reason` says why
    it is unknown, or why no pod can have had it. `seen_at` is set when the answer is about a time after the cluster was last heard of.
    """

    cluster: str
    verdict: Verdict
    holders: tuple[tuple[Holding, Certainty], ...] = ()
    groups: tuple[Membership, ...] = ()
    previous: Holding | None = None
    next: Holding | None = None
    reason: str = ""
    kept_from: datetime | None = None
    seen_at: datetime | None = None


def answer(watched: Watched, around: Around, at: datetime) -> Answer:
    """What is known of the address of `around` at that time; its groups are for the caller to add."""
    holdings = in_sequence((*((around.before,) if around.before else ()), *around.after))
    unseen = watched.seen_at is None or at > watched.seen_at + HEARD_WITHIN
    holders = tuple(
        (one, Certainty.LAST_SEEN if unseen else how) for one in holdings if (how := one.certainty(at)) is not None
    )
    reason = "" if holders else _unknown(watched, around.outage, at, unseen=unseen)
    return Answer(
        cluster=watched.cluster,
        verdict=_verdict([how for _, how in holders], reason),
        holders=holders,
        previous=next((one for one in reversed(holdings) if one.ended and one.ended.at <= at), None),
        next=next((one for one in holdings if one.began.at > at and one.certainty(at) is None), None),
        reason=reason,
        kept_from=watched.kept_from,
        seen_at=watched.seen_at if unseen or (not holders and watched.seen_at and at > watched.seen_at) else None,
    )


def placed(found: Answer, address: str, ranges: Sequence[str], node: str) -> Answer:
    """The answer where an address that no pod is recorded with lies outside the pod ranges: then it is not one of pods.

    `node` is the node that has the address now, "" for none. Without ranges nothing is said.
    """
    if not ranges or found.holders or found.previous or found.next or covers(ranges, [address]):
        return found
    reason = f"not an address of pods: outside the pod ranges of cluster {found.cluster}"
    return replace(found, verdict=Verdict.OUTSIDE, reason=f"{reason}; address of node {node}" if node else reason)


def in_sequence(leases: Iterable[LeaseRecord]) -> tuple[Holding, ...]:
    """Leases of one address in one cluster, in order; each began after the one before it was last known to hold the address."""
    found: list[Holding] = []
    for lease in leases:
        last = found[-1].ended if found else None
        earliest = (last.after or last.at) if last else None
        found.append(holding(lease, earliest))
    return tuple(found)


def holding(lease: LeaseRecord, earliest: datetime | None = None) -> Holding:
    """What one lease says; where its beginning was not watched, it lies after `earliest` too."""
    after = lease.t1_since and max(lease.t1_since, earliest or lease.t1_since)
    began = Moment(lease.t1, after if after and after < lease.t1 else None)
    if lease.t2 is None:
        return Holding(lease, began, None)
    since = max(lease.t2_since or lease.t1, lease.t1) if lease.t2_inferred else None
    return Holding(lease, began, Moment(lease.t2, since if since and since < lease.t2 else None))


def _verdict(certainties: list[Certainty], reason: str) -> Verdict:
    if certainties:
        return Verdict.HELD if Certainty.EXACT in certainties else Verdict.POSSIBLY_HELD
    return Verdict.UNKNOWN if reason else Verdict.NOBODY


def _unknown(watched: Watched, outage: Outage | None, at: datetime, *, unseen: bool) -> str:
    """Why nobody can say that nobody held it; "" where that is known."""
    if watched.kept_from is None:
        return "nothing of this cluster is recorded yet"
    if at < watched.kept_from:
        return f"before the oldest record kept ({time_text(watched.kept_from)})"
    if outage is not None:
        return (
            f"the cluster was not watched from {time_text(outage.t1)} to {time_text(outage.t2)}: "
            "who came and went in between was not seen"
        )
    if unseen and watched.seen_at is not None:
        return f"the cluster has not been watched since {time_text(watched.seen_at)}"
    if watched.seen_at is not None and at > watched.seen_at:
        return f"nobody held it when the cluster was last heard of, {time_text(watched.seen_at)}; who came since is not known"
    return ""
