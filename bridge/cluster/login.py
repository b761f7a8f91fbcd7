"""The official client, configured for one cluster: its credentials, its TLS, its connection pool. Imported only when first needed."""

import socket
from collections.abc import Callable
from ssl import SSLSocket
from traceback import walk_tb
from typing import Any

from bridge import __version__
from bridge.cluster.settings import ClusterConfig
from bridge.errors import ClusterUnavailable

_POOL_SIZE = 32  # a watch each for all resources, and room for lists and writes


class Login:
    """One set of credentials for one cluster, kept fresh by the official client (exec plugins, rotated in-cluster tokens).

    Loading reads files and may run an exec plugin. Raises ClusterUnavailable when that fails; no message quotes a file's content.
    Not thread-safe: `authorization` may run the plugin again.
    """

    def __init__(self, config: ClusterConfig, opened: Callable[[socket.socket], None]) -> None:
        from kubernetes import client  # noqa: PLC0415 (0.8 s and 40 MB, for those who talk to a cluster only)

        configuration = client.Configuration()
        configuration.connection_pool_maxsize = _POOL_SIZE
        _load(config, configuration)
        self._configuration = configuration
        self._api = client.ApiClient(configuration)
        self.host: str = configuration.host
        self.pool: Any = self._api.rest_client.pool_manager
        self.pool.pool_classes_by_scheme = _reporting(opened)

    def authorization(self) -> dict[str, str]:
        """The headers that identify us, refreshed when they were due."""
        headers = {"User-Agent": f"fusion-bridge/{__version__}", "Accept": "application/json"}
        for setting in self._configuration.auth_settings().values():
            if setting["value"]:
                headers[setting["key"]] = setting["value"]
        return headers

    def close(self) -> None:
        """Drop the pooled connections that nobody uses."""
        self.pool.clear()


def _load(config: ClusterConfig, configuration: Any) -> None:  # noqa: ANN401 (untyped library)
    from kubernetes import config as loader  # noqa: PLC0415
    from yaml import YAMLError  # noqa: PLC0415

    try:
        if config.in_cluster:
            loader.load_incluster_config(client_configuration=configuration)
        else:
            # A person's file is never written to, not even with a refreshed token.
            path = str(config.kubeconfig) if config.kubeconfig else None
            loader.load_kube_config(path, config.context, configuration, persist_config=False)
    except (loader.ConfigException, OSError) as error:
        raise ClusterUnavailable(f"{config.name}: {_source(config)} cannot be used: {error}") from error
    except (YAMLError, ValueError, TypeError, KeyError, AttributeError) as error:
        # Words of a parser quote what they parse, which may be a token.
        raise ClusterUnavailable(f"{config.name}: {_source(config)} cannot be used ({type(error).__name__})") from None


def _source(config: ClusterConfig) -> str:
    if config.in_cluster:
        return "the service account of this pod"
    context = f", context {config.context}" if config.context else ""
    return f"kubeconfig {config.kubeconfig or 'of the environment'}{context}"


def _reporting(opened: Callable[[socket.socket], None]) -> dict[str, type]:
    """Connection pools that report each socket they open, so that a call in flight can be broken from outside."""
    from urllib3.connection import HTTPConnection, HTTPSConnection  # noqa: PLC0415
    from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool  # noqa: PLC0415

    class Plain(HTTPConnection):
        def connect(self) -> None:
            super().connect()
            if self.sock is not None:
                opened(self.sock)

    class Secure(HTTPSConnection):
        def connect(self) -> None:
            try:
                super().connect()
            except OSError as error:
                _close_half_made(error)
                raise
            if self.sock is not None:
                opened(self.sock)

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    return {"http": PlainPool, "https": SecurePool}


def _close_half_made(error: OSError) -> None:
    """The ssl module leaves a socket open whose peer resets before the handshake; only the traceback still knows it."""
    for frame, _ in walk_tb(error.__traceback__):
        half_made = frame.f_locals.get("self")
        if isinstance(half_made, SSLSocket):
            half_made.close()
