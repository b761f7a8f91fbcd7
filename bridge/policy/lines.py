"""What one rule becomes on a device that holds it as it is written: lines, the groups and ports that they name."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from bridge.model import addresses
from bridge.model.identity import Kind, ObjectKey, Scope
from bridge.model.intent import Group, Ports, RuleEntry
from bridge.model.policy import ExternalService, Ref, Rule, SourceKind, Traffic
from bridge.model.tiers import SCOPES
from bridge.policy.compiled import ClusterPolicy, Compiled, Remark
from bridge.policy.remainder import builtin, fixed_group


def list_key(cluster: str, rule: Rule) -> ObjectKey:
    """The list that a rule's lines stand in: one for each tier and namespace."""
    return ObjectKey(Kind.RULE_LIST, cluster, SCOPES[rule.tier], rule.ref.namespace)


def source_key(cluster: str, rule: Rule) -> ObjectKey:
    """The group that a rule's source becomes: shared where it is plain, the rule's own where it selects by labels."""
    source, ref = rule.source, rule.ref
    if source.kind is SourceKind.BUILTIN or source.whole_cluster:
        return builtin(cluster, source.service or "pod-ranges")
    scope, namespace, name = _place(rule)
    if (source.pods.requirements or source.service_accounts) and scope is Scope.NAMESPACE:
        scope, namespace, name = Scope.RULE, ref.namespace, ref.label
    return ObjectKey(Kind.GROUP, cluster, scope, namespace, name)


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


def entries(rule: Rule, policy: ClusterPolicy, result: Compiled, *, withheld: bool) -> Iterator[RuleEntry]:
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
        destination = external_group(policy.cluster, service, outside, result)
        for traffic in service.traffic:
            ports = ports_of(policy.cluster, service, traffic, result)
            result.place(ref, destination, *([ports] if ports else ()))
            number = traffic.number or ""
            name = (
                f"{rule.ref.label}_{short(ref)}_{traffic.protocol.lower()}{number}"  # no name of Kubernetes holds a "_"
            )
            sides, more = ((source,), (destination,)), (traffic.icmp, traffic.number)
            yield RuleEntry(
                name, rule.action, *sides, traffic.protocol, ports, rule.log, withheld, *more, service.limit(traffic.protocol)
            )
    if not made:
        known = result.remarks.get(rule.ref)
        if known is None or known.reason in ("", "Withheld"):  # what has no effect anyhow waits for nothing
            message = "every destination lies inside the cluster: the rule has no effect"
            result.remarks[rule.ref] = Remark("NoDestination", message)
    elif rule.source.whole_cluster:
        fixed_group(builtin(policy.cluster, "pod-ranges"), policy.governance.pod_ranges, result)
    else:
        result.groups[source] = (replace(rule.source, governed_only=True),)


def external_group(cluster: str, service: ExternalService, outside: Iterable[str], result: Compiled) -> ObjectKey:
    scope = Scope.EXTERNAL if service.ref.namespace else Scope.CLUSTER_EXTERNAL
    key = ObjectKey(Kind.GROUP, cluster, scope, service.ref.namespace, service.ref.label)
    result.objects[key] = Group(key, frozenset(outside), frozenset(service.fqdns))
    return key


def ports_of(cluster: str, service: ExternalService, traffic: Traffic, result: Compiled) -> ObjectKey | None:
    if not traffic.ports:
        return None
    scope = Scope.EXTERNAL if service.ref.namespace else Scope.CLUSTER_EXTERNAL
    name = f"{service.ref.label}.{traffic.protocol.lower()}"
    key = ObjectKey(Kind.PORTS, cluster, scope, service.ref.namespace, name)
    result.objects[key] = Ports(key, traffic.ports)
    return key


def short(ref: Ref) -> str:
    """A destination in a line's name; a cluster's service is told apart from a namespace's of the same name."""
    return ref.label if ref.namespace else f"cluster_{ref.label}"
