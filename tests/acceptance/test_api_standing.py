"""What the API tells of devices, groups and rules, of a site where one rule is not accepted, one cannot be had and one is withheld."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.acceptance.site import CLUSTER, DEVICE, eventually
from tests.acceptance.world import World, world
from tests.api.conftest import Api, api_of

WEB = f"{CLUSTER}~service~town~web"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Two teams with a rule each and rules above them; then a Deny in shop that the device cannot have, and a rule that makes no sense."""
    with world(tmp_path_factory.mktemp("site")) as made:
        made.team("shop", "10.244.1.1", "10.244.1.2")
        made.team("bank", "10.244.2.1")
        made.team("town", "10.244.3.1", "10.244.3.2")
        made.external("", "metadata", "198.51.100.0/24")
        made.cluster_rule("no-metadata", "metadata", "Deny", priority=5)
        made.cluster_rule("audit-first", "metadata", "Reject", priority=1)
        made.namespace_rule("bank", "bank-passes", "provider", "Pass")
        made.bridge.start()
        made.await_in_step(60)
        wild = {"fqdns": ["*.example.com"], "ports": [{"protocol": "TCP", "port": 443}]}
        made.put("ExternalService", "shop", "wild", wild)
        made.namespace_rule("shop", "no-wild", "wild", "Deny")
        made.put_unchecked("serviceegressrules", "bank", "senseless", {"service": "web"})
        wrong = ("ServiceEgressRule bank/senseless", "NamespaceEgressRule shop/no-wild")
        eventually("what is wrong is told", lambda: all(made.problem(one) for one in wrong), 60)
        made.await_in_step(60)
        yield made


@pytest.fixture(scope="module")
def api(site: World) -> Iterator[Api]:
    with api_of(site) as found:
        yield found


def ordered(api: Api, **chosen: str) -> list[str]:
    """The names of rules in their order, page by page."""
    return [one["name"] for one in api.every("rules", limit=2, **chosen)]


@pytest.mark.acceptance("api: clusters, devices, what waits there and what was proven, as `status` says it")
def test_overview(api: Api, site: World) -> None:
    def same() -> bool:
        (told,), (found,) = site.status()["devices"], api.get("overview")["devices"]
        names = (
            "name",
            "kind",
            "mode",
            "state",
            "message",
            "identity",
            "attached",
            "objects",
            "held",
            "rejected",
            "quarantined",
        )
        times = ("lastRead", "lastVerified")
        return all(told[name] == found[name] for name in names) and all(
            datetime.fromisoformat(told[name]) == datetime.fromisoformat(found[name]) for name in times
        )

    eventually("both tell the same", same)
    eventually("a controller is there", lambda: bool(api.get("overview")["running"]))
    found = api.get("overview")
    assert (found["held"], [one["name"] for one in found["clusters"]]) == (0, [CLUSTER])
    assert [(one["clusters"], one["devices"]) for one in found["replicas"]] == [([CLUSTER], [DEVICE])]
    device = api.get(f"devices/{DEVICE}")
    assert (device["waiting"], device["lagSeconds"], device["oldestUnapplied"], device["drift"]["count"]) == (
        0,
        0,
        None,
        0,
    )
    assert device["clusters"] == [CLUSTER]
    assert device["lastVerified"] is not None
    objects = api.every(f"devices/{DEVICE}/objects", limit=3)
    assert len(objects) == sum(device["objects"].values())
    assert {one["object"] for one in objects if one["kind"] == "group"} >= {f"group:{CLUSTER}/service/shop/web"}


@pytest.mark.acceptance("api: how far behind a device is and was, over time")
def test_lag(api: Api, site: World) -> None:
    changes = sum(one["changes"] for one in api.get(f"devices/{DEVICE}/lag", hours=168)["buckets"])
    site.pod("bank", "web-9", "10.244.2.9")
    site.await_in_step()

    def told() -> bool:
        found = api.get(f"devices/{DEVICE}/lag", hours=168)["buckets"]
        timed = [one for one in found if one["lagMax"] is not None]
        return sum(one["changes"] for one in found) > changes and all(
            one["lagMax"] >= one["lagMedian"] > 0 for one in timed
        )

    eventually("the change is in it", told)
    found = api.get(f"devices/{DEVICE}/lag", hours=1)
    assert (found["oneIn"], found["bucketSeconds"]) == (1, 120)


