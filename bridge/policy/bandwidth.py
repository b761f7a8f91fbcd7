"""Limits of the rate, which go to devices that have them by name, and are told of where one has not."""

from dataclasses import replace

from bridge.policy.compiled import ClusterPolicy, Compiled, Remark, Target


def within_means(policy: ClusterPolicy, target: Target) -> ClusterPolicy:
    """The policy without the limits that the device cannot set: its rules stand, unlimited."""
    if target.capabilities.bandwidth or not any(service.bandwidth for service in policy.externals.values()):
        return policy
    unlimited = {ref: replace(one, bandwidth=()) for ref, one in policy.externals.items() if one.bandwidth}
    return replace(policy, externals={**policy.externals, **unlimited})


def tell_unlimited(policy: ClusterPolicy, target: Target, result: Compiled) -> None:
    """A remark for each rule that is on the device without a limit that `policy` asks for."""
    if target.capabilities.bandwidth or not any(service.bandwidth for service in policy.externals.values()):
        return
    for rule in policy.rules:
        named = sorted(
            {
                name
                for ref in rule.destinations
                if ref in policy.externals
                for _, name in policy.externals[ref].bandwidth
            }
        )
        if named and rule.ref in result.placed:
            words = f"the device limits no bandwidth: {', '.join(named)} has no effect there"
            result.remarks.setdefault(rule.ref, Remark("", words))
