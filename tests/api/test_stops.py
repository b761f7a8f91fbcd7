"""Stops over the API: given, obeyed, told, and lifted again."""

from collections.abc import Iterator

import pytest
from fastapi import Request

from bridge.api.access import Person, Role
from bridge.api.routes.stops import Started
from tests.acceptance.site import CLUSTER, DEVICE, eventually
from tests.acceptance.world import World
from tests.api.conftest import Api, api_of

ANN = {"by": "ann", "reason": "a fire"}
WAIT = "?wait=30"


class Known:
    """Everybody is this one."""

    def __init__(self, role: Role) -> None:
        self._role = role

    def person(self, request: Request) -> Person:  # noqa: ARG002
        return Person("joe", self._role)


@pytest.fixture(autouse=True)
def goes_on(api: Api) -> Iterator[None]:
    """Whatever a test stops, starts again."""
    yield
    for one in api.every("stops"):
        api.post(f"stops/{one['cluster']}/{one['name']}/lift{WAIT}", ANN)


def _state(api: Api) -> str:
    with api.world.bridge.state() as connection:
        row = connection.execute("SELECT state FROM device WHERE name = %s", [DEVICE]).fetchone()
    assert row is not None
    return str(row[0])


def test_a_device_is_stopped_and_started(api: Api) -> None:
    stopped = api.post(f"devices/{DEVICE}/stop{WAIT}", ANN)
    assert (stopped["state"], stopped["devices"], stopped["by"]) == ("Stopped", [DEVICE], "ann")
    (told,) = api.every("stops")
    assert (told["name"], told["obeyedBy"], told["reason"]) == (stopped["name"], [DEVICE], "a fire")
    assert (told["endedAt"], api.get(f"stops/{CLUSTER}/{told['name']}")) == (None, told)
    eventually("the device is stopped", lambda: _state(api) == "stopped")
    written = api.world.store.get("stops", None, stopped["name"])
    assert written["spec"] == {"devices": [DEVICE], **ANN}
    started = api.post(f"devices/{DEVICE}/start{WAIT}", {"by": "bob", "reason": "it is out"})
    assert set(started) == set(Started.__struct_encode_fields__)
    assert [(one["name"], one["state"]) for one in started["lifted"]] == [(stopped["name"], "Started")]
    assert started["others"] == []
    assert api.every("stops") == []
    over = api.get(f"stops/{CLUSTER}/{told['name']}")
    assert (over["liftedBy"], over["liftedReason"], over["obeyedBy"]) == ("bob", "it is out", [])
    assert over in api.every("stops", standing="false", limit=1)


def test_a_stop_of_all_is_lifted_by_its_name(api: Api) -> None:
    stopped = api.post(f"stops{WAIT}", {"cluster": CLUSTER, **ANN})
    assert (stopped["state"], stopped["devices"]) == ("Stopped", [])
    kept = api.post(f"devices/{DEVICE}/start?wait=0", ANN, 202)
    assert (kept["lifted"], kept["others"]) == ([], [stopped["name"]])
    assert [one["name"] for one in api.every("stops")] == [stopped["name"]]
    where = f"stops/{CLUSTER}/{stopped['name']}/lift"
    assert api.post(where + WAIT, ANN)["state"] == "Started"
    assert "is over" in api.post(where, {**ANN, "by": "bob"}, 409)["detail"]


def test_a_stop_whose_object_is_gone_unseen_is_lifted(api: Api, site: World) -> None:
    stopped = api.post(f"stops{WAIT}", {"cluster": CLUSTER, **ANN})
    site.bridge.stop()
    site.store.delete("stops", None, stopped["name"])
    site.store.compact()
    site.bridge.start()
    assert api.post(f"stops/{CLUSTER}/{stopped['name']}/lift?wait=0", ANN, 202)["state"] == "Waiting"
    eventually("it is over", lambda: api.every("stops") == [])
    site.store.delete("stops", None, stopped["name"])
    assert "is over" in api.post(f"stops/{CLUSTER}/{stopped['name']}/lift", ANN, 409)["detail"]
    eventually("the device goes on", lambda: _state(api) == "ok")


def test_whoever_does_not_wait_is_told_that_nobody_has_said_anything(api: Api) -> None:
    stopped = api.post("stops?wait=0", {"cluster": CLUSTER, "devices": [DEVICE], **ANN}, 202)
    assert (stopped["state"], stopped["kind"]) == ("Waiting", "Stop")
    eventually("it is heard all the same", lambda: [one["obeyedBy"] for one in api.every("stops")] == [[DEVICE]])


@pytest.mark.parametrize(
    ("path", "body", "status", "word"),
    [
        (f"devices/{DEVICE}/stop", {"reason": "a fire"}, 422, "by"),
        (f"devices/{DEVICE}/stop", {"reason": " ", "by": "ann"}, 422, "reason"),
        (f"devices/{DEVICE}/stop", {"reason": "a\0fire", "by": "ann"}, 422, "reason"),
        (f"devices/{DEVICE}/stop", {**ANN, "devices": []}, 422, "devices"),
        ("devices/faraway/stop", ANN, 404, "there are edge"),
        ("devices/faraway/start", ANN, 404, "there are edge"),
        ("stops", {**ANN, "cluster": "elsewhere"}, 404, "there are real"),
        ("stops", {**ANN, "cluster": CLUSTER, "devices": ["faraway"]}, 404, "there are edge"),
        ("stops", {**ANN, "cluster": CLUSTER, "devices": [DEVICE] * 65}, 422, "devices"),
        (f"stops/{CLUSTER}/nothing/lift", ANN, 404, "no stop nothing"),
        ("stops/elsewhere/nothing/lift", ANN, 404, "there are real"),
    ],
)
def test_what_cannot_be_stopped_is_not(api: Api, path: str, body: dict[str, object], status: int, word: str) -> None:
    before = api.every("stops", standing="false")
    assert word in str(api.post(path, body, status))
    assert api.every("stops", standing="false") == before


def test_whoever_is_known_signs_with_his_name(site: World) -> None:
    with api_of(site, Known(Role.OPERATOR)) as api:
        refused = api.post(f"devices/{DEVICE}/stop", ANN, 422)
        assert refused["problems"] == {"by": "it is joe who asks: leave it out"}
        stopped = api.post(f"devices/{DEVICE}/stop{WAIT}", {"reason": "a fire"})
        assert stopped["by"] == site.store.get("stops", None, stopped["name"])["spec"]["by"] == "joe"


def test_a_viewer_stops_nothing(site: World) -> None:
    with api_of(site, Known(Role.VIEWER)) as api:
        assert "operator" in api.post(f"devices/{DEVICE}/stop", {"reason": "a fire"}, 403)["detail"]
        assert "operator" in api.post("stops", {"reason": "a fire", "cluster": CLUSTER}, 403)["detail"]
        assert api.every("stops") == []
