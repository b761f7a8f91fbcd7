"""Kubernetes Secrets, read from a simulated API server."""

import base64
from collections.abc import Iterator

import pytest

from bridge.cli.secrets import SecretStore
from bridge.cluster.client import Connection
from bridge.cluster.settings import ClusterConfig
from bridge.errors import ClusterError
from bridge.lab.apiserver import ApiServer, LabCluster
from bridge.settings.credentials import SecretKey


@pytest.fixture
def server() -> Iterator[ApiServer]:
    cluster = LabCluster()
    cluster.create("namespaces", {"metadata": {"name": "bridge"}})
    with ApiServer(cluster) as running:
        yield running


@pytest.fixture
def store(server: ApiServer) -> Iterator[SecretStore]:
    connection = Connection(ClusterConfig("east", kubeconfig=server.kubeconfig))
    yield SecretStore({"east": connection})
    connection.close()


def _key(name: str = "edge", key: str = "password", cluster: str | None = None) -> SecretKey:
    return SecretKey(namespace="bridge", name=name, key=key, cluster=cluster)


def _put(server: ApiServer, **data: str) -> None:
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
    server.cluster.put(
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "edge", "namespace": "bridge"}, "data": encoded}
    )


def test_read_anew_at_each_use(server: ApiServer, store: SecretStore) -> None:
    for value in ("first", "second"):
        _put(server, password=value)
        assert store(_key()) == value
        assert store(_key(cluster="east")) == value


def test_what_is_not_there(server: ApiServer, store: SecretStore) -> None:
    with pytest.raises(KeyError, match="Secret bridge/edge"):
        store(_key())
    _put(server, username="bridge")
    with pytest.raises(KeyError, match="has no key password"):
        store(_key())
    with pytest.raises(KeyError, match="no cluster is named"):
        store(_key(cluster="west"))


def test_a_cluster_that_is_away_is_no_missing_secret(server: ApiServer, store: SecretStore) -> None:
    _put(server, password="hunter2")
    server.stop()
    with pytest.raises(ClusterError):
        store(_key())
