"""What is lost and comes back otherwise: a database, a device, a cluster. Nothing stale stays, nothing is done by inference without the
guard, and a person decides who is who; with the commands of the runbook in docs/operations.md.
"""

import contextlib
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bridge.lab.apiserver import ApiServer, LabCluster
from bridge.lab.devices.bigip.store import Author
from bridge.state.data_folder import installed
from tests.acceptance.documented import Document
from tests.acceptance.site import (
    CLUSTER,
    FOLDER,
    LISTS,
    OWNER,
    PROGRAM,
    Bridge,
    ClusterEntry,
    bigip,
    eventually,
    ours,
    stays,
)
from tests.acceptance.world import OUTSIDE, Cluster, World, run, world

PROVIDER, UNKNOWN = "192.0.2.1", "10.244.255.77"
ONE, TWO, THREE, FOUR = "10.244.1.1", "10.244.1.2", "10.244.1.3", "10.244.1.4"
WHO = ("--by", "ada", "--reason", "the database was lost")
LOOK = ("--watch", "1")


@pytest.fixture
def site(tmp_path: Path, database_url: str) -> Iterator[World]:
    """One team at work, on a device that is looked at often."""
    with at_work(tmp_path, environment={"FUSION_BRIDGE_DATABASE_URL": database_url}) as made:
        yield made


@contextlib.contextmanager
def at_work(folder: Path, **more: Any) -> Iterator[World]:  # noqa: ANN401
    """The same, with these things said to the bridge."""
    with world(folder, delivery={"auditInterval": 5, "saveAfter": 0.5}, **more) as made:
        made.team("shop", ONE, TWO)
        made.bridge.start()
        in_force(made)
        yield made


def in_force(site: World) -> None:
    """What is wanted is what the device does."""
    eventually("in force", lambda: site.allowed(ONE, PROVIDER) and not site.allowed(UNKNOWN, OUTSIDE))
    site.await_in_step()


def device(site: World) -> dict[str, Any]:
    """What `status` says of the device."""
    unknown = {"state": "not registered", "message": ""}
    found: dict[str, Any] = next((one for one in site.status()["devices"] if one["name"] == "edge"), unknown)
    return found


def stopped(site: World, *words: str) -> dict[str, Any]:
    """Once nothing is done there until a person decides, which `status` says with these words."""
    eventually("stopped", lambda: device(site)["state"] == "stopped")
    found = device(site)
    assert all(word in found["message"] for word in words), found["message"]
    return found


def audited(site: World, op: str) -> tuple[str, str, str]:
    """Before, after and cause of the last such row of the device's audit."""
    with site.bridge.state() as connection:
        query = "SELECT before, after, cause FROM audit WHERE op = %s ORDER BY id DESC LIMIT 1"
        row = connection.execute(query, [op]).fetchone()
    assert row is not None, op
    return str(row[0]), str(row[1]), str(row[2])


def ever(site: World, since: int, address: str) -> bool:
    """Whether the device let the address through to the provider at any moment after that write."""
    group = f"{OWNER}_{site.name}_service_shop_web"
    return any(
        address in item.body.get("addresses", ())
        for write, state in site.device.timeline()
        if write.number > since
        for (kind, path), item in state.items()
        if kind == LISTS and path.rpartition("/")[2].startswith(group)
    )


def count(site: World) -> int:
    """How many writes the device has had."""
    written = site.device.writes()
    return written[-1].number if written else 0


def runbook(name: str, site: World, folder: Path) -> str:
    """The commands of an example in docs/operations.md, for this site: what stands in capitals there is known here."""
    text = Document(Path("docs/operations.md")).examples()[name]
    known = {
        "DATABASE_URL": site.bridge.environment.get("FUSION_BRIDGE_DATABASE_URL", "").replace("+psycopg", ""),
        "kubectl exec --namespace fusion-bridge deployment/fusion-bridge --": "",
        "fusion-bridge ": f"{PROGRAM} --config {site.bridge.config} ",
        "bridge.dump": str(folder / "bridge.dump"),
        "DEVICE": "edge",
        "CLUSTER": CLUSTER,
        "NAME": "ada",
        "TEXT": "'as the runbook says'",
    }
    lines = [line for line in text.splitlines() if not line.startswith(("```", "kubectl scale"))]
    for theirs, value in known.items():
        lines = [line.replace(theirs, value) for line in lines]
    return "\n".join(lines)


