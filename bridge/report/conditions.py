"""Who a rule is about and when it counts, as a person reads it."""

from collections.abc import Iterable

from bridge.model.policy import Day, Operator, Requirement, Selector, Source, SourceKind, Window
from bridge.report.naming import BUILTIN

_DAYS = tuple(Day)
_NAMED = {SourceKind.SERVICE: "service", SourceKind.ANNOTATION: "annotation group"}


def source_words(source: Source) -> str:
    """`service shop/web`; `pods with app=web of namespace shop`; `the whole cluster`."""
    if source.whole_cluster:
        return "the whole cluster"
    words = _selected(source)
    if source.service_accounts:
        words += f" running as {', '.join(source.service_accounts)}"
    for one in source.also:
        words += f" who are also {source_words(one)}"
    for one in source.unless:
        words += f" unless {source_words(one)}"
    return words


def _selected(source: Source) -> str:
    place, pods = source.namespace, selector_words(source.pods) if source.pods.requirements else ""
    match source.kind:
        case SourceKind.SERVICE | SourceKind.ANNOTATION:
            return f"{_NAMED[source.kind]} {place}/{source.service}"
        case SourceKind.NAMESPACE:
            return f"pods with {pods} of namespace {place}" if pods else f"namespace {place}"
        case SourceKind.PREFIXES:
            return f"namespace {place} ({', '.join(source.prefixes)})"
        case SourceKind.CLUSTER:
            where = selector_words(source.namespaces) if source.namespaces.requirements else ""
            words = f"pods with {pods}" if pods else "pods"
            return f"{words} of namespaces with {where}" if where else words
        case SourceKind.BUILTIN:
            return BUILTIN.get(source.service, source.service)


def selector_words(selector: Selector) -> str:
    """`app=web, tier in (a, b), !debug`."""
    return ", ".join(_requirement(one) for one in selector.requirements) or "any labels"


def _requirement(one: Requirement) -> str:
    match one.operator:
        case Operator.EXISTS:
            return one.key
        case Operator.DOES_NOT_EXIST:
            return f"!{one.key}"
        case Operator.IN if len(one.values) == 1:
            return f"{one.key}={one.values[0]}"
        case _:
            return f"{one.key} {'in' if one.operator is Operator.IN else 'not in'} ({', '.join(one.values)})"


def window_words(window: Window) -> str:
    """`Mon-Fri 08:00-18:00 Europe/Berlin`."""
    return f"{_days(window.days)} {_clock(window.start)}-{_clock(window.end)} {window.time_zone}"


def _days(days: Iterable[Day]) -> str:
    """Days that follow each other as a span."""
    spans: list[list[Day]] = []
    for place, day in enumerate(_DAYS):
        if day not in set(days):
            continue
        if spans and place and spans[-1][-1] is _DAYS[place - 1]:
            spans[-1].append(day)
        else:
            spans.append([day])
    return ",".join(f"{one[0]}-{one[-1]}" if len(one) > 2 else ",".join(one) for one in spans)


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"
