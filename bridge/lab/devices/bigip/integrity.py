"""What holds between objects: folders exist, references point at something within reach, nothing in use goes, no circles."""

from collections.abc import Iterator, Mapping

from bridge.lab.devices.bigip.answers import ApiError, across, dangling, in_use, not_found
from bridge.lab.devices.bigip.fields import Key, Limits
from bridge.lab.devices.bigip.item import Item, State
from bridge.lab.devices.bigip.kinds import FOLDER, FQDN_POLICY, KINDS, LONE, PARTITION, SCHEDULE

Changes = Mapping[Key, Item | None]


def check(base: State, changes: Changes, limits: Limits, *, by_hand: bool = False) -> None:
    """Raise the first refusal that the changes meet on top of the base; `by_hand`: a person compiles."""
    gone = {key for key, item in changes.items() if item is None and key in base}
    for item in changes.values():
        if item is not None:
            _check_item(base, changes, item, limits)
            if by_hand:
                check_unscheduled(item)
    if gone:
        _check_gone(base, changes, gone)
    _check_counts(base, changes, limits)


def _get(base: State, changes: Changes, key: Key) -> Item | None:
    return changes[key] if key in changes else base.get(key)


def _check_item(base: State, changes: Changes, item: Item, limits: Limits) -> None:
    item.kind.complete(item.path, item.body)
    folder = item.path.rpartition("/")[0] or "/"
    if item.path != "/" and item.kind.collection != PARTITION and _get(base, changes, (FOLDER, folder)) is None:
        raise not_found("folder", folder)
    if _names_hosts(item) and not _resolver(base, changes):
        raise ApiError(
            400, f"01071a64:3: {item.kind.title} ({item.path}): fqdns need a DNS resolver in the global FQDN policy."
        )
    if len(item.rules) > limits.rules:
        raise ApiError(
            400, f"01070911:3: {item.kind.title} ({item.path}) has more than the maximum of {limits.rules} rules."
        )
    for collection, path in sorted(item.references):
        if _get(base, changes, (collection, path)) is None:
            raise dangling(path, item.kind.title, item.path, f"{KINDS[collection].title.lower().replace(' ', '_')}_FK")
        other = path[1:].partition("/")[0]
        if other not in ("Common", item.partition):
            raise across(item.kind.title, item.path, item.partition, path, other)
    if any(collection == item.kind.collection for collection, _ in item.references):
        _check_circle(base, changes, item)


def check_unscheduled(item: Item) -> None:
    """Refuse what names a schedule, which nobody may where a person compiles. Source: F5's manual of AFM 14.1, "Firewall Schedules"."""
    if any(collection == SCHEDULE for collection, _ in item.references):
        raise ApiError(
            400,
            f"01071a73:3: {item.kind.title} ({item.path}): schedules can not be used while the compilation mode is manual.",
        )


def _names_hosts(item: Item) -> bool:
    sides = (rule.body.get(side, {}) for rule in item.rules for side in ("source", "destination"))
    return any(body.get("fqdns") for body in (item.body, *sides))


def _resolver(base: State, changes: Changes) -> str:
    policy = _get(base, changes, (FQDN_POLICY, LONE[FQDN_POLICY]))
    return str(policy.body.get("dnsResolver", "")) if policy is not None else ""


def _check_circle(base: State, changes: Changes, item: Item) -> None:
    """Lists hold lists; a list may not hold itself, however many steps away."""
    waiting = [key for key in item.references if key[0] == item.kind.collection]
    seen: set[Key] = set()
    while waiting:
        key = waiting.pop()
        if key == item.key:
            raise ApiError(
                400, f"01071a5e:3: {item.kind.title} ({item.path}) refers to itself, directly or through other lists."
            )
        if key in seen:
            continue
        seen.add(key)
        nested = _get(base, changes, key)
        if nested is not None:
            waiting.extend(one for one in nested.references if one[0] == item.kind.collection)


def _remaining(base: State, changes: Changes) -> Iterator[Item]:
    for key, item in base.items():
        if key not in changes:
            yield item
    yield from (item for item in changes.values() if item is not None)


def _check_gone(base: State, changes: Changes, gone: set[Key]) -> None:
    folders = tuple(path + "/" for collection, path in gone if collection == FOLDER)
    for item in _remaining(base, changes):
        used = item.references & gone
        if used:
            collection, path = min(used)
            raise in_use(KINDS[collection].title, path, item.kind.title, item.path)
        if folders and item.kind.collection != PARTITION and item.path.startswith(folders):
            folder = next(one for one in folders if item.path.startswith(one))[:-1]
            raise ApiError(
                400, f"01070622:3: The folder {folder} can not be deleted: it contains {item.kind.title} ({item.path})."
            )


def _check_counts(base: State, changes: Changes, limits: Limits) -> None:
    created = {key[0] for key, item in changes.items() if item is not None and key not in base}
    for collection in created:
        count = sum(1 for item in _remaining(base, changes) if item.kind.collection == collection)
        if count > limits.objects:
            raise ApiError(
                400, f"01070911:3: The maximum of {limits.objects} objects of {KINDS[collection].title} is exceeded."
            )
