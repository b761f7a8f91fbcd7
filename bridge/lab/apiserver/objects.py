"""Objects as stored: JSON bytes by key, and a bounded journal of changes from which watches and older lists are served."""

from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from bridge.lab.apiserver.kinds import Kind, Manifest
from bridge.lab.apiserver.refusal import too_old

_encoder = msgspec.json.Encoder()
_SNAPSHOTS_KEPT: Final = 4


class Change(msgspec.Struct, frozen=True, gc=False):
    """One change of one object. `body` is the object after it (before it, under the new revision, when deleted)."""

    revision: int
    type: str
    key: str
    body: bytes
    old: bytes | None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A resource at one moment: keys in storage order and their bodies."""

    keys: Sequence[str]
    bodies: Sequence[bytes]

    def slice(self, prefix: str) -> tuple[int, int]:
        """The range of indices whose keys start with `prefix`."""
        if not prefix:
            return 0, len(self.keys)
        return bisect_left(self.keys, prefix), bisect_left(self.keys, prefix + "\U0010ffff")


def encode(obj: Manifest, revision: int) -> bytes:
    """An object as it is stored: without kind and apiVersion, metadata first, its resource version first of all."""
    metadata: dict[str, Any] = {"resourceVersion": str(revision)}
    metadata |= {name: value for name, value in obj["metadata"].items() if name != "resourceVersion"}
    rest = {name: value for name, value in obj.items() if name not in ("kind", "apiVersion", "metadata")}
    return _encoder.encode({"metadata": metadata, **rest})


def with_revision(body: bytes, revision: int) -> bytes:
    """The same stored object under another resource version."""
    start = body.index(b'"resourceVersion":"') + 19
    return b"%b%d%b" % (body[:start], revision, body[body.index(b'"', start) :])


class Shelf:
    """All objects of one resource. Not thread-safe by itself: the cluster's lock is held around every call.

    `window` bounds the journal; what falls out of it can neither be resumed from nor listed at.
    """

    def __init__(self, kind: Kind, revision: int, window: int) -> None:
        self.kind = kind
        self.items: dict[str, bytes] = {}
        self.closed = False
        self._window = window
        self._journal: list[Change] = []
        self._base = 0  # number of changes that fell out of the journal
        self._oldest = revision  # the oldest resource version that can still be resumed from
        self._snapshots: OrderedDict[int, Snapshot] = OrderedDict()

    @property
    def oldest(self) -> int:
        """The oldest resource version that a watch can start from."""
        return self._oldest

    @property
    def end(self) -> int:
        """The position after the last change."""
        return self._base + len(self._journal)

    def put(self, key: str, body: bytes, revision: int) -> None:
        """Store an object whose body carries `revision` already."""
        old = self.items.get(key)
        self.items[key] = body
        self._record(Change(revision, "ADDED" if old is None else "MODIFIED", key, body, old))

    def drop(self, key: str, revision: int) -> bytes:
        """Remove an object; returns its last body, under the revision of the deletion."""
        old = self.items.pop(key)
        body = with_revision(old, revision)
        self._record(Change(revision, "DELETED", key, body, old))
        return body

    def position(self, revision: int) -> int:
        """Where a watch from `revision` goes on in the journal. Raises Refusal 410 when that is too old."""
        if revision < self._oldest:
            raise too_old(revision, self._oldest)
        return self._base + bisect_right(self._journal, revision, key=lambda change: change.revision)

    def since(self, position: int) -> list[Change]:
        """The changes from `position` on. Raises Refusal 410 when some of them are gone."""
        if position < self._base:
            raise too_old(self._oldest - 1, self._oldest)
        return self._journal[position - self._base :]

    def at(self, revision: int) -> Snapshot:
        """The resource as it was at `revision`. Raises Refusal 410 when the journal does not reach back so far."""
        position = self.position(revision)
        if (snapshot := self._snapshots.get(position)) is None:
            snapshot = self._snapshots[position] = self._rewound(position)
            while len(self._snapshots) > _SNAPSHOTS_KEPT:
                self._snapshots.popitem(last=False)
        self._snapshots.move_to_end(position)
        return snapshot

    def compact(self, revision: int) -> None:
        """Forget all history: only `revision` (now) and later can be resumed from."""
        self._base = self.end
        self._journal.clear()
        self._snapshots.clear()
        self._oldest = revision

    def _record(self, change: Change) -> None:
        self._journal.append(change)
        # In steps of a quarter, so that trimming costs a constant per change.
        if len(self._journal) > self._window + (self._window >> 2):
            gone = len(self._journal) - self._window
            self._oldest = self._journal[gone - 1].revision
            del self._journal[:gone]
            self._base += gone

    def _rewound(self, position: int) -> Snapshot:
        items = self.items
        if later := self.since(position):
            items = dict(items)
            for change in reversed(later):
                if change.old is None:
                    items.pop(change.key, None)
                else:
                    items[change.key] = change.old
        keys = sorted(items)
        return Snapshot(keys, [items[key] for key in keys])
