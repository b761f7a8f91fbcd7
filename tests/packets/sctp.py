"""SCTP by hand, for kernels that speak none of it: an INIT that is sent, and whoever answers it from the outside."""

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address

NUMBER = 132
_INIT, _INIT_ACK = 1, 2
_POLYNOMIAL = 0x82F63B78


def init(port: int, tag: int) -> bytes:
    """An INIT to this port; its answer carries the tag."""
    return _packet(49152, port, 0, struct.pack("!BBHIIHHI", _INIT, 0, 20, tag, 65536, 1, 1, 1))


def answers(data: bytes, tag: int) -> bool:
    """Whether a packet answers the INIT with this tag."""
    return len(data) > 12 and struct.unpack_from("!I", data, 4)[0] == tag and data[12] == _INIT_ACK


def listening(family: socket.AddressFamily) -> socket.socket:
    """What hears every packet of SCTP in the namespace of this thread."""
    one = socket.socket(family, socket.SOCK_RAW, NUMBER)
    if family == socket.AF_INET6:
        one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
    one.settimeout(0.1)
    return one


@contextmanager
def answering(sockets: list[socket.socket]) -> Iterator[None]:
    """Answer every INIT that these hear, as long as the context."""
    ended = threading.Event()
    threads = [threading.Thread(target=_answer, args=(one, ended)) for one in sockets]
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


def _answer(one: socket.socket, ended: threading.Event) -> None:
    six = one.family == socket.AF_INET6
    while not ended.is_set():
        try:
            data, told, _, address = one.recvmsg(2048, 256)
            asked = told[0][2][:16] if six else data[16:20]
            said = data if six else data[(data[0] & 15) * 4 :]
            if len(said) < 32 or said[12] != _INIT:
                continue
            source, port, tag = *struct.unpack_from("!HH", said), struct.unpack_from("!I", said, 16)[0]
            chunk = struct.pack("!BBHIIHHI", _INIT_ACK, 0, 20, 1, 65536, 1, 1, 1)
            _send(one, _packet(port, source, tag, chunk), asked, address[0])
        except OSError:
            continue


def _send(one: socket.socket, data: bytes, asked: bytes, to: str) -> None:
    """From the address that was asked."""
    if one.family == socket.AF_INET6:
        one.sendmsg([data], [(socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, asked + bytes(4))], 0, (to, 0))
        return
    pktinfo = struct.pack("=I", 0) + ip_address(asked).packed + bytes(4)
    one.sendmsg([data], [(socket.IPPROTO_IP, 8, pktinfo)], 0, (to, 0))  # 8: IP_PKTINFO


def _packet(source: int, port: int, tag: int, chunk: bytes) -> bytes:
    head = struct.pack("!HHI", source, port, tag)
    return head + struct.pack("<I", _crc32c(head + bytes(4) + chunk)) + chunk


def _crc32c(data: bytes) -> int:
    rest = 0xFFFFFFFF
    for byte in data:
        rest ^= byte
        for _ in range(8):
            rest = rest >> 1 ^ (_POLYNOMIAL if rest & 1 else 0)
    return rest ^ 0xFFFFFFFF
