"""Tokens that a cluster knows: service accounts, and whoever else its API server takes."""

from collections.abc import Sequence

from bridge.api.access import Person, Unavailable, Unknown
from bridge.api.authentication.roles import Roles
from bridge.cluster.client import Connection
from bridge.cluster.reviews import review
from bridge.errors import ClusterError


class Reviewed:
    """Asks the cluster whose token it is."""

    __slots__ = ("_audiences", "_connection", "_roles")

    def __init__(self, connection: Connection, audiences: Sequence[str], roles: Roles) -> None:
        self._connection = connection
        self._audiences = tuple(audiences)
        self._roles = roles

    def verified(self, token: str) -> Person:
        """Whose it is."""
        try:
            found = review(self._connection, token, self._audiences)
        except ClusterError as error:
            raise Unavailable(str(error)) from error
        if found is None:
            audiences = ", ".join(self._audiences)
            raise Unknown(
                f"cluster {self._connection.name} does not know the token, or not for the audience {audiences}"
            )
        return self._roles.person(found.name, found.groups)
