"""A BIG-IP whose policies AS3 makes: by the real program, on the simulated device, for sites that insist."""

import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from bridge.lab.devices.bigip import Bigip
from tests.acceptance.site import CLUSTER, DEVICE, FOLDER, LISTS, OWNER, PROGRAM, eventually
from tests.acceptance.world import OUTSIDE, World, world
from tests.lab.devices.as3 import judge

TENANT = f"{OWNER}_egress"
VIRTUAL = f"/{TENANT}/firewall/out"
PROVIDER, UNKNOWN = "192.0.2.1", "10.244.255.77"
DECLARE = "/mgmt/shared/appsvcs/declare"
MADE = ("port-list", "rule-list", "policy")
SHOP = f"{OWNER}_real_service_shop"
SETTINGS: Mapping[str, Any] = {
    "scope": {
        "clusters": {CLUSTER: {"default": {"action": "Deny", "unknownAddresses": "Deny"}}},
        "bigip": {"mode": "as3"},
    },
    "attach": {
        "mode": "ifEmpty",
        "services": {
            "out": {
                "class": "Service_Forwarding",
                "forwardingType": "ip",
                "virtualAddresses": ["0.0.0.0/0"],
                "virtualPort": 0,
                "layer4": "any",
                "snat": "none",
            }
        },
    },
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Two teams with a rule in each tier, and a tenant that somebody else declared; F5's schema judges, where it is at hand."""
    with world(tmp_path_factory.mktemp("as3"), overrides={DEVICE: SETTINGS}) as made:
        made.device.as3.schema = judge()
        declare(made.device, theirs={"class": "Tenant", "app": {"class": "Application", "list": RULES}})
        made.team("shop", "10.244.1.1", "10.244.1.2")
        made.team("bank", "10.244.2.1")
        made.namespace_rule(
            "shop", "no-bad", "provider", "Deny", **{"from": {"podSelector": {"matchLabels": {"app": "x"}}}}
        )
        made.external("", "dns", "192.0.2.53", port=53)
        made.cluster_rule("everyone-resolves", "dns", "Allow")
        made.bridge.start()
        eventually("in force", lambda: not may(made, UNKNOWN, OUTSIDE) and may(made, "10.244.1.1"))
        made.await_in_step()
        yield made
        assert made.bridge.running, made.bridge.log()[-5:]


RULES = {"class": "Firewall_Rule_List", "rules": [{"name": "own", "action": "accept"}]}


def may(site: World, source: str, destination: str = PROVIDER, port: int = 443) -> bool:
    """Whether the device lets a packet through that meets the virtual server which is declared; without one nothing enters."""
    served = VIRTUAL in site.device.objects("ltm/virtual")
    return served and site.device.decide(source, destination, port=port, virtual=VIRTUAL).allowed


def declare(device: Bigip, **tenants: object) -> httpx.Response:
    """Somebody else declares something."""
    body = {"class": "ADC", "schemaVersion": "3.30.0", "id": "site", "controls": {"class": "Controls"}, **tenants}
    auth = (device.username, device.password)
    return httpx.post(f"{device.url}{DECLARE}", json=body, auth=auth, verify=False, timeout=10)  # noqa: S501


def declarations(device: Bigip) -> int:
    """How many the bridge has sent."""
    return sum(
        one.path == DECLARE and one.method == "POST" and one.agent.startswith("fusion-bridge")
        for one in device.requests()
    )


def declared(site: World) -> dict[str, Any]:
    """The items of our application."""
    found: dict[str, Any] = (site.device.as3.declared(TENANT) or {}).get("firewall", {})
    return found


@pytest.mark.acceptance(
    "BIG-IP: AS3 mode: rule lists, policies and virtual servers in a tenant of our own, address lists outside under /Common/<owner>"
)
def test_where_it_stands(site: World) -> None:
    for kind in MADE:
        assert site.device.objects(f"security/firewall/{kind}", f"/{TENANT}/"), kind
        assert not site.device.objects(f"security/firewall/{kind}", FOLDER), kind
    assert site.device.objects(LISTS, f"{FOLDER}/")
    assert not site.device.objects(LISTS, f"/{TENANT}/")
    assert site.device.objects("ltm/virtual")[VIRTUAL]["fwEnforcedPolicy"] == f"/{TENANT}/firewall/{OWNER}_enforced"
    assert may(site, "10.244.2.1", "192.0.2.53", 53)
    assert not may(site, UNKNOWN)
    status = site.bridge.cli("status", codes=(0, 1, 3))
    assert status["devices"][0]["attached"] == dict.fromkeys(("cluster", "namespace", "service"), True)
    assert "/theirs/app/list" in site.device.objects("security/firewall/rule-list"), "what others declared stays"
    assert not site.device.objects("security/firewall/global-rules").get("enforcedPolicy")


@pytest.mark.acceptance("BIG-IP: AS3 mode: a pod that comes or goes changes an address list, and nothing is declared")
def test_members(site: World) -> None:
    site.await_in_step()
    before = declarations(site.device)
    site.pod("shop", "web-9", "10.244.1.9")
    eventually("the new pod may", lambda: may(site, "10.244.1.9"))
    site.delete_pod("shop", "web-9")
    eventually("and no longer than it lives", lambda: not may(site, "10.244.1.9"))
    assert declarations(site.device) == before


@pytest.mark.acceptance(
    "BIG-IP: AS3 mode: address lists are created before what refers to them and deleted after; nothing of a team is left over"
)
def test_order(site: World) -> None:
    known = len(site.device.writes())
    site.team("brief", "10.244.3.1", to="198.51.100.0/28")
    eventually("there", lambda: may(site, "10.244.3.1", "198.51.100.1"))
    site.external("brief", "provider", "198.51.100.0/28", port=8443)
    eventually("changed", lambda: may(site, "10.244.3.1", "198.51.100.1", 8443))
    site.store.delete("namespaces", None, "brief")

    def gone() -> bool:
        return not any(
            "brief" in path
            for kind in ("address-list", *MADE)
            for path in site.device.objects(f"security/firewall/{kind}")
        )

    eventually("gone", gone)
    places = [path for write in site.device.writes()[known:] for path in write.touched if "brief" in path]
    assert "address-list" in places[0]
    assert "address-list" in places[-1]
    assert any(f"/{TENANT}/" in path for path in places)
    for _, state in site.device.timeline()[known:]:
        for item in state.values():
            assert all(key in state for key in item.references), item.path


@pytest.mark.acceptance(
    "BIG-IP: AS3 mode: at no moment is a packet allowed that neither the state before nor the state after allows"
)
def test_every_moment(site: World) -> None:
    """A provider moves, and an address goes from one team to the other, all at once: while nobody watches."""
    site.team("left", "10.244.5.1", "10.244.5.2")
    site.team("right", "10.244.6.1")
    eventually("in force", lambda: may(site, "10.244.5.1") and may(site, "10.244.6.1"))
    site.await_in_step()
    site.bridge.stop()
    known = len(site.device.timeline())
    site.delete_pod("left", "web-0")
    site.pod("right", "web-70", "10.244.5.1")
    site.external("left", "provider", "198.51.100.77")
    site.service_rule("right", "web", "provider", "Reject")
    site.bridge.start()
    eventually("in force", lambda: may(site, "10.244.5.2", "198.51.100.77") and not may(site, "10.244.6.1"))
    site.await_in_step()
    states = [
        {
            (source, to): site.device.decide(source, to, port=443, virtual=VIRTUAL, config=f"at:{number}").allowed
            for source in ("10.244.5.1", "10.244.5.2", "10.244.6.1", UNKNOWN)
            for to in (PROVIDER, "198.51.100.77", OUTSIDE)
        }
        for number in range(known, len(site.device.timeline()) + 1)
    ]
    for state in states:
        assert not [one for one, through in state.items() if through and not (states[0][one] or states[-1][one])]
    assert not any(state["10.244.5.1", "198.51.100.77"] for state in states)


@pytest.mark.acceptance(
    "BIG-IP: AS3 mode: tasks that take their time, an operation of somebody else (503), and a tenant that was declared anew meanwhile"
)
def test_tasks(site: World) -> None:
    device = site.device
    site.await_in_step()
    device.as3.seconds = 2
    device.as3.patience = 1
    assert declare(device, other={"class": "Tenant"}).status_code == 202
    site.external("", "dns", "192.0.2.54", port=53)
    site.external("bank", "more", "198.51.100.9")
    site.service_rule("bank", "web", "more")
    eventually("carried out", lambda: may(site, "10.244.1.2", "192.0.2.54", 53), 60)
    device.as3.seconds, device.as3.patience = 0, 45
    site.await_in_step(60)
    tenant = dict(device.as3.declared(TENANT) or {})
    lists = {**tenant["firewall"], SHOP: tenant["firewall"][SHOP] | {"rules": []}}
    assert declare(device, **{TENANT: tenant | {"firewall": lists}}).status_code == 200
    assert not may(site, "10.244.1.2")
    site.namespace_rule("bank", "more", "provider", "Deny", **{"from": {"podSelector": {"matchLabels": {"app": "y"}}}})
    eventually("ours again", lambda: may(site, "10.244.1.2"), 60)


@pytest.mark.acceptance(
    "BIG-IP: AS3 mode: what is refused (422), though not by name, is found by dry runs, keeps its last good version, and the rest goes on"
)
def test_refused(site: World) -> None:
    site.await_in_step(60)
    sound, amiss = site.device.as3.schema, f"{OWNER}_real_service_bank"
    ref, asked = ("serviceegressrules", "bank", "web-odd"), list[str]()

    def choosy(body: dict[str, Any]) -> list[str]:
        rules = body["declaration"].get(TENANT, {}).get("firewall", {}).get(amiss, {})
        asked.append(body.get("action", ""))
        found = ["something cannot be"] if "odd" in str(rules) else []
        return found or (sound(body) if sound else [])

    site.device.as3.schema = choosy
    try:
        site.external("bank", "odd", "203.0.113.16")
        site.service_rule("bank", "web", "odd")
        eventually("told", lambda: "Quarantined" in str(site.store.get(*ref).get("status")))
        assert "cannot be" in str(site.store.get(*ref)["status"])
        assert "dry-run" in asked
        site.team("later", "10.244.4.1", to="198.51.100.128/28")
        eventually("the rest goes on", lambda: may(site, "10.244.4.1", "198.51.100.129"))
        assert may(site, "10.244.2.1"), "the last good version stays"
        assert "odd" not in str(declared(site).get(amiss))
    finally:
        site.device.as3.schema = sound
        site.store.delete(*ref)


@pytest.mark.acceptance("BIG-IP: AS3 mode: a restart with nothing changed declares and writes nothing")
def test_restart(site: World) -> None:
    site.await_in_step(60)
    eventually("saved", lambda: site.device.state("saved") == site.device.state())
    site.bridge.stop()
    sent, digest = declarations(site.device), site.device.digest()
    site.bridge.start()
    site.pod("shop", "web-30", "10.244.1.30")
    eventually("works again", lambda: may(site, "10.244.1.30"))
    site.delete_pod("shop", "web-30")
    eventually("as it was", lambda: site.device.digest() != digest and not may(site, "10.244.1.30"))
    assert declarations(site.device) == sent


@pytest.mark.acceptance("BIG-IP: AS3 mode: settings that cannot be are refused by name before anything is run")
def test_settings(tmp_path: Path) -> None:
    wrong = {**SETTINGS, "attach": {"mode": "ifEmpty", "service": {"virtualServer": "/Common/egress"}}}
    with world(tmp_path, overrides={DEVICE: wrong}) as made:
        done = made.bridge.command("config", "check")
        assert done.returncode == 2
        assert "attach.service" in done.stdout + done.stderr
        assert "attach.services" in done.stdout + done.stderr


@pytest.mark.acceptance("lab: the simulated BIG-IP has AS3, and is started alone")
def test_started_alone() -> None:
    command = [str(PROGRAM), "lab", "device", "bigip"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            told = httpx.Response(200, text=process.stdout.readline()).json()
            auth = (told["username"], told["password"])
            with httpx.Client(base_url=told["url"], auth=auth, verify=False) as client:  # noqa: S501
                assert client.get("/mgmt/shared/appsvcs/info").json()["version"]
                assert client.get(DECLARE).status_code == 204
                body = {
                    "class": "ADC",
                    "schemaVersion": "3.30.0",
                    "t": {"class": "Tenant", "a": {"class": "Application"}},
                }
                assert client.post(DECLARE, json=body).json()["results"][0]["message"] == "success"
        finally:
            process.terminate()
    assert process.returncode == 0, sys.platform
