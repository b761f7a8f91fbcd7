"""What the language says about traffic, about who sends it and about when: through the program, to what the device decides."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from bridge.dialects import kinds
from bridge.resources import shipped
from tests.acceptance.site import PROGRAM, eventually, stays
from tests.acceptance.test_intake import UNKNOWN
from tests.acceptance.world import API, OUTSIDE, VIRTUAL, World, run, world
from tests.control_plane.plane import ControlPlane

PARTNER = "203.0.113.9"
RULES = "SELECT reason, message FROM placement WHERE kind = %s AND namespace = %s AND name = %s"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The default Deny for governed and for unknown addresses."""
    with world(tmp_path_factory.mktemp("language")) as made:
        made.bridge.start()
        eventually("the default is in force", lambda: not made.allowed(UNKNOWN, OUTSIDE))
        yield made
        assert made.bridge.running, made.bridge.log()[-5:]


def _passes(site: World, source: str, **packet: Any) -> bool:  # noqa: ANN401
    """What the device decides for a packet to the partner."""
    return bool(site.device.decide(source, PARTNER, virtual=VIRTUAL, **packet).allowed)


def _partner(site: World, namespace: str, *ports: dict[str, Any]) -> None:
    site.put("ExternalService", namespace, "partner", {"addresses": ["203.0.113.0/28"], "ports": list(ports)})


def _placed(site: World, *ref: str) -> tuple[str, str]:
    """Reason and message of a rule on the device."""
    with site.bridge.state() as connection:
        row = connection.execute(RULES, ref).fetchone()
    return (str(row[0]), str(row[1])) if row else ("unknown", "")


@pytest.mark.acceptance("language: types and codes of ICMP, written and read back, and nothing beside them")
def test_icmp(site: World) -> None:
    site.team("icmp", "10.244.1.1")
    _partner(site, "icmp", {"protocol": "ICMP", "type": 8}, {"protocol": "ICMP", "type": 3, "code": 4})
    site.service_rule("icmp", "web", "partner")

    def ping(kind: int, code: int) -> bool:
        return _passes(site, "10.244.1.1", protocol="icmp", icmp=(kind, code))

    eventually("a ping passes", lambda: ping(8, 0))
    assert [ping(*one) for one in ((8, 7), (3, 4), (3, 1), (0, 0), (13, 0))] == [True, True, False, False, False]
    assert not _passes(site, "10.244.1.1", protocol="tcp", port=443)
    _partner(site, "icmp", {"protocol": "ICMP"})
    eventually("without a type every one", lambda: ping(13, 0))
    _partner(site, "icmp", {"protocol": "ICMP", "type": 8, "code": 0})
    eventually("and back", lambda: not ping(13, 0))
    assert ping(8, 0)
    assert not ping(8, 7)
    site.await_in_step()
    site.pod("icmp", "web-1", "10.244.1.2")
    eventually("the next plan is about the pod only", lambda: _passes(site, "10.244.1.2", protocol="icmp", icmp=(8, 0)))
    assert site.status()["devices"][0]["state"] == "ok"


@pytest.mark.acceptance("language: any IP protocol by its number, as the device names it or not")
def test_protocols(site: World) -> None:
    site.team("protocols", "10.244.2.1")
    _partner(site, "protocols", {"protocol": 47}, {"protocol": 99})
    site.service_rule("protocols", "web", "partner")
    eventually("GRE passes", lambda: _passes(site, "10.244.2.1", protocol="gre"))
    assert _passes(site, "10.244.2.1", protocol="99")
    assert not any(_passes(site, "10.244.2.1", protocol=one) for one in ("esp", "98", "icmp"))
    assert not _passes(site, "10.244.2.1", protocol="tcp", port=47)
    site.await_in_step()
    before = len(site.device.writes())
    stays("nothing is left to do", lambda: len(site.device.writes()) == before, 1.5)


