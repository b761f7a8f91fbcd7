"""TokenReview: a cluster says whose token this is."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from bridge.cluster.client import Connection
from bridge.errors import ClusterUnavailable

_PATH: Final = "/apis/authentication.k8s.io/v1/tokenreviews"
_WHAT: Final = "create tokenreviews"


@dataclass(frozen=True, slots=True)
class Known:
    """Whom the cluster knows by a token."""

    name: str
    groups: frozenset[str]


class _User(msgspec.Struct):
    username: str = ""
    groups: tuple[str, ...] | None = None


class _Status(msgspec.Struct):
    authenticated: bool = False
    user: _User = msgspec.field(default_factory=_User)
    audiences: tuple[str, ...] | None = None


class _Review(msgspec.Struct):
    status: _Status


def review(connection: Connection, token: str, audiences: Sequence[str]) -> Known | None:
    """Whose token it is; None for nobody's, and for one that was made for other audiences than these. ClusterError where it is not told."""
    spec = {"token": token, "audiences": list(audiences)}
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": spec}
    answer = connection.send(_WHAT, "POST", _PATH, msgspec.json.encode(body), "application/json")
    try:
        status = msgspec.json.decode(answer, type=_Review).status
    except msgspec.DecodeError:
        raise ClusterUnavailable(f"{connection.name}: {_WHAT}: the answer makes no sense") from None
    # A server that knows nothing of audiences answers for its own only, and says none.
    if not status.authenticated or not status.user.username or not set(status.audiences or ()) & set(audiences):
        return None
    return Known(status.user.username, frozenset(status.user.groups or ()))
