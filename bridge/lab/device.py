"""What every simulated device offers: a real HTTP endpoint for the product, and controls for whoever tests with it.

A simulator is found by entry point (`fusion_bridge.lab_devices`); the entry is a factory of the form `SimulatorFactory`.
The same object serves in-process tests (it runs in threads of its own) and `fusion-bridge lab device <kind>` (see `serve`).
"""

import json
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import Protocol, TextIO, runtime_checkable


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
