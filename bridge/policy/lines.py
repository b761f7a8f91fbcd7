"""What one rule becomes on a device that holds it as it is written: lines, the groups and ports that they name."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache

from bridge.model import addresses
from bridge.model.identity import Kind, ObjectKey, Scope
from bridge.model.intent import Group, Ports, RuleEntry, Schedule
from bridge.model.policy import Action, AddressSource, ExternalService, Ref, Rule, Source, SourceKind, Traffic
from bridge.model.schedules import schedule_after
from bridge.model.tiers import SCOPES
from bridge.policy.compiled import ClusterPolicy, Compiled, Remark
from bridge.policy.memory import Memory
from bridge.policy.remainder import builtin, fixed_group


@dataclass(frozen=True, slots=True)
class Destination:
    """What an external service becomes, whoever may send there: objects, and the ports of each kind of its traffic."""

    service: ExternalService
    objects: tuple[Group | Ports, ...]  # none where all of it lies inside the cluster
    ports: tuple[ObjectKey | None, ...]
    keys: frozenset[ObjectKey]

    @property
    def group(self) -> ObjectKey:
        """Its addresses and names."""
        return self.objects[0].key


@dataclass(frozen=True, slots=True)
class Lines:
    """What a rule becomes: lines of the list `key`, and the group of its source where that is one that is selected.

    `placed` are the keys of all that it becomes: nothing where no destination of it lies outside.
    """

    rule: Rule
    key: ObjectKey
    entries: tuple[RuleEntry, ...]
    group: tuple[tuple[ObjectKey, tuple[Source, ...]], ...]
    placed: frozenset[ObjectKey]
    order: str  # of the rule


def list_key(cluster: str, rule: Rule) -> ObjectKey:
    """The list that a rule's lines stand in: one for each tier and namespace. Where namespaces share addresses, one for the tier."""
    return _key(Kind.RULE_LIST, cluster, SCOPES[rule.tier], "" if _shares(rule) else rule.ref.namespace, "")


def _shares(rule: Rule) -> bool:
    """Whether it is about addresses that namespaces may share."""
    return rule.source.view.source is not AddressSource.POD


def source_key(cluster: str, rule: Rule) -> ObjectKey:
    """The group that a rule's source becomes: shared where it is plain, the rule's own where it selects by labels."""
    source, ref = rule.source, rule.ref
    if source.kind is SourceKind.BUILTIN or source.whole_cluster:
        return builtin(cluster, source.service or "pod-ranges")
    scope, namespace, name = _place(rule)
    if (source.pods.requirements or source.service_accounts) and scope is Scope.NAMESPACE:
        scope, namespace, name = Scope.RULE, ref.namespace, ref.label
    return _key(Kind.GROUP, cluster, scope, namespace, name)


@lru_cache(maxsize=65_536)
def _key(kind: Kind, cluster: str, scope: Scope, namespace: str, name: str) -> ObjectKey:
    """The same object for the same key: parts of a policy name the same groups, and are laid together at every edit."""
    return ObjectKey(kind, cluster, scope, namespace, name)


def _place(rule: Rule) -> tuple[Scope, str, str]:
    """Scope, namespace and name of the group of a source without more conditions."""
    source = rule.source
    match source.kind:
        case SourceKind.SERVICE:
            return Scope.SERVICE, source.namespace, source.service
        case SourceKind.CLUSTER:
            return Scope.CLUSTER, "", rule.ref.label
        case SourceKind.PREFIXES:
            return Scope.NAMESPACE, source.namespace, ".prefixes"
    return Scope.NAMESPACE, source.namespace, ""


def add_lines(
    rules: Collection[Rule], withheld: Collection[Ref], policy: ClusterPolicy, result: Compiled, memory: Memory
) -> list[Lines]:
    """The lines of these rules, in order; `result` gets what they name."""
    found = _add_destinations(rules, policy, result, memory)
    given = (
        (
            rule,
            policy.cluster,
            tuple(map(found.get, rule.destinations)),
            rule.ref in withheld,
            policy.ends.get(rule.ref),
        )
        for rule in rules
    )
    made = memory.each("lines", given, _lines)
    for one in made if policy.ends else ():
        schedule = schedule_of(policy.cluster, one.rule.action, policy.ends.get(one.rule.ref))
        if one.entries and schedule:
            result.objects[schedule.key] = schedule
    result.groups.update(pair for one in made for pair in one.group)
    result.placed.update((one.rule.ref, one.placed) for one in made if one.placed)
    for one in made:
        if not one.entries:
            _no_destination(one.rule, result)
        elif one.rule.source.whole_cluster:
            fixed_group(builtin(policy.cluster, "pod-ranges"), policy.governance.pod_ranges, result)
    return made


def entries(rule: Rule, policy: ClusterPolicy, result: Compiled, *, withheld: bool) -> Iterator[RuleEntry]:
    """The lines of one rule: one for each external service and protocol."""
    (made,) = add_lines((rule,), (rule.ref,) if withheld else (), policy, result, Memory())
    yield from made.entries


