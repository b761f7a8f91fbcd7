"""Lists: pages, snapshots, selectors, resource versions."""

import httpx
import pytest

from bridge.lab.apiserver import LabCluster
from tests.lab.apiserver.wire import names, pages, pod

PODS = "/api/v1/pods"


def fill(cluster: LabCluster, count: int) -> None:
    cluster.bulk_load("pods", [pod(f"p{number:03}", app="a" if number % 2 else "b") for number in range(count)])


def test_pages_are_one_snapshot_while_pods_come_and_go(cluster: LabCluster, http: httpx.Client) -> None:
    fill(cluster, 50)
    seen: list[str] = []
    versions = set()
    for number, page in enumerate(pages(http, PODS, 8)):
        seen += names(page)
        versions.add(page["metadata"]["resourceVersion"])
        cluster.delete("pods", "default", f"p{49 - number:03}")
        cluster.create("pods", pod(f"p{number + 10:03}a"))
    assert seen == [f"p{number:03}" for number in range(50)]
    assert len(versions) == 1


def test_a_page_says_how_many_remain_and_a_selector_hides_it(cluster: LabCluster, http: httpx.Client) -> None:
    fill(cluster, 20)
    first = http.get(PODS, params={"limit": 5}).json()
    assert first["metadata"]["remainingItemCount"] == 15
    selected = list(pages(http, PODS, 3, labelSelector="app=a"))
    assert [len(page["items"]) for page in selected] == [3, 3, 3, 1]
    assert "remainingItemCount" not in selected[0]["metadata"]


def test_an_old_continue_token_is_gone_and_offers_to_go_on_inconsistently(
    cluster: LabCluster, http: httpx.Client
) -> None:
    fill(cluster, 10)
    token = http.get(PODS, params={"limit": 4}).json()["metadata"]["continue"]
    cluster.delete("pods", "default", "p009")
    cluster.compact()
    refused = http.get(PODS, params={"limit": 4, "continue": token})
    assert (refused.status_code, refused.json()["reason"]) == (410, "Expired")
    rest = http.get(PODS, params={"continue": refused.json()["metadata"]["continue"]}).json()
    assert names(rest) == ["p004", "p005", "p006", "p007", "p008"]


def test_exact_gives_the_past_and_the_future_is_a_time_out(cluster: LabCluster, http: httpx.Client) -> None:
    fill(cluster, 3)
    then = str(cluster.revision)
    cluster.delete("pods", "default", "p001")
    cluster.patch("pods", "default", "p002", {"metadata": {"labels": {"app": "changed"}}})
    past = http.get(PODS, params={"resourceVersion": then, "resourceVersionMatch": "Exact"}).json()
    assert names(past) == ["p000", "p001", "p002"]
    assert past["metadata"]["resourceVersion"] == then
    assert past["items"][2]["metadata"]["labels"]["app"] == "b"
    assert names(http.get(PODS, params={"resourceVersion": then, "resourceVersionMatch": "NotOlderThan"}).json()) == [
        "p000",
        "p002",
    ]
    future = http.get(PODS, params={"resourceVersion": str(cluster.revision + 5)})
    assert (future.status_code, future.json()["reason"]) == (504, "Timeout")
    cluster.compact()
    assert http.get(PODS, params={"resourceVersion": then, "resourceVersionMatch": "Exact"}).status_code == 410


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("app=web", ["one", "two"]),
        ("app==web,tier!=front", ["two"]),
        ("app in (web, db)", ["one", "three", "two"]),
        ("app notin (web)", ["four", "three"]),
        ("tier", ["one"]),
        ("!app", ["four"]),
    ],
)
def test_label_selectors(cluster: LabCluster, http: httpx.Client, selector: str, expected: list[str]) -> None:
    for one in (pod("one", app="web", tier="front"), pod("two", app="web"), pod("three", app="db"), pod("four")):
        cluster.create("pods", one)
    assert names(http.get(PODS, params={"labelSelector": selector}).json()) == expected


def test_field_selectors_and_those_that_are_not_supported(cluster: LabCluster, http: httpx.Client) -> None:
    cluster.create("pods", pod("here") | {"spec": {"nodeName": "n1"}})
    cluster.create("pods", pod("there"))
    assert names(http.get(PODS, params={"fieldSelector": "spec.nodeName=n1"}).json()) == ["here"]
    assert names(http.get(PODS, params={"fieldSelector": "spec.nodeName="}).json()) == ["there"]
    assert names(http.get(PODS, params={"fieldSelector": "metadata.name!=here"}).json()) == ["there"]
    assert http.get(PODS, params={"fieldSelector": "spec.colour=red"}).status_code == 400


def test_one_namespace_is_not_its_neighbour_by_prefix(cluster: LabCluster, http: httpx.Client) -> None:
    for name in ("team", "team-b"):
        cluster.create("namespaces", {"metadata": {"name": name}})
        cluster.create("pods", pod("p", name))
    listed = http.get("/api/v1/namespaces/team/pods").json()
    assert [item["metadata"]["namespace"] for item in listed["items"]] == ["team"]


def test_version_zero_ignores_the_limit_and_compression_comes_only_when_switched_on(
    cluster: LabCluster, http: httpx.Client
) -> None:
    fill(cluster, 300)
    whole = http.get(PODS, params={"limit": 10, "resourceVersion": "0"})
    assert len(whole.json()["items"]) == 300
    assert "content-encoding" not in whole.headers


def test_items_of_built_in_lists_carry_no_kind_those_of_custom_resources_do(
    cluster: LabCluster, http: httpx.Client
) -> None:
    cluster.create("pods", pod("p"))
    cluster.create("addressgroups", {"metadata": {"name": "g"}, "spec": {}})
    assert "kind" not in http.get(PODS).json()["items"][0]
    custom = http.get("/apis/fusionbridge.io/v1alpha1/addressgroups").json()
    assert (custom["kind"], custom["items"][0]["kind"]) == ("AddressGroupList", "AddressGroup")
