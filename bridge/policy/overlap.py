"""Whether two rules can meet in one packet. When in doubt they can: the answer guards what must not be opened."""

from collections.abc import Mapping

from bridge.model import addresses
from bridge.model.policy import AddressSource, ExternalService, Operator, Ref, Rule, Source, SourceKind
from bridge.policy.select import NAME_LABEL

Externals = Mapping[Ref, ExternalService]


def rules_overlap(left: Rule, right: Rule, externals: Externals) -> bool:
    """Whether some packet may match both. What an external service means that is not among them, nobody knows: it may be all."""
    return sources_overlap(left.source, right.source) and any(
        a not in externals or b not in externals or services_overlap(externals[a], externals[b])
        for a in left.destinations
        for b in right.destinations
    )


def sources_overlap(left: Source, right: Source) -> bool:
    """Whether one workload may be selected by both: only different namespaces and different service accounts are surely apart."""
    here, there = homes(left), homes(right)
    if here is not None and there is not None and here.isdisjoint(there):
        return False
    if left.view.source is not AddressSource.POD:
        return True
    accounts = (left.service_accounts, right.service_accounts)
    return not all(accounts) or not set(accounts[0]).isdisjoint(accounts[1])


def homes(source: Source) -> frozenset[str] | None:
    """The namespaces in which a source can select; None for all.

    Prefixes may hold whoever is given an address there, and workloads of all namespaces may share an address as seen.
    """
    if source.kind in (SourceKind.BUILTIN, SourceKind.PREFIXES) or source.view.source is not AddressSource.POD:
        return None
    if source.kind is not SourceKind.CLUSTER:
        return frozenset((source.namespace,))
    named = [frozenset(account.partition("/")[0] for account in source.service_accounts)]
    named += [
        frozenset(one.values)
        for one in source.namespaces.requirements
        if one.key == NAME_LABEL and one.operator is Operator.IN
    ]
    stated = [one for one in named if one]
    return frozenset.intersection(*stated) if stated else None


def services_overlap(left: ExternalService, right: ExternalService) -> bool:
    """Whether one destination may be both. A name may resolve to anything, so it overlaps with everything."""
    if not any(a.overlaps(b) for a in left.traffic for b in right.traffic):
        return False
    return bool(left.fqdns or right.fqdns) or addresses.overlap(left.addresses, right.addresses)
