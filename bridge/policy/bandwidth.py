"""Limits of the rate, which go to devices that have them by name, and are told of where one has not."""

from dataclasses import replace

from bridge.model.policy import ExternalService
from bridge.policy.compiled import ClusterPolicy, Compiled, Remark, Target


def within_means(policy: ClusterPolicy, target: Target) -> ClusterPolicy:
    """The policy without the limits that the device has not: its rules stand, unlimited."""
    unlimited = {
        ref: replace(one, bandwidth=tuple(each for each in one.bandwidth if each[1] not in _missing(one, target)))
        for ref, one in policy.externals.items()
        if one.bandwidth and _missing(one, target)
    }
    return replace(policy, externals={**policy.externals, **unlimited}) if unlimited else policy


def tell_unlimited(policy: ClusterPolicy, target: Target, result: Compiled) -> None:
    """A remark for each rule that is on the device without a limit that `policy` asks for."""
    missing = {
        ref: found for ref, one in policy.externals.items() if one.bandwidth and (found := _missing(one, target))
    }
    if not missing:
        return
    for rule in policy.rules:
        named = sorted({name for ref in rule.destinations for name in missing.get(ref, ())})
        if named and rule.ref in result.placed:
            words = f"the device has no limit of bandwidth named {', '.join(named)}: the rule stands without"
            result.remarks.setdefault(rule.ref, Remark("", words))


def _missing(service: ExternalService, target: Target) -> set[str]:
    return {name for _, name in service.bandwidth} - set(target.capabilities.bandwidth)
