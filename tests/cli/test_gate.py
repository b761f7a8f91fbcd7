"""Gates that a person opens: whatever else is refused, the pods are let through."""

from collections.abc import Iterator

import pytest
from typer.testing import CliRunner

from bridge.cli.main import app
from bridge.lab.apiserver import ApiServer, LabCluster
from bridge.lab.apiserver.faults import Fault
from bridge.model.gate import CONDITION

PODS = ("web-1", "web-2")


@pytest.fixture
def api() -> Iterator[ApiServer]:
    cluster = LabCluster()
    cluster.create("namespaces", {"metadata": {"name": "shop"}})
    spec = {"readinessGates": [{"conditionType": CONDITION}]}
    some = [{"metadata": {"name": name, "namespace": "shop", "uid": name}, "spec": spec, "status": {}} for name in PODS]
    cluster.bulk_load("pods", some)
    with ApiServer(cluster) as made:
        yield made


def _open(api: ApiServer) -> list[str]:
    words = ["gate", "open", "--by", "ann", "--reason", "incident 7", "--kubeconfig", str(api.kubeconfig)]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    return done.output.splitlines()


def test_who_may_write_no_events_opens_all_the_same(api: ApiServer) -> None:
    api.disturb(Fault("status", times=0, resource="events", verb="create", code=403))
    lines = _open(api)
    starts = [line.partition(", and no Event tells of it: ")[0] for line in lines]
    assert starts == ["opened shop/web-1", "opened shop/web-2"] != lines
    assert _open(api) == ["nobody waits"]


def test_pods_that_are_left_waiting_are_not_said_to_be_nobody(api: ApiServer) -> None:
    api.disturb(Fault("status", times=0, resource="pods", verb="patch", code=409))
    lines = _open(api)
    assert [line.partition(":")[0] for line in lines] == ["left shop/web-1", "left shop/web-2"]
