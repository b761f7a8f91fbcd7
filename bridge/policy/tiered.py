"""Rules to what a tiered device holds: groups, port sets and one rule list per tier and namespace (SEMANTICS 4 and 5).

Inside a tier the namespaces of a cluster never share a workload, nor do the clusters of a device, so a list per namespace decides
exactly as one list over all of them would, and a change in one namespace leaves the others alone.
"""

from bridge.policy.compiled import ClusterPolicy, Compiled, Target
from bridge.policy.lines import add_lines
from bridge.policy.memory import Memory
from bridge.policy.parts import Draft, alike, compile_parts, drafted, scattered
from bridge.policy.remainder import add_default
from bridge.policy.standing import standing


def compile_tiered(policy: ClusterPolicy, target: Target, memory: Memory | None = None) -> Compiled:
    """What `policy` asks of a device that has a place for each tier."""
    memory = memory or Memory()
    # What is not in force withholds what is below it, wherever that stands: such parts are not alone.
    result = compile_parts(policy, target, scattered(alike(policy.rules)), _draft, memory)
    add_default(policy, target, result)
    return result


def _draft(policy: ClusterPolicy, target: Target, memory: Memory) -> Draft:
    result = Compiled()
    judged = standing(policy, target, result, memory)
    return drafted(result, add_lines(judged.rules, judged.withheld, policy, result, memory), alone=judged.whole)
