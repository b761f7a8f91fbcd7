"""One unit of several carries the traffic: it is found and followed, and what is written there is brought to the others.

Sources: `failoverState` of cm/device, and cm/sync-status with its recommended action, as public clients read them. A unit that stands by
takes writes as well, and they would reach nobody's traffic, or undo newer ones: so the unit is asked before and after each plan.

The bridge pushes only what is its own, from the unit that is ahead: the group was in step before its first write, and the device itself
recommends to synchronize this unit to the group. What somebody else writes to this unit between that and the push goes with it, as it does
with the group's own automatic synchronization.
"""

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from adapters.bigip import wire
from adapters.bigip.client import Client, Refusal
from adapters.bigip.redundancy import Redundancy
from bridge.errors import Busy, Denied, Drifted
from bridge.model.examination import Finding, doubtful, fine

_IN_STEP = frozenset({"In Sync", "Standalone"})
_ADVICE = re.compile(r"Recommended action: Synchronize (\S+) to group (\S+)")


@dataclass(frozen=True, slots=True)
class Synchronization:
    """Whether the units hold the same: the device's one word for it, and all that it says."""

    text: str
    words: str


class Pair:
    """The units of one device group, of which `client` calls one. `patience`: how long a synchronization is waited for, in seconds."""

    def __init__(
        self, client: Client, settings: Redundancy, patience: float, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._client = client
        self._settings = settings
        self._patience = patience
        self._sleep = sleep
        self._followed = ""  # the name of the unit that was found last
        self._whole = ""  # … that was read whole: plans are about what stands there
        self._ours = False  # whether all that the group waits for is ours
        self._automatic: bool | None = None

    def follow(self) -> bool:
        """Find the active unit and make later calls to it; whether it is another than the last time. Busy where none is active."""
        said: list[str] = []
        for _ in range(self._client.units):
            name, state = self._state(said)
            if state == "active":
                turned, self._followed = self._followed not in ("", name), name
                self._ours &= not turned
                return turned
            self._client.turn()
        raise Busy(self._client.device, f"no unit says that it is active ({'; '.join(said)})")

    def reads_whole(self) -> None:
        """The unit that was found is read whole now: plans from now on are about what stands there."""
        self._whole = self._followed

    def check(self) -> None:
        """Drifted where the unit that was read is not the active one any more: the other is to be read first."""
        name, state = self._own()
        if state != "active" or (self._whole and name != self._whole):
            raise Drifted(
                self._client.device, f"{name} is {state or 'in no known state'}: another unit carries the traffic"
            )

    def examined(self) -> Finding:
        """Whether the units of the group hold the same, for a person. Raises Busy, Denied."""
        status, units = self._synchronization(), self.identity()
        told = f"{self._settings.group}, units {units or 'unknown'}: {status.text or 'no status'}"
        if status.text in _IN_STEP:
            return fine("group", told)
        return doubtful(
            "group",
            f"{told}; {'the bridge pushes changes of its own alone' if self._settings.push else 'nobody pushes'}",
        )

    def begin(self) -> None:
        """To be called before writing: notes whether anything of others waits for a synchronization."""
        if self._settings.push and not self._ours:
            self._ours = self._synchronization().text in _IN_STEP

    def bring(self) -> None:
        """Bring our changes to the others, where the settings say so and nothing but ours waits. Denied where a person has to decide."""
        if not self._settings.push or self._goes_by_itself():
            return
        status = self._synchronization()
        if status.text in _IN_STEP:
            self._ours = False
            return
        why = self._objection(status)
        if why:
            raise Denied(self._client.device, f"not synchronized: {why}; see to it, and tmsh show cm sync-status")
        name = self._settings.group.rpartition("/")[2]
        body = {"command": "run", "utilCmdArgs": f"config-sync to-group {name}"}
        try:
            self._client.call("POST", "cm", body)
        except Refusal as refusal:
            raise self._client.denied("cm", refusal) from None
        self._await_step()
        self._ours = False

    def identity(self) -> str:
        """The serials of the group's units, the same whichever is active. Denied where there is no such group."""
        group = f"cm/device-group/{self._settings.group.replace('/', '~')}"
        if self._client.find(group, wire.DeviceGroup) is None:
            raise Denied(
                self._client.device, f"there is no device group {self._settings.group}: name it in ha.deviceGroup"
            )
        members = {
            self._client.decoded(raw, wire.Named).name.rpartition("/")[2]
            for raw in self._client.items(f"{group}/devices")
        }
        return "+".join(sorted(unit.chassis_id for unit in self._units() if unit.name in members and unit.chassis_id))

    def _state(self, said: list[str]) -> tuple[str, str]:
        """Name and state of the unit that calls go to, empty where it does not answer; `said` takes note for whoever wants to know why."""
        try:
            name, state = self._own()
        except Busy as error:
            said.append(f"{self._client.url}: {error}")
            return "", ""
        said.append(f"{name} at {self._client.url}: {state or 'no state'}")
        return name, state

    def _own(self) -> tuple[str, str]:
        units = list(self._units())
        own = [unit for unit in units if unit.answers] or units
        if len(own) != 1:
            raise Busy(self._client.device, f"{self._client.url} does not say which unit it is")
        return own[0].name, own[0].failover_state.lower()

    def _units(self) -> Iterator[wire.Cluster]:
        for raw in self._client.items("cm/device"):
            yield self._client.decoded(raw, wire.Cluster)

    def _goes_by_itself(self) -> bool:
        if self._automatic is None:
            found = self._client.find(f"cm/device-group/{self._settings.group.replace('/', '~')}", wire.DeviceGroup)
            self._automatic = found is not None and found.auto_sync == "enabled"
        return self._automatic

    def _synchronization(self) -> Synchronization:
        found = self._client.find("cm/sync-status", wire.Branch) or wire.Branch()
        return Synchronization(found.text("status"), " ".join(found.texts()))

    def _objection(self, status: Synchronization) -> str:
        """Why the bridge does not push; empty where it may."""
        if "conflict" in status.words:
            return f"{status.text}, and several units have changes of their own"
        if not self._ours:
            return f"{status.text}, and not for changes of ours alone"
        own, _ = self._own()
        advice = _ADVICE.search(status.words)
        if (
            advice is None
            or advice.group(1) != own
            or advice.group(2).rpartition("/")[2] != self._settings.group.rpartition("/")[2]
        ):
            return f"{status.text}, and the device does not recommend to synchronize {own} to {self._settings.group}"
        return ""

    def _await_step(self) -> None:
        waited, pause = 0.0, 0.25
        while (status := self._synchronization()).text not in _IN_STEP:
            if waited >= self._patience:
                raise Busy(self._client.device, f"synchronized, and still {status.text}")
            self._sleep(pause)
            waited, pause = waited + pause, min(2 * pause, 3.0)
