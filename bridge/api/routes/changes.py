"""The stream of changes: whoever shows something hears when to look again."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Header, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import StreamingResponse

from bridge.api.access import Access, Forbidden, TooMany, Unavailable, Unknown, Viewer
from bridge.api.changes import HEARTBEAT, MOST, Changes, Moved, counted, moved, place
from bridge.api.documents import answers
from bridge.state.counters import Counted

router = APIRouter(tags=["changes"])

HOUR = 3600
_AGAIN = 2000  # milliseconds until a browser comes again when the stream has ended
_LONGEST = 60_000  # characters of an id

Seconds = Annotated[
    int, Query(ge=1, le=HOUR, description="The stream ends after so many; come again with the last id.")
]
After = Annotated[
    str,
    Query(max_length=_LONGEST, pattern="^[A-Za-z0-9_-]*$", description="As Last-Event-ID, where no header can be set."),
]
LastEvent = Annotated[str, Header(alias="Last-Event-ID", description="The id of the last event that was heard.")]


class EventStream(StreamingResponse):
    """Server-sent events."""

    media_type = "text/event-stream"


_EVENT = {
    "type": "object",
    "required": ["id"],
    "properties": {
        "id": {"type": "string"},
        "event": {"type": "string", "enum": ["changed"]},
        "data": {
            "type": "string",
            "contentMediaType": "application/json",
            "contentSchema": {"$ref": "#/components/schemas/Moved"},
        },
    },
}


def _documented() -> dict[int | str, dict[str, Any]]:
    found = answers(
        Moved,
        description="Events named `changed`; the data of each is a Moved, in JSON. The first may bear an id alone.",
    )
    found[200]["content"] = {EventStream.media_type: {"schema": _EVENT}}
    return found


@router.get("/changes", response_class=EventStream, responses=_documented())
async def changes(
    request: Request, _: Viewer, last_event_id: LastEvent = "", after: After = "", seconds: Seconds = HOUR
) -> EventStream:
    """Hear where something moved, at most twice a second, and, with the id of an event, what has moved since that.

    Without an id the first event bears nothing but an id. A comment comes every 15 seconds in which nothing moves.
    """
    heard: Changes = request.app.state.changes
    if heard.full:
        raise HTTPException(503, f"{MOST} listen already: come again", {"Retry-After": "10"})
    last = last_event_id or after
    return EventStream(_events(request, heard, counted(last) if last else None, seconds))


async def _events(request: Request, heard: Changes, seen: Counted | None, seconds: int) -> AsyncIterator[str]:
    clock = asyncio.get_running_loop()
    checked = clock.time()
    yield f"retry: {_AGAIN}\n\n"
    async for now in heard.since(seen, seconds):
        if clock.time() - checked >= HEARTBEAT:
            if not await run_in_threadpool(_still_known, request):
                return
            checked = clock.time()
        if now is None:
            yield ": nothing moved\n\n"
            continue
        yield event(seen, now)
        seen = now


def event(before: Counted | None, now: Counted) -> str:
    """The event as it is sent; without anything before it an id alone, which no browser tells its page."""
    told = "" if before is None else f"event: changed\ndata: {msgspec.json.encode(moved(before, now)).decode()}\n"
    return f"{told}id: {place(now)}\n\n"


def _still_known(request: Request) -> bool:
    """Whether somebody who was let in would be still: he may have logged out, or lost his role."""
    access: Access = request.app.state.access
    try:
        access.person(request)
    except Unavailable:
        return True
    except (Unknown, Forbidden, TooMany):
        return False
    return True
