"""The lab: a simulated cluster and a simulated device, each alone, for other people's clients."""

import contextlib
import json
import signal
import ssl
import subprocess
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from bridge.lab.apiserver import ApiServer, LabCluster
from bridge.lab.population import Churn, believable
from tests.acceptance.site import LISTS, PROGRAM, bigip, eventually

KEYS = {"url", "kubeconfig", "username", "password", "token", "ca"}
Document = dict[str, Any]


@contextlib.contextmanager
def lab(*words: str) -> Iterator[Document]:
    """A party of the lab as a process; it must end well on SIGTERM, and say nothing but its one line."""
    process = subprocess.Popen([PROGRAM, "lab", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        found: Document = json.loads(process.stdout.readline())
        yield found
    finally:
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (0, "", "")


@pytest.mark.acceptance(
    "`lab cluster` alone: one JSON line; the official client lists, watches, writes and applies; SIGTERM ends it"
)
def test_cluster_alone() -> None:
    from kubernetes import client, config, watch

    with lab("cluster", "--pods", "60", "--churn", "5") as found:
        assert set(found) == KEYS
        with config.new_client_from_config(found["kubeconfig"]) as api:
            core, custom = client.CoreV1Api(api), client.CustomObjectsApi(api)
            first = core.list_pod_for_all_namespaces(limit=20)
            assert len(first.items) == 20
            assert first.metadata._continue
            everything = core.list_pod_for_all_namespaces()
            seen = watch.Watch().stream(
                core.list_pod_for_all_namespaces,
                resource_version=everything.metadata.resource_version,
                timeout_seconds=20,
            )
            with contextlib.closing(seen):
                assert next(seen)["type"] in ("ADDED", "MODIFIED", "DELETED")
            core.create_namespace({"metadata": {"name": "mine"}})
            spec = {"addresses": ["192.0.2.1"], "ports": "Any"}
            place = ("fusionbridge.io", "v1alpha1", "mine", "externalservices")
            body = {
                "apiVersion": "fusionbridge.io/v1alpha1",
                "kind": "ExternalService",
                "metadata": {"name": "one"},
                "spec": spec,
            }
            custom.create_namespaced_custom_object(*place, body)
            condition = {
                "type": "Accepted",
                "status": "True",
                "reason": "Accepted",
                "message": "",
                "lastTransitionTime": "2026-01-01T00:00:00Z",
            }
            custom.patch_namespaced_custom_object_status(*place, "one", {"status": {"conditions": [condition]}})
            assert custom.get_namespaced_custom_object(*place, "one")["status"]["conditions"][0]["status"] == "True"
            with pytest.raises(client.ApiException) as gone:
                core.list_pod_for_all_namespaces(limit=5, _continue="x")
            assert gone.value.status in (400, 410)


@pytest.mark.acceptance("`lab device bigip` alone: one JSON line; f5-sdk and bigrest drive it; SIGTERM ends it")
def test_device_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    from bigrest.bigip import BIGIP
    from f5.bigip import ManagementRoot

    with lab("device", "bigip") as found, contextlib.ExitStack() as stack:
        assert set(found) == KEYS
        for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
            monkeypatch.setenv(name, found["ca"])
        port, account = urlsplit(found["url"]).port, (found["username"], found["password"])
        sdk = ManagementRoot("127.0.0.1", *account, port=port, verify=found["ca"])
        stack.enter_context(sdk.icrs.session)  # neither client has a close of its own
        lists = sdk.tm.security.firewall.address_lists.address_list
        lists.create(name="web", partition="Common", addresses=[{"name": "192.0.2.1"}])
        rest = BIGIP(f"127.0.0.1:{port}", *account, request_token=True, session_verify=found["ca"])
        stack.enter_context(rest.session)
        loaded = rest.load("/mgmt/tm/security/firewall/address-list/~Common~web")
        assert loaded.properties["addresses"] == [{"name": "192.0.2.1"}]
        with httpx.Client(
            base_url=found["url"], auth=account, verify=ssl.create_default_context(cafile=found["ca"])
        ) as http:
            assert http.get("/__lab/requests").json()
            assert http.get("/__lab/history").json()


Call = Callable[[httpx.Client], httpx.Response]
_POLICY, _VIRTUAL = "/mgmt/tm/security/firewall/policy", "/mgmt/tm/ltm/virtual/~Common~egress"


def _duplicate(http: httpx.Client) -> httpx.Response:
    return http.post(f"/mgmt/tm/{LISTS}", json={"name": "used", "addresses": [{"name": "192.0.2.1"}]})


def _empty(http: httpx.Client) -> httpx.Response:
    return http.post(f"/mgmt/tm/{LISTS}", json={"name": "empty", "addresses": []})


def _in_use(http: httpx.Client) -> httpx.Response:
    return http.delete(f"/mgmt/tm/{LISTS}/~Common~used")


def _nowhere(http: httpx.Client) -> httpx.Response:
    rule = {"name": "r", "action": "accept", "place-after": "last", "source": {"addressLists": ["/Common/none"]}}
    return http.post(f"{_POLICY}/~Common~p/rules", json=rule)


def _partition(http: httpx.Client) -> httpx.Response:
    http.post("/mgmt/tm/auth/partition", json={"name": "other"})
    http.post(_POLICY, json={"name": "q", "partition": "other"})
    return http.patch(_VIRTUAL, json={"fwEnforcedPolicy": "/other/q"})


def _token(http: httpx.Client) -> httpx.Response:
    return http.get("/mgmt/tm/ltm/virtual", headers={"X-F5-Auth-Token": "EXPIRED"}, auth=lambda request: request)


REFUSALS: dict[str, tuple[Call, int]] = {
    "a duplicate": (_duplicate, 409),
    "an empty list": (_empty, 400),
    "a list in use": (_in_use, 400),
    "a reference to nothing": (_nowhere, 400),
    "a reference across partitions": (_partition, 400),
    "an expired token": (_token, 401),
}


@pytest.mark.acceptance("the BIG-IP simulator refuses what a BIG-IP refuses, and is busy when told")
@pytest.mark.parametrize("case", REFUSALS)
def test_refusals(case: str) -> None:
    call, status = REFUSALS[case]
    with bigip() as device:
        device.put_object(LISTS, {"name": "used", "partition": "Common", "addresses": [{"name": "192.0.2.9"}]})
        device.put_object("security/firewall/policy", {"name": "p", "partition": "Common"})
        rule = {"name": "a", "action": "accept", "place-after": "last", "source": {"addressLists": ["/Common/used"]}}
        device.put_object("security/firewall/policy/~Common~p/rules", rule)
        trust = ssl.create_default_context(cafile=device.ca)
        with httpx.Client(base_url=device.url, auth=(device.username, device.password), verify=trust) as http:
            before = device.digest()
            answer = call(http)
            assert answer.status_code == status, answer.text
            assert answer.json()["message"]
            if "partitions" not in case:
                assert device.digest() == before
            device.faults.add("answer", status=503)
            assert http.get("/mgmt/tm/ltm/virtual").status_code == 503


@pytest.mark.acceptance("the BIG-IP simulator aborts a transaction as a whole, and compiles late")
def test_transactions_and_compile() -> None:
    with bigip() as device:
        trust = ssl.create_default_context(cafile=device.ca)
        with httpx.Client(base_url=device.url, auth=(device.username, device.password), verify=trust) as http:
            number = http.post("/mgmt/tm/transaction", json={}).json()["transId"]
            inside = {"X-F5-REST-Coordination-Id": str(number)}
            http.post(f"/mgmt/tm/{LISTS}", json={"name": "one", "addresses": [{"name": "192.0.2.1"}]}, headers=inside)
            http.post(f"/mgmt/tm/{LISTS}", json={"name": "two", "addresses": []}, headers=inside)
            http.patch(f"/mgmt/tm/transaction/{number}", json={"state": "VALIDATING"})
            eventually(
                "aborted", lambda: http.get(f"/mgmt/tm/transaction/{number}").json().get("state") != "VALIDATING"
            )
            assert device.objects(LISTS) == {}
            device.store.compiler.delay = 30
            http.post(f"/mgmt/tm/{LISTS}", json={"name": "one", "addresses": [{"name": "192.0.2.1"}]})
            assert (LISTS, "/Common/one") in device.state()
            assert (LISTS, "/Common/one") not in device.state("active")
            device.clock.advance(31)
            assert (LISTS, "/Common/one") in device.state("active")


@pytest.mark.acceptance("the simulated API server holds 150,000 pods: paged lists, and a watch while they change")
def test_many_pods() -> None:
    cluster = LabCluster()
    fleet = believable(cluster, 150_000, slices=False)
    with ApiServer(cluster) as server:
        with httpx.Client(base_url=server.url, headers={"Authorization": f"Bearer {server.token}"}, timeout=60) as http:
            page = http.get("/api/v1/pods", params={"limit": 2000}).json()
            assert len(page["items"]) == 2000
            assert page["metadata"]["remainingItemCount"] >= 147_000
            version = page["metadata"]["resourceVersion"]
            Churn(fleet, only_replace=True).run(50)
            watched = {"watch": "1", "resourceVersion": version, "timeoutSeconds": "1"}
            lines = http.get("/api/v1/pods", params=watched).text.splitlines()
        assert len([one for one in lines if '"DELETED"' in one[:40]]) == 50
