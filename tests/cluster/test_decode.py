"""From the API's JSON to slim values."""

import json
from datetime import UTC, datetime

import msgspec
import pytest

from bridge.cluster.decode import Codec, Value
from bridge.model.observed import (
    EndpointSlice,
    Namespace,
    Node,
    Pod,
    PolicyObject,
    Resource,
    Service,
    Undecodable,
)
from tests.cluster.scripted import Json, line, listed, pod

PLACE: Json = {"name": "it", "namespace": "shop", "uid": "u1", "resourceVersion": "7"}


def decoded(resource: Resource, thing: Json) -> Value:
    (value,) = Codec(resource).page(listed([thing], 9).body).values
    (event,) = Codec(resource).lines(line("MODIFIED", thing))
    assert event.value == value
    return value


def test_a_pod() -> None:
    thing = {
        "metadata": PLACE
        | {
            "labels": {"app": "cart"},
            "annotations": {"fusionbridge.io/address-group": "g", "other.io/big": "x" * 1000},
            "ownerReferences": [
                {"kind": "Job", "name": "j"},
                {"kind": "ReplicaSet", "name": "cart-1", "controller": True},
            ],
            "deletionTimestamp": "2026-01-01T00:00:00Z",
        },
        "spec": {
            "serviceAccountName": "cart",
            "nodeName": "n1",
            "hostNetwork": True,
            "readinessGates": [{"conditionType": "fusionbridge.io/programmed"}],
            "containers": [{"name": "c"}],
        },
        "status": {
            "phase": "Failed",
            "podIP": "10.0.0.1",
            "podIPs": [{"ip": "10.0.0.1"}, {"ip": "FD00::0001"}],
            "startTime": "2026-01-02T03:04:05Z",
        },
    }
    assert decoded(Resource.PODS, thing) == Pod(
        uid="u1",
        namespace="shop",
        name="it",
        resource_version="7",
        labels={"app": "cart"},
        annotations={"fusionbridge.io/address-group": "g"},
        service_account="cart",
        owner="ReplicaSet/cart-1",
        node="n1",
        phase="Failed",
        host_network=True,
        addresses=("10.0.0.1", "fd00::1"),
        started=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        deleting=True,
        gates=("fusionbridge.io/programmed",),
    )


@pytest.mark.parametrize(
    "thing",
    [
        {"metadata": PLACE},
        {"metadata": PLACE, "spec": None, "status": None},
        {
            "metadata": PLACE | {"labels": None, "annotations": {}, "ownerReferences": None, "deletionTimestamp": None},
            "spec": {"nodeName": None, "hostNetwork": None, "readinessGates": None, "serviceAccountName": None},
            "status": {"phase": None, "podIP": None, "podIPs": None, "startTime": None},
        },
        {"metadata": PLACE, "status": {"podIP": "", "podIPs": []}},
    ],
)
def test_a_pod_that_nobody_has_touched_yet(thing: Json) -> None:
    value = decoded(Resource.PODS, thing)
    assert isinstance(value, Pod)
    assert (value.addresses, value.started, value.phase, value.labels, value.gates) == ((), None, "", {}, ())


def test_the_other_kinds() -> None:
    metadata = PLACE | {"labels": {"kubernetes.io/service-name": "cart"}}
    assert decoded(
        Resource.NAMESPACES, {"metadata": metadata | {"deletionTimestamp": "2026-01-01T00:00:00Z"}}
    ) == Namespace("u1", "it", "7", {"kubernetes.io/service-name": "cart"}, {}, deleting=True)
    assert decoded(Resource.SERVICES, {"metadata": PLACE, "spec": {"selector": {"app": "cart"}}}) == Service(
        "u1", "shop", "it", "7", {}, {}, {"app": "cart"}
    )
    assert decoded(Resource.SERVICES, {"metadata": PLACE, "spec": {}}) == Service("u1", "shop", "it", "7", {}, {}, {})
    endpoints = [{"addresses": ["10.0.0.2", "10.0.0.1"]}, {"addresses": ["10.0.0.2"]}, {"addresses": None}]
    assert decoded(
        Resource.ENDPOINT_SLICES, {"metadata": metadata, "addressType": "IPv4", "endpoints": endpoints}
    ) == EndpointSlice("u1", "shop", "it", "7", "cart", ("10.0.0.2", "10.0.0.1"))
    addresses = [
        {"type": "InternalIP", "address": "192.0.2.1"},
        {"type": "Hostname", "address": "n1"},
        {"type": "ExternalIP", "address": "198.51.100.1"},
    ]
    node = {"metadata": {"name": "n1", "uid": "u1", "resourceVersion": "7"}, "status": {"addresses": addresses}}
    assert decoded(Resource.NODES, node) == Node("u1", "n1", "7", {}, ("192.0.2.1",))


@pytest.mark.parametrize("endpoints", [None, []])
def test_a_slice_without_endpoints(endpoints: list[Json] | None) -> None:
    value = decoded(Resource.ENDPOINT_SLICES, {"metadata": PLACE, "addressType": "IPv4", "endpoints": endpoints})
    assert value == EndpointSlice("u1", "shop", "it", "7", "", ())


def test_a_slice_of_names_has_no_addresses() -> None:
    thing = {"metadata": PLACE, "addressType": "FQDN", "endpoints": [{"addresses": ["db.example"]}]}
    value = decoded(Resource.ENDPOINT_SLICES, thing)
    assert isinstance(value, EndpointSlice)
    assert value.addresses == ()


