"""A small name server on loopback, over UDP and TCP, that says what it is told to say, wrong things included."""

import socketserver
import struct
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Self

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

from bridge.names.servers import Server

Reply = Callable[[dns.message.Message, bool], bytes | None]
"""From a question, and whether it came over TCP, to the bytes that answer it; None is silence."""


@dataclass
class Question:
    """What somebody asked."""

    name: str
    kind: str
    tcp: bool


@dataclass
class NameServer:
    """`put` gives names addresses, `behave` makes them misbehave; a name that it does not know does not exist. `asked` remembers."""

    records: dict[str, tuple[tuple[str, ...], int]] = field(default_factory=dict)
    replies: dict[str, Reply] = field(default_factory=dict)
    asked: list[Question] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._udp, self._tcp, self._port = _bound(self)
        self._threads = [
            threading.Thread(target=one.serve_forever, args=(0.05,), daemon=True) for one in (self._udp, self._tcp)
        ]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for one in (self._udp, self._tcp):
            one.shutdown()
            one.server_close()
        for thread in self._threads:
            thread.join()

    @property
    def server(self) -> Server:
        """As a resolver knows it."""
        return Server("127.0.0.1", self._port)

    def put(self, name: str, *addresses: str, ttl: int = 60) -> None:
        """The name has these addresses; none: it exists all the same."""
        self.replies.pop(name, None)
        self.records[name] = (addresses, ttl)

    def remove(self, name: str) -> None:
        """The name does not exist any more."""
        self.replies.pop(name, None)
        self.records.pop(name, None)

    def behave(self, name: str, reply: Reply) -> None:
        """From now on questions about the name are answered so."""
        self.replies[name] = reply

    def times_asked(self, name: str, kind: str = "A") -> int:
        """How often the name was asked about."""
        return sum((one.name, one.kind) == (name, kind) for one in self.asked)

    def answer(self, wire: bytes, *, tcp: bool) -> bytes | None:
        """The bytes that answer these."""
        question = dns.message.from_wire(wire)
        asked = question.question[0]
        name = asked.name.to_text(omit_final_dot=True)
        self.asked.append(Question(name, dns.rdatatype.to_text(asked.rdtype), tcp))
        reply = self.replies.get(name)
        if reply is not None:
            return reply(question, tcp)
        return self._plain(question, name).to_wire(max_size=65_535)

    def _plain(self, question: dns.message.Message, name: str) -> dns.message.Message:
        if name not in self.records:
            return response(question, rcode=dns.rcode.NXDOMAIN)
        addresses, ttl = self.records[name]
        kind = dns.rdatatype.to_text(question.question[0].rdtype)
        own = [one for one in addresses if (":" in one) is (kind == "AAAA")]
        return response(question, [(name, ttl, kind, own)] if own else [])


def response(
    question: dns.message.Message,
    records: Iterable[tuple[str, int, str, Iterable[str]]] = (),
    *,
    rcode: dns.rcode.Rcode = dns.rcode.NOERROR,
    soa: tuple[str, int] | None = None,
    flags: int = dns.flags.RA,
) -> dns.message.Message:
    """A response with records of name, TTL, type and values; `soa` is a zone and the TTL of what does not exist in it."""
    made = dns.message.make_response(question, recursion_available=False)
    made.flags |= flags
    made.set_rcode(rcode)
    for name, ttl, kind, values in records:
        made.answer.append(dns.rrset.from_text(f"{name}.", ttl, "IN", kind, *values))
    if soa is not None:
        zone, ttl = soa
        made.authority.append(
            dns.rrset.from_text(f"{zone}.", ttl, "IN", "SOA", f"ns.{zone}. root.{zone}. 1 2 3 4 {ttl}")
        )
    return made


def saying(
    *records: tuple[str, int, str, Iterable[str]],
    rcode: dns.rcode.Rcode = dns.rcode.NOERROR,
    soa: tuple[str, int] | None = None,
    flags: int = dns.flags.RA,
) -> Reply:
    """Answers so: of the records A and AAAA those that were asked for, and aliases always."""

    def reply(question: dns.message.Message, _tcp: bool) -> bytes:
        kind = dns.rdatatype.to_text(question.question[0].rdtype)
        own = [one for one in records if one[2] in (kind, "CNAME")]
        return response(question, own, rcode=rcode, soa=soa, flags=flags).to_wire(max_size=65_535)

    return reply


def failing(rcode: dns.rcode.Rcode = dns.rcode.SERVFAIL) -> Reply:
    """Answers with an error."""
    return saying(rcode=rcode)


def silent(_question: dns.message.Message, _tcp: bool) -> None:
    """Never answers."""


def _bound(owner: NameServer) -> tuple[socketserver.BaseServer, socketserver.BaseServer, int]:
    """Both on one port."""

    class Udp(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            wire, sender = self.request
            answer = owner.answer(wire, tcp=False)
            if answer is not None:
                sender.sendto(answer, self.client_address)

    class Tcp(socketserver.StreamRequestHandler):
        timeout = 2

        def handle(self) -> None:
            head = self.rfile.read(2)
            if len(head) == 2:
                answer = owner.answer(self.rfile.read(struct.unpack("!H", head)[0]), tcp=True)
                if answer is not None:
                    self.wfile.write(struct.pack("!H", len(answer)) + answer)

    for _ in range(20):
        udp = _Udp(("127.0.0.1", 0), Udp)
        port = int(udp.socket.getsockname()[1])
        try:
            return udp, _Tcp(("127.0.0.1", port), Tcp), port
        except OSError:
            udp.server_close()
    raise OSError("no port is free for both UDP and TCP")


class _Udp(socketserver.ThreadingUDPServer):
    daemon_threads = True
    max_packet_size = 65_535

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 (of the base)
        """Who asks may have gone."""


class _Tcp(socketserver.ThreadingTCPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401
        """Who asks may have gone."""
