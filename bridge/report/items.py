"""Objects of a device by their items: what is missing, what is extra, and how each item stands."""

from collections.abc import Collection, Hashable, Iterable, Mapping

from bridge.model.addresses import sort_key
from bridge.model.identity import Kind, ObjectKey
from bridge.model.intent import Attachment, DeviceObject, Group, Objects, Policy, Ports, RuleList, Schedule, Shard
from bridge.model.schedules import moment
from bridge.report.model import Item, ItemState
from bridge.report.naming import line
from bridge.state.reported import Holder

Parts = Mapping[Hashable, str]  # what an item is, and how it reads

_ORDERED = (Kind.RULE_LIST, Kind.POLICY)


def joined(objects: Objects) -> dict[ObjectKey, DeviceObject]:
    """The objects with the shards of each group put together: how a group is split is no difference."""
    members: dict[ObjectKey, set[str]] = {}
    result: dict[ObjectKey, DeviceObject] = {}
    for key, value in objects.items():
        if isinstance(value, Shard):
            members.setdefault(key.group, set()).update(value.members)
        else:
            result[key] = value
    for key, found in members.items():
        group = result.get(key)
        own, names = (group.members, group.fqdns) if isinstance(group, Group) else (frozenset(), frozenset())
        result[key] = Group(key, own | found, names)
    return result


def parts(value: DeviceObject, objects: Objects) -> Parts:
    """What an object is made of; sets in the order of addresses, everything else in its own. `objects` know the ports that lines name."""
    match value:
        case Group():
            return {one: one for one in (*sorted(value.members, key=sort_key), *sorted(value.fqdns))}
        case Shard():
            return {one: one for one in sorted(value.members, key=sort_key)}
        case Ports():
            return {port: str(port) for port in value.ports}
        case Schedule():
            return {value.until: f"until {moment(value.until)}"}
        case RuleList():
            return {entry: line(entry, objects) for entry in value.entries}
        case Policy():
            return {key: str(key) for key in value.lists}
        case Attachment():
            return {value.policy: str(value.policy)}


def items(value: DeviceObject, objects: Objects) -> tuple[str, ...]:
    """The same as text alone."""
    return tuple(parts(value, objects).values())


def aligned(kind: Kind, wanted: Parts, present: Parts) -> tuple[Parts, Parts]:
    """Both, with what stands in another order on either side told apart by its place: it is missing here and extra there."""
    if kind not in _ORDERED:
        return wanted, present
    here, there = [one for one in wanted if one in present], [one for one in present if one in wanted]
    moved = {one for one, other in zip(here, there, strict=True) if one != other}
    return (_placed(wanted, moved), _placed(present, moved)) if moved else (wanted, present)


def differences(wanted: Parts | None, present: Parts | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The items missing and extra. What is missing or extra as a whole counts one at least."""
    if wanted is None or present is None:
        return _whole(wanted), _whole(present)
    return _less(wanted, present), _less(present, wanted)


def standing(
    wanted: Parts, present: Parts, held: frozenset[str], *, refused: bool, holders: Mapping[str, Holder]
) -> tuple[Item, ...]:
    """Every item of an object, wanted or present, and how it stands; what is present alone comes last.

    `held` are members that wait for a person, to join or to leave. All that a `refused` object still has is its last good version.
    """
    known: dict[Hashable, str] = {**wanted, **present}
    known.update((member, member) for member in held)
    result = []
    for one, text in known.items():
        state = _state(one in wanted, one in present, held=one in held, refused=refused)
        result.append(_item(text, state, holders.get(text), on_device=one in present))
    return tuple(result)


def member_order(found: Iterable[Item]) -> tuple[Item, ...]:
    """Members by address, whatever their state, and names after them."""
    listed = tuple(found)
    if all(one.state in (ItemState.OK, ItemState.MISSING) for one in listed):
        return listed  # those that are wanted are in order
    return tuple(sorted(listed, key=lambda one: _place(one.item)))


def _state(wanted: bool, present: bool, *, held: bool, refused: bool) -> ItemState:
    if held:
        return ItemState.HELD
    if refused:
        return ItemState.QUARANTINED
    if wanted and present:
        return ItemState.OK
    return ItemState.MISSING if wanted else ItemState.EXTRA


def _item(text: str, state: ItemState, holder: Holder | None, *, on_device: bool) -> Item:
    if holder is None:
        return Item(text, state, on_device)
    return Item(text, state, on_device, holder.namespace, holder.pod, holder.workload)


def _place(member: str) -> tuple[bool, tuple[int, int, str] | str]:
    try:
        return False, sort_key(member)
    except ValueError:
        return True, member


def _placed(found: Parts, moved: Collection[Hashable]) -> Parts:
    return {
        (place, one) if one in moved else one: f"{place}. {text}" if one in moved else text
        for place, (one, text) in enumerate(found.items(), 1)
    }


def _whole(found: Parts | None) -> tuple[str, ...]:
    return () if found is None else tuple(found.values()) or ("(empty)",)


def _less(left: Parts, right: Parts) -> tuple[str, ...]:
    return tuple(text for one, text in left.items() if one not in right)
