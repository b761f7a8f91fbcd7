"""Rules of F5 CES through the program: what packets meet, over restarts; what their authors are told; and how they are left behind."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.acceptance.site import CLUSTER, OWNER, PROGRAM, Bridge, ClusterEntry, bigip, eventually, stays
from tests.acceptance.test_intake import UNKNOWN
from tests.acceptance.world import OUTSIDE, World, cluster, run

CES = "kubeovn.io/v1alpha1"
DEFINITIONS = Path(__file__).parents[1] / "dialects" / "ces-crds"
BANK = "192.0.2.1"
IRULE = "bwc-1mbps-irule"


class Entry(ClusterEntry):
    """A cluster where policy may be written in CES too."""

    def settings(self) -> dict[str, Any]:
        """As YAML has it."""
        return super().settings() | {"dialects": ["native", "ces"], "ces": {"controllerNamespace": "ces"}}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A cluster with the definitions of CES, a device, and the bridge between them."""
    with cluster() as made, bigip() as device:
        define(made.store)
        made.namespace("ces", governed=False)
        device.put_object("ltm/rule", {"name": IRULE, "partition": "Common"})
        entry, folder = Entry(CLUSTER, made.api.kubeconfig), tmp_path_factory.mktemp("dialects")
        default = {"action": "Deny", "unknownAddresses": "Deny"}
        scope = {"clusters": {CLUSTER: {"default": default}}, "bigip": {"bandwidth": [IRULE]}}
        with Bridge(folder, {"edge": device}, [entry], overrides={"edge": {"scope": scope}}) as bridge:
            found = World(made.name, made.store, made.api, device, bridge)
            bridge.start()
            eventually("the default is in force", lambda: not found.allowed(UNKNOWN, OUTSIDE))
            yield found
            assert bridge.running, bridge.log()[-5:]


def define(store: Any) -> None:  # noqa: ANN401
    for path in sorted(DEFINITIONS.glob("*.yaml")):
        store.put(yaml.safe_load(path.read_text()))


def put(site: World, kind: str, namespace: str, name: str, spec: dict[str, Any]) -> None:
    """An object of CES, made or changed."""
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
    site.store.put({"apiVersion": CES, "kind": kind, "metadata": metadata, "spec": spec})


def external(site: World, namespace: str, name: str, *addresses: str, **more: Any) -> None:  # noqa: ANN401
    put(site, "ExternalService", namespace, name, {"addresses": list(addresses), **more})


def rule(site: World, kind: str, namespace: str, name: str, action: str, *to: str, **more: Any) -> None:  # noqa: ANN401
    put(site, kind, namespace, name, {"action": action, "externalServices": list(to), **more})


def ces(site: World, plural: str, namespace: str | None, name: str) -> dict[str, Any]:
    """The object as the cluster has it."""
    found: dict[str, Any] = site.store.get(f"{plural}.kubeovn.io", namespace, name)
    return found


def phase(site: World, plural: str, namespace: str | None, name: str) -> str:
    return str(ces(site, plural, namespace, name).get("status", {}).get("phase", ""))


def annotated(site: World, plural: str, namespace: str | None, name: str) -> dict[str, Any]:
    text = ces(site, plural, namespace, name)["metadata"].get("annotations", {}).get("fusionbridge.io/status", "{}")
    found: dict[str, Any] = json.loads(text)
    return found


@pytest.mark.acceptance(
    "dialects: rules of F5 CES are read as they are, tier by tier, and a governed namespace ends in deny"
)
def test_tiers(site: World) -> None:
    site.namespace("tiers")
    site.service("tiers", "web")
    site.pod("tiers", "web-0", "10.244.1.1")
    site.pod("tiers", "db-0", "10.244.1.2")
    external(site, "tiers", "web", "192.0.2.0/28", ports=[{"name": "web", "protocol": "TCP", "port": "443,8443-8450"}])
    external(site, "tiers", "any", "192.0.2.16-192.0.2.31")
    external(site, "ces", "never", "192.0.2.66")
    rule(site, "ServiceEgressRule", "tiers", "web", "accept", "web", "any", service="web")
    eventually("the service reaches it", lambda: site.allowed("10.244.1.1", BANK))
    assert [site.allowed("10.244.1.1", BANK, port) for port in (442, 8443, 8450, 8451)] == [False, True, True, False]
    assert site.allowed("10.244.1.1", "192.0.2.20", 5)
    assert not site.allowed("10.244.1.2", BANK), "no rule is about it"
    # A namespace's accept only goes on; what the service tier has decides.
    rule(site, "NamespaceEgressRule", "tiers", "all", "accept", "web")
    stays("not let through by that", lambda: not site.allowed("10.244.1.2", BANK), 1.0)
    rule(site, "NamespaceEgressRule", "tiers", "more", "accept-decisively", "any")
    eventually("let through by that", lambda: site.allowed("10.244.1.2", "192.0.2.20"))
    rule(site, "ClusterEgressRule", "", "never", "drop", "never")
    rule(site, "NamespaceEgressRule", "tiers", "wide", "accept-decisively", "wide")
    external(site, "tiers", "wide", "192.0.2.64/28")
    eventually("the wide one is let through", lambda: site.allowed("10.244.1.2", "192.0.2.65"))
    assert site.action("10.244.1.2", "192.0.2.66") == "drop"
    rule(site, "ClusterEgressRule", "", "never", "reject", "never")
    eventually("answered now", lambda: site.action("10.244.1.2", "192.0.2.66") == "reject")


