"""Who gains and who loses which destinations, in words and numbers for people and pipelines."""

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from bridge.model.addresses import Ranges
from bridge.model.identity import ObjectKey, Scope
from bridge.model.kinds import KINDS
from bridge.model.policy import Ref, Tier
from bridge.model.tiers import SCOPES
from bridge.policy.reach import Difference, Fate, Shift, Turn, fate
from bridge.policy.reach_lines import Line
from bridge.policy.reach_spans import Span, merged, traffic_texts
from bridge.report.naming import BUILTIN

_DEFAULT = "the default"
_SHOWN = 12  # workloads or prefixes in one line of text; JSON has them all
_HASH = re.compile(r"-[bcdfghjklmnpqrstvwxz2456789]{8,10}$")  # that a Deployment gives its ReplicaSets
_BY_SCOPE: Mapping[Scope, Tier] = {scope: tier for tier, scope in SCOPES.items()}


@dataclass(frozen=True, slots=True)
class Sender:
    """Whom an address stands for: a pod and what owns it, or a `node` with everybody behind it."""

    namespace: str
    owner: str  # "ReplicaSet/web-6c5f8c7b9d", "" for a pod by itself
    pod: str
    node: str = ""


class Workload(msgspec.Struct, frozen=True, rename="camel"):
    """Senders that belong together: pods of one owner, a node, or addresses that nobody is known to hold (`kind` "")."""

    namespace: str
    name: str
    kind: str
    pods: int
    addresses: tuple[str, ...]


class Destination(msgspec.Struct, frozen=True, rename="camel"):
    """Where to: as the external service that the rule names, and exactly what of it. `names` are not resolved here."""

    service: str
    addresses: tuple[str, ...]
    names: tuple[str, ...]
    traffic: tuple[str, ...]


class Decider(msgspec.Struct, frozen=True, rename="camel"):
    """What decides: a rule, or "the default"; "" where nothing of ours does. `fate` is allowed, stopped or left."""

    rule: str
    action: str
    fate: str


class Reaching(msgspec.Struct, frozen=True, rename="camel"):
    """One change of reachability. `elsewhere` are prefixes of which everyone is meant who is named in no change of its own.

    `others` counts the pods that are known there.
    """

    turn: str
    workloads: tuple[Workload, ...]
    elsewhere: tuple[str, ...]
    others: int
    destinations: tuple[Destination, ...]
    before: Decider
    after: Decider
    text: str


@dataclass(frozen=True, slots=True)
class People:
    """Who is who: what an address stands for, every address that is known, and the objects of policy by which rules are named."""

    who: Callable[[str], Sender | None]
    known: Iterable[str]
    rules: Iterable[Ref]


def reachings(found: Difference, people: People, *, clusters: bool = False) -> tuple[Reaching, ...]:
    """The difference, told by workload and rule, gains first. With `clusters`, rules are told with their cluster."""
    rules = _names(people.rules)
    gathered: dict[tuple[Any, ...], list[Shift]] = {}
    for shift in found.shifts:
        before, after = (_decider(line, rules, clusters=clusters) for line in (shift.before, shift.after))
        gathered.setdefault((shift.turn, shift.sources, shift.rest, before, after), []).append(shift)
    told = [
        _reaching(turn, sources, rest, before, after, shifts, found, people)
        for (turn, sources, rest, before, after), shifts in gathered.items()
    ]
    order = list(Turn)
    return tuple(sorted(told, key=lambda one: (order.index(Turn(one.turn)), one.text)))


def digest(*parts: object) -> str:
    """SHA-256 over these plain values, as 16 hexadecimal digits."""
    return hashlib.sha256(msgspec.json.encode(parts, order="sorted")).hexdigest()[:16]


def _reaching(
    turn: Turn,
    sources: tuple[str, ...],
    rest: tuple[str, ...],
    before: Decider,
    after: Decider,
    shifts: Sequence[Shift],
    found: Difference,
    people: People,
) -> Reaching:
    workloads = tuple(_workloads(sources, people.who))
    others = sum(one not in found.told for one in _within(people.known, rest)) if rest else 0
    destinations = tuple(_destinations(shifts))
    told = Reaching(turn.value, workloads, rest, others, destinations, before, after, "")
    return msgspec.structs.replace(told, text=_text(told))


def _workloads(addresses: Iterable[str], who: Callable[[str], Sender | None]) -> Iterator[Workload]:
    found: dict[tuple[str, str, str], list[str]] = {}
    pods: dict[tuple[str, str, str], set[str]] = {}
    for one in addresses:
        sender = who(one)
        place = _workload(sender)
        found.setdefault(place, []).append(one)
        pods.setdefault(place, set()).add(sender.pod if sender and sender.pod else one)
    for place in sorted(found):
        namespace, kind, name = place
        yield Workload(namespace, name, kind, len(pods[place]) if kind else 0, tuple(found[place]))


def _workload(sender: Sender | None) -> tuple[str, str, str]:
    """Namespace, kind and name; a ReplicaSet of a Deployment under the Deployment's name."""
    if sender is None:
        return ("", "", "")
    if sender.node:
        return ("", "Node", sender.node)
    kind, _, name = sender.owner.partition("/")
    if not name:
        return (sender.namespace, "Pod", sender.pod)
    if kind == "ReplicaSet" and _HASH.search(name):
        return (sender.namespace, "Deployment", _HASH.sub("", name))
    return (sender.namespace, kind, name)


