"""Lists as the API server gives them: pages of one snapshot, continue tokens that pin it, resource version rules."""

import base64
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from bridge.lab.apiserver.objects import Shelf
from bridge.lab.apiserver.refusal import Refusal, bad_request, expired, too_new
from bridge.lab.apiserver.selectors import Selector


@dataclass(frozen=True, slots=True)
class Request:
    """The query of a list. `limit` 0 means all; `version` and `match` are resourceVersion and resourceVersionMatch."""

    namespace: str = ""
    selector: Selector | None = None
    limit: int = 0
    token: str = ""
    version: str = ""
    match: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """One answer: the snapshot's resource version, stored bodies, the next page's token, how many objects remain after it."""

    revision: int
    bodies: Sequence[bytes]
    token: str = ""
    remaining: int | None = None


class _Token(msgspec.Struct):
    v: str
    rv: int
    start: str


def page(shelf: Shelf, request: Request, revision: int) -> Page:
    """The page that `request` asks for, `revision` being the cluster's. Raises Refusal 400, 410 or 504."""
    if request.token:
        if request.version not in ("", "0"):
            raise bad_request("specifying resource version is not allowed when using continue")
        token = _read(request.token)
        at, start = (token.rv if token.rv >= 0 else revision), token.start
    else:
        at, start = _revision(request, revision), ""
    try:
        snapshot = shelf.at(at)
    except Refusal as refusal:
        if request.token:
            raise expired("the continue token is too old: start again without it", token=_token(-1, start)) from refusal
        raise
    first, last = snapshot.slice(f"{request.namespace}/" if request.namespace else "")
    first = max(first, bisect_left(snapshot.keys, start)) if start else first
    # A read from the watch cache (version 0) gives everything, whatever the limit: as the real server does.
    limit = 0 if request.version == "0" and not request.token else request.limit
    end, bodies = _take(snapshot.bodies, first, last, limit, request.selector)
    if end >= last:
        return Page(at, bodies)
    token_at = -1 if request.token and _read(request.token).rv < 0 else at
    return Page(at, bodies, _token(token_at, snapshot.keys[end]), None if request.selector else last - end)


def _take(
    bodies: Sequence[bytes], first: int, last: int, limit: int, selector: Selector | None
) -> tuple[int, Sequence[bytes]]:
    if selector is None:
        end = min(last, first + limit) if limit else last
        return end, bodies[first:end]
    taken: list[bytes] = []
    matches: Callable[[bytes], bool] = selector.matches
    for index in range(first, last):
        if limit and len(taken) == limit:
            return index, taken
        if matches(bodies[index]):
            taken.append(bodies[index])
    return last, taken


def _revision(request: Request, revision: int) -> int:
    if request.match and not request.version:
        raise bad_request("resourceVersionMatch is forbidden unless resourceVersion is provided")
    asked = number(request.version)
    if asked > revision:
        raise too_new(asked, revision)
    if request.match == "Exact" or (not request.match and request.limit and asked):
        if not asked:
            raise bad_request('resourceVersionMatch "Exact" is forbidden for resourceVersion "0"')
        return asked
    if request.match not in ("", "NotOlderThan"):
        raise bad_request(f"unknown resourceVersionMatch {request.match!r}")
    return revision


def number(version: str) -> int:
    """A resourceVersion parameter as a number, 0 for none. Raises Refusal 400."""
    if version and not version.isdecimal():
        raise bad_request(f"invalid resource version {version!r}")
    return int(version or 0)


def _token(revision: int, start: str) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(_Token("meta.k8s.io/v1", revision, start))).decode().rstrip("=")


def _read(token: str) -> _Token:
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)), type=_Token)
    except (ValueError, msgspec.MsgspecError) as error:
        raise bad_request("continue key is not valid") from error
