"""Rules to what a tiered device holds: groups, port sets and one rule list per tier and namespace (SEMANTICS 4 and 5).

Inside a tier the namespaces of a cluster never share a workload, nor do the clusters of a device, so a list per namespace decides
exactly as one list over all of them would, and a change in one namespace leaves the others alone.
"""

from collections.abc import Iterable

from bridge.model.identity import ObjectKey
from bridge.model.intent import RuleList
from bridge.model.policy import Ref, Rule
from bridge.policy.compiled import ClusterPolicy, Compiled, Target
from bridge.policy.lines import entries, list_key
from bridge.policy.remainder import add_default, exempt
from bridge.policy.standing import standing


def compile_tiered(policy: ClusterPolicy, target: Target) -> Compiled:
    """What `policy` asks of a device that has a place for each tier."""
    result = Compiled()
    judged = standing(policy, target, result)
    for key, listed in by_list(policy.cluster, judged.rules).items():
        _add_list(key, listed, policy, judged.withheld, result)
    add_default(policy, target, result)
    return result


def by_list(cluster: str, rules: Iterable[Rule]) -> dict[ObjectKey, list[Rule]]:
    """The rules of each list in their order."""
    lists: dict[ObjectKey, list[Rule]] = {}
    for rule in rules:
        lists.setdefault(list_key(cluster, rule), []).append(rule)
    return lists


def _add_list(
    key: ObjectKey, listed: Iterable[Rule], policy: ClusterPolicy, withheld: frozenset[Ref], result: Compiled
) -> None:
    """The list of these rules, before them who is exempt where one is about the whole cluster; none where no rule has a line."""
    made = [(rule, tuple(entries(rule, policy, result, withheld=rule.ref in withheld))) for rule in listed]
    found = [entry for _, lines in made for entry in lines]
    if not found:
        return
    first = (exempt(policy, result),) if any(rule.source.whole_cluster for rule, _ in made) else ()
    for rule, lines in made:
        parts = (*first, *lines) if rule.source.whole_cluster else lines
        if lines:
            result.place(rule.ref, key, *(ref for entry in parts for ref in entry.references()))
    result.objects[key] = RuleList(key, (*first, *found))
