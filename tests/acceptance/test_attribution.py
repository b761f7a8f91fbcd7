"""Who held an address, and what became of everything: asked of the real program, through reuse, outages, restarts and retention."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from bridge.resources import shipped
from bridge.state.database import Database
from bridge.state.embedded import EmbeddedPostgres
from bridge.state.pruning import prune
from tests.acceptance.site import CLUSTER, Bridge, ClusterEntry, bigip, eventually
from tests.acceptance.world import World, cluster, world
from tests.control_plane.node import NodeStandIn
from tests.control_plane.plane import ControlPlane

pytestmark = pytest.mark.timeout(240)

WHO = "who IP [--at TIME] [--cluster C]"
HISTORY = "history GROUP, RULE, DEVICE, POD, IP"


def now() -> str:
    """A moment between what happened and what happens next, as a person writes it."""
    time.sleep(0.02)
    at = datetime.now(UTC).isoformat()
    time.sleep(0.02)
    return at


def asked(bridge: Bridge, address: str, at: str = "", name: str = CLUSTER) -> dict[str, Any]:
    """What `who` says of one cluster."""
    words = ["--at", at] if at else []
    answers = bridge.cli("who", address, *words, codes=(0, 1))["answers"]
    (one,) = [answer for answer in answers if answer["cluster"] == name]
    found: dict[str, Any] = one
    return found


def held(answer: dict[str, Any]) -> dict[str, str]:
    """Who held it, and how sure that is."""
    return {f"{one['namespace']}/{one['pod']}": one["certainty"] for one in answer["holders"]}


def await_holder(bridge: Bridge, address: str, pod: str, name: str = CLUSTER) -> None:
    """Until the record says so; nobody for ""."""
    query = "SELECT namespace || '/' || pod FROM lease_open WHERE cluster = %s AND address = %s::inet"
    with bridge.state() as connection:

        def recorded() -> bool:
            try:
                return connection.execute(query, [name, address]).fetchone() == ((pod,) if pod else None)
            except psycopg.errors.UndefinedTable:  # of a bridge that has only just been started
                return False

        eventually(f"{address} is held by {pod or 'nobody'}", recorded)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A team with one pod and a rule, in step."""
    with world(tmp_path_factory.mktemp("bridge")) as made:
        made.namespace("bank")
        made.team("shop", "10.244.1.1")
        made.bridge.start()
        eventually("the team may", lambda: made.allowed("10.244.1.1", "192.0.2.1"))
        made.bridge.await_in_step()
        yield made


@pytest.mark.acceptance(
    f"{WHO}: right through address reuse, exact, with the groups that let it through and who came next"
)
def test_reuse(shop: World) -> None:
    bridge, address = shop.bridge, "10.244.1.20"
    begun = now()
    uid = shop.pod("shop", "web-20", address)
    await_holder(bridge, address, "shop/web-20")
    first = now()
    shop.delete_pod("shop", "web-20")
    await_holder(bridge, address, "")
    between = now()
    shop.pod("bank", "api-1", address)
    await_holder(bridge, address, "bank/api-1")
    second = now()

    answers = {at: asked(bridge, address, at) for at in (begun, first, between, second, "")}

    assert [held(one) for one in answers.values()] == [
        {},
        {"shop/web-20": "exact"},
        {},
        {"bank/api-1": "exact"},
        {"bank/api-1": "exact"},
    ]
    assert [one["verdict"] for one in answers.values()] == ["nobody", "held", "nobody", "held", "held"]
    (holder,) = answers[first]["holders"]
    assert (holder["uid"], holder["serviceAccount"], holder["node"]) == (uid, "default", "node-0001")
    assert begun < holder["from"] < first < holder["to"] < between
    assert holder["fromAfter"] is holder["toAfter"] is None
    groups = [one["object"] for one in answers[first]["groups"]]
    assert f"group:{CLUSTER}/service/shop/web" in groups
    assert f"group:{CLUSTER}/service/shop/web" not in [one["object"] for one in answers[second]["groups"]]
    assert answers[first]["next"]["pod"] == answers[between]["next"]["pod"] == "api-1"
    assert answers[between]["previous"]["pod"] == "web-20"


