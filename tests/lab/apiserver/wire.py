"""Small things that the tests of the wire share."""

import json
import threading
from collections.abc import Iterator
from types import TracebackType
from typing import Self

import httpx

from bridge.lab.apiserver import Manifest


def pod(name: str, namespace: str = "default", **labels: str) -> Manifest:
    metadata = {"name": name, "namespace": namespace, "labels": labels}
    return {"metadata": metadata, "spec": {"containers": [{"name": "main", "image": "x"}]}}


def names(listed: Manifest) -> list[str]:
    return [item["metadata"]["name"] for item in listed["items"]]


def pages(http: httpx.Client, path: str, limit: int, **params: str) -> Iterator[Manifest]:
    """Every page of a list, in order."""
    token = ""
    while True:
        page: Manifest = http.get(path, params={"limit": limit, "continue": token, **params}).raise_for_status().json()
        yield page
        token = page["metadata"].get("continue", "")
        if not token:
            return


def events(http: httpx.Client, path: str, **params: str | int) -> Iterator[Manifest]:
    """The events of a watch until it ends."""
    with http.stream("GET", path, params={"watch": "1", **params}) as answer:
        assert answer.status_code == 200, answer.read()
        for line in answer.iter_lines():
            yield json.loads(line)


class Follower:
    """A client that lists in pages, watches, and keeps what it saw; started again, it goes on where it was."""

    def __init__(self, http: httpx.Client, path: str) -> None:
        self.state: dict[str, str] = {}
        self.seen: list[int] = []
        self._http = http
        self._path = path
        self._version = ""
        self._thread: threading.Thread | None = None
        self._enough = threading.Event()
        self._until = 0
        self._moved = threading.Condition()

    def list(self) -> None:
        self.state.clear()
        for page in pages(self._http, self._path, 7):
            self._version = page["metadata"]["resourceVersion"]
            for item in page["items"]:
                self.state[_key(item)] = item["metadata"]["resourceVersion"]

    def watch(self, **params: str | int) -> None:
        """Take in one watch until the server ends it."""
        for event in events(
            self._http, self._path, resourceVersion=self._version, allowWatchBookmarks="true", **params
        ):
            self._take(event["type"], event["object"])

    def _take(self, kind: str, obj: Manifest) -> None:
        version = obj["metadata"]["resourceVersion"]
        if kind != "BOOKMARK":
            self.seen.append(int(version))
            assert (kind == "ADDED") == (_key(obj) not in self.state), "an event was lost or came twice"
            if kind == "DELETED":
                del self.state[_key(obj)]
            else:
                self.state[_key(obj)] = version
        with self._moved:
            self._version = version
            self._moved.notify_all()

    def reached(self, revision: int) -> bool:
        """Wait until everything up to a resource version was seen."""
        with self._moved:
            return self._moved.wait_for(lambda: int(self._version) >= revision, timeout=20)

    def __enter__(self) -> Self:
        self.list()
        self._thread = threading.Thread(target=self._follow)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._enough.set()

    def join(self) -> None:
        assert self._thread is not None
        self._thread.join(20)
        assert not self._thread.is_alive()

    def _follow(self) -> None:
        while not self._enough.is_set():
            self.watch()


def _key(obj: Manifest) -> str:
    return f"{obj['metadata'].get('namespace', '')}/{obj['metadata']['name']}"
