"""The cluster of a proof: a few namespaces full of pods that come, go, move and inherit addresses, under rules that people keep editing."""

import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from random import Random
from typing import Any

from bridge.lab.apiserver.refusal import Refusal
from bridge.model.observed import Resource
from bridge.model.policy import Protocol
from bridge.policy.evaluate import Packet
from tests.acceptance.world import GOVERNED, Cluster
from tests.soak.meaning import WRITTEN, Dweller, Reading, While, owners, read

SPACES, APPS = ("shop", "bank", "play", "free"), ("web", "api", "job")
NOBODY = "10.244.255.66"  # never given to a pod: what somebody adds by hand
PARTNERS = ("192.0.2.0/29", "192.0.2.0/30", "192.0.2.4/31", "192.0.2.1", "fd01::/64")
BANKS = ("198.51.100.0/28", "198.51.100.1", "192.0.2.4/30", "fd02::/64")
PORTS: tuple[list[int], ...] = ([443], [443, 25], [25])
CROWD, FAR = "crowd", "198.18.0.1"
DESTINATIONS = ("192.0.2.1", "192.0.2.4", "198.51.100.1", "203.0.113.9", FAR)
DESTINATIONS6 = ("fd01::1", "fd02::1")
SERVED = (443, 25)
_MOST_WRITTEN = 3  # in one round: each version of one stream meets each of all others


