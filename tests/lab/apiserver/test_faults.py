"""Faults happen as ordered, to whom they were ordered for, and no longer."""

import json

import httpx
import pytest

from bridge.lab.apiserver import ApiServer, Fault, LabCluster
from tests.lab.apiserver.wire import events, names, pod

PODS = "/api/v1/pods"


@pytest.fixture(autouse=True)
def ten_pods(cluster: LabCluster) -> None:
    for number in range(10):
        cluster.create("pods", pod(f"p{number}"))


def test_statuses_are_counted_and_aimed(server: ApiServer, http: httpx.Client) -> None:
    server.disturb(Fault("status", times=2, code=429, retry_after=7, resource="pods", verb="list"))
    assert http.get("/api/v1/nodes").status_code == 200
    refused = http.get(PODS)
    assert (refused.status_code, refused.headers["retry-after"], refused.json()["reason"]) == (
        429,
        "7",
        "TooManyRequests",
    )
    assert [http.get(PODS).status_code for _ in range(2)] == [429, 200]


def test_lists_can_lie(server: ApiServer, cluster: LabCluster, http: httpx.Client) -> None:
    server.disturb(Fault("empty"))
    assert names(http.get(PODS).json()) == []
    server.disturb(Fault("short"))
    short = http.get(PODS, params={"limit": 8}).json()
    assert (len(short["items"]), "continue" in short["metadata"]) == (4, False)
    cluster.delete("pods", "default", "p3")
    server.disturb(Fault("stale", back=1))
    stale = http.get(PODS).json()
    assert len(stale["items"]) == 10
    assert int(stale["metadata"]["resourceVersion"]) < cluster.revision
    server.disturb(Fault("cut"))
    with pytest.raises(httpx.TransportError):
        http.get(PODS)
    assert len(http.get(PODS).json()["items"]) == 9


def test_connections_break_and_are_refused(server: ApiServer, http: httpx.Client) -> None:
    server.disturb(Fault("drop"))
    with pytest.raises(httpx.TransportError):
        http.get(PODS)
    server.down()
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{server.url}/readyz")
    server.up()
    assert httpx.get(f"{server.url}/readyz").status_code == 200
    assert http.get(PODS).status_code == 200


def test_a_hang_lasts_until_it_is_lifted(server: ApiServer, http: httpx.Client) -> None:
    server.disturb(Fault("hang", verb="list"))
    for _ in range(2):
        with pytest.raises(httpx.ReadTimeout):
            http.get(PODS, timeout=0.1)
    server.calm()
    assert http.get(PODS).status_code == 200


def test_a_watch_can_carry_nonsense(server: ApiServer, cluster: LabCluster, http: httpx.Client) -> None:
    with http.stream("GET", PODS, params={"watch": "1", "resourceVersion": cluster.revision}) as answer:
        lines = answer.iter_lines()
        server.disturb(Fault("garbage"))
        with pytest.raises(json.JSONDecodeError):
            json.loads(next(lines))
        server.disturb(Fault("malformed"))
        assert json.loads(next(lines))["object"]["metadata"]["name"] == ["no"]
        cluster.delete("pods", "default", "p1")
        assert json.loads(next(lines))["type"] == "DELETED"
        server.end_watches()
        assert list(lines) == []


def test_a_slow_drip_arrives_whole(server: ApiServer, http: httpx.Client) -> None:
    whole = http.get(PODS).content
    server.disturb(Fault("drip", size=500, delay=0.001))
    pieces = 0
    with http.stream("GET", PODS) as answer:
        received = b""
        for piece in answer.iter_raw():
            received += piece
            pieces += 1
    assert received == whole
    assert pieces > 2


def test_the_door_for_testers(server: ApiServer, cluster: LabCluster, http: httpx.Client) -> None:
    lab = httpx.Client(base_url=server.url)
    with lab:
        version = cluster.revision
        assert lab.get("/__lab/").json()["objects"]["pods"] == 10
        assert lab.post("/__lab/faults", json={"fault": "status", "code": 500, "verb": "list"}).status_code == 200
        assert lab.get("/__lab/faults").json()[0]["code"] == 500
        assert http.get(PODS).status_code == 500
        assert lab.post("/__lab/faults", json={"fault": "melt"}).status_code == 400
        lab.post("/__lab/faults", json={"fault": "hang"})
        lab.delete("/__lab/faults")
        sent = len(http.get(PODS).content)
        cluster.delete("pods", "default", "p1")
        lab.post("/__lab/faults", json={"fault": "compact"})
        (event,) = events(http, PODS, resourceVersion=version)
        assert event["object"]["code"] == 410
        log = lab.get("/__lab/requests", params={"verb": "list", "resource": "pods"}).json()
        assert [(one["status"], one["bytes"]) for one in log["requests"]][1] == (200, sent)
        assert log["counts"]["watch pods"] == 1
