"""The simulated FortiGate as one object: the box's parts, wired to an endpoint, and the controls for tests."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from bridge.lab.devices.clock import LabClock
from bridge.lab.devices.endpoint import Endpoint
from bridge.lab.devices.faults import Faults
from bridge.lab.devices.fortigate import entry
from bridge.lab.devices.fortigate.answers import CANNED, FortiError, Json
from bridge.lab.devices.fortigate.conduct import Conduct, Limits
from bridge.lab.devices.fortigate.configuration import Call, perform
from bridge.lab.devices.fortigate.feeds import Feeds
from bridge.lab.devices.fortigate.frontend import Frontend
from bridge.lab.devices.fortigate.item import FEED, POLICY, State
from bridge.lab.devices.fortigate.laboratory import FortigateLaboratory
from bridge.lab.devices.fortigate.referee import Court, Decision, Packet
from bridge.lab.devices.fortigate.sessions import Session, Sessions
from bridge.lab.devices.fortigate.store import Author, Push, Store
from bridge.lab.devices.fortigate.system import Identity, System, Unit
from bridge.lab.devices.fortigate.table import SETTINGS
from bridge.lab.devices.fortigate.tokens import ApiUser, Tokens, new_token
from bridge.lab.devices.fortigate.transactions import Transactions
from bridge.lab.devices.served import Served


class Fortigate(Served[State]):
    """A FortiGate on 127.0.0.1. Every method may be called from any thread, before and after `start`.

    `password` is the API token of the user `username`; a real box asks for at least 31 characters, this one takes any.
    """

    def __init__(
        self,
        *,
        tls: bool = True,
        port: int = 0,
        username: str | None = None,
        password: str | None = None,
        vdoms: tuple[str, ...] = ("root",),
        limits: Limits | None = None,
        keep: int = 20_000,
    ) -> None:
        super().__init__()
        self.username = username or "bridge"
        self.password = password or new_token()
        self.clock = LabClock()
        self.limits = limits or Limits()
        self.conduct = Conduct()
        self.identity = Identity()
        self.faults = Faults(CANNED)
        self.tokens = Tokens(self.clock, self.limits)
        self.tokens.add(ApiUser(self.username, self.password))
        self.store = Store(self.clock, self.limits, vdoms=vdoms, keep=keep)
        self.transactions = Transactions(self.store, self.clock, self.conduct)
        self.feeds = Feeds(self.store, self.clock, self.limits, self.conduct)
        self.sessions = Sessions(self.limits)
        self.system = System(self.identity, self.limits)
        self.names: dict[str, Iterable[str]] = {}
        self._frontend = Frontend(self)
        self.laboratory = FortigateLaboratory(self)
        self.endpoint = Endpoint(
            self._frontend.handle,
            clock=self.clock,
            faults=self.faults,
            canned=CANNED,
            tls=tls,
            port=port,
            keep=5 * keep,
        )

    def kept(self) -> Store:
        """The configuration."""
        return self.store

    def document(self) -> Mapping[str, str | None]:
        """What a client needs to know."""
        names = {"url": self.url, "kubeconfig": None, "username": self.username, "password": None}
        return names | {"token": self.password, "ca": self.ca}

    # What it holds.

    def state(self, number: int | None = None) -> State:
        """A copy of the configuration with what feeds hold, as it is, or as it stood after that write."""
        with self.changed:
            return self.store.state.copy() if number is None else self.store.at(number)

    def objects(self, path: str, vdom: str = "root") -> dict[str, Json]:
        """The entries of a table (`firewall/address`) in their order, by name, as GET shows them; VDOM empty: what is global."""
        with self.changed:
            return {item.name: entry.show(item) for item in self.store.state.listed((vdom, path))}

    def members(self, path: str, name: str, vdom: str = "root") -> frozenset[str]:
        """The names in a group, nested ones not followed; empty when there is no such group."""
        item = self.state().get((vdom, path, name))
        return frozenset(item.body["member"]) if item else frozenset()

    def entries(self, feed: str, vdom: str = "root") -> tuple[str, ...]:
        """What was pushed to a feed, oldest first, whether or not there is room for it."""
        with self.changed:
            return tuple(self.store.state.entries.get((vdom, FEED, feed), ()))

    def order(self, vdom: str = "root") -> list[int]:
        """The policies' numbers, in their order."""
        with self.changed:
            return [int(item.name) for item in self.store.state.listed((vdom, POLICY))]

    def digest(self) -> str:
        """Equal for equal configurations and equal contents of feeds."""
        with self.changed:
            return self.store.state.digest()

    def court(self, state: State | None = None, default: str = "deny") -> Court:
        """A referee on a state, or on the present one."""
        return Court(
            state or self.state(),
            limits=self.limits,
            shared_room=self.identity.shared_feed_room,
            names=self.names,
            default=default,
        )

    def judge(self, packet: Packet, *, default: str = "deny") -> Decision:
        """What the firewall decides about the packet."""
        return self.court(default=default).judge(self._timed(packet))

    def decide(self, source: str, destination: str, **more: Any) -> Decision:  # noqa: ANN401
        """As `judge`, with the packet's fields as arguments."""
        return self.judge(Packet(source, destination, **more))

    def _timed(self, packet: Packet) -> Packet:
        return packet if packet.at is not None else replace(packet, at=self.clock.now())

    # What happens to it.

    def put_object(self, path: str, body: Json, *, vdom: str = "root", user: str = "somebody") -> Json:
        """Create an entry, or change it where it is there, as another user would; FortiError as over REST."""
        try:
            return self._as(user, "POST", path, body, vdom)
        except FortiError as refusal:
            if refusal.error != -5:
                raise
        return self._as(
            user, "PUT", f"{path}/{quote(str(body.get('name', body.get('policyid'))), safe='')}", body, vdom
        )

    def change_object(self, path: str, body: Json, *, vdom: str = "root", user: str = "somebody") -> Json:
        """PUT to what the path (below `/api/v2/cmdb/`) names, as another user would."""
        return self._as(user, "PUT", path, body, vdom)

    def delete_object(self, path: str, *, vdom: str = "root", user: str = "somebody") -> Json:
        """DELETE what the path (below `/api/v2/cmdb/`) names, as another user would."""
        return self._as(user, "DELETE", path, {}, vdom)

    def _as(self, user: str, method: str, path: str, body: Json, vdom: str) -> Json:
        address, _, query = f"/api/v2/cmdb/{path}".partition("?")
        call = self._frontend.call(method, address, query, body)
        with self.changed:
            return self.write(call, Author(user, "lab", method, address), vdom)

    def write(self, call: Call, author: Author, vdom: str) -> Json:
        """Do a call to the configuration at once; the lock is held."""
        draft = self.store.draft()
        told = perform(draft, call, vdom)
        self.store.commit(draft, author)
        self.recheck(pushed=False)
        self.changed.notify_all()
        return told

    def recheck(self, *, pushed: bool) -> None:
        """Close the sessions that the policies would not let through any more, in VDOMs that do so.

        After a change of configuration unless `firewall-session-dirty` says otherwise; after a push only with `ext-resource-session-check`.
        """
        if not self.sessions.all():
            return
        court, now = self.court(self.store.state), self.clock.now()
        self.sessions.close(
            [
                one
                for one in self.sessions.all()
                if self._rechecks(one, pushed) and not court.judge(one.packet(now)).allowed
            ]
        )

    def _rechecks(self, session: Session, pushed: bool) -> bool:
        item = self.store.state.get((session.vdom, SETTINGS, ""))
        if item is None:
            return False
        if pushed:
            return bool(item.body["ext-resource-session-check"] == "enable")
        return bool(item.body["firewall-session-dirty"] == "check-all")

    def reboot(self) -> None:
        """Transactions and sessions end; what was pushed to feeds goes, unless `conduct` lets it stay."""
        with self.changed:
            self._interrupt(keep=self.conduct.feeds_survive_reboot)
            self.sessions.clear()

    def manage(self, manager: str = "192.0.2.9") -> None:
        """A FortiManager manages the box from now on; with an empty address none does any more."""
        kind, serial = ("fortimanager", "FMGVMLAB00000001") if manager else ("none", "")
        body = {"type": kind, "fmg": manager, "serial-number": serial}
        self.change_object("system/central-management", body, user="lab")

    def pair(self) -> None:
        """Another unit stands by from now on."""
        if len(self.identity.units) < 2:
            self.identity.units.append(Unit("FGVMEVLAB0000002", "edge-2", 100))
        self.change_object("system/ha", {"mode": "a-p", "group-name": "edge", "priority": 200}, user="lab")

    def failover(self) -> None:
        """The other unit of the pair takes over: same configuration and sessions, another serial number."""
        with self.changed:
            if len(self.identity.units) < 2:
                raise ValueError("there is no other unit")
            self.identity.units.reverse()
            self._interrupt(keep=self.conduct.feeds_reach_peer)

    def _interrupt(self, *, keep: bool) -> None:
        self.transactions.forget()
        if not keep:
            pushes = {key: Push(remove=tuple(held)) for key, held in self.store.state.entries.items()}
            if pushes:
                self.store.push(pushes, Author("lab", "", "REBOOT", ""))
        self.changed.notify_all()

    def wipe(self) -> None:
        """The factory's configuration, and a box that stands alone, the first one; transactions and sessions end."""
        with self.changed:
            self.identity.units[:] = sorted(self.identity.units, key=lambda unit: unit.serial)[:1]
            self.identity.synced = True
            self.transactions.forget()
            self.sessions.clear()
            self.store.wipe()
            self.changed.notify_all()


def simulator(
    *, tls: bool = True, port: int = 0, username: str | None = None, password: str | None = None
) -> Fortigate:
    """The entry point: a simulated FortiGate that is not started yet."""
    return Fortigate(tls=tls, port=port, username=username, password=password)
