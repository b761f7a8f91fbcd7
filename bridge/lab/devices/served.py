"""What every simulated device that is served over HTTP has: its endpoint, the calls and changes that it has seen, who waits for them."""

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Generic, Protocol, Self, TypeVar

import msgspec

from bridge.lab.device import Exchange, Write
from bridge.lab.devices.clock import LabClock
from bridge.lab.devices.endpoint import Endpoint
from bridge.lab.devices.faults import Faults

State = TypeVar("State")


class Store(Protocol[State]):
    """A configuration, and every change that made it, oldest first."""

    def writes(self) -> list[Write]:
        """The changes."""
        ...

    def digests(self) -> Iterable[tuple[Write, str]]:
        """Each with the digest of the state after it."""
        ...

    def timeline(self) -> list[tuple[Write, State]]:
        """Each with the whole state after it."""
        ...


class Served(ABC, Generic[State]):
    """Every method may be called from any thread, before and after `start`. `changed` guards the state, and is notified of each change."""

    endpoint: Endpoint
    faults: Faults
    clock: LabClock

    def __init__(self) -> None:
        self.changed = threading.Condition(threading.RLock())

    @abstractmethod
    def kept(self) -> Store[State]:
        """What it keeps."""

    @abstractmethod
    def reboot(self) -> None:
        """Sessions go, and every change that was not saved."""

    @abstractmethod
    def wipe(self) -> None:
        """Back to the factory's configuration."""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()

    def start(self) -> None:
        """Listen; calls are answered when this returns."""
        self.endpoint.start()

    def stop(self) -> None:
        """End the endpoint; the state stays, and a later `start` serves it on the same port."""
        self.endpoint.stop()

    @property
    def url(self) -> str:
        """`https://127.0.0.1:<port>` while it listens."""
        return self.endpoint.url

    @property
    def ca(self) -> str | None:
        """Path of the certificate authority, None without TLS."""
        return self.endpoint.ca

    def requests(self) -> Sequence[Exchange]:
        """Every call so far."""
        return list(self.endpoint.log)

    def writes(self) -> Sequence[Write]:
        """Every change so far."""
        with self.changed:
            return self.kept().writes()

    def history(self) -> list[dict[str, Any]]:
        """Every change with the digest of the state after it."""
        with self.changed:
            return [msgspec.to_builtins(write) | {"digest": told} for write, told in self.kept().digests()]

    def timeline(self) -> list[tuple[Write, State]]:
        """Every change with the whole state after it, oldest first: what the referee is to judge, moment by moment."""
        with self.changed:
            return self.kept().timeline()

    def wait_until(self, holds: Callable[[], bool], seconds: float = 10.0) -> bool:
        """Wait for a condition on this device, looked at after every write and every 50 ms; what it was at the end."""
        deadline = time.monotonic() + seconds
        with self.changed:
            while not holds():
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                self.changed.wait(min(left, 0.05))
        return True
