"""The bridge's own kinds: from custom resources as people wrote them to the values of the model.

Each parser takes an object of its kind and returns the value, or raises `Invalid`, a PolicyError that carries every problem found.
Whatever JSON the spec is, no other error comes out. A parser looks at one object only: whether a reference leads anywhere, and whether
a namespace is governed, is the business of the caller.
"""

from bridge.dialects import fields, kinds, specs
from bridge.dialects.dialect import NATIVE, Context, Dialect, Policy
from bridge.dialects.specs import Invalid
from bridge.dialects.traffic import traffic
from bridge.errors import PolicyError
from bridge.model.addresses import sort_key
from bridge.model.observed import PolicyObject, Resource
from bridge.model.policy import (
    ALWAYS,
    Action,
    AddressGroupSpec,
    Day,
    ExternalService,
    Operator,
    Ref,
    Requirement,
    Rule,
    Selector,
    Source,
    SourceKind,
    Tier,
    Validity,
    Window,
)

__all__ = [
    "DIALECT",
    "Invalid",
    "Policy",
    "parse",
    "parse_address_group",
    "parse_external_service",
    "parse_rule",
    "problems",
    "ref_of",
]


def parse(obj: PolicyObject) -> Policy:
    """The value of an object of any of our kinds."""
    if obj.resource is Resource.ADDRESS_GROUPS:
        return parse_address_group(obj)
    if obj.resource in (Resource.EXTERNAL_SERVICES, Resource.CLUSTER_EXTERNAL_SERVICES):
        return parse_external_service(obj)
    return parse_rule(obj)


def problems(obj: PolicyObject) -> list[PolicyError]:
    """Everything that is wrong with an object; empty when it can be taken."""
    try:
        parse(obj)
    except Invalid as invalid:
        return list(invalid.problems)
    return []


def parse_rule(obj: PolicyObject) -> Rule:
    """The rule of a ClusterEgressRule, NamespaceEgressRule or ServiceEgressRule; ValueError on any other kind."""
    if obj.resource is Resource.CLUSTER_RULES:
        return _cluster_rule(obj)
    if obj.resource is Resource.NAMESPACE_RULES:
        return _namespace_rule(obj)
    if obj.resource is Resource.SERVICE_RULES:
        return _service_rule(obj)
    raise ValueError(f"{obj.resource} are no rules")


def parse_external_service(obj: PolicyObject) -> ExternalService:
    """The destination that an ExternalService or ClusterExternalService names; order and notation of its lists do not matter."""
    spec = specs.read(specs.ExternalServiceSpec, obj.spec)
    return ExternalService(
        ref=ref_of(obj),
        addresses=tuple(sorted(spec.addresses, key=sort_key)),
        fqdns=tuple(sorted(spec.fqdns)),
        traffic=traffic(spec.ports),
    )


def parse_address_group(obj: PolicyObject) -> AddressGroupSpec:
    """The group of an AddressGroup."""
    spec = specs.read(specs.AddressGroupSpec, obj.spec)
    return AddressGroupSpec(ref=ref_of(obj), source=_cluster_source(spec), devices=tuple(sorted(spec.devices)))


def ref_of(obj: PolicyObject) -> Ref:
    """What other objects and status call this one."""
    kind = kinds.BY_RESOURCE[obj.resource]
    return Ref(kind.name, obj.namespace if kind.namespaced else "", obj.name)


def _cluster_rule(obj: PolicyObject) -> Rule:
    spec = specs.read(specs.ClusterEgressRuleSpec, obj.spec)
    targets = [Ref(kinds.CLUSTER_EXTERNAL_SERVICE.name, "", target.name) for target in spec.to]
    return _rule(obj, Tier.CLUSTER, spec, spec.action, _cluster_source(spec.from_), targets)


def _namespace_rule(obj: PolicyObject) -> Rule:
    spec = specs.read(specs.NamespaceEgressRuleSpec, obj.spec)
    source = Source(
        SourceKind.NAMESPACE,
        namespace=obj.namespace,
        pods=selector(spec.from_.pod_selector),
        service_accounts=tuple(sorted(f"{obj.namespace}/{name}" for name in spec.from_.service_accounts)),
    )
    return _rule(obj, Tier.NAMESPACE, spec, spec.action, source, _targets(obj, spec.to))


def _service_rule(obj: PolicyObject) -> Rule:
    spec = specs.read(specs.ServiceEgressRuleSpec, obj.spec)
    source = Source(SourceKind.SERVICE, namespace=obj.namespace, service=spec.service)
    return _rule(obj, Tier.SERVICE, spec, spec.action, source, _targets(obj, spec.to))


def _rule(obj: PolicyObject, tier: Tier, spec: specs.RuleSpec, action: str, source: Source, targets: list[Ref]) -> Rule:
    return Rule(
        ref=ref_of(obj),
        tier=tier,
        priority=spec.priority,
        action=Action(action),
        source=source,
        destinations=tuple(sorted(targets)),
        log=spec.log,
        devices=tuple(sorted(spec.devices)),
        validity=_validity(spec),
        accept_shared=spec.accept_shared,
    )


def _validity(spec: specs.RuleSpec) -> Validity:
    if not (spec.not_before or spec.not_after or spec.windows):
        return ALWAYS
    return Validity(
        fields.moment(spec.not_before) if spec.not_before else None,
        fields.moment(spec.not_after) if spec.not_after else None,
        frozenset(
            Window(frozenset(Day(day) for day in one.days), _minutes(one.start), _minutes(one.end), one.time_zone)
            for one in spec.windows
        ),
    )


def _minutes(text: str) -> int:
    hours, _, minutes = text.partition(":")
    return int(hours) * 60 + int(minutes)


def _targets(obj: PolicyObject, targets: list[specs.Target]) -> list[Ref]:
    return [
        Ref(target.kind, obj.namespace if kinds.BY_NAME[target.kind].namespaced else "", target.name)
        for target in targets
    ]


def _cluster_source(spec: specs.ClusterSource) -> Source:
    return Source(
        SourceKind.CLUSTER,
        pods=selector(spec.pod_selector),
        namespaces=selector(spec.namespace_selector),
        service_accounts=tuple(sorted(spec.service_accounts)),
    )


def selector(spec: specs.LabelSelector) -> Selector:
    """A label selector in one form: a label to match is a requirement of one value, and neither order nor repetition counts."""
    found = {Requirement(key, Operator.IN, (value,)) for key, value in spec.match_labels.items()}
    found |= {
        Requirement(item.key, Operator(item.operator), tuple(sorted(set(item.values))))
        for item in spec.match_expressions
    }
    return Selector(tuple(sorted(found)))


def _read(obj: PolicyObject, _context: Context) -> Policy:
    return parse(obj)


DIALECT = Dialect(NATIVE, kinds.KINDS, _read)
