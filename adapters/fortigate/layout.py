"""Our objects as the block of policies that they are, from the top, and the objects that a block is. Pure."""

from collections.abc import Iterable, Iterator

from adapters.fortigate.rows import Placed, Row
from bridge.model.identity import Kind, ObjectKey
from bridge.model.identity import Scope as KeyScope
from bridge.model.intent import Attachment, DeviceObject, Objects, Policy, RuleEntry, RuleList
from bridge.model.policy import Action
from bridge.model.tiers import SCOPES

TIERS = tuple(SCOPES.values())


def layout(objects: Objects) -> list[Row]:
    """The block that these objects are, from the top."""
    rows: list[Row] = []
    named: set[ObjectKey] = set()
    attached = {key.scope for key, value in objects.items() if isinstance(value, Attachment)}
    for tier in TIERS:
        policy = objects.get(ObjectKey(Kind.POLICY, "", tier))
        if not isinstance(policy, Policy):
            continue
        rows.append(Row(policy.key, live=tier in attached))
        for key in policy.lists:
            listed = objects.get(key)
            if isinstance(listed, RuleList) and key not in named:
                named.add(key)
                rows += _list_rows(listed, named=True, live=tier in attached)
    for key in sorted(key for key in objects if key.kind is Kind.RULE_LIST and key not in named):
        listed = objects[key]
        if isinstance(listed, RuleList):
            rows += _list_rows(listed, named=False, live=False)
    return rows


def _list_rows(listed: RuleList, *, named: bool, live: bool) -> Iterator[Row]:
    yield Row(listed.key, live=named)
    yield from (Row(listed.key, entry, live) for entry in listed.entries if entry.sources)


def gathered(placed: Iterable[Placed]) -> dict[ObjectKey, DeviceObject]:
    """The objects that a block is. What does not stand as it should reads as a line without sources, which nobody wants."""
    found: list[Placed] = list(placed)
    lines: dict[ObjectKey, list[RuleEntry]] = {}
    lists: dict[ObjectKey, list[ObjectKey]] = {}
    attached: set[KeyScope] = set()
    tier: ObjectKey | None = None
    for one in found:
        key, line = one.about
        if key.kind is Kind.POLICY:
            tier = key
            lists.setdefault(key, [])
            attached.update({key.scope} if one.live else ())
        elif not line:
            lines.setdefault(key, [])
            if one.live and tier is not None:
                lists[tier].append(key)
        elif one.row is not None and one.row.entry is not None:
            lines.setdefault(key, []).append(one.row.entry)
    objects: dict[ObjectKey, DeviceObject] = {key: RuleList(key, tuple(entries)) for key, entries in lines.items()}
    objects.update({key: Policy(key, tuple(dict.fromkeys(held))) for key, held in lists.items()})
    objects.update({one.key: one for one in map(_attachment, attached)})
    for key in _amiss(found, objects):
        value = objects.get(key)
        entries = value.entries if isinstance(value, RuleList) else ()
        objects[key] = _odd(key, entries)
    return objects


def _amiss(found: list[Placed], objects: Objects) -> set[ObjectKey]:
    """What does not stand as the objects that were read would."""
    wanted = layout(objects)
    amiss = {one.about[0] for one in found if one.row is None or one.astray}
    for one, row in zip(found, wanted, strict=False):
        if one.row != row:
            amiss |= {one.about[0], row.key}
    if len(found) != len(wanted):
        amiss |= {one.about[0] for one in found[len(wanted) :]} | {row.key for row in wanted[len(found) :]}
    return amiss


def _odd(key: ObjectKey, entries: tuple[RuleEntry, ...]) -> DeviceObject:
    if key.kind is Kind.RULE_LIST:
        return RuleList(key, (*entries, RuleEntry("?", Action.DENY, (), ())))
    return Policy(key, (ObjectKey(Kind.RULE_LIST, "?", key.scope),))


def _attachment(tier: KeyScope) -> Attachment:
    return Attachment(ObjectKey(Kind.ATTACHMENT, "", tier), ObjectKey(Kind.POLICY, "", tier))
