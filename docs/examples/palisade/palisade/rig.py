"""A simulated Palisade in the hands of the conformance suite: a dozen short methods."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import msgspec

from bridge.contract import DeviceConfig
from bridge.lab.device import Moment, Trouble
from bridge.model.identity import ObjectKey
from bridge.policy.evaluate import Packet, Verdict
from palisade.simulator import Fault, Palisade, dangling, verdict
from palisade.wire import Addresses, Chain, Document, Line, Record, Rules, Services

_SITE = {
    "fb:group:prod/service/shop/web2": Record("the site's", Addresses(("172.16.0.1",))),
    "copy": Record("fb:fb:group:prod/service/shop/web", Addresses(("172.16.0.2",))),
    "hosts": Record("", Addresses(("172.16.0.0/12",))),
    "web": Record("", Services(((80, 80),))),
    "own": Record("", Rules((Line("own", "allow", ("hosts",), ("hosts",), "TCP", "web"),))),
    "own-chain": Record("", Chain(("own",))),
}
_ALIKE = ("fb:group:prod/service/shop/web2", "copy")


@dataclass(frozen=True, slots=True)
class Stood:
    """The device after one of its changes."""

    held: Document

    def verdict(self, packet: Packet, at: float | None = None) -> Verdict:  # noqa: ARG002 (time changes nothing here)
        """The device's own."""
        return verdict(self.held, packet)

    def dangling(self) -> Sequence[str]:
        """As the device finds them."""
        return list(dangling(self.held))


class PalisadeRig:
    """The controls."""

    troubles = frozenset(Trouble)
    limits: Mapping[str, int] = {"group_members": 5, "groups": 6, "rules": 3}

    def __init__(self, device: Palisade) -> None:
        self._device = device

    def config(self, *, owner: str = "fb", batch: int | None = None, timeout: float = 10.0) -> DeviceConfig:
        """The first owner in force wherever our policies can be."""
        attach = {"mode": "ifEmpty" if owner == "fb" else "none"}
        device = self._device
        scope = {"batch": batch} if batch else {}
        return DeviceConfig(
            "edge", "palisade", device.url, owner, _Login(device), scope, attach, ca_file=device.ca, timeout=timeout
        )

    def reset(self) -> None:
        """As new."""
        self._device.wipe()

    def plant(self) -> Collection[str]:
        """What others own."""
        self._device.edit(msgspec.structs.replace(self._device.held, records=dict(_SITE)))
        return _ALIKE

    def contents(self) -> Mapping[str, bytes]:
        """Every record, and whose fence stands; not what is in force where."""
        held = self._device.held
        found = {name: msgspec.json.encode(record) for name, record in held.records.items()}
        return found | {f"owner {name}": msgspec.json.encode(owner) for name, owner in held.owners.items()}

    def calls(self) -> int:
        """Calls so far."""
        return self._device.calls

    def moments(self) -> Sequence[Moment]:
        """Each state that it has been in."""
        return [Stood(held) for held in self._device.history]

    def disturb(self, trouble: Trouble, *, skip: int = 0, times: int | None = None, writes: bool = False) -> None:
        """A trouble in the way of calls."""
        self._device.patient.clear()
        self._device.faults.append(Fault(trouble, skip, times, writes=writes))

    def calm(self) -> int:
        """Forget every trouble."""
        hits = sum(fault.hits for fault in self._device.faults)
        self._device.faults.clear()
        self._device.patient.set()
        return hits

    def narrow(self, limit: str) -> None:
        """The device's own limits."""
        planted = sum(isinstance(one.body, Addresses) for one in _SITE.values())
        self._device.limits = {limit: self.limits[limit] + (planted if limit == "groups" else 0)}

    def unmark(self, key: ObjectKey) -> str:
        """Another note, and other addresses."""
        name = f"fb:{key}"
        self._edit(name, Record("mine now", Addresses(("192.0.2.97",))))
        return name

    def tamper(self, key: ObjectKey) -> None:
        """One more address."""
        name = f"fb:{key}"
        record = self._device.held.records[name]
        items = record.body.items if isinstance(record.body, Addresses) else ()
        self._edit(name, Record(record.note, Addresses((*items, "10.66.0.66"))))

    def secrets(self) -> Collection[str]:
        """The token."""
        return {self._device.password}

    def _edit(self, name: str, record: Record) -> None:
        held = self._device.held
        self._device.edit(msgspec.structs.replace(held, records={**held.records, name: record}))


@dataclass(frozen=True, slots=True, repr=False)
class _Login:
    device: Palisade

    def value(self, name: str) -> str:
        return {"token": self.device.password}[name]


@contextmanager
def palisade_rig() -> Iterator[PalisadeRig]:
    """Lends a device."""
    device = Palisade(tls=False)
    device.start()
    try:
        yield PalisadeRig(device)
    finally:
        device.stop()
