"""Kubernetes Secrets, read at each use through the connection to the cluster that holds them."""

import base64
from collections.abc import Mapping

import msgspec

from bridge.cluster.answers import RequestRefused
from bridge.cluster.client import Connection
from bridge.settings.credentials import SecretKey


class _Secret(msgspec.Struct):
    data: dict[str, str] = {}


class SecretStore:
    """Reads keys of Secrets. `connections` are by cluster name; a key that names no cluster is in the only one."""

    def __init__(self, connections: Mapping[str, Connection]) -> None:
        self._connections = connections

    def __call__(self, secret: SecretKey) -> str:
        """The value as text. KeyError when there is no such Secret, key or text; ClusterError when that cannot be told."""
        place = f"Secret {secret.namespace}/{secret.name}"
        connection = self._connection(secret, place)
        try:
            body = connection.get("get secrets", f"/api/v1/namespaces/{secret.namespace}/secrets/{secret.name}")
            value = msgspec.json.decode(body, type=_Secret).data[secret.key]
            return base64.b64decode(value, validate=True).decode()
        except RequestRefused as error:
            raise KeyError(f"{place}: {error}") from None
        except KeyError:
            raise KeyError(f"{place} has no key {secret.key}") from None
        except (msgspec.DecodeError, ValueError):
            raise KeyError(f"{place}: the value of {secret.key} is no text") from None

    def _connection(self, secret: SecretKey, place: str) -> Connection:
        if secret.cluster is None and len(self._connections) == 1:
            return next(iter(self._connections.values()))
        found = self._connections.get(secret.cluster or "")
        if found is None:
            raise KeyError(f"{place}: no cluster is named for it")
        return found