def shell(commands: str, site: World) -> None:
    """All of them, one after the other, each of which must go well."""
    found = installed()
    tools = found[max(found)]
    environment = {**os.environ, **site.bridge.environment, "PATH": f"{tools}:{os.environ['PATH']}"}
    done = run("sh", "-ec", commands, env=environment)
    assert done.returncode == 0, (commands, done.stdout, done.stderr)


# ---- the database


@pytest.mark.acceptance(
    "trust: a lost database: nothing is written until a person lets go of the old owner, then objects of ours are found by their marks"
)
def test_lost_database(site: World, empty_url: str) -> None:
    known, before = ours(site.device), count(site)
    site.bridge.stop()
    site.bridge.environment = {"FUSION_BRIDGE_DATABASE_URL": empty_url}
    assert site.bridge.command("db", "upgrade").returncode == 0
    site.delete_pod("shop", "web-1")
    site.pod("shop", "web-2", THREE)
    site.bridge.start()
    said = stopped(site, "of installation", "fusion-bridge fence reset edge --by")
    stays("nothing is written", lambda: count(site) == before)

    shown = site.bridge.cli("fence", "show", codes=(1,))["devices"]
    assert [(one["device"], one["ours"], one["problem"]) for one in shown] == [("edge", False, "another bridge's")]
    assert shown[0]["fence"] in said["message"]
    assert site.bridge.command("fence", "reset", "edge", "--by", "ada", "--reason", " ").returncode == 2
    assert site.bridge.cli("fence", "reset", "edge", *WHO, *LOOK)["reset"] == ["edge"]

    eventually("the world of now", lambda: site.group("service", "shop", "web") == {ONE, THREE})
    site.await_in_step()
    assert ours(site.device) == known, "found by their marks: none made anew under another name, none forgotten"
    assert site.bridge.cli("fence", "show")["devices"][0]["problem"] == ""
    assert site.bridge.command("fence", "reset", "edge", *WHO, *LOOK).returncode == 3, "there is nothing to reset now"
    assert audited(site, "reset")[0] == shown[0]["fence"].replace("installation ", "")
    assert audited(site, "reset")[2] == "by ada: the database was lost"
    assert site.bridge.command("audit", "verify").returncode == 0


@pytest.mark.acceptance("trust: whoever still writes to a device is not shut out by a slip: `fence reset` sees him")
def test_a_living_owner(site: World, tmp_path: Path, empty_url: str) -> None:
    other, environment = tmp_path / "other", {"FUSION_BRIDGE_DATABASE_URL": empty_url}
    other.mkdir()
    entry = ClusterEntry(site.name, site.api.kubeconfig)
    with Bridge(other, {"edge": site.device}, [entry], environment=environment) as second:
        assert second.command("db", "upgrade").returncode == 0
        second.start()
        eventually("the second bridge is stopped", lambda: _state(second) == "stopped")
        with churning(site):
            done = second.command("fence", "reset", "edge", *WHO, "--watch", "8")
        assert done.returncode == 3, done.stdout
        assert "its owner lives" in done.stderr
        assert _state(second) == "stopped"
        site.pod("shop", "web-9", FOUR)
        eventually("the first goes on", lambda: site.allowed(FOUR, PROVIDER))


@contextlib.contextmanager
def churning(site: World) -> Iterator[None]:
    """Pods come and go all the time."""
    import threading

    done = threading.Event()

    def churn() -> None:
        number = 10
        while not done.wait(0.5):
            number += 1
            site.pod("shop", f"web-{number}", f"10.244.2.{number}")

    thread = threading.Thread(target=churn)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _state(bridge: Bridge) -> str:
    found = bridge.cli("status", codes=(0, 1, 3))["devices"]
    return str(found[0]["state"]) if found else ""


