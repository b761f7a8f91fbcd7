"""What the API server's refusals mean: every HTTP status, and every Status inside a stream, as one error of the tree."""

from collections.abc import Mapping

import msgspec

from bridge.errors import ClusterDenied, ClusterError, ClusterUnavailable, Expired

_LONGEST_WORDS = 300


class Throttled(ClusterUnavailable):
    """429, or 5xx with Retry-After: the server says when to come back. `retry_after` in seconds."""

    def __init__(self, message: str, retry_after: float) -> None:
        self.retry_after = retry_after
        super().__init__(message)


class RequestRefused(ClusterError):
    """Another 4xx: the request itself, as it stands, will not be served. `code` is the HTTP status, `reason` the Status' word."""

    def __init__(self, message: str, code: int, reason: str) -> None:
        self.code = code
        self.reason = reason
        super().__init__(message)


class Details(msgspec.Struct, gc=False):
    """The part of Status.details that says when to come back."""

    retry_after_seconds: float | None = msgspec.field(default=None, name="retryAfterSeconds")


class Status(msgspec.Struct, gc=False):
    """A Kubernetes Status."""

    message: str | None = None
    reason: str | None = None
    code: int | None = None
    details: Details | None = None


_statuses = msgspec.json.Decoder(Status)


def failure(what: str, code: int, body: bytes, headers: Mapping[str, str] | None = None) -> ClusterError:
    """The error that this answer is. `what` names cluster, verb and resource ("east: list pods").

    The server's own message is quoted, shortened; nothing that was sent is.
    """
    status = _status(body)
    return _error(what, code, status, _retry_after(headers or {}, status))


def stream_failure(what: str, body: bytes) -> ClusterError:
    """The error that an ERROR event carries in place of an object."""
    status = _status(body)
    return _error(what, status.code or 500, status, _retry_after({}, status))


def _error(what: str, code: int, status: Status, retry_after: float | None) -> ClusterError:
    words = (status.message or "").strip()[:_LONGEST_WORDS]
    message = f"{what}: {code} {status.reason or ''}".rstrip() + (f": {words}" if words else "")
    if code in (401, 403):
        return ClusterDenied(message + _advice(code))
    if code == 410:
        return Expired(message)
    if code == 429 or (code >= 500 and retry_after is not None):
        return Throttled(message, retry_after or 1.0)
    if 400 <= code < 500:
        return RequestRefused(message, code, status.reason or "")
    return ClusterUnavailable(message)


def _advice(code: int) -> str:
    return " (check the credentials)" if code == 401 else " (grant this verb on this resource in RBAC)"


def _status(body: bytes) -> Status:
    try:
        return _statuses.decode(body)
    except msgspec.DecodeError:
        return Status()


def _retry_after(headers: Mapping[str, str], status: Status) -> float | None:
    text = headers.get("Retry-After", "")
    if text.isascii() and text.isdigit():
        return float(text)
    return status.details.retry_after_seconds if status.details else None
