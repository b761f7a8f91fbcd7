"""A cluster, its server, and a plain HTTP client of it."""

from collections.abc import Iterator

import httpx
import pytest

from bridge.lab.apiserver import ApiServer, LabCluster


@pytest.fixture
def cluster() -> LabCluster:
    return LabCluster()


@pytest.fixture
def server(cluster: LabCluster) -> Iterator[ApiServer]:
    with ApiServer(cluster) as server:
        yield server


@pytest.fixture
def http(server: ApiServer) -> Iterator[httpx.Client]:
    headers = {"authorization": f"Bearer {server.token}"}
    with httpx.Client(base_url=server.url, headers=headers, timeout=10) as client:
        yield client
