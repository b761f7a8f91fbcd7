"""The rules of a device in the order in which it asks them, each line as a person reads it."""

from collections.abc import Iterator, Mapping

from bridge.model.identity import Kind, ObjectKey, Scope
from bridge.model.intent import DeviceObject, Objects, Policy, RuleEntry, RuleList
from bridge.model.policy import Tier
from bridge.report.items import aligned, parts
from bridge.report.model import ItemState, RuleLine
from bridge.report.naming import named, ports_of

_TIERS: Mapping[Scope, Tier] = {
    Scope.CLUSTER: Tier.CLUSTER,
    Scope.NAMESPACE: Tier.NAMESPACE,
    Scope.SERVICE: Tier.SERVICE,
    Scope.DEFAULT: Tier.SERVICE,  # the default follows the last tier
}


def rule_lines(desired: Objects, actual: Objects, refused: frozenset[ObjectKey]) -> tuple[RuleLine, ...]:
    """Tier by tier, list by list as the policies have them: every line wanted, in its order, then what is there besides."""
    return tuple(
        line for key in _lists(desired, actual) for line in _lines(key, desired, actual, refused=key in refused)
    )


def _lists(desired: Objects, actual: Objects) -> list[ObjectKey]:
    """Every rule list, in the order of the policies; one that no policy names comes after those of its tier."""
    known = {key for objects in (desired, actual) for key in objects if key.kind is Kind.RULE_LIST}
    order: dict[ObjectKey, int] = {}
    for objects in (desired, actual):
        for key in (listed for value in objects.values() if isinstance(value, Policy) for listed in value.lists):
            order.setdefault(key, len(order))
    return sorted(known, key=lambda key: (_tier(key).rank, order.get(key, len(order)), key))


def _tier(key: ObjectKey) -> Tier:
    return _TIERS.get(key.scope, Tier.SERVICE)


def _lines(key: ObjectKey, desired: Objects, actual: Objects, *, refused: bool) -> Iterator[RuleLine]:
    wanted_parts, present_parts = aligned(
        key.kind,
        parts(desired[key], desired) if key in desired else {},
        parts(actual[key], actual) if key in actual else {},
    )
    places = {part: place for place, part in enumerate(present_parts, 1)}
    for place, (part, entry) in enumerate(zip(wanted_parts, _entries(desired.get(key)), strict=True), 1):
        state = ItemState.OK if part in places else ItemState.MISSING
        yield _line(key, places.get(part, place), entry, desired, ItemState.QUARANTINED if refused else state)
    for part, entry in zip(present_parts, _entries(actual.get(key)), strict=True):
        if part not in wanted_parts:
            yield _line(key, places[part], entry, actual, ItemState.QUARANTINED if refused else ItemState.EXTRA)


def _entries(value: DeviceObject | None) -> tuple[RuleEntry, ...]:
    return value.entries if isinstance(value, RuleList) else ()


def _line(key: ObjectKey, position: int, entry: RuleEntry, objects: Objects, state: ItemState) -> RuleLine:
    return RuleLine(
        tier="default" if key.scope is Scope.DEFAULT else _tier(key).value,
        cluster=key.cluster,
        namespace=key.namespace,
        object=str(key),
        position=position,
        name=entry.name,
        action=entry.action.value,
        sources=tuple(named(one) for one in entry.sources),
        destinations=tuple(named(one) for one in entry.destinations),
        protocol=entry.traffic,
        ports=ports_of(entry, objects),
        log=entry.log,
        withheld=entry.withheld,
        state=state,
    )
