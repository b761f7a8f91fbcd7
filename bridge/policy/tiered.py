"""Rules to what a tiered device holds: groups, port sets and one rule list per tier and namespace (SEMANTICS 4 and 5).

Inside a tier the namespaces of a cluster never share a workload, nor do the clusters of a device, so a list per namespace decides
exactly as one list over all of them would, and a change in one namespace leaves the others alone.
"""

from collections.abc import Iterable

from bridge.model.identity import ObjectKey
from bridge.model.intent import RuleEntry, RuleList
from bridge.policy.compiled import ClusterPolicy, Compiled, Target
from bridge.policy.lines import Lines, add_lines
from bridge.policy.memory import Memory
from bridge.policy.remainder import add_default, exempt
from bridge.policy.standing import standing


def compile_tiered(policy: ClusterPolicy, target: Target, memory: Memory | None = None) -> Compiled:
    """What `policy` asks of a device that has a place for each tier."""
    memory = memory or Memory()
    result = Compiled()
    judged = standing(policy, target, result, memory)
    made = add_lines(judged.rules, judged.withheld, policy, result, memory)
    add_lists(made, policy, result, memory)
    add_default(policy, target, result)
    return result


def add_lists(made: Iterable[Lines], policy: ClusterPolicy, result: Compiled, memory: Memory) -> None:
    """The lists of these lines; before the lines who is exempt, where one of them is about the whole cluster."""
    lists: dict[ObjectKey, list[Lines]] = {}
    wide: set[ObjectKey] = set()
    for one in made:
        if one.entries:
            lists.setdefault(one.key, []).append(one)
            if one.rule.source.whole_cluster:
                wide.add(one.key)
    first = (exempt(policy, result),) if wide else ()
    given = ((listed[0], tuple(listed), first if key in wide else ()) for key, listed in lists.items())
    for each in memory.each("lists", given, _list):
        result.objects[each.key] = each
    refs = [ref for entry in first for ref in entry.references()]
    for one in (one for key in wide for one in lists[key] if one.rule.source.whole_cluster):
        result.place(one.rule.ref, *refs)


def _list(head: Lines, listed: tuple[Lines, ...], first: tuple[RuleEntry, ...]) -> RuleList:
    return RuleList(head.key, (*first, *(entry for one in listed for entry in one.entries)))