@pytest.mark.acceptance(f"{WHO}: text says it too; times without a zone are UTC and said to be; exit codes 0, 1 and 2")
def test_words_and_codes(shop: World) -> None:
    bridge = shop.bridge
    earlier = now()
    shop.pod("bank", "heard-of", "10.244.1.70")
    await_holder(bridge, "10.244.1.70", "bank/heard-of")
    done = bridge.command("who", "10.244.1.1")
    assert done.returncode == 0
    assert f"{CLUSTER}: shop/web-0, exact" in done.stdout
    assert f"in group         {CLUSTER}/service/shop/web since" in done.stdout
    plain = datetime.now(UTC).replace(tzinfo=None).isoformat(timespec="seconds")
    assert "taken as UTC, as it says no zone" in bridge.command("who", "10.244.1.1", "--at", plain).stdout
    assert bridge.command("who", "10.244.1.1", "--at", "0s").returncode == 0
    for words, code, said in (
        (("10.244.77.77", "--at", earlier), 1, "nobody; the record begins"),
        (("192.0.2.77",), 1, f"not an address of pods: outside the pod ranges of cluster {CLUSTER}"),
        (("10.244.1.1", "--at", "2020-01-01"), 1, "unknown: before the oldest record kept"),
        (("10.244.1.0/24",), 2, "is a prefix: ask for one address"),
        (("10.244.1",), 2, "10.244.1"),
        (("10.244.1.1", "--at", "yesterday"), 2, "ISO 8601"),
        (("10.244.1.1", "--at", "2999-01-01"), 2, "has not come yet"),
        (("10.244.1.1", "--cluster", "elsewhere"), 2, f"no cluster elsewhere is recorded; there are: {CLUSTER}"),
    ):
        done = bridge.command("who", *words)
        assert (done.returncode, said in " ".join((done.stdout + done.stderr).split())) == (code, True), (words, done)


@pytest.mark.acceptance(
    f"{WHO}: both families of a pod, in any spelling; a new pod of the same name is another workload"
)
def test_names_and_families(shop: World) -> None:
    bridge, four, six = shop.bridge, "10.244.1.30", "fd00:10:244::30"
    old = shop.pod("bank", "db-0", four, six)
    await_holder(bridge, six, "bank/db-0")
    first = now()
    shop.delete_pod("bank", "db-0")
    await_holder(bridge, six, "")
    new = shop.pod("bank", "db-0", six)
    await_holder(bridge, six, "bank/db-0")

    for spelling in (six, "FD00:10:244:0:0::0030"):
        assert [one["uid"] for one in asked(bridge, spelling, first)["holders"]] == [old]
        assert [one["uid"] for one in asked(bridge, spelling)["holders"]] == [new]
    rows = bridge.cli("history", "pod/bank/db-0")["rows"]
    assert [(one["uid"], one["address"]) for one in rows] == [(new, six), (old, four), (old, six)]
    assert [one["address"] for one in bridge.cli("history", f"uid/{old}")["rows"]] == [four, six]


@pytest.mark.acceptance(f"{HISTORY}: each by the names that people know, page by page, deleted ones too")
def test_history(shop: World) -> None:
    bridge, address = shop.bridge, "10.244.1.40"
    shop.external("shop", "partner", "198.51.100.0/28")
    shop.service_rule("shop", "web", "partner")
    shop.pod("shop", "web-40", address)
    eventually("the new rule is in force", lambda: shop.allowed(address, "198.51.100.1"))
    bridge.await_in_step()
    shop.delete_pod("shop", "web-40")
    shop.store.delete("serviceegressrules", "shop", "web-partner", grace=0)
    eventually("the rule is gone", lambda: not shop.allowed("10.244.1.1", "198.51.100.1"))
    bridge.await_in_step()

    group = f"group:{CLUSTER}/service/shop/web"
    for name in (group, f"/Common/fbtest/fbtest_{CLUSTER}_service_shop_web", "service shop/web"):
        rows = bridge.cli("history", name)["rows"]
        mine = [one for one in rows if one["address"] == address]
        assert [[holder["pod"] for holder in one["holders"]] for one in mine] == [["web-40"]], name
        assert mine[0]["left"]
    for name in ("rule/shop/web-partner", "shop/web-partner", "ServiceEgressRule shop/web-partner"):
        told = bridge.cli("history", name)
        went, came = told["rows"]
        assert [line[:1] for one in (went, came) for line in one["lines"]] == ["-", "+"], name
        assert all("web-partner_" in line for one in (went, came) for line in one["lines"])
        assert any(group in note for note in told["notes"])
    assert "now, in" in bridge.command("history", "rule/shop/web-provider").stdout
    changes = bridge.cli("history", "edge", "--limit", "1000")["rows"]
    paged, start = [], ""
    while True:
        page = bridge.cli("history", "device/edge", "--limit", "7", *(("--page", start) if start else ()))
        paged += page["rows"]
        start = page["next"]
        if not start:
            break
    assert [one["number"] for one in paged] == [one["number"] for one in changes]
    (row,) = [one for one in bridge.cli("history", address)["rows"] if one["pod"] == "web-40"]
    assert group in [one["object"] for one in row["groups"]]
    assert bridge.cli("history", address, "--since", "1d")["rows"]
    assert bridge.command("history", address, "--since", "0s").returncode == 1
    assert bridge.command("history", "pod/shop/never").returncode == 1
    shop.pod("shop", "web-provider", "10.244.1.41")
    await_holder(bridge, "10.244.1.41", "shop/web-provider")
    both = bridge.command("history", "shop/web-provider")
    assert both.returncode == 2
    assert "history pod/shop/web-provider" in both.stderr
    assert "history ServiceEgressRule/shop/web-provider" in both.stderr


