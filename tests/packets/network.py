"""Network namespaces as pods, a gateway and the world outside; and attempts to get from one to the other, on the real kernel.

A socket belongs to the namespace of the thread that made it, so one process plays all parties. Pods hang on the gateway by a link each;
an address is where the gateway routes it, and moves when that changes.
"""

import errno
import os
import socket
import struct
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import count
from pathlib import Path
from typing import TypeVar

from bridge.model.policy import Protocol
from tests.adapters.nftables.machine import enter, namespace, run
from tests.packets import sctp

T = TypeVar("T")

PATIENCE = 1.0  # seconds without an answer after which a packet counts as dropped
TCP_PORTS, UDP_PORTS = (80, 443), (53,)
_FAR4, _FAR6, _OWN4 = "169.254.1.1", "fe80::1", "169.254.1.2"
_SO_RCVBUFFORCE, _ROOM = (
    33,
    1 << 22,
)  # so that no datagram is lost to a listener that is kept waiting: 5,000 of them, 10 s
_IDS = count(1)


class Fate(StrEnum):
    """What became of an attempt, as its sender saw it."""

    THROUGH = "through"
    DROPPED = "dropped"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try to reach the outside. `port` is 0 for ICMP."""

    source: str
    destination: str
    protocol: Protocol
    port: int = 0


def inside(name: str, act: Callable[[], T]) -> T:
    """What `act` returns when a thread of that namespace does it."""
    done: Future[T] = Future()

    def there() -> None:
        try:
            enter(name)
            done.set_result(act())
        except BaseException as error:  # noqa: BLE001 (it is raised where it was asked for)
            done.set_exception(error)

    thread = threading.Thread(target=there, daemon=True)
    thread.start()
    result = done.result()
    thread.join()
    return result


@dataclass
class Network:
    """A gateway, the outside, and pods that can be given addresses."""

    gateway: str
    outside: str
    pods: Mapping[str, str]
    homes: dict[str, str] = field(default_factory=dict)  # address → pod

    def place(self, address: str, pod: str) -> None:
        """The address is this pod's from now on, and nobody else's."""
        version, length = _family_of(address)
        self.remove(address)
        nodad = ("nodad",) if version == "-6" else ()
        run("ip", "-n", self.pods[pod], version, "address", "add", f"{address}/{length}", "dev", "eth0", *nodad)
        run("ip", "-n", self.gateway, version, "route", "replace", address, "dev", f"to-{pod}")
        self.homes[address] = pod

    def remove(self, address: str) -> None:
        """The address is nobody's."""
        version, length = _family_of(address)
        old = self.homes.pop(address, None)
        if old is not None:
            run("ip", "-n", self.pods[old], version, "address", "delete", f"{address}/{length}", "dev", "eth0")

    def at(self, address: str) -> str:
        """The namespace in which an address is."""
        return self.pods[self.homes[address]]

    def try_all(self, attempts: Iterable[Attempt], expected: Callable[[Attempt], Fate]) -> dict[Attempt, Fate]:
        """The fate of each, all tried at once; what is not as expected is tried once more, with more patience than a busy machine needs."""
        listed = list(attempts)
        with ThreadPoolExecutor(max_workers=max(1, len(listed))) as pool:
            fates = dict(zip(listed, pool.map(self.attempt, listed), strict=True))
        odd = [one for one, fate in fates.items() if fate is not expected(one)]
        return fates | {one: self.attempt(one, patience=5 * PATIENCE) for one in odd[:5]}

    def attempt(self, one: Attempt, patience: float = PATIENCE) -> Fate:
        """One try, from the namespace that has its source address."""
        return inside(self.at(one.source), lambda: _tried(one, patience))

    @contextmanager
    def stream(self, source: str, destination: str) -> Iterator["Stream"]:
        """Datagrams every two milliseconds while the context lasts."""
        made = Stream()
        asking = inside(self.at(source), lambda: _bound(source, socket.SOCK_DGRAM))
        asking.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _ROOM)
        asking.connect((destination, UDP_PORTS[0]))
        ended = threading.Event()
        thread = threading.Thread(target=made.run, args=(asking, ended))
        thread.start()
        try:
            yield made
        finally:
            ended.set()
            thread.join()
            asking.close()


