"""What stands before every inference of a deletion: is this still the same cluster, and is its API telling the truth at all?"""

from bridge.cluster.client import Connection
from bridge.cluster.listing import Lister
from bridge.errors import ClusterUnavailable
from bridge.model.observed import Resource

_JUST = 1.0  # seconds: many reflectors begin again at the same moment


class ClusterGate:
    """Shared by the reflectors of one cluster. An API that shows no namespaces is not to be believed about anything."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.identity = ""  # whose API it has to be, once that is known
        self.stranger = ""  # who answers in its place
        self._asked_at: float | None = None

    def prove_same(self, now: float) -> None:
        """Ask who it is, unless that was asked just before. Raises ClusterUnavailable when it is another cluster, and what Connection
        raises.
        """
        if not self.identity or (self._asked_at is not None and now < self._asked_at + _JUST):
            return
        found = self._connection.identity()
        self._asked_at = now
        self.stranger = "" if found == self.identity else found
        if self.stranger:
            self._asked_at = None
            raise ClusterUnavailable(
                f"{self._connection.name}: was {self.identity} and is now {found}: nothing is taken from another cluster"
            )

    def prove_populated(self) -> None:
        """Read namespaces anew. Raises ClusterUnavailable when there are none, and what Connection raises when that cannot be told."""
        first = next(Lister(self._connection, Resource.NAMESPACES, limit=1).pages(not_before=0))
        if not first.values:
            raise no_namespaces(self._connection)


def no_namespaces(connection: Connection) -> ClusterUnavailable:
    """The failure that a list of zero namespaces is."""
    return ClusterUnavailable(f"{connection.name}: the API shows no namespaces at all; nothing is concluded from that")
