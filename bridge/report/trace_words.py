"""A trace in words: decisions, reasons and the headline, for people and for the document."""

from collections.abc import Iterable, Sequence

from bridge.model.observed import Pod
from bridge.model.policy import Ref
from bridge.policy.compiled import Target
from bridge.policy.region import What
from bridge.report.considered import Considered, Piece, Verdict
from bridge.report.destination import Destination, traffic_text
from bridge.report.enforced import Enforcement
from bridge.report.trace_model import Answer, Decided, Looked, OnDevice, Remarked, Sender
from bridge.report.written import Policy

EVERYTHING_ELSE = "everything else"
_LONG = 8  # lines of traffic that are still read


def anybody(sender: Sender) -> Pod:
    """The pod of a past moment as far as its lease tells: that it ran, where, and as whom."""
    return Pod(
        uid=sender.uid,
        namespace=sender.namespace,
        name=sender.pod,
        resource_version="",
        labels={},
        annotations={},
        service_account=sender.service_account,
        owner=sender.workload,
        node=sender.node,
        phase="Running",
        host_network=False,
        addresses=(sender.address,),
        started=None,
        deleting=False,
        gates=(),
    )


def decided(piece: Piece, devices: tuple[str, ...], traffic: str) -> Decided:
    """One decision."""
    rule = piece.rule
    return Decided(
        verdict=piece.verdict.value,
        traffic=traffic,
        devices=devices,
        rule=str(rule.ref) if rule else "",
        tier=rule.tier.value if rule else "",
        priority=rule.priority if rule else None,
        passed=tuple(str(ref) for ref in piece.passed),
        why=piece.why,
        doubts=tuple(str(ref) for ref in piece.doubts),
        otherwise=piece.otherwise.value if piece.otherwise else "",
    )


def traffic_of(piece: Piece, pieces: Sequence[Piece], to: Destination) -> str:
    """What part of the traffic a decision is about."""
    if len(pieces) == 1:
        return to.wording
    left = [one for one in pieces if one.rule is None]
    if len(left) != 1:
        left = [one for one in pieces if _long(one.what)]
    return EVERYTHING_ELSE if left == [piece] else what_text(piece.what)


def what_text(what: What) -> str:
    """Traffic as people read it: `TCP 443, 8443; UDP 53`."""
    if _long(what):
        return f"{' and '.join(protocol.value for protocol in what.ports)}, but not all of it"
    return "; ".join(traffic_text(line) for line in what.traffic() or ())


def _long(what: What) -> bool:
    """Whether it takes more lines than people read, or cannot be said in lines at all."""
    lines = what.traffic()
    return lines is None or len(lines) > _LONG


def looked(
    considered: Iterable[Considered],
    pieces: Sequence[Piece],
    policy: Policy,
    enforcement: Enforcement,
    targets: Iterable[Target],
) -> tuple[Looked, ...]:
    """Every rule in order, with why it matched or did not."""
    deciding = {piece.rule.ref for piece in pieces if piece.rule is not None}
    passing = {ref for piece in pieces for ref in piece.passed}
    names = [target.name for target in targets]
    # Nothing of the packet comes to the rules: where it comes from or goes to is nothing that they govern.
    gated = len(pieces) == 1 and pieces[0].verdict is Verdict.UNMATCHED and not pieces[0].why.startswith("the default")
    found = []
    for one in considered:
        outcome = _outcome(one, deciding, passing, gated=gated)
        rule = one.rule
        found.append(
            Looked(
                rule=str(rule.ref),
                tier=rule.tier.value,
                priority=rule.priority,
                action=rule.action.value,
                outcome=outcome,
                why=_why(one, outcome, policy),
                source=one.source,
                destination=one.destination,
                traffic=None if one.destination is False else one.meets,
                reason=str(one.rest.reason) if one.rest else "",
                remarks=tuple(_remarks(rule.ref, names, enforcement)),
            )
        )
    return tuple(found)


def _outcome(one: Considered, deciding: set[Ref], passing: set[Ref], *, gated: bool) -> str:
    if one.matches is False:
        return "no"
    if gated:
        return "later"
    if one.rule.ref in passing:
        return "passes"
    if one.rule.ref in deciding:
        return "decides"
    return "later" if one.matches else "perhaps"