def external_group(cluster: str, service: ExternalService, outside: Iterable[str], result: Compiled) -> ObjectKey:
    """The group of a service's members that are outside."""
    group = _external_group(cluster, service, outside)
    result.objects[group.key] = group
    return group.key


def ports_of(cluster: str, service: ExternalService, traffic: Traffic, result: Compiled) -> ObjectKey | None:
    """The ports of one kind of traffic of a service; None for every one."""
    ports = _ports(cluster, service, traffic)
    if ports is None:
        return None
    result.objects[ports.key] = ports
    return ports.key


def short(ref: Ref) -> str:
    """A destination in a line's name; a cluster's service is told apart from a namespace's of the same name."""
    return ref.label if ref.namespace else f"cluster_{ref.label}"


def _add_destinations(
    rules: Iterable[Rule], policy: ClusterPolicy, result: Compiled, memory: Memory
) -> dict[Ref, Destination]:
    """What these rules lead to, of all that can be read."""
    named = {ref for rule in rules for ref in rule.destinations}
    internal = policy.governance.internal
    given = ((service, policy.cluster, internal) for ref, service in policy.externals.items() if ref in named)
    made = memory.each("destinations", given, _destination)
    for one in made:
        result.objects.update((each.key, each) for each in one.objects)
        result.placed[one.service.ref] = one.keys
        if not one.objects:
            result.remarks[one.service.ref] = Remark("NoDestination", "every address of it lies inside the cluster")
    return {one.service.ref: one for one in made}


def _destination(service: ExternalService, cluster: str, internal: tuple[str, ...]) -> Destination:
    outside = addresses.subtract(service.addresses, internal)
    if not outside and not service.fqdns:
        return Destination(service, (), (), frozenset())
    found = [_ports(cluster, service, traffic) for traffic in service.traffic]
    objects: tuple[Group | Ports, ...] = (_external_group(cluster, service, outside), *filter(None, found))
    keys = tuple(ports.key if ports else None for ports in found)
    return Destination(service, objects, keys, frozenset(each.key for each in objects))


def schedule_of(cluster: str, action: Action, end: datetime | None) -> Schedule | None:
    """What has a device end a line of this action by itself. Only an Allow: without a Deny in its place more would be let through."""
    return schedule_after(cluster, end) if end and action is Action.ALLOW else None


def _lines(
    rule: Rule, cluster: str, destinations: tuple[Destination | None, ...], withheld: bool, end: datetime | None
) -> Lines:
    source = source_key(cluster, rule)
    schedule = schedule_of(cluster, rule.action, end)
    key = list_key(cluster, rule)
    made = tuple(
        replace(_entry(rule, source, one, number, withheld), schedule=schedule.key if schedule else None)
        for one in destinations
        if one is not None and one.objects
        for number in range(len(one.ports))
    )
    if not made:
        return Lines(rule, key, (), (), frozenset(), rule.order)
    group = () if rule.source.whole_cluster else ((source, (replace(rule.source, governed_only=True),)),)
    placed = frozenset((key, *(ref for entry in made for ref in entry.references())))
    return Lines(rule, key, made, group, placed, rule.order)


def _entry(rule: Rule, source: ObjectKey, to: Destination, number: int, withheld: bool) -> RuleEntry:
    traffic = to.service.traffic[number]
    what = f"{traffic.protocol.lower()}{traffic.number or ''}"
    whose = f"{rule.ref.namespace}_" if _shares(rule) and rule.ref.namespace else ""  # in a list of many namespaces
    return RuleEntry(
        f"{whose}{rule.ref.label}_{short(to.service.ref)}_{what}",  # no name of Kubernetes holds a "_"
        rule.action,
        (source,),
        (to.group,),
        traffic.protocol,
        to.ports[number],
        rule.log,
        withheld,
        traffic.icmp,
        traffic.number,
        to.service.limit(traffic.protocol),
    )


def _no_destination(rule: Rule, result: Compiled) -> None:
    known = result.remarks.get(rule.ref)
    if known is None or known.reason in ("", "Withheld"):  # what has no effect anyhow waits for nothing
        message = "every destination lies inside the cluster: the rule has no effect"
        result.remarks[rule.ref] = Remark("NoDestination", message)


def _external_group(cluster: str, service: ExternalService, outside: Iterable[str]) -> Group:
    key = _key(Kind.GROUP, cluster, _scope(service), service.ref.namespace, service.ref.label)
    return Group(key, frozenset(outside), frozenset(service.fqdns))


def _ports(cluster: str, service: ExternalService, traffic: Traffic) -> Ports | None:
    if not traffic.ports:
        return None
    name = f"{service.ref.label}.{traffic.protocol.lower()}"
    return Ports(_key(Kind.PORTS, cluster, _scope(service), service.ref.namespace, name), traffic.ports)


def _scope(service: ExternalService) -> Scope:
    return Scope.EXTERNAL if service.ref.namespace else Scope.CLUSTER_EXTERNAL