@pytest.mark.acceptance(
    "trust: an old database put back while the world went on: no address comes back that nobody holds, and the device follows the cluster"
)
def test_old_database(tmp_path: Path) -> None:
    """A copy of the folder. Nobody took over since: the epochs are equal, and nothing but the device tells that it is an old one."""
    with at_work(tmp_path) as site:
        data, copy = site.bridge.folder / "data", tmp_path / "copy"
        site.bridge.stop()
        assert run("cp", "-a", data, copy).returncode == 0, "with its owners"
        site.bridge.start()
        before = moved_on(site)
        site.bridge.stop()
        site.pod("shop", "web-3", FOUR)
        shutil.rmtree(data)
        assert run("cp", "-a", copy, data).returncode == 0
        site.bridge.start()
        of_now(site, before)


@pytest.mark.acceptance(
    "trust: an old database whose device is above it: stopped, and mended by the commands of the runbook"
)
def test_restored_by_the_runbook(site: World, tmp_path: Path) -> None:
    """As docs/operations.md has it: pg_dump, pg_restore, and the fence."""
    commands = runbook("backup", site, tmp_path)
    shell(commands, site)
    for epoch in (2, 3):
        site.bridge.stop()
        site.bridge.start()
        eventually("taken over", lambda epoch=epoch: taken(site) == epoch)  # type: ignore[misc]
    before = moved_on(site)
    site.bridge.stop()
    site.pod("shop", "web-3", FOUR)
    shell(runbook("restore", site, tmp_path), site)
    site.bridge.start()
    stopped(site, "fusion-bridge fence reset edge")
    shown = site.bridge.cli("fence", "show", codes=(1,))["devices"][0]
    assert shown["problem"] == "the database is older than the device"
    shell(runbook("fence", site, tmp_path), site)
    of_now(site, before)


def taken(site: World) -> object:
    """The epoch under which the device is kept."""
    with site.bridge.state() as connection:
        row = connection.execute("SELECT epoch FROM replica_lease WHERE role = 'device' AND holder <> ''").fetchone()
    return row[0] if row else None


def moved_on(site: World) -> int:
    """A pod is gone and another one came; the number of the device's last write."""
    in_force(site)
    site.delete_pod("shop", "web-1")
    site.pod("shop", "web-2", THREE)
    eventually("the world went on", lambda: site.group("service", "shop", "web") == {ONE, THREE})
    site.await_in_step()
    return count(site)


def of_now(site: World, since: int) -> None:
    """The device holds who is there now, and never held who is gone since that write."""
    eventually("the world of now", lambda: site.group("service", "shop", "web") == {ONE, THREE, FOUR})
    site.await_in_step()
    assert not ever(site, since, TWO), "the address of a workload that is gone was let through again"
    stays("and so it stays", lambda: site.group("service", "shop", "web") == {ONE, THREE, FOUR}, 1)


@pytest.mark.acceptance(
    "trust: an emptied database: the running program waits and writes nothing; put back, it goes on"
)
def test_emptied_while_it_runs(tmp_path: Path, database_url: str) -> None:
    with world(tmp_path, environment={"FUSION_BRIDGE_DATABASE_URL": database_url}) as site:
        site.team("shop", ONE, TWO)
        site.bridge.start()
        in_force(site)
        before = count(site)
        with site.bridge.state() as connection:
            connection.execute("ALTER SCHEMA public RENAME TO lost")
            connection.execute("CREATE SCHEMA public")
        site.delete_pod("shop", "web-1")
        stays("nothing is written by inference", lambda: count(site) == before and site.bridge.running, 4)
        refused = site.bridge.command("status")
        assert refused.returncode == 2
        assert "run `fusion-bridge db upgrade`" in refused.stderr
        with site.bridge.state() as connection:
            connection.execute("DROP SCHEMA public")
            connection.execute("ALTER SCHEMA lost RENAME TO public")
        eventually("it goes on", lambda: site.group("service", "shop", "web") == {ONE}, 60)


# ---- the device


