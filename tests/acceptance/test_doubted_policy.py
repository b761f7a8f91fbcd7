"""Lists of rules that are empty take no rule off any device: what nobody saw deleted stays until a person says that it was."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bridge.lab.apiserver.faults import Fault
from tests.acceptance.site import CLUSTER, eventually, stays
from tests.acceptance.test_loss import audited, runbook, shell
from tests.acceptance.world import OUTSIDE, World, world

PROVIDER, BAD, LATE = "192.0.2.1", "192.0.2.9", "198.51.100.77"
ONE, TWO, THREE = "10.244.1.1", "10.244.1.2", "10.244.1.3"
RULES = ("serviceegressrules", "namespaceegressrules", "clusteregressrules")
EACH = 4  # rules of each kind, and one that lets the team reach its provider
ALL = 3 * EACH + 1
COMMAND = f"fusion-bridge confirm cluster {CLUSTER} --policy --by NAME --reason TEXT"


@pytest.fixture
def site(tmp_path: Path, database_url: str) -> Iterator[World]:
    """A team that may reach its provider but for one address, by rules of all tiers."""
    environment = {"FUSION_BRIDGE_DATABASE_URL": database_url}
    with world(tmp_path, tls=False, environment=environment, delivery={"auditInterval": 3, "saveAfter": 0.5}) as made:
        made.team("shop", ONE, TWO)
        made.external("shop", "bad", BAD)
        made.external("", "worst", OUTSIDE)
        for number in range(EACH):
            made.namespace_rule("shop", f"no-bad-{number}", "bad", "Deny")
            made.cluster_rule(f"no-worst-{number}", "worst", "Deny")
            made.external("shop", f"other-{number}", f"198.51.100.{number}")
            made.service_rule("shop", "web", f"other-{number}")
        made.bridge.start()
        eventually("in force", lambda: _as_written(made) and not made.allowed(THREE, PROVIDER))
        made.await_in_step()
        yield made


def _as_written(site: World, source: str = ONE) -> bool:
    return (
        site.allowed(source, PROVIDER)
        and site.allowed(source, "198.51.100.1")
        and not site.allowed(source, BAD)
        and not site.allowed(source, OUTSIDE)
    )


@contextlib.contextmanager
def _no_rules(site: World) -> Iterator[None]:
    """Every list of rules is empty, however often it is asked for, and no rule is known to who writes its status."""
    for resource in RULES:
        site.api.disturb(Fault("empty", times=0, verb="list", resource=resource))
        site.api.disturb(Fault("status", times=0, verb="patch", code=404, resource=resource))
    _listed_anew(site)
    try:
        yield
    finally:
        site.api.calm()
        _listed_anew(site)


def _listed_anew(site: World) -> None:
    for resource in RULES:
        site.api.disturb(Fault("status", verb="watch", code=410, resource=resource))
    site.api.end_watches()


def _cluster(site: World) -> dict[str, Any]:
    found: dict[str, Any] = site.status()["clusters"][0]
    return found


def _await_doubt(site: World) -> None:
    eventually("doubted", lambda: _cluster(site)["doubted"] == ALL)


def _writes(site: World) -> int:
    written = site.device.writes()
    return written[-1].number if written else 0


def _recorded(site: World) -> int:
    """How many rules of the cluster are on record."""
    with site.bridge.state() as connection:
        row = connection.execute("SELECT count(*) FROM observed WHERE resource = ANY(%s)", [list(RULES)]).fetchone()
    assert row is not None
    return int(str(row[0]))


@pytest.mark.acceptance(
    "trust: rules that lists show no longer and nobody saw deleted stay in force, over a restart too, and are told"
)
def test_empty_lists_take_no_rule_off_a_device(site: World) -> None:
    before = _writes(site)
    with _no_rules(site):
        _await_doubt(site)
        stays("nothing is written", lambda: _writes(site) == before and _as_written(site))
        said = _cluster(site)["problem"]
        assert said.startswith(f"{ALL} policy objects of cluster {CLUSTER} missing from its lists")
        assert COMMAND in said
        assert site.problem("ServiceEgressRule shop/web-provider").startswith("Doubted: no list shows it")
        assert site.bridge.cli("report", codes=(0, 1, 3))["byDevice"][0]["doubted"] == {CLUSTER: ALL}
        assert any(
            line.get("event") == "policy is missing from lists, and stays in force" for line in site.bridge.log()
        )

        site.pod("shop", "web-9", THREE)
        eventually("membership goes on", lambda: _as_written(site, THREE))
        site.bridge.stop()
        site.bridge.start()
        site.delete_pod("shop", "web-9")
        eventually("the next one acts", lambda: not site.allowed(THREE, PROVIDER))
        assert _cluster(site)["doubted"] == ALL
        assert _as_written(site)
    eventually("listed again", lambda: not _cluster(site)["problem"])
    assert _as_written(site)
    assert _recorded(site) == ALL
    refused = site.bridge.command("confirm", "cluster", CLUSTER, "--policy", "--by", "ada", "--reason", "to be sure")
    assert refused.returncode != 0
    assert "there is nothing to confirm" in refused.stderr


@pytest.mark.acceptance(
    "trust: rules that stay in force because nobody saw them deleted go when a person says so, and the audit says who"
)
def test_a_person_says_that_they_were_deleted(site: World, tmp_path: Path) -> None:
    site.bridge.stop()
    for number in range(EACH):
        site.store.delete("namespaceegressrules", "shop", f"no-bad-{number}")
        site.store.delete("clusteregressrules", "", f"no-worst-{number}")
        site.store.delete("serviceegressrules", "shop", f"web-other-{number}")
    site.store.delete("serviceegressrules", "shop", "web-provider")
    site.bridge.start()
    _await_doubt(site)
    assert _as_written(site)
    site.external("shop", "late", LATE)
    site.service_rule("shop", "web", "late")
    eventually("a new one counts meanwhile", lambda: site.allowed(ONE, LATE))
    assert _as_written(site)
    shell(runbook("confirm-policy", site, tmp_path), site)
    eventually("they go", lambda: not site.allowed(ONE, PROVIDER) and not site.allowed(ONE, "198.51.100.1"))
    eventually("nothing is doubted", lambda: not _cluster(site)["problem"])
    assert _recorded(site) == 1
    assert site.allowed(ONE, LATE)
    site.service_rule("shop", "web", "provider")
    eventually("one that is made again counts", lambda: site.allowed(ONE, PROVIDER))
    before, after, cause = audited(site, "confirm")
    assert len(before.split(", ")) == ALL
    assert "ServiceEgressRule shop/web-provider" in before
    assert (after, cause) == ("-", "by ada: as the runbook says")
