"""The simulated AWS account as one object: moto's EC2 behind strict checks, wired to an endpoint, and the controls for tests."""

import secrets
from collections.abc import Callable, Mapping, Sequence
from ipaddress import ip_network
from typing import Any

from bridge.lab.devices.aws.answers import CANNED
from bridge.lab.devices.aws.backend import Backend
from bridge.lab.devices.aws.ec2 import READS, WRITES
from bridge.lab.devices.aws.frontend import Frontend, address
from bridge.lab.devices.aws.item import Rule, State
from bridge.lab.devices.aws.laboratory import AwsLaboratory
from bridge.lab.devices.aws.limits import Limits, Throttle
from bridge.lab.devices.aws.prefixlists import Pending
from bridge.lab.devices.aws.referee import Decision, Packet, judge
from bridge.lab.devices.aws.store import Author, Store
from bridge.lab.devices.clock import LabClock
from bridge.lab.devices.endpoint import Endpoint
from bridge.lab.devices.faults import Faults
from bridge.lab.devices.message import Answer
from bridge.lab.devices.served import Served

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"


class Aws(Served[State]):
    """One region of an account, on 127.0.0.1, with a default VPC. Every method may be called from any thread, before and after `start`.

    `username` is the access key id, `password` the secret key; calls are signed. `settling` is how many seconds a change of a prefix
    list takes (0: it is done when the call is answered, which nevertheless says `*-in-progress`); `throttle.on` gives the account
    Amazon's request rates; `permitted` are the actions that the key may use.
    """

    def __init__(
        self,
        *,
        tls: bool = True,
        port: int = 0,
        username: str | None = None,
        password: str | None = None,
        region: str = "eu-central-1",
        limits: Limits | None = None,
        settling: float = 0.0,
        keep: int = 20_000,
    ) -> None:
        super().__init__()
        self.username = username or "AKIA" + "".join(secrets.choice(_LETTERS) for _ in range(16))
        self.password = password or secrets.token_urlsafe(30)
        self.clock = LabClock()
        self.limits = limits or Limits()
        self.settling = settling
        self.permitted = set(READS | WRITES)
        self.throttle = Throttle(self.clock.now)
        self.faults = Faults(CANNED)
        self.backend = Backend(region)
        self.store = Store(self.backend, self.clock, keep)
        self.tokens: dict[str, tuple[dict[str, Any], str]] = {}
        self.interfaces: dict[str, Sequence[str]] = {}
        self._pending: dict[str, Pending] = {}
        self._frontend = Frontend(self)
        self.laboratory = AwsLaboratory(self)
        self.endpoint = Endpoint(
            self._frontend.handle,
            clock=self.clock,
            faults=self.faults,
            canned=CANNED,
            tls=tls,
            port=port,
            keep=5 * keep,
            address=address,
        )

    def start(self) -> None:
        """Listen; the model of the API is read first, so that no call waits for it."""
        self.call("DescribeRegions", {}, user="lab")
        super().start()

    def kept(self) -> Store:
        """What the account holds."""
        self.settle()
        return self.store

    def document(self) -> Mapping[str, str | None]:
        """What a client needs to know."""
        known = {"url": self.url, "kubeconfig": None, "username": self.username, "password": self.password}
        return known | {
            "token": None,
            "ca": self.ca,
            "region": self.region,
            "account": self.account,
            "vpc": self.backend.vpc,
        }

    @property
    def region(self) -> str:
        """The one region."""
        return self.backend.region

    @property
    def account(self) -> str:
        """Its number, of 12 digits."""
        return self.backend.account

    # What it holds.

    def state(self, number: int | None = None) -> State:
        """A copy of what it holds, as it is, or as it stood after that write."""
        with self.changed:
            kept = self.kept()
            return State(kept.state) if number is None else kept.at(number)

    def rules(self, group: str) -> list[Rule]:
        """The rules of a security group."""
        return list(self.state().rules(group))

    def members(self, name: str) -> frozenset[str]:
        """The prefixes in the list of this id or name; empty when there is none."""
        found = (one for one in self.state().prefix_lists() if name in (one.id, one.name))
        return frozenset(prefix for one in found for prefix, _ in one.entries)

    def digest(self) -> str:
        """Equal for equal contents."""
        return self.state().digest()

    def judge(self, packet: Packet) -> Decision:
        """What the security groups decide, as they are worn now."""
        return judge(self.state(), self.interfaces, packet)

    def decide(self, source: str, destination: str, protocol: int = 6, port: int = 443, **more: Any) -> Decision:  # noqa: ANN401
        """As `judge`, with the packet's fields as arguments."""
        return self.judge(Packet(source, destination, protocol, port, **more))

    # What happens to it.

    def place(self, prefix: str, *groups: str) -> None:
        """Interfaces with these addresses wear these security groups from now on; none: there are no interfaces any more."""
        with self.changed:
            ip_network(prefix)
            if len(groups) > 16:
                raise ValueError("an interface wears 16 security groups at most")
            if groups:
                self.interfaces[prefix] = groups
            else:
                self.interfaces.pop(prefix, None)
            self.changed.notify_all()

    def worn(self, group: str) -> bool:
        """Whether an interface wears the security group."""
        return any(group in groups for groups in self.interfaces.values())

    def call(self, action: str, parameters: Mapping[str, str], *, user: str = "somebody") -> Answer:
        """An action by its parameters on the wire (`IpPermissions.1.IpProtocol`), as another user would; Refusal as over HTTP."""
        with self.changed:
            self.settle()
            try:
                return self._frontend.perform({"Action": action, **parameters}, Author(user, "lab", action))
            finally:
                self.settle()

    def create_group(self, name: str, *prefixes: str, user: str = "somebody") -> str:
        """A security group of somebody's, worn by interfaces with these addresses; its id."""
        known = {one.id for one in self.state().groups()}
        self.call(
            "CreateSecurityGroup", {"GroupName": name, "GroupDescription": name, "VpcId": self.backend.vpc}, user=user
        )
        made = next(one.id for one in self.state().groups() if one.id not in known)
        for prefix in prefixes:
            self.place(prefix, made, *self.interfaces.get(prefix, ()))
        return made

    def create_list(self, name: str, *prefixes: str, size: int = 0, tags: Mapping[str, str] | None = None) -> str:
        """A prefix list of somebody's; its id."""
        family = "IPv6" if any(":" in one for one in prefixes) else "IPv4"
        form = {"PrefixListName": name, "AddressFamily": family, "MaxEntries": str(size or max(1, len(prefixes)))}
        form |= {f"Entry.{at}.Cidr": prefix for at, prefix in enumerate(prefixes, 1)}
        if tags:
            form["TagSpecification.1.ResourceType"] = "prefix-list"
            for at, (key, value) in enumerate(tags.items(), 1):
                form |= {f"TagSpecification.1.Tag.{at}.Key": key, f"TagSpecification.1.Tag.{at}.Value": value}
        known = {one.id for one in self.state().prefix_lists()}
        self.call("CreateManagedPrefixList", form)
        return next(one.id for one in self.state().prefix_lists() if one.id not in known)

    def pend(self, name: str, end: Callable[[], None], author: Author) -> None:
        """What was begun on this list ends when `settling` is over; the lock is held."""
        self._pending[name] = Pending(self.clock.now() + self.settling, end, author)

    def settle(self) -> None:
        """End what was begun and whose time has come."""
        with self.changed:
            now = self.clock.now()
            for name, one in [(name, one) for name, one in self._pending.items() if one.at <= now]:
                del self._pending[name]
                one.end()
                self.store.record([name], one.author)
            self.changed.notify_all()

    def reboot(self) -> None:
        """A cloud does not reboot: what is under way ends, buckets are full again."""
        with self.changed:
            for name, one in self._pending.items():
                self._pending[name] = Pending(0.0, one.end, one.author)
            self.settle()
            self.throttle.fill()

    def wipe(self) -> None:
        """As it was at first, without interfaces."""
        with self.changed:
            self._pending.clear()
            self.tokens.clear()
            self.interfaces.clear()
            self.throttle.fill()
            self.store.wipe()
            self.changed.notify_all()


def simulator(*, tls: bool = True, port: int = 0, username: str | None = None, password: str | None = None) -> Aws:
    """The entry point: a simulated AWS account that is not started yet."""
    return Aws(tls=tls, port=port, username=username, password=password)