@pytest.mark.acceptance("dialects: rules of F5 CES keep the order of first sight over a restart and over edits")
def test_order(site: World) -> None:
    site.namespace("order")
    site.pod("order", "web-0", "10.244.2.1")
    external(site, "order", "bank", BANK)
    rule(site, "NamespaceEgressRule", "order", "second", "accept-decisively", "bank")
    eventually("let through", lambda: site.allowed("10.244.2.1", BANK))
    rule(site, "NamespaceEgressRule", "order", "first", "drop", "bank")
    site.await_in_step()
    stays("the one that came first decides", lambda: site.allowed("10.244.2.1", BANK), 1.0)
    site.bridge.stop()
    # Who looks only now sees both at once, and their names the other way round.
    rule(site, "NamespaceEgressRule", "order", "first", "reject", "bank")
    site.bridge.start()
    site.await_in_step()
    stays("still", lambda: site.allowed("10.244.2.1", BANK), 1.0)
    site.store.delete("namespaceegressrules.kubeovn.io", "order", "second")
    eventually("nobody is before it now", lambda: site.action("10.244.2.1", BANK) == "reject")
    rule(site, "NamespaceEgressRule", "order", "second", "accept-decisively", "bank")
    site.await_in_step()
    stays("made anew it comes last", lambda: site.action("10.244.2.1", BANK) == "reject", 1.0)


@pytest.mark.acceptance("dialects: a namespace is its ovn.kubernetes.io/cidr prefixes where annotated, else its pods")
def test_namespace_prefixes(site: World) -> None:
    site.namespace("subnet")
    site.pod("subnet", "web-0", "10.244.3.1")
    external(site, "subnet", "bank", BANK)
    rule(site, "NamespaceEgressRule", "subnet", "out", "accept-decisively", "bank")
    eventually("its pod reaches it", lambda: site.allowed("10.244.3.1", BANK))
    assert not site.allowed("10.244.3.200", BANK)

    def annotate(cidr: str | None) -> None:
        site.store.patch("namespaces", None, "subnet", {"metadata": {"annotations": {"ovn.kubernetes.io/cidr": cidr}}})

    site.pod("subnet", "web-1", "10.244.3.200")
    annotate("10.244.3.128/25")
    eventually("the pod inside", lambda: site.allowed("10.244.3.200", BANK))
    eventually("and not the one outside", lambda: not site.allowed("10.244.3.1", BANK))
    annotate("172.16.0.0/16")
    eventually("outside of the pod ranges: nobody", lambda: not site.allowed("10.244.3.200", BANK))
    assert "lies outside the pod ranges" in site.problem("NamespaceEgressRule.kubeovn.io subnet/out")
    annotate(None)
    eventually("its pods again", lambda: site.allowed("10.244.3.1", BANK) and site.allowed("10.244.3.200", BANK))


@pytest.mark.acceptance("dialects: status.phase of CES is written back, and our conditions beside it")
def test_phase(site: World) -> None:
    site.namespace("phase")
    site.service("phase", "web")
    site.pod("phase", "web-0", "10.244.4.1")
    external(site, "phase", "bank", BANK)
    external(site, "phase", "odd", "300.1.2.3")
    rule(site, "ServiceEgressRule", "phase", "good", "accept", "bank", service="web")
    rule(site, "ServiceEgressRule", "phase", "bad", "accept", "odd", service="web")
    eventually("done", lambda: phase(site, "serviceegressrules", "phase", "good") == "Success", 60)
    eventually("not done", lambda: phase(site, "serviceegressrules", "phase", "bad") == "Syncing", 60)
    both = {"Accepted": "True", "Programmed": "True"}  # an annotation: another write than that of the phase
    eventually("told too", lambda: annotated(site, "serviceegressrules", "phase", "good") == both, 60)
    eventually("told of the service", lambda: annotated(site, "externalservices", "phase", "odd") != {}, 60)
    told = annotated(site, "externalservices", "phase", "odd")
    assert (told["Accepted"], told["reason"]) == ("False", "Invalid")
    assert "'300.1.2.3' is not an address, prefix or range" in told["message"]
    bad = "ExternalService.kubeovn.io phase/odd"
    eventually("and why", lambda: bad in annotated(site, "serviceegressrules", "phase", "bad").get("message", ""), 60)
    external(site, "phase", "odd", "192.0.2.2")
    eventually("mended", lambda: phase(site, "serviceegressrules", "phase", "bad") == "Success", 60)


