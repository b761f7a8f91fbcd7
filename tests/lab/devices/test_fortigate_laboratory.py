"""The lab's own side of the simulated FortiGate: faults, the log of calls, foreign entries, the process of its own."""

import json
import signal
import ssl
import subprocess
import sys
from importlib.metadata import entry_points

import httpx
import pytest

from bridge.lab.device import Simulator
from bridge.lab.devices.fortigate import Fortigate
from tests.lab.devices.fortigate import ADDRESS, Api, named, rule

PROGRAM = """
from bridge.lab.device import serve
from bridge.lab.devices.fortigate import simulator
serve(simulator(username="lab", password="{token}"))
"""


def lab(box: Fortigate, method: str, path: str, body: object = None) -> httpx.Response:
    return httpx.request(method, f"{box.url}/__lab/{path}", json=body)


def test_found_by_entry_point() -> None:
    found = list(entry_points(group="fusion_bridge.lab_devices", name="fortigate"))
    if not found:
        pytest.skip("the installed package is older than this simulator")
    assert isinstance(found[0].load()(tls=False), Fortigate)


def test_it_is_a_simulator(box: Fortigate) -> None:
    assert isinstance(box, Simulator)


@pytest.mark.parametrize(
    ("kind", "status", "error"),
    [("busy", 500, -360), ("json-429", 429, None), ("dependency", 424, None), ("missing", 404, -3), ("full", 500, -4)],
)
def test_canned_refusals(box: Fortigate, api: Api, kind: str, status: int, error: int | None) -> None:
    assert lab(box, "POST", "faults", {"kind": kind, "method": "POST"}).status_code == 200
    assert api.get(ADDRESS).status == 200
    told = api.post(ADDRESS, {"name": "a"})
    assert (told.status, told.error) == (status, error)
    assert api.post(ADDRESS, {"name": "a"}).status == 200


@pytest.mark.parametrize(
    ("kind", "status"), [("unauthorized", 401), ("forbidden", 403), ("too-many", 429), ("html-503", 503)]
)
def test_pages_instead_of_answers(box: Fortigate, api: Api, kind: str, status: int) -> None:
    box.faults.add(kind)
    answer = api.http.get(ADDRESS)
    assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (status, "text/html")


def test_a_lost_answer_is_not_a_lost_write(box: Fortigate, api: Api) -> None:
    box.faults.add("cut", method="POST", effect="after")
    with pytest.raises(httpx.TransportError):
        api.post(ADDRESS, {"name": "a"})
    assert api.get(f"{ADDRESS}/a").status == 200
    box.faults.add("cut", method="POST")
    with pytest.raises(httpx.TransportError):
        api.post(ADDRESS, {"name": "b"})
    assert api.get(f"{ADDRESS}/b").error == -3


def test_calls_are_counted_with_their_bytes(box: Fortigate, api: Api) -> None:
    api.address("a")
    api.get(f"{ADDRESS}/a", params={"vdom": "root"})
    first, second = lab(box, "GET", "requests").json()
    assert (first["method"], first["path"], first["status"], first["user"]) == (
        "POST",
        "/api/v2/cmdb/firewall/address",
        200,
        "bridge",
    )
    assert (second["query"], second["number"]) == ("vdom=root", 2)
    assert first["bytes_in"] > 100
    assert second["bytes_out"] > 400
    assert box.password not in lab(box, "GET", "requests").text


def test_foreign_entries_state_history_and_decisions(box: Fortigate) -> None:
    body = {"path": "firewall/address", "body": {"name": "theirs", "subnet": "10.0.0.1/32"}}
    assert lab(box, "POST", "objects", body).json() == {"mkey": "theirs"}
    assert (
        lab(box, "POST", "objects", {"path": "firewall/policy", "body": rule(srcaddr=named("theirs"))}).status_code
        == 200
    )
    query = "source=10.0.0.1&destination=192.0.2.1&port=443&protocol=tcp"
    assert lab(box, "GET", f"decide?{query}").json()["allowed"] is True
    assert lab(box, "DELETE", "objects", {"path": "firewall/address/theirs"}).status_code == 500
    assert lab(box, "DELETE", "objects", {"path": "firewall/policy/1"}).status_code == 200
    assert lab(box, "GET", f"decide?{query}").json()["policy"] is None
    history = lab(box, "GET", "history").json()
    assert [one["user"] for one in history] == ["somebody"] * 3
    state = lab(box, "GET", "state?path=firewall/address").json()
    assert (state["digest"], list(state["tables"])) == (history[-1]["digest"], ["root:firewall/address"])
    assert state["tables"]["root:firewall/address"][-1]["subnet"] == "10.0.0.1 255.255.255.255"


def test_controls(box: Fortigate, api: Api) -> None:
    lab(box, "POST", "settings", {"emptySnapshot": "take", "feedsSurviveReboot": True, "version": "v7.4.3"})
    assert (box.conduct.empty_snapshot, box.conduct.feeds_survive_reboot) == ("take", True)
    assert api.get(ADDRESS).body["version"] == "v7.4.3"
    lab(box, "POST", "sessions", {"source": "10.0.0.1", "destination": "192.0.2.1", "port": 443})
    assert [one["dport"] for one in lab(box, "GET", "sessions").json()] == [443]
    lab(box, "POST", "pair")
    lab(box, "POST", "failover")
    assert api.get(ADDRESS).body["serial"].endswith("2")
    lab(box, "POST", "wipe")
    lab(box, "POST", "clock", {"advance": 60})
    assert lab(box, "GET", "nothing").status_code == 404
    assert lab(box, "POST", "settings", {"nothing": 1}).status_code == 400


def test_one_line_and_service_until_sigterm() -> None:
    token = "t" * 31
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(token=token)], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            document = json.loads(process.stdout.readline())
            assert set(document) == {"url", "kubeconfig", "username", "password", "token", "ca"}
            assert (document["username"], document["token"], document["password"]) == ("lab", token, None)
            verify = ssl.create_default_context(cafile=document["ca"])
            headers = {"Authorization": f"Bearer {token}"}
            answer = httpx.get(f"{document['url']}/api/v2/monitor/system/status", headers=headers, verify=verify)
            assert answer.status_code == 200
        finally:
            process.send_signal(signal.SIGTERM)
        rest, _ = process.communicate(timeout=20)
    assert (process.returncode, rest) == (0, "")
