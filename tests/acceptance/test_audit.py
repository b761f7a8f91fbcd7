"""Who changed what on a device, and whether the record of it is whole: with the real program, by SQL and by hand behind its back."""

import contextlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bridge.lab.devices.bigip import Bigip
from bridge.resources import shipped
from bridge.state.database import Database
from bridge.state.embedded import EmbeddedPostgres
from bridge.state.pruning import prune
from tests.acceptance.shop import MANIFESTS, Shop, external_service, rule
from tests.acceptance.site import CLUSTER, LISTS, OWNER, Bridge, ClusterEntry, bigip, eventually, stays
from tests.acceptance.world import OUTSIDE, Cluster, allowed, cluster
from tests.control_plane.node import NodeStandIn
from tests.control_plane.plane import ControlPlane

PROVIDER = "192.0.2.1"
POD = "10.244.1.1"
LONG, SHORT = 3600, 2  # seconds between audits


class Site:
    """A cluster, the device `edge` that is written to, the device `core` that may be only watched, and the bridge of both."""

    def __init__(self, made: Cluster, bridge: Bridge) -> None:
        self.cluster, self.bridge = made, bridge
        self.edge, self.core = bridge.devices["edge"], bridge.devices["core"]

    def start(self, *, interval: float, core: str = "apply") -> None:
        """Run the bridge anew with these settings, until it has read both devices."""
        self.bridge.stop()
        self.bridge.delivery = {"auditInterval": interval, "saveAfter": 0.5}
        self.bridge.overrides = {"core": {"mode": core}}
        self.bridge.write_settings()
        known = self.read_at()
        self.bridge.start()

        def read() -> bool:
            now = self.read_at()
            return len(now) == 2 and all(now[name] != known.get(name) for name in now)

        eventually("both devices are read", read)
        if core == "apply":
            self.bridge.await_in_step()

    def read_at(self) -> dict[str, datetime]:
        """When each device was last read, of those that ever were."""
        with self.bridge.state() as connection:
            if connection.execute("SELECT to_regclass('device')").fetchone() == (None,):
                return {}
            rows = connection.execute("SELECT name, last_read FROM device WHERE last_read IS NOT NULL").fetchall()
        return {str(name): at for name, at in rows if isinstance(at, datetime)}

    def open_everything(self, device: Bigip) -> None:
        """Somebody lets the team reach every address, by hand."""
        (path,) = (
            name for name, body in device.objects(LISTS, f"/Common/{OWNER}").items() if "192.0.2.0/28" in str(body)
        )
        device.change_object(f"{LISTS}/{path.replace('/', '~')}", {"addresses": [{"name": "0.0.0.0/0"}]})
        assert allowed(device, POD, OUTSIDE)

    def rows(self, device: str, after: int = 0) -> list[dict[str, Any]]:
        """The audit of a device, the oldest first."""
        columns = "number, at, key, op, cause, before, after, plan_digest, outcome, lag, hash"
        query = f"SELECT {columns} FROM audit WHERE device = %s AND number > %s ORDER BY number"  # noqa: S608
        with self.bridge.state() as connection:
            found = connection.execute(query.encode(), [device, after]).fetchall()
        return [dict(zip(columns.split(", "), row, strict=True)) for row in found]

    def last(self, device: str) -> int:
        """The number of the last row."""
        return max((row["number"] for row in self.rows(device)), default=0)

    def drift(self, device: str, after: int) -> list[dict[str, Any]]:
        """What was found there that the bridge did not do."""
        return [row for row in self.rows(device, after) if row["op"] == "drift"]

    def head(self, device: str) -> str:
        """As `audit heads` prints it."""
        (found,) = self.bridge.cli("audit", "heads", device)["devices"]
        return f"{found['number']}:{found['hash']}"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One team of three pods on two devices."""
    folder = tmp_path_factory.mktemp("site")
    with cluster() as made, bigip() as edge, bigip() as core:
        entry = ClusterEntry(CLUSTER, made.api.kubeconfig)
        with Bridge(folder, {"edge": edge, "core": core}, [entry]) as bridge:
            made.team("shop", POD, "10.244.1.2", "10.244.1.3")
            found = Site(made, bridge)
            found.start(interval=LONG)
            yield found


# ---- every change has a row


@pytest.fixture(scope="module")
def bridge(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bridge]:
    """A bridge on the real control plane."""
    control_plane.install_crds(shipped("config/crd"))
    entry = ClusterEntry(CLUSTER, control_plane.kubeconfig)
    with bigip() as device, Bridge(tmp_path_factory.mktemp("bridge"), {"edge": device}, [entry]) as made:
        made.start()
        yield made


@pytest.mark.acceptance(
    "audit: every device change has its cause (object, resourceVersion, actor), before, after, plan digest, outcome and lag"
)
@pytest.mark.timeout(240)
@pytest.mark.skipif(not MANIFESTS.exists(), reason="needs online-boutique.yaml")
def test_cause(
    control_plane: ControlPlane, node: NodeStandIn, new_namespace: Callable[..., str], bridge: Bridge
) -> None:
    shop = Shop(control_plane, new_namespace(**{"fusionbridge.io/egress": "governed"}), bridge.devices["edge"], bridge)
    shop.load()
    shop.apply(external_service(), rule())
    shop.await_step("paymentservice alone reaches the provider", seconds=90)
    bridge.await_in_step()

    def rows(part: str) -> list[dict[str, Any]]:
        columns = "number, key, op, cause, before, after, plan_digest, outcome, lag"
        query = f"SELECT {columns} FROM audit WHERE strpos(key, %s) > 0 ORDER BY number"  # noqa: S608
        with bridge.state() as connection:
            found = connection.execute(query.encode(), [part]).fetchall()
        return [dict(zip(columns.split(", "), row, strict=True)) for row in found]

    everything = rows("")
    assert everything[0]["op"] == "take-over"
    assert all(row["cause"] and row["before"] and row["after"] and row["outcome"] for row in everything)
    assert all(row["plan_digest"] for row in everything if row["op"] != "take-over")

    # A person edits the destination with kubectl.
    known = len(rows(shop.namespace))
    patch = '{"spec":{"addresses":["203.0.113.7"]}}'
    shop.kubectl("patch", "externalservice", "provider", "--type=merge", "-p", patch)
    eventually("the edit is on the device", lambda: len(rows(shop.namespace)) > known)
    version = shop.kubectl("get", "externalservice", "provider", "-o", "jsonpath={.metadata.resourceVersion}")
    (row,) = rows(shop.namespace)[known:]
    assert row["cause"].startswith(f"ExternalService {shop.namespace}/provider at ")
    assert " by kubectl" in row["cause"]
    assert version
    assert "192.0.2.0/28" in row["before"]
    assert "203.0.113.7" in row["after"]
    assert (row["op"], row["outcome"]) == ("update", "done")
    assert 0 <= row["lag"] < 30

    # A controller scales a Deployment: the pods are named.
    known = len(rows("paymentservice"))
    shop.kubectl("scale", "deployment/paymentservice", "--replicas=3")
    shop.await_scaled("paymentservice", 3)
    shop.provider = "203.0.113.7"
    shop.await_step("three replicas")
    bridge.await_in_step()
    scaled = rows("paymentservice")[known:]
    assert scaled
    assert all(f"Pod {shop.namespace}/paymentservice-" in one["cause"] and " at " in one["cause"] for one in scaled)
    assert bridge.cli("audit", "verify")["sound"]


@pytest.mark.acceptance("audit: attachment, cleaning up and a new owner are changes of the device, and have rows too")
def test_other_changes(site: Site) -> None:
    rows = site.rows("edge")
    attached = [row for row in rows if row["key"].startswith("attachment:")]
    assert {row["op"] for row in attached} == {"create"}
    assert len(attached) == 3
    known = site.last("edge")
    site.start(interval=LONG)
    (row,) = site.rows("edge", known)
    assert (row["op"], row["key"]) == ("take-over", "fence:/builtin//")
    assert row["before"].startswith("epoch ")
    assert row["after"] != row["before"]


# ---- the chain


@contextlib.contextmanager
def tampered(site: Site, *statements: str) -> Iterator[None]:
    """These statements on the real database, undone at the end."""
    tables = ("audit", "device", "audit_checkpoint")
    with site.bridge.state() as connection:
        for table in tables:
            connection.execute(f"CREATE TABLE copy_{table} AS TABLE {table}".encode())
        for statement in statements:
            connection.execute(statement.encode())
        yield
        connection.execute("TRUNCATE audit, audit_checkpoint")
        connection.execute("INSERT INTO audit OVERRIDING SYSTEM VALUE SELECT * FROM copy_audit")
        connection.execute("INSERT INTO audit_checkpoint SELECT * FROM copy_audit_checkpoint")
        connection.execute(
            "UPDATE device d SET audit_number = c.audit_number, audit_head = c.audit_head FROM copy_device c WHERE c.name = d.name"
        )
        for table in tables:
            connection.execute(f"DROP TABLE copy_{table}".encode())


TAMPERINGS = {
    "an edited row": (
        "UPDATE audit SET cause = 'nobody' WHERE device = 'edge' AND number = 4",
        "row 4 is not as it was written",
    ),
    "a removed row": ("DELETE FROM audit WHERE device = 'edge' AND number = 3", "row 3 is missing"),
    "a removed end": ("DELETE FROM audit WHERE device = 'edge' AND number > 6", "missing at the end"),
    "an inserted row": (
        """INSERT INTO audit (device, at, key, op, cause, before, after, plan_digest, outcome, number, hash)
        SELECT device, at, key, op, cause, before, after, plan_digest, outcome, number + 1, hash
        FROM audit WHERE device = 'edge' ORDER BY number DESC LIMIT 1""",
        "beyond the head",
    ),
    "a changed head": ("UPDATE device SET audit_head = repeat('0', 64) WHERE name = 'edge'", "the head of the device"),
}


@pytest.mark.acceptance(
    "audit: one hash chain per device, checked by `audit verify`, which finds and places any tampering"
)
def test_chain(site: Site) -> None:
    site.bridge.await_in_step()
    whole = site.bridge.cli("audit", "verify")
    assert whole["sound"]
    assert {one["device"]: one["rows"] for one in whole["devices"]} == {
        name: len(site.rows(name)) for name in ("edge", "core")
    }
    for what, (statement, words) in TAMPERINGS.items():
        with tampered(site, statement):
            found = site.bridge.cli("audit", "verify", codes=(1,))
            told = {one["device"]: [each["what"] for each in one["problems"]] for one in found["devices"]}
            assert any(words in each for each in told["edge"]), what
            assert told["core"] == [], "the chain of another device is another chain"
    with tampered(site, TAMPERINGS["a removed row"][0]):
        told_to_people = site.bridge.command("audit", "verify", "edge")
        assert told_to_people.returncode == 1
        assert "BROKEN" in told_to_people.stdout
        assert "row 3 is missing" in told_to_people.stdout
    assert site.bridge.cli("audit", "verify")["sound"]


@pytest.mark.acceptance("audit: its head is printed in every report, and a head that was printed once is found again")
def test_heads(site: Site) -> None:
    printed = site.bridge.cli("report", "--keep", codes=(0, 1))
    heads = {one["device"]: f"{one['audit']['number']}:{one['audit']['hash']}" for one in printed["byDevice"]}
    assert heads == {name: site.head(name) for name in ("edge", "core")}
    site.cluster.pod("shop", "web-9", "10.244.1.9")
    eventually("the chain goes on", lambda: site.head("edge") != heads["edge"])
    asked = site.bridge.cli("audit", "verify", "--head", heads["edge"], "--head", heads["core"].partition(":")[2])
    assert [(one["device"], one["answer"]) for one in asked["asked"]] == [
        ("edge", "part of the chain"),
        ("core", "part of the chain"),
    ]
    assert all(one["heads"] for one in asked["devices"]), "the heads of kept reports are looked for too"
    unknown = site.bridge.cli("audit", "verify", "--head", "0" * 64, codes=(1,))
    assert unknown["asked"][0]["answer"] == "not part of the chain"
    assert site.bridge.command("audit", "verify", "--head", "17").returncode == 2
    # Whoever writes everything anew, from the first row on, meets what was printed before.
    with tampered(
        site,
        "DELETE FROM audit WHERE device = 'edge'",
        "UPDATE device SET audit_number = 0, audit_head = '' WHERE name = 'edge'",
    ):
        found = site.bridge.cli("audit", "verify", codes=(1,))
        edge = next(one for one in found["devices"] if one["device"] == "edge")
        assert "which is not there" in edge["problems"][0]["what"]


@pytest.mark.acceptance(
    "audit: pruning leaves a checkpoint: the chain stays whole, and older heads are said to be older"
)
def test_pruning(site: Site) -> None:
    site.bridge.await_in_step()
    old = site.head("edge")
    known = site.last("edge")
    site.cluster.pod("shop", "web-10", "10.244.1.10")
    eventually("one more", lambda: site.last("edge") > known)
    site.cluster.pod("shop", "web-11", "10.244.1.11")
    eventually("and one more", lambda: site.last("edge") > known + 1)
    until = next(row["at"] for row in site.rows("edge") if row["number"] == known + 2)
    with EmbeddedPostgres(site.bridge.folder / "data") as server:
        database = Database(server.url)
        prune(database, until)
        database.close()
    assert [row["number"] for row in site.rows("edge")] == list(range(known + 2, site.last("edge") + 1))
    found = site.bridge.cli("audit", "verify", "edge", "--head", old)
    (edge,) = found["devices"]
    assert edge["sound"]
    assert edge["checkpoint"]["number"] == known + 1
    assert found["asked"][0]["answer"] == "before the oldest checkpoint"
    site.cluster.pod("shop", "web-12", "10.244.1.12")
    eventually("it goes on", lambda: site.last("edge") > edge["head"]["number"])
    assert site.bridge.cli("audit", "verify")["sound"]


# ---- drift


@pytest.mark.acceptance(
    "drift: a manual change is found within the audit interval, recorded with before and after, and repaired"
)
def test_drift_is_repaired(site: Site) -> None:
    site.start(interval=SHORT)
    known = site.last("edge")
    site.open_everything(site.edge)
    eventually("repaired", lambda: not allowed(site.edge, POD, OUTSIDE), 20)
    assert allowed(site.edge, POD, PROVIDER)
    eventually("recorded", lambda: len(site.drift("edge", known)) == 1)
    drift, repair = site.rows("edge", known)
    assert drift["cause"] == "changed on the device, not by this bridge"
    assert drift["outcome"] == "repaired"
    assert "0.0.0.0/0" in drift["after"]
    assert (repair["key"], repair["outcome"]) == (drift["key"], "done")
    stays("once", lambda: site.last("edge") == repair["number"], 2 * SHORT + 1)
    assert site.bridge.cli("audit", "verify")["sound"]


@pytest.mark.acceptance("drift: in mode plan a manual change is found, recorded once, and left")
def test_drift_is_left(site: Site) -> None:
    site.start(interval=SHORT, core="plan")
    known, writes = site.last("core"), len(site.core.writes())
    site.open_everything(site.core)
    eventually("recorded", lambda: len(site.drift("core", known)) == 1, 20)
    stays(
        "once, and left", lambda: len(site.rows("core", known)) == 1 and allowed(site.core, POD, OUTSIDE), 2 * SHORT + 2
    )
    assert site.drift("core", known)[0]["outcome"] == "left: the device is in mode plan"
    assert len(site.core.writes()) == writes + 1, "nobody wrote but that person"
    report = site.bridge.cli("report", "core", codes=(1,))
    assert report["byDevice"][0]["drift"][0]["cause"] == "changed on the device, not by this bridge"
    site.start(interval=SHORT)
    eventually("in mode apply it is repaired", lambda: not allowed(site.core, POD, OUTSIDE))


@pytest.mark.acceptance("drift: `report --fresh` has a manual change found at once")
def test_fresh(site: Site) -> None:
    site.start(interval=LONG)
    known = site.last("edge")
    site.open_everything(site.edge)
    stays("nobody looks", lambda: allowed(site.edge, POD, OUTSIDE), 1)
    report = site.bridge.cli("report", "--fresh", codes=(1,))
    edge = next(one for one in report["byDevice"] if one["device"] == "edge")
    assert (report["inStep"], edge["missing"] + edge["extra"]) == (True, 0), "as it is after the repair"
    assert edge["drift"][0]["outcome"] == "repaired"
    assert edge["drift"][0]["number"] > known
    assert not allowed(site.edge, POD, OUTSIDE)
    assert site.bridge.cli("report")["inStep"]
    # Nobody is waited for where nobody is.
    site.bridge.stop()
    site.open_everything(site.edge)
    began = datetime.now(UTC)
    done = site.bridge.command("report", "--fresh")
    assert done.returncode == 1
    assert "edge: no bridge has it now" in done.stderr
    assert datetime.now(UTC) - began < timedelta(seconds=60)


@pytest.mark.acceptance("drift: a manual change made while the bridge was stopped is found at its start")
def test_restart(site: Site) -> None:
    site.start(interval=LONG)
    site.bridge.stop()
    known = site.last("edge")
    site.open_everything(site.edge)
    # Members of a group too, more than could go without a person if they were ours.
    (path,) = (name for name in site.edge.objects(LISTS, f"/Common/{OWNER}") if name.endswith("_service_shop_web"))
    added = [{"name": f"10.244.9.{number}"} for number in range(1, 61)]
    site.edge.change_object(f"{LISTS}/{path.replace('/', '~')}", {"addresses": [{"name": POD}, *added]})
    site.start(interval=LONG)
    eventually("repaired", lambda: not allowed(site.edge, POD, OUTSIDE))
    assert not allowed(site.edge, "10.244.9.1", PROVIDER)
    assert site.bridge.cli("report")["held"] is False
    drift = site.drift("edge", known)
    assert {one["outcome"] for one in drift} == {"repaired"}
    assert {one["cause"] for one in drift} == {"changed on the device while no bridge was watching it"}
    assert len(drift) == 2
    assert site.bridge.cli("audit", "verify")["sound"]
