"""Devices of every kind and form in this process, disturbed at will, each telling how it stood after every change."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import TypeVar

from adapters.aws import factory as aws_factory
from adapters.bigip import factory as bigip_factory
from adapters.fortigate import factory as fortigate_factory
from bridge.contract import AdapterFactory, DeviceConfig
from bridge.lab.device import Moment, Rig
from bridge.lab.devices.aws import Aws
from bridge.lab.devices.aws.rig import AwsMoment, AwsRig
from bridge.lab.devices.bigip import Bigip
from bridge.lab.devices.bigip.as3_rig import As3Moment, As3Rig
from bridge.lab.devices.bigip.rig import BigipMoment, BigipRig
from bridge.lab.devices.fortigate import Fortigate
from bridge.lab.devices.fortigate.rig import FortigateMoment
from bridge.lab.devices.memory import MemoryDevice, memory_device
from bridge.lab.devices.memory import factory as memory_factory
from bridge.lab.devices.memory.rig import MemoryRig, Stood
from bridge.model.capabilities import Form
from tests.adapters.fortigate.rig import FedRig
from tests.adapters.fortigate.rig import Rig as FortigateRig
from tests.adapters.nftables.machine import MISSING, nft
from tests.adapters.nftables.rig import TABLE, NftablesRig, nftables_rig, rigged
from tests.adapters.nftables.rig import Stood as StoodGateway
from tests.soak.town import DESTINATIONS, DESTINATIONS6
from tests.soak.ways import Track, WatchedFactory

T = TypeVar("T")
Lock = Callable[[], AbstractContextManager[object]]
_BATCH = 4  # steps at once: with more, what is atomic would have no moments in between
_RULES = 1000  # of a security group: a quota that sites can have
_ELSEWHERE = ("203.0.113.1",)  # destinations of acceptance, which the town has not
_FEEDS = 3  # fewer than there are groups with churn, so that some give up their place to others
_PATIENCE = 3.0  # seconds for one call: what is silent longer is taken for gone


@dataclass
class Post:
    """One device. `track` tells each state since it was last asked, as far as this process sees them; `now` how it stands."""

    name: str
    form: Form
    rig: Rig
    factory: AdapterFactory
    track: Track
    now: Callable[[], Moment]
    alone: Lock = nullcontext  # nobody else changes the device meanwhile
    restart: Callable[[], None] | None = None  # where a device that starts again loses something of ours
    foreign: Mapping[str, bytes] = field(default_factory=dict)
    hits: int = 0

    def settle(self) -> None:
        """As from the factory, with what others own on it."""
        self.rig.reset()
        self.rig.plant()
        self.foreign = self.rig.contents()
        self.track.take()

    def config(self) -> DeviceConfig:
        """By which the bridge reaches it."""
        config = self.rig.config(timeout=_PATIENCE, batch=_BATCH)
        url = f"local://{self.name}" if config.url.startswith("local:") else config.url
        return replace(config, name=self.name, url=url)

    def watched(self) -> AdapterFactory:
        """Adapters whose plans are tracked."""
        return WatchedFactory(self.factory, self.track)

    def calm(self) -> None:
        """Nothing is in the way any more."""
        self.hits += self.rig.calm()

    def touched(self) -> list[str]:
        """What others own and is not as they left it."""
        there = self.rig.contents()
        return [f"{self.name}: {name}" for name, held in self.foreign.items() if there.get(name) != held]


def sampled(listed: Sequence[T], most: int, random: Random) -> list[T]:
    """So many of them: the last, and any others."""
    if len(listed) <= most:
        return list(listed)
    return [*random.sample(list(listed[:-1]), most - 1), listed[-1]]


@contextmanager
def estate() -> Iterator[list[Post]]:
    """A BIG-IP and a FortiGate in both of their forms, an AWS account, the device in memory and the Linux gateway in both of theirs.

    BIG-IP: over iControl REST, and with AS3. FortiGate: objects alone, and feeds. The gateway only where root allows.
    """
    with ExitStack() as stack:
        devices = (memory_device(f"soak-{form.value}", form) for form in (Form.ALLOW_ONLY, Form.FLAT))
        more = [_as3(stack.enter_context(Bigip(tls=False, keep=5_000)))]
        more += [_fortigate(stack.enter_context(Fortigate(tls=False, keep=5_000)), fed=fed) for fed in (False, True)]
        more += [_aws(stack.enter_context(Aws(tls=False, keep=5_000)))]
        for post in more:
            post.settle()
        yield [*_settled(stack, devices), *more]


@contextmanager
def estate_in_files(folder: Path) -> Iterator[list[Post]]:
    """The same for a bridge in a process of its own: the devices in memory live in files, and only BIG-IP tells of each moment."""
    with ExitStack() as stack:
        forms = (Form.ALLOW_ONLY, Form.FLAT)
        yield _settled(stack, (MemoryDevice(form.value, form, folder / f"{form.value}.json") for form in forms))


def _settled(stack: ExitStack, devices: Iterable[MemoryDevice]) -> list[Post]:
    posts = [_bigip(stack.enter_context(Bigip(tls=False, keep=5_000)))]
    posts += [_memory(device) for device in devices]
    if not MISSING:
        posts += [_gateway(stack.enter_context(nftables_rig(form))) for form in (Form.TIERED, Form.FLAT)]
    for post in posts:
        post.settle()
    return posts


def _bigip(device: Bigip) -> Post:
    drain, now = _told(device, lambda number: BigipMoment(device, number))
    return Post("edge", Form.TIERED, BigipRig(device), bigip_factory, Track(drain), now, lambda: device.changed)


def _as3(device: Bigip) -> Post:
    drain, now = _told(device, lambda number: As3Moment(device, number))
    return Post("edge-as3", Form.FLAT, As3Rig(device), bigip_factory, Track(drain), now, lambda: device.changed)


def _told(device: Bigip, moment: Callable[[int], Moment]) -> tuple[Callable[[], list[Moment]], Callable[[], Moment]]:
    """What is new since the last time, and how it stands."""
    last = [0]

    def drain() -> list[Moment]:
        numbers = [write.number for write in device.writes() if write.number > last[0]]
        last[0] = max(numbers, default=last[0])
        return [moment(number) for number in numbers]

    return drain, lambda: moment(device.writes()[-1].number)


def _fortigate(device: Fortigate, *, fed: bool) -> Post:
    last = [0]

    def drain() -> list[Moment]:
        writes = [write for write in device.writes() if write.number > last[0]]
        last[0] = max((write.number for write in writes), default=last[0])
        return [FortigateMoment(device, write.number, write.at) for write in writes]

    def now() -> Moment:
        write = device.writes()[-1]
        return FortigateMoment(device, write.number, write.at)

    rig = FedRig(device, feeds={"most": _FEEDS}) if fed else FortigateRig(device)
    name, restart = ("branch-feeds", device.reboot) if fed else ("branch", None)
    track = Track(drain)
    return Post(name, Form.FLAT, rig, fortigate_factory, track, now, lambda: device.changed, restart)


def _aws(device: Aws) -> Post:
    """A security group before each destination, and a quota by which each takes the whole town."""
    behind = [*(f"{to}/32" for to in (*DESTINATIONS, *_ELSEWHERE)), *(f"{to}/128" for to in DESTINATIONS6)]
    rig = AwsRig(device, behind, _RULES)
    last = [0]

    def drain() -> list[Moment]:
        numbers = [write.number for write in device.writes() if write.number > last[0]]
        last[0] = max(numbers, default=last[0])
        interfaces = dict(device.interfaces)
        return [AwsMoment(device, number, interfaces) for number in numbers]

    def now() -> Moment:
        return AwsMoment(device, device.writes()[-1].number, dict(device.interfaces))

    return Post("cloud", Form.ALLOW_ONLY, rig, aws_factory, Track(drain), now, lambda: device.changed)


def _memory(device: MemoryDevice) -> Post:
    def drain() -> list[Moment]:
        seen, device.history = device.history or [], []
        return [Stood(held) for held in seen]

    def now() -> Moment:
        return Stood(device.contents)

    rig = MemoryRig(device)
    return Post(f"memory-{device.form.value}", device.form, rig, memory_factory, Track(drain), now, device._alone)


def _gateway(rig: NftablesRig) -> Post:
    def drain() -> list[Moment]:
        seen, rig.seen = rig.seen, []
        return seen

    def now() -> Moment:
        return StoodGateway(nft(rig.name, "-jn", "list", "table", "inet", TABLE, check=False))

    return Post(f"gateway-{rig.form.value}", rig.form, rig, rigged, Track(drain), now)
