"""Complete lists: every page, at one version not older than what was seen before. Anything less is a failure, never a short list."""

from collections.abc import Iterator

from bridge.cluster.client import Connection
from bridge.cluster.decode import Codec, Page
from bridge.cluster.kinds import KINDS
from bridge.errors import ClusterUnavailable
from bridge.model.observed import Resource


def version_number(version: str) -> int:
    """Resource versions come from one counter, so that which is older can be told. Raises ClusterUnavailable on what is no number."""
    if not (version.isascii() and version.isdigit()):
        raise ClusterUnavailable(f"resource version {version!r} is no number")
    return int(version)


class Lister:
    """Lists one resource by quorum (no resource version in the request) in pages of `limit` objects. For one thread."""

    def __init__(self, connection: Connection, resource: Resource, limit: int) -> None:
        self._connection = connection
        self._path = KINDS[resource].path
        self._limit = limit
        self._what = f"list {resource}"
        self._codec = Codec(resource)

    @property
    def codec(self) -> Codec:
        """The decoder, for the watch to share strings with."""
        return self._codec

    def pages(self, not_before: int) -> Iterator[Page]:
        """The pages of one consistent list whose version is at least `not_before`; it was complete when this ends without an error.

        Raises what Connection raises, and ClusterUnavailable for a list that is stale, torn, or none.
        """
        page = self._page("")
        version = page.resource_version
        if version_number(version) < not_before:
            raise ClusterUnavailable(
                f"{self._words}: version {version} is older than {not_before}, which was seen before; "
                "if the cluster was restored from a backup, restart the bridge"
            )
        yield page
        while page.proceed:
            page = self._page(page.proceed)
            if page.resource_version != version:
                raise ClusterUnavailable(f"{self._words}: its pages are of different versions")
            yield page

    def _page(self, proceed: str) -> Page:
        params = {"limit": str(self._limit)} | ({"continue": proceed} if proceed else {})
        body = self._connection.get(self._what, self._path, params)
        try:
            return self._codec.page(body)
        except ValueError as error:
            raise ClusterUnavailable(f"{self._words}: the answer is no list ({error})") from error

    @property
    def _words(self) -> str:
        return f"{self._connection.name}: {self._what}"