@pytest.mark.acceptance("trust: a device that was wiped is found empty and filled again, whole and without a person")
def test_wiped_device(site: World) -> None:
    held = {path: body["addresses"] for path, body in site.device.objects(LISTS, FOLDER).items()}
    site.device.wipe()
    egress(site)
    eventually("filled again", lambda: site.allowed(ONE, PROVIDER) and not site.allowed(UNKNOWN, OUTSIDE))
    site.await_in_step()
    assert {path: body["addresses"] for path, body in site.device.objects(LISTS, FOLDER).items()} == held


@pytest.mark.acceptance(
    "trust: a device restored from an old backup: what it holds too much goes, what it lacks comes back"
)
def test_device_of_yesterday(site: World) -> None:
    backup = site.device.state()
    site.delete_pod("shop", "web-1")
    site.pod("shop", "web-2", THREE)
    eventually("the world went on", lambda: site.group("service", "shop", "web") == {ONE, THREE})
    site.await_in_step()
    site.device.store.replace(backup, Author("somebody", "", "RESTORE", ""))
    assert site.allowed(TWO, PROVIDER), "a stale address, for one cycle"
    eventually("put right", lambda: site.group("service", "shop", "web") == {ONE, THREE})
    site.await_in_step()


@pytest.mark.acceptance(
    "trust: another device in the place of one is left alone until a person confirms it, then it is filled"
)
def test_replaced_device(site: World) -> None:
    site.device.wipe()
    site.device.identity.serial = "chs500999s"
    egress(site)
    before = count(site)
    stopped(site, "was chs400015s and is now chs500999s", "fusion-bridge confirm device edge --by")
    stays("nothing is written", lambda: count(site) == before)
    told = site.bridge.cli("confirm", "device", "edge", "--by", "ada", "--reason", "RMA 4711")
    assert (told["before"], told["now"]) == ("chs400015s", "chs500999s")
    in_force(site)
    assert audited(site, "confirm") == ("chs400015s", "chs500999s", "by ada: RMA 4711")
    again = site.bridge.command("confirm", "device", "edge", "--by", "ada", "--reason", "RMA 4711")
    assert again.returncode == 3
    assert device(site)["identity"] == "chs500999s"

    # The two units of a pair, one after the other behind the same address.
    site.device.identity.serial = "chs500998s"
    stopped(site, "chs500998s")
    site.bridge.cli("confirm", "device", "edge", "--also", "--by", "ada", "--reason", "its pair")
    in_force(site)
    site.device.identity.serial = "chs500999s"
    stays("either is the device", lambda: device(site)["state"] == "ok", 6)


@pytest.mark.acceptance("trust: an object of ours that lost its mark is left alone, and adopted when a person says so")
def test_adopted(site: World) -> None:
    key = f"group:{CLUSTER}/service/shop/web"
    path = next(path for path in site.device.objects(LISTS, FOLDER) if path.endswith("_service_shop_web"))
    site.device.change_object(f"{LISTS}/{path.replace('/', '~')}", {"description": "mine"})
    eventually("left alone, and said", lambda: device(site)["quarantined"] > 0)
    site.delete_pod("shop", "web-1")
    stays("left alone", lambda: TWO in site.group("service", "shop", "web"))
    assert TWO in site.group("service", "shop", "web")
    wrong = site.bridge.command("adopt", "edge", path, "--by", "ada", "--reason", "a slip")
    assert wrong.returncode == 2, "by its key"
    site.bridge.cli("adopt", "edge", key, "--by", "ada", "--reason", "a slip of ours")
    eventually("ours again", lambda: site.group("service", "shop", "web") == {ONE})
    site.await_in_step()
    assert device(site)["quarantined"] == 0
    assert audited(site, "adopt")[2] == "by ada: a slip of ours"


def egress(site: World) -> None:
    """The virtual server that service policies are attached to, which is not ours to make."""
    site.device.put_object("ltm/virtual", {"name": "egress", "partition": "Common", "destination": "/Common/0.0.0.0:0"})


# ---- the cluster


