"""What a BIG-IP of a real site has besides: route domains, a log profile, a resolver of its own, limits of the rate, a second unit."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bridge.lab.devices.bigip import Pair
from tests.acceptance.site import CLUSTER, FOLDER, OWNER, Bridge, bigip, eventually, members
from tests.acceptance.test_dialects import Entry, define, external, rule
from tests.acceptance.world import OUTSIDE, VIRTUAL, World, allowed, cluster
from tests.bench import bigip as bench
from tests.bench.row import Row

DEFAULT = {"clusters": {CLUSTER: {"default": {"action": "Deny", "unknownAddresses": "Deny"}}}}
DOMAIN, PODS, UNKNOWN, PROVIDER = 12, "/Common/pods", "10.244.9.9", "192.0.2.1"
PROFILE, IRULE, NAME, BEHIND = "/Common/fw-log", "bwc-1mbps-irule", "api.example.com", "203.0.113.77"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Pods in a route domain that the settings know by its path; a device that resolves names, logs, and has an iRule."""
    with cluster() as made, bigip() as device:
        define(made.store)
        made.namespace("ces", governed=False)
        device.put_object("net/route-domain", {"name": "pods", "partition": "Common", "id": DOMAIN})
        device.put_object("security/log/profile", {"name": "fw-log", "partition": "Common"})
        device.put_object("ltm/rule", {"name": IRULE, "partition": "Common"})
        device.give_resolver()
        device.names = {NAME: [BEHIND]}
        own = {"routeDomain": PODS, "fqdn": "device", "bandwidth": [IRULE]}
        attach = {
            "mode": "ifEmpty",
            "namespace": {"routeDomain": PODS},
            "service": {"virtualServer": VIRTUAL, "logProfile": PROFILE},
        }
        overrides = {"edge": {"scope": DEFAULT | {"bigip": own}, "attach": attach}}
        entry, folder = Entry(CLUSTER, made.api.kubeconfig), tmp_path_factory.mktemp("more")
        with Bridge(folder, {"edge": device}, [entry], overrides=overrides) as bridge:
            found = World(made.name, made.store, made.api, device, bridge)
            found.team("shop", "10.244.1.1")
            bridge.start()
            eventually("in force", lambda: not passes(found, UNKNOWN, OUTSIDE) and passes(found, "10.244.1.1"))
            yield found
            assert bridge.running, bridge.log()[-5:]


def passes(world: World, source: str, destination: str = PROVIDER) -> bool:
    """What the device decides in the route domain of the pods."""
    return allowed(world.device, source, destination, route_domain=DOMAIN)


def refused(world: World) -> str:
    """What the status of the rule about another name says."""
    return json.dumps(world.store.get("serviceegressrules", "shop", "web-other").get("status", {}))


def lines(world: World, namespace: str) -> list[dict[str, Any]]:
    """The rules of a namespace, as the device has them."""
    found = world.device.objects("security/firewall/rule-list", f"{FOLDER}/")
    return [one for path, body in found.items() if f"_{namespace}" in path for one in body["rulesReference"]["items"]]


@pytest.mark.acceptance(
    "devices: BIG-IP: the number of a route domain is taken from the device, and every address of ours is in it"
)
def test_route_domain(site: World) -> None:
    device = site.device
    assert members(device, f"{OWNER}_real_service_shop_web") == {f"10.244.1.1%{DOMAIN}"}
    held = [
        one["name"]
        for body in device.objects("security/firewall/address-list", FOLDER).values()
        for one in body["addresses"]
    ]
    assert all(f"%{DOMAIN}" in one for one in held)
    assert device.objects("net/route-domain")[PODS]["fwEnforcedPolicy"] == f"{FOLDER}/{OWNER}__namespace"
    assert "fwEnforcedPolicy" not in device.objects("net/route-domain")["/Common/0"]
    before = len(device.writes())
    site.bridge.stop()
    site.bridge.start()
    site.await_in_step()
    assert [one.path for one in device.writes()[before:] if "security" in one.path] == [], (
        "what stands there is read back as it is meant"
    )


@pytest.mark.acceptance(
    "devices: BIG-IP: a log profile is put beside our policy, in the same write, and the rules that log say so"
)
def test_log_profile(site: World) -> None:
    site.external("shop", "logged", "192.0.2.100")
    site.service_rule("shop", "web", "logged", log=True)
    eventually("logged", lambda: any(one["log"] == "yes" and one["action"] != "drop" for one in lines(site, "shop")))
    virtual = site.device.objects("ltm/virtual")[VIRTUAL]
    assert virtual["securityLogProfiles"] == [PROFILE]
    assert virtual["fwEnforcedPolicy"] == f"{FOLDER}/{OWNER}__service"
    ours = [one for one in site.device.writes() if one.user == site.device.username and "ltm/virtual" in one.path]
    assert len(ours) == 1


@pytest.mark.acceptance(
    "devices: BIG-IP: names go to the device where its firewall resolves them, and are refused by name once it cannot"
)
def test_names(site: World) -> None:
    spec = {"fqdns": [NAME], "ports": [{"protocol": "TCP", "port": 443}]}
    site.put("ExternalService", "shop", "named", spec)
    site.service_rule("shop", "web", "named")
    eventually("by name", lambda: passes(site, "10.244.1.1", BEHIND))
    body = site.device.objects("security/firewall/address-list")[f"{FOLDER}/{OWNER}_real_external_shop_named"]
    assert body["fqdns"] == [{"name": NAME}]
    assert "addresses" not in body
    site.device.names = {NAME: ["203.0.113.78"]}
    assert passes(site, "10.244.1.1", "203.0.113.78"), "what the name means is the device's affair"
    site.device.change_object("security/firewall/global-fqdn-policy", {"dnsResolver": "none"})
    site.put("ExternalService", "shop", "other", spec | {"fqdns": ["b.example.com"]})
    site.service_rule("shop", "web", "other")
    eventually("refused by name", lambda: "has no resolver for names" in refused(site))
    site.pod("shop", "web-1", "10.244.1.2")
    eventually("the rest goes on", lambda: passes(site, "10.244.1.2"))


