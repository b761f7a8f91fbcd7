"""Reconciliation reports as a security engineer, an auditor and a pipeline get them from the real program."""

import csv
import io
import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from bridge.lab.devices.bigip import Bigip
from bridge.resources import shipped
from tests.acceptance.shop import external_service, rule
from tests.acceptance.site import CLUSTER, DEVICE, LISTS, OWNER, Bridge, ClusterEntry, bigip, eventually
from tests.acceptance.world import World, cluster
from tests.control_plane.node import NodeStandIn
from tests.control_plane.plane import ControlPlane
from tests.report.browser import look, picture

WEB = f"group:{CLUSTER}/service/shop/web"
REFUSED = f"group:{CLUSTER}/service/named/web"
RULES = f"rules:{CLUSTER}/service/shop/"
MEANT = "198.51.100.66"


@dataclass
class Site(World):
    """One cluster, the device `edge` on which much has happened, and the device `core` on which nothing has."""

    core: Bigip

    def tamper(self, name: str, **body: object) -> None:
        """Somebody changes one of our address lists on the edge by hand."""
        (path,) = [one for one in self.device.objects(LISTS, f"/Common/{OWNER}") if one.endswith(f"/{name}")]
        self.device.change_object(f"{LISTS}/{path.replace('/', '~')}", dict(body), user="admin")

    def report(self, *words: str, codes: tuple[int, ...] = (0, 1, 3)) -> dict[str, Any]:
        """The report as JSON."""
        found: dict[str, Any] = self.bridge.cli("report", *words, codes=codes)
        return found

    def edge(self, *words: str) -> dict[str, Any]:
        """What it says of the edge."""
        (found,) = [one for one in self.report(*words)["byDevice"] if one["device"] == DEVICE]
        return dict(found)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Report 1 is kept while all is well; since then somebody changed a group, and 50 pods went while nobody watched."""
    with cluster() as made, bigip() as edge, bigip() as core:
        entry = ClusterEntry(CLUSTER, made.api.kubeconfig)
        delivery = {"auditInterval": 2, "saveAfter": 0.5}
        with Bridge(
            tmp_path_factory.mktemp("site"), {DEVICE: edge, "core": core}, [entry], delivery=delivery
        ) as bridge:
            site = Site(made.name, made.store, made.api, edge, bridge, core)
            bridge.write_settings({"reports": {"schedule": "none"}})
            theirs = {"name": f"{OWNER}_{CLUSTER}_service_named_web", "partition": "Common", "subPath": OWNER}
            edge.put_object("sys/folder", {"name": OWNER, "partition": "Common"})
            edge.put_object(LISTS, {**theirs, "addresses": [{"name": "192.0.2.99"}]})
            site.team("shop", *(f"10.244.1.{number}" for number in range(1, 61)))
            site.team("small", "10.244.2.1", "10.244.2.2")
            bridge.start()
            eventually("in force", lambda: len(site.group("service", "shop", "web")) == 60, 60)
            site.await_in_step()
            assert site.report("--keep", codes=(0,))["number"] == 1
            site.tamper(f"{OWNER}_{CLUSTER}_service_small_web", addresses=[{"name": "10.244.2.1"}, {"name": MEANT}])
            eventually("repaired", lambda: site.group("service", "small", "web") == {"10.244.2.1", "10.244.2.2"})
            site.team("named", "10.244.3.1")
            eventually("refused", lambda: bool(site.edge()["quarantined"]))
            bridge.stop()
            for number in range(50):
                site.delete_pod("shop", f"web-{number}")
            bridge.start()
            eventually("held", lambda: bool(site.edge()["held"]), 60)
            yield site
            assert bridge.running, bridge.log()[-5:]


@pytest.mark.acceptance(
    "reports: per device: groups with members and whom they stand for, rules in order, missing, extra, look-alikes, held, quarantined"
)
def test_what_a_report_tells(site: Site) -> None:
    edge = site.edge()
    objects = {one["object"]: one for one in edge["objects"]}
    members = {one["item"]: one for one in objects[WEB]["items"]}
    assert len(members) == 60
    assert {one["pod"] for one in members.values() if one["state"] == "ok"} == {
        f"web-{number}" for number in range(50, 60)
    }
    assert members["10.244.1.60"]["namespace"] == "shop"
    (held,) = [one for one in edge["held"] if one["object"] == WEB]
    assert set(held["members"]) == {f"10.244.1.{number}" for number in range(1, 51)}
    assert {one["item"] for one in members.values() if one["state"] == "held"} == set(held["members"])
    assert all(members[one]["pod"] == "" for one in held["members"]), "nobody holds these any more"
    assert held["since"]
    assert held["digest"]
    assert f"fusion-bridge release {held['digest']} --device edge" in held["decide"]
    lines = [one for one in edge["rules"] if one["object"] == RULES]
    assert [(one["action"], one["sources"], one["destinations"], one["protocol"], one["ports"]) for one in lines] == [
        ("Allow", ["service shop/web"], ["external service shop/provider"], "TCP", ["443"])
    ]
    tiers = [one["tier"] for one in edge["rules"]]
    assert tiers == sorted(tiers, key=["cluster", "namespace", "service", "default"].index)
    assert [(one["name"], one["action"]) for one in edge["rules"]][-1] == ("default-deny", "Deny")
    (refused,) = [one for one in edge["quarantined"] if one["object"] == REFUSED]
    assert refused["message"]
    assert refused["remedy"]
    assert any(one["name"].endswith("service_named_web") for one in edge["lookAlikes"])
    assert (edge["state"], edge["identity"] != "", edge["attached"]) == (
        "ok",
        True,
        dict.fromkeys(("cluster", "namespace", "service"), True),
    )
    (core,) = [one for one in site.report()["byDevice"] if one["device"] == "core"]
    assert core["quarantined"] == []
    site.bridge.stop()  # so that nobody repairs it meanwhile
    site.tamper(f"{OWNER}_{CLUSTER}_service_small_web", addresses=[{"name": "10.244.2.1"}, {"name": MEANT}])
    done = site.bridge.command("--output", "json", "report", DEVICE)
    assert done.returncode == 1
    (small,) = [
        one
        for one in json.loads(done.stdout)["byDevice"][0]["objects"]
        if one["namespace"] == "small" and one["missing"]
    ]
    assert (small["missing"], small["extra"]) == (["10.244.2.2"], [MEANT])
    assert [one["pod"] for one in small["items"] if one["state"] == "missing"] == ["web-1"]
    site.bridge.start()
    eventually("repaired", lambda: not site.edge()["missing"])


@pytest.mark.acceptance(
    "reports: drift since the last report with who or what caused each change, age of the last proof, changes and lag over time"
)
def test_what_happened_since_the_last_report(site: Site) -> None:
    edge = site.edge()
    assert edge["since"]["number"] == 1
    drift = next(one for one in reversed(edge["drift"]) if one["namespace"] == "small")
    assert edge["driftTotal"] >= 1
    assert MEANT in drift["after"]
    assert drift["cause"]
    assert drift["outcome"].startswith("repaired")
    assert edge["changes"]["total"] >= 1
    assert all(one["cause"] for one in edge["changes"]["latest"] if one["op"] == "create")
    objects = {one["object"]: one for one in edge["objects"]}
    assert objects[WEB]["verifiedAt"]
    assert edge["lastVerified"]
    assert edge["audit"]["number"] >= max(one["number"] for one in edge["changes"]["latest"])
    assert re.fullmatch("[0-9a-f]{64}", edge["audit"]["hash"])
    buckets = edge["picture"]["buckets"]
    assert sum(one["changes"] for one in buckets) >= edge["changes"]["total"]
    assert any(one["lagMax"] is not None for one in buckets)


@pytest.mark.acceptance(
    "reports: one model as text, JSON with a schema, CSV safe for spreadsheets, and one HTML page; --out FILE"
)
def test_renderings(site: Site, tmp_path: Path) -> None:
    found = site.report()
    schema = json.loads(site.bridge.command("report", "schema").stdout)
    jsonschema.Draft202012Validator(schema).validate(found)
    for word in ("text", "json", "csv", "html"):
        done = site.bridge.command("report", "--format", word, "--out", str(tmp_path / word))
        assert done.returncode == 1, done.stderr
        assert done.stdout.splitlines()[0] == f"report: {tmp_path / word}"
    assert json.loads((tmp_path / "json").read_text())["groups"] == found["groups"]
    rows = list(csv.DictReader(io.StringIO((tmp_path / "csv").read_bytes().decode())))
    items = sum(max(len(one["items"]), 1) for device in found["byDevice"] for one in device["objects"])
    aside = {one["object"] for one in found["byDevice"][0]["quarantined"]} - {
        one["object"] for one in found["byDevice"][0]["objects"]
    }
    assert len(rows) == items + len(aside)
    (row,) = [one for one in rows if (one["device"], one["item"], one["name"]) == (DEVICE, "10.244.1.60", "web")]
    assert (row["stands_for"], row["state"], row["kind"], row["namespace"]) == ("shop/web-59", "ok", "group", "shop")
    text = (tmp_path / "text").read_text()
    assert "edge: held until a person decides" in text
    assert len(text.splitlines()) < 80, "short unless more is asked for"
    page = (tmp_path / "html").read_text()
    assert page.startswith("<!doctype html>")
    assert "shop/web-59" in page


@pytest.mark.acceptance(
    "reports: the HTML page in headless Chromium: laid out at any width, light and dark, nothing asked for, no console error"
)
def test_in_a_browser(site: Site, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    site.bridge.command("report", "--format", "html", "--out", str(file))
    for dark in (False, True):
        found = look(file.read_text(), tmp_path, (360, 1280), dark=dark)
        assert found.console == []
        for one in (*found.closed, *found.open):
            assert one["wide"] <= one["width"]
            assert [one[what] for what in ("asked", "empty", "outside", "clipped", "faint")] == [[], [], [], [], []]
            assert {"Out of step", "Held until a person decides", "Refused by the device"} <= set(one["headings"])
    assert len(picture(file, tmp_path / "report.png", 1280, 2000)) > 50_000


@pytest.mark.acceptance(
    "reports: kept in Postgres, listed, shown again in every rendering, compared; exit codes for pipelines"
)
def test_kept_and_compared(site: Site) -> None:
    kept = site.report("--keep")
    number = kept["number"]
    assert number > 1
    listed = site.bridge.cli("report", "list")["reports"]
    assert [one["number"] for one in listed][:1] == [number]
    assert [one["number"] for one in listed][-1] == 1
    assert (listed[0]["held"], listed[0]["inStep"], listed[-1]["inStep"], listed[0]["devices"]) == (
        2,
        False,
        True,
        [DEVICE, "core"],
    )
    again = site.bridge.cli("report", "show", str(number))
    assert again == kept
    assert "<!doctype html>" in site.bridge.command("report", "show", str(number), "--format", "html").stdout
    assert site.bridge.command("report", "show", "999").returncode == 2
    difference = site.bridge.cli("report", "--diff", "1", "last", codes=(1,))
    (edge,) = [one for one in difference["byDevice"] if one["device"] == DEVICE]
    assert f"group:{CLUSTER}/external/named/provider" in edge["came"]
    assert {
        "what": f"held {WEB}",
        "before": "",
        "after": next(one["reason"] for one in kept["byDevice"][0]["held"]),
    } in edge["states"]
    text = site.bridge.command("report", "--diff", "1", "last")
    assert text.returncode == 1
    assert "edge: stands otherwise" in text.stdout
    assert site.bridge.command("report", "--diff", "last", "now", "core").returncode == 0
    site.pod("small", "web-7", "10.244.2.7")
    eventually("there", lambda: "10.244.2.7" in site.group("service", "small", "web"))
    eventually("compared", lambda: site.bridge.command("report", "--diff", "last", "now").returncode == 1)
    (changed,) = [
        one
        for device in site.bridge.cli("report", "--diff", "last", "now", codes=(1,))["byDevice"]
        for one in device["items"]
        if device["device"] == "core"
    ]
    assert [(one["item"], one["pod"]) for one in changed["came"]] == [("10.244.2.7", "web-7")]


@pytest.mark.slow
@pytest.mark.acceptance("reports: on a schedule, made once over replicas, through adapters of their own, and kept")
def test_on_a_schedule(site: Site) -> None:
    site.bridge.write_settings({"reports": {"schedule": "* * * * *"}})
    site.bridge.stop()
    before = len(site.bridge.cli("report", "list")["reports"])
    other = Bridge(site.bridge.folder, site.bridge.devices, site.bridge.clusters)
    site.bridge.start()
    other.start()
    try:
        eventually("kept", lambda: len(site.bridge.cli("report", "list")["reports"]) > before, 90)
        if time.time() % 60 < 50:
            time.sleep(3)  # the other replica had its time too
        found = [one for one in site.bridge.cli("report", "list")["reports"] if one["origin"] == "scheduled"]
        assert len({one["slot"] for one in found}) == len(found)
        assert found[0]["slot"].endswith(":00Z")
        assert [one["devices"] for one in found] == [[DEVICE, "core"]] * len(found)
    finally:
        other.stop()


@pytest.mark.acceptance("reports: on the real control plane, each member says which pod it stands for, as kubectl does")
def test_whom_members_stand_for(
    control_plane: ControlPlane, node: NodeStandIn, new_namespace: Callable[..., str], tmp_path: Path
) -> None:
    control_plane.install_crds(shipped("config/crd"))
    namespace = new_namespace(**{"fusionbridge.io/egress": "governed"})
    labels = {"app": "pay"}
    container = {"name": "pay", "image": "registry.k8s.io/pause:3.10"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "pay"},
        "spec": {"replicas": 3, "selector": {"matchLabels": labels}, "template": template},
    }
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "pay"},
        "spec": {"selector": labels, "ports": [{"port": 80}]},
    }
    control_plane.apply(deployment, service, external_service(), rule("pay"), namespace=namespace)
    entry = ClusterEntry(CLUSTER, control_plane.kubeconfig)
    with bigip() as device, Bridge(tmp_path, {DEVICE: device}, [entry]) as bridge:
        bridge.start()

        def told() -> dict[str, str]:
            done = bridge.command("report", "--format", "csv")
            rows = csv.DictReader(io.StringIO(done.stdout, newline=""))
            return {
                row["item"]: row["stands_for"] for row in rows if row["scope"] == "service" and row["kind"] == "group"
            }

        def pods() -> dict[str, str]:
            found = control_plane.api.items(f"/api/v1/namespaces/{namespace}/pods")
            return {one["status"].get("podIP", ""): f"{namespace}/{one['metadata']['name']}" for one in found}

        eventually("three pods", lambda: len(pods()) == 3 and "" not in pods(), 60)
        eventually("each is told", lambda: told() == pods(), 60)
