"""Which rules count on one device, which of them it cannot hold, and what waits because of those (SEMANTICS 4)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from bridge.model.capabilities import Capabilities, Form
from bridge.model.policy import Action, ExternalService, Ref, Rule, Traffic
from bridge.policy.compiled import ClusterPolicy, Compiled, Remark, Target
from bridge.policy.overlap import rules_overlap
from bridge.policy.validity import by_time


@dataclass(frozen=True, slots=True)
class Standing:
    """The rules of a device in their order, as it can have them, and those of them that must be neither added nor widened there."""

    rules: tuple[Rule, ...]
    withheld: frozenset[Ref]


def standing(policy: ClusterPolicy, target: Target, result: Compiled) -> Standing:
    """Judge every rule that concerns the device; `result` is told of each, and why one is not there as written."""
    rules = _counting((rule for rule in policy.rules if concerns(rule, target)), policy, result)
    here = {rule.ref for rule in rules}
    barred = _unsupported(rules, policy, target)
    barred.update({ref: remark for ref, remark in policy.barred.items() if ref in here})
    result.remarks.update(barred)
    partial = {ref: remark for ref, remark in policy.partial.items() if ref in here} | _unreadable(
        rules, policy.externals
    )
    withheld = withheld_below(rules, {*barred, *partial}, policy.externals if policy.meant is None else policy.meant)
    result.remarks.update(withheld)
    result.remarks.update({ref: remark for ref, remark in partial.items() if ref not in barred})
    if not target.capabilities.reject:
        rules = [_not_answered(rule, result) for rule in rules]
    return Standing(tuple(rule for rule in rules if rule.ref not in barred), frozenset(withheld))


def withheld_below(
    rules: list[Rule], barred: Iterable[Ref], externals: Mapping[Ref, ExternalService]
) -> dict[Ref, Remark]:
    """Allows below a Deny, Reject or Pass that is not in force and that they overlap (withholding is closed under precedence)."""
    out = frozenset(barred)
    blockers: list[Rule] = []
    found: dict[Ref, Remark] = {}
    for rule in rules:
        if rule.action is not Action.ALLOW:
            if rule.ref in out:
                blockers.append(rule)
            continue
        over = next((b for b in blockers if rules_overlap(b, rule, externals)), None)
        if over and rule.ref not in out:
            found[rule.ref] = Remark("Withheld", f"{over.ref} takes precedence, overlaps and is not in force here")
    return found


def _counting(rules: Iterable[Rule], policy: ClusterPolicy, result: Compiled) -> list[Rule]:
    """The rules that count at the moment of the policy, in their order; the others are named."""
    found = []
    for rule, rest in by_time(sorted(rules, key=lambda r: (r.tier.rank, r.order)), policy.at):
        result.place(rule.ref)
        if rest is None:
            found.append(rule)
        else:
            result.remarks[rule.ref] = Remark(rest.reason, rest.message)
    return found


def _not_answered(rule: Rule, result: Compiled) -> Rule:
    """The rule as a device without Reject has it (SEMANTICS 4)."""
    if rule.action is not Action.REJECT:
        return rule
    result.remarks.setdefault(rule.ref, Remark("", "the device cannot answer: Reject is Deny there, which is silent"))
    return replace(rule, action=Action.DENY)


def concerns(rule: Rule, target: Target) -> bool:
    """Whether the device is in the rule's scope, and the rule in the device's."""
    if rule.devices and target.name not in rule.devices:
        return False
    return target.namespaces is None or not rule.ref.namespace or rule.ref.namespace in target.namespaces


def _unsupported(rules: list[Rule], policy: ClusterPolicy, target: Target) -> dict[Ref, Remark]:
    """Rules that this device cannot express, each with the capability that is missing."""
    found = {}
    for rule in rules:
        missing = _missing(rule, policy.externals, target.capabilities)
        if missing:
            found[rule.ref] = Remark("Unsupported", missing)
    return found


def _missing(rule: Rule, externals: Mapping[Ref, ExternalService], can: Capabilities) -> str:
    """What the device would have to be able to do; denies of a device that only allows are a matter of its compiler."""
    services = [externals[ref] for ref in rule.destinations if ref in externals]
    if can.form is not Form.ALLOW_ONLY and not can.deny and _denies(rule.action, can):
        return f"the device has no {rule.action}"
    return (
        _missing_of_names(services, can)
        or _missing_of_traffic([one for service in services for one in service.traffic], can)
        or _missing_of_addresses(services, can)
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


def _unreadable(rules: list[Rule], externals: Mapping[Ref, ExternalService]) -> dict[Ref, Remark]:
    """Accepted rules that name what cannot be read any more. What is left of them stands, and counts as not in force."""
    found = {}
    for rule in rules:
        missing = [str(ref) for ref in rule.destinations if ref not in externals]
        if missing:
            found[rule.ref] = Remark("Unsupported", f"this version of the bridge cannot read {', '.join(missing)}")
    return found
