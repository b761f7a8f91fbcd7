"""Pods that wait until the firewalls know them: the real program between a simulated cluster and a simulated BIG-IP."""

import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bridge.model.gate import CONDITION
from tests.acceptance.site import LISTS, OWNER, PROGRAM, eventually, stays
from tests.acceptance.test_failover import pair
from tests.acceptance.world import World, run, world

pytestmark = pytest.mark.timeout(240)

PATIENCE = 12.0  # seconds, in place of 60
GATES = (CONDITION,)
WRITES = "POST PATCH PUT DELETE"
WANTED = {CONDITION: "wanted"}


def settings(made: World, **gate: object) -> None:
    """The settings with this patience."""
    clusters = [{**one.settings(), "gate": {"timeout": PATIENCE, **gate}} for one in made.bridge.clusters]
    made.bridge.write_settings({"clusters": clusters, "monitoring": {"listen": "127.0.0.1:0"}})


@contextmanager
def running(folder: Path, guard: Mapping[str, object] | None = None, **gate: object) -> Iterator[World]:
    """A bridge that has brought the first rule onto the device."""
    delivery = {"auditInterval": 300, "saveAfter": 0.5, "guard": dict(guard or {})}
    with world(folder, tls=False, delivery=delivery) as made:
        settings(made, **gate)
        made.team("base", "10.244.0.9")
        made.bridge.start()
        made.await_in_step(60)
        eventually("the first member", lambda: made.group("service", "base", "web") == {"10.244.0.9"})
        yield made


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One for all whom the tests do not end."""
    with running(tmp_path_factory.mktemp("gates"), never=["tools"]) as made:
        yield made


def condition(made: World, namespace: str, name: str) -> dict[str, Any]:
    """What a pod says of its gate."""
    found = made.store.get("pods", namespace, name).get("status", {}).get("conditions", ())
    return next((one for one in found if one["type"] == CONDITION), {})


def status(made: World, namespace: str, name: str) -> str:
    """True, False, or nothing yet."""
    return str(condition(made, namespace, name).get("status", ""))


def reason(made: World, namespace: str, name: str) -> str:
    """Its word."""
    return str(condition(made, namespace, name).get("reason", ""))


def opens(made: World, namespace: str, name: str, why: str = "Programmed", seconds: float = 20) -> None:
    """Wait until the gate is open for that reason."""
    eventually(f"{namespace}/{name} opens", lambda: status(made, namespace, name) == "True", seconds)
    assert reason(made, namespace, name) == why, condition(made, namespace, name)


@contextmanager
def silent(made: World) -> Iterator[None]:
    """The device takes no write, and answers that it is busy."""
    fault = made.device.faults.add("answer", times=None, method=WRITES, path="security/firewall", status=503)
    try:
        yield
    finally:
        made.device.faults.clear()
    assert fault.hits


@pytest.mark.acceptance("trust: readiness gate: True only when every device was seen to hold the pod's groups")
def test_opens_when_the_device_holds_the_group(site: World) -> None:
    site.team("one", "10.244.1.1")
    site.await_in_step()
    with silent(site):
        site.pod("one", "web-2", "10.244.1.2", gates=GATES)
        eventually("why it waits is told", lambda: status(site, "one", "web-2") == "False", PATIENCE)
        assert reason(site, "one", "web-2") in ("Pending", "DeviceUnreachable")
        assert "10.244.1.2" not in site.group("service", "one", "web")
    opens(site, "one", "web-2")
    assert "10.244.1.2" in site.group("service", "one", "web")
    assert site.allowed("10.244.1.2", "192.0.2.1")


@pytest.mark.acceptance("trust: readiness gate: the removals that the pod's address needs are waited for too")
def test_waits_until_the_address_has_left_its_old_groups(site: World) -> None:
    site.team("old", "10.244.2.1", "10.244.2.2", to="192.0.2.16/28")
    site.team("new", "10.244.2.9")
    eventually("the old", lambda: "10.244.2.2" in site.group("service", "old", "web"))
    eventually("the new", lambda: "10.244.2.9" in site.group("service", "new", "web"))
    site.await_in_step()
    with silent(site):
        site.delete_pod("old", "web-1")
        time.sleep(0.5)  # recorded in a batch of its own, before the address has another owner
        site.pod("new", "web-7", "10.244.2.2", gates=GATES)
        stays("closed", lambda: status(site, "new", "web-7") != "True", 1.0)
        assert "10.244.2.2" in site.group("service", "old", "web")
    opens(site, "new", "web-7")
    assert "10.244.2.2" not in site.group("service", "old", "web")
    assert "10.244.2.2" in site.group("service", "new", "web")


@pytest.mark.acceptance("trust: readiness gate: other members' changes never delay a pod")
def test_churn_of_others_delays_nobody(site: World) -> None:
    site.team("busy", "10.244.3.1")
    site.await_in_step()
    for number in range(12):
        site.pod("busy", f"web-g{number}", f"10.244.3.{100 + number}", gates=GATES)
        for other in range(5):
            site.pod("busy", f"web-n{number}x{other}", f"10.244.{40 + other}.{number + 1}")
        time.sleep(0.1)
    for number in range(12):
        opens(site, "busy", f"web-g{number}")


@pytest.mark.acceptance("trust: readiness gate: who need not wait is let through at once, with the reason")
def test_who_need_not_wait(site: World) -> None:
    site.namespace("free", governed=False)
    site.namespace("tools")
    known = len(site.device.requests())
    with silent(site):
        site.pod("free", "web-1", "10.244.4.1", gates=GATES)
        site.pod("kube-system", "dns-1", "10.244.4.2", gates=GATES)
        site.pod("tools", "db-1", "10.244.4.3", gates=GATES)
        site.pod("base", "host-1", "172.18.0.9", gates=GATES, host=True)
        site.pod("base", "web-5", "10.244.4.5", gates=GATES)  # and one who must
        opens(site, "free", "web-1", "NamespaceNotGoverned")
        opens(site, "kube-system", "dns-1", "NeverGated")
        opens(site, "tools", "db-1", "NeverGated")
        opens(site, "base", "host-1", "HostNetwork")
        eventually("it was tried", lambda: any(one.fault for one in site.device.requests()[known:]))
        assert status(site, "base", "web-5") != "True"
    opens(site, "base", "web-5")


@pytest.mark.acceptance("trust: readiness gate: a pod of several addresses waits for each")
def test_both_families(site: World) -> None:
    site.team("dual", "10.244.5.1")
    site.await_in_step()
    site.pod("dual", "web-1", "10.244.5.2", "10.244.5.3", gates=GATES)
    opens(site, "dual", "web-1")
    assert {"10.244.5.2", "10.244.5.3"} <= site.group("service", "dual", "web")


@pytest.mark.acceptance(
    "trust: readiness gate: a refused group keeps its pods waiting, with the reason, until the time is over"
)
def test_a_quarantined_group_tells_so_and_times_out(site: World) -> None:
    site.namespace("bad")
    site.service("bad", "web")
    foreign = {"name": f"{OWNER}_real_service_bad_web", "partition": "Common", "subPath": OWNER}
    site.device.put_object(LISTS, foreign | {"addresses": [{"name": "198.51.100.7"}]})
    site.external("bad", "provider", "192.0.2.0/28")
    site.service_rule("bad", "web", "provider")
    site.pod("bad", "web-1", "10.244.6.2")
    with (
        site.bridge.state() as connection
    ):  # a pod that comes before its rule is in no group: its gate would open at once
        refused = "SELECT count(*) FROM device_object WHERE state = 'Quarantined'"
        eventually("the group is refused", lambda: connection.execute(refused).fetchone() != (0,))
    site.pod("bad", "web-0", "10.244.6.1", gates=GATES)
    eventually("the reason is told", lambda: reason(site, "bad", "web-0") == "Quarantined")
    assert status(site, "bad", "web-0") == "False"
    opens(site, "bad", "web-0", "TimedOut")
    assert "Quarantined" in condition(site, "bad", "web-0")["message"]
    warned = [one for one in site.store.list("events", "bad") if one["reason"] == "TimedOut"]
    assert [(one["type"], one["involvedObject"]["name"]) for one in warned] == [("Warning", "web-0")]


@pytest.mark.acceptance(
    "trust: readiness gate: a device that is away is told of, the gate opens in time and is never set back"
)
def test_an_unreachable_device_times_out_and_true_stays(tmp_path: Path) -> None:
    with running(tmp_path) as made:
        made.device.faults.add("cut", times=None)
        made.pod("base", "web-3", "10.244.0.3", annotations=WANTED)
        eventually("the reason is told", lambda: reason(made, "base", "web-3") in ("Pending", "DeviceUnreachable"), 20)
        opens(made, "base", "web-3", "TimedOut", 30)
        first = condition(made, "base", "web-3")
        made.bridge.stop(signal.SIGKILL)
        made.bridge.start()
        stays("open", lambda: condition(made, "base", "web-3") == first, 4)
        made.device.faults.clear()
        made.await_in_step(60)
        stays("open", lambda: condition(made, "base", "web-3") == first, 2)


@pytest.mark.acceptance("trust: readiness gate: who is held waits for the person who decides, and nobody else does")
def test_held(tmp_path: Path) -> None:
    guard = {"growthPerGroup": {"percent": 10, "count": 2}}
    with running(tmp_path, guard, timeout=300) as made:
        made.team("other", "10.244.8.1")
        made.await_in_step()
        made.device.faults.add("answer", times=None, method=WRITES, status=503)  # so that all of them come at once
        for number in range(1, 6):
            made.pod("base", f"web-{number}", f"10.244.0.{number}", gates=GATES)
        time.sleep(1)
        made.device.faults.clear()
        eventually("why it waits is told", lambda: reason(made, "base", "web-5") == "Held", 60)
        assert status(made, "base", "web-5") == "False"
        made.pod("other", "web-9", "10.244.8.9", gates=GATES)
        opens(made, "other", "web-9")
        assert reason(made, "base", "web-5") == "Held"
        (held,) = made.bridge.cli("held", codes=(3,))["held"]
        words = ("--device", "edge", "--by", "ann", "--reason", "it was a rollout")
        released = made.bridge.command("release", held["digest"], *words, "--kubeconfig", str(made.api.kubeconfig))
        assert released.returncode == 0, released.stderr
        for number in range(1, 6):
            opens(made, "base", f"web-{number}")
        assert len(made.group("service", "base", "web")) == 6


@pytest.mark.acceptance("trust: readiness gate: a kill loses no gate, and whoever came meanwhile waits too")
def test_a_kill_loses_no_gate(tmp_path: Path) -> None:
    with running(tmp_path, timeout=60) as made:
        made.pod("base", "web-1", "10.244.0.1", gates=GATES)
        opens(made, "base", "web-1")
        with silent(made):
            made.pod("base", "web-2", "10.244.0.2", gates=GATES)
            eventually("it waits", lambda: status(made, "base", "web-2") == "False")
            made.bridge.stop(signal.SIGKILL)
            made.pod("base", "web-3", "10.244.0.3", gates=GATES)  # while nobody watches
            made.bridge.start()
            stays("closed", lambda: "True" not in {status(made, "base", f"web-{n}") for n in (2, 3)}, 3)
        opens(made, "base", "web-2", seconds=60)
        opens(made, "base", "web-3", seconds=60)
        assert {"10.244.0.2", "10.244.0.3"} <= made.group("service", "base", "web")


@pytest.mark.acceptance("trust: `fusion-bridge gate open` needs Kubernetes alone, and nothing sets it back")
def test_break_glass(site: World, tmp_path: Path) -> None:
    words = ("--kubeconfig", str(site.api.kubeconfig), "--namespace", "glass")
    site.team("glass", "10.244.7.1")
    site.await_in_step()
    with silent(site):
        site.pod("glass", "web-1", "10.244.7.2", gates=GATES)
        eventually("it waits", lambda: status(site, "glass", "web-1") == "False", PATIENCE)
        opened = run(PROGRAM, "gate", "open", "--by", "alice", "--reason", "incident 7", *words, cwd=tmp_path)
        assert (opened.returncode, opened.stdout) == (0, "opened glass/web-1\n"), opened.stderr
        told = condition(site, "glass", "web-1")
        assert (told["reason"], told["message"]) == ("OpenedByHand", "opened by alice: incident 7")
        stays("open", lambda: condition(site, "glass", "web-1") == told, 3)
        assert any(one["reason"] == "OpenedByHand" for one in site.store.list("events", "glass"))
        assert run(PROGRAM, "gate", "list", *words, cwd=tmp_path).returncode == 0
    site.await_in_step()
    stays("open", lambda: condition(site, "glass", "web-1") == told, 1)


@pytest.mark.acceptance("trust: readiness gate: another replica goes on with the gates of one that was killed")
def test_a_failover_loses_no_gate(tmp_path: Path, database_url: str) -> None:
    with pair(tmp_path, database_url) as both:
        made = both.site
        eventually("it stands by", lambda: both.said("stands by"), 60)
        made.pod("shop", "web-900", "10.244.2.1", gates=GATES)
        opens(made, "shop", "web-900")
        before = condition(made, "shop", "web-900")
        with silent(made):
            made.pod("shop", "web-901", "10.244.2.2", gates=GATES)
            eventually("it waits", lambda: status(made, "shop", "web-901") == "False")
            both.kill()
            made.pod("shop", "web-902", "10.244.2.3", gates=GATES)
            eventually("the other takes over", lambda: status(made, "shop", "web-902") == "False", 60)
            assert status(made, "shop", "web-901") == "False"
        opens(made, "shop", "web-901", seconds=60)
        opens(made, "shop", "web-902", seconds=60)
        assert {"10.244.2.2", "10.244.2.3"} <= both.web
        assert condition(made, "shop", "web-900") == before
