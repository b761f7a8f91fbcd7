"""A large policy as people would have written it, and the pods that it is about; the same seed makes the same ones."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from ipaddress import IPv4Address
from random import Random
from typing import Any

from bridge.dialects import kinds
from bridge.model.observed import NO_LABELS, Namespace, Node, Observed, Pod, PolicyObject, Service

BIG = "team-00"
_FIRST = int(IPv4Address("10.128.0.1"))
_STARTED = datetime(2026, 3, 1, tzinfo=UTC)
_PER_NODE = 100
_TEAMS = 100
_WIDE = 10  # cluster rules
_OF_NAMESPACE = 100  # namespace rules of the big namespace
_PORTS = (443, 8443, 5432, 6379, 9092, 25, 53, 22)


@dataclass(frozen=True, slots=True)
class Size:
    """How much of everything: `big` of the rules are of one namespace, and half of the groups too."""

    rules: int = 10_000
    big: int = 8_001
    groups: int = 2_000

    @classmethod
    def of(cls, rules: int) -> "Size":
        """The same proportions with so many rules."""
        return cls(rules, rules * 8_001 // 10_000, max(2 * _TEAMS, rules // 5))

    @property
    def services(self) -> dict[str, int]:
        """How many Services each namespace has; rules by label, of a namespace and of the cluster make the other groups."""
        rest = self.groups // 2 // (_TEAMS - 1)
        return {_team(number): rest if number else self.groups // 2 for number in range(_TEAMS)}


class Written:
    """Namespaces, Services and policy objects of a cluster."""

    def __init__(self, size: Size, seed: int = 7) -> None:
        self._random = Random(seed)
        self.size = size
        self.around: list[Observed] = [*self._namespaces(), *self._services()]
        self.policy: list[PolicyObject] = [*self._externals(), *self._rules()]

    def pods(self, count: int) -> list[Pod]:
        """So many pods, spread over the Services; those of one Service share their labels, as they do where they are decoded."""
        workloads = [(one, {"app": one.name}) for one in self.around if isinstance(one, Service)]
        return [_pod(number, *workloads[number % len(workloads)]) for number in range(count)]

    def nodes(self, pods: int) -> list[Node]:
        """The nodes of so many pods."""
        return [
            Node(f"node-{number}", f"node-{number}", "1", NO_LABELS, (str(IPv4Address("10.96.0.1") + number),))
            for number in range(pods // _PER_NODE + 1)
        ]

    def edited(self, turn: int) -> PolicyObject:
        """One rule of the big namespace, an Allow of a Service, leading elsewhere than before."""
        rules = [one for one in self.policy if one.namespace == BIG and one.spec.get("action") == "Allow"]
        chosen = rules[turn * 97 % len(rules)]
        other = {"name": f"out-{turn % self._destinations(BIG)}"}
        spec = {**chosen.spec, "to": [other] if chosen.spec["to"] != [other] else [{"name": "out-0"}]}
        return replace(chosen, resource_version=f"e{turn}", generation=2 + turn, spec=spec)

    def _namespaces(self) -> Iterator[Namespace]:
        labels = {"fusionbridge.io/egress": "governed"}
        for name in self.size.services:
            yield Namespace(f"ns-{name}", name, "1", labels, NO_LABELS, deleting=False)

    def _services(self) -> Iterator[Service]:
        for place, count in self.size.services.items():
            for number in range(count):
                name = f"app-{number}"
                yield Service(f"svc-{place}-{name}", place, name, "1", NO_LABELS, NO_LABELS, {"app": name})

    def _destinations(self, place: str) -> int:
        return max(10, self.size.big // 40) if place == BIG else 5

    def _externals(self) -> Iterator[PolicyObject]:
        for number in range(_WIDE):
            spec = _external(f"198.51.{number}.0/24", _PORTS[number % len(_PORTS)])
            yield _object("ClusterExternalService", "", f"wide-{number}", spec)
        for team, place in enumerate(self.size.services):
            for number in range(self._destinations(place)):
                spec = _external(f"203.{team}.{number % 250}.{number // 250 * 16}/28", _PORTS[number % len(_PORTS)])
                yield _object("ExternalService", place, f"out-{number}", spec)

    def _rules(self) -> Iterator[PolicyObject]:
        for number in range(_WIDE):
            to = [{"name": f"wide-{number}"}]
            action = ("Deny", "Allow", "Allow", "Pass", "Allow")[number % 5]
            about = {"podSelector": {"matchLabels": {"app": f"app-{number}"}}}
            spec = {"action": action, "priority": number, "from": about, "to": to}
            yield _object("ClusterEgressRule", "", f"wide-{number}", spec)
        places = list(self.size.services)
        for number in range(min(_OF_NAMESPACE, self.size.big // 10)):
            yield self._namespace_rule(BIG, number)
        for number in range(min(_OF_NAMESPACE, self.size.big // 10), self.size.big):
            yield self._service_rule(BIG, number)
        for number in range(self.size.rules - self.size.big - _WIDE):
            place = places[1 + number % (_TEAMS - 1)]
            yield self._namespace_rule(place, number) if number % 10 == 9 else self._service_rule(place, number)

    def _namespace_rule(self, place: str, number: int) -> PolicyObject:
        chosen = self._random.choices(("Allow", "Deny", "Pass"), (60, 30, 10))[0]
        app = f"app-{self._random.randrange(self.size.services[place])}"
        spec = self._rule(place, chosen) | {"from": {"podSelector": {"matchLabels": {"app": app}}}}
        return _object("NamespaceEgressRule", place, f"ns-{number}", spec)

    def _service_rule(self, place: str, number: int) -> PolicyObject:
        chosen = self._random.choices(("Allow", "Deny"), (98, 2))[0]
        spec = self._rule(place, chosen) | {"service": f"app-{number % self.size.services[place]}"}
        return _object("ServiceEgressRule", place, f"svc-{number}", spec)

    def _rule(self, place: str, action: str) -> dict[str, Any]:
        out = self._random.randrange(self._destinations(place))
        return {"action": action, "priority": self._random.randrange(100) * 10, "to": [{"name": f"out-{out}"}]}


def _team(number: int) -> str:
    return f"team-{number:02}"


def _external(network: str, port: int) -> dict[str, Any]:
    return {"addresses": [network], "ports": [{"protocol": "TCP", "port": port}, {"protocol": "UDP", "port": port}]}


def _object(kind: str, place: str, name: str, spec: dict[str, Any]) -> PolicyObject:
    resource = kinds.BY_NAME[kind].resource
    return PolicyObject(resource, f"{kind}-{place}-{name}", place, name, "1", 1, NO_LABELS, spec)


def _pod(number: int, of: Service, labels: dict[str, str]) -> Pod:
    name = f"{of.name}-{number}"
    where, address = f"node-{number // _PER_NODE}", str(IPv4Address(_FIRST + number))
    identity = (f"pod-{number}", of.namespace, name, "1", labels, NO_LABELS, "default", f"ReplicaSet/{of.name}", where)
    return Pod(*identity, "Running", False, (address,), _STARTED, False, ())


def replaced(pod: Pod, turn: int) -> Pod:
    """The pod that comes in its place, at the same address."""
    return replace(pod, uid=f"{pod.uid}-{turn}", name=f"{pod.name}-{turn}", resource_version=f"{turn + 2}")