@pytest.mark.acceptance(
    f"{WHO}: what happened while the bridge was stopped lies between two times; nobody is not claimed for then"
)
def test_outage(shop: World) -> None:
    bridge, address, quiet = shop.bridge, "10.244.1.50", "10.244.1.51"
    shop.pod("shop", "web-50", address)
    await_holder(bridge, address, "shop/web-50")
    shop.pod("shop", "web-51", quiet)
    await_holder(bridge, quiet, "shop/web-51")
    with bridge.state() as connection:
        query = "SELECT watched_at > now() - interval '1 hour' FROM cluster"
        eventually("it is written down that it watches", lambda: connection.execute(query).fetchone() == (True,))
    bridge.stop()
    stopped = now()
    shop.delete_pod("shop", "web-50")
    shop.pod("bank", "api-50", address, started=datetime.now(UTC) - timedelta(seconds=1))
    meanwhile = now()
    bridge.start()
    await_holder(bridge, address, "bank/api-50")
    after = now()

    answer = asked(bridge, address, meanwhile)
    assert held(answer) == {"shop/web-50": "may have ended", "bank/api-50": "may have begun"}
    assert (answer["verdict"], answer["exact"]) == ("possibly held", False)
    ended, began = answer["holders"]
    assert ended["toAfter"] < stopped < meanwhile < ended["to"] < after
    assert began["fromAfter"] < meanwhile < began["from"] < after
    text = bridge.command("who", address, "--at", meanwhile).stdout
    assert "shop/web-50, it may still have held the address" in text
    assert "bank/api-50, it may already have held the address" in text
    assert f"some time between {ended['toAfter']} and {ended['to']}" in text
    assert held(asked(bridge, address)) == {"bank/api-50": "exact"}
    assert held(asked(bridge, quiet, meanwhile)) == {"shop/web-51": "exact"}, "it was there before and after"
    unknown = asked(bridge, "10.244.1.59", meanwhile)
    assert unknown["verdict"] == "unknown"
    assert "the cluster was not watched from" in unknown["reason"]
    shop.pod("shop", "web-58", "10.244.1.58")
    await_holder(bridge, "10.244.1.58", "shop/web-58")  # heard of the cluster after that time
    assert asked(bridge, "10.244.1.59", after)["verdict"] == "nobody"
    bridge.stop()
    silent = asked(bridge, "10.244.1.59")
    bridge.start()
    assert (silent["verdict"], silent["reason"].partition(",")[0]) == (
        "unknown",
        "nobody held it when the cluster was last heard of",
    )
    assert silent["lastSeen"] >= after[:19]


@pytest.mark.acceptance("Retention by partition: months are there ahead of time, old ones go whole, open leases never")
def test_retention(shop: World) -> None:
    bridge, address = shop.bridge, "10.244.1.60"
    shop.pod("shop", "web-60", address)
    await_holder(bridge, address, "shop/web-60")
    first = now()
    shop.delete_pod("shop", "web-60")
    await_holder(bridge, address, "")
    months = [datetime.now(UTC).replace(day=1)]
    for _ in range(3):
        months.append((months[-1] + timedelta(days=32)).replace(day=1))
    tables = {f"{table}_closed_{month:%Y_%m}" for table in ("lease", "member") for month in months[:3]}
    with bridge.state() as connection:
        names = connection.execute("SELECT relname FROM pg_class WHERE relname ~ '_closed_[0-9_]{7}$'").fetchall()
        assert {str(name) for (name,) in names} == tables
        before = connection.execute("SELECT count(*) FROM lease_open").fetchone()
    with EmbeddedPostgres(bridge.folder / "data") as server:
        database = Database(server.url)
        gone = prune(database, months[3].replace(hour=0, minute=0, second=0, microsecond=0))
        database.close()
    assert gone.leases > 0
    with bridge.state() as connection:
        assert connection.execute("SELECT count(*) FROM lease_open").fetchone() == before
        assert connection.execute("SELECT count(*) FROM lease_closed").fetchone() == (0,)
    assert held(asked(bridge, "10.244.1.1")) == {"shop/web-0": "exact"}
    answer = asked(bridge, address, first)
    assert answer["verdict"] == "unknown"
    assert "before the oldest record kept" in answer["reason"]