@pytest.mark.acceptance("dialects: bandwidth goes to a device that has it, is reported where not, and the rule stands")
def test_bandwidth(site: World) -> None:
    site.namespace("slow")
    site.service("slow", "web")
    site.pod("slow", "web-0", "10.244.5.1")
    for name, address, limit in (("here", BANK, IRULE), ("nowhere", "192.0.2.2", "bwc-9mbps-irule")):
        port = {"name": "web", "protocol": "TCP", "port": "443", "bandwidth": limit}
        external(site, "slow", name, address, ports=[port])
        rule(site, "ServiceEgressRule", "slow", name, "accept", name, service="web")
    eventually("both stand", lambda: all(site.allowed("10.244.5.1", one) for one in (BANK, "192.0.2.2")))
    holder = site.device.objects("security/firewall/rule-list", f"/Common/{OWNER}/")
    lines = [one for path, body in holder.items() if "_slow" in path for one in body["rulesReference"]["items"]]
    assert [one.get("irule") for one in lines] == [f"/Common/{IRULE}", None]
    eventually("done", lambda: phase(site, "serviceegressrules", "slow", "nowhere") == "Success", 60)
    eventually("told too", lambda: annotated(site, "serviceegressrules", "slow", "nowhere") != {}, 60)
    told = annotated(site, "serviceegressrules", "slow", "nowhere")
    assert told["message"].endswith(
        "on edge: the device has no limit of bandwidth named bwc-9mbps-irule: the rule stands without"
    )
    assert told["Accepted"] == told["Programmed"] == "True"


@pytest.mark.acceptance("dialects: import prints rules of our own that the device decides by as by those of CES")
def test_import(site: World, tmp_path: Path) -> None:
    site.namespace("move")
    site.service("move", "web")
    site.pod("move", "web-0", "10.244.6.1")
    external(site, "move", "bank", "192.0.2.0/28")
    external(site, "move", "branch", "192.0.2.4")
    rule(site, "NamespaceEgressRule", "move", "b", "drop", "branch")
    rule(site, "NamespaceEgressRule", "move", "a", "accept", "bank")
    rule(site, "ServiceEgressRule", "move", "web", "accept", "bank", service="web")
    eventually("let through", lambda: site.allowed("10.244.6.1", BANK))
    site.await_in_step()

    def decided() -> list[str]:
        return [site.action("10.244.6.1", f"192.0.2.{last}") for last in range(18)]

    before = decided()
    done = site.bridge.command("import", "ces", "--cluster", CLUSTER)
    lost = [line for line in done.stderr.splitlines() if " move/" in line]
    assert not lost
    manifests = [one for one in yaml.safe_load_all(done.stdout) if one and one["metadata"].get("namespace") == "move"]
    assert len(manifests) == 5
    file = tmp_path / "move.yaml"
    file.write_text(yaml.safe_dump_all(manifests))
    assert run(PROGRAM, "validate", file).returncode == 0
    # Both stand, then one of them: at no moment is anything decided otherwise.
    for manifest in manifests:
        site.store.put(manifest)
    site.await_in_step()
    eventually("both stand", lambda: decided() == before)
    for plural in ("serviceegressrules", "namespaceegressrules", "externalservices"):
        for one in site.store.list(f"{plural}.kubeovn.io", "move"):
            site.store.delete(f"{plural}.kubeovn.io", "move", one["metadata"]["name"])
    site.await_in_step()
    stays("ours alone decide the same", lambda: decided() == before, 1.0)


@pytest.mark.acceptance("dialects: a cluster without the definitions of CES is served as any other")
def test_definitions_missing(tmp_path: Path) -> None:
    with (
        cluster() as made,
        bigip() as device,
        Bridge(tmp_path, {"edge": device}, [Entry(CLUSTER, made.api.kubeconfig)]) as bridge,
    ):
        site = World(made.name, made.store, made.api, device, bridge)
        site.team("shop", "10.244.1.1", to="192.0.2.0/28")
        bridge.start()
        eventually("our own rules are in force", lambda: site.allowed("10.244.1.1", BANK))
        said = "list clusteregressrules.kubeovn.io"
        eventually("it is said", lambda: any(said in json.dumps(line) for line in bridge.log()))
        site.service_rule("shop", "web", "provider", "Deny")
        eventually("and nothing stops for it", lambda: not site.allowed("10.244.1.1", BANK))
