"""Fixtures for tests on a real control plane: list this module in `pytest_plugins`."""

import contextlib
import os
import sys
import uuid
from collections.abc import Callable, Generator, Iterator

import pytest

from tests.control_plane.api import eventually
from tests.control_plane.binaries import BinariesMissing, find, find_or_build
from tests.control_plane.node import NodeStandIn
from tests.control_plane.plane import ControlPlane


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test that uses the control plane."""
    for item in items:
        if _needs_control_plane(item):
            item.add_marker("control_plane")


def pytest_collection_finish(session: pytest.Session) -> None:
    """With CI=true build what is missing now: a build takes longer than any one test may."""
    if not _in_ci() or session.config.option.collectonly or not any(map(_needs_control_plane, session.items)):
        return
    capture = session.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled() if capture else contextlib.nullcontext():
        try:
            find_or_build()
        except BinariesMissing as missing:
            print(missing, file=sys.stderr)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the end of the programs' logs with a test that failed."""
    report = yield
    plane = getattr(item, "funcargs", {}).get("control_plane")
    if report.failed and isinstance(plane, ControlPlane):
        report.sections += [(f"{name} log ({plane.folder})", tail) for name, tail in plane.tails().items()]
    return report


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """One control plane per test process; tests keep apart by namespaces. Without the programs: a skip, in CI a failure."""
    try:
        binaries = find()
    except BinariesMissing as missing:
        reason = str(missing)
    else:
        with ControlPlane(binaries, tmp_path_factory.mktemp("control-plane")) as plane:
            yield plane
        return
    if _in_ci():
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@pytest.fixture
def node(control_plane: ControlPlane) -> Iterator[NodeStandIn]:
    """Two nodes, pods in 10.244.0.0/24, lowest free address first."""
    with NodeStandIn(control_plane.api) as stand_in:
        yield stand_in


@pytest.fixture
def new_namespace(control_plane: ControlPlane) -> Iterator[Callable[..., str]]:
    """Makes namespaces with the labels given, and empties and deletes them afterwards."""
    made: list[str] = []

    def make(**labels: str) -> str:
        name = f"test-{uuid.uuid4().hex[:8]}"
        control_plane.api.post("/api/v1/namespaces", {"metadata": {"name": name, "labels": labels}})
        made.append(name)
        # Until it is there, every pod of the namespace is refused.
        eventually(
            "the default service account",
            lambda: control_plane.api.find(f"/api/v1/namespaces/{name}/serviceaccounts/default"),
        )
        return name

    yield make
    for name in made:
        remove_namespace(control_plane, name)


@pytest.fixture
def fresh_namespace(new_namespace: Callable[..., str]) -> str:
    """The name of a namespace for this test alone."""
    return new_namespace()


def remove_namespace(plane: ControlPlane, name: str) -> None:
    """Delete a namespace and wait until no pod is left in it; the object itself goes some seconds later, as ever."""
    path = f"/api/v1/namespaces/{name}"
    if plane.api.find(path):
        plane.api.delete(path)
        plane.api.delete(f"{path}/pods", {"gracePeriodSeconds": 0})
        eventually(f"no pods in {name}", lambda: not plane.api.items(f"{path}/pods"))


def _needs_control_plane(item: pytest.Item) -> bool:
    return "control_plane" in getattr(item, "fixturenames", ())


def _in_ci() -> bool:
    return os.environ.get("CI") == "true"
