"""The simulated BIG-IP as one object: the device's parts, wired to an endpoint, and the controls for tests."""

import secrets
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from bridge.lab.devices.bigip import configuration
from bridge.lab.devices.bigip.answers import CANNED, SYNTAX, ApiError, encode, framework_error
from bridge.lab.devices.bigip.as3 import As3
from bridge.lab.devices.bigip.configuration import Call
from bridge.lab.devices.bigip.connections import Connections
from bridge.lab.devices.bigip.fields import Json, Limits
from bridge.lab.devices.bigip.item import State
from bridge.lab.devices.bigip.kinds import FQDN_POLICY
from bridge.lab.devices.bigip.laboratory import BigipLaboratory
from bridge.lab.devices.bigip.referee import Decision, Packet, decide
from bridge.lab.devices.bigip.show import show_item
from bridge.lab.devices.bigip.store import Author, Store, digest
from bridge.lab.devices.bigip.system import Identity, System
from bridge.lab.devices.bigip.tokens import Tokens
from bridge.lab.devices.bigip.transactions import Transactions
from bridge.lab.devices.clock import LabClock
from bridge.lab.devices.endpoint import Endpoint
from bridge.lab.devices.faults import Faults
from bridge.lab.devices.message import Answer, Request
from bridge.lab.devices.served import Served

_LIB = "/mgmt/shared/"
_WRITES = frozenset({"POST", "PATCH", "PUT", "DELETE"})