@pytest.mark.acceptance(
    "devices: BIG-IP: schedules are kept by the bridge: a rule stands on the device while it counts, and has none there"
)
def test_schedules(site: World) -> None:
    site.team("timed", "10.244.2.1")
    site.external("timed", "later", "192.0.2.200")
    begin, end = (datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=after) for after in (4, 9))
    site.service_rule("timed", "web", "later", notBefore=f"{begin:%FT%TZ}", notAfter=f"{end:%FT%TZ}")
    eventually("the others stand", lambda: passes(site, "10.244.2.1"))
    eventually("its time has come", lambda: passes(site, "10.244.2.1", "192.0.2.200"))
    assert datetime.now(UTC) >= begin
    assert not any(one.get("schedule") or one["status"] != "enabled" for one in lines(site, "timed"))
    eventually("its time is over", lambda: not passes(site, "10.244.2.1", "192.0.2.200"))
    assert passes(site, "10.244.2.1")


@pytest.mark.acceptance(
    "devices: BIG-IP: an iRule by its name stands beside the rules that ask for it, and nothing of ours makes iRules"
)
def test_irule(site: World) -> None:
    site.namespace("slow")
    site.service("slow", "web")
    site.pod("slow", "web-0", "10.244.5.1")
    external(
        site, "slow", "bank", PROVIDER, ports=[{"name": "web", "protocol": "TCP", "port": "443", "bandwidth": IRULE}]
    )
    rule(site, "ServiceEgressRule", "slow", "bank", "accept", "bank", service="web")
    eventually("let through", lambda: passes(site, "10.244.5.1"))
    assert [one["irule"] for one in lines(site, "slow")] == [f"/Common/{IRULE}"]
    assert not any("ltm/rule" in one.path for one in site.device.writes() if one.user == site.device.username)


@pytest.mark.acceptance(
    "devices: BIG-IP: of two units the active one is served; ours alone is synchronized; a failover is followed and nothing is lost"
)
def test_pair(tmp_path_factory: pytest.TempPathFactory) -> None:
    with cluster() as made, Pair() as pair:
        for unit in pair.units:
            unit.put_object(
                "ltm/virtual", {"name": "egress", "partition": "Common", "destination": "/Common/0.0.0.0:0"}
            )
        pair.synchronize()
        first, second = pair.units
        folder = tmp_path_factory.mktemp("pair")
        bundle = folder / "both.pem"
        bundle.write_text("".join(Path(str(unit.ca)).read_text() for unit in pair.units))
        ha = {"deviceGroup": pair.name, "peers": [second.url], "configSync": "push"}
        overrides = {"edge": {"scope": DEFAULT | {"bigip": {"ha": ha}}, "tls": {"caFile": str(bundle)}}}
        entry = Entry(CLUSTER, made.api.kubeconfig)
        define(made.store)
        made.namespace("ces", governed=False)
        delivery = {"auditInterval": 5, "saveAfter": 0.5}
        with Bridge(folder, {"edge": first}, [entry], overrides=overrides, delivery=delivery) as bridge:
            world = World(made.name, made.store, made.api, first, bridge)
            world.team("shop", "10.244.1.1")
            bridge.start()
            eventually(
                "in force", lambda: not allowed(first, UNKNOWN, OUTSIDE) and allowed(first, "10.244.1.1", PROVIDER)
            )
            eventually(
                "synchronized", lambda: pair.status().status == "In Sync" and allowed(second, "10.244.1.1", PROVIDER)
            )
            pair.failover()
            world.pod("shop", "web-1", "10.244.1.2")
            world.delete_pod("shop", "web-0")
            eventually(
                "followed",
                lambda: allowed(second, "10.244.1.2", PROVIDER) and not allowed(second, "10.244.1.1", PROVIDER),
            )
            eventually(
                "the other too",
                lambda: allowed(first, "10.244.1.2", PROVIDER) and not allowed(first, "10.244.1.1", PROVIDER),
            )
            assert world.status()["devices"][0]["state"] == "ok"
            saved = len(second.writes())
            second.put_object(
                "security/firewall/address-list", {"name": "/Common/theirs", "addresses": [{"name": "192.0.2.9"}]}
            )
            world.pod("shop", "web-2", "10.244.1.3")
            eventually("served", lambda: allowed(second, "10.244.1.3", PROVIDER))
            eventually("said", lambda: any("not for changes of ours alone" in str(one) for one in bridge.log()))
            assert len(second.writes()) > saved
            assert "/Common/theirs" not in first.objects("security/firewall/address-list")
            assert not allowed(first, "10.244.1.3", PROVIDER)
            first.stop()
            world.pod("shop", "web-3", "10.244.1.4")
            eventually("without the other", lambda: allowed(second, "10.244.1.4", PROVIDER))


@pytest.mark.acceptance(
    "devices: figure: 300 rules to a BIG-IP: ≤ 10 calls beside the writes per transaction chunk, ≤ 10 calls by AS3, ≤ 1 MB in all"
)
@pytest.mark.parametrize("rows", [bench.transactions, bench.declarations])
def test_figure_of_rules(rows: Callable[[], Iterator[Row]]) -> None:
    assert [(row.figure, row.reached) for row in rows() if not row.reached] == []
