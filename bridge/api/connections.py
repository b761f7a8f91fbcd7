"""Connections that wait only so long: so many may be open at a time, and whoever says nothing is not to keep others out."""

import asyncio
from typing import Final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

ASKING: Final = (
    20.0  # seconds from the beginning of a connection, or the end of an answer, until a request has come with its body
)
TAKING: Final = 60.0  # seconds in which what was sent of an answer is not taken at all, or hardly


class Connection(H11Protocol):
    """HTTP/1.1 as uvicorn speaks it by h11, which bounds how long headers may be.

    It ends where a request does not come whole, or an answer is not taken, in so many seconds.
    """

    _asking: asyncio.TimerHandle | None = None
    _taking: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """It begins."""
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Part of a request, or a whole one."""
        super().data_received(data)
        self._wait()

    def on_response_complete(self) -> None:
        """An answer was given: the next request may come."""
        super().on_response_complete()
        self._wait()

    def pause_writing(self) -> None:
        """What was sent lies here still."""
        super().pause_writing()
        self._taking = self._taking or self.loop.call_later(TAKING, self.transport.abort)

    def resume_writing(self) -> None:
        """It was taken."""
        super().resume_writing()
        _cancel(self._taking)
        self._taking = None

    def connection_lost(self, exc: Exception | None) -> None:
        """It ended."""
        _cancel(self._asking)
        _cancel(self._taking)
        super().connection_lost(exc)

    def _wait(self) -> None:
        """From now on, or since it is waited for already, as long as the request is not whole."""
        if self.conn.their_state in (h11.IDLE, h11.SEND_BODY) and not self.transport.is_closing():
            self._asking = self._asking or self.loop.call_later(ASKING, self.transport.abort)
        else:
            _cancel(self._asking)
            self._asking = None


def _cancel(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()
