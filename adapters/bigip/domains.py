"""Route domains as the device has them: which one pod addresses belong to, and which one an address without `%n` is in.

A route domain is known by its path; its number is the device's, and is asked for (`net/route-domain`). An address without a number is in
the default route domain of its partition (`auth/partition`), which for /Common is 0 unless somebody changed it.
"""

from dataclasses import dataclass

from adapters.bigip import wire
from adapters.bigip.client import Client
from adapters.bigip.names import PARTITION
from bridge.errors import Denied


@dataclass(frozen=True, slots=True)
class Domain:
    """The number of the domain that pod addresses belong to, and of the one that an address without a number is in."""

    number: int = 0
    bare: int = 0


ZERO = Domain()


class Domains:
    """Asks the device, and remembers the answer until it is asked anew. `stated` is a number, or the path of a route domain."""

    def __init__(self, client: Client, stated: int | str) -> None:
        self._client = client
        self._stated = stated
        self._known: Domain | None = None

    def forget(self) -> None:
        """Ask again when it is needed next."""
        self._known = None

    def now(self) -> Domain:
        """The domain of pod addresses. Raises Busy, and Denied where the device has no such route domain."""
        if self._known is None:
            self._known = Domain(self._number(), self._bare())
        return self._known

    def _number(self) -> int:
        if isinstance(self._stated, int):
            return self._stated
        found = self._client.find(f"net/route-domain/{self._stated.replace('/', '~')}", wire.RouteDomain)
        if found is None:
            words = f"there is no route domain {self._stated}"
            raise Denied(self._client.device, f"{words}: make it, or name another in routeDomain in the settings")
        return found.id

    def _bare(self) -> int:
        found = self._client.find(f"auth/partition/{PARTITION}", wire.Partition)
        return 0 if found is None else found.default_route_domain
