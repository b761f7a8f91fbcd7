"""Who a source selects, and which namespaces are governed (SEMANTICS 1 and 2)."""

from bridge.model.observed import Labels, Namespace, Pod
from bridge.model.policy import Governance, Source, SourceKind

NAME_LABEL = "kubernetes.io/metadata.name"
ADDRESS_GROUP_ANNOTATION = "fusionbridge.io/address-group"


def governed(namespace: Namespace | None, governance: Governance) -> bool:
    """Whether rules apply in this namespace: chosen by its labels or named one by one, and never one of `never` unless named."""
    if namespace is None:
        return False
    if namespace.name in governance.named:
        return True
    return namespace.name not in governance.never and governance.namespaces.matches(namespace.labels)


def selectable(pod: Pod) -> bool:
    """Whether a pod can be a member: it may run and has a network of its own. Ready or not, ending or not: it needs its egress."""
    return not pod.terminal and not pod.host_network


def selects(source: Source, pod: Pod, namespace: Namespace | None) -> bool:
    """Whether the source selects this pod by labels and place. Services are resolved by the caller: see `service_selects`."""
    if source.service_accounts and f"{pod.namespace}/{pod.service_account}" not in source.service_accounts:
        return False
    if source.kind is SourceKind.NAMESPACE:
        return pod.namespace == source.namespace and source.pods.matches(pod.labels)
    if source.kind is SourceKind.CLUSTER:
        return (
            namespace is not None
            and source.namespaces.matches(namespace_labels(namespace))
            and source.pods.matches(pod.labels)
        )
    if source.kind is SourceKind.ANNOTATION:
        return pod.namespace == source.namespace and source.service in annotated_groups(pod.annotations)
    return False


def service_selects(selector: Labels, pod: Pod) -> bool:
    """Whether a Service with this selector stands before the pod; an empty selector selects nobody."""
    return bool(selector) and all(pod.labels.get(key) == value for key, value in selector.items())


def namespace_labels(namespace: Namespace) -> Labels:
    """The labels of a namespace, with the name label that Kubernetes itself sets on every namespace."""
    if NAME_LABEL in namespace.labels:
        return namespace.labels
    return {**namespace.labels, NAME_LABEL: namespace.name}


def annotated_groups(annotations: Labels) -> tuple[str, ...]:
    """The group names in an object's annotation, in order, as written; the dialect has checked them."""
    text = annotations.get(ADDRESS_GROUP_ANNOTATION, "")
    return tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
