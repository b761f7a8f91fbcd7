"""A page of history as a table of text and as JSON: of an address, a pod, a group, a rule, a device, an object."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bridge.model.reasons import LACKING
from bridge.report.attribution import holding
from bridge.report.times import time_text
from bridge.report.who import holding_document, span_text
from bridge.state.past import DeviceChange, Membership, Standing
from bridge.state.reported import LeaseRecord

_WIDTH = 160  # of one cell that tells what changed; JSON has it whole
_MEMBERS = re.compile(r"[0-9a-f]{16} ([+-])\[(.*)\]( in another order)?")


@dataclass(frozen=True, slots=True)
class Timeline:
    """One page, the newest first, and the same as JSON."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    document: tuple[dict[str, Any], ...]
    notes: tuple[str, ...] = ()


def of_address(
    address: str, leases: Iterable[LeaseRecord], groups: Mapping[LeaseRecord, Sequence[Membership]]
) -> Timeline:
    """Who held the address, each with the groups in which it was then."""
    found = tuple(leases)
    return Timeline(
        f"{address}: who held it",
        ("cluster", "workload", "from", "to", "in groups"),
        tuple((one.cluster, _workload(one), *_span(one), _some(map(_group, groups.get(one, ())))) for one in found),
        tuple(
            {**holding_document(holding(one)), "groups": [_joined(group) for group in groups.get(one, ())]}
            for one in found
        ),
    )


def of_pod(name: str, leases: Iterable[LeaseRecord]) -> Timeline:
    """What pods of that name, or the pod of that uid, held."""
    found = tuple(leases)
    return Timeline(
        f"{name}: the addresses that it held",
        ("cluster", "address", "workload", "uid", "node", "from", "to"),
        tuple((one.cluster, one.address, _workload(one), one.uid, one.node, *_span(one)) for one in found),
        tuple(holding_document(holding(one)) for one in found),
    )


def of_group(name: str, memberships: Iterable[Membership]) -> Timeline:
    """Who is in the group and who left it, by their last change."""
    found = tuple(memberships)
    return Timeline(
        f"{name}: who came and went",
        ("at", "change", "address", "stood for", "in it since"),
        tuple((time_text(one.changed_at), _left(one), one.address, _holders(one), time_text(one.t1)) for one in found),
        tuple(_membership(one) for one in found),
    )


def of_changes(name: str, changes: Iterable[DeviceChange], rule: str = "", notes: Iterable[str] = ()) -> Timeline:
    """What was done on devices; of a rule only its own lines are shown."""
    found = tuple(changes)
    return Timeline(
        f"{name}: what was changed on devices",
        ("at", "device", "object", "op", "change", "cause", "outcome"),
        tuple(
            (
                time_text(one.at),
                one.device,
                one.key,
                one.op,
                _clipped(" ".join(_parts(one, rule))),
                one.cause,
                one.outcome,
            )
            for one in found
        ),
        tuple(_change(one, rule) for one in found),
        tuple(notes),
    )


def standing_note(one: Standing) -> str:
    """How a rule stands now."""
    word = "accepted" if one.ok else "not in force as written" if one.reason in LACKING else "not accepted"
    more = "".join(f", {part}" for part in (one.reason, one.message) if part.lower() not in ("", word))
    return f"now, in {one.cluster}: {one.ref} is {word}{more} (since {time_text(one.changed_at)})"


def source_groups(changes: Iterable[DeviceChange], rule: str) -> tuple[str, ...]:
    """The groups that the lines of the rule are about, as far as these changes tell."""
    lines = (line for one in changes for line in rule_lines(one.before, rule) + rule_lines(one.after, rule))
    found = (key for line in lines for key in line.partition(" to ")[0].split(" ")[-1].split("+"))
    return tuple(dict.fromkeys(key for key in found if key.startswith("group:")))


def rule_lines(text: str, rule: str) -> list[str]:
    """The lines of the rule in the text of a change."""
    return re.findall(rf"(?<=[{{ '\"]){re.escape(rule)}_[^,'\"}}\]]*", text)


def _parts(one: DeviceChange, rule: str) -> list[str]:
    """What went and what came."""
    if rule:
        before, after = rule_lines(one.before, rule), rule_lines(one.after, rule)
        return [f"-{line}" for line in before if line not in after] + [
            f"+{line}" for line in after if line not in before
        ]
    return [part for sign, text in (("-", one.before), ("+", one.after)) for part in _side(sign, text)]


def _side(sign: str, text: str) -> list[str]:
    found = _MEMBERS.fullmatch(text)
    if found:
        return [f"{found[1]}[{found[2]}]{found[3] or ''}"] if found[2] or found[3] else []
    return [] if text in ("-", "") else [f"{sign}{text}"]


def _clipped(text: str) -> str:
    return text if len(text) <= _WIDTH else f"{text[:_WIDTH]} …"


def _workload(lease: LeaseRecord) -> str:
    return f"{lease.namespace}/{lease.pod}"


def _span(lease: LeaseRecord) -> tuple[str, str]:
    one = holding(lease)
    return span_text(one.began), span_text(one.ended)


def _left(one: Membership) -> str:
    if one.t2 is None:
        return "joined"
    return "left, found gone" if one.inferred else "left"


def _holders(one: Membership) -> str:
    return ", ".join(dict.fromkeys(map(_workload, one.holders))) + " and more" * one.more


def _group(one: Membership) -> str:
    return str(one.group).partition(":")[2]


def _some(words: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(words))


def _joined(one: Membership) -> dict[str, Any]:
    return {"object": str(one.group), "joined": time_text(one.t1), "left": time_text(one.t2) if one.t2 else None}


def _membership(one: Membership) -> dict[str, Any]:
    holders = [holding_document(holding(lease)) for lease in one.holders]
    return {"address": one.address, **_joined(one), "inferred": one.inferred, "holders": holders, "more": one.more}


def _change(one: DeviceChange, rule: str) -> dict[str, Any]:
    lines = {"lines": _parts(one, rule)} if rule else {}
    return {
        "device": one.device,
        "number": one.number,
        "at": time_text(one.at),
        "object": one.key,
        "op": one.op,
        "cause": one.cause,
        "before": one.before,
        "after": one.after,
        **lines,
        "outcome": one.outcome,
        "planDigest": one.plan_digest,
    }