@pytest.mark.acceptance(f"{WHO}: several clusters have the same address, each in its own domain")
def test_two_clusters(tmp_path: Any) -> None:  # noqa: ANN401
    with cluster("east") as east, cluster("west") as west, bigip() as one, bigip() as other:
        entries = [ClusterEntry(made.name, made.api.kubeconfig) for made in (east, west)]
        scopes = {
            name: {"scope": {"clusters": {made: _DEFAULT}}} for name, made in (("one", "east"), ("other", "west"))
        }
        with Bridge(tmp_path, {"one": one, "other": other}, entries, overrides=scopes) as bridge:
            for made in (east, west):
                made.namespace("shop")
                made.pod("shop", f"{made.name}-0", "10.244.1.1")
            bridge.start()
            for made in (east, west):
                await_holder(bridge, "10.244.1.1", f"shop/{made.name}-0", made.name)
            for made in (east, west):
                assert held(asked(bridge, "10.244.1.1", name=made.name)) == {f"shop/{made.name}-0": "exact"}
                (answer,) = bridge.cli("who", "10.244.1.1", "--cluster", made.name)["answers"]
                assert answer["cluster"] == made.name
            assert {row["cluster"] for row in bridge.cli("history", "10.244.1.1")["rows"]} == {"east", "west"}


_DEFAULT = {"default": {"action": "Deny", "unknownAddresses": "Deny"}}


@pytest.mark.acceptance(f"{WHO}: on the real control plane, an address that changed hands while the bridge was stopped")
def test_real_control_plane(
    control_plane: ControlPlane,
    node: NodeStandIn,
    new_namespace: Callable[..., str],
    tmp_path: Any,  # noqa: ANN401
) -> None:
    control_plane.install_crds(shipped("config/crd"))
    namespace = new_namespace(**{"fusionbridge.io/egress": "governed"})
    entry = ClusterEntry(CLUSTER, control_plane.kubeconfig)

    def run(name: str, address: str) -> str:
        """A pod that gets the address."""
        node.force_next(address)
        spec = {"containers": [{"name": "c", "image": "i"}], "terminationGracePeriodSeconds": 0}
        control_plane.apply(
            {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}, namespace=namespace
        )
        path = f"/api/v1/namespaces/{namespace}/pods/{name}"
        eventually(f"{name} has it", lambda: control_plane.api.get(path)["status"].get("podIP") == address)
        return f"{namespace}/{name}"

    def end(name: str) -> None:
        control_plane.kubectl("-n", namespace, "delete", "pod", name, "--wait=true")

    address = "10.244.0.200"
    with bigip() as device, Bridge(tmp_path, {"edge": device}, [entry]) as bridge:
        first = run("first", address)
        bridge.start()
        await_holder(bridge, address, first)
        one = now()
        end("first")
        second = run("second", address)
        await_holder(bridge, address, second)
        two = now()
        await_holder(bridge, "10.244.0.201", run("other", "10.244.0.201"))  # heard of the cluster after that time
        bridge.stop()
        end("second")
        third = run("third", address)
        meanwhile = now()
        bridge.start()
        await_holder(bridge, address, third)

        assert held(asked(bridge, address, one)) == {first: "exact"}
        assert held(asked(bridge, address, two)) == {second: "exact"}
        answer = asked(bridge, address, meanwhile)
        assert held(answer)[second] == "may have ended"
        assert held(asked(bridge, address)) == {third: "exact"}
        rows = bridge.cli("history", address)["rows"]
        assert [f"{row['namespace']}/{row['pod']}" for row in rows] == [third, second, first]
        assert [bool(row["toAfter"]) for row in rows] == [False, True, False]
        assert rows[0]["fromAfter"] >= rows[1]["toAfter"], "not before the one before it was last seen"
        bridge.stop()
