"""A connection to one cluster's API server.

Configuration, authentication and connections are the official client's; answers stay bytes, and
every refusal becomes one error of the tree.
"""

import http.client
import socket
import threading
from collections.abc import Mapping
from typing import TypeVar
from urllib.parse import urlencode
from weakref import WeakSet

import msgspec
from urllib3 import Timeout
from urllib3.exceptions import HTTPError
from urllib3.response import BaseHTTPResponse

from bridge.clock import Clock, SystemClock
from bridge.cluster.answers import failure
from bridge.cluster.login import Login
from bridge.cluster.settings import ClusterConfig
from bridge.cluster.stream import Stream
from bridge.errors import ClusterDenied, ClusterUnavailable

T = TypeVar("T")
_RELOAD_INTERVAL = 5.0  # seconds between two reloads of credentials that the server refused


class _Version(msgspec.Struct):
    git_version: str = msgspec.field(name="gitVersion")


class _Metadata(msgspec.Struct):
    uid: str


class _Identified(msgspec.Struct):
    metadata: _Metadata


class Connection:
    """Calls to one API server; safe to use from many threads. Connections to several clusters share nothing.

    Every call raises ClusterUnavailable, ClusterDenied, Expired or RequestRefused (404, 409, 422 …), and nothing else.
    Nothing is loaded or connected before the first call.
    """

    def __init__(self, config: ClusterConfig, clock: Clock | None = None) -> None:
        self.config = config
        self._clock = clock or SystemClock()
        self._login: Login | None = None
        self._login_at = 0.0
        self._login_lock = threading.Lock()
        self._sockets: WeakSet[socket.socket] = WeakSet()
        self._sockets_lock = threading.Lock()

    @property
    def name(self) -> str:
        """The cluster's name in the settings."""
        return self.config.name

    def get(self, what: str, path: str, params: Mapping[str, str] | None = None) -> bytes:
        """The body of a GET. `what` is verb and resource, for the errors."""
        return self._whole(what, self._request(what, "GET", path, params))

    def send(
        self, what: str, method: str, path: str, body: bytes, content_type: str, params: Mapping[str, str] | None = None
    ) -> bytes:
        """The body of the answer to a write."""
        headers = {"Content-Type": content_type}
        return self._whole(what, self._request(what, method, path, params, body=body, headers=headers))

    def stream(self, what: str, path: str, params: Mapping[str, str], inactivity: float) -> Stream:
        """A response read as it comes; it fails when nothing arrives for `inactivity` seconds. To be closed (a context manager)."""
        response = self._request(what, "GET", path, params, read_timeout=inactivity)
        answer = getattr(response, "_fp", None)
        if not isinstance(answer, http.client.HTTPResponse) or answer.getheader("Content-Encoding"):
            response.close()
            raise ClusterUnavailable(f"{self.name}: {what}: the answer came encoded, which was not asked for")
        return Stream(f"{self.name}: {what}", response, answer)

    def server_version(self) -> str:
        """The API server's version, as "v1.36.3"."""
        return self._typed("get version", "/version", _Version).git_version

    def identity(self) -> str:
        """What makes this cluster itself and no other: the uid of its kube-system namespace."""
        return self._typed("get namespaces", "/api/v1/namespaces/kube-system", _Identified).metadata.uid

    def interrupt(self) -> None:
        """Break every call in flight, so that whoever waits in one notices at once. Later calls connect anew."""
        with self._sockets_lock:
            sockets = list(self._sockets)
        for each in sockets:
            try:
                # On the descriptor, below TLS: the thread that reads still needs the TLS state to see the end.
                socket.socket.shutdown(each, socket.SHUT_RDWR)
            except OSError:
                continue

    def close(self) -> None:
        """Break every call in flight and let go of the rest."""
        self.interrupt()
        with self._login_lock:
            login, self._login = self._login, None
        if login is not None:
            login.close()

    def _typed(self, what: str, path: str, shape: type[T]) -> T:
        try:
            return msgspec.json.decode(self.get(what, path), type=shape)
        except msgspec.DecodeError as error:
            raise ClusterUnavailable(f"{self.name}: {what}: the answer makes no sense ({error})") from error

    def _request(
        self,
        what: str,
        method: str,
        path: str,
        params: Mapping[str, str] | None = None,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        read_timeout: float | None = None,
    ) -> BaseHTTPResponse:
        """A successful answer whose body has not been read."""
        for attempt in (1, 2):
            login, authorization = self._authorized()
            try:
                response: BaseHTTPResponse = login.pool.request(
                    method,
                    login.host + path + _query(params),
                    body=body,
                    headers={**authorization, **(headers or {})},
                    timeout=Timeout(connect=self.config.connect_timeout, read=read_timeout or self.config.read_timeout),
                    retries=False,
                    redirect=False,
                    preload_content=False,
                )
            except (HTTPError, OSError) as error:
                raise ClusterUnavailable(f"{self.name}: {what}: {_words(error)}") from error
            if 200 <= response.status < 300:
                return response
            if response.status == 401 and attempt == 1 and self._reload(login):
                response.close()
                continue
            raise failure(f"{self.name}: {what}", response.status, self._whole(what, response), response.headers)
        raise ClusterDenied(f"{self.name}: {what}: the credentials are refused")

    def _whole(self, what: str, response: BaseHTTPResponse) -> bytes:
        try:
            return response.read()
        except (HTTPError, OSError) as error:
            response.close()
            raise ClusterUnavailable(f"{self.name}: {what}: the answer broke off ({_words(error)})") from error

    def _authorized(self) -> tuple[Login, dict[str, str]]:
        """The lock keeps many threads from running one exec plugin all at once."""
        with self._login_lock:
            if self._login is None:
                self._login = Login(self.config, self._opened)
                self._login_at = self._clock.elapsed()
            try:
                return self._login, self._login.authorization()
            except Exception as error:
                raise ClusterUnavailable(
                    f"{self.name}: credentials cannot be refreshed ({type(error).__name__})"
                ) from error

    def _reload(self, refused: Login) -> bool:
        """Whether other credentials than the refused ones are to be had: files may have changed, certificates may have been renewed."""
        with self._login_lock:
            if self._login is refused and self._clock.elapsed() - self._login_at >= _RELOAD_INTERVAL:
                self._login = None
            return self._login is not refused

    def _opened(self, opened: socket.socket) -> None:
        with self._sockets_lock:
            self._sockets.add(opened)


def _query(params: Mapping[str, str] | None) -> str:
    return f"?{urlencode(params)}" if params else ""


def _words(error: Exception) -> str:
    """A transport error in words; the library's own begin with an object's address in memory."""
    return str(error).rpartition(">: ")[2] or type(error).__name__