class Bigip(Served[State]):
    """A BIG-IP with AFM on 127.0.0.1. Every method may be called from any thread, before and after `start`."""

    def __init__(
        self,
        *,
        tls: bool = True,
        port: int = 0,
        username: str | None = None,
        password: str | None = None,
        limits: Limits | None = None,
        keep: int = 20_000,
    ) -> None:
        super().__init__()
        self.username = username or "admin"
        self.password = password or secrets.token_urlsafe(12)
        self.clock = LabClock()
        self.limits = limits or Limits()
        self.identity = Identity()
        self.faults = Faults(CANNED)
        self.tokens = Tokens(self.clock)
        self.tokens.add_user(self.username, self.password)
        self.store = Store(self.clock, self.limits, keep=keep)
        self.transactions = Transactions(self.store, self.clock)
        self.as3 = As3(self.store, self.clock, self.changed.notify_all)
        self.connections = Connections()
        self.default_action = "accept"
        self.names: dict[str, Iterable[str]] = {}
        self.saves = 0
        self.system = System(self.identity, self.store.compiler)
        self.bring: Callable[[str], None] | None = None  # brings the configuration to the others of a group
        self._laboratory = BigipLaboratory(self)
        self.endpoint = Endpoint(
            self._answer, clock=self.clock, faults=self.faults, canned=CANNED, tls=tls, port=port, keep=5 * keep
        )

    def kept(self) -> Store:
        """The configuration."""
        return self.store

    def document(self) -> Mapping[str, str | None]:
        """What a client needs to know."""
        names = {"url": self.url, "kubeconfig": None, "username": self.username, "password": self.password}
        return names | {"token": None, "ca": self.ca}

    # What it holds.

    def state(self, config: str = "stored") -> State:
        """A copy of the configuration: `stored`, `active` or `saved`, or `at:<n>` as it stood after write n."""
        with self.changed:
            if config.startswith("at:"):
                return self.store.at(int(config[3:]))
            if config == "active":
                return dict(self.store.compiler.active())
            return dict({"stored": self.store.state, "saved": self.store.saved}[config])

    def objects(self, collection: str, under: str = "/") -> dict[str, Json]:
        """The stored objects of a collection below a folder, by full path, in the form of GET with their rules expanded."""
        found = sorted(self.state().items())
        return {
            key[1]: show_item(item, expand=True)
            for key, item in found
            if key[0] == collection and key[1].startswith(under)
        }

    def members(self, path: str) -> frozenset[str]:
        """The addresses of an address list, nested lists not followed; empty when there is no such list."""
        item = self.state().get(("security/firewall/address-list", path))
        return frozenset(item.body.get("addresses", ())) if item else frozenset()

    def digest(self, config: str = "stored") -> str:
        """Equal for equal configurations."""
        return digest(self.state(config))

    def judge(self, packet: Packet, *, config: str = "stored", at: float | None = None) -> Decision:
        """What the firewall decides about the packet, now by its own clock or at that second."""
        now = self.clock.now() if at is None else at
        return decide(self.state(config), packet, at=now, default=self.default_action, names=self.names)

    def decide(self, source: str, destination: str, *, config: str = "stored", **more: Any) -> Decision:  # noqa: ANN401
        """As `judge`, with the packet's fields as arguments."""
        return self.judge(Packet(source, destination, **more), config=config)

    # What happens to it.

    def put_object(self, collection: str, body: Json, *, user: str = "somebody") -> Json:
        """Create an object, or change it where it is there, as another user would; ApiError as over REST."""
        path = f"/mgmt/tm/{collection}"
        try:
            return self._as(user, "POST", path, body)
        except ApiError as refusal:
            if refusal.status != 409:
                raise
        name = str(body["name"])
        full = name if name.startswith("/") or "/rules" in collection else f"/{body.get('partition', 'Common')}/{name}"
        return self._as(user, "PATCH", f"{path}/{full.replace('/', '~')}", body)

    def change_object(self, path: str, body: Json, *, user: str = "somebody") -> Json:
        """PATCH what the REST path (below /mgmt/tm/) names, as another user would."""
        return self._as(user, "PATCH", f"/mgmt/tm/{path}", body)

    def delete_object(self, path: str, *, user: str = "somebody") -> None:
        """DELETE what the REST path (below /mgmt/tm/) names, as another user would."""
        self._as(user, "DELETE", f"/mgmt/tm/{path}", {})

    def give_resolver(self, name: str = "lab-dns") -> None:
        """A person gives the firewall a resolver for the names in its objects."""
        self.put_object("net/dns-resolver", {"name": name, "partition": "Common"})
        self.change_object(FQDN_POLICY, {"dnsResolver": f"/Common/{name}"})

    def _as(self, user: str, method: str, path: str, body: Json) -> Json:
        with self.changed:
            answer = self._write(Author(user, "lab", method, path), "", encode(body))
        return configuration.read_body(answer)

    def deploy(self) -> None:
        """A person compiles and deploys what waits (manual mode)."""
        with self.changed:
            self.store.compiler.deploy()

    def reboot(self) -> None:
        """Sessions and transactions end; the configuration is what was saved."""
        with self.changed:
            self._end_sessions()
            self.as3.reboot()
            self.store.replace(self.store.saved, Author("lab", "", "REBOOT", ""))
            self.changed.notify_all()

    def wipe(self) -> None:
        """The factory's configuration; sessions end."""
        with self.changed:
            self._end_sessions()
            self.as3.reboot(wiped=True)
            self.store.wipe()
            self.changed.notify_all()

    def _end_sessions(self) -> None:
        self.tokens.forget()
        self.transactions.forget()
        self.connections.open.clear()

    # How it answers.

    def _answer(self, request: Request) -> Answer:
        if request.path.startswith("/__lab/"):
            return self._laboratory.handle(request)
        try:
            with self.changed:
                self.transactions.settle()
                self.as3.settle()
                return self._route(request)
        except ApiError as refusal:
            return refusal.answer()

    def _route(self, request: Request) -> Answer:
        request.transaction = request.header("x-f5-rest-coordination-id")
        if len(request.body) > self.limits.body:
            raise ApiError(413, "request entity too large", None)
        if request.path.startswith(_LIB):
            return self._shared(request)
        request.user = self.tokens.authenticate(request)
        if not request.path.startswith("/mgmt/tm/"):
            raise ApiError(404, f"Public URI path not registered: {request.path[:80]}", None)
        return self._tm(request)

    def _shared(self, request: Request) -> Answer:
        parts = [part for part in request.path.split("/")[3:] if part]
        if request.transaction:
            raise ApiError(400, "authentication can not be part of a transaction", None)
        if parts == ["authn", "login"] and request.method == "POST":
            return Answer(200, encode(self.tokens.login(configuration.read_body(request.body))))
        request.user = self.tokens.authenticate(request)
        if parts[:1] == ["appsvcs"]:
            return self.as3.handle(request, parts[1:])
        if parts[:2] == ["authz", "tokens"]:
            return Answer(
                200, encode(self.tokens.on_tokens(request.method, parts[2:], configuration.read_body(request.body)))
            )
        return framework_error(404, f"Public URI path not registered: {request.path[:80]}")

    def _tm(self, request: Request) -> Answer:
        parts = configuration.segments(request.path)
        if parts[:1] == ["transaction"]:
            result = self.transactions.handle(request, parts[1:])
            self.changed.notify_all()
            return Answer(200, encode(result) if result is not None else b"")
        if parts[:2] == ["security", "firewall"] and not self.identity.provisioned:
            raise ApiError(400, "01071aa1:3: The module AFM is not provisioned.")
        if parts == ["sys", "connection"]:
            return Answer(200, self.connections.handle(request.method, request.query))
        if request.method == "GET":
            page = self.system.page(parts)
            get = Call("GET", request.path, request.query)
            return Answer(
                200,
                encode(page) if page is not None else configuration.perform(self.store.draft(), get, self.limits),
            )
        if request.transaction and request.method in _WRITES:
            return Answer(200, self.transactions.enqueue(request.transaction, request))
        if parts in (["sys", "config"], ["cm"]) and request.method == "POST":
            return Answer(200, encode(self._command(parts, configuration.read_body(request.body))))
        author = Author(request.user, request.header("user-agent"), request.method, request.path)
        return Answer(200, self._write(author, request.query, request.body))

    def _write(self, author: Author, query: str, body: bytes) -> bytes:
        draft = self.store.draft()
        answer = configuration.perform(draft, Call(author.method, author.path, query, body), self.limits)
        self.store.commit(draft, author)
        self.changed.notify_all()
        return answer

    def _command(self, parts: list[str], body: Json) -> Json:
        if parts == ["sys", "config"] and body.get("command") == "save":
            self.store.save()
            self.as3.save()
            self.saves += 1
            return {"kind": "tm:sys:config:savestate", **body}
        if (
            parts == ["cm"]
            and body.get("command") == "run"
            and str(body.get("utilCmdArgs", "")).startswith("config-sync ")
        ):
            if self.bring is None:
                self.identity.sync = "In Sync"
            else:
                self.bring(str(body["utilCmdArgs"]).removeprefix("config-sync "))
            return {"kind": "tm:cm:runstate", **body}
        raise ApiError(400, f'invalid command "{body.get("command")}"', SYNTAX)


def simulator(*, tls: bool = True, port: int = 0, username: str | None = None, password: str | None = None) -> Bigip:
    """The entry point: a simulated BIG-IP that is not started yet."""
    return Bigip(tls=tls, port=port, username=username, password=password)