def _within(known: Iterable[str], prefixes: tuple[str, ...]) -> Iterator[str]:
    ranges = Ranges(prefixes)
    return (one for one in known if one in ranges)


def _destinations(shifts: Iterable[Shift]) -> Iterator[Destination]:
    """The places, each with all the traffic to it."""
    found: dict[tuple[tuple[str, ...], tuple[str, ...], str], list[Span]] = {}
    for one in shifts:
        found.setdefault((one.where, one.names, _to(one)), []).extend(one.what)
    for where, names, service in sorted(found):
        yield Destination(service, where, names, traffic_texts(merged(found[where, names, service])))


def _to(shift: Shift) -> str:
    """In the words of the line that gives or gave the permission, or that stops or stopped."""
    line = shift.before if shift.turn in (Turn.LOSES, Turn.RELEASED) else shift.after
    return "" if line is None else " + ".join(dict.fromkeys(_service(key) for key in line.entry.destinations))


def _service(key: ObjectKey) -> str:
    name = key.name.partition("-.")[0]  # as one device, or one view of it, calls it
    return BUILTIN.get(name, name) if key.scope is Scope.BUILTIN else name


_Rules = Mapping[tuple[Tier, str, str], str]
"""Rules by tier, namespace and the label that names of lines hold."""


def _names(rules: Iterable[Ref]) -> _Rules:
    tiers = {kind.ref: kind.tier for kind in KINDS.values() if kind.tier is not None}
    return {(tiers[ref.kind], ref.namespace, ref.label): str(ref) for ref in rules if ref.kind in tiers}


def _decider(line: Line | None, rules: _Rules, *, clusters: bool) -> Decider:
    if line is None:
        return Decider("", "", Fate.LEFT.value)
    rule = _rule(line, rules)
    return Decider(f"{line.key.cluster}: {rule}" if clusters else rule, line.entry.action.value, fate(line).value)


def _rule(line: Line, rules: _Rules) -> str:
    """The rule that a line is of, by its name. What a Pass lets on stands, on a flat device, among the lines of the Pass."""
    tier = _BY_SCOPE.get(line.key.scope)
    whose = (line.key.namespace, *(key.namespace for key in line.entry.sources))
    namespace = "" if tier is Tier.CLUSTER else next(filter(None, whose), "")  # lists by tier hold several namespaces
    label, *rest = line.entry.name.split("_")
    if tier is not Tier.CLUSTER and not line.key.namespace and rest and (tier, label, rest[0]) in rules:
        namespace, label, *rest = label, *rest  # there each line begins with the namespace of its rule
    while tier is not None and rest:
        if rest[0] == "default-deny":
            return _DEFAULT
        lower = _let_on(rest, rules)
        if lower is None:
            break
        (tier, namespace, label), rest = lower
    if tier is None:
        return _DEFAULT
    place = f"{namespace}/{label}" if namespace else label
    return rules.get((tier, namespace, label), f"{tier} rule {place}")  # one that is not on record any more has no kind


def _let_on(parts: list[str], rules: _Rules) -> tuple[tuple[Tier, str, str], list[str]] | None:
    """The rule of a lower tier that these parts of a name tell of, and the parts behind it."""
    if len(parts) < 3 or parts[0] not in (Tier.NAMESPACE, Tier.SERVICE):
        return None
    found = (Tier(parts[0]), parts[1], parts[2])
    return (found, parts[3:]) if found in rules else None


def _text(one: Reaching) -> str:
    """`gains: shop/web (3 pods) -> partner 203.0.113.0/28 TCP 443, by NamespaceEgressRule shop/partner`."""
    senders = [_named(workload) for workload in one.workloads]
    if one.elsewhere:
        pods = f" ({one.others} pods)" if one.others else ""
        senders.append(f"{'every other address' if senders else 'every address'} of {_some(one.elsewhere)}{pods}")
    where = "; ".join(_where(each) for each in one.destinations)
    return f"{one.turn}: {_some(senders)} -> {where}, {_why(one)}"


def _named(one: Workload) -> str:
    if not one.kind:
        return f"addresses that nobody is known to hold: {_some(one.addresses)}"
    if one.kind == "Node":
        return f"node {one.name}"
    place = f"{one.namespace}/{one.name}"
    if one.kind == "Pod":
        return place
    return f"{place} ({one.pods} pod{'s' * (one.pods != 1)})"


def _where(one: Destination) -> str:
    what = (*one.names, *one.addresses)
    return " ".join(part for part in (one.service, _some(what), ", ".join(one.traffic)) if part)


def _why(one: Reaching) -> str:
    if one.turn == Turn.GAINS:
        return f"by {one.after.rule}{_instead(one.before)}"
    if one.turn == Turn.LOSES:
        return f"allowed by {one.before.rule}, now {_outcome(one.after)}"
    if one.turn == Turn.STOPPED:
        return f"by {one.after.rule} ({one.after.action}), before left to the device's own rules"
    return f"{one.before.action} by {one.before.rule} is gone, now left to the device's own rules"


def _instead(before: Decider) -> str:
    return f", before {_outcome(before)}" if before.fate == Fate.STOPPED and before.rule != _DEFAULT else ""


def _outcome(one: Decider) -> str:
    return f"{one.action} by {one.rule}" if one.rule else "left to the device's own rules"


def _some(parts: Sequence[str]) -> str:
    left = len(parts) - _SHOWN
    return ", ".join(parts[:_SHOWN]) + (f" and {left} more" if left > 0 else "")
