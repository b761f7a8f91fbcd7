"""Random policies on whole devices of every form: pushed, read back, and each packet decided as the evaluator decides it."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from random import Random

import pytest

from adapters.bigip import factory as bigip_factory
from adapters.fortigate import factory as fortigate_factory
from adapters.nftables import factory as nftables_factory
from bridge.contract import Adapter, AdapterFactory, DeviceConfig
from bridge.lab.devices.bigip.rig import bigip_rig
from bridge.lab.devices.memory import factory as memory_factory
from bridge.lab.devices.memory.rig import memory_rig
from bridge.model.capabilities import Form
from bridge.model.intent import EVERYTHING, Intent, Objects
from bridge.model.plan import Fence
from bridge.policy.diff import diff, plan
from bridge.policy.evaluate import Verdict
from tests.adapters.forms.fleet import Fleet, Question, drawn, questions
from tests.adapters.forms.judges import (
    Judge,
    bigip_judges,
    decided,
    fortigate_judges,
    memory_judges,
    nftables_judges,
)
from tests.adapters.fortigate.rig import fortigate_rig
from tests.adapters.nftables.machine import kernel, namespace, nft
from tests.adapters.nftables.rig import TABLE, config
from tests.policy.world import World

SEED = int(os.environ["BRIDGE_TEST_SEED"])
FENCE = Fence(1, "forms")
WORLDS, AT_ONCE, PACKETS = 1000, 100, 40


@dataclass
class Device:
    """One device: how an adapter reaches it, and who judges what it holds now."""

    factory: AdapterFactory
    config: DeviceConfig
    judges: Callable[[], Callable[[str], Judge]]


@contextmanager
def bigip() -> Iterator[Device]:
    with bigip_rig() as rig:
        rig.reset()
        yield Device(bigip_factory, rig.config(), lambda: bigip_judges(rig.device.state()))


@contextmanager
def fortigate() -> Iterator[Device]:
    with fortigate_rig(tls=False) as rig:
        yield Device(fortigate_factory, rig.config(), lambda: fortigate_judges(rig.device))


def memory(form: Form) -> Callable[[], AbstractContextManager[Device]]:
    @contextmanager
    def lend() -> Iterator[Device]:
        with memory_rig(form)() as rig:
            rig.device.history = None
            yield Device(memory_factory, rig.config(), lambda: memory_judges(rig.device.contents))

    return lend


def nftables(form: Form) -> Callable[[], AbstractContextManager[Device]]:
    @contextmanager
    def lend() -> Iterator[Device]:
        with namespace() as name:
            shown = ("-jn", "list", "table", "inet", TABLE)
            yield Device(nftables_factory, config(name, form=form.value), lambda: nftables_judges(nft(name, *shown)))

    return lend


Lender = Callable[[], AbstractContextManager[Device]]
DEVICES = [
    pytest.param(bigip, 100, id="tiered: BIG-IP"),
    pytest.param(nftables(Form.TIERED), 200, id="tiered: nftables", marks=kernel),
    pytest.param(nftables(Form.FLAT), 200, id="flat: nftables", marks=kernel),
    pytest.param(fortigate, 100, id="flat: FortiGate"),
    pytest.param(memory(Form.FLAT), 400, id="flat: memory"),
    pytest.param(memory(Form.ALLOW_ONLY), 1000, id="allow-only: memory"),
]


@pytest.fixture(scope="module")
def fleets() -> list[World]:
    """The worlds that all devices are given."""
    print(f"BRIDGE_TEST_SEED={SEED}")
    return drawn(WORLDS, SEED)


@pytest.fixture(scope="module")
def asked(fleets: list[World]) -> list[list[Question]]:
    """Packets of the worlds that are pushed together, with what policy says of them."""
    chance = Random(SEED)
    return [questions(fleets[at : at + AT_ONCE], PACKETS, chance) for at in range(0, WORLDS, AT_ONCE)]


def push(adapter: Adapter, wanted: Objects) -> None:
    """Bring the objects there, read them back, and find nothing left to do."""
    want = Intent("edge", adapter.normalize(Intent("edge", wanted)))
    have = adapter.read(EVERYTHING).objects
    outcome = adapter.apply(plan("edge", diff(have, want), have, adapter.capabilities, adapter.limits), FENCE)
    assert not outcome.refused
    assert adapter.read(EVERYTHING).objects == want.objects


def check(lend: Lender, fleets: Sequence[World], asked: Sequence[Sequence[Question]]) -> None:
    """The worlds of the questions on one device, pushed together where they are asked about together."""
    tried = 0
    seen: set[Verdict] = set()
    with lend() as device:
        adapter = device.factory.open(device.config)
        adapter.raise_fence(FENCE)
        form = adapter.capabilities.form
        for number, listed in enumerate(asked):
            together = fleets[number * AT_ONCE : (number + 1) * AT_ONCE]
            fleet = Fleet.of(together, adapter.capabilities)
            push(adapter, fleet.objects)
            answers = list(decided(listed, device.judges()))
            wrong = [(together[one.world], one, found) for one, found in fleet.wrong(form, answers)]
            assert not wrong, (f"seed {SEED}", len(wrong), wrong[0])
            assert len(fleet.closed) < AT_ONCE / 4, "too little was compiled as written"
            tried += len(answers)
            seen |= {found for _, found in answers}
        adapter.close()
    assert tried == len(asked) * AT_ONCE * PACKETS
    assert seen == ({Verdict.ALLOW, Verdict.UNMATCHED} if form is Form.ALLOW_ONLY else set(Verdict))


@pytest.mark.timeout(120)
@pytest.mark.parametrize(("lend", "most"), DEVICES)
def test_every_packet_is_decided_as_the_evaluator_decides_it(
    lend: Lender, most: int, fleets: list[World], asked: list[list[Question]]
) -> None:
    check(lend, fleets, asked[: most // AT_ONCE])
