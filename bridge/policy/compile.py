"""Rules to what a tiered device holds: groups, port sets and one rule list per tier and namespace (SEMANTICS 4 and 5).

Inside a tier the namespaces of a cluster never share a workload, nor do the clusters of a device, so a list per namespace decides
exactly as one list over all of them would, and a change in one namespace leaves the others alone.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from bridge.model import addresses
from bridge.model.capabilities import Capabilities
from bridge.model.identity import Kind, ObjectKey, Scope
from bridge.model.intent import Group, Policy, Ports, RuleEntry, RuleList
from bridge.model.policy import (
    Action,
    ExternalService,
    Operator,
    Ref,
    Requirement,
    Rule,
    Selector,
    Source,
    SourceKind,
    Tier,
    Traffic,
)
from bridge.model.tiers import SCOPES
from bridge.policy.compiled import ClusterPolicy, Compiled, Remark, Target
from bridge.policy.overlap import rules_overlap
from bridge.policy.remainder import EXEMPT, GOVERNED, KNOWN, add_default, builtin, exempt, fixed_group
from bridge.policy.select import NAME_LABEL
from bridge.policy.validity import by_time

__all__ = [
    "EXEMPT",
    "GOVERNED",
    "KNOWN",
    "ClusterPolicy",
    "Compiled",
    "Remark",
    "Target",
    "compile_tiered",
    "policies",
    "source_key",
]


def compile_tiered(policy: ClusterPolicy, target: Target) -> Compiled:
    """What `policy` asks of a device that has a place for each tier."""
    result = Compiled()
    rules = _counting((rule for rule in policy.rules if _concerns(rule, target)), policy, result)
    barred = _unsupported(rules, policy, target)
    result.remarks.update(barred)
    unreadable = _unreadable(rules, policy.externals)
    withheld = _withheld(rules, {*barred, *unreadable}, policy.externals)
    result.remarks.update(withheld)
    result.remarks.update({ref: remark for ref, remark in unreadable.items() if ref not in barred})
    if not target.capabilities.reject:
        rules = [_not_answered(rule, result) for rule in rules]
    for key, listed in _by_list(policy.cluster, (rule for rule in rules if rule.ref not in barred)).items():
        _add_list(key, listed, policy, withheld.keys(), result)
    add_default(policy, target, result)
    if target.namespaces is not None:
        _confine(result, target.name, target.namespaces)
    _add_named_groups(policy, target, result)
    return result


def policies(keys: Iterable[ObjectKey]) -> Iterator[Policy]:
    """The policy of each tier, made of these rule lists; the default follows the last tier. All three always exist."""
    lists = sorted(keys)
    for tier in Tier:
        scope = SCOPES[tier]
        chosen = [key for key in lists if key.scope is scope]
        if tier is Tier.SERVICE:
            chosen += [key for key in lists if key.scope is Scope.DEFAULT]
        yield Policy(ObjectKey(Kind.POLICY, "", scope), tuple(chosen))


def source_key(cluster: str, rule: Rule) -> ObjectKey:
    """The group that a rule's source becomes: shared where it is plain, the rule's own where it selects by labels."""
    source, ref = rule.source, rule.ref
    if source.kind is SourceKind.SERVICE:
        return ObjectKey(Kind.GROUP, cluster, Scope.SERVICE, source.namespace, source.service)
    if source.whole_cluster:
        return builtin(cluster, "pod-ranges")
    if source.kind is SourceKind.CLUSTER:
        return ObjectKey(Kind.GROUP, cluster, Scope.CLUSTER, "", ref.name)
    if source.pods.requirements or source.service_accounts:
        return ObjectKey(Kind.GROUP, cluster, Scope.RULE, ref.namespace, ref.name)
    return ObjectKey(Kind.GROUP, cluster, Scope.NAMESPACE, source.namespace)


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


def _concerns(rule: Rule, target: Target) -> bool:
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
    services = [externals[ref] for ref in rule.destinations if ref in externals]
    named = sorted({name for service in services for name in service.fqdns})
    if named and not can.fqdn:
        return f"the device takes no names ({', '.join(named)}); state addresses instead"
    if not can.deny and (
        rule.action in (Action.DENY, Action.PASS) or (rule.action is Action.REJECT and not can.reject)
    ):
        return f"the device has no {rule.action}"
    traffic = [one for service in services for one in service.traffic]
    if not can.icmp_types and any(one.icmp for one in traffic):
        return "the device cannot tell types of ICMP apart; state the protocol without a type"
    if not can.protocols and any(one.number for one in traffic):
        numbers = sorted({one.number for one in traffic if one.number})
        return f"the device takes no protocols by number ({', '.join(str(number) for number in numbers)})"
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


def _withheld(rules: list[Rule], barred: Iterable[Ref], externals: Mapping[Ref, ExternalService]) -> dict[Ref, Remark]:
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


def _add_list(
    key: ObjectKey, listed: Iterable[Rule], policy: ClusterPolicy, withheld: Iterable[Ref], result: Compiled
) -> None:
    """The list of these rules, before them who is exempt where one is about the whole cluster; none where no rule has a line."""
    made = [(rule, tuple(_entries(rule, policy, rule.ref in withheld, result))) for rule in listed]
    entries = [entry for _, lines in made for entry in lines]
    if not entries:
        return
    first = (exempt(policy, result),) if any(rule.source.whole_cluster for rule, _ in made) else ()
    for rule, lines in made:
        parts = (*first, *lines) if rule.source.whole_cluster else lines
        if lines:
            result.place(rule.ref, key, *(ref for entry in parts for ref in entry.references()))
    result.objects[key] = RuleList(key, (*first, *entries))


def _by_list(cluster: str, rules: Iterable[Rule]) -> dict[ObjectKey, list[Rule]]:
    lists: dict[ObjectKey, list[Rule]] = {}
    for rule in rules:
        key = ObjectKey(Kind.RULE_LIST, cluster, SCOPES[rule.tier], rule.ref.namespace)
        lists.setdefault(key, []).append(rule)
    return lists


def _entries(rule: Rule, policy: ClusterPolicy, withheld: bool, result: Compiled) -> Iterator[RuleEntry]:
    """The lines of one rule: one for each external service and protocol."""
    source = source_key(policy.cluster, rule)
    made = False
    for ref in rule.destinations:
        service = policy.externals.get(ref)
        if service is None:
            continue
        outside = addresses.subtract(service.addresses, policy.governance.internal)
        if not outside and not service.fqdns:
            result.remarks[ref] = Remark("NoDestination", "every address of it lies inside the cluster")
            result.place(ref)
            continue
        made = True
        destination = _external_group(policy.cluster, service, outside, result)
        for traffic in service.traffic:
            ports = _ports(policy.cluster, service, traffic, result)
            result.place(ref, destination, *([ports] if ports else ()))
            number = traffic.number or ""
            name = (
                f"{rule.ref.name}_{_short(ref)}_{traffic.protocol.lower()}{number}"  # no name of Kubernetes holds a "_"
            )
            sides, more = ((source,), (destination,)), (traffic.icmp, traffic.number)
            yield RuleEntry(name, rule.action, *sides, traffic.protocol, ports, rule.log, withheld, *more)
    if not made:
        known = result.remarks.get(rule.ref)
        if known is None or known.reason in ("", "Withheld"):  # what has no effect anyhow waits for nothing
            message = "every destination lies inside the cluster: the rule has no effect"
            result.remarks[rule.ref] = Remark("NoDestination", message)
    elif rule.source.whole_cluster:
        fixed_group(builtin(policy.cluster, "pod-ranges"), policy.governance.pod_ranges, result)
    else:
        result.groups[source] = (replace(rule.source, governed_only=True),)


def _external_group(cluster: str, service: ExternalService, outside: Iterable[str], result: Compiled) -> ObjectKey:
    scope = Scope.EXTERNAL if service.ref.namespace else Scope.CLUSTER_EXTERNAL
    key = ObjectKey(Kind.GROUP, cluster, scope, service.ref.namespace, service.ref.name)
    result.objects[key] = Group(key, frozenset(outside), frozenset(service.fqdns))
    return key


def _ports(cluster: str, service: ExternalService, traffic: Traffic, result: Compiled) -> ObjectKey | None:
    if not traffic.ports:
        return None
    scope = Scope.EXTERNAL if service.ref.namespace else Scope.CLUSTER_EXTERNAL
    name = f"{service.ref.name}.{traffic.protocol.lower()}"
    key = ObjectKey(Kind.PORTS, cluster, scope, service.ref.namespace, name)
    result.objects[key] = Ports(key, traffic.ports)
    return key


def _short(ref: Ref) -> str:
    """A destination in a line's name; a cluster's service is told apart from a namespace's of the same name."""
    return ref.name if ref.namespace else f"cluster_{ref.name}"


