"""What stands on the BIG-IP: readable, marked, in a folder of our own, attached as its owner says, and nobody else's touched."""

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from bridge.lab.devices.bigip import Bigip
from tests.acceptance.site import DEVICE, LISTS, OWNER, eventually, stays
from tests.acceptance.world import OUTSIDE, VIRTUAL, World, world

PROVIDER, UNKNOWN, FOLDER = "192.0.2.1", "10.244.255.77", f"/Common/{OWNER}"
FIREWALL = ("address-list", "port-list", "rule-list", "policy")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Two teams with a rule in each tier, beside what the site has of its own."""
    with world(tmp_path_factory.mktemp("site")) as made:
        put_foreign(made.device)
        made.team("shop", "10.244.1.1", "10.244.1.2")
        made.team("bank", "10.244.2.1")
        made.namespace_rule(
            "shop", "no-bad", "provider", "Deny", **{"from": {"podSelector": {"matchLabels": {"app": "x"}}}}
        )
        made.external("", "dns", "192.0.2.53", port=53)
        made.cluster_rule("everyone-resolves", "dns", "Allow")
        made.bridge.start()
        eventually("in force", lambda: not made.allowed(UNKNOWN, OUTSIDE) and made.allowed("10.244.1.1", PROVIDER))
        made.await_in_step()
        yield made
        assert made.bridge.running, made.bridge.log()[-5:]


def put_foreign(device: Bigip) -> None:
    """What a site has: lists, a policy with rules, and a list that looks like ours."""
    entries = [{"name": "192.0.2.66"}]
    device.put_object(LISTS, {"name": "site-hosts", "partition": "Common", "addresses": entries}, user="site")
    device.put_object(
        LISTS, {"name": f"{OWNER}_looks_like_ours", "partition": "Common", "addresses": entries}, user="site"
    )
    device.put_object("security/firewall/policy", {"name": "site-policy", "partition": "Common"}, user="site")
    rule = {"name": "hosts", "action": "accept", "place-after": "last"}
    source = {"source": {"addressLists": ["/Common/site-hosts"]}}
    device.put_object("security/firewall/policy/~Common~site-policy/rules", rule | source, user="site")


def foreign(device: Bigip) -> str:
    """Everything that is not ours, as text; the places where policies are attached are the one exception."""
    slots = ("fwEnforcedPolicy", "enforcedPolicy", "fwEnforcedPolicyReference", "enforcedPolicyReference", "generation")
    found = {}
    for collection in (
        *(f"security/firewall/{kind}" for kind in FIREWALL),
        "ltm/virtual",
        "net/route-domain",
        "sys/folder",
    ):
        for path, body in device.objects(collection).items():
            if not f"{path}/".startswith(f"{FOLDER}/"):
                bare = collection in ("ltm/virtual", "net/route-domain")
                found[path] = {key: value for key, value in body.items() if not (bare and key in slots)}
    return json.dumps(found, sort_keys=True)


@pytest.mark.acceptance(
    "BIG-IP: address lists, port lists, rule lists and a policy for each context, in a folder of our own"
)
def test_objects(site: World) -> None:
    device = site.device
    assert FOLDER in device.objects("sys/folder")
    for kind in FIREWALL:
        assert device.objects(f"security/firewall/{kind}", f"{FOLDER}/"), kind
    assert len(device.objects("security/firewall/policy", FOLDER)) == 3
    decided = device.decide("10.244.1.1", OUTSIDE, port=443, virtual=VIRTUAL)
    assert [one.context.partition(" ")[0] for one in decided.matches][-1] == "virtual"
    contexts = {write.path for write in device.writes() if write.agent.startswith("fusion-bridge")}
    for place in ("global-rules", "route-domain", "ltm/virtual"):
        assert any(place in path for path in contexts), place


@pytest.mark.acceptance(
    "BIG-IP: names that a security engineer can read: cluster, scope, namespace, name; and a mark on each"
)
def test_names_and_marks(site: World) -> None:
    names = site.lists()
    assert {
        f"{OWNER}_real_service_shop_web",
        f"{OWNER}_real_external_bank_provider",
        f"{OWNER}_real_clusterexternal__dns",
    } <= names
    for kind in FIREWALL:
        for path, body in site.device.objects(f"security/firewall/{kind}", f"{FOLDER}/").items():
            assert path.rpartition("/")[2].startswith(f"{OWNER}_"), path
            assert body["description"].startswith(f"fb:{OWNER}:"), (path, body)
            assert len(body["description"]) <= 60


@pytest.mark.acceptance(
    "BIG-IP: what is foreign stays byte for byte, look-alikes are named, and after the last rule nothing of ours is left over"
)
def test_foreign_objects(site: World) -> None:
    before = foreign(site.device)
    report = site.bridge.cli("report")["byDevice"][0]
    assert [one["name"] for one in report["lookAlikes"]] == [f"/Common/{OWNER}_looks_like_ours"]
    assert report["foreign"] >= 1
    site.team("brief", "10.244.3.1")
    eventually("there", lambda: site.allowed("10.244.3.1", PROVIDER))
    site.external("brief", "provider", "198.51.100.0/24", port=8443)
    eventually("changed", lambda: site.allowed("10.244.3.1", "198.51.100.1", 8443))
    site.store.delete("namespaces", None, "brief")
    eventually(
        "gone",
        lambda: (
            not any("brief" in name for kind in FIREWALL for name in site.device.objects(f"security/firewall/{kind}"))
        ),
    )
    assert foreign(site.device) == before
    ours = {path for write in site.device.writes() if write.user == site.device.username for path in write.touched}
    strangers = {path for path in ours if f"{FOLDER}/" not in f"{path}/"}
    assert strangers <= {
        "ltm/virtual/Common/egress",
        "net/route-domain/Common/0",
        "security/firewall/global-rules/Common/global-rules",
    }, strangers


@pytest.mark.acceptance("BIG-IP: saves are coalesced")
def test_saves(site: World) -> None:
    site.await_in_step()
    eventually("saved", lambda: site.device.state("saved") == site.device.state())
    saves, writes = site.device.saves, len(site.device.writes())
    for number in range(20):
        site.pod("bank", f"web-{number + 10}", f"10.244.2.{number + 10}")
        eventually("there", partial(site.allowed, f"10.244.2.{number + 10}", PROVIDER))
    eventually("saved", lambda: site.device.state("saved") == site.device.state())
    assert len(site.device.writes()) - writes >= 10
    assert site.device.saves - saves <= 10


@pytest.mark.acceptance("BIG-IP: a token that ends in the middle of a run is replaced, and tokens do not pile up")
def test_tokens(site: World) -> None:
    site.device.clock.advance(40_000)
    site.pod("bank", "web-50", "10.244.2.50")
    eventually("there", lambda: site.allowed("10.244.2.50", PROVIDER))
    site.await_in_step()
    assert len(site.device.tokens.live()) <= 2


@pytest.mark.acceptance("BIG-IP: stored and active told apart: AwaitingDeploy until the device has compiled")
def test_stored_and_active(site: World) -> None:
    site.device.store.compiler.manual = True
    try:
        site.pod("bank", "web-60", "10.244.2.60")
        eventually("stored", lambda: site.allowed("10.244.2.60", PROVIDER))
        assert not site.device.decide("10.244.2.60", PROVIDER, port=443, virtual=VIRTUAL, config="active").allowed
        eventually("said", lambda: site.status()["devices"][0]["objects"].get("AwaitingDeploy", 0) >= 1)
        stays("as long as nobody deploys", lambda: "AwaitingDeploy" in site.status()["devices"][0]["objects"], 1)
    finally:
        site.device.store.compiler.manual = False
        site.device.deploy()
    eventually("active", lambda: "AwaitingDeploy" not in site.status()["devices"][0]["objects"])
    assert site.device.decide("10.244.2.60", PROVIDER, port=443, virtual=VIRTUAL, config="active").allowed


@pytest.mark.acceptance(
    "BIG-IP: order of changes: at no moment is a packet allowed that neither the state before nor the state after allows"
)
def test_every_moment(site: World) -> None:
    known = len(site.device.timeline())
    sources, destinations = ("10.244.1.1", "10.244.1.2", "10.244.2.1", UNKNOWN), (PROVIDER, "198.51.100.77", OUTSIDE)
    packets = [(source, destination) for source in sources for destination in destinations]
    # The provider moves, and an address goes from one team to the other, all at once: while nobody watches, or each would be a state.
    site.bridge.stop()
    site.delete_pod("shop", "web-0")
    site.pod("bank", "web-70", "10.244.1.1")
    site.external("shop", "provider", "198.51.100.77")
    site.service_rule("bank", "web", "provider", "Reject")
    site.bridge.start()
    eventually(
        "in force", lambda: site.allowed("10.244.1.2", "198.51.100.77") and not site.allowed("10.244.2.1", PROVIDER)
    )
    site.await_in_step()
    states = [
        {
            packet: site.device.decide(*packet, port=443, virtual=VIRTUAL, config=f"at:{number}").allowed
            for packet in packets
        }
        for number in range(known, len(site.device.timeline()) + 1)
    ]
    first, last = states[0], states[-1]
    for state in states:
        wrong = [packet for packet, allowed in state.items() if allowed and not (first[packet] or last[packet])]
        assert not wrong
    assert not any(state["10.244.1.1", "198.51.100.77"] for state in states), (
        "its old owner's new permission was never its own"
    )


@pytest.mark.acceptance(
    "BIG-IP: a large group is split, so that one change rewrites one small list; the whole group stays one in the rules"
)
def test_shards(tmp_path: Path) -> None:
    with world(tmp_path) as site:
        addresses = [f"10.244.{number // 250 + 1}.{number % 250 + 1}" for number in range(2000)]
        site.team("shop", *addresses)
        site.bridge.start()
        eventually(
            "in force",
            lambda: len(site.group("service", "shop", "web")) == 2000 and not site.allowed(UNKNOWN, OUTSIDE),
            60,
        )
        parts = {name for name in site.lists() if name.startswith(f"{OWNER}_real_service_shop_web_")}
        assert len(parts) > 4
        assert all(site.allowed(one, PROVIDER) for one in addresses[::199])
        site.await_in_step()
        known = len(site.device.writes())
        site.delete_pod("shop", "web-7")
        eventually("out", lambda: not site.allowed(addresses[7], PROVIDER))
        touched = {path for write in site.device.writes()[known:] for path in write.touched}
        assert len(touched) == 1
        assert touched <= {f"{LISTS}{FOLDER}/{part}" for part in parts}


@pytest.mark.acceptance(
    "BIG-IP: attach none is the default: everything is built, nothing is attached, and the line that attaches it is told"
)
def test_attach_none(tmp_path: Path) -> None:
    with world(tmp_path, overrides={DEVICE: {"attach": "none"}}) as site:
        site.team("shop", "10.244.1.1")
        site.bridge.start()
        eventually("built", lambda: "10.244.1.1" in site.group("service", "shop", "web"))
        site.await_in_step()
        assert site.allowed(UNKNOWN, OUTSIDE), "nothing is enforced"
        assert site.bridge.cli("status", codes=(0, 1, 3))["devices"][0]["attached"] == dict.fromkeys(
            ("cluster", "namespace", "service"), False
        )
        assert "not attached" in site.bridge.command("report").stdout
        assert all(
            write.path.startswith("/mgmt/tm/security/firewall/global-rules") is False for write in site.device.writes()
        )
        line = f"tmsh modify ltm virtual /Common/egress fw-enforced-policy {FOLDER}/"
        site.bridge.overrides = {DEVICE: {"attach": {"mode": "none", "service": {"virtualServer": VIRTUAL}}}}
        site.bridge.write_settings()
        assert line in site.bridge.command("report").stdout
        assert site.bridge.cli("report")["byDevice"][0]["attachBy"].keys() == {"cluster", "namespace", "service"}


@pytest.mark.acceptance("BIG-IP: attach ifEmpty never replaces what stands there, says so, and tells the line")
def test_attach_if_empty(tmp_path: Path) -> None:
    with world(tmp_path) as site:
        put_foreign(site.device)
        site.device.change_object(
            "ltm/virtual/~Common~egress", {"fwEnforcedPolicy": "/Common/site-policy"}, user="site"
        )
        site.team("shop", "10.244.1.1")
        site.bridge.start()
        eventually("built", lambda: "10.244.1.1" in site.group("service", "shop", "web"))
        eventually("said", lambda: site.status()["devices"][0]["attached"].get("service") is False)
        (virtual,) = site.device.objects("ltm/virtual").values()
        assert virtual["fwEnforcedPolicy"] == "/Common/site-policy"
        report = site.bridge.cli("report", codes=(0, 1))["byDevice"][0]
        assert "/Common/site-policy" in json.dumps(report)
        assert f"fw-enforced-policy {FOLDER}/{OWNER}__service" in json.dumps(report)
        assert report["attached"] == {"cluster": True, "namespace": True, "service": False}
