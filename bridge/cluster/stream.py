"""A watch response as bytes: everything that one read of the socket gave, so that a burst arrives as one batch."""

import http.client
import socket
from contextlib import suppress
from types import TracebackType
from typing import Protocol, Self

from bridge.errors import ClusterUnavailable

_READ_SIZE = 256 * 1024


class Response(Protocol):
    """What is needed of the pooled response that carries the stream."""

    def close(self) -> None:
        """Give the connection up."""
        ...


class Chunks:
    """Takes chunked transfer encoding off bytes as they come. `ended` once the last chunk has been seen."""

    def __init__(self) -> None:
        self.ended = False
        self._left = 0  # bytes of the present chunk still to come
        self._head = b""  # an unfinished size line

    def feed(self, data: bytes) -> bytes:
        """The payload in `data`. ValueError when it is no chunked encoding."""
        data = self._head + data
        pieces = []
        at = 0
        while at < len(data) and not self.ended:
            if self._left:
                piece = data[at : at + self._left]
                pieces.append(piece)
                self._left -= len(piece)
                at += len(piece)
                continue
            end = data.find(b"\n", at)
            if end < 0:
                break
            line = data[at:end].strip()
            at = end + 1
            if line:  # an empty one is the end of the chunk before
                self._left = int(line.partition(b";")[0], 16)
                self.ended = self._left == 0
        self._head = data[at:]
        return b"".join(pieces)


class Stream:
    """The body of a watch. Reads block; the socket's time-out is the inactivity time-out."""

    def __init__(self, what: str, response: Response, answer: http.client.HTTPResponse) -> None:
        self._what = what
        self._response = response
        # Below the library's chunk reader, which gives one chunk (one event) per call however many have arrived.
        self._source = answer.fp
        self._chunks = Chunks() if answer.chunked else None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._response.close()

    def interrupt(self) -> None:
        """Make whoever reads notice at once that it is over. From any thread."""
        opened = getattr(getattr(self._source, "raw", None), "_sock", None)
        if opened is not None:
            with suppress(OSError):
                # On the descriptor, below TLS: the thread that reads still needs the TLS state to see the end.
                socket.socket.shutdown(opened, socket.SHUT_RDWR)

    def read(self) -> bytes:
        """What has arrived, at least one byte; empty at the proper end. Raises ClusterUnavailable when cut or silent too long."""
        while self._chunks is None or not self._chunks.ended:
            try:
                data = self._source.read1(_READ_SIZE)
                payload = self._chunks.feed(data) if self._chunks and data else data
            except TimeoutError:
                raise ClusterUnavailable(f"{self._what}: nothing heard for too long") from None
            except (OSError, ValueError) as error:
                raise ClusterUnavailable(f"{self._what}: the stream broke ({error})") from error
            if payload:
                return payload
            if not data:
                if self._chunks:
                    raise ClusterUnavailable(f"{self._what}: the stream was cut")
                break
        return b""