@dataclass
class Stream:
    """How many datagrams were sent, and the numbers of those that were answered."""

    sent: int = 0
    answered: set[int] = field(default_factory=set)

    @property
    def lost(self) -> int:
        """Sent, and never answered."""
        return self.sent - len(self.answered)

    def run(self, asking: socket.socket, ended: threading.Event) -> None:
        """Send and listen until it is ended, then wait for what is still on its way."""
        asking.settimeout(0.002)
        while not ended.is_set():
            asking.send(struct.pack("!I", self.sent))
            self.sent += 1
            self._listen(asking)
            ended.wait(0.002)
        # Who was answered before waits as long as a busy machine may need; who never was hears of nothing that is on its way.
        asking.settimeout(5 * PATIENCE if self.answered else 0.3)
        while self.lost and self._listen(asking):
            pass

    def _listen(self, asking: socket.socket) -> bool:
        try:
            self.answered.add(struct.unpack("!I", asking.recv(64))[0])
        except TimeoutError:
            return False
        return True


@contextmanager
def network(pods: Sequence[str], outside: Iterable[str]) -> Iterator[Network]:
    """A network with these pods and with listeners at these addresses of the outside; all of it is gone at the end."""
    with ExitStack() as stack:
        gateway = stack.enter_context(namespace("gw"))
        out = stack.enter_context(namespace("out"))
        named = {pod: stack.enter_context(namespace(pod)) for pod in pods}
        _set(gateway, "ipv4/ip_forward", "1")
        _set(gateway, "ipv6/conf/all/forwarding", "1")
        for path in ("ipv4/icmp_ratelimit", "ipv6/icmp/ratelimit"):
            _set(gateway, path, "0")
        for pod, name in named.items():
            _link(gateway, f"to-{pod}", name)
        _link(gateway, "to-outside", out)
        for address in outside:
            length = 128 if ":" in address else 32
            run("ip", "-n", out, "address", "add", f"{address}/{length}", "dev", "eth0", *(["nodad"] * (length == 128)))
            run("ip", "-n", gateway, "route", "add", f"{address}/{length}", "dev", "to-outside")
        stack.enter_context(_listeners(out))
        families = (socket.AF_INET, socket.AF_INET6)
        heard = [inside(out, lambda family=one: sctp.listening(family)) for one in families]  # type: ignore[misc]
        stack.enter_context(sctp.answering(heard))
        yield Network(gateway, out, named)


def _link(gateway: str, device: str, other: str) -> None:
    """A link whose far end is the other's eth0 and default route."""
    run("ip", "-n", gateway, "link", "add", device, "type", "veth", "peer", "name", "eth0", "netns", other)
    for name, end in ((gateway, device), (other, "eth0")):
        _set(name, f"ipv6/conf/{end}/accept_dad", "0")
        run("ip", "-n", name, "link", "set", end, "up")
    run("ip", "-n", gateway, "address", "add", f"{_FAR4}/32", "dev", device)
    run("ip", "-n", gateway, "address", "add", f"{_FAR6}/64", "dev", device, "nodad")
    # A link whose last address goes would lose its routes.
    run("ip", "-n", other, "address", "add", f"{_OWN4}/32", "dev", "eth0")
    run("ip", "-n", other, "route", "add", _FAR4, "dev", "eth0")
    run("ip", "-n", other, "route", "add", "default", "via", _FAR4, "dev", "eth0")
    run("ip", "-n", other, "-6", "route", "add", "default", "via", _FAR6, "dev", "eth0")


def _set(name: str, path: str, value: str) -> None:
    inside(name, lambda: Path("/proc/sys/net", path).write_text(value))


# ---- those who answer


@contextmanager
def _listeners(name: str) -> Iterator[None]:
    """Echoes over TCP and UDP at every address of a namespace, as long as the context."""
    ended = threading.Event()
    kinds = ((socket.SOCK_STREAM, TCP_PORTS), (socket.SOCK_DGRAM, UDP_PORTS))
    sockets = [inside(name, lambda k=kind, p=port: _listening(k, p)) for kind, ports in kinds for port in ports]  # type: ignore[misc]
    threads = [threading.Thread(target=_echo, args=(one, ended)) for one in sockets]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        for thread in threads:
            thread.join()
        for one in sockets:
            one.close()


