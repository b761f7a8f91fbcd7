"""How other bridges failed, one named test each: what is read, restarts, and others at work. The rest is in test_field_notes."""

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bridge.lab.apiserver.faults import Fault
from bridge.lab.devices.bigip import Bigip
from bridge.state.database import Database
from bridge.state.embedded import EmbeddedPostgres
from tests.acceptance.site import CLUSTER, LISTS, OWNER, Bridge, ClusterEntry, bigip, eventually, stays
from tests.acceptance.world import OUTSIDE, World, allowed, cluster, world

PROVIDER = "192.0.2.1"


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A database by URL, for as many processes as like."""
    with EmbeddedPostgres(tmp_path_factory.mktemp("postgres")) as server:
        made = Database(server.url)
        made.upgrade()
        made.close()
        yield server.url


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, database: str) -> Iterator[World]:
    """One team of thirty in force."""
    environment = {"FUSION_BRIDGE_DATABASE_URL": database}
    delivery = {"auditInterval": 2, "saveAfter": 0.5}
    with world(tmp_path_factory.mktemp("too"), tls=False, environment=environment, delivery=delivery) as made:
        made.team("shop", *(f"10.244.1.{number}" for number in range(1, 31)))
        made.bridge.start()
        _in_force(made)
        yield made


def _in_force(site: World) -> None:
    eventually(
        "in force",
        lambda: len(site.group("service", "shop", "web")) >= 25 and not site.allowed("10.244.9.9", OUTSIDE),
    )
    site.await_in_step()


def _writes(site: World) -> list[str]:
    """What was written beside the fence."""
    return [path for write in site.device.writes() for path in write.touched if "fence" not in path]


@pytest.mark.acceptance("trust: F07: what came and went while the bridge was down is right after its start")
def test_f07_down_for_a_while(site: World) -> None:
    site.pod("shop", "web-90", "10.244.1.90")
    eventually("there", lambda: site.allowed("10.244.1.90", PROVIDER))
    site.await_in_step()
    site.bridge.stop()
    site.delete_pod("shop", "web-90")
    site.pod("shop", "web-91", "10.244.1.91")
    site.bridge.start()
    eventually("who came", lambda: site.allowed("10.244.1.91", PROVIDER))
    eventually("who went", lambda: not site.allowed("10.244.1.90", PROVIDER))


@pytest.mark.acceptance(
    "trust: F11: a device that was wiped is built again, and until then nobody says that all is well"
)
def test_f11_wiped_device(site: World) -> None:
    site.await_in_step()
    site.device.wipe()
    site.device.put_object("ltm/virtual", {"name": "egress", "partition": "Common", "destination": "/Common/0.0.0.0:0"})
    report = site.bridge.cli("report", codes=(0, 1, 3))
    assert report["missing"] > 0 or site.allowed("10.244.1.1", PROVIDER), "told, or built again already"
    eventually("built again", lambda: len(site.group("service", "shop", "web")) >= 25, 30)
    eventually("closed again", lambda: not site.allowed("10.244.9.9", OUTSIDE), 30)
    site.await_in_step()


@pytest.mark.acceptance(
    "trust: F13: a rule in a namespace that nobody governs is told as that, and never as programmed"
)
def test_f13_no_success_for_the_unmanaged(site: World) -> None:
    site.namespace("wild", governed=False)
    site.service("wild", "web")
    site.pod("wild", "web-1", "10.244.3.1")
    site.external("wild", "provider", "192.0.2.0/28")
    site.service_rule("wild", "web", "provider")
    ref = "ServiceEgressRule wild/web-provider"
    eventually("told", lambda: "NamespaceNotGoverned" in site.problem(ref))
    status = site.store.get("serviceegressrules", "wild", "web-provider").get("status", {})
    conditions = {one["type"]: one["status"] for one in status.get("conditions", ())}
    assert conditions.get("Programmed") != "True"
    assert not any("wild" in name for name in site.lists())


@pytest.mark.acceptance("trust: F17: a restart with nothing changed writes nothing but the fence")
def test_f17_restart_rebuilds_nothing(site: World) -> None:
    site.await_in_step()
    site.bridge.stop()
    writes = _writes(site)
    site.bridge.start()
    eventually("read anew", lambda: site.status()["devices"][0]["state"] == "ok")
    site.pod("shop", "web-95", "10.244.1.95")
    eventually("at work", lambda: site.allowed("10.244.1.95", PROVIDER))
    new = _writes(site)[len(writes) :]
    assert new
    assert all("shop_web" in path for path in new), new


@pytest.mark.acceptance("trust: F18: an empty, cut, stale or failed read of the cluster takes nobody off the device")
@pytest.mark.parametrize("fault", ["empty", "short", "cut", "stale", "status"])
@pytest.mark.parametrize("resource", ["pods", "namespaces"])
def test_f18_bad_reads_delete_nothing(site: World, fault: str, resource: str) -> None:
    site.await_in_step()
    before = site.group("service", "shop", "web")
    site.api.faults.add(Fault(fault, times=2, resource=resource, verb="list", back=10_000))  # type: ignore[arg-type]
    site.store.compact()
    site.api.end_watches()
    stays("nobody goes", lambda: site.group("service", "shop", "web") >= before, 1.5)
    site.api.faults.clear()
    number = 150 + 10 * (resource == "pods") + len(fault)
    site.pod("shop", f"web-{number}", f"10.244.1.{number}")
    eventually("and all goes on", lambda: site.allowed(f"10.244.1.{number}", PROVIDER), 60)
    assert site.group("service", "shop", "web") >= before


@pytest.mark.acceptance(
    "trust: F20: a status field that was emptied is no deletion; what takes the address, or an end, is"
)
def test_f20_emptied_status(site: World) -> None:
    uid = site.pod("shop", "web-120", "10.244.1.120")
    eventually("there", lambda: site.allowed("10.244.1.120", PROVIDER))
    site.pod("shop", "web-120", uid=uid)
    site.pod("shop", "web-121", "10.244.1.121")
    eventually("what came later is there", lambda: site.allowed("10.244.1.121", PROVIDER))
    assert site.allowed("10.244.1.120", PROVIDER)
    site.bridge.stop()
    site.bridge.start()
    site.pod("shop", "web-122", "10.244.1.122")
    eventually("over a restart", lambda: site.allowed("10.244.1.122", PROVIDER))
    assert site.allowed("10.244.1.120", PROVIDER)
    site.pod("shop", "web-120", "10.244.1.123", uid=uid)
    eventually("another address", lambda: site.allowed("10.244.1.123", PROVIDER))
    eventually("the old one goes", lambda: not site.allowed("10.244.1.120", PROVIDER))


@pytest.mark.acceptance(
    "trust: F21: a password that is changed counts without a restart, and stands in no log, not even at debug"
)
def test_f21_secrets(tmp_path: Path, database: str) -> None:
    with world(tmp_path) as site:
        site.bridge.write_settings({"log": {"format": "json", "level": "debug"}})
        site.team("shop", "10.244.1.1")
        site.bridge.start()
        eventually("in force", lambda: not site.allowed("10.244.9.9", OUTSIDE) and site.allowed("10.244.1.1", PROVIDER))
        first, second = site.device.password, "another-Secret-77"
        site.device.tokens.add_user(site.device.username, second)
        (tmp_path / "edge-password").write_text(second)
        site.device.tokens.forget()
        site.pod("shop", "web-2", "10.244.1.2")
        eventually("goes on", lambda: site.allowed("10.244.1.2", PROVIDER), 30)
        text = (tmp_path / "bridge.log").read_text()
        assert '"level": "debug"' in text
        assert not [secret for secret in (first, second, "PRIVATE KEY") if secret in text]


@pytest.mark.acceptance(
    "trust: F22: a second bridge of the same owner, with a database of its own, writes nothing and says why"
)
def test_f22_two_bridges_one_device(tmp_path: Path) -> None:
    with cluster() as lab, bigip(tls=False) as device:
        entry = ClusterEntry(CLUSTER, lab.api.kubeconfig)
        lab.team("shop", "10.244.1.1")
        (tmp_path / "one").mkdir()
        (tmp_path / "two").mkdir()
        with Bridge(tmp_path / "one", {"edge": device}, [entry]) as one:
            one.start()
            eventually("in force", lambda: not allowed(device, "10.244.9.9", OUTSIDE))
            one.await_in_step()
            writes = len(device.writes())
            other = replace(entry, pod_ranges=("10.245.0.0/16",))  # it would take everything of the first off
            with Bridge(tmp_path / "two", {"edge": device}, [other]) as two:
                two.start()
                eventually("says why", lambda: "fence" in (tmp_path / "two" / "bridge.log").read_text())
                stays("writes nothing", lambda: len(device.writes()) == writes, 2)
            lab.pod("shop", "web-7", "10.244.1.7")
            eventually("the first goes on", lambda: allowed(device, "10.244.1.7", PROVIDER))


@pytest.mark.acceptance(
    "trust: F26: during a rolling update one of two replicas writes at any time, and no change is lost"
)
def test_f26_rolling_update(tmp_path: Path, postgres_of_its_own: str) -> None:
    environment = {"FUSION_BRIDGE_DATABASE_URL": postgres_of_its_own}
    with cluster() as lab, bigip(tls=False) as device, contextlib.ExitStack() as stack:
        entry = ClusterEntry(CLUSTER, lab.api.kubeconfig)
        lab.team("shop", "10.244.1.1")
        replicas = []
        for name in ("old", "new"):
            (tmp_path / name).mkdir()
            made = Bridge(tmp_path / name, {"edge": device}, [entry], environment=environment)
            replicas.append(stack.enter_context(made))
        old, new = replicas
        old.start()
        eventually("in force", lambda: not allowed(device, "10.244.9.9", OUTSIDE))
        new.start()
        for number in range(2, 40):
            lab.pod("shop", f"web-{number}", f"10.244.1.{number}")
            if number == 20:
                old.stop()
        eventually("nothing is lost", lambda: _all_allowed(device, range(1, 40)), 30)
        authors = _epochs(device)
        turns = [who for place, who in enumerate(authors) if place == 0 or authors[place - 1] != who]
        assert len(turns) == len(set(turns)), "each wrote in one stretch"


@pytest.fixture
def postgres_of_its_own(tmp_path: Path) -> Iterator[str]:
    """A database that nobody else uses."""
    home = tmp_path / "pg"
    home.mkdir()
    with EmbeddedPostgres(home) as server:
        made = Database(server.url)
        made.upgrade()
        made.close()
        yield server.url


@pytest.mark.acceptance("trust: F10: the route domain is what the settings say, on every address")
def test_f10_route_domain_is_no_constant(tmp_path: Path) -> None:
    overrides = {"edge": {"scope": _scope(7), "attach": "none"}}
    with world(tmp_path, tls=False, overrides=overrides) as site:
        site.device.put_object("net/route-domain", {"name": "7", "partition": "Common", "id": 7})
        site.team("shop", "10.244.1.1")
        site.bridge.start()

        def written() -> set[str]:
            lists = site.device.objects(LISTS, f"/Common/{OWNER}/")
            return {
                one["name"] for path, body in lists.items() if "shop_web" in path for one in body.get("addresses", ())
            }

        eventually("with its domain", lambda: "10.244.1.1%7" in written())
        assert all(name.endswith("%7") or name.startswith("::1:5ee") for name in written())


def _scope(domain: int) -> dict[str, object]:
    clusters = {CLUSTER: {"default": {"action": "Deny", "unknownAddresses": "Deny"}}}
    return {"clusters": clusters, "bigip": {"routeDomain": domain}}


def _all_allowed(device: Bigip, numbers: range) -> bool:
    return all(allowed(device, f"10.244.1.{number}", PROVIDER) for number in numbers)


def _epochs(device: Bigip) -> list[str]:
    """Of every write, the epoch that stood in the fence object then."""
    found, epoch = [], ""
    for write, state in device.timeline():
        fences = [repr(item.body) for key, item in state.items() if "fence" in key[1]]
        epoch = fences[0] if fences else epoch
        if not any("fence" in path for path in write.touched):
            found.append(epoch)
    return found