def _why(one: Considered, outcome: str, policy: Policy) -> str:
    more = f"; its last edit is not accepted ({policy.said[one.rule.ref]})" if one.rule.ref in policy.said else ""
    if outcome == "no":
        parts = [
            *([f"{one.rest.reason}: {one.rest.message}"] if one.rest else []),
            *(["not its source"] if one.source is False else []),
            *(["not its destination"] if one.destination is False else []),
            *(["not its traffic"] if one.destination is not False and not one.meets else []),
        ]
        return ", ".join(parts) + more
    words = {
        "decides": "source, destination and traffic match",
        "passes": "matches, and leaves the tier to the next",
        "later": "matches, but it was decided before",
        "perhaps": _unknown(one),
    }
    return words[outcome] + more


def _unknown(one: Considered) -> str:
    if one.source is None:
        return "whether the sender was one of its source is not recorded"
    return "whether the destination is one of its is not known: it hangs on a name"


def _remarks(ref: Ref, devices: Iterable[str], enforcement: Enforcement) -> Iterable[Remarked]:
    for device in devices:
        placed = enforcement.placed(ref, device)
        if placed is not None and (placed.reason or placed.message):
            yield Remarked(device, placed.reason, placed.message)


def headline(answers: Sequence[Answer]) -> tuple[str, bool]:
    """The answer in one line, and whether every device in scope does as policy says."""
    all_decided = [one for answer in answers for one in answer.decisions]
    against = [one for answer in answers for one in answer.disagreements]
    said = dict.fromkeys(decision_text(one, several=_several(answers)) for one in all_decided)
    first = "; ".join(said)
    if any(one.verdict == Verdict.UNKNOWN.value for one in all_decided):
        return first, False
    if against:
        devices = list(dict.fromkeys(_against(one) for one in against))
        more = f" and {len(devices) - 3} more" if len(devices) > 3 else ""
        return f"{first}; but {'; '.join(devices[:3])}{more}", False
    if not any(answer.devices for answer in answers):
        return f"{first}; but no device is in scope, so nothing enforces it", False
    return first, True


def _several(answers: Sequence[Answer]) -> bool:
    return any(len(answer.decisions) > 1 for answer in answers)


def decision_text(one: Decided, *, several: bool = False) -> str:
    """One decision as a clause: `Allow by ServiceEgressRule shop/web (service tier, priority 1000)`."""
    if one.verdict == Verdict.UNKNOWN.value:
        text = f"not known: {one.otherwise} unless {' or '.join(one.doubts)} matches"
    elif one.rule:
        text = f"{one.verdict} by {one.rule} ({one.tier} tier, priority {one.priority})"
    elif one.verdict == Verdict.UNMATCHED.value:
        text = f"no rule of the bridge decides: {one.why}"
    else:
        text = f"{one.verdict} by default ({one.why})"
    passed = f", after the Pass of {', '.join(one.passed)}" if one.passed else ""
    return f"{one.traffic}: {text}{passed}" if several else f"{text}{passed}"


def _against(one: OnDevice) -> str:
    where = f"{one.device} ({one.sender})"
    if one.stale and one.line is None:
        return f"it is not known whether {where} does so: which {one.rule} it holds is {one.state}{_more(one)}"
    if one.stale and one.agrees is None:
        return f"it is not known whether {where} does so: it still holds {one.verdict} by {one.rule}: {one.state}{_more(one)}"
    if one.stale and one.verdict != Verdict.ALLOW.value:
        return f"{where} still stops {', '.join(one.address)} by {one.rule}: {one.state}{_more(one)}"
    if one.stale:
        return f"{where} still lets {', '.join(one.address)} through by {one.rule}: {one.state}{_more(one)}"
    if one.agrees is None:
        return f"it is not known whether {where} does so: {one.state}{_more(one)}"
    if one.line is False:
        lacks = "does not hold the rule" if one.rule else "does not hold the default"
    elif one.member is False:
        lacks = f"does not hold {', '.join(one.address) or 'the sender'} in {one.group or 'its source'}"
    else:
        lacks = "does not do so"
    return f"{where} {lacks}: {one.state}{_more(one)}"


def _more(one: OnDevice) -> str:
    return f", {one.message}" if one.message else ""
