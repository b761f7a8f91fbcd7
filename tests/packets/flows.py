"""Flows through a gateway that the adapter runs: both ends of each, and who may open one."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial

from adapters.nftables import NftablesAdapter
from adapters.nftables.flows import Tracker
from adapters.nftables.transport import Local
from bridge.contract import always
from bridge.model.flows import Flow
from bridge.model.identity import Kind, ObjectKey, Scope
from bridge.model.intent import EVERYTHING, DeviceObject, Group, Intent, RuleEntry, RuleList, Schedule
from bridge.model.plan import Fence
from bridge.model.policy import Action, Protocol
from bridge.policy.compile import policies
from bridge.policy.diff import diff, plan
from tests.packets.network import Network, inside

POD, OTHER = "10.0.0.1", "10.0.0.2"
POD6 = "fd00::1"
BANK, BANK6 = "192.0.2.1", "2001:db8::1"
PORT = 9000
FENCE = Fence(4, "an installation")
_SOON = 0.6


def _key(kind: Kind, name: str = "") -> ObjectKey:
    return ObjectKey(kind, "east", Scope.SERVICE, "shop", name)


@dataclass
class Gateway:
    """The gateway with its adapter, pods and the outside."""

    net: Network
    adapter: NftablesAdapter

    def allow(self, *sources: str, until: Schedule | None = None) -> None:
        """Only these may reach the outside, and that until then."""
        pay, all_, world = (_key(Kind.GROUP, name) for name in ("pay", "all", "world"))
        entries = (
            RuleEntry("allow", Action.ALLOW, (pay,), (world,), schedule=until.key if until else None),
            RuleEntry("deny", Action.DENY, (all_,), (world,)),
        )
        listed = RuleList(_key(Kind.RULE_LIST), entries)
        groups = (
            Group(pay, frozenset(sources)),
            Group(all_, frozenset({"10.0.0.0/24", "fd00::/64"})),
            Group(world, frozenset({"192.0.2.0/24", "2001:db8::/64"})),
        )
        ends = (until,) if until else ()
        made: tuple[DeviceObject, ...] = (*groups, *ends, listed, *policies([listed.key]))
        objects = {one.key: one for one in made}
        want = Intent("edge", self.adapter.normalize(Intent("edge", objects)))
        have = self.adapter.read(EVERYTHING).objects
        steps = plan("edge", diff(have, want), have, self.adapter.capabilities, self.adapter.limits)
        self.adapter.apply(steps, FENCE)

    def tracker(self) -> Tracker:
        """conntrack, and nothing that keeps flows closed."""
        return Tracker("edge", Local("edge", 10, ("ip", "netns", "exec", self.net.gateway)), "conntrack", always)

    @contextmanager
    def open(self, source: str, destination: str, kind: socket.SocketKind = socket.SOCK_STREAM) -> Iterator["Talk"]:
        """A flow from a pod to the outside that has carried something both ways."""
        with ExitStack() as stack:
            family = socket.AF_INET6 if ":" in source else socket.AF_INET
            served = stack.enter_context(inside(self.net.outside, partial(socket.socket, family, kind)))
            served.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            served.bind((destination, PORT))
            asking = stack.enter_context(inside(self.net.at(source), partial(socket.socket, family, kind)))
            asking.bind((source, 0))
            if kind == socket.SOCK_STREAM:
                served.listen(8)
            asking.settimeout(5)
            asking.connect((destination, PORT))
            asking.send(b"hello")
            if kind == socket.SOCK_STREAM:
                served, _ = served.accept()
                stack.enter_context(served)
                served.recv(64)
            else:
                served.settimeout(5)
                served.connect(served.recvfrom(64)[1])
            served.send(b"hello")
            assert asking.recv(64) == b"hello"
            protocol = Protocol.TCP if kind == socket.SOCK_STREAM else Protocol.UDP
            yield Talk(asking, served, Flow(source, destination, protocol, asking.getsockname()[1], PORT))


@dataclass
class Talk:
    """Both ends of a flow."""

    asking: socket.socket
    served: socket.socket
    flow: Flow

    def hears(self, data: bytes, *, from_outside: bool) -> bool:
        """Whether this gets to the other end soon."""
        sender, receiver = (self.served, self.asking) if from_outside else (self.asking, self.served)
        receiver.settimeout(_SOON)
        sender.send(data)
        try:
            return data in receiver.recv(4096)
        except TimeoutError:
            return False
