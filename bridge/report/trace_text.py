"""A trace as lines and tables of text."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bridge.report.trace_model import Answer, Looked, OnDevice, Sender, Trace
from bridge.report.trace_words import decision_text
from bridge.report.words import clock

_ALL = 40  # rules that are shown whatever became of them
_NAMED = 5  # senders that are named
_ROWS = 40  # rows of devices that are shown though they agree
_KNOWN = {True: "yes", False: "no", None: "not known"}


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table with its title; no rows: the title is a line."""

    title: str
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()


def trace_sheets(trace: Trace) -> Iterator[Sheet]:
    """The question, the headline, and for each answer its decisions, the rules on the way, and the devices."""
    when = f"at {clock(trace.at)}" if trace.past else "now"
    where = f"{trace.host} ({trace.address})" if trace.address and trace.address != trace.host else trace.host
    yield Sheet(f"{trace.sender} in {trace.cluster} to {where}, {trace.traffic}, {when}")
    yield Sheet(trace.headline)
    for note in trace.notes:
        yield Sheet(f"note: {note}")
    for answer in trace.answers:
        yield Sheet("")
        yield from _answer(answer, several=len(trace.answers) > 1)


def _answer(answer: Answer, *, several: bool) -> Iterator[Sheet]:
    yield Sheet(f"from {_senders(answer.senders)}")
    for sender in answer.senders:
        if sender.note:
            yield Sheet(f"  {sender.address}: {sender.note}")
    if several or len(answer.decisions) > 1:
        for one in answer.decisions:
            on = f" on {', '.join(one.devices)}" if one.devices else ""
            yield Sheet(f"  {decision_text(one, several=True)}{on}")
    yield Sheet("")
    yield from _rules(answer.rules)
    yield from _devices(answer.devices)


def _senders(senders: Sequence[Sender]) -> str:
    names = [f"{one.name} ({one.address})" if one.pod else one.address for one in senders[:_NAMED]]
    more = len(senders) - len(names)
    return ", ".join(names) + (f" and {more} more" if more else "")


def _rules(rules: Sequence[Looked]) -> Iterator[Sheet]:
    if not rules:
        yield Sheet("no rule is accepted that could be about it")
        return
    shown = rules
    if len(rules) > _ALL:
        shown = [one for one in rules if one.outcome != "no" or (one.source and one.destination)]
    rows = tuple((one.tier, str(one.priority), one.rule, one.action, one.outcome, _why(one)) for one in shown)
    columns = ("tier", "priority", "rule", "action", "outcome", "why")
    if rows:
        yield Sheet("rules, in their order", columns, rows)
    if len(shown) < len(rules):
        yield Sheet(f"and {len(rules) - len(shown)} rules that are about others (--output json has them all)")


def _why(one: Looked) -> str:
    remarks = [f"on {each.device}: {each.reason or each.message}" for each in one.remarks if each.reason != one.reason]
    return "; ".join([one.why, *remarks])


def _devices(devices: Sequence[OnDevice]) -> Iterator[Sheet]:
    if not devices:
        yield Sheet("no device is in scope")
        return
    shown = devices
    if len(devices) > _ROWS:
        shown = [one for one in devices if not one.agrees]
    rows = tuple(_row(one) for one in shown)
    columns = (
        "device",
        "sender",
        "sees",
        "decision",
        "holds the rule",
        "holds the address",
        "in",
        "since",
        "state",
        "proven",
    )
    if rows:
        yield Sheet("devices in scope", columns, rows)
    if len(shown) < len(devices):
        yield Sheet(f"and {len(devices) - len(shown)} more, which do as policy says")


def _row(one: OnDevice) -> tuple[str, ...]:
    decision = f"{one.verdict} by {one.rule.partition(' ')[2]}" if one.rule else one.verdict
    decision = "Deny by default" if decision == "Deny" else decision
    if one.stale:
        decision = f"which {one.rule} it holds" if one.line is None else f"still {decision}"
    sees = (", ".join(one.address) or "nothing") + (f" ({one.view})" if one.view != "Pod" else "")
    state = f"{one.state}: {one.message}" if one.message else one.state
    needless = one.line is None and one.member is None and one.state == "ok"
    line, member = ("-", "-") if needless else (_KNOWN[one.line], _KNOWN[one.member])
    return (
        one.device,
        one.sender,
        sees,
        decision,
        line,
        member,
        one.group or "-",
        clock(one.member_since),
        state,
        clock(one.proven_at),
    )
