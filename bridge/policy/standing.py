"""Which rules count on one device, which of them it cannot hold, and what waits because of those (SEMANTICS 4)."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from operator import attrgetter

from bridge.model.addresses import covers, overlap
from bridge.model.capabilities import Capabilities, Form
from bridge.model.policy import Action, ExternalService, Protocol, Ref, Rule, Traffic
from bridge.policy.compiled import ClusterPolicy, Compiled, Remark, Target
from bridge.policy.memory import Memory
from bridge.policy.overlap import rules_overlap
from bridge.policy.validity import by_time

_Services = tuple[ExternalService | None, ...]
"""The destinations of a rule; None for what cannot be read any more."""


@dataclass(frozen=True, slots=True)
class Standing:
    """The rules of a device in their order, as it can have them, and those of them that must be neither added nor widened there."""

    rules: tuple[Rule, ...]
    withheld: frozenset[Ref]
    whole: bool = True  # False where something that stops or passes on is not in force, or not all of it


@dataclass(frozen=True, slots=True)
class _Judged:
    """A rule, and as the device can have it. `barred` says why it cannot, `partial` why only a part of it is there."""

    rule: Rule
    here: Rule
    barred: Remark | None
    partial: Remark | None


def standing(policy: ClusterPolicy, target: Target, result: Compiled, memory: Memory | None = None) -> Standing:
    """Judge every rule that concerns the device; `result` is told of each, and why one is not there as written."""
    judged = _counting(_judged(policy, target, memory or Memory()), policy, result)
    here = {one.rule.ref for one in judged}
    barred = {one.rule.ref: one.barred for one in judged if one.barred}
    barred.update({ref: remark for ref, remark in policy.barred.items() if ref in here})
    result.remarks.update(barred)
    partial = {ref: remark for ref, remark in policy.partial.items() if ref in here}
    partial.update({one.rule.ref: one.partial for one in judged if one.partial})
    meant = policy.externals if policy.meant is None else policy.meant
    below = withheld_below([one.rule for one in judged], {*barred, *partial}, meant)
    withheld = {ref: remark for ref, remark in below.items() if ref not in barred}
    result.remarks.update(withheld)
    result.remarks.update({ref: remark for ref, remark in partial.items() if ref not in barred})
    for one in judged:
        if one.here is not one.rule:
            result.remarks.setdefault(one.rule.ref, _SILENT)
    whole = not any(one.rule.action is not Action.ALLOW and one.rule.ref in {**barred, **partial} for one in judged)
    return Standing(tuple(one.here for one in judged if one.rule.ref not in barred), frozenset(withheld), whole)


def withheld_below(
    rules: list[Rule], barred: Iterable[Ref], externals: Mapping[Ref, ExternalService]
) -> dict[Ref, Remark]:
    """Allows below a Deny, Reject or Pass that is not in force and that they overlap (withholding is closed under precedence)."""
    out = frozenset(barred)
    if not out:
        return {}
    blockers: list[Rule] = []
    found: dict[Ref, Remark] = {}
    for rule in rules:
        if rule.action is not Action.ALLOW:
            if rule.ref in out:
                blockers.append(rule)
            continue
        over = next((b for b in blockers if rules_overlap(b, rule, externals)), None)
        if over:
            found[rule.ref] = Remark("Withheld", f"{over.ref} takes precedence, overlaps and is not in force here")
    return found


_SILENT = Remark("", "the device cannot answer: Reject is Deny there, which is silent")


def _judged(policy: ClusterPolicy, target: Target, memory: Memory) -> list[_Judged]:
    """The rules that concern the device, in their order."""
    find, can = policy.externals.get, target.capabilities
    rules = sorted((rule for rule in policy.rules if concerns(rule, target)), key=attrgetter("order"))
    return memory.each("judged", ((rule, tuple(map(find, rule.destinations)), can) for rule in rules), _judge)


def _judge(rule: Rule, services: _Services, can: Capabilities) -> _Judged:
    missing = _missing(rule, [one for one in services if one is not None], can)
    unread = [str(ref) for ref, one in zip(rule.destinations, services, strict=True) if one is None]
    return _Judged(
        rule,
        # SEMANTICS 4: a device that cannot answer stops all the same.
        replace(rule, action=Action.DENY) if rule.action is Action.REJECT and not can.reject else rule,
        Remark("Unsupported", missing) if missing else None,
        # What is left of an accepted rule that names what cannot be read any more stands, and counts as not in force.
        Remark("Unsupported", f"this version of the bridge cannot read {', '.join(unread)}") if unread else None,
    )


def _counting(judged: Iterable[_Judged], policy: ClusterPolicy, result: Compiled) -> list[_Judged]:
    """The rules that count at the moment of the policy; the others are named."""
    found = []
    listed = list(judged)
    result.placed.update((one.rule.ref, frozenset()) for one in listed)
    for one, (rule, rest) in zip(listed, by_time((one.rule for one in listed), policy.at), strict=True):
        if rest is None:
            found.append(one)
        else:
            result.remarks[rule.ref] = Remark(rest.reason, rest.message)
    return found


def concerns(rule: Rule, target: Target) -> bool:
    """Whether the device is in the rule's scope, and the rule in the device's."""
    if rule.devices and target.name not in rule.devices:
        return False
    return target.namespaces is None or not rule.ref.namespace or rule.ref.namespace in target.namespaces


def _missing(rule: Rule, services: list[ExternalService], can: Capabilities) -> str:
    """What the device would have to be able to do; denies of a device that only allows are a matter of its compiler."""
    if can.form is not Form.ALLOW_ONLY and not can.deny and _denies(rule.action, can):
        return f"the device has no {rule.action}"
    return (
        _missing_of_names(services, can)
        or _missing_of_traffic([one for service in services for one in service.traffic], can)
        or _missing_of_addresses(services, can)
        or (_missing_to_let_through(services, can) if rule.action is Action.ALLOW else "")
    )


def _denies(action: Action, can: Capabilities) -> bool:
    return action in (Action.DENY, Action.PASS) or (action is Action.REJECT and not can.reject)


def _missing_of_names(services: Iterable[ExternalService], can: Capabilities) -> str:
    named = sorted({name for service in services for name in service.fqdns})
    wild = [name for name in named if "*" in name]
    if wild and not can.wildcards:
        return f"the device takes no names with a * ({', '.join(wild)}), and nobody can resolve them; state names or addresses"
    if named and not can.fqdn:
        return f"the device takes no names ({', '.join(named)}); state addresses instead"
    return ""


def _missing_of_traffic(traffic: Iterable[Traffic], can: Capabilities) -> str:
    if not can.icmp_types and any(one.icmp for one in traffic):
        return "the device cannot tell types of ICMP apart; state the protocol without a type"
    numbers = sorted({one.number for one in traffic if one.number})
    if numbers and not can.protocols:
        return f"the device takes no protocols by number ({', '.join(str(number) for number in numbers)})"
    return ""


def _missing_of_addresses(services: Iterable[ExternalService], can: Capabilities) -> str:
    if not can.ipv6 and any(":" in member for service in services for member in service.addresses):
        return "the device takes no IPv6 destinations"
    return ""


def _missing_to_let_through(services: Iterable[ExternalService], can: Capabilities) -> str:
    """What would let more through than an Allow says: of a device in front of several destinations each entry is for all of them."""
    for service in services:
        if not can.sctp_ports and any(one.protocol is Protocol.SCTP and one.ports for one in service.traffic):
            return f"the device cannot tell the ports of SCTP in {service.ref} apart; state it without ports"
        for part, whole in cut(service.addresses, can.blocks):
            return f"{service.ref} is a part of what stands behind one place ({part} of {whole}); state all of it"
    return ""


def cut(addresses: Collection[str], blocks: Iterable[tuple[str, ...]]) -> Iterator[tuple[str, str]]:
    """Those of these addresses that are a part of a block, each family by itself, and the block."""
    for block in blocks:
        for v6 in (False, True):
            there, behind = ([one for one in some if (":" in one) is v6] for some in (addresses, block))
            if overlap(there, behind) and not covers(there, behind):
                yield ", ".join(there), ", ".join(behind)
