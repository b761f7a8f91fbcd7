"""Streams of attempts while pods come, go and come again under each other's addresses: nothing gets through that neither end lets through.

The gateway is given each change at once, and again in transactions of two steps, so that packets meet the states in between.
"""

import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import pytest

from adapters.nftables import factory
from bridge.model.capabilities import Form
from bridge.model.policy import Action, PortRange, Protocol, Tier, Traffic
from tests.adapters.nftables.machine import kernel, nft
from tests.adapters.nftables.rig import config
from tests.packets.gateway import CART, DB, PAID, PODS, SHOP, WORLD, Gateway, expected, rule
from tests.packets.network import Attempt, Fate, Network, network
from tests.policy.world import OUTSIDE, Holder, World

pytestmark = [kernel, pytest.mark.timeout(120)]

_KINDS = ((Protocol.TCP, 443), (Protocol.UDP, 53), (Protocol.SCTP, 3868), (Protocol.ICMP, 0))
SENDERS = dict.fromkeys(("10.0.0.1", "10.0.0.2", "10.0.0.5"), "192.0.2.1") | {"fd00::1": "2001:db8::1"}
ATTEMPTS: Mapping[str, Sequence[Attempt]] = {
    source: [
        Attempt(source, to, Protocol.ICMPV6 if (kind, ":" in to) == (Protocol.ICMP, True) else kind, port)
        for kind, port in _KINDS
    ]
    for source, to in SENDERS.items()
}
_DB = replace(WORLD.externals[DB], traffic=(*WORLD.externals[DB].traffic, Traffic(Protocol.UDP, (PortRange(53, 53),))))
_WORLD = replace(WORLD, externals={**WORLD.externals, DB: _DB})
_DENIED = (rule("not-now", Tier.NAMESPACE, Action.DENY, SHOP, DB, priority=0), *_WORLD.rules)
_WITHOUT_PASS = tuple(one for one in _WORLD.rules if one.action is not Action.PASS)

Homes = Mapping[str, tuple[str, Holder]]  # address → where it is, and who has it
_HOME: Homes = {"10.0.0.1": ("a", PAID), "10.0.0.2": ("b", CART), "fd00::1": ("a", PAID)}
STATES: tuple[tuple[Homes, World], ...] = (
    (_HOME, _WORLD),
    ({"10.0.0.2": ("b", CART)}, _WORLD),  # its pod is gone
    (
        {"10.0.0.1": ("c", CART), "10.0.0.2": ("b", CART), "fd00::1": ("c", CART)},
        _WORLD,
    ),  # another workload gets the address
    ({"10.0.0.1": ("c", PAID), "10.0.0.5": ("e", PAID)}, replace(_WORLD, rules=_WITHOUT_PASS)),
    ({"10.0.0.2": ("a", PAID), "10.0.0.5": ("e", CART), "fd00::1": ("e", PAID)}, replace(_WORLD, rules=_DENIED)),
    ({"10.0.0.2": ("b", PAID), "10.0.0.5": ("d", Holder("bank", {"app": "pay"}))}, _WORLD),
    (_HOME, _WORLD),
)


@dataclass
class Stream:
    """Attempts without end. `allowed` are those that may get through at the moment; `leaked` got through and might not."""

    wires: Network
    allowed: frozenset[Attempt] = frozenset()
    through: Counter[Attempt] = field(default_factory=Counter)
    stopped: Counter[Attempt] = field(default_factory=Counter)
    leaked: list[Attempt] = field(default_factory=list)
    failed: list[BaseException] = field(default_factory=list)
    _ended: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def running(self) -> Iterator[None]:
        threads = [threading.Thread(target=self._run, args=(listed,)) for listed in ATTEMPTS.values()]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._ended.set()
            for thread in threads:
                thread.join()

    def _run(self, listed: Sequence[Attempt]) -> None:
        while not self._ended.is_set():
            for one in listed:
                self._try(one)

    def _try(self, one: Attempt) -> None:
        before = one in self.allowed
        try:
            fate = self.wires.attempt(one, patience=0.05)
        except (OSError, LookupError):
            self._ended.wait(0.01)  # nobody has the address
            return
        if fate is not Fate.THROUGH:
            self.stopped[one] += 1
            return
        self.through[one] += 1
        if not before and one not in self.allowed:
            self.leaked.append(one)


def allowed(world: World) -> frozenset[Attempt]:
    return frozenset(one for listed in ATTEMPTS.values() for one in listed if expected(world, one) is Fate.THROUGH)


def place(wires: Network, homes: Homes) -> None:
    for address in [one for one in wires.homes if one not in homes]:
        wires.remove(address)
    for address, (pod, _) in homes.items():
        if wires.homes.get(address) != pod:
            wires.place(address, pod)


@pytest.fixture(scope="module")
def wires() -> Iterator[Network]:
    with network(PODS, OUTSIDE) as made:
        yield made


@pytest.mark.parametrize("form", [Form.TIERED, Form.FLAT])
@pytest.mark.parametrize("steps", [50_000, 2], ids=["at once", "in small parts"])
def test_nothing_gets_through_that_neither_state_lets_through(wires: Network, form: Form, steps: int) -> None:
    adapter = factory.open(config(wires.gateway, form=form.value, transactionSteps=steps))
    gateway, stream = Gateway(wires, adapter), Stream(wires)
    worlds = [replace(world, holders={one: holder for one, (_, holder) in homes.items()}) for homes, world in STATES]
    try:
        gateway.enforce(worlds[0])
        place(wires, STATES[0][0])
        stream.allowed = allowed(worlds[0])
        with stream.running():
            for (homes, _), world in zip(STATES[1:] * 2, worlds[1:] * 2, strict=True):
                stream.allowed = stream.allowed | allowed(world)
                place(wires, homes)
                gateway.enforce(world)
                stream.allowed = allowed(world)
                threading.Event().wait(0.15)
    finally:
        adapter.close()
        nft(wires.gateway, "flush", "ruleset")
    assert not stream.leaked
    tried = {
        protocol: sum(count for one, count in stream.through.items() if one.protocol is protocol)
        for protocol in Protocol
    }
    assert all(tried[protocol] for protocol in (*dict(_KINDS), Protocol.ICMPV6)), tried
    assert all(stream.stopped[one] for one in ATTEMPTS["10.0.0.2"]), stream.stopped


def test_a_stream_tells_what_leaks(wires: Network) -> None:
    """So that the test above can fail: without a policy everything gets through, and it says so."""
    stream = Stream(wires)
    place(wires, _HOME)
    with stream.running():
        threading.Event().wait(0.3)
    assert {one.source for one in stream.leaked} == set(_HOME)
