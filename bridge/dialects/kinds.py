"""The bridge's own kinds: their names in manifests, the resource that serves each, and whether it stands in a namespace."""

from collections.abc import Mapping

from bridge.model.kinds import (
    ADDRESS_GROUP,
    API_VERSION,
    CLUSTER_EGRESS_RULE,
    CLUSTER_EXTERNAL_SERVICE,
    EXTERNAL_SERVICE,
    GROUP,
    NAMESPACE_EGRESS_RULE,
    OURS,
    SERVICE_EGRESS_RULE,
    Kind,
    Resource,
)

__all__ = [
    "ADDRESS_GROUP",
    "API_VERSION",
    "BY_NAME",
    "BY_RESOURCE",
    "CLUSTER_EGRESS_RULE",
    "CLUSTER_EXTERNAL_SERVICE",
    "EXTERNAL_KINDS",
    "EXTERNAL_SERVICE",
    "GROUP",
    "KINDS",
    "NAMESPACE_EGRESS_RULE",
    "RULE_KINDS",
    "SERVICE_EGRESS_RULE",
    "Kind",
]

KINDS = OURS
BY_NAME: Mapping[str, Kind] = {kind.name: kind for kind in KINDS}
BY_RESOURCE: Mapping[Resource, Kind] = {kind.resource: kind for kind in KINDS}
RULE_KINDS = (CLUSTER_EGRESS_RULE, NAMESPACE_EGRESS_RULE, SERVICE_EGRESS_RULE)
EXTERNAL_KINDS = (CLUSTER_EXTERNAL_SERVICE, EXTERNAL_SERVICE)
