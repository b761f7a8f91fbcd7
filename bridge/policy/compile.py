"""From what is written in a cluster to what one of its devices should hold, whatever its form (SEMANTICS 1, 3, 4 and 5).

Names come first: what a device does not take, the bridge has resolved. Then each view: destinations are parted by how the device sees
workloads on the way there, so that each part is compiled by itself, as the form of the device asks. No packet is in two parts.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace

from bridge.model.capabilities import Form
from bridge.model.identity import Kind, ObjectKey, Scope
from bridge.model.intent import Policy
from bridge.model.policy import Tier
from bridge.model.tiers import SCOPES
from bridge.policy.allow_only import compile_allow_only
from bridge.policy.bandwidth import tell_unlimited, within_means
from bridge.policy.compiled import ClusterPolicy, Compiled, Remark, Target
from bridge.policy.confine import confine
from bridge.policy.flat import compile_flat
from bridge.policy.lines import source_key
from bridge.policy.memory import Memory
from bridge.policy.named import add_named_groups
from bridge.policy.names import resolved
from bridge.policy.remainder import EVERYONE, EXEMPT, GOVERNED, KNOWN
from bridge.policy.tiered import compile_tiered
from bridge.policy.validity import ends
from bridge.policy.views import seen

__all__ = [
    "EVERYONE",
    "EXEMPT",
    "GOVERNED",
    "KNOWN",
    "ClusterPolicy",
    "Compiled",
    "Remark",
    "Target",
    "compile_policy",
    "policies",
    "source_key",
]

Compiler = Callable[[ClusterPolicy, Target, Memory], Compiled]

_COMPILERS: Mapping[Form, Compiler] = {
    Form.TIERED: compile_tiered,
    Form.FLAT: compile_flat,
    Form.ALLOW_ONLY: compile_allow_only,
}


def compile_policy(policy: ClusterPolicy, target: Target, memory: Memory | None = None) -> Compiled:
    """What `policy` asks of the device. A memory makes it quick where little has changed, and no different."""
    policy = replace(policy, ends=ends(policy.rules, policy.at)) if target.capabilities.schedules else policy
    taken = resolved(within_means(policy, target), target)
    result = seen(taken.policy, taken.target, _COMPILERS[target.capabilities.form], memory or Memory())
    taken.tell(result)
    tell_unlimited(policy, target, result)
    if target.namespaces is not None:
        confine(result, target.name, target.namespaces)
    add_named_groups(policy, target, result)
    return result


def policies(keys: Iterable[ObjectKey]) -> Iterator[Policy]:
    """The policy of each tier, made of these rule lists; the default follows the last tier. All three always exist."""
    lists = sorted(keys)
    for tier in Tier:
        scope = SCOPES[tier]
        chosen = [key for key in lists if key.scope is scope]
        if tier is Tier.SERVICE:
            chosen += [key for key in lists if key.scope is Scope.DEFAULT]
        yield Policy(ObjectKey(Kind.POLICY, "", scope), tuple(chosen))
