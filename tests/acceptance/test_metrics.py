"""What operators see: the objective and everything beside it, alerts and dashboard on a real Prometheus, life and readiness."""

import json
import re
import subprocess
import threading
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from bridge import metrics
from bridge.cli.tenure import Tenure
from bridge.lab.apiserver.faults import Fault
from bridge.model.observed import RESOURCES
from bridge.settings.root import MonitoringSettings
from bridge.state.database import Database
from tests.acceptance.prometheus import MONITORING, Prometheus, program, prometheus
from tests.acceptance.site import CLUSTER, DEVICE, Bridge, eventually, stays
from tests.acceptance.world import World, world
from tests.cli.replica import Device, away, replica

ALERTS = yaml.safe_load((MONITORING / "alerts.yaml").read_text())["groups"][0]["rules"]
DASHBOARD = json.loads((MONITORING / "dashboard.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def listening(bridge: Bridge) -> str:
    """Where it answers, once it says so after its last start."""

    def told() -> list[dict[str, Any]]:
        return [one for one in bridge.log() if one["event"] in ("running", "stopping")][-1:]

    eventually("runs", lambda: [one["event"] for one in told()] == ["running"], 60)
    return str(told()[0]["monitoring"])


def get(bridge: Bridge, path: str) -> tuple[int, str]:
    """Status and text of one of its pages."""
    answer = httpx.get(f"http://{listening(bridge)}{path}", trust_env=False, timeout=5)
    return answer.status_code, answer.text.strip()


def samples(bridge: Bridge) -> dict[str, list[tuple[Mapping[str, str], float]]]:
    """A scrape: labels and values by name."""
    found: dict[str, list[tuple[Mapping[str, str], float]]] = {}
    for family in text_string_to_metric_families(get(bridge, "/metrics")[1]):
        for one in family.samples:
            found.setdefault(one.name, []).append((one.labels, one.value))
    return found


def value(bridge: Bridge, series: str, **labels: str) -> float:
    """One figure."""
    rows = samples(bridge)[f"{metrics.PREFIX}_{series}"]
    (found,) = [value for known, value in rows if labels.items() <= known.items()]
    return found


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One team of two pods, in step."""
    with world(tmp_path_factory.mktemp("site")) as made:
        made.team("shop", "10.244.1.1", "10.244.1.2")
        made.bridge.start()
        made.await_in_step(60)
        yield made
        assert made.bridge.running, made.bridge.log()[-5:]


@pytest.fixture(scope="module")
def watcher(tmp_path_factory: pytest.TempPathFactory, site: World) -> Iterator[Prometheus]:
    """A Prometheus that scrapes the site."""
    with prometheus(tmp_path_factory.mktemp("prometheus"), listening(site.bridge)) as found:
        yield found


@pytest.mark.acceptance("metrics: all series exist from the start, for every device, cluster and watch")
def test_all_series_from_the_start(tmp_path: Path) -> None:
    with world(tmp_path) as site:
        site.api.down()
        site.device.faults.add("answer", status=503, times=None)
        site.bridge.start()
        found = samples(site.bridge)
        named = {"device": {DEVICE}, "cluster": {CLUSTER}, "resource": {str(one) for one in RESOURCES}}
        for one in metrics.TABLE:
            name = f"{one.name}_count" if one.kind == "histogram" else one.name
            assert name in found, one.name
            for label in one.labels:
                values = {labels[label] for labels, _ in found[name]}
                assert values >= named.get(label, set()), (one.name, label, values)
        assert {labels["name"] for labels, _ in found["fusion_bridge_epoch"]} == {DEVICE, CLUSTER}


@pytest.mark.acceptance(
    "metrics: the oldest unapplied change keeps rising while the device is stuck, and falls when it is not"
)
def test_the_objective(site: World) -> None:
    oldest = partial(value, site.bridge, "device_oldest_unapplied_seconds", device=DEVICE)
    eventually("nothing waits", lambda: oldest() == 0)
    lag = partial(value, site.bridge, "device_lag_seconds_count", device=DEVICE)
    before = lag()
    site.device.faults.add("hang", method="POST PATCH PUT", times=None)
    site.pod("shop", "web-7", "10.244.1.7")
    eventually("rises", lambda: oldest() > 3)
    first = oldest()
    eventually("keeps rising", lambda: oldest() > first + 2)
    assert value(site.bridge, "device_waiting_objects", device=DEVICE) == 1
    assert value(site.bridge, "device_in_step", device=DEVICE) == 0
    site.device.faults.clear()
    eventually("applied", lambda: "10.244.1.7" in site.group("service", "shop", "web"))
    eventually("falls", lambda: oldest() == 0)
    assert lag() > before
    assert value(site.bridge, "device_errors_total", device=DEVICE, error="Busy") > 0


@pytest.mark.acceptance("metrics: lag, calls and seconds per device, hand-over window, queue sizes, epoch")
def test_figures(site: World) -> None:
    site.await_in_step()
    calls = partial(value, site.bridge, "device_calls_total", device=DEVICE, operation="apply")
    handed = partial(value, site.bridge, "device_handover_seconds_count", device=DEVICE)
    made, known, before = calls(), len(site.device.requests()), handed()
    site.service("shop", "mail")
    site.service_rule("shop", "mail", "provider")
    uid = site.pod("shop", "web-9", "10.244.1.9")
    eventually("a member", lambda: "10.244.1.9" in site.group("service", "shop", "web"))
    site.pod("shop", "web-9", "10.244.1.9", uid=uid, app="mail")
    eventually("moved", lambda: "10.244.1.9" in site.group("service", "shop", "mail"))
    site.await_in_step()
    assert handed() == before + 1
    writes = [one for one in site.device.requests()[known:] if one.method != "GET" and "/sys/config" not in one.path]
    assert calls() - made >= len(writes) > 0, "every request of a write is counted"
    assert value(site.bridge, "device_operation_seconds_count", device=DEVICE, operation="apply") > 0
    assert value(site.bridge, "intake_waiting_events", cluster=CLUSTER) == 0
    assert value(site.bridge, "epoch", role="device", name=DEVICE) == 1
    assert value(site.bridge, "tenure_held", role="cluster", name=CLUSTER) == 1
    assert value(site.bridge, "watch_silent_seconds", cluster=CLUSTER, resource="pods") < 120
    assert value(site.bridge, "database_seconds_count", kind="transaction") > 10
    eventually("told", lambda: value(site.bridge, "feedback_writes_total", cluster=CLUSTER, target="status") > 0)
    assert value(site.bridge, "feedback_refused_total", cluster=CLUSTER) == 0


@pytest.mark.acceptance("metrics: breaker, held, quarantined and drift are told per device")
def test_what_needs_a_person(tmp_path: Path) -> None:
    guard = {"removalsPerGroup": {"percent": 10, "count": 2}, "removalsPerDevice": {"percent": 5, "count": 200}}
    delivery = {"auditInterval": 2, "saveAfter": 0.5, "guard": guard, "pacing": {"denied": 1}}
    with world(tmp_path, delivery=delivery) as site:
        site.team("shop", *(f"10.244.1.{number}" for number in range(1, 11)))
        site.bridge.start()
        site.await_in_step(60)
        told = partial(value, site.bridge, device=DEVICE)
        site.device.faults.add("forbidden", times=None)
        eventually("the breaker opens", lambda: told("device_breaker_open") == 1)
        eventually("and says why", lambda: told("device_state", state="denied") == 1)
        site.device.faults.clear()
        eventually("closes", lambda: told("device_breaker_open") == 0 and told("device_state", state="ok") == 1)
        drift = told("device_drift_total")
        (path,) = [name for name in site.device.objects(_LISTS) if name.endswith("shop_web")]
        site.device.change_object(f"{_LISTS}/{path.replace('/', '~')}", {"addresses": [{"name": "203.0.113.9"}]})
        eventually("drift is found", lambda: told("device_drift_total") == drift + 1)
        site.bridge.stop()
        for number in range(5):
            site.delete_pod("shop", f"web-{number}")
        site.bridge.start()
        eventually("what nobody saw go is held", lambda: told("device_held_members") == 5)
        eventually("by object too", lambda: told("device_objects", state="Held") == 1)


@pytest.mark.acceptance("health: not ready says which lists, database or schema are missing; ready once they are there")
def test_readiness(tmp_path: Path, database: Database, database_url: str) -> None:
    with world(tmp_path, environment={"FUSION_BRIDGE_DATABASE_URL": database_url}) as site:
        site.team("shop", "10.244.1.1")
        site.api.disturb(Fault("status", 0, resource="pods", code=503))
        site.bridge.start()
        ready = partial(get, site.bridge, "/readyz")
        eventually("pods are missing", lambda: ready() == (503, f"cluster {CLUSTER}: no complete list yet of pods"))
        site.api.calm()
        eventually("ready", lambda: ready() == (200, "ready"))
        with away(database):
            eventually("no database", lambda: ready()[1].startswith("database: the database cannot be used now"), 40)
            stays("alive", lambda: get(site.bridge, "/livez") == (200, "alive"))
        eventually("ready again", lambda: ready() == (200, "ready"), 40)
        with database.transaction() as connection:
            connection.execute("UPDATE alembic_version SET version_num = '0001'")
        eventually("another schema", lambda: ready()[1].startswith("schema: the database is at schema 0001"), 40)
        assert get(site.bridge, "/livez") == (200, "alive")


@pytest.mark.acceptance(
    "health: a device, a cluster or a database that is away is no reason to restart; the objective goes on"
)
def test_life(tmp_path: Path, database: Database, database_url: str) -> None:
    with world(tmp_path, environment={"FUSION_BRIDGE_DATABASE_URL": database_url}) as site:
        site.team("shop", "10.244.1.1")
        site.bridge.start()
        site.await_in_step(60)
        site.device.faults.add("hang", times=None)
        site.pod("shop", "web-7", "10.244.1.7")
        oldest = partial(value, site.bridge, "device_oldest_unapplied_seconds", device=DEVICE)
        eventually("waits", lambda: oldest() > 0)
        site.api.down()
        with away(database):
            eventually("told", lambda: value(site.bridge, "database_up") == 0, 40)
            first = oldest()
            eventually("rises without device and database", lambda: oldest() > first + 2)
            assert get(site.bridge, "/livez") == (200, "alive")
        site.api.up()
        site.device.faults.clear()
        eventually("all is well again", lambda: "10.244.1.7" in site.group("service", "shop", "web"), 60)
        assert get(site.bridge, "/livez") == (200, "alive")


@pytest.mark.acceptance("health: not alive when a loop hangs far beyond its time, or has died")
def test_death(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()

    def hang() -> None:
        over.wait(60)

    def fault(*_: object, **__: object) -> None:
        raise ValueError("a fault of ours")

    with replica(database, device=Device(before_reading=hang), hang_after=1) as one:
        one.controller.start()
        eventually("hangs", lambda: one.get("/livez")[1].startswith("device edge: no sign for "))
        over.set()
        eventually("goes on", lambda: one.get("/livez") == (200, "alive"))
        monkeypatch.setattr(Tenure, "renewed", fault)
        eventually("has died", lambda: one.get("/livez") == (503, "leases: its loop died"))


@pytest.mark.acceptance("health: on loopback unless opened")
def test_loopback(site: World, tmp_path: Path) -> None:
    assert MonitoringSettings().listen.startswith("127.0.0.1:")
    assert site.bridge.process is not None
    process = psutil.Process(site.bridge.process.pid)
    assert {one.laddr.ip for one in process.net_connections("tcp") if one.status == "LISTEN"} == {"127.0.0.1"}
    with world(tmp_path) as opened:
        opened.bridge.write_settings({"monitoring": {"listen": "0.0.0.0:0"}})
        opened.bridge.start()
        assert listening(opened.bridge).startswith("0.0.0.0:")
        assert get(opened.bridge, "/livez") == (200, "alive")


@pytest.mark.acceptance("alerts: promtool accepts the rules, and each fires and does not fire as it should")
def test_rules() -> None:
    for words in (
        ("check", "rules", "alerts.yaml"),
        ("test", "rules", "alerts_test.yaml"),
        ("check", "config", "prometheus.yaml"),
    ):
        done = subprocess.run(
            [program("promtool"), *words], cwd=MONITORING, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
    told = (MONITORING / "alerts_test.yaml").read_text()
    for rule in ALERTS:
        assert rule["annotations"].keys() == {"summary", "action"}
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert told.count(f'ALERTS{{alertname="{rule["alert"]}", alertstate="firing"}}') >= 2, rule["alert"]


@pytest.mark.acceptance(
    "alerts: a real Prometheus evaluates every rule over the real process, and none fires while all is well"
)
def test_rules_on_prometheus(site: World, watcher: Prometheus) -> None:
    site.await_in_step()

    def evaluated() -> list[dict[str, Any]]:
        rules: list[dict[str, Any]] = watcher.ask("rules")["groups"][0]["rules"]
        return rules

    eventually("evaluated", lambda: all(one["health"] == "ok" for one in evaluated()))
    assert [one["name"] for one in evaluated()] == [one["alert"] for one in ALERTS]
    for rule in ALERTS:
        watcher.series(rule["expr"])
        selected = re.findall(r"\b((?:fusion_bridge|process)_\w+)", rule["expr"])
        assert all(watcher.series(name) for name in selected), "an alert asks for a series that is not there"
    eventually("nothing is wrong", lambda: not [one["name"] for one in evaluated() if one["state"] == "firing"], 20)


@pytest.mark.acceptance("dashboard: every query answers with a series on a real Prometheus scraping the real process")
def test_dashboard(watcher: Prometheus) -> None:
    wrong = []
    for panel in PANELS:
        assert panel["description"], panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        for target in panel["targets"]:
            found = watcher.series(_filled(target["expr"]))
            legend = re.findall(r"\{\{(\w+)}}", target["legendFormat"])
            if not found or any(label not in labels for label in legend for labels in found):
                wrong.append((panel["title"], target["expr"], legend, found[:3]))
    assert not wrong
    assert len(PANELS) > 30


@pytest.mark.acceptance("dashboard: its variables offer the devices and clusters that are there")
def test_variables(watcher: Prometheus) -> None:
    offered = {}
    for variable in DASHBOARD["templating"]["list"]:
        if variable["type"] == "query":
            series, label = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable["query"]["query"]).groups()  # type: ignore[union-attr]
            offered[variable["name"]] = watcher.ask(f"label/{label}/values", **{"match[]": series})
    assert offered == {"device": [DEVICE], "cluster": [CLUSTER]}
    expressions = [target["expr"] for panel in PANELS for target in panel["targets"]]
    assert {name for text in expressions for name in re.findall(r"\$(\w+)", text)} <= {
        "device",
        "cluster",
        "__rate_interval",
    }
    places = [(one["gridPos"]["x"], one["gridPos"]["y"]) for one in DASHBOARD["panels"]]
    assert len(set(places)) == len(places)


_LISTS = "security/firewall/address-list"


def _filled(expression: str) -> str:
    """As Grafana asks when everything is chosen."""
    for name, text in (("$device", ".*"), ("$cluster", ".*"), ("$__rate_interval", "20s")):
        expression = expression.replace(name, text)
    return expression
