"""How a device sees workloads, for each part of the destinations in its own way (SEMANTICS 3).

Behind the address of a node or an egress others may stand than those a rule is about. Such a rule is over-broad: it is not in force there
unless it accepts that, and what it would stop is withheld below it.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace

from bridge.model import addresses
from bridge.model.identity import Kind, ObjectKey
from bridge.model.intent import DeviceObject, Group, RuleEntry, RuleList
from bridge.model.policy import (
    AS_POD,
    AddressSource,
    DefaultAction,
    Defaults,
    ExternalService,
    Ref,
    Rule,
    Source,
    SourceKind,
    UnknownAddresses,
    View,
)
from bridge.policy.compiled import ClusterPolicy, Compiled, Remark, Target
from bridge.policy.confine import own_key
from bridge.policy.lines import source_key
from bridge.policy.memory import Memory
from bridge.policy.remainder import GOVERNED, builtin, outside
from bridge.policy.standing import concerns

_UNCOUNTED = "who stands behind its addresses has not been counted yet"
_Compiler = Callable[[ClusterPolicy, Target, Memory], Compiled]


def seen(policy: ClusterPolicy, target: Target, compiler: _Compiler, memory: Memory) -> Compiled:
    """What the compiler makes of each part, together."""
    if target.views == (AS_POD,):
        return compiler(policy, target, memory)
    result = Compiled()
    for view in target.views:
        _add(result, _part(policy, target, view, compiler, memory.within(view.name)))
    return result


def view_key(key: ObjectKey, view: View) -> ObjectKey:
    """The group as seen; no object of Kubernetes can have this name."""
    return replace(key, name=f"{key.name}-.{view.name}") if view.name else key


def _part(policy: ClusterPolicy, target: Target, view: View, compiler: _Compiler, memory: Memory) -> Compiled:
    where = _destinations(policy, target.views, view)
    part = replace(
        policy,
        externals=_restricted(policy.externals, where, memory),
        outside=where,
        meant=None if policy.meant is None else _restricted(policy.meant, where, memory.within("meant")),
    )
    if view.source is AddressSource.POD:
        return _renamed(compiler(part, target, memory), view)
    part = replace(part, rules=tuple(_as_seen(rule, view) for rule in part.rules))
    watched = dict(_watched(part, target, view))
    over = _over_broad(part, target, view)
    note = _default_over_broad(part, target, view)
    action = DefaultAction.NONE if note else target.defaults.action
    target = replace(target, defaults=Defaults(action, UnknownAddresses.PASS))
    found = _renamed(compiler(replace(part, barred={**part.barred, **over}), target, memory), view)
    found.watched.update(watched)
    found.notes += filter(None, [note])
    return found


def _destinations(policy: ClusterPolicy, views: Iterable[View], view: View) -> tuple[str, ...]:
    """All that is outside and meant by this view: what it names, or the rest."""
    everything = outside(policy)
    named = [member for one in views for member in one.destinations if one != view]
    rest = addresses.subtract(everything, named)
    return (
        addresses.subtract(everything, addresses.subtract(everything, view.destinations)) if view.destinations else rest
    )


def _restricted(
    externals: Mapping[Ref, ExternalService], where: tuple[str, ...], memory: Memory
) -> dict[Ref, ExternalService]:
    made = memory.each("restricted", ((service, where) for service in externals.values()), _inside)
    return {service.ref: service for service in made}


def _inside(service: ExternalService, where: tuple[str, ...]) -> ExternalService:
    away = addresses.subtract(service.addresses, where)
    return replace(service, addresses=addresses.subtract(service.addresses, away))


def _as_seen(rule: Rule, view: View) -> Rule:
    """Addresses of the pod ranges are not seen here: the whole cluster is whoever is governed."""
    source = Source(SourceKind.BUILTIN, service=GOVERNED) if rule.source.whole_cluster else rule.source
    (seen,) = _through(view, (source,))
    return replace(rule, source=seen)


def _group(target: Target, view: View, key: ObjectKey) -> ObjectKey:
    seen_as = view_key(key, view)
    return own_key(seen_as, target.name) if target.namespaces is not None else seen_as


def _watched(policy: ClusterPolicy, target: Target, view: View) -> Iterator[tuple[ObjectKey, tuple[Source, ...]]]:
    """The groups that must be counted. Their keys are told apart by device later, as those of all groups are."""
    for rule in policy.rules:
        if concerns(rule, target) and _goes_there(rule, policy.externals):
            key = view_key(source_key(policy.cluster, rule), view)
            yield key, _through(view, (replace(rule.source, governed_only=True),))
    everyone = builtin(policy.cluster, GOVERNED)
    yield view_key(everyone, view), _through(view, (Source(SourceKind.BUILTIN, service=GOVERNED),))


def _over_broad(policy: ClusterPolicy, target: Target, view: View) -> dict[Ref, Remark]:
    found = {}
    for rule in policy.rules:
        if rule.accept_shared or not concerns(rule, target) or not _goes_there(rule, policy.externals):
            continue
        words = policy.shared.get(_group(target, view, source_key(policy.cluster, rule)), _UNCOUNTED)
        if words:
            found[rule.ref] = Remark("OverBroad", words)
    return found


def _goes_there(rule: Rule, externals: Mapping[Ref, ExternalService]) -> bool:
    """Whether the rule has a destination in this part; one that cannot be read may be anywhere."""
    services = (externals.get(ref) for ref in rule.destinations)
    return any(service is None or service.addresses or service.fqdns for service in services)


def _default_over_broad(policy: ClusterPolicy, target: Target, view: View) -> str:
    """Why the default Deny is not in force in this part; "" when it is."""
    if target.defaults.action is not DefaultAction.DENY or target.accept_shared:
        return ""
    words = policy.shared.get(_group(target, view, builtin(policy.cluster, GOVERNED)), _UNCOUNTED)
    return f"the default Deny of cluster {policy.cluster} is not in force as {view.source}: {words}" if words else ""


def _through(view: View, sources: tuple[Source, ...]) -> tuple[Source, ...]:
    """The same sources as this view sees them; which destinations it is about makes no difference to that."""
    through = replace(view, destinations=())
    return tuple(
        replace(one, view=through, also=_through(view, one.also), unless=_through(view, one.unless)) for one in sources
    )


def _renamed(made: Compiled, view: View) -> Compiled:
    """The part with names of its own for its groups and lines."""
    if not view.name:
        return made

    def own(key: ObjectKey) -> ObjectKey:
        return view_key(key, view) if key.kind is Kind.GROUP else key

    def line(entry: RuleEntry) -> RuleEntry:
        sides = (tuple(map(own, entry.sources)), tuple(map(own, entry.destinations)))
        return replace(entry, name=f"{entry.name}_{view.name}", sources=sides[0], destinations=sides[1])

    def body(value: DeviceObject) -> DeviceObject:
        match value:
            case RuleList():
                return replace(value, entries=tuple(map(line, value.entries)))
            case Group():
                return replace(value, key=own(value.key))
        return value

    return Compiled(
        {own(key): _through(view, sources) for key, sources in made.groups.items()},
        {own(key): body(value) for key, value in made.objects.items()},
        made.remarks,
        {ref: set(map(own, keys)) for ref, keys in made.placed.items()},
        notes=made.notes,
    )


def _add(result: Compiled, part: Compiled) -> None:
    for key, value in part.objects.items():
        result.objects[key] = _together(result.objects.get(key), value)
    result.groups.update(part.groups)
    result.watched.update(part.watched)
    result.notes += part.notes
    for ref, keys in part.placed.items():
        here = bool(result.placed.get(ref))
        result.place(ref, *keys)
        known, new = result.remarks.get(ref), part.remarks.get(ref)
        result.remarks.pop(ref, None)
        told = _heavier(known if here or _tells(known) else None, new if keys or _tells(new) else None)
        told = told or (None if here or keys else new)
        if told is not None:
            result.remarks[ref] = told


def _together(before: DeviceObject | None, value: DeviceObject) -> DeviceObject:
    if isinstance(before, RuleList) and isinstance(value, RuleList):
        return replace(value, entries=(*before.entries, *value.entries))
    return value


def _tells(remark: Remark | None) -> bool:
    """Whether it says more than that nothing of the object lies in one part."""
    return remark is not None and remark.reason != "NoDestination"


def _heavier(one: Remark | None, other: Remark | None) -> Remark | None:
    """Of two remarks on one object the one that stops more of it."""
    order = ("", "Withheld", "Pending", "OverBroad", "Unsupported")
    found = [remark for remark in (one, other) if remark is not None]
    return max(found, key=lambda one: order.index(one.reason) if one.reason in order else 0, default=None)