class Town:
    """Steps follow from `random` alone. What a packet may meet is known for all that happened since `begin`."""

    def __init__(self, cluster: Cluster, random: Random, addresses: int = 90) -> None:
        self.cluster, self._random = cluster, random
        self._free = [f"10.244.1.{number}" for number in range(1, addresses + 1)]
        self._free6 = [f"fd00:244::{number:x}" for number in range(1, addresses // 4)]
        self._clock = 0
        self._numbers = dict.fromkeys(("pod", "rule"), 0)
        self.dwellers: dict[str, Dweller] = {}  # by uid
        self.touched: set[str] = set()
        self.steps = 0
        self._written = 0
        self._build()
        self.begin()

    # ---- what is true

    def owners(self) -> dict[str, Dweller]:
        """Who has each address now."""
        return owners(self.dwellers.values())

    def reading(self) -> Reading:
        """All that is written now."""
        return Reading([self.during.versions[one][-1] for one in WRITTEN])

    def begin(self) -> None:
        """A new while begins: what was before counts no longer."""
        self.during = While(
            {address: {one} for address, one in self.owners().items()},
            {one: [read(self.cluster.store, one)] for one in WRITTEN},
        )
        self.touched, self._written = set(), 0

    def packets(self, sources: set[str]) -> Iterator[Packet]:
        """From these addresses to everywhere."""
        for source in sorted(sources):
            for to in DESTINATIONS6 if ":" in source else DESTINATIONS:
                yield from (Packet(source, to, Protocol.TCP, port) for port in SERVED)

    def sources(self, some: int) -> set[str]:
        """Addresses worth a look: those to which something happened, one of each workload, and so many others."""
        held = self.owners()
        kinds = {(one.namespace, one.app, ":" in address): address for address, one in held.items()}
        others = self._random.sample(sorted(held), min(some, len(held)))
        return self.touched | set(kinds.values()) | set(others)

    # ---- what happens

    def step(self) -> str:
        """One thing that happens; returns what."""
        moves: tuple[tuple[Callable[[], str], int], ...] = (
            (self._come, 36),
            (self._go, 30),
            (self._inherit, 14),
            (self._take_over, 5),
            (self._move, 4),
            (self._relabel, 5),
            (self._end, 3),
            (self._write, 4),
        )
        self.steps += 1
        return self._random.choices([move for move, _ in moves], [weight for _, weight in moves])[0]()

    def _come(self) -> str:
        if not self._free:
            return self._go()
        both = bool(self._free6) and self._random.random() < 0.2
        addresses = (self._taken(), *((self._free6.pop(),) if both else ()))
        return f"{self._born(addresses).name} came at {addresses}"

    def _taken(self) -> str:
        """The one given back last, or any."""
        if self._random.random() < 0.5:
            return self._free.pop()
        return self._free.pop(self._random.randrange(len(self._free)))

    def _go(self) -> str:
        if len(self.dwellers) < 40:
            return self._come()
        one = self._any()
        self._dies(one)
        for address in one.addresses:
            self._give_back(address)
        return f"{one.name} went"

    def _inherit(self) -> str:
        """A pod goes, and another workload's gets its address at once."""
        if not self.dwellers:
            return self._come()
        one = self._any()
        self._dies(one)
        return f"{self._born(one.addresses).name} came after {one.name}"

    def _take_over(self) -> str:
        """The other one is there before the first is gone."""
        if not self.dwellers:
            return self._come()
        one = self._any()
        heir = self._born(one.addresses)
        self._dies(one)
        return f"{heir.name} came before {one.name} went"

    def _move(self) -> str:
        if not self.dwellers or not self._free:
            return self._come()
        one, address = self._any(), self._taken()
        for old in one.addresses:
            self._give_back(old)
        self._lives(replace(one, addresses=(address,)))
        return f"{one.name} moved to {address}"

    def _relabel(self) -> str:
        if not self.dwellers:
            return self._come()
        one = self._any()
        self._lives(replace(one, app=self._random.choice(APPS)))
        return f"{one.name} was relabelled"

    def _end(self) -> str:
        """A pod has done its work; the object stays until somebody else gets the address, or it is cleared away."""
        if not self.dwellers:
            return self._come()
        one = self._any()
        self._lives(replace(one, phase="Succeeded"))
        self._dies(self.dwellers[one.uid])
        for address in one.addresses:
            self._give_back(address)
        return f"{one.name} succeeded"

    def _write(self) -> str:
        if self._written >= _MOST_WRITTEN:
            return self._come()
        self._written += 1
        move = self._random.choice((self._govern, self._select, self._rule, self._rule, self._destination))
        return move()

    def gather(self, count: int) -> None:
        """A team with so many pods, and a destination that nobody else speaks of."""
        self.cluster.namespace(CROWD)
        self.cluster.external(CROWD, "bank", f"{FAR}/32")
        self.cluster.service(CROWD, CROWD)
        self.cluster.service_rule(CROWD, CROWD, "bank")
        for resource in (Resource.NAMESPACES, Resource.EXTERNAL_SERVICES, Resource.SERVICES, Resource.SERVICE_RULES):
            self._wrote(resource)
        for number in range(1, count + 1):
            self._born((f"10.244.3.{number}",), CROWD, CROWD)

    def vanish(self, count: int) -> set[str]:
        """So many of that crowd go; the addresses that they had."""
        crowd = [one for one in self.dwellers.values() if one.app == CROWD][:count]
        for one in crowd:
            self._dies(one)
        return {address for one in crowd for address in one.addresses}

    def inherit(self, addresses: list[str]) -> set[str]:
        """Pods of others get these addresses."""
        for address in addresses:
            self._born((address,))
        return set(addresses)

    # ---- pods

    def _any(self) -> Dweller:
        return self.dwellers[self._random.choice(sorted(self.dwellers))]

    def _born(self, addresses: tuple[str, ...], space: str = "", app: str = "") -> Dweller:
        self._clock += 1
        self._numbers["pod"] += 1
        uid = str(uuid.UUID(int=self._random.getrandbits(128), version=4))
        app, space = app or self._random.choice(APPS), space or self._random.choice(SPACES)
        one = Dweller(uid, space, f"{app}-{self._numbers['pod']}", app, addresses, self._clock)
        if self._random.random() < 0.5:
            self._put(replace(one, addresses=(), phase="Pending"))
        self._lives(one)
        return one

    def _lives(self, one: Dweller) -> None:
        before = self.dwellers.get(one.uid)
        self.dwellers[one.uid] = one
        self._put(one)
        self._note(*one.addresses, *(before.addresses if before else ()))
        for address in one.addresses:
            self.during.had(address, None if one.ends else one)

    def _put(self, one: Dweller) -> None:
        more: dict[str, Any] = {"app": one.app, "phase": one.phase, "started": one.started}
        self.cluster.pod(one.namespace, one.name, *one.addresses, uid=one.uid, **more)

    def _dies(self, one: Dweller) -> None:
        del self.dwellers[one.uid]
        self.cluster.delete_pod(one.namespace, one.name)
        self._note(*one.addresses)

    def _note(self, *addresses: str) -> None:
        self.touched.update(addresses)
        held = self.owners()
        for address in addresses:
            self.during.had(address, held.get(address))

    def _give_back(self, address: str) -> None:
        if ":" in address:
            self._free6.append(address)
        else:
            self._free.append(address)

    # ---- what people write

    def _build(self) -> None:
        for name in SPACES:
            self.cluster.namespace(name, governed=name != "free")
            self.cluster.external(name, "bank", *BANKS[:1], BANKS[-1])
            for app in APPS:
                self.cluster.service(name, app)
            self.cluster.service_rule(name, "web", "bank")
        self.cluster.external("", "partner", PARTNERS[0], PARTNERS[-1])
        self.cluster.external("", "dark", "192.0.2.4/31")
        self.cluster.cluster_rule("dark", "dark", "Deny", priority=10)
        self.cluster.cluster_rule("all", "partner", "Allow", priority=30)

    def _wrote(self, resource: Resource) -> None:
        self.during.wrote(resource, read(self.cluster.store, resource))
        self.touched.update(self._random.sample(sorted(self.owners()), min(10, len(self.owners()))))

    def _govern(self) -> str:
        name = self._random.choice(("play", "free"))
        space = self.cluster.store.get("namespaces", None, name)
        labels = (
            {"name": name} if "fusionbridge.io/egress" in space["metadata"]["labels"] else {**GOVERNED, "name": name}
        )
        self.cluster.store.put(space | {"metadata": space["metadata"] | {"labels": labels}})
        self._wrote(Resource.NAMESPACES)
        return f"namespace {name} is {'governed' if GOVERNED.items() <= labels.items() else 'not governed'}"

    def _select(self) -> str:
        name, app = self._random.choice(SPACES), self._random.choice(APPS)
        service = self.cluster.store.get("services", name, app)
        selector = {"app": self._random.choice(APPS)}
        self.cluster.store.put(service | {"spec": service["spec"] | {"selector": selector}})
        self._wrote(Resource.SERVICES)
        return f"service {name}/{app} selects {selector}"

    def _rule(self) -> str:
        return self._random.choice((self._cluster_rule, self._namespace_rule, self._service_rule))()

    def _cluster_rule(self) -> str:
        name = self._random.choice(("dark", "all", "one", "two"))
        action = self._random.choice(("Allow", "Allow", "Deny", "Reject", "Pass" if name == "one" else "Deny"))
        if self._random.random() < 0.2:
            return self._gone(Resource.CLUSTER_RULES, None, name)
        more: dict[str, Any] = {}
        if name in ("one", "two"):
            app = {"matchLabels": {"app": self._random.choice(APPS)}}
            more["from"] = {"podSelector": app, "namespaceSelector": {}}
        to = self._random.choice(("partner", "dark"))
        self.cluster.cluster_rule(name, to, action, priority=self._random.choice((10, 20, 30)), **more)
        self._wrote(Resource.CLUSTER_RULES)
        return f"cluster rule {name}: {action} {to}"

    def _namespace_rule(self) -> str:
        space, name = self._random.choice(SPACES), self._random.choice(("one", "two"))
        if self._random.random() < 0.3:
            return self._gone(Resource.NAMESPACE_RULES, space, name)
        action = self._random.choice(("Allow", "Deny", "Reject", "Pass" if name == "one" else "Allow"))
        more: dict[str, Any] = {"priority": self._random.choice((10, 20))}
        if name == "one":
            more["from"] = {"podSelector": {"matchLabels": {"app": self._random.choice(APPS)}}}
        self.cluster.namespace_rule(space, name, "bank", action, **more)
        self._wrote(Resource.NAMESPACE_RULES)
        return f"namespace rule {space}/{name}: {action}"

    def _service_rule(self) -> str:
        space, app = self._random.choice(SPACES), self._random.choice(APPS)
        if self._random.random() < 0.3:
            return self._gone(Resource.SERVICE_RULES, space, f"{app}-bank")
        action = self._random.choice(("Allow", "Allow", "Deny", "Reject"))
        self.cluster.service_rule(space, app, "bank", action)
        self._wrote(Resource.SERVICE_RULES)
        return f"service rule {space}/{app}: {action}"

    def _gone(self, resource: Resource, namespace: str | None, name: str) -> str:
        try:
            self.cluster.store.delete(resource, namespace, name)
        except Refusal:
            return f"no {resource} {namespace}/{name} to delete"
        self._wrote(resource)
        return f"{resource} {namespace}/{name} was deleted"

    def _destination(self) -> str:
        space = self._random.choice(("", *SPACES))
        pool = BANKS if space else PARTNERS
        addresses = self._random.sample(pool, self._random.choice((1, 2)))
        name = "bank" if space else self._random.choice(("partner", "dark"))
        ports = [{"protocol": "TCP", "port": port} for port in self._random.choice(PORTS)]
        kind = "ExternalService" if space else "ClusterExternalService"
        self.cluster.put(kind, space, name, {"addresses": addresses, "ports": ports})
        self._wrote(Resource.EXTERNAL_SERVICES if space else Resource.CLUSTER_EXTERNAL_SERVICES)
        return f"{kind} {space}/{name}: {addresses} {ports}"
