"""One watch: from a resource version on, batches of events as they come, until the server ends it or something is wrong with it."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager

from bridge.clock import Clock
from bridge.cluster.answers import stream_failure
from bridge.cluster.backoff import Uniform
from bridge.cluster.client import Connection
from bridge.cluster.decode import Codec, Line
from bridge.cluster.kinds import KINDS
from bridge.cluster.settings import ReflectorSettings
from bridge.cluster.stream import Stream
from bridge.errors import ClusterUnavailable
from bridge.model.observed import Resource


class Garbled(ClusterUnavailable):
    """A line that is no event, or one that does not say which object it is about."""


class Watch:
    """Opens watches of one resource, one after the other. For one thread."""

    def __init__(
        self,
        connection: Connection,
        resource: Resource,
        codec: Codec,
        settings: ReflectorSettings,
        clock: Clock,
        uniform: Uniform,
    ) -> None:
        self._connection = connection
        self._path = KINDS[resource].path
        self._what = f"watch {resource}"
        self._words = f"{connection.name}: {self._what}"
        self._codec = codec
        self._settings = settings
        self._clock = clock
        self._uniform = uniform
        self._stream: Stream | None = None  # the one that stands

    def interrupt(self) -> None:
        """Break the watch that stands, if any, so that whoever reads it notices at once. From any thread."""
        if stream := self._stream:
            stream.interrupt()

    def batches(self, version: str) -> Generator[Sequence[Line], None, None]:
        """What happened after `version`: an empty batch once the watch stands, then the events of each read. No ERROR is among them.

        Ends when the server ends the watch as it should. Raises what Connection raises; Expired for a version too old, also within
        the stream; ClusterUnavailable for a cut, a silent, or a very short and fruitless watch; Garbled.
        """
        started = self._clock.elapsed()
        fruitful = False
        rest = b""
        with (
            self._connection.stream(self._what, self._path, self._params(version), self._settings.inactivity) as stream,
            self._standing(stream),
        ):
            yield ()
            while data := stream.read():
                whole, _, rest = (rest + data).rpartition(b"\n")
                lines = self._lines(whole)
                events = [line for line in lines if line.type != "ERROR"]
                fruitful = fruitful or any(line.resource_version != version for line in events)
                if events:
                    yield events
                self._check(lines)
        if rest.strip():
            raise ClusterUnavailable(f"{self._words}: ended in the middle of an event")
        if not fruitful and self._clock.elapsed() - started < self._settings.short_watch:
            raise ClusterUnavailable(f"{self._words}: ended at once without any event")

    @contextmanager
    def _standing(self, stream: Stream) -> Generator[None, None, None]:
        self._stream = stream
        try:
            yield
        finally:
            self._stream = None

    def _params(self, version: str) -> dict[str, str]:
        return {
            "watch": "true",
            "resourceVersion": version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(round(self._uniform(*self._settings.watch))),
        }

    def _lines(self, whole: bytes) -> Sequence[Line]:
        try:
            return self._codec.lines(whole)
        except ValueError as error:
            raise Garbled(f"{self._words}: a line is no event ({error})") from error

    def _check(self, lines: Sequence[Line]) -> None:
        for line in lines:
            if line.type == "ERROR":
                raise stream_failure(self._words, line.raw)