@pytest.mark.acceptance("language: from.serviceAccounts of namespace rules by name, of cluster rules by namespace/name")
def test_service_accounts(site: World) -> None:
    for namespace in ("accounts", "accounts-too"):
        site.team(namespace)
        _partner(site, namespace, {"protocol": "TCP", "port": 443})
    site.pod("accounts", "job-0", "10.244.3.1", account="payer")
    site.pod("accounts", "job-1", "10.244.3.2")
    site.pod("accounts-too", "job-0", "10.244.3.3", account="payer")

    def who(port: int) -> list[bool]:
        return [_passes(site, f"10.244.3.{last}", protocol="tcp", port=port) for last in (1, 2, 3)]

    site.namespace_rule("accounts", "payers", "partner", "Allow", **{"from": {"serviceAccounts": ["payer"]}})
    eventually("the payer of the namespace", lambda: who(443) == [True, False, False])
    spec = {"addresses": ["203.0.113.0/28"], "ports": [{"protocol": "TCP", "port": 444}]}
    site.put("ClusterExternalService", "", "partner-of-all", spec)
    accounts = {"from": {"serviceAccounts": ["accounts-too/payer", "accounts/default"]}}
    site.cluster_rule("payers", "partner-of-all", "Allow", **accounts)
    eventually("each by namespace and name", lambda: who(444) == [False, True, True])
    assert who(443) == [True, False, False]


