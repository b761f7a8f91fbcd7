"""What follows the last tier, and the groups that the bridge itself keeps for it: nothing of it is anybody's rule (SEMANTICS 1)."""

from collections.abc import Iterable

from bridge.model import addresses
from bridge.model.identity import Kind, ObjectKey, Scope
from bridge.model.intent import Group, RuleEntry, RuleList
from bridge.model.policy import Action, DefaultAction, Protocol, Source, SourceKind, UnknownAddresses
from bridge.policy.compiled import ClusterPolicy, Compiled, Target

GOVERNED, EXEMPT, KNOWN, EVERYONE = "governed", "exempt", "known", "everyone"


def add_default(policy: ClusterPolicy, target: Target, result: Compiled) -> None:
    """What follows the last tier. The deny matches pod ranges only, and never the inside: other traffic is not ours to match."""
    cluster, defaults = policy.cluster, target.defaults
    ranges = builtin(cluster, "pod-ranges")
    entries: list[RuleEntry] = []
    if defaults.unknown_addresses is UnknownAddresses.DENY:
        if defaults.action is DefaultAction.DENY:
            entries = [exempt(policy, result), _default_deny(ranges, policy, result)]
        else:
            known = _known_group(cluster, KNOWN, result)
            entries = [_onward("known", known, policy, result), _default_deny(ranges, policy, result)]
        fixed_group(ranges, policy.governance.pod_ranges, result)
    elif defaults.action is DefaultAction.DENY:
        entries = [_default_deny(_known_group(cluster, GOVERNED, result), policy, result)]
    if entries:
        key = ObjectKey(Kind.RULE_LIST, cluster, Scope.DEFAULT)
        result.objects[key] = RuleList(key, tuple(entries))


def exempt(policy: ClusterPolicy, result: Compiled) -> RuleEntry:
    """The line that lets pods of ungoverned namespaces go on unmatched."""
    return _onward("exempt", _known_group(policy.cluster, EXEMPT, result), policy, result)


def _onward(name: str, group: ObjectKey, policy: ClusterPolicy, result: Compiled) -> RuleEntry:
    return RuleEntry(name, Action.PASS, (group,), (_outside(policy, result),))


def _default_deny(source: ObjectKey, policy: ClusterPolicy, result: Compiled) -> RuleEntry:
    return RuleEntry("default-deny", Action.DENY, (source,), (_outside(policy, result),), Protocol.ANY, None, log=True)


def _outside(policy: ClusterPolicy, result: Compiled) -> ObjectKey:
    """Everything outside the cluster, in the address families that its pods have."""
    key = builtin(policy.cluster, "outside")
    fixed_group(key, outside(policy), result)
    return key


def outside(policy: ClusterPolicy) -> tuple[str, ...]:
    """Every destination that policy is about, as prefixes."""
    if policy.outside is not None:
        return policy.outside
    governance = policy.governance
    families = [everything for everything in addresses.ALL if _same_family(everything, governance.pod_ranges)]
    return addresses.subtract(families, governance.internal)


def _same_family(everything: str, ranges: Iterable[str]) -> bool:
    return any((":" in everything) == (":" in prefix) for prefix in ranges)


def builtin(cluster: str, name: str) -> ObjectKey:
    """The key of one of our own groups."""
    return ObjectKey(Kind.GROUP, cluster, Scope.BUILTIN, "", name)


def _known_group(cluster: str, name: str, result: Compiled) -> ObjectKey:
    key = builtin(cluster, name)
    result.groups[key] = (Source(SourceKind.BUILTIN, service=name),)
    return key


def fixed_group(key: ObjectKey, members: Iterable[str], result: Compiled) -> None:
    """A group whose members do not change with pods."""
    result.objects[key] = Group(key, frozenset(members))
