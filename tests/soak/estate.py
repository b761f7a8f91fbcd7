"""Devices of every kind and form in this process, disturbed at will, each telling how it stood after every change."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from random import Random

from adapters.bigip import factory as bigip_factory
from bridge.contract import AdapterFactory, DeviceConfig
from bridge.lab.device import Moment, Rig
from bridge.lab.devices.bigip import Bigip
from bridge.lab.devices.bigip.rig import BigipMoment, BigipRig
from bridge.lab.devices.memory import MemoryDevice, memory_device
from bridge.lab.devices.memory import factory as memory_factory
from bridge.lab.devices.memory.rig import MemoryRig, Stood
from bridge.model.capabilities import Form
from tests.adapters.nftables.machine import MISSING
from tests.adapters.nftables.rig import NftablesRig, nftables_rig, rigged

Drain = Callable[[], list[Moment]]
_PATIENCE = 3.0  # seconds for one call: what is silent longer is taken for gone


@dataclass
class Post:
    """One device. `drain` tells each state since it was last asked, oldest first."""

    name: str
    form: Form
    rig: Rig
    factory: AdapterFactory
    drain: Drain
    alone: Callable[[], AbstractContextManager[object]] = nullcontext  # nobody else changes the device meanwhile
    foreign: Mapping[str, bytes] = field(default_factory=dict)
    hits: int = 0

    def settle(self) -> None:
        """As from the factory, with what others own on it."""
        self.rig.reset()
        self.rig.plant()
        self.foreign = self.rig.contents()
        self.drain()

    def config(self) -> DeviceConfig:
        """By which the bridge reaches it."""
        return replace(self.rig.config(timeout=_PATIENCE), name=self.name)

    def calm(self) -> None:
        """Nothing is in the way any more."""
        self.hits += self.rig.calm()

    def touched(self) -> list[str]:
        """What others own and is not as they left it."""
        there = self.rig.contents()
        return [f"{self.name}: {name}" for name, held in self.foreign.items() if there.get(name) != held]


def sampled(moments: Sequence[Moment], most: int, random: Random) -> list[Moment]:
    """So many of them: the last, and any others."""
    if len(moments) <= most:
        return list(moments)
    return [*random.sample(list(moments[:-1]), most - 1), moments[-1]]


@contextmanager
def estate(*, kernel: bool | None = None) -> Iterator[list[Post]]:
    """A BIG-IP, the device in memory in both forms, and the Linux gateway in both where root allows."""
    with ExitStack() as stack:
        device = stack.enter_context(Bigip(tls=False, keep=5_000))
        posts = [_bigip(device)]
        posts += [_memory(name, form) for name, form in (("cloud", Form.ALLOW_ONLY), ("list", Form.FLAT))]
        if not MISSING if kernel is None else kernel:
            for name, form in (("tiers", Form.TIERED), ("lines", Form.FLAT)):
                posts.append(_gateway(name, stack.enter_context(nftables_rig(form))))
        for post in posts:
            post.settle()
        yield posts


def _bigip(device: Bigip) -> Post:
    last = [0]

    def drain() -> list[Moment]:
        numbers = [write.number for write in device.writes() if write.number > last[0]]
        last[0] = max(numbers, default=last[0])
        return [BigipMoment(device, number) for number in numbers]

    return Post("edge", Form.TIERED, BigipRig(device), bigip_factory, drain, lambda: device._changed)


def _memory(name: str, form: Form) -> Post:
    device: MemoryDevice = memory_device(f"soak-{name}", form)

    def drain() -> list[Moment]:
        seen, device.history = device.history or [], []
        return [Stood(held) for held in seen]

    return Post(name, form, MemoryRig(device), memory_factory, drain, device._alone)


def _gateway(name: str, rig: NftablesRig) -> Post:
    def drain() -> list[Moment]:
        seen, rig.seen = rig.seen, []
        return seen

    return Post(name, rig.form, rig, rigged, drain)