def _soon(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.mark.acceptance(
    "language: notBefore and notAfter to the second, told as NotYet and Expired, accepted throughout"
)
def test_moments(site: World) -> None:
    site.team("moments", "10.244.4.1")
    _partner(site, "moments", {"protocol": "TCP", "port": 443})
    site.await_in_step()
    begin, end = _soon(8), _soon(16)
    site.service_rule("moments", "web", "partner", notBefore=begin, notAfter=end)

    def passes() -> bool:
        return _passes(site, "10.244.4.1", protocol="tcp", port=443)

    def reason() -> str:
        return _placed(site, "ServiceEgressRule", "moments", "web-partner")[0]

    eventually("not yet", lambda: reason() == "NotYet")
    assert not passes()
    _until(begin)
    eventually("its time has come", passes, 10)
    assert reason() == ""
    _until(end)
    eventually("and over", lambda: not passes(), 10)
    assert reason() == "Expired"
    assert site.problem("ServiceEgressRule moments/web-partner") == "", "it is accepted"


def _until(moment: str) -> None:
    time.sleep(max(0.0, (datetime.fromisoformat(moment) - datetime.now(UTC)).total_seconds()))


def _window(begin: datetime, end: datetime, **more: Any) -> dict[str, Any]:  # noqa: ANN401
    days = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
    times = {"start": begin.strftime("%H:%M"), "end": end.strftime("%H:%M")}
    return {"days": days, "timeZone": "UTC", **times, **more}


@pytest.mark.acceptance(
    "language: windows that come again, in a time zone; outside of them OutsideWindow; a Deny simply ends"
)
def test_windows(site: World) -> None:
    site.team("windows", "10.244.5.1")
    _partner(site, "windows", {"protocol": "TCP", "port": 443})
    site.service_rule("windows", "web", "partner")
    now = datetime.now(UTC)
    inside = [_window(now - timedelta(hours=1), now + timedelta(hours=2))]
    outside = [_window(now + timedelta(hours=2), now + timedelta(hours=3))]
    eventually("before", lambda: _passes(site, "10.244.5.1", protocol="tcp", port=443))
    site.namespace_rule("windows", "freeze", "partner", "Deny", windows=inside)
    eventually("frozen", lambda: not _passes(site, "10.244.5.1", protocol="tcp", port=443))
    site.namespace_rule("windows", "freeze", "partner", "Deny", windows=outside)
    eventually("over", lambda: _passes(site, "10.244.5.1", protocol="tcp", port=443))
    assert _placed(site, "NamespaceEgressRule", "windows", "freeze")[0] == "OutsideWindow"
    site.pod("windows", "web-1", "10.244.5.2")
    eventually("nothing is withheld for it", lambda: _passes(site, "10.244.5.2", protocol="tcp", port=443))


@pytest.mark.acceptance("language: a process that was down while a rule ended takes it off as it starts")
def test_restart_over_an_end(tmp_path: Path) -> None:
    with world(tmp_path) as made:
        made.bridge.start()
        made.team("shop", "10.244.6.1")
        _partner(made, "shop", {"protocol": "TCP", "port": 443})
        made.service_rule("shop", "web", "partner", notAfter=_soon(3600))
        eventually("in force", lambda: _passes(made, "10.244.6.1", protocol="tcp", port=443))
        end = _soon(12)
        made.service_rule("shop", "web", "partner", notAfter=end)
        made.await_in_step()
        made.bridge.stop()
        assert _soon(0) < end, "the machine is too slow for this test"
        _until(end)
        assert _passes(made, "10.244.6.1", protocol="tcp", port=443), "nobody is there to take it off"
        made.bridge.start()
        eventually("gone", lambda: not _passes(made, "10.244.6.1", protocol="tcp", port=443))


MISTAKES: list[tuple[str, dict[str, Any]]] = [
    ("ExternalService", {"addresses": ["192.0.2.1"], "ports": [{"protocol": "TCP", "port": 80, "type": 8}]}),
    ("ExternalService", {"addresses": ["192.0.2.1"], "ports": [{"protocol": "ICMP", "code": 0}]}),
    ("ExternalService", {"addresses": ["192.0.2.1"], "ports": [{"protocol": 6, "port": 80}]}),
    ("ExternalService", {"addresses": ["192.0.2.1"], "ports": [{"protocol": 255}]}),
    ("NamespaceEgressRule", {"from": {"serviceAccounts": ["shop/payer"]}}),
    ("NamespaceEgressRule", {"notAfter": "2026-07-01T08:00:00"}),
    ("NamespaceEgressRule", {"notBefore": "2026-07-01T08:00:00Z", "notAfter": "2026-07-01T10:00:00+02:00"}),
    ("NamespaceEgressRule", {"windows": [{"days": ["Mon"], "start": "08:00", "end": "18:00"}]}),
    (
        "NamespaceEgressRule",
        {"windows": [{"days": ["Mon"], "start": "08:00", "end": "08:00", "timeZone": "Europe/Berlin"}]},
    ),
]


@pytest.mark.acceptance("language: the API server, validate and the bridge refuse the same mistakes")
def test_one_answer_everywhere(site: World, control_plane: ControlPlane, tmp_path: Path) -> None:
    control_plane.install_crds(shipped("config/crd"))
    site.namespace("mistakes")
    for number, (kind, spec) in enumerate(MISTAKES):
        of, name = kinds.BY_NAME[kind], f"bad-{number}"
        whole = spec if kind == "ExternalService" else {"action": "Allow", "to": [{"name": "bank"}], **spec}
        item = {"apiVersion": API, "kind": kind, "metadata": {"name": name, "namespace": "default"}, "spec": whole}
        with pytest.raises(httpx.HTTPStatusError) as refused:
            control_plane.api.post(f"/apis/{API}/namespaces/default/{of.resource}?dryRun=All", item)
        assert refused.value.response.status_code == 422
        file = tmp_path / f"{name}.json"
        file.write_text(json.dumps(item))
        assert run(PROGRAM, "validate", file).returncode == 1
        site.put_unchecked(of.resource, "mistakes", name, whole)
    names = {f"{kind} mistakes/bad-{number}" for number, (kind, _) in enumerate(MISTAKES)}

    def told() -> set[str]:
        return {one["object"] for one in site.status()["problems"] if one["reason"] == "Invalid"}

    eventually("each is told", lambda: names <= told())