def test_a_policy_object_and_who_wrote_it() -> None:
    managers = [
        {"manager": "kubectl", "operation": "Apply", "time": "2026-01-01T00:00:00Z"},
        {"manager": "argocd", "operation": "Apply", "time": "2026-01-03T00:00:00Z"},
        {"manager": "fusion-bridge", "operation": "Apply", "time": "2026-01-04T00:00:00Z", "subresource": "status"},
    ]
    thing = {
        "metadata": PLACE | {"generation": 3, "managedFields": managers},
        "spec": {"action": "Allow", "ports": [{"port": 443}]},
        "status": {"conditions": []},
    }
    assert decoded(Resource.SERVICE_RULES, thing) == PolicyObject(
        Resource.SERVICE_RULES,
        "u1",
        "shop",
        "it",
        "7",
        3,
        {},
        {"action": "Allow", "ports": [{"port": 443}]},
        "argocd",
    )


MALFORMED: list[tuple[Resource, Json, str]] = [
    (Resource.PODS, pod("a", 1, ip="300.1.2.3"), "status.podIPs: '300.1.2.3'"),
    (Resource.PODS, pod("a", 1, ip="010.1.2.3"), "status.podIPs"),
    (Resource.PODS, pod("a", 1, ip="fe80::1%eth0"), "zone"),
    (Resource.PODS, {"metadata": PLACE, "status": {"podIP": "x"}}, "status.podIP: 'x'"),
    (Resource.PODS, {"metadata": PLACE, "status": {"startTime": "yesterday"}}, "startTime"),
    (Resource.PODS, {"metadata": PLACE, "status": "Running"}, "$.status"),
    (Resource.PODS, {"metadata": PLACE | {"labels": {"a": 1}}}, "Expected `str`"),
    (Resource.PODS, {"metadata": PLACE | {"labels": ["a"]}}, "Expected `object`"),
    (
        Resource.PODS,
        {"metadata": PLACE | {"annotations": {"fusionbridge.io/address-group": 5}}},
        "metadata.annotations",
    ),
    (Resource.PODS, {"metadata": {"name": "a"}}, "metadata.uid"),
    (Resource.SERVICES, {"metadata": PLACE, "spec": {"selector": {"a": None}}}, "spec.selector"),
    (
        Resource.ENDPOINT_SLICES,
        {"metadata": PLACE, "endpoints": [{"addresses": ["10.0.0.0/8"]}]},
        "endpoints.addresses",
    ),
    (
        Resource.NODES,
        {"metadata": PLACE, "status": {"addresses": [{"type": "InternalIP", "address": ""}]}},
        "status.addresses",
    ),
    (Resource.CLUSTER_RULES, {"metadata": PLACE, "spec": ["a"]}, "$.spec"),
    (Resource.CLUSTER_RULES, {"metadata": PLACE | {"generation": "x"}}, "generation"),
]


@pytest.mark.parametrize(("resource", "thing", "reason"), MALFORMED)
def test_malformed_content_is_said_about_that_object(resource: Resource, thing: Json, reason: str) -> None:
    value = decoded(resource, thing)
    assert isinstance(value, Undecodable)
    assert reason in value.reason
    assert value.name == thing["metadata"]["name"]
    assert value.uid == thing["metadata"].get("uid", "")


@pytest.mark.parametrize("item", [None, 5, "x", [], {}, {"metadata": None}, {"metadata": 3}, {"metadata": {"uid": 1}}])
def test_an_item_of_any_shape_spoils_no_other(item: object) -> None:
    body = json.dumps({"metadata": {"resourceVersion": "9"}, "items": [pod("a", 1), item, pod("b", 2)]}).encode()
    first, odd, last = Codec(Resource.PODS).page(body).values
    assert isinstance(first, Pod)
    assert isinstance(last, Pod)
    assert isinstance(odd, Undecodable)
    assert odd.uid == ""


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"<html>", b'{"metadata":{},"items":[]}', b'{"items":[]}'])
def test_what_is_no_list_is_an_error(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        Codec(Resource.PODS).page(body)


def test_an_empty_list_may_say_null() -> None:
    assert Codec(Resource.PODS).page(b'{"metadata":{"resourceVersion":"5"},"items":null}').values == []


def test_equal_label_sets_and_names_are_one_object() -> None:
    first, second = Codec(Resource.PODS).page(listed([pod("a", 1), pod("b", 2)], 9).body).values
    assert isinstance(first, Pod)
    assert isinstance(second, Pod)
    assert first.labels is second.labels
    assert first.namespace is second.namespace
    assert first.node is second.node


def test_a_pod_whose_labels_need_escaping() -> None:
    thing = pod("a", 1)
    thing["metadata"]["labels"] = {"a/b": 'ü"\\'}
    (value,) = (
        Codec(Resource.PODS).page(msgspec.json.encode({"metadata": {"resourceVersion": "1"}, "items": [thing]})).values
    )
    assert isinstance(value, Pod)
    assert value.labels == {"a/b": 'ü"\\'}


def test_what_we_tell_people_on_their_objects_is_no_news() -> None:
    managers = [
        {"manager": "kubectl-label", "operation": "Update", "time": "2026-01-01T00:00:00Z"},
        {"manager": "fusion-bridge", "operation": "Apply", "time": "2026-01-04T00:00:00Z"},
    ]
    annotations = {"fusionbridge.io/status": "Programmed", "fusionbridge.io/address-group": "payments", "team": "red"}
    thing = {"metadata": PLACE | {"annotations": annotations, "managedFields": managers}}
    for resource in (Resource.NAMESPACES, Resource.SERVICES):
        value = decoded(resource, thing)
        assert isinstance(value, Namespace | Service)
        assert value.annotations == {"fusionbridge.io/address-group": "payments"}
        assert value.actor == "kubectl-label"
