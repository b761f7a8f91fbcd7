"""Whether a plan fits into the quotas, known before its first call. Pure.

A security group counts its entries for each family apart; one for a prefix list weighs the list's MaxEntries, whatever the list holds.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from adapters.aws.compiled import Entry, compiled, families
from adapters.aws.known import Known
from adapters.aws.records import kept
from adapters.aws.register import entries_of
from adapters.aws.scope import family
from adapters.aws.values import AMAZON, Rule
from bridge.model.identity import Kind, ObjectKey, Scope
from bridge.model.intent import Attachment, DeviceObject, Group, Objects, Shard
from bridge.model.plan import Step

Weights = Counter[tuple[str, str]]
"""By security group and family."""

# Who is named where it is too much: whatever comes last of what is too much together. So rather a group than all the rules of a team,
# and rather who calls than who is called.
_ORDER = (Kind.ATTACHMENT, Kind.POLICY, Kind.RULE_LIST, Kind.PORTS, Kind.GROUP, Kind.SHARD)
_CALLED = (Scope.EXTERNAL, Scope.CLUSTER_EXTERNAL, Scope.BUILTIN)


def refusals(known: Known, steps: Sequence[Step]) -> dict[ObjectKey, str]:
    """The objects for which there is no room, each with the quota in its way; empty where all of the plan fits."""
    ends = {step.key: step.after for step in steps}
    found = dict(_too_many_lists(known, ends))
    found |= _too_heavy(known, {key: after for key, after in ends.items() if key not in found})
    return found | _too_long(known, steps, found)


def weights(known: Known, objects: Objects, entries: Iterable[Entry], *, actual: bool = False) -> Weights:
    """What these entries of ours weigh, with those of others that stay; `actual` as large as the lists are now, where they are there."""
    found: Weights = Counter()
    every = set(entries)
    spots = known.spots()
    for rule in known.rules:
        if not known.ours(rule) and rule.peer not in spots:
            found.update(_foreign(rule, known))
    every |= {entry for entry, rule in known.permitted().items() if not known.ours(rule)}
    for entry in every:
        found[entry.group, entry.family] += _size(known, objects, entry, actual=actual)
    return found


def _size(known: Known, objects: Objects, entry: Entry, *, actual: bool) -> int:
    """What an entry for a list weighs now, or once the list holds what it should."""
    held = known.lists.get((entry.source, entry.family))
    if actual and held is not None:
        return held.told.size
    part = objects.get(entry.source)
    members = part.members if isinstance(part, Group | Shard) else ()
    return known.scope.size(sum(family(one) == entry.family for one in members))


def _foreign(rule: Rule, known: Known) -> dict[tuple[str, str], int]:
    held = next((one for one in known.others if one.id == rule.peer), None)
    if held is not None and held.account != AMAZON:
        return {(rule.group, held.family): held.size}
    return {(rule.group, version): 1 for version in rule.families}


def _too_heavy(known: Known, ends: Mapping[ObjectKey, DeviceObject | None]) -> dict[ObjectKey, str]:
    most = known.scope.rules
    now = known.objects()
    last = {key: value for key, value in {**now, **ends}.items() if value is not None}
    if not _above(_weighed(known, last), most, Counter()):
        return {}
    found: dict[ObjectKey, str] = {}
    # Attachments come first, so that what they attach is blamed and not they.
    state = {key: value for key, value in now.items() if ends.get(key, value) is not None}
    state |= {key: value for key, value in last.items() if isinstance(value, Attachment)}
    held = _weighed(known, state)
    changed = [key for key, value in ends.items() if value is not None and key.kind is not Kind.ATTACHMENT]
    for key in sorted(changed, key=_turn):
        trial = {**state, key: last[key]}
        weighed = _weighed(known, trial)
        over = next(iter(_above(weighed, most, held)), None)
        if over is None:
            state, held = trial, weighed
        else:
            found[key] = f"{over[0]} would hold {weighed[over]} rules of {over[1]}, and its quota is {most}"
    return found


def _turn(key: ObjectKey) -> tuple[int, bool, str]:
    return _ORDER.index(key.kind), key.scope not in _CALLED, str(key)


def _weighed(known: Known, objects: Objects) -> Weights:
    return weights(known, objects, compiled(objects, known.places))


def _above(found: Weights, most: int, before: Weights) -> list[tuple[str, str]]:
    return sorted(one for one, weight in found.items() if weight > most and weight > before[one])


def _too_many_lists(known: Known, ends: Mapping[ObjectKey, DeviceObject | None]) -> Iterator[tuple[ObjectKey, str]]:
    """New lists are made before old ones go."""
    count = known.count() + (known.register is None)
    for key, value in sorted(ends.items()):
        if isinstance(value, Shard) or (isinstance(value, Group) and not value.shards):
            new = sum((key, version) not in known.lists for version in families(value.members))
            if new and count + new > known.scope.lists:
                yield (
                    key,
                    f"{count} prefix lists are there or coming, and the quota of the region is {known.scope.lists}",
                )
            else:
                count += new


def _too_long(known: Known, steps: Iterable[Step], refused: Collection[ObjectKey]) -> dict[ObjectKey, str]:
    """What the register has no room for, each object at its longest on the way; what grows most is named first."""
    most = max(known.scope.entries, known.register.size if known.register else 0)
    now = {key: len(held) for key, held in known.said.prefixes.items()}
    longest: Counter[ObjectKey] = Counter()
    for step in steps:
        if step.key not in refused:
            longest[step.key] = max(longest[step.key], _length(step))
    growth = {key: length - now.get(key, 0) for key, length in longest.items()}
    total = sum(now.values()) + (ObjectKey.fence() not in now)
    found = {}
    for key, more in sorted(growth.items(), key=lambda one: (one[1], str(one[0]))):
        if more > 0 and total + more > most:
            found[key] = (
                f"the register of rules has {total} of {most} entries of up to 240 letters, and this needs {more} more: "
                "fewer or wider rules, a larger scope.entries where the account has the quota, or another owner for some of them"
            )
        else:
            total += more
    return found


def _length(step: Step) -> int:
    return 0 if step.after is None or not kept(step.after) else len(entries_of(step.key, step.after))
