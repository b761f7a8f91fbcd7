"""Groups that people asked for by name, whether or not a rule uses them."""

from bridge.model.identity import Kind, ObjectKey, Scope
from bridge.policy.compiled import ClusterPolicy, Compiled, Target


def add_named_groups(policy: ClusterPolicy, target: Target, result: Compiled) -> None:
    """Groups that people asked for by name, whether or not a rule uses them."""
    for spec in policy.address_groups:
        if not spec.devices or target.name in spec.devices:
            key = ObjectKey(Kind.GROUP, policy.cluster, Scope.ADDRESS_GROUP, "", spec.ref.label)
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
