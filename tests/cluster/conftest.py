"""A clock, a scripted server, and reflectors that are stopped in the end."""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import TypedDict, Unpack

import pytest

from bridge.cluster.client import Connection
from bridge.cluster.decode import Value
from bridge.cluster.reflector import Reflector
from bridge.cluster.settings import ClusterConfig, ReflectorSettings
from bridge.model.observed import Resource
from tests.cluster.scripted import Consumer, FakeClock, ScriptedServer

Reflecting = Callable[..., Reflector]
QUICK = ReflectorSettings(inactivity=2.0)


class More(TypedDict, total=False):
    """What a test may tell a reflector besides."""

    known: Iterable[Value]
    known_at: datetime


def longest(_low: float, high: float) -> float:
    """Jitter without chance."""
    return high


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def server(clock: FakeClock, tmp_path: Path) -> Iterator[ScriptedServer]:
    with ScriptedServer(clock, tmp_path) as running:
        yield running


@pytest.fixture
def connection(server: ScriptedServer, clock: FakeClock) -> Iterator[Connection]:
    opened = Connection(ClusterConfig("east", server.kubeconfig, read_timeout=1.0), clock)
    yield opened
    opened.close()


@pytest.fixture
def consumer() -> Consumer:
    return Consumer()


@pytest.fixture
def reflect(connection: Connection, consumer: Consumer, clock: FakeClock) -> Iterator[Reflecting]:
    """Start a reflector against the script; waits are the upper bounds of their jitter."""
    started: list[Reflector] = []

    def start(
        resource: Resource = Resource.PODS, settings: ReflectorSettings = QUICK, **more: Unpack[More]
    ) -> Reflector:
        reflector = Reflector(connection, resource, consumer, clock, settings, uniform=longest, **more)
        started.append(reflector)
        reflector.start()
        return reflector

    yield start
    for reflector in started:
        reflector.stop()
