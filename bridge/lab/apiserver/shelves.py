"""What a simulated cluster serves: a shelf for each kind of resource, found by every name that it goes by."""

import threading
from collections.abc import Iterator

from bridge.lab.apiserver.kinds import Kind
from bridge.lab.apiserver.objects import Shelf
from bridge.lab.apiserver.refusal import Refusal, no_such_path


class Shelves:
    """Every shelf. Looking one up is thread-safe; the cluster's `lock` is held around `serve` and `withdraw`.

    A resource is named by its plural (`pods`), with its group where plurals clash. `window` is that of each shelf.
    """

    def __init__(self, lock: threading.RLock, window: int) -> None:
        self._lock = lock
        self._window = window
        self._shelves: dict[tuple[str, str], Shelf] = {}
        self._named: dict[str, Shelf] = {}

    def __iter__(self) -> Iterator[Shelf]:
        """Those of now."""
        return iter(tuple(self._shelves.values()))

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """Everything that is served now."""
        with self._lock:
            return tuple(shelf.kind for shelf in self)

    def named(self, resource: str) -> Shelf:
        """The store of a resource by `plural` or `plural.group`. Raises Refusal 404."""
        if (known := self._named.get(resource)) is not None:
            return known
        plural, _, group = resource.partition(".")
        with self._lock:
            for (its_group, its_plural), shelf in self._shelves.items():
                if plural == its_plural and group in ("", its_group):
                    self._named[resource] = shelf
                    return shelf
        raise no_such_path()

    def served(self, group: str, version: str, plural: str) -> Shelf:
        """The store behind a URL. Raises Refusal 404."""
        shelf = self._shelves.get((group, plural))
        if shelf is None or version not in shelf.kind.served:
            raise no_such_path()
        return shelf

    def of_manifest(self, api_version: str, kind: str) -> Shelf:
        """The store for a manifest's `apiVersion` and `kind`. Raises Refusal 404."""
        group, _, version = api_version.rpartition("/")
        for shelf in self:
            if shelf.kind.kind == kind and shelf.kind.group == group and version in shelf.kind.served:
                return shelf
        raise Refusal(404, "NotFound", f'no matches for kind "{kind}" in version "{api_version}"')

    def serve(self, kind: Kind, revision: int) -> None:
        """Serve a kind from this resource version on; one that is served already, in its new form."""
        place = (kind.group, kind.plural)
        if place in self._shelves:
            self._shelves[place].kind = kind
        else:
            self._shelves[place] = Shelf(kind, revision, self._window)

    def withdraw(self, shelf: Shelf) -> None:
        """Serve it no more."""
        del self._shelves[shelf.kind.group, shelf.kind.plural]
        self._named.clear()