def _listening(kind: socket.SocketKind, port: int) -> socket.socket:
    one = socket.socket(socket.AF_INET6, kind)
    one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    if kind == socket.SOCK_DGRAM:
        # An answer must come from the address that was asked.
        one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        one.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _ROOM)
    one.bind(("::", port))
    one.settimeout(0.1)
    if kind == socket.SOCK_STREAM:
        one.listen(512)
    return one


def _echo(one: socket.socket, ended: threading.Event) -> None:
    open_ones: list[socket.socket] = []
    while not ended.is_set():
        try:
            if one.type == socket.SOCK_STREAM:
                peer, _ = one.accept()
                open_ones.append(peer)
                threading.Thread(target=_echo_stream, args=(peer,), daemon=True).start()
            else:
                data, told, _, address = one.recvmsg(2048, 256)
                one.sendmsg([data], [(level, kind, value[:16] + bytes(4)) for level, kind, value in told], 0, address)
        except OSError:
            continue
    for peer in open_ones:
        peer.close()


def _echo_stream(peer: socket.socket) -> None:
    peer.settimeout(30)
    try:
        while data := peer.recv(2048):
            peer.sendall(data)
    except OSError:
        return


# ---- those who try


def _tried(one: Attempt, patience: float) -> Fate:
    try:
        if one.protocol in (Protocol.ICMP, Protocol.ICMPV6):
            return _ping(one, patience)
        if one.protocol is Protocol.SCTP:
            return _associated(one, patience)
        return _asked(one, patience)
    except TimeoutError:
        return Fate.DROPPED
    except OSError as error:
        if error.errno in (errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.EACCES):
            return Fate.REJECTED
        raise


def _asked(one: Attempt, patience: float) -> Fate:
    kind = socket.SOCK_STREAM if one.protocol is Protocol.TCP else socket.SOCK_DGRAM
    with _bound(one.source, kind) as asking:
        asking.settimeout(patience)
        asking.connect((one.destination, one.port))
        asking.sendall(b"hello")
        return Fate.THROUGH if asking.recv(64) == b"hello" else Fate.DROPPED


def _associated(one: Attempt, patience: float) -> Fate:
    """An INIT and its answer; the kernel tells a connected raw socket when it is refused."""
    six, tag = _family(one.source) == socket.AF_INET6, next(_IDS)
    with _bound(one.source, socket.SOCK_RAW, sctp.NUMBER) as asking:
        asking.settimeout(patience)
        asking.connect((one.destination, 0))
        asking.send(sctp.init(one.port, tag))
        while True:
            data = asking.recv(2048)
            if sctp.answers(data if six else data[(data[0] & 15) * 4 :], tag):
                return Fate.THROUGH


def _bound(source: str, kind: socket.SocketKind, protocol: int = 0) -> socket.socket:
    asking = socket.socket(_family(source), kind, protocol)
    asking.settimeout(PATIENCE)
    try:
        asking.bind((source, 0))
    except OSError:
        asking.close()
        raise
    return asking


def _ping(one: Attempt, patience: float) -> Fate:
    six = _family(one.source) == socket.AF_INET6
    protocol, request, answer, refusal = (58, 128, 129, (1, 1)) if six else (1, 8, 0, (3, 13))
    mark = struct.pack("!HH", os.getpid() & 0xFFFF, next(_IDS) & 0xFFFF)
    with _bound(one.source, socket.SOCK_RAW, protocol) as asking:
        asking.settimeout(patience)
        asking.sendto(_echo_request(request, mark, checked=not six), (one.destination, 0))
        while True:
            data, _ = asking.recvfrom(2048)
            message = data if six else data[(data[0] & 15) * 4 :]
            if message[0] == answer and message[4:8] == mark:
                return Fate.THROUGH
            if tuple(message[:2]) == refusal and mark in message[8:]:
                return Fate.REJECTED


def _echo_request(kind: int, mark: bytes, *, checked: bool) -> bytes:
    """An echo request; the kernel itself puts the checksum into one of IPv6."""
    total = (kind << 8) + sum(struct.unpack("!HH", mark))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return struct.pack("!BBH", kind, 0, ~total & 0xFFFF if checked else 0) + mark


def _family_of(address: str) -> tuple[str, int]:
    """The option of ip, and the length of a single address."""
    return ("-6", 128) if ":" in address else ("-4", 32)


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET
