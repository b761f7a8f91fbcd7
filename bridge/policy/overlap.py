"""Whether two rules can meet in one packet. When in doubt they can: the answer guards what must not be opened."""

from collections.abc import Mapping

from bridge.model import addresses
from bridge.model.policy import ExternalService, Ref, Rule, Source, SourceKind

Externals = Mapping[Ref, ExternalService]


def rules_overlap(left: Rule, right: Rule, externals: Externals) -> bool:
    """Whether some packet may match both."""
    return sources_overlap(left.source, right.source) and any(
        services_overlap(externals[a], externals[b])
        for a in left.destinations
        if a in externals
        for b in right.destinations
        if b in externals
    )


def sources_overlap(left: Source, right: Source) -> bool:
    """Whether one workload may be selected by both: only two different namespaces are surely apart."""
    if SourceKind.CLUSTER in (left.kind, right.kind):
        return True
    return left.namespace == right.namespace


def services_overlap(left: ExternalService, right: ExternalService) -> bool:
    """Whether one destination may be both. A name may resolve to anything, so it overlaps with everything."""
    if not any(a.overlaps(b) for a in left.traffic for b in right.traffic):
        return False
    return bool(left.fqdns or right.fqdns) or addresses.overlap(left.addresses, right.addresses)
