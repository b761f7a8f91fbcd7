"""The answer to "who held this address" as lines of text and as JSON."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from bridge.report.attribution import Answer, Certainty, Holding, Moment, Verdict
from bridge.report.times import time_text
from bridge.state.past import Membership
from bridge.state.reported import LeaseRecord

_SAID = {
    Certainty.EXACT: "exact",
    Certainty.MAY_HAVE_BEGUN: "it may already have held the address",
    Certainty.MAY_HAVE_ENDED: "it may still have held the address",
    Certainty.LAST_SEEN: "as last seen",
}


def who_lines(answers: Sequence[Answer]) -> Iterator[str]:
    """A paragraph for each cluster in which somebody held it, then a line for each other."""
    for one in sorted(answers, key=lambda answer: not answer.holders):
        if not one.holders:
            yield f"{one.cluster}: {_absent(one)}"
            continue
        for holding, how in one.holders:
            yield f"{one.cluster}: {_name(holding.lease)}, {_SAID[how]}"
            yield from _details(holding, how, one)
        yield ""


def who_document(address: str, at: datetime, answers: Iterable[Answer]) -> dict[str, Any]:
    """The same for programs."""
    return {"address": address, "at": time_text(at), "answers": [_answer(one) for one in answers]}


def span_text(moment: Moment | None) -> str:
    """When it happened: a time, or between which two."""
    if moment is None:
        return "still"
    if moment.after is None:
        return time_text(moment.at)
    return f"some time between {time_text(moment.after)} and {time_text(moment.at)}"


def _details(holding: Holding, how: Certainty, one: Answer) -> Iterator[str]:
    lease = holding.lease
    to = span_text(holding.ended)
    if how is Certainty.LAST_SEEN and one.seen_at:
        to = f"unknown: the cluster has not been watched since {time_text(one.seen_at)}"
    rows = [
        ("uid", lease.uid),
        ("service account", lease.service_account),
        ("owner", lease.owner),
        ("node", lease.node),
        ("from", span_text(holding.began)),
        ("to", to),
        *(("in group", f"{_group(group)} since {time_text(group.t1)}") for group in one.groups),
    ]
    if one.next:
        rows.append(("next", f"{_name(one.next.lease)} from {span_text(one.next.began)}"))
    width = max(len(word) for word, _ in rows)
    yield from (f"  {word.ljust(width)}  {text}" for word, text in rows if text)


def _absent(one: Answer) -> str:
    if one.verdict is Verdict.UNKNOWN:
        return f"unknown: {one.reason}"
    if one.verdict is Verdict.OUTSIDE:
        return one.reason
    since = f", since {span_text(one.previous.ended)} ({_name(one.previous.lease)})" if one.previous else ""
    until = f", until {span_text(one.next.began)} ({_name(one.next.lease)})" if one.next else ""
    kept = f"; the record begins {time_text(one.kept_from)}" if one.kept_from and not one.previous else ""
    return f"nobody{since}{until}{kept}"


def _name(lease: LeaseRecord) -> str:
    return f"{lease.namespace}/{lease.pod}"


def _group(membership: Membership) -> str:
    return str(membership.group).partition(":")[2]


def _answer(one: Answer) -> dict[str, Any]:
    return {
        "cluster": one.cluster,
        "verdict": one.verdict.value,
        "reason": one.reason,
        "exact": [how.value for _, how in one.holders] == [Certainty.EXACT.value],
        "holders": [{**holding_document(holding), "certainty": how.value} for holding, how in one.holders],
        "groups": [
            {"object": str(group.group), "joined": time_text(group.t1), "left": _time(group.t2)} for group in one.groups
        ],
        "previous": holding_document(one.previous) if one.previous else None,
        "next": holding_document(one.next) if one.next else None,
        "keptFrom": _time(one.kept_from),
        "lastSeen": _time(one.seen_at),
    }


def holding_document(holding: Holding) -> dict[str, Any]:
    """A workload and when it held the address. An `After` is set where nobody watched: then it happened between the two times."""
    lease, began, ended = holding.lease, holding.began, holding.ended
    return {
        "cluster": lease.cluster,
        "address": lease.address,
        "namespace": lease.namespace,
        "pod": lease.pod,
        "uid": lease.uid,
        "serviceAccount": lease.service_account,
        "owner": lease.owner,
        "node": lease.node,
        "from": time_text(began.at),
        "fromAfter": _time(began.after),
        "to": _time(ended.at if ended else None),
        "toAfter": _time(ended.after if ended else None),
    }


def _time(at: datetime | None) -> str | None:
    return None if at is None else time_text(at)
