"""A device in memory in the hands of the conformance suite."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from itertools import count

import msgspec

from bridge.contract import DeviceConfig
from bridge.lab.device import Moment, Trouble
from bridge.lab.devices.memory import referee
from bridge.lab.devices.memory.contents import AddressSet, Bundle, Contents, Entry, EntrySet, PortSet
from bridge.lab.devices.memory.device import Fault, MemoryDevice, memory_device
from bridge.model.capabilities import Form
from bridge.model.identity import ObjectKey
from bridge.policy.evaluate import Packet, Verdict

_NUMBERS = count(1)
_TOKEN = "correct-horse"  # noqa: S105


@dataclass(frozen=True, slots=True)
class Stood:
    """The device after one of its changes."""

    held: Contents

    def verdict(self, packet: Packet, at: float | None = None) -> Verdict:
        """The referee's."""
        return referee.verdict(self.held, packet, at)

    def dangling(self) -> Sequence[str]:
        """References to what is not there."""
        return list(referee.dangling(self.held))


class MemoryRig:
    """The controls of one device, in the suite's words."""

    troubles = frozenset(Trouble)
    limits: Mapping[str, int] = {"group_members": 5, "groups": 6, "rules": 3}

    def __init__(self, device: MemoryDevice) -> None:
        self.device = device
        self.device.token = _TOKEN
        self.reset()

    def config(self, *, owner: str = "fb", batch: int | None = None, timeout: float = 10.0) -> DeviceConfig:  # noqa: ARG002
        """The first owner in force wherever our policies can be; one write at once, always."""
        attach = {"mode": "ifEmpty" if owner == "fb" else "none"}
        scope = {"form": self.device.form.value}
        return DeviceConfig(
            "edge", "memory", f"memory://{self.device.name}", owner, _Login(), scope, attach, timeout=timeout
        )

    def reset(self) -> None:
        """As new."""
        self.device.wipe()
        self.device.history = [self.device.contents]

    def plant(self) -> Collection[str]:
        """Sets of our name, of our mark, of neither; and entries of the site's own, in force for addresses that nobody else speaks of."""
        edit = self.device.edit
        hosts, elsewhere = AddressSet(("172.16.0.0/12",)), AddressSet(("203.0.113.0/24",))
        alike = {"fb_group:prod/service/shop/web2": "site", "copy": "fb:fb:group:prod/service/shop/web"}
        for name, tag in (*alike.items(), ("unrelated", "site")):
            edit(name, tag, hosts)
        edit("site-hosts", "", hosts)
        edit("site-elsewhere", "", elsewhere)
        edit("site-web", "", PortSet(((443, 443),)))
        edit("site-entries", "", EntrySet((Entry("own", ("site-hosts",), ("site-elsewhere",), 6, "site-web"),)))
        edit("site-bundle", "", Bundle(("site-entries",)))
        self.device.put_in_force("site", "site-bundle")
        return {*alike, "site-entries"}

    def contents(self) -> Mapping[str, bytes]:
        """Every object without its version, and who claims what."""
        held = self.device.contents
        found = {name: msgspec.json.encode((one.tag, one.body)) for name, one in held.objects.items()}
        return found | {f"claim of {owner}": msgspec.json.encode(claim) for owner, claim in held.claims.items()}

    def calls(self) -> int:
        """Calls so far."""
        return self.device.calls

    def moments(self) -> Sequence[Moment]:
        """Each state that it has been in."""
        return [Stood(held) for held in self.device.history or ()]

    def disturb(self, trouble: Trouble, *, skip: int = 0, times: int | None = None, writes: bool = False) -> None:
        """A trouble in the way of calls."""
        self.device.faults.append(Fault(trouble, skip, times, writes))

    def calm(self) -> int:
        """Forget every trouble."""
        hits = sum(fault.hits for fault in self.device.faults)
        self.device.faults.clear()
        return hits

    def narrow(self, limit: str) -> None:
        """The device's own limits."""
        planted = sum(isinstance(one.body, AddressSet) for one in self.device.contents.objects.values())
        more = planted if limit == "groups" else 0
        self.device.limits = {limit: self.limits[limit] + more}

    def unmark(self, key: ObjectKey) -> str:
        """Another tag, and other addresses."""
        name = f"fb_{key}"
        self.device.edit(name, "mine now", AddressSet(("192.0.2.97",)))
        return name

    def tamper(self, key: ObjectKey) -> None:
        """One more address."""
        name = f"fb_{key}"
        stored = self.device.contents.objects[name]
        held = stored.body.addresses if isinstance(stored.body, AddressSet) else ()
        self.device.edit(name, stored.tag, AddressSet((*held, "10.66.0.66")))

    def secrets(self) -> Collection[str]:
        """The token."""
        return {_TOKEN}


class _Login:
    """The token of the rig's device."""

    def value(self, name: str) -> str:
        return {"token": _TOKEN}[name]


def memory_rig(form: Form = Form.ALLOW_ONLY) -> Callable[[], AbstractContextManager[MemoryRig]]:
    """What lends a device of this form."""

    @contextmanager
    def lend() -> Iterator[MemoryRig]:
        yield MemoryRig(memory_device(f"rig-{next(_NUMBERS)}", form))

    return lend