@pytest.mark.acceptance(
    "trust: a cluster rebuilt under the same name: nothing is taken from it before a person confirms it; then the old one's pods are gone"
)
def test_rebuilt_cluster(tmp_path: Path) -> None:
    first, second = LabCluster(), LabCluster(system_uid=str(uuid.uuid4()))
    for store in (first, second):
        store.load_definitions()
    kubeconfig = tmp_path / "kubeconfig"
    with contextlib.ExitStack() as stack:
        api = ApiServer(first, token="the-same")
        edge = stack.enter_context(bigip())
        with api:
            kubeconfig.write_text(api.kubeconfig.read_text())
            port = int(api.url.rpartition(":")[2])
            bridge = stack.enter_context(Bridge(tmp_path, {"edge": edge}, [ClusterEntry(CLUSTER, kubeconfig)]))
            site = World(CLUSTER, first, api, edge, bridge)
            site.team("shop", ONE, TWO)
            bridge.start()
            in_force(site)
        # The same address, the same credentials; the namespace and its rules are back, other pods are there.
        Cluster(CLUSTER, second, api).team("shop", THREE)
        second.revision = first.revision + 100
        api = stack.enter_context(ApiServer(second, token="the-same", port=port))
        site = World(CLUSTER, second, api, edge, bridge)
        eventually("said", lambda: any(one["problem"] for one in site.status()["clusters"]), 60)
        problem = site.status()["clusters"][0]["problem"]
        assert f"fusion-bridge confirm cluster {CLUSTER} --by" in problem
        stays("nothing is taken from it", lambda: site.group("service", "shop", "web") == {ONE, TWO})
        told = bridge.cli("confirm", "cluster", CLUSTER, "--by", "ada", "--reason", "rebuilt after the fire")
        assert told["devices"] == ["edge"]
        eventually("the new one's pods, and no others", lambda: site.group("service", "shop", "web") == {THREE}, 60)
        site.await_in_step()
        assert site.status()["clusters"][0]["problem"] == ""
        assert audited(site, "confirm")[2] == "by ada: rebuilt after the fire"
        assert bridge.command("confirm", "cluster", CLUSTER, *WHO).returncode == 3
        with bridge.state() as connection:
            ends = connection.execute("SELECT bool_and(t2_inferred) FROM lease_closed WHERE address = %s", [TWO])
            assert ends.fetchone() == (True,), "nobody saw it go"


# ---- by hand


@pytest.mark.acceptance(
    "trust: break-glass: what a person does on the device in a policy of their own stands, what they do to ours is put back"
)
def test_break_glass(site: World) -> None:
    site.device.put_object("security/firewall/policy", {"name": "emergency", "partition": "Common"})
    mine = site.device.objects("ltm/virtual")["/Common/egress"]["fwEnforcedPolicy"]
    site.device.change_object("ltm/virtual/~Common~egress", {"fwEnforcedPolicy": "/Common/emergency"})
    path = next(path for path in site.device.objects(LISTS, FOLDER) if path.endswith("_service_shop_web"))
    by_hand = {"addresses": [{"name": one} for one in (ONE, TWO, FOUR)]}
    site.device.change_object(f"{LISTS}/{path.replace('/', '~')}", by_hand)

    def attached() -> str:
        return str(site.device.objects("ltm/virtual")["/Common/egress"].get("fwEnforcedPolicy", ""))

    eventually("said", lambda: device(site)["attached"].get("service") is False)
    eventually("ours is put back", lambda: site.group("service", "shop", "web") == {ONE, TWO})
    assert attached() == "/Common/emergency", "theirs stays"
    assert FOUR in audited(site, "drift")[1]
    site.device.change_object("ltm/virtual/~Common~egress", {"fwEnforcedPolicy": "none"})
    eventually("attached again", lambda: attached() == mine)


@pytest.mark.acceptance("trust: the commands of docs/operations.md on loss are those that these tests run")
def test_documented(site: World, tmp_path: Path) -> None:
    """Where there is nothing to decide they refuse, and say so; what they are called is right."""
    for name in ("confirm-device", "confirm-cluster", "fence"):
        done = run("sh", "-ec", runbook(name, site, tmp_path), env={**os.environ, **site.bridge.environment})
        assert done.returncode == 3, (name, done.stderr)
        assert "nothing to" in done.stderr
    for name in ("whose", "adopt"):
        shell(runbook(name, site, tmp_path), site)
