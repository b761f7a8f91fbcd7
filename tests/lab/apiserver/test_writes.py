"""Writes, by the official client and by hand: conflicts, patches, status, ownership, namespaces."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from kubernetes import client, config
from kubernetes.client.exceptions import ApiException

from bridge.lab.apiserver import ApiServer, LabCluster, Manifest, Refusal
from tests.lab.apiserver.wire import names, pod

GROUPS = "/apis/fusionbridge.io/v1alpha1/addressgroups"


@pytest.fixture
def official(cluster: LabCluster) -> Iterator[client.ApiClient]:
    with ApiServer(cluster, tls=True) as server:
        api = config.new_client_from_config(str(server.kubeconfig))
        yield api
        api.rest_client.pool_manager.clear()
        api.close()


def test_the_official_client_over_tls(cluster: LabCluster, official: client.ApiClient) -> None:
    core = client.CoreV1Api(official)
    created = core.create_namespaced_pod("default", pod("p", app="x") | {"status": {"phase": "Running"}})
    assert created.status.phase == "Pending"  # status is not for creators
    core.patch_namespaced_pod_status("p", "default", {"status": {"phase": "Running", "podIP": "10.244.0.9"}})
    found = core.list_namespaced_pod("default", label_selector="app=x").items
    assert [(one.metadata.name, one.status.pod_ip) for one in found] == [("p", "10.244.0.9")]
    with pytest.raises(ApiException) as refused:
        core.create_namespaced_pod("default", pod("p"))
    assert (refused.value.status, refused.value.reason) == (409, "Conflict")
    core.delete_namespaced_pod("p", "default")
    with pytest.raises(ApiException) as missing:
        core.read_namespaced_pod("p", "default")
    assert missing.value.status == 404
    assert client.VersionApi(official).get_code().minor == "36"
    custom = client.CustomObjectsApi(official)
    body = {"apiVersion": "fusionbridge.io/v1alpha1", "kind": "AddressGroup", "metadata": {"generateName": "g-"}}
    made = custom.create_cluster_custom_object("fusionbridge.io", "v1alpha1", "addressgroups", body)
    assert made["metadata"]["name"].startswith("g-")
    assert made["metadata"]["generation"] == 1


def test_a_stale_write_conflicts_and_an_equal_one_changes_nothing(cluster: LabCluster, http: httpx.Client) -> None:
    url = "/api/v1/namespaces/default/pods/p"
    first = http.post("/api/v1/namespaces/default/pods", json=pod("p", n="1")).json()
    second = http.put(url, json=first | {"metadata": first["metadata"] | {"labels": {"n": "2"}}}).json()
    stale = http.put(url, json=first)
    assert (stale.status_code, stale.json()["reason"]) == (409, "Conflict")
    revision = cluster.revision
    assert http.put(url, json=second).json()["metadata"]["resourceVersion"] == second["metadata"]["resourceVersion"]
    assert cluster.revision == revision


def test_status_and_spec_change_each_by_its_own_path_and_only_spec_counts(
    cluster: LabCluster, http: httpx.Client
) -> None:
    url = f"{GROUPS}/g"
    cluster.create("addressgroups", {"metadata": {"name": "g"}, "spec": {"a": 1}})
    merge = {"content-type": "application/merge-patch+json"}
    both = {"spec": {"a": 2}, "status": {"ready": True}}
    by_main = http.patch(url, json=both, headers=merge).json()
    assert (by_main["spec"], by_main.get("status"), by_main["metadata"]["generation"]) == ({"a": 2}, None, 2)
    by_status = http.patch(f"{url}/status", json={"spec": {"a": 3}, "status": {"ready": True}}, headers=merge).json()
    assert (by_status["spec"], by_status["status"], by_status["metadata"]["generation"]) == (
        {"a": 2},
        {"ready": True},
        2,
    )
    labelled = http.patch(url, json={"metadata": {"labels": {"x": "y"}}}, headers=merge).json()
    assert labelled["metadata"]["generation"] == 2


def test_patches_of_every_type(cluster: LabCluster) -> None:
    cluster.create(
        "services", {"metadata": {"name": "s", "namespace": "default"}, "spec": {"ports": [{"port": 80}, {"port": 81}]}}
    )
    operations = [
        {"op": "test", "path": "/spec/ports/0/port", "value": 80},
        {"op": "add", "path": "/metadata/annotations", "value": {"a/b": "1"}},
        {"op": "replace", "path": "/metadata/annotations/a~1b", "value": "2"},
        {"op": "remove", "path": "/spec/ports/1"},
    ]
    changed = cluster.patch("services", "default", "s", operations, how="json")
    assert (changed["metadata"]["annotations"], len(changed["spec"]["ports"])) == ({"a/b": "2"}, 1)
    with pytest.raises(Refusal, match="test failed"):
        cluster.patch("services", "default", "s", [{"op": "test", "path": "/spec/type", "value": "x"}], how="json")
    strategic = {"spec": {"ports": [{"port": 80, "name": "http"}, {"port": 443}]}}
    merged = cluster.patch("services", "default", "s", strategic, how="strategic")
    assert [(one["port"], one.get("name")) for one in merged["spec"]["ports"]] == [(80, "http"), (443, None)]
    gone = {"spec": {"ports": [{"port": 443, "$patch": "delete"}]}}
    assert len(cluster.patch("services", "default", "s", gone, how="strategic")["spec"]["ports"]) == 1
    cluster.create("addressgroups", {"metadata": {"name": "g"}})
    with pytest.raises(Refusal) as refused:
        cluster.patch("addressgroups", None, "g", {}, how="strategic")
    assert refused.value.code == 415


_ALLOW: Manifest = {"kind": "ServiceEgressRule", "metadata": {"name": "r", "namespace": "default"}}


def applied(
    http: httpx.Client, manager: str, body: Manifest, *, url: str = f"{GROUPS}/g", force: bool = False
) -> httpx.Response:
    whole = {"apiVersion": "fusionbridge.io/v1alpha1", "kind": "AddressGroup", "metadata": {"name": "g"}} | body
    params = {"fieldManager": manager, "force": str(force).lower()}
    return http.patch(url, params=params, headers={"content-type": "application/apply-patch+yaml"}, json=whole)


def test_apply_owns_fields_conflicts_on_others_and_removes_what_it_drops(
    cluster: LabCluster, http: httpx.Client
) -> None:
    assert applied(http, "one", {"spec": {"a": 1, "b": 1}}).status_code == 201
    assert applied(http, "two", {"spec": {"b": 1, "c": 1}}).status_code == 200  # the same value is shared
    refused = applied(http, "two", {"spec": {"a": 2, "c": 1}})
    assert (refused.status_code, refused.json()["reason"]) == (409, "Conflict")
    assert [cause["field"] for cause in refused.json()["details"]["causes"]] == [".spec.a"]
    assert cluster.get("addressgroups", None, "g")["spec"] == {"a": 1, "b": 1, "c": 1}
    forced = applied(http, "two", {"spec": {"a": 2, "c": 1}}, force=True).json()
    assert forced["spec"] == {"a": 2, "b": 1, "c": 1}  # b is dropped by two, still held by one
    dropped = applied(http, "one", {"spec": {}}).json()
    assert dropped["spec"] == {"a": 2, "c": 1}
    owners = {entry["manager"]: entry["fieldsV1"] for entry in dropped["metadata"]["managedFields"]}
    assert owners["two"] == {"f:spec": {"f:a": {}, "f:c": {}}}
    revision = cluster.revision
    assert applied(http, "two", {"spec": {"a": 2, "c": 1}}).status_code == 200
    assert cluster.revision == revision  # nothing new, nothing written


def test_an_element_that_leaves_a_key_to_its_default_is_the_same_when_applied_again(
    cluster: LabCluster, http: httpx.Client
) -> None:
    cluster.load_definitions()
    url = "/apis/fusionbridge.io/v1alpha1/namespaces/default/serviceegressrules/r"
    spec = {"service": "web", "action": "Allow", "to": [{"name": "a"}, {"name": "a", "kind": "ClusterExternalService"}]}
    for status in (201, 200):
        assert applied(http, "one", _ALLOW | {"spec": spec}, url=url).status_code == status
        found = cluster.get("serviceegressrules", "default", "r")["spec"]["to"]
        assert sorted(one["kind"] for one in found) == ["ClusterExternalService", "ExternalService"]


def test_apply_merges_conditions_by_type_through_status(cluster: LabCluster, http: httpx.Client) -> None:
    cluster.create("addressgroups", {"metadata": {"name": "g"}, "spec": {"a": 1}})
    url = f"{GROUPS}/g/status"
    ready: dict[str, Any] = {"type": "Ready", "status": "True"}
    sound = {"type": "Sound", "status": "True"}
    applied(http, "one", {"status": {"conditions": [ready]}, "spec": {"a": 9}}, url=url)
    both = applied(http, "two", {"status": {"conditions": [sound]}}, url=url).json()
    assert both["status"]["conditions"] == [ready, sound]
    assert both["spec"] == {"a": 1}
    left = applied(http, "one", {"status": {}}, url=url).json()
    assert left["status"]["conditions"] == [sound]
    # An element in which somebody else has written stays, with its key.
    reason = {"status": {"conditions": [sound | {"reason": "ByHand"}]}}
    cluster.patch("addressgroups", None, "g", reason, subresource="status", manager="hand")
    assert applied(http, "two", {"status": {}}, url=url).json()["status"]["conditions"] == [
        {"type": "Sound", "reason": "ByHand"}
    ]
    assert applied(http, "one", {"status": {}}, url=f"{GROUPS}/absent/status").status_code == 404


def test_a_plain_write_takes_fields_over_so_that_apply_conflicts(cluster: LabCluster, http: httpx.Client) -> None:
    applied(http, "one", {"spec": {"a": 1}})
    http.patch(
        f"{GROUPS}/g",
        json={"spec": {"a": 2}},
        headers={"content-type": "application/merge-patch+json", "user-agent": "hand/1"},
    )
    refused = applied(http, "one", {"spec": {"a": 1}})
    assert refused.status_code == 409
    assert 'conflict with "hand"' in refused.json()["message"]


def test_a_namespace_takes_its_contents_along_and_finalizers_hold_it(cluster: LabCluster, http: httpx.Client) -> None:
    cluster.create("namespaces", {"metadata": {"name": "shop"}})
    held = pod("held", "shop")
    held["metadata"]["finalizers"] = ["example.com/hold"]
    cluster.create("pods", held)
    cluster.create("pods", pod("free", "shop"))
    cluster.create("externalservices", {"metadata": {"name": "e", "namespace": "shop"}, "spec": {}})
    ending = http.delete("/api/v1/namespaces/shop").json()
    assert ending["status"]["phase"] == "Terminating"
    assert names(http.get("/api/v1/namespaces/shop/pods").json()) == ["held"]
    assert cluster.list("externalservices") == ()
    refused = http.post("/api/v1/namespaces/shop/pods", json=pod("late", "shop"))
    assert (refused.status_code, refused.json()["reason"]) == (403, "Forbidden")
    cluster.patch("pods", "shop", "held", {"metadata": {"finalizers": None}})
    assert http.get("/api/v1/namespaces/shop").status_code == 404
    assert http.post("/api/v1/namespaces/shop/pods", json=pod("late", "shop")).status_code == 404


def test_a_graceful_pod_stays_until_it_is_ended() -> None:
    cluster = LabCluster(pod_grace=True)
    cluster.create("pods", pod("p") | {"spec": {"nodeName": "n", "terminationGracePeriodSeconds": 5}})
    obj, gone = cluster.delete("pods", "default", "p")
    assert (gone, obj["metadata"]["deletionGracePeriodSeconds"]) == (False, 5)
    _, gone = cluster.delete("pods", "default", "p", grace=0)
    assert gone
    assert cluster.list("pods") == ()


def definition() -> Manifest:
    schema = {
        "type": "object",
        "properties": {
            "spec": {
                "type": "object",
                "required": ["size"],
                "properties": {
                    "size": {"type": "integer", "minimum": 1},
                    "colour": {"type": "string", "enum": ["red", "blue"], "default": "red"},
                },
            }
        },
    }
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema},
        "subresources": {"status": {}},
    }
    names_ = {"plural": "widgets", "singular": "widget", "kind": "Widget", "shortNames": ["wi"]}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.com"},
        "spec": {"group": "example.com", "scope": "Namespaced", "names": names_, "versions": [version]},
    }


def test_a_definition_serves_its_resource_with_defaults_and_checks(cluster: LabCluster, http: httpx.Client) -> None:
    url = "/apis/example.com/v1/namespaces/default/widgets"
    widget = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": {"size": 3}}
    assert http.get(url).status_code == 404
    assert http.post("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", json=definition()).status_code == 201
    assert http.post(url, json=widget).json()["spec"] == {"size": 3, "colour": "red"}
    wrong = http.post(url, json=widget | {"metadata": {"name": "x"}, "spec": {"colour": "green"}})
    assert wrong.status_code == 422
    assert {cause["field"] for cause in wrong.json()["details"]["causes"]} == {"spec.size", "spec.colour"}
    listed = http.get("/apis/example.com/v1").json()["resources"]
    assert {one["name"] for one in listed} == {"widgets", "widgets/status"}
    assert http.put(f"{url}/w", json=widget).status_code == 422  # an update needs the resource version
    http.delete("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.example.com")
    assert http.get(url).status_code == 404


def test_what_is_not_there_is_said_in_a_status(server: ApiServer, http: httpx.Client) -> None:
    for path in ("/apis/none.io/v1/things", "/api/v1/namespaces/default/pods/nope", "/apis/apps/v2"):
        body = http.get(path).json()
        assert (body["kind"], body["status"], body["reason"], body["code"]) == ("Status", "Failure", "NotFound", 404)
    assert http.post("/api/v1/namespaces/default/pods", content=b"{no").json()["reason"] == "BadRequest"
    assert http.post("/api/v1/namespaces/default/pods", json=pod("Not_A_Name")).status_code == 422
    assert httpx.get(f"{server.url}/api/v1/pods").json()["code"] == 401
    assert httpx.get(f"{server.url}/readyz").text == "ok"
