"""What the bridge does to a device and when: only what changed, after errors again, at the audit all, and not without a person."""

import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

import bridge
from bridge.lab.devices.bigip import Bigip
from tests.acceptance.site import CLUSTER, DEVICE, LISTS, OWNER, Bridge, ClusterEntry, bigip, eventually, stays
from tests.acceptance.world import OUTSIDE, World, allowed, cluster, world

PROVIDER, UNKNOWN = "192.0.2.1", "10.244.255.77"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One team of 40 pods, audited every two seconds; refused credentials are tried again after two."""
    delivery = {"auditInterval": 2, "saveAfter": 0.5, "pacing": {"denied": 2, "longest": 2}}
    with world(tmp_path_factory.mktemp("site"), delivery=delivery) as made:
        made.team("shop", *(f"10.244.1.{number}" for number in range(1, 41)))
        made.bridge.start()
        eventually(
            "in force", lambda: len(made.group("service", "shop", "web")) == 40 and not made.allowed(UNKNOWN, OUTSIDE)
        )
        yield made
        assert made.bridge.running, made.bridge.log()[-5:]


@pytest.mark.acceptance("delivery: a change touches only what changed, and nothing is read again for it")
def test_only_what_changed(tmp_path: Path) -> None:
    with world(tmp_path) as site:
        site.team("shop", *(f"10.244.{number // 200 + 1}.{number % 200 + 1}" for number in range(600)))
        site.bridge.start()
        eventually("in force", lambda: len(site.group("service", "shop", "web")) == 600 and site.device.saves > 0)
        site.await_in_step()
        calls, writes = len(site.device.requests()), len(site.device.writes())
        site.pod("shop", "web-600", "10.244.9.9")
        eventually("there", lambda: site.allowed("10.244.9.9", PROVIDER))
        site.await_in_step()
        done = [one for one in site.device.requests()[calls:] if not one.path.endswith("/sys/config")]
        touched = {path for write in site.device.writes()[writes:] for path in write.touched}
        assert len(done) <= len(touched) + 3, [(one.method, one.path) for one in done]
        assert not [one.path for one in done if one.path.endswith("-list")], "no collection is read again"
        assert len(touched) == 1, touched
        assert sum(one.bytes_in + one.bytes_out for one in done) <= 8192


@pytest.mark.acceptance("delivery: with nothing changed there is no write, and a second plan after an apply is empty")
def test_rest(site: World) -> None:
    site.await_in_step()
    known = len(site.device.writes())
    stays("audits write nothing", lambda: len(site.device.writes()) == known, 5)
    assert len([one for one in site.device.requests() if one.path.endswith("/address-list")]) >= 2, "audits did read"
    assert site.bridge.cli("plan")["devices"][0]["changes"] == 0


@pytest.mark.acceptance(
    "delivery: audit on start and every few minutes: what somebody else changed is named and repaired"
)
def test_drift_is_repaired(site: World) -> None:
    (path,) = [
        name for name, body in site.device.objects(LISTS, f"/Common/{OWNER}").items() if "192.0.2.0/28" in str(body)
    ]
    site.device.change_object(f"{LISTS}/{path.replace('/', '~')}", {"addresses": [{"name": "0.0.0.0/0"}]})
    assert site.allowed("10.244.1.1", OUTSIDE)
    eventually("repaired", lambda: not site.allowed("10.244.1.1", OUTSIDE) and site.allowed("10.244.1.1", PROVIDER), 15)
    assert any(one["event"] == "drift" and "provider" in str(one["objects"]) for one in site.bridge.log())


def busy(device: Bigip) -> None:
    """503 to the next writes."""
    device.faults.add("answer", status=503, method="PATCH", times=3)


def lost_answer(device: Bigip) -> None:
    """The write takes effect, its answer is lost."""
    device.faults.add("cut", method="PATCH", effect="after")


def garbage(device: Bigip) -> None:
    """An answer that is none."""
    device.faults.add("garbage", times=2)


def hang(device: Bigip) -> None:
    """Silence, longer than the time-out."""
    device.faults.add("hang", method="PATCH")


def no_token(device: Bigip) -> None:
    """The session is over."""
    device.tokens.forget()


FAULTS: list[Callable[[Bigip], None]] = [busy, lost_answer, garbage, hang, no_token]


@pytest.mark.acceptance(
    "delivery: after busy, silence, a lost answer, garbage or an ended session: read, plan and apply again"
)
@pytest.mark.parametrize("number", range(len(FAULTS)), ids=[fault.__name__ for fault in FAULTS])
def test_again(site: World, number: int) -> None:
    fault, number = FAULTS[number], number + 100
    fault(site.device)
    site.pod("shop", f"web-{number}", f"10.244.1.{number}")
    eventually("there nevertheless", lambda: site.allowed(f"10.244.1.{number}", PROVIDER), 40)
    site.device.faults.clear()
    site.await_in_step()


@pytest.mark.acceptance(
    "delivery: breaker: refused credentials are said in status and not tried over and over; right again, all goes on"
)
def test_breaker(site: World) -> None:
    password = site.device.password
    known = len(site.device.requests())
    site.device.tokens.add_user(site.device.username, "changed")
    site.device.tokens.forget()
    site.pod("shop", "web-120", "10.244.1.120")
    eventually("said", lambda: site.status()["devices"][0]["state"] == "denied")
    stays("and not tried over and over", lambda: not site.allowed("10.244.1.120", PROVIDER), 2)
    logins = [one for one in site.device.requests()[known:] if "login" in one.path]
    assert 1 <= len(logins) <= 6
    assert password not in (site.bridge.folder / "bridge.log").read_text()
    site.device.tokens.add_user(site.device.username, password)
    eventually("all goes on", lambda: site.allowed("10.244.1.120", PROVIDER), 20)
    site.await_in_step()


@pytest.mark.acceptance("delivery: one worker per device: a device that does not answer delays no other")
def test_one_worker_per_device(tmp_path: Path) -> None:
    with cluster() as lab, bigip() as good, bigip() as bad:
        entry = ClusterEntry(CLUSTER, lab.api.kubeconfig)
        with Bridge(tmp_path, {"good": good, "bad": bad}, [entry]) as process:
            lab.team("shop", "10.244.1.1")
            process.start()
            eventually(
                "both",
                lambda: all(
                    allowed(one, "10.244.1.1", PROVIDER) and not allowed(one, UNKNOWN, OUTSIDE) for one in (good, bad)
                ),
            )
            bad.faults.add("hang", times=None)
            for address in ("10.244.1.2", "10.244.1.3", "10.244.1.4"):
                lab.pod("shop", f"web-{address[-1]}", address)
                eventually("the good one at once", partial(allowed, good, address, PROVIDER), 5)
            assert not allowed(bad, "10.244.1.4", PROVIDER)
            bad.faults.clear()
            eventually("the other once it answers", lambda: allowed(bad, "10.244.1.4", PROVIDER), 40)


@pytest.mark.acceptance("delivery: a device in mode plan is read and planned for, and never written to")
def test_mode_plan(tmp_path: Path) -> None:
    overrides = {DEVICE: {"mode": "plan"}}
    with world(tmp_path, overrides=overrides) as site:
        site.team("shop", "10.244.1.1")
        known = len(site.device.writes())
        site.bridge.start()
        eventually("planned", lambda: '"digest"' in site.bridge.command("--output", "json", "plan").stdout)
        plan = site.bridge.cli("plan", codes=(1,))["devices"][0]
        assert plan["changes"] > 5
        stays("never written to", lambda: len(site.device.writes()) == known)


@pytest.mark.acceptance(
    "guard: a mass removal that no event proves is held, shown with exit code 3, and everything else flows on"
)
def test_guard(tmp_path: Path) -> None:
    with world(tmp_path) as site:
        site.team("shop", *(f"10.244.1.{number}" for number in range(1, 61)))
        site.team("small", "10.244.2.1", "10.244.2.2")
        site.bridge.start()
        eventually(
            "in force", lambda: len(site.group("service", "shop", "web")) == 60 and not site.allowed(UNKNOWN, OUTSIDE)
        )
        site.await_in_step()
        site.bridge.stop()
        for number in range(50):
            site.delete_pod("shop", f"web-{number}")
        site.delete_pod("small", "web-0")
        site.pod("shop", "web-90", "10.244.1.190")
        site.bridge.start()
        eventually("everything else flows on", lambda: site.allowed("10.244.1.190", PROVIDER))
        eventually("small removals too", lambda: site.group("service", "small", "web") == {"10.244.2.2"})
        assert len(site.group("service", "shop", "web")) == 61, "held"
        report = site.bridge.cli("report", codes=(3,))
        held = {one["object"]: one for one in report["byDevice"][0]["held"]}
        shop = held["group:real/service/shop/web"]
        assert shop["members"] == sorted(f"10.244.1.{number}" for number in range(1, 51))
        assert shop["digest"]
        assert shop["since"]
        assert (report["missing"], report["extra"]) == (0, 0)
        assert site.bridge.cli("status", codes=(3,))["devices"][0]["held"] >= 1
        assert site.bridge.command("report").returncode == 3
        # A proven removal is never held, and an address that another pod takes leaves at once.
        site.delete_pod("shop", "web-55")
        site.pod("small", "web-9", "10.244.1.7")
        eventually("proven", lambda: not {"10.244.1.56", "10.244.1.7"} & site.group("service", "shop", "web"))
        eventually("and handed over", lambda: "10.244.1.7" in site.group("service", "small", "web"))


@pytest.mark.acceptance("APScheduler for periodic work (audit, pruning, reports), never for leases or workers")
def test_scheduler() -> None:
    root = Path(bridge.__file__).parent
    users = {str(path.relative_to(root)) for path in root.rglob("*.py") if "import apscheduler" in path.read_text()}
    users |= {str(path.relative_to(root)) for path in root.rglob("*.py") if "from apscheduler" in path.read_text()}
    assert users == {"cli/controller.py", "settings/schedule.py"}
    jobs = re.findall(r"add_job\(([\w.]+)", (root / "cli/controller.py").read_text())
    kept = {f"upkeep.{what}" for what in ("keep_history", "note_watched", "note_current")}
    assert set(jobs) == {"self._audit", *kept, "schedule", "job"}
    assert "on_schedule(" in (root / "cli/run.py").read_text(), "the one job from elsewhere is the report"
