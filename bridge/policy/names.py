"""Names as one device has them: taken as they are, or in their place the addresses that the bridge resolved (SEMANTICS 4)."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from bridge.model import addresses
from bridge.model.policy import Action, ExternalService, Ref
from bridge.policy.compiled import ClusterPolicy, Compiled, Remark, Target


@dataclass(frozen=True, slots=True)
class Resolved:
    """Policy and device without names that the device cannot have; `unknown` are names of external services that nobody resolved yet."""

    policy: ClusterPolicy
    target: Target
    unknown: Mapping[Ref, tuple[str, ...]]

    def tell(self, result: Compiled) -> None:
        """Say of services and Allows what is not there yet because of a name."""
        if not self.unknown:
            return
        for ref, names in self.unknown.items():
            if ref in result.placed:
                result.remarks[ref] = _not_yet(names)
        for rule in self.policy.rules:
            names = tuple(name for ref in rule.destinations for name in self.unknown.get(ref, ()))
            known = result.remarks.get(rule.ref)
            if names and rule.ref in result.placed and (known is None or known.reason in ("", "NoDestination")):
                empty = known is not None and known.reason == "NoDestination"
                result.remarks[rule.ref] = _not_yet(names) if empty else replace(_not_yet(names), reason="")


def resolved(policy: ClusterPolicy, target: Target) -> Resolved:
    """The policy with addresses for names. What is stopped by a name that nobody resolved yet stands in part, and withholds what is below.

    A device that sees workloads in several ways takes no name: nobody can tell beforehand which way a name leads.
    """
    if len(target.views) > 1:
        target = replace(target, capabilities=replace(target.capabilities, fqdn=False, wildcards=False))
    if policy.names is None or target.capabilities.fqdn:
        return Resolved(policy, target, {})
    named = {ref: service for ref, service in policy.externals.items() if service.fqdns}
    externals = {**policy.externals, **{ref: _in_addresses(one, policy.names) for ref, one in named.items()}}
    unknown = {
        ref: names
        for ref, one in named.items()
        if (names := tuple(name for name in one.fqdns if "*" not in name and name not in policy.names))
    }
    partial = (
        {}
        if not unknown
        else {
            rule.ref: _not_yet(unknown[ref])
            for rule in policy.rules
            if rule.action is not Action.ALLOW
            for ref in rule.destinations
            if ref in unknown
        }
    )
    meant = {**externals, **{ref: replace(externals[ref], fqdns=names) for ref, names in unknown.items()}}
    taken = replace(policy, externals=externals, partial={**policy.partial, **partial}, names=None, meant=meant)
    return Resolved(taken, target, unknown)


def _in_addresses(service: ExternalService, names: Mapping[str, tuple[str, ...]]) -> ExternalService:
    """Names with a * stay: nobody can resolve them."""
    found = {address for name in service.fqdns for address in names.get(name, ())}
    members = tuple(sorted({*service.addresses, *found}, key=addresses.sort_key))
    return replace(service, addresses=members, fqdns=tuple(name for name in service.fqdns if "*" in name))


def _not_yet(names: tuple[str, ...]) -> Remark:
    return Remark("Pending", f"not resolved yet: {', '.join(names)}")