@pytest.mark.acceptance("api: groups with live members and whom they stand for, now and at a past moment")
def test_groups(api: Api, site: World) -> None:
    found = api.every("groups", limit=1, q="TOWN/")
    assert f"group:{CLUSTER}/service/town/web" in [one["object"] for one in found]
    before = datetime.now(UTC).isoformat()
    (on_device,) = api.get(f"groups/{WEB}")["devices"]
    assert (on_device["device"], on_device["waitingSince"]) == (DEVICE, None)

    def members(**at: str) -> dict[str, str]:
        return {
            one["address"]: f"{one['namespace']}/{one['pod']}"
            for one in api.every(f"groups/{WEB}/members", limit=1, **at)
        }

    assert members() == {"10.244.3.1": "town/web-0", "10.244.3.2": "town/web-1"}
    site.delete_pod("town", "web-1")
    site.pod("town", "web-2", "10.244.3.3")
    moved = {"10.244.3.1": "town/web-0", "10.244.3.3": "town/web-2"}
    eventually("the pod has moved", lambda: members() == moved)
    assert members(at=before) == {"10.244.3.1": "town/web-0", "10.244.3.2": "town/web-1"}
    eventually("as many are counted", lambda: api.get(f"groups/{WEB}")["members"] == len(moved))


@pytest.mark.acceptance("api: rules in the order in which a device asks them, each with its state on each device")
def test_rules(api: Api) -> None:
    assert ordered(api, tier="cluster") == ["audit-first", "no-metadata"]
    assert ordered(api) == [
        *("audit-first", "no-metadata"),  # of the cluster
        *("bank-passes", "no-wild"),  # of namespaces
        *(
            "web-provider",
            "senseless",
            "web-provider",
            "web-provider",
        ),  # of Services: what was never accepted stands last in its list
    ]
    assert ordered(api, q="PROVIDER", namespace="bank") == ["bank-passes", "web-provider"]
    assert [(one["source"], one["group"]) for one in api.every("rules", tier="cluster")] == [
        ("the whole cluster", "")
    ] * 2
    (allowing,) = api.every("rules", namespace="town")
    assert (allowing["action"], allowing["source"], allowing["group"]) == ("Allow", "service town/web", WEB)
    (to,) = allowing["destinations"]
    assert (to["name"], to["addresses"], to["traffic"]) == ("provider", ["192.0.2.0/28"], ["TCP 443"])

    def states() -> dict[tuple[str, str], list[str]]:
        rows = api.every("rules", device=DEVICE)
        return {(one["namespace"], one["name"]): [each["state"] for each in one["devices"]] for one in rows}

    expected = {
        ("", "audit-first"): ["Programmed"],
        ("", "no-metadata"): ["Programmed"],
        ("bank", "bank-passes"): ["Programmed"],
        ("bank", "web-provider"): ["Programmed"],
        ("shop", "no-wild"): ["Unsupported"],
        ("shop", "web-provider"): ["Withheld"],
        ("town", "web-provider"): ["Programmed"],
    }
    eventually("as they stand", lambda: states() == expected)


@pytest.mark.acceptance("api: what is not in force as written, and what a person does about it")
def test_remarks(api: Api, site: World) -> None:
    found = {(one["object"], one["device"]): one for one in api.every("remarks", limit=1)}
    wrong = found["ServiceEgressRule bank/senseless", ""]
    assert wrong["reason"] == "Invalid"
    assert wrong["message"] in site.problem("ServiceEgressRule bank/senseless")
    assert wrong["remedy"]
    assert found["NamespaceEgressRule shop/no-wild", DEVICE]["reason"] == "Unsupported"
    withheld = found["ServiceEgressRule shop/web-provider", DEVICE]
    assert withheld["reason"] == "Withheld"
    assert "no-wild" in withheld["message"]
    assert {one["reason"] for one in api.every("remarks", reason="Withheld")} == {"Withheld"}


@pytest.mark.acceptance("api: what is not there, and what makes no sense, is told in words and changes nothing")
@pytest.mark.parametrize(
    ("path", "status", "parameters"),
    [
        ("devices/none", 404, {}),
        ("devices/none/lag", 404, {}),
        ("devices/none/objects", 404, {}),
        (f"devices/{DEVICE}/lag", 422, {"hours": 169}),
        (f"devices/{DEVICE}/objects", 422, {"kind": "cheese"}),
        (f"devices/{DEVICE}/objects", 422, {"page": "WzFd"}),
        ("groups/none", 404, {}),
        (f"groups/{CLUSTER}~service~shop~none/members", 404, {}),
        (f"groups/{WEB}/members", 422, {"at": "never"}),
        (f"groups/{WEB}/members", 422, {"at": "2100-01-01"}),
        (f"groups/{WEB}/members", 422, {"at": "2001-01-01"}),
        (f"groups/{WEB}/members", 422, {"page": "WyJub25lIl0"}),
        (f"groups/{WEB}/members", 422, {"limit": 501}),
        ("groups", 404, {"cluster": "elsewhere"}),
        ("groups", 422, {"q": "\0"}),
        ("rules", 404, {"device": "none"}),
        ("rules", 422, {"page": "cheese"}),
        ("rules", 422, {"tier": "lowest"}),
        ("remarks", 422, {"q": "a" * 254}),
    ],
)
def test_problems(api: Api, path: str, status: int, parameters: dict[str, Any]) -> None:
    found = api.get(path, status, **parameters)
    assert found["detail"] or found["problems"]
