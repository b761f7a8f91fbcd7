"""Rules and external services of F5 CES written anew in our own kinds, to mean the same.

What was seen first comes first in CES: here the places become priorities. External services that cluster rules name become
ClusterExternalServices. What cannot be carried over is named, one line each, and left out.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from bridge.dialects import ces
from bridge.dialects.dialect import Context, Dialects, ref_of
from bridge.model.kinds import API_VERSION, KINDS
from bridge.model.observed import PolicyObject
from bridge.model.policy import Action, ExternalService, Protocol, Ref, Rule, Tier, Traffic

Manifest = dict[str, Any]

_MEMBERS, _PORTS, _TARGETS = 512, 64, 64  # what one of our objects takes
_STEP, _LAST = 10, 10_000  # between two priorities, and the last there is
_KINDS: Mapping[Tier, str] = {
    Tier.CLUSTER: "ClusterEgressRule",
    Tier.NAMESPACE: "NamespaceEgressRule",
    Tier.SERVICE: "ServiceEgressRule",
}


@dataclass(slots=True)
class Carried:
    """Our manifests, and what is lost on the way."""

    manifests: list[Manifest] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)


def carry(
    written: Sequence[PolicyObject], home: str = "kube-system", prefixes: Mapping[str, str] | None = None
) -> Carried:
    """Objects of CES in the order in which they were first seen. `home` is the namespace of the CES controller, `prefixes` are those that
    Kube-OVN annotates on namespaces."""
    result = Carried()
    rules, externals = _read(written, home, result)
    _tell_of_prefixes(rules, prefixes or {}, result)
    wide = {ref for rule in rules if rule.tier is Tier.CLUSTER for ref in rule.destinations}
    near = {ref for rule in rules if rule.tier is not Tier.CLUSTER for ref in rule.destinations}
    names: dict[tuple[Ref, bool], list[str]] = {}
    for ref, service in externals.items():
        for cluster in (True, False):
            if ref in (wide if cluster else near) or (not cluster and ref not in wide):
                names[ref, cluster] = list(_services(service, cluster=cluster, others=externals, result=result))
    for _, listed in groupby(sorted(rules, key=_list), key=_list):
        _rules(list(listed), names, result)
    return result


def _read(written: Sequence[PolicyObject], home: str, result: Carried) -> tuple[list[Rule], dict[Ref, ExternalService]]:
    dialects = Dialects((ces.DIALECT,), {ces.NAME: {ces.CONTROLLER_NAMESPACE: home}})
    rules: list[Rule] = []
    externals: dict[Ref, ExternalService] = {}
    for obj in written:
        about = ref_of(KINDS[obj.resource], obj)
        problems = dialects.problems(obj, Context())
        result.lost += [f"{about}: {problem}" for problem in problems]
        if problems:
            continue
        result.lost += [f"{about}: {where}: {words}" for where, words in dialects.cautions(obj)]
        match dialects.read(obj):
            case Rule() as rule:
                rules.append(rule)
            case ExternalService() as service:
                externals[service.ref] = service
                result.lost += [f"{about}: bandwidth {name} of {protocol}" for protocol, name in service.bandwidth]
    return rules, externals


def _tell_of_prefixes(rules: Iterable[Rule], prefixes: Mapping[str, str], result: Carried) -> None:
    about = {rule.ref.namespace for rule in rules if rule.tier is Tier.NAMESPACE} & prefixes.keys()
    for namespace in sorted(about):
        words = f"its NamespaceEgressRules are about its pods now, and were about its prefixes {prefixes[namespace]}"
        result.lost.append(f"Namespace {namespace}: {words}")


def _list(rule: Rule) -> tuple[int, str]:
    return rule.tier.rank, rule.ref.namespace


def _services(
    service: ExternalService, *, cluster: bool, others: Mapping[Ref, ExternalService], result: Carried
) -> Iterator[str]:
    """Our external services for one of theirs, by name: several where it holds more than one takes."""
    taken = {ref.name for ref in others if ref.namespace == service.ref.namespace}
    ports = _ports(service.traffic)
    destinations = [("addresses", part) for part in _parts(service.addresses, _MEMBERS)]
    destinations += [("fqdns", part) for part in _parts(service.fqdns, _MEMBERS)]
    if len(service.addresses) <= _MEMBERS and len(service.fqdns) <= _MEMBERS:
        destinations = [("", ())]
    for part, number in _numbered(service.ref.name, taken, len(destinations) * len(ports)):
        key, members = destinations[number % len(destinations)]
        spec: Manifest = {key: list(members)} if key else _members(service)
        spec["ports"] = ports[number // len(destinations)]
        kind = "ClusterExternalService" if cluster else "ExternalService"
        result.manifests.append(_manifest(kind, "" if cluster else service.ref.namespace, part, spec))
        yield part


def _members(service: ExternalService) -> Manifest:
    both = {"addresses": list(service.addresses), "fqdns": list(service.fqdns)}
    return {key: members for key, members in both.items() if members}


def _ports(traffic: Iterable[Traffic]) -> list[Any]:
    """One or several values of `ports`."""
    lines: list[Manifest] = []
    for one in traffic:
        if one.protocol is Protocol.ANY:
            return ["Any"]
        for span in one.ports:
            more = {"endPort": span.last} if span.last > span.first else {}
            lines.append({"protocol": str(one.protocol), "port": span.first, **more})
    return [list(part) for part in _parts(lines, _PORTS)]


def _rules(rules: Sequence[Rule], names: Mapping[tuple[Ref, bool], list[str]], result: Carried) -> None:
    """The rules of one list in their order."""
    priorities = _priorities(rules)
    taken = {rule.ref.name for rule in rules}
    for rule, priority in zip(rules, priorities, strict=True):
        if priority > _LAST:
            result.lost.append(f"{rule.ref}: there are not so many priorities")
            continue
        cluster = rule.tier is Tier.CLUSTER
        result.lost += [f"{rule.ref}: there is no {ref}" for ref in rule.destinations if (ref, cluster) not in names]
        targets = [{"name": name} for ref in rule.destinations for name in names.get((ref, cluster), ())]
        parts = list(_parts(targets, _TARGETS))
        for name, number in _numbered(rule.ref.name, taken, len(parts)):
            spec: Manifest = {"action": str(rule.action), "priority": priority}
            if rule.tier is Tier.SERVICE:
                spec["service"] = rule.source.service
            if rule.log:
                spec["log"] = True
            spec["to"] = list(parts[number])
            result.manifests.append(_manifest(_KINDS[rule.tier], rule.ref.namespace, name, spec))


def _priorities(rules: Sequence[Rule]) -> list[int]:
    """One for each rule; rules in a row that do the same share one where there are many."""
    if len(rules) * _STEP <= _LAST:
        return [number * _STEP for number in range(1, len(rules) + 1)]
    found: list[int] = []
    before: tuple[Action, bool] | None = None
    for rule in rules:
        does = (rule.action, rule.log)
        found.append((found[-1] if found else 0) + (does != before))
        before = does
    return found


def _parts(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    return (items[start : start + size] for start in range(0, len(items), size))


def _numbered(name: str, taken: set[str], count: int) -> Iterator[tuple[str, int]]:
    """`count` names, the first as it is, each with its number from 0; none that something else has."""
    number, made = 1, 0
    while made < count:
        one = name if made == 0 else f"{name}-{number}"
        number += 1
        if made == 0 or one not in taken:
            taken.add(one)
            yield one, made
            made += 1


def _manifest(kind: str, namespace: str, name: str, spec: Manifest) -> Manifest:
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": spec}
