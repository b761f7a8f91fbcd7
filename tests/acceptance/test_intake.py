"""What people write, decided by the device: who is governed, who is a member, which rule counts. One bridge serves the whole module."""

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from bridge.lab.devices.bigip import Bigip
from tests.acceptance.site import CLUSTER, Bridge, ClusterEntry, bigip, eventually, stays
from tests.acceptance.world import OUTSIDE, VIRTUAL, World, allowed, world

PROVIDER, SERVICES, UNKNOWN = "192.0.2.1", "10.96.3.4", "10.244.255.77"
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The default Deny for governed and for unknown addresses."""
    with world(tmp_path_factory.mktemp("site")) as made:
        made.bridge.start()
        eventually("the default is in force", lambda: not made.allowed(UNKNOWN, OUTSIDE))
        yield made
        assert made.bridge.running, made.bridge.log()[-5:]


@pytest.mark.acceptance(
    "intake: governed namespaces are those of the label, and a rule elsewhere is NamespaceNotGoverned"
)
def test_governed_namespaces(site: World) -> None:
    site.team("governed", "10.244.1.1")
    site.namespace("free", governed=False)
    site.service("free", "web")
    site.pod("free", "web-0", "10.244.1.2")
    site.external("free", "provider", "192.0.2.0/28")
    site.service_rule("free", "web", "provider", "Deny")
    eventually("the governed pod reaches its provider", lambda: site.allowed("10.244.1.1", PROVIDER))
    eventually("the free pod reaches all", lambda: site.allowed("10.244.1.2", PROVIDER))
    assert not site.allowed("10.244.1.1", OUTSIDE)
    assert site.allowed("10.244.1.2", OUTSIDE)
    assert site.problem("ServiceEgressRule free/web-provider").startswith("NamespaceNotGoverned")
    # The label is all it takes, in both directions.
    site.store.patch("namespaces", None, "free", {"metadata": {"labels": {"fusionbridge.io/egress": "governed"}}})
    eventually("governed, its Deny counts", lambda: not site.allowed("10.244.1.2", PROVIDER))
    site.store.patch("namespaces", None, "free", {"metadata": {"labels": {"fusionbridge.io/egress": None}}})
    eventually("free again", lambda: site.allowed("10.244.1.2", PROVIDER) and site.allowed("10.244.1.2", OUTSIDE))


@pytest.mark.acceptance("intake: an address outside the pod ranges becomes no member, whoever writes it")
def test_pod_ranges(site: World) -> None:
    site.team("ranges", "10.244.2.1", "198.51.100.7")
    endpoints = [{"addresses": ["10.244.2.1", "10.244.2.250", "198.51.100.8"]}]
    metadata = {"name": "byhand-1", "namespace": "ranges", "labels": {"kubernetes.io/service-name": "byhand"}}
    site.store.create("services", {"metadata": {"name": "byhand", "namespace": "ranges"}, "spec": {"ports": []}})
    site.store.create("endpointslices", {"metadata": metadata, "addressType": "IPv4", "endpoints": endpoints})
    site.service_rule("ranges", "byhand", "provider")
    eventually("the pod inside is a member", lambda: site.group("service", "ranges", "web") == {"10.244.2.1"})
    # Of an EndpointSlice only what a pod of the same namespace holds.
    eventually("so it is by hand", lambda: site.group("service", "ranges", "byhand") == {"10.244.2.1"})


@pytest.mark.acceptance("intake: internal prefixes are subtracted from every destination, the default deny's included")
def test_inside_stays_inside(site: World) -> None:
    site.team("inside", "10.244.3.1", to="10.0.0.0/8")
    eventually("what is outside is reached", lambda: site.allowed("10.244.3.1", "10.1.2.3"))
    decided = [site.device.decide("10.244.3.1", inside, port=443, virtual=VIRTUAL) for inside in (SERVICES, UNKNOWN)]
    assert all(one.allowed and not one.matches for one in decided), "nothing that we write speaks of the inside"
    (destination,) = [name for name in site.lists() if name.endswith("external_inside_provider")]
    assert "10.0.0.0/8" not in site.group(*destination.split("_")[2:])


@pytest.mark.acceptance(
    "intake: the defaults, Deny or None with Deny or Pass, for governed, free and unknown addresses"
)
def test_defaults(tmp_path: Path, site: World) -> None:
    site.team("defaults", "10.244.4.1")
    site.namespace("defaults-free", governed=False)
    site.pod("defaults-free", "web-0", "10.244.4.2")
    choices = [(action, unknown) for action in ("Deny", "None") for unknown in ("Deny", "Pass")]
    sources = ("10.244.4.1", "10.244.4.2", UNKNOWN, "198.51.100.200")
    with ExitStack() as stack:
        devices = {f"{one}-{other}".lower(): stack.enter_context(bigip()) for one, other in choices}
        scopes = {
            name: {"scope": {"clusters": {CLUSTER: {"default": {"action": action, "unknownAddresses": unknown}}}}}
            for name, (action, unknown) in zip(devices, choices, strict=True)
        }
        entry = ClusterEntry(CLUSTER, site.api.kubeconfig)
        stack.enter_context(Bridge(tmp_path, devices, [entry], overrides=scopes)).start()
        for device, (action, unknown) in zip(devices.values(), choices, strict=True):
            eventually("the service tier is enforced", partial(attached, device))
            decided = [allowed(device, one, OUTSIDE) for one in sources]
            assert decided == [action == "None", True, unknown == "Pass", True], (action, unknown)
            assert allowed(device, "10.244.4.1", PROVIDER)
            assert allowed(device, UNKNOWN, PROVIDER) == (unknown == "Pass")
            last = device.decide("10.244.4.1", OUTSIDE, port=443, virtual=VIRTUAL)
            assert last.allowed or last.matches[-1].log, "the default deny is logged"


def attached(device: Bigip) -> bool:
    """Whether our policy of the last tier is enforced on the device."""
    (virtual,) = device.objects("ltm/virtual").values()
    return str(virtual.get("fwEnforcedPolicy")) not in ("None", "none", "")


@pytest.mark.acceptance(
    "intake: members are pods with an address, ready or not, terminating or not; not ended, not on the host network"
)
def test_membership(site: World) -> None:
    site.team("members", "10.244.5.1", "fd00::1")
    site.pod("members", "web-2", "10.244.5.2", phase="Pending")
    site.pod("members", "web-3", "10.244.5.3", host=True)
    site.pod("members", "web-4", "10.244.5.4")
    site.pod("members", "web-5", "10.244.5.5")
    site.store.patch("pods", "members", "web-5", {"metadata": {"finalizers": ["example.com/wait"]}})
    site.store.delete("pods", "members", "web-5", grace=0)
    assert site.store.get("pods", "members", "web-5")["metadata"]["deletionTimestamp"]
    eventually(
        "all that may hold traffic",
        lambda: site.group("service", "members", "web") == {"10.244.5.1", "10.244.5.2", "10.244.5.4", "10.244.5.5"},
    )
    site.store.patch("pods", "members", "web-4", {"status": {"phase": "Succeeded"}}, subresource="status")
    site.store.patch("pods", "members", "web-5", {"metadata": {"finalizers": None}})
    eventually("both have ended", lambda: site.group("service", "members", "web") == {"10.244.5.1", "10.244.5.2"})
    assert not site.allowed("10.244.5.4", PROVIDER)


@pytest.mark.acceptance(
    "intake: an address seen on two pods belongs to the one that started last, whatever comes late of the other"
)
def test_owner_of_an_address(site: World) -> None:
    site.team("owner")
    site.service("owner", "batch")
    old = site.pod("owner", "web-0", "10.244.6.1", started=NOW)
    eventually("the old pod may", lambda: site.allowed("10.244.6.1", PROVIDER))
    site.pod("owner", "batch-0", "10.244.6.1", started=NOW + timedelta(minutes=1))
    eventually("its address is another's", lambda: not site.allowed("10.244.6.1", PROVIDER))
    site.pod("owner", "web-0", "10.244.6.1", uid=old, started=NOW, annotations={"example.com/late": "yes"})
    stays("a late event takes nothing back", lambda: not site.allowed("10.244.6.1", PROVIDER), 1.5)
    site.delete_pod("owner", "batch-0")
    eventually("once the other is gone, the first holds it again", lambda: site.allowed("10.244.6.1", PROVIDER))


@pytest.mark.acceptance("intake: a selector that matches nothing matches nothing")
def test_nothing_is_never_any(site: World) -> None:
    site.team("nothing", "10.244.7.1")
    site.service_rule("nothing", "ghost", "provider")
    site.namespace_rule(
        "nothing", "nobody", "provider", "Deny", **{"from": {"podSelector": {"matchLabels": {"app": "none"}}}}
    )
    eventually("the group of nobody is there", lambda: any("rule_nothing_nobody" in name for name in site.lists()))
    eventually("and stops nobody", lambda: site.allowed("10.244.7.1", PROVIDER))
    assert not any(site.allowed(one, PROVIDER) for one in (UNKNOWN, "10.244.7.2", "10.244.9.250"))


@pytest.mark.acceptance(
    "compile: tiers in order: a lower one never overrides a higher one, Pass leaves the decision to the next"
)
def test_tiers(site: World) -> None:
    site.team("tiers", "10.244.8.1")
    site.pod("tiers", "job-0", "10.244.8.2")
    site.external("tiers", "half", "192.0.2.0/29")
    eventually("the service tier allows", lambda: site.allowed("10.244.8.1", PROVIDER))
    site.namespace_rule("tiers", "stop", "half", "Deny")
    eventually("the namespace tier denies", lambda: not site.allowed("10.244.8.1", PROVIDER))
    assert site.allowed("10.244.8.1", "192.0.2.9"), "outside of what it denies, the service tier decides"
    web = {"from": {"podSelector": {"matchLabels": {"app": "web"}}}}
    site.namespace_rule("tiers", "pass", "half", "Pass", priority=10, **web)
    eventually("Pass leaves it to the service tier", lambda: site.allowed("10.244.8.1", PROVIDER))
    assert not site.allowed("10.244.8.2", PROVIDER)
    site.external("", "all-of-it", "192.0.2.0/28")
    only = {"from": {"namespaceSelector": {"matchLabels": {"name": "tiers"}}}}
    site.cluster_rule("never", "all-of-it", "Deny", **only)
    eventually("the cluster tier ends it", lambda: not site.allowed("10.244.8.1", PROVIDER))
    assert not site.allowed("10.244.8.1", "192.0.2.9")
    site.store.delete("clusteregressrules", None, "never")
    eventually("and gives it back", lambda: site.allowed("10.244.8.1", PROVIDER))


@pytest.mark.acceptance(
    "compile: inside a tier lower priority goes first, then Deny and Reject before Pass before Allow"
)
def test_order_inside_a_tier(site: World) -> None:
    site.team("order", "10.244.9.1")
    site.external("order", "one", "198.51.100.1")
    site.namespace_rule("order", "z-deny", "one", "Deny")
    site.namespace_rule("order", "a-allow", "one", "Allow")
    site.namespace_rule("order", "m-pass", "one", "Pass")
    eventually("the rules are there", lambda: any("external_order_one" in name for name in site.lists()))
    stays("at equal priority Deny goes first", lambda: not site.allowed("10.244.9.1", "198.51.100.1"), 1)
    site.namespace_rule("order", "a-allow", "one", "Allow", priority=5)
    eventually("the lower number goes first", lambda: site.allowed("10.244.9.1", "198.51.100.1"))


@pytest.mark.acceptance("compile: Allow and Deny are final, Deny is silent and Reject is answered")
def test_actions(site: World) -> None:
    site.team("actions", "10.244.10.1")
    site.external("actions", "odd", "198.51.100.33")
    eventually("Allow", lambda: site.action("10.244.10.1", PROVIDER) in ("accept", "accept-decisively"))

    def decided(word: str) -> bool:
        return site.action("10.244.10.1", "198.51.100.33") == word

    for action, word in (("Deny", "drop"), ("Reject", "reject")):
        site.namespace_rule("actions", "odd", "odd", action)
        eventually(action, partial(decided, word))
    assert site.action("10.244.10.1", OUTSIDE) == "drop"


@pytest.mark.acceptance(
    "compile: withholding is closed: under a Deny that the device cannot express, an overlapping Allow is withheld and named"
)
def test_closed_withholding(site: World) -> None:
    site.team("closed", "10.244.11.1")
    site.external("closed", "apart", "198.51.100.44")
    eventually("before", lambda: site.allowed("10.244.11.1", PROVIDER))
    wildcard = {"fqdns": ["*.bad.example.com"], "addresses": ["192.0.2.8/29"], "ports": "Any"}
    site.put("ExternalService", "closed", "names", wildcard)
    site.namespace_rule("closed", "no-names", "names", "Deny")
    site.service_rule("closed", "web", "apart")
    site.service("closed", "more")
    site.external("closed", "wider", "192.0.2.0/27")
    site.service_rule("closed", "more", "wider")
    site.pod("closed", "more-0", "10.244.11.2")
    eventually(
        "the Deny is Unsupported", lambda: site.problem("NamespaceEgressRule closed/no-names").startswith("Unsupported")
    )
    query = "SELECT namespace || '/' || name, message FROM placement WHERE reason = 'Withheld'"
    with site.bridge.state() as connection:
        withheld = {str(name): str(message) for name, message in connection.execute(query)}
    assert "closed/more-wider" in withheld
    assert "NamespaceEgressRule closed/no-names" in withheld["closed/more-wider"]
    stays("a withheld Allow is not added", lambda: not site.allowed("10.244.11.2", PROVIDER), 1)
    site.pod("closed", "web-9", "10.244.11.9")
    stays("nor widened", lambda: not site.allowed("10.244.11.9", PROVIDER), 1)
    said = site.status()["devices"][0]["objects"]
    assert said.get("Withheld"), said
    site.store.delete("namespaceegressrules", "closed", "no-names")
    eventually(
        "without the Deny all is in force",
        lambda: site.allowed("10.244.11.2", PROVIDER) and site.allowed("10.244.11.9", PROVIDER),
    )


@pytest.mark.acceptance(
    "intake: one transaction per batch: a batch that breaks in the middle leaves nothing of itself, and comes again whole"
)
def test_one_transaction_per_batch(site: World) -> None:
    site.team("atomic", "10.244.12.1")
    eventually("recorded", lambda: site.allowed("10.244.12.1", PROVIDER))
    site.await_in_step()
    waits = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND pid <> pg_backend_pid()"
    kept = "SELECT count(*) FROM pod WHERE namespace = 'atomic' AND name = 'web-0'"
    with site.bridge.state() as first, site.bridge.state() as second:
        first.execute("BEGIN")
        first.execute("SELECT * FROM lease_open WHERE address = '10.244.12.1' FOR UPDATE")
        before = second.execute("SELECT revision FROM cluster").fetchone()
        site.delete_pod("atomic", "web-0")
        site.pod("atomic", "web-1", "10.244.12.2")
        eventually("the batch waits in its middle", lambda: second.execute(waits).fetchone() is not None)
        assert second.execute(f"SELECT pg_terminate_backend(pid) FROM ({waits}) AS them").fetchall()  # noqa: S608
        assert second.execute("SELECT revision FROM cluster").fetchone() == before
        assert second.execute(kept).fetchone() == (1,)
        first.execute("ROLLBACK")
    eventually(
        "it comes again", lambda: site.allowed("10.244.12.2", PROVIDER) and not site.allowed("10.244.12.1", PROVIDER)
    )
    assert site.bridge.running


@pytest.mark.acceptance("intake: a device for some namespaces leaves the pods of all others alone")
def test_device_of_one_namespace(tmp_path: Path) -> None:
    default = {"default": {"action": "Deny", "unknownAddresses": "Deny"}}
    scope = {"clusters": {CLUSTER: default}, "namespaces": ["shop"]}
    with world(tmp_path, overrides={"edge": {"scope": scope}}) as made:
        made.put("ClusterExternalService", "", "mail", {"addresses": ["203.0.113.25"], "ports": "Any"})
        made.cluster_rule("no-mail", "mail", "Deny", **{"from": {"podSelector": {"matchLabels": {"app": "web"}}}})
        made.bridge.start()
        made.team("shop", "10.244.8.1")
        made.team("bank", "10.244.8.2")
        eventually("in force", lambda: not made.allowed(UNKNOWN, OUTSIDE) and made.allowed("10.244.8.1", PROVIDER))
        assert not made.allowed("10.244.8.1", OUTSIDE)
        assert not made.allowed("10.244.8.1", "203.0.113.25")
        assert made.allowed("10.244.8.2", OUTSIDE)
        assert made.allowed("10.244.8.2", "203.0.113.25")
        assert not [name for name in made.lists() if "bank" in name]