def _confine(result: Compiled, device: str, namespaces: frozenset[str]) -> None:
    """On a device for some namespaces only: whom the whole cluster's rules and the default reach there, and who is exempt from them.

    These groups are the device's own, told by a name that no object of Kubernetes can have.
    """
    inside = Requirement(NAME_LABEL, Operator.IN, tuple(sorted(namespaces)))
    renamed: dict[ObjectKey, ObjectKey] = {}
    for key in [key for key in result.groups if key.scope in (Scope.CLUSTER, Scope.BUILTIN)]:
        renamed[key] = own = replace(key, name=f"{key.name}-.{device}")
        result.groups[own] = tuple(_within(source, inside) for source in result.groups.pop(key))
    for key, value in result.objects.items():
        if isinstance(value, RuleList):
            entries = (
                replace(entry, sources=tuple(renamed.get(one, one) for one in entry.sources)) for entry in value.entries
            )
            result.objects[key] = RuleList(key, tuple(entries))
    for ref, keys in result.placed.items():
        result.placed[ref] = {renamed.get(key, key) for key in keys}


def _within(source: Source, inside: Requirement) -> Source:
    return replace(source, namespaces=Selector((*source.namespaces.requirements, inside)))


def _add_named_groups(policy: ClusterPolicy, target: Target, result: Compiled) -> None:
    """Groups that people asked for by name, whether or not a rule uses them."""
    for spec in policy.address_groups:
        if not spec.devices or target.name in spec.devices:
            key = ObjectKey(Kind.GROUP, policy.cluster, Scope.ADDRESS_GROUP, "", spec.ref.name)
            result.groups[key] = (spec.source,)
            result.place(spec.ref, key)
    for (namespace, value), sources in policy.annotation_groups.items():
        if target.namespaces is None or namespace in target.namespaces:
            key = ObjectKey(Kind.GROUP, policy.cluster, Scope.ANNOTATION, namespace, value)
            result.groups[key] = sources
    for ref, names in policy.annotation_carriers.items():
        keys = (ObjectKey(Kind.GROUP, policy.cluster, Scope.ANNOTATION, *name) for name in names)
        here = [key for key in keys if key in result.groups]
        if here:
            result.place(ref, *here)
