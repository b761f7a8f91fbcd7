"""A copy of one resource, kept by list and watch, that outlives an API server that comes and goes."""

import threading
from collections.abc import Callable, Sequence
from typing import TypeAlias

import httpx

from tests.control_plane.api import Api, Json, Watch

Key: TypeAlias = tuple[str, str]
RETRY_SECONDS = 0.3


def key_of(item: Json) -> Key:
    """Namespace and name."""
    return item["metadata"].get("namespace", ""), item["metadata"]["name"]


class Reflection:
    """The objects of a list path, by key, in a thread of its own.

    `listed` is called with every complete list before its objects are announced; `changed` with an object's key and the object, or
    None once it is gone (then `uid` still tells which). Both are called from the thread, without any lock held.
    """

    def __init__(
        self,
        api: Api,
        path: str,
        listed: Callable[[Sequence[Json]], None],
        changed: Callable[[Key, str, Json | None], None],
    ) -> None:
        self._api = api
        self._path = path
        self._listed = listed
        self._changed = changed
        self._objects: dict[Key, Json] = {}
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._watch: Watch | None = None
        self._thread = threading.Thread(target=self._run, name=f"reflection of {path}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Returns once the thread has ended."""
        with self._lock:
            self._stopping.set()
            if self._watch:
                self._watch.stop()
        if self._thread.ident:
            self._thread.join()

    def objects(self) -> dict[Key, Json]:
        """All, as last seen."""
        with self._lock:
            return dict(self._objects)

    def get(self, key: Key) -> Json | None:
        with self._lock:
            return self._objects.get(key)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                version: str | None = self._list()
                while version and not self._stopping.is_set():
                    version = self._follow(version)
            except httpx.HTTPError:
                self._stopping.wait(RETRY_SECONDS)

    def _list(self) -> str:
        answer = self._api.get(self._path)
        found = {key_of(item): item for item in answer["items"]}
        self._listed(answer["items"])
        for key, old in self.objects().items():
            if key not in found or found[key]["metadata"]["uid"] != old["metadata"]["uid"]:
                self._take(old, gone=True)
        for item in found.values():
            self._take(item)
        version: str = answer["metadata"]["resourceVersion"]
        return version

    def _follow(self, version: str) -> str | None:
        """Watch until the stream ends: the version to go on from, or None where only a new list helps."""
        with self._lock:
            if self._stopping.is_set():
                return None
            watch = self._watch = self._api.watch(self._path, version)
        for event in watch:
            item = event["object"]
            if event["type"] == "ERROR":
                return None
            version = item["metadata"]["resourceVersion"]
            if event["type"] != "BOOKMARK":
                self._take(item, gone=event["type"] == "DELETED")
        return version

    def _take(self, item: Json, *, gone: bool = False) -> None:
        key = key_of(item)
        with self._lock:
            if gone:
                self._objects.pop(key, None)
            else:
                self._objects[key] = item
        self._changed(key, item["metadata"]["uid"], None if gone else item)
