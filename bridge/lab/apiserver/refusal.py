"""What the API server says no with: one exception, carrying the Status that goes over the wire."""

from collections.abc import Mapping
from typing import Any

import msgspec

from bridge.errors import ClusterError


class Refusal(ClusterError):
    """A request that the API server refuses. `code` is the HTTP status, `reason` the machine-readable word of a Status."""

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        *,
        details: Mapping[str, Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
        retry_after: int | None = None,
    ) -> None:
        self.code = code
        self.reason = reason
        self.details = dict(details or {})
        self.metadata = dict(metadata or {})
        self.retry_after = retry_after
        super().__init__(message)

    def body(self) -> bytes:
        """The Status object as JSON."""
        details = self.details | ({"retryAfterSeconds": self.retry_after} if self.retry_after is not None else {})
        status: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": self.metadata,
            "status": "Failure",
            "message": str(self),
            "reason": self.reason,
            "code": self.code,
        }
        if details:
            status["details"] = details
        return msgspec.json.encode(status)


def _named(resource: str, name: str) -> dict[str, str]:
    plural, _, group = resource.partition(".")
    return {"name": name, "kind": plural} | ({"group": group} if group else {})


def not_found(resource: str, name: str) -> Refusal:
    """404 for an object."""
    return Refusal(404, "NotFound", f'{resource} "{name}" not found', details=_named(resource, name))


def no_such_path() -> Refusal:
    """404 for a resource or path that is not served."""
    return Refusal(404, "NotFound", "the server could not find the requested resource")


def already_exists(resource: str, name: str) -> Refusal:
    """409 on create."""
    return Refusal(409, "AlreadyExists", f'{resource} "{name}" already exists', details=_named(resource, name))


def conflict(resource: str, name: str, why: str) -> Refusal:
    """409 on a write that is not based on what is stored."""
    message = f'Operation cannot be fulfilled on {resource} "{name}": {why}'
    return Refusal(409, "Conflict", message, details=_named(resource, name))


def expired(message: str, *, token: str = "") -> Refusal:
    """410: a resource version or continue token older than the history."""
    return Refusal(410, "Expired", message, metadata={"continue": token} if token else None)


def too_old(asked: int, oldest: int) -> Refusal:
    """410 for a watch or an exact read."""
    return expired(f"too old resource version: {asked} ({oldest})")


def too_new(asked: int, current: int) -> Refusal:
    """504: a resource version that this server has not reached."""
    return Refusal(
        504,
        "Timeout",
        f"Too large resource version: {asked}, current: {current}",
        details={"causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]},
        retry_after=1,
    )


def bad_request(message: str) -> Refusal:
    """400."""
    return Refusal(400, "BadRequest", message)


def invalid(resource: str, name: str, problems: Mapping[str, str]) -> Refusal:
    """422: the object's content. `problems` maps field paths to what is wrong."""
    causes = [{"reason": "FieldValueInvalid", "field": path, "message": why} for path, why in problems.items()]
    text = ", ".join(f"{path}: {why}" for path, why in problems.items())
    details: dict[str, Any] = {**_named(resource, name), "causes": causes}
    return Refusal(422, "Invalid", f'{resource} "{name}" is invalid: {text}', details=details)
