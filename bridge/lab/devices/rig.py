"""What a rig does in the same way with every simulated device that is served over HTTP: it counts calls, and puts faults in their way."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Generic, TypeVar

from bridge.lab.device import Simulator, Trouble
from bridge.lab.devices.faults import Fault
from bridge.lab.devices.message import Answer
from bridge.lab.devices.served import Served

_D = TypeVar("_D", bound=Served[Any])


class ServedRig(ABC, Generic[_D]):
    """The controls of one simulator, in the suite's words. `canned` are the faults of the device that are troubles as they stand."""

    troubles = frozenset(Trouble)
    canned: Mapping[Trouble, str]

    def __init__(self, device: _D) -> None:
        self.device = device
        self._since = 0
        self._waiting: list[Fault] = []

    @abstractmethod
    def _in_the_way(self, *, writes: bool) -> Mapping[str, str]:
        """Which calls a trouble is for, in the fields of a `Fault`."""

    @abstractmethod
    def _answer(self, trouble: Trouble) -> Answer:
        """How the device says what no fault of its own says."""

    def calls(self) -> int:
        """Calls to the endpoint."""
        log = self.device.endpoint.log
        return log[-1].number if log else 0

    def numbers(self) -> Sequence[int]:
        """The changes since the reset."""
        return [write.number for write in self.device.writes() if write.number > self._since]

    def disturb(self, trouble: Trouble, *, skip: int = 0, times: int | None = None, writes: bool = False) -> None:
        """A fault in the way of calls."""
        kind = self.canned.get(trouble, "answer")
        options: dict[str, Any] = {**self._in_the_way(writes=writes), "skip": skip, "times": times}
        if trouble is Trouble.LOST:
            kind, options["effect"] = "cut", "after"
        elif kind == "answer":
            answer = self._answer(trouble)
            options |= {"status": answer.status, "body": answer.body.decode(), "content_type": answer.content_type}
        self._waiting.append(self.device.faults.add(kind, **options))

    def calm(self) -> int:
        """Forget every fault."""
        hits = sum(fault.hits for fault in self._waiting)
        self._waiting.clear()
        self.device.faults.clear()
        return hits


class Login:
    """The simulator's own user."""

    def __init__(self, device: Simulator) -> None:
        self._device = device

    def value(self, name: str) -> str:
        """`username` or `password`, as the device knows it now."""
        return {"username": self._device.username, "password": self._device.password}[name]
