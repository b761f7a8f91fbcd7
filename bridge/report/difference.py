"""Two reports side by side: what came and went on each device, what changed its order, and what stands otherwise."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from bridge.report.about import About, Value
from bridge.report.model import DeviceReport, Item, ItemState, ObjectReport, Report


class ItemChanges(About, frozen=True):
    """One object that both reports saw on the device: the items that came to be there, and those that went."""

    came: tuple[Item, ...]
    went: tuple[Item, ...]


class OrderChange(Value, frozen=True):
    """One rule list whose lines are asked in another order: the names of the lines that both have."""

    object: str
    before: tuple[str, ...]
    after: tuple[str, ...]


class StateChange(Value, frozen=True):
    """Something that stands otherwise: what, and the two words for it; "" on the side that knows nothing of it."""

    what: str
    before: str
    after: str


class DeviceDifference(Value, frozen=True):
    """One device; nothing in any list when both reports say the same of it."""

    device: str
    came: tuple[str, ...] = ()  # objects
    went: tuple[str, ...] = ()
    items: tuple[ItemChanges, ...] = ()
    order: tuple[OrderChange, ...] = ()
    states: tuple[StateChange, ...] = ()

    @property
    def equal(self) -> bool:
        """Whether there is no difference."""
        return not (self.came or self.went or self.items or self.order or self.states)


class Side(Value, frozen=True):
    """Which report."""

    number: int | None
    at: datetime


class Difference(Value, frozen=True):
    """Everything that is otherwise in `after`; devices that both reports describe alike are left out."""

    before: Side
    after: Side
    equal: bool
    by_device: tuple[DeviceDifference, ...]


def difference(before: Report, after: Report) -> Difference:
    """What became different from one report to another. What a device holds counts, not what it should hold."""
    ours, theirs = _devices(before), _devices(after)
    found = (_device(name, ours.get(name), theirs.get(name)) for name in dict.fromkeys((*ours, *theirs)))
    devices = tuple(one for one in found if not one.equal)
    sides = Side(before.number, before.at), Side(after.number, after.at)
    return Difference(*sides, equal=not devices, by_device=devices)


def _devices(report: Report) -> Mapping[str, DeviceReport]:
    return {device.device: device for device in report.by_device}


def _device(name: str, before: DeviceReport | None, after: DeviceReport | None) -> DeviceDifference:
    states = _states(_standing(before), _standing(after))
    if before is None or after is None or before.error or after.error:
        return DeviceDifference(name, states=states)  # what it holds is known on one side only
    held, holds = _present(before), _present(after)
    both = [key for key in held if key in holds]
    items = (_items(held[key], holds[key]) for key in both)
    came, went = tuple(key for key in holds if key not in held), tuple(key for key in held if key not in holds)
    return DeviceDifference(
        name,
        came=came,
        went=went,
        items=tuple(one for one in items if one.came or one.went),
        order=tuple(_order(before, after)),
        states=tuple(one for one in states if one.what not in {*came, *went}),
    )


def _present(device: DeviceReport) -> Mapping[str, ObjectReport]:
    """The objects that are on the device."""
    return {one.object: one for one in device.objects if one.actual is not None}


def _items(before: ObjectReport, after: ObjectReport) -> ItemChanges:
    had, has = _on_device(before), _on_device(after)
    return ItemChanges(
        object=after.object,
        kind=after.kind,
        cluster=after.cluster,
        scope=after.scope,
        namespace=after.namespace,
        name=after.name,
        came=tuple(item for text, item in has.items() if text not in had),
        went=tuple(item for text, item in had.items() if text not in has),
    )


def _on_device(one: ObjectReport) -> Mapping[str, Item]:
    """Its items there, told by their text; the place that an item out of order bears is no part of it."""
    if one.kind == "group":
        return {item.item: item for item in one.items if item.on_device}
    placed = {*one.missing, *one.extra}
    return {_unplaced(item.item, placed): item for item in one.items if item.on_device}


def _unplaced(text: str, placed: Iterable[str]) -> str:
    place, dot, rest = text.partition(". ")
    return rest if dot and place.isdigit() and text in placed else text


def _order(before: DeviceReport, after: DeviceReport) -> Iterable[OrderChange]:
    had, has = _sequences(before), _sequences(after)
    for key in had:
        ours = tuple(name for name in had[key] if name in has.get(key, ()))
        theirs = tuple(name for name in has.get(key, ()) if name in had[key])
        if ours != theirs:
            yield OrderChange(key, ours, theirs)


def _sequences(device: DeviceReport) -> Mapping[str, tuple[str, ...]]:
    """The lines of each list by name, as the device has them."""
    found: dict[str, list[tuple[int, str]]] = {}
    for line in device.rules:
        if line.state is not ItemState.MISSING:
            found.setdefault(line.object, []).append((line.position, line.name))
    return {key: tuple(name for _, name in sorted(lines)) for key, lines in found.items()}


def _states(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[StateChange, ...]:
    names = dict.fromkeys((*before, *after))
    pairs = ((name, before.get(name, ""), after.get(name, "")) for name in names)
    return tuple(StateChange(*pair) for pair in pairs if pair[1] != pair[2])


def _standing(device: DeviceReport | None) -> dict[str, str]:
    """How a device and all that is on it stand, each in a word."""
    if device is None:
        return {}
    found = {"in the report": "yes", "readable": device.error or "yes", "state": device.state, "mode": device.mode}
    if device.error:
        return found
    found |= {"identity": device.identity, "in step": _yes(device.in_step), "enforced": _yes(device.active)}
    found |= {f"{tier} policy": "attached" if there else "not attached" for tier, there in device.attached.items()}
    found |= {f"look-alike {one.name}": one.why for one in device.look_alikes}
    found |= {one.object: one.state for one in device.objects if one.state}
    found |= {one.object: one.state for one in device.quarantined}
    found |= {f"held {one.object}": one.reason for one in device.held}
    return found


def _yes(holds: bool) -> str:
    return "yes" if holds else "no"
