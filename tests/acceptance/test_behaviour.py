"""What is wrong is said where it is wrong, what is away for a while is waited for, and the demo proves the main job."""

import os
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from bridge.state.database import Database
from bridge.state.embedded import EmbeddedPostgres
from tests.acceptance.site import PROGRAM, eventually, stays
from tests.acceptance.world import API, OUTSIDE, World, run, world

AWAY_SECONDS = float(os.environ.get("FUSION_BRIDGE_OUTAGE_SECONDS", "6"))
PROVIDER, UNKNOWN = "192.0.2.1", "10.244.255.77"
ANY = {"addresses": ["198.51.100.9"], "ports": "Any"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One team at work."""
    with world(tmp_path_factory.mktemp("site")) as made:
        made.bridge.start()
        made.team("shop", "10.244.1.1")
        eventually("in force", lambda: not made.allowed(UNKNOWN, OUTSIDE) and made.allowed("10.244.1.1", PROVIDER))
        yield made
        assert made.bridge.running, made.bridge.log()[-5:]


Wrong = tuple[str, str, Any, str]
WRONG: dict[str, Wrong] = {
    "not a spec at all": ("externalservices", "ExternalService", "nonsense", "spec"),
    "a field of the wrong type": ("externalservices", "ExternalService", {"addresses": 7, "ports": "Any"}, "addresses"),
    "300.1.2.3": ("externalservices", "ExternalService", {"addresses": ["300.1.2.3"], "ports": "Any"}, "300.1.2.3"),
    "a port range backwards": (
        "externalservices",
        "ExternalService",
        {"addresses": ["192.0.2.1"], "ports": [{"protocol": "TCP", "port": 443, "endPort": 80}]},
        "endPort",
    ),
    "an unknown word": (
        "serviceegressrules",
        "ServiceEgressRule",
        {"service": "web", "action": "Permit", "to": [{"name": "provider"}]},
        "action",
    ),
}


@pytest.mark.acceptance(
    "a malformed object, `300.1.2.3`, a port range backwards: said about that object, everything else goes on"
)
@pytest.mark.parametrize("case", WRONG)
def test_said_about_that_object(site: World, tmp_path: Path, case: str) -> None:
    resource, kind, spec, word = WRONG[case]
    name, number = f"bad-{[*WRONG].index(case)}", [*WRONG].index(case) + 10
    site.put_unchecked(resource, "shop", name, spec)
    site.pod("shop", f"web-{number}", f"10.244.1.{number}")
    eventually("everything else goes on", lambda: site.allowed(f"10.244.1.{number}", PROVIDER), 10)
    eventually("said about it", lambda: word in site.problem(f"{kind} shop/{name}"))
    manifest = tmp_path / "bad.yaml"
    metadata = {"name": name, "namespace": "shop"}
    manifest.write_text(yaml.safe_dump({"apiVersion": API, "kind": kind, "metadata": metadata, "spec": spec}))
    said = run(PROGRAM, "validate", manifest)
    assert said.returncode == 1
    assert f"{kind} shop/{name}" in said.stdout
    assert word in said.stdout
    site.store.delete(resource, "shop", name)
    eventually("gone with the object", lambda: not site.problem(f"{kind} shop/{name}"))


@pytest.mark.acceptance(
    "an unknown reference: said about that object, everything else goes on, and it counts once what it names is there"
)
def test_unknown_reference(site: World) -> None:
    site.service_rule("shop", "web", "nowhere")
    site.pod("shop", "web-30", "10.244.1.30")
    eventually("everything else goes on", lambda: site.allowed("10.244.1.30", PROVIDER), 10)
    eventually("said about it", lambda: "nowhere" in site.problem("ServiceEgressRule shop/web-nowhere"))
    assert not site.allowed("10.244.1.30", "198.51.100.9")
    site.put("ExternalService", "shop", "nowhere", ANY)
    eventually("now it counts", lambda: site.allowed("10.244.1.30", "198.51.100.9"))
    assert not site.problem("ServiceEgressRule shop/web-nowhere")


@pytest.mark.acceptance("a rejected edit leaves the last accepted version in force, and says so")
def test_rejected_edit(site: World) -> None:
    site.put("ExternalService", "shop", "edited", {"addresses": ["198.51.100.21"], "ports": "Any"})
    site.service_rule("shop", "web", "edited")
    eventually("in force", lambda: site.allowed("10.244.1.1", "198.51.100.21"))
    site.put_unchecked("externalservices", "shop", "edited", {"addresses": ["300.1.2.3"], "ports": "Any"})
    eventually("said", lambda: "stays in force" in site.problem("ExternalService shop/edited"))
    assert site.allowed("10.244.1.1", "198.51.100.21")


@pytest.mark.acceptance("a malformed pod, Service or namespace: everything else goes on")
def test_malformed_cluster_objects(site: World) -> None:
    metadata = {"namespace": "shop", "labels": {"app": "web"}}
    broken: list[tuple[str, dict[str, Any]]] = [
        ("pods", {"metadata": metadata | {"name": "bad"}, "status": {"podIPs": [{"ip": "300.1.2.3"}]}}),
        ("pods", {"metadata": metadata | {"name": "worse"}, "spec": 3, "status": ["x"]}),
        ("services", {"metadata": {"namespace": "shop", "name": "bad"}, "spec": {"selector": ["web"]}}),
        ("namespaces", {"metadata": {"name": "bad", "labels": {"team": 5}}}),
    ]
    for resource, body in broken:
        site.store.bulk_load(resource, [body])
    site.pod("shop", "web-40", "10.244.1.40")
    eventually("everything else goes on", lambda: site.allowed("10.244.1.40", PROVIDER), 10)
    assert site.bridge.running


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """A server that the bridge knows by URL only, so that it can be taken away."""
    with EmbeddedPostgres(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture(scope="module")
def away(tmp_path_factory: pytest.TempPathFactory, postgres: EmbeddedPostgres) -> Iterator[World]:
    """One team at work, on a database behind a URL and a device that can be switched off."""
    database = Database(postgres.url)
    database.upgrade()
    database.close()
    environment = {"FUSION_BRIDGE_DATABASE_URL": postgres.url}
    with world(tmp_path_factory.mktemp("away"), tls=False, environment=environment) as made:
        made.bridge.start()
        made.team("shop", *(f"10.244.1.{number}" for number in range(1, 31)))
        eventually("in force", lambda: not made.allowed(UNKNOWN, OUTSIDE) and made.allowed("10.244.1.1", PROVIDER))
        yield made


@pytest.mark.acceptance(
    "Kubernetes API, Postgres or the device away: nothing exits, nothing is deleted, all catches up"
)
@pytest.mark.parametrize("party", ["kubernetes", "kubernetes, its history forgotten", "postgres", "device"])
def test_away_for_a_while(away: World, postgres: EmbeddedPostgres, party: str) -> None:
    number = 100 + 10 * ["kubernetes", "kubernetes, its history forgotten", "postgres", "device"].index(party)
    old, new = f"10.244.1.{number}", f"10.244.1.{number + 1}"
    away.pod("shop", f"web-{number}", old)
    eventually("a pod before", lambda: away.allowed(old, PROVIDER))
    away.await_in_step()
    leave: dict[str, tuple[Callable[[], None], Callable[[], None]]] = {
        "kubernetes": (away.api.down, away.api.up),
        "kubernetes, its history forgotten": (away.api.down, away.api.up),
        "postgres": (postgres.close, postgres.start),
        "device": (away.device.stop, away.device.start),
    }
    go, come = leave[party]
    go()
    try:
        before = away.device.digest()
        away.delete_pod("shop", f"web-{number}")
        away.pod("shop", f"web-{number + 1}", new)
        if "forgotten" in party:
            away.store.compact()
        stays("nothing is deleted", lambda: away.device.digest() == before and away.bridge.running, AWAY_SECONDS)
    finally:
        come()
    eventually("all catches up", lambda: away.allowed(new, PROVIDER) and not away.allowed(old, PROVIDER), 45)
    assert away.bridge.running
    assert len(away.group("service", "shop", "web")) >= 30
    away.await_in_step()
    assert (away.bridge.cli("report")["missing"], away.status()["problems"]) == (0, [])


@pytest.mark.acceptance("`make demo` without a terminal ends with exit code 0 and its line: 0 missing, 0 extra")
def test_demo(tmp_path: Path) -> None:
    done = run(PROGRAM, "--data-dir", tmp_path, "demo", "--seconds", "6", stdin=-3, start_new_session=True)
    assert done.returncode == 0, done.stderr
    *_, last = done.stdout.splitlines()
    line = r"demo: (\d+) groups, (\d+) members, (\d+) rules on (\d+) devices, 0 missing, 0 extra"
    found = re.fullmatch(line, last)
    assert found, last
    assert all(int(number) > 0 for number in found.groups())
    assert int(found[2]) > 200, "a few hundred pods"
    assert "pod changes" in done.stderr, "progress, even without a terminal"
    assert f"report: {tmp_path / 'report.html'}, " in done.stdout
    page = (tmp_path / "report.html").read_text()
    assert "Every device holds exactly what it should." in page
    makefile = run("make", "-n", "demo", cwd=Path(__file__).parents[2]).stdout
    assert "fusion-bridge --data-dir build/demo demo" in makefile


@pytest.mark.acceptance("the embedded Postgres dies: nothing exits, nothing is deleted, all catches up")
def test_embedded_postgres_dies(tmp_path: Path) -> None:
    with world(tmp_path) as site:
        site.bridge.start()
        site.team("shop", "10.244.1.1")
        eventually("in force", lambda: not site.allowed(UNKNOWN, OUTSIDE) and site.allowed("10.244.1.1", PROVIDER))
        before = postmaster(tmp_path)
        os.kill(before, signal.SIGKILL)
        site.pod("shop", "web-2", "10.244.1.2")
        eventually("all catches up", lambda: site.allowed("10.244.1.2", PROVIDER), 60)
        assert site.allowed("10.244.1.1", PROVIDER)
        assert site.bridge.running
        assert postmaster(tmp_path) != before


def postmaster(folder: Path) -> int:
    """The process number of the embedded server."""
    (file,) = folder.rglob("postmaster.pid")
    return int(file.read_text().split()[0])
