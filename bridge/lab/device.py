"""What every simulated device offers: a real HTTP endpoint for the product, and controls for whoever tests with it.

A simulator is found by entry point (`fusion_bridge.lab_devices`); the entry is a factory of the form `SimulatorFactory`.
The same object serves in-process tests (it runs in threads of its own) and `fusion-bridge lab device <kind>` (see `serve`).

A `Rig` is a device of any kind in the hands of the conformance suite: simulated or real, spoken to over HTTP or not.
"""

import json
import signal
import sys
import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import FrameType
from typing import Protocol, TextIO, runtime_checkable

from bridge.contract import DeviceConfig
from bridge.model.identity import ObjectKey
from bridge.policy.evaluate import Packet, Verdict


@dataclass(frozen=True, slots=True)
class Exchange:
    """One call as the device saw it. Bytes count the whole HTTP message, head and body; `seconds` is time spent inside the device."""

    number: int
    at: float
    method: str
    path: str
    query: str
    status: int
    bytes_in: int
    bytes_out: int
    seconds: float
    user: str
    agent: str
    transaction: str
    fault: str
    in_flight: int


@dataclass(frozen=True, slots=True)
class Write:
    """One change of the device's configuration: who made it, and the names of the objects it touched."""

    number: int
    at: float
    user: str
    agent: str
    method: str
    path: str
    touched: tuple[str, ...]


@runtime_checkable
class Simulator(Protocol):
    """A device that can be started, called over HTTP, disturbed, and asked what it has seen."""

    username: str
    password: str

    @property
    def url(self) -> str:
        """Scheme, 127.0.0.1 and port; empty before `start`."""
        ...

    @property
    def ca(self) -> str | None:
        """Path of the certificate authority to trust; None without TLS."""
        ...

    def start(self) -> None:
        """Listen on 127.0.0.1; when this returns, calls are answered."""
        ...

    def stop(self) -> None:
        """Close every connection and end every thread. Safe to call twice."""
        ...

    def document(self) -> Mapping[str, str | None]:
        """What a client needs: url, kubeconfig (null for devices), username, password or token, path of the CA (null without TLS)."""
        ...

    def requests(self) -> Sequence[Exchange]:
        """Every call so far, oldest first, those to `/__lab/` left out."""
        ...

    def writes(self) -> Sequence[Write]:
        """Every change of configuration so far, oldest first."""
        ...

    def digest(self) -> str:
        """A digest of the whole stored configuration; equal digests mean equal configurations."""
        ...

    def reboot(self) -> None:
        """Sessions go, and every change that was not saved."""
        ...

    def wipe(self) -> None:
        """Back to the factory's configuration."""
        ...


class SimulatorFactory(Protocol):
    """The form of an entry point of `fusion_bridge.lab_devices`."""

    def __call__(
        self, *, tls: bool = True, port: int = 0, username: str | None = None, password: str | None = None
    ) -> Simulator:
        """A simulator that is not started yet. Port 0 takes a free one; a password that is not given is made at random."""
        ...


class Trouble(StrEnum):
    """What can happen to a call on its way, in the words of no vendor. Each device says it in its own."""

    UNAUTHORIZED = "unauthorized"  # HTTP 401: the credentials or the session are not known
    FORBIDDEN = "forbidden"  # 403: known, and without the right
    MISSING = "missing"  # 404: what the call is about is not there
    CONFLICT = "conflict"  # 409: it is there already, or not as the call supposes
    TOO_MANY = "too-many"  # 429
    UNAVAILABLE = "unavailable"  # any 5xx
    HTML = "html"  # a page for people where data was expected
    SILENCE = "silence"  # no answer in the time that the settings allow
    CUT = "cut"  # the connection ends and the call was not done
    LOST = "lost"  # the connection ends and the call was done
    ECHO = "echo"  # a refusal whose words repeat every secret that the device knows of the caller


class Moment(Protocol):
    """A device as it stood after one of its changes."""

    def verdict(self, packet: Packet, at: float | None = None) -> Verdict:
        """What it does with the packet, read from what the device enforces and by nothing of the adapter's.

        `at`: at another time than that of its change, in seconds since 1970; for devices that know schedules.
        """
        ...

    def dangling(self) -> Sequence[str]:
        """References to what is not there, each in a line; empty on a sound device."""
        ...


class Rig(Protocol):
    """One device, with all that the conformance suite does to it and asks of it. Used by one thread.

    `troubles` are those that can be put in the way of its calls, `limits` what `narrow` makes its own, by the names of `Limits`.
    """

    troubles: frozenset[Trouble]
    limits: Mapping[str, int]

    def config(self, *, owner: str = "fb", batch: int | None = None, timeout: float = 10.0) -> DeviceConfig:
        """Settings by which an adapter reaches it, and under which what the owner "fb" writes is enforced.

        With `batch`, so few writes are made at once, or as few as the device can.
        """
        ...

    def reset(self) -> None:
        """As from the factory: no object, no fence, wide limits, nothing in the way, `moments` begun anew."""
        ...

    def plant(self) -> Collection[str]:
        """Put there what others own, whatever could be mistaken for ours above all; the names of those, as `Snapshot.foreign` has them."""
        ...

    def contents(self) -> Mapping[str, bytes]:
        """Every object by its own name, ours and others', as bytes that are equal when nobody changed it. Attachment slots are left out."""
        ...

    def calls(self) -> int:
        """How many calls it has had so far, or been sent."""
        ...

    def moments(self) -> Sequence[Moment]:
        """How it stood after each change since the reset, oldest first. A change that changes nothing counts too."""
        ...

    def disturb(self, trouble: Trouble, *, skip: int = 0, times: int | None = None, writes: bool = False) -> None:
        """Put the trouble in the way of the next calls (of those that write), after `skip`; `times` None: until `calm`."""
        ...

    def calm(self) -> int:
        """End every trouble; how many calls met one since the last time."""
        ...

    def narrow(self, limit: str) -> None:
        """Take no more than `limits` says of this from now on, beside what `plant` put there."""
        ...

    def unmark(self, key: ObjectKey) -> str:
        """Somebody takes the mark off our object and makes it his own; its name in `contents`."""
        ...

    def tamper(self, key: ObjectKey) -> None:
        """Somebody adds a member to our group of this key."""
        ...

    def secrets(self) -> Collection[str]:
        """Every password and token in use by now."""
        ...


def serve(simulator: Simulator, out: TextIO | None = None) -> None:
    """Start, print the document as one JSON line, run until SIGTERM or SIGINT, stop. For the main thread of a process."""
    ended = threading.Event()

    def end(_signal: int, _frame: FrameType | None) -> None:
        ended.set()

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGINT)}
    simulator.start()
    try:
        print(json.dumps(dict(simulator.document())), file=out or sys.stdout, flush=True)
        ended.wait()
    finally:
        simulator.stop()
        for number, handler in before.items():
            signal.signal(number, handler)
