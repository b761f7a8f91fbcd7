"""A simulated FortiGate in the hands of the conformance suite: all of a rig that does not depend on how an adapter names things.

Who binds the suite derives from `FortigateRig` and says how its adapter is set up, what could be mistaken for an entry of its
own, and where the entry of a key is found.
"""

from abc import abstractmethod
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property

from bridge.contract import DeviceConfig
from bridge.lab.device import Moment, Trouble
from bridge.lab.devices.fortigate import entry
from bridge.lab.devices.fortigate.answers import CANNED, INVALID, FortiError, encode, json_answer, refusal
from bridge.lab.devices.fortigate.conduct import Limits
from bridge.lab.devices.fortigate.item import FEED, POLICY, Item, State
from bridge.lab.devices.fortigate.referee import Court
from bridge.lab.devices.fortigate.referee import Packet as Seen
from bridge.lab.devices.fortigate.simulator import Fortigate
from bridge.lab.devices.message import Answer
from bridge.lab.devices.rig import ServedRig
from bridge.model.identity import ObjectKey
from bridge.model.policy import NUMBERS
from bridge.policy.evaluate import Packet, Verdict

_VERDICTS = {"accept": Verdict.ALLOW, "deny": Verdict.DENY, "reject": Verdict.REJECT}
_WRITES = "POST PUT DELETE"
_CANNED = {
    Trouble.UNAUTHORIZED: "unauthorized",
    Trouble.FORBIDDEN: "json-403",
    Trouble.MISSING: "missing",
    Trouble.CONFLICT: "exists",
    Trouble.TOO_MANY: "too-many",
    Trouble.UNAVAILABLE: "busy",
    Trouble.SILENCE: "hang",
    Trouble.CUT: "cut",
}


def verdict(court: Court, packet: Packet, *, at: float, vdom: str = "root") -> Verdict:
    """What a configuration does with a packet; UNMATCHED where it is left to the implicit deny."""
    icmp = (packet.icmp.type, packet.icmp.code or 0) if packet.icmp else None
    number = NUMBERS.get(packet.protocol, packet.number)
    seen = Seen(packet.source, packet.destination, number, packet.port, icmp=icmp, vdom=vdom, at=at)
    return _VERDICTS.get(court.judge(seen).action, Verdict.UNMATCHED)


def dangling(state: State) -> list[str]:
    """Names that stand for nothing, in the VDOM or globally."""
    return [
        f"{name_of(item)} -> {one.attribute} {name}"
        for item in state.items()
        for one in item.mentions
        for name in sorted(one.names)
        if not any(name in state.tables.get((scope, path), ()) for scope in (item.key[0], "") for path in one.tables)
    ]


def name_of(item: Item) -> str:
    """As `Write.touched` has it: `root:firewall/address/a`."""
    vdom, path, name = item.key
    return f"{vdom}:{path}/{name}"


class FortigateMoment:
    """The box after one of its changes."""

    def __init__(self, device: Fortigate, number: int, at: float, vdom: str = "root") -> None:
        self._device = device
        self._number = number
        self._at = at
        self._vdom = vdom
        self._court: Court | None = None

    @cached_property
    def state(self) -> State:
        """Made when it is first asked for."""
        return self._device.state(self._number)

    def verdict(self, packet: Packet, at: float | None = None) -> Verdict:
        """The referee's, at the time of the change unless another is named."""
        if self._court is None:
            self._court = self._device.court(self.state, default="unmatched")
        return verdict(self._court, packet, at=self._at if at is None else at, vdom=self._vdom)

    def dangling(self) -> Sequence[str]:
        """References to what is not there."""
        return dangling(self.state)


class FortigateRig(ServedRig[Fortigate]):
    """The controls of one simulator, in the suite's words."""

    canned = _CANNED
    limits: Mapping[str, int] = {"group_members": 6, "rules": 4}

    def __init__(self, device: Fortigate, vdom: str = "root") -> None:
        super().__init__(device)
        self.vdom = vdom

    @abstractmethod
    def config(self, *, owner: str = "fb", batch: int | None = None, timeout: float = 10.0) -> DeviceConfig:
        """Settings by which the adapter reaches the box."""

    @abstractmethod
    def plant(self) -> Collection[str]:
        """Put there what others own."""

    @abstractmethod
    def unmark(self, key: ObjectKey) -> str:
        """Somebody makes our entry of this key his own."""

    @abstractmethod
    def tamper(self, key: ObjectKey) -> None:
        """Somebody adds a member to our group of this key."""

    def reset(self) -> None:
        """The factory's configuration and limits."""
        self.calm()
        self.device.wipe()
        wide = Limits()
        self.device.limits.members, self.device.limits.tables = wide.members, wide.tables
        self._since = self.device.writes()[-1].number

    def contents(self) -> Mapping[str, bytes]:
        """Every entry as GET shows it but for its uuid, and what feeds hold."""
        state = self.device.state()
        found = {}
        for item in sorted(state.items(), key=lambda item: item.key):
            shown = {name: held for name, held in entry.show(item).items() if name != "uuid"}
            if item.key[1] == FEED:
                shown["entries"] = sorted(state.entries.get(item.key, ()))
            found[name_of(item)] = encode(shown)
        return found

    def moments(self) -> Sequence[Moment]:
        """The states are made when they are asked for."""
        writes = (write for write in self.device.writes() if write.number > self._since)
        return [FortigateMoment(self.device, write.number, write.at, self.vdom) for write in writes]

    def narrow(self, limit: str) -> None:
        """The simulator's own limits."""
        if limit == "group_members":
            self.device.limits.members = self.limits[limit]
        else:
            held = len(self.device.state().tables.get((self.vdom, POLICY), ()))
            self.device.limits.tables["firewall-policy"] = held + self.limits[limit]

    def secrets(self) -> Collection[str]:
        """Every token."""
        return {user.token for user in self.device.tokens.users()}

    def _in_the_way(self, *, writes: bool) -> Mapping[str, str]:
        return {"path": "/api/v2/", "method": _WRITES if writes else ""}

    def _answer(self, trouble: Trouble) -> Answer:
        if trouble is Trouble.HTML:
            return Answer(200, CANNED["html-503"].body, "text/html; charset=iso-8859-1")
        words = FortiError(500, INVALID, f"value parse error before '{' '.join(sorted(self.secrets()))}'")
        return json_answer(500, refusal("POST", {"vdom": self.vdom}, self.device.identity.badge, words))
