"""What stands in an AWS account: a prefix list for each group, entries in security groups that are named, and nobody else's touched."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bridge.lab.devices.aws import Aws
from bridge.lab.devices.aws.item import PrefixList, Rule
from tests.acceptance.site import CLUSTER, OWNER, Bridge, ClusterEntry, eventually, stays
from tests.acceptance.world import Cluster, cluster

WEB, SECOND, CRON = "10.244.1.1", "10.244.1.2", "10.244.1.9"
PROVIDER, LEDGER, OUTSIDE = "192.0.2.1", "192.0.2.17", "203.0.113.1"
BEHIND = {"provider": "192.0.2.0/28", "ledger": "192.0.2.16/28"}


@dataclass
class Site(Cluster):
    """A cluster, the program, and an account with a security group before each of two blocks of destinations."""

    device: Aws
    bridge: Bridge
    groups: dict[str, str]

    def allowed(self, source: str, destination: str, port: int = 443) -> bool:
        """What the security groups decide for a TCP packet."""
        return self.device.decide(source, destination, port=port).allowed

    def lists(self) -> dict[str, PrefixList]:
        """The prefix lists of ours by name."""
        return {
            one.name: one for one in self.device.state().prefix_lists() if ("fusionbridge.io/owner", OWNER) in one.tags
        }

    def entries(self, place: str) -> list[Rule]:
        """The inbound entries of a security group."""
        return [rule for rule in self.device.rules(self.groups[place]) if not rule.egress]

    def problem(self, ref: str) -> str:
        """What `status` says about one object."""
        found = self.bridge.cli("status", codes=(0, 1, 3))["problems"]
        return " ".join(f"{one['reason']}: {one['message']}" for one in found if one["object"] == ref)

    def standing(self, rule: str) -> str:
        """What a rule of the service tier says of itself."""
        return str(self.store.get("serviceegressrules", "shop", rule).get("status", {}))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Calls are throttled as Amazon does it, and a change of a list takes a moment."""
    folder = tmp_path_factory.mktemp("aws")
    with cluster() as made, Aws(settling=0.02) as device:
        device.throttle.on = True
        groups = {name: device.create_group(name, prefix) for name, prefix in BEHIND.items()}
        device.create_list(f"{OWNER}/real/service/shop/looks-like-ours/ipv4", "192.0.2.99/32")
        entry = ClusterEntry(CLUSTER, made.api.kubeconfig)
        with Bridge(folder, {}, [entry]) as bridge:
            bridge.write_settings({"devices": [_settings(folder, device, groups)]})
            found = Site(made.name, made.store, made.api, device, bridge, groups)
            _write(found)
            bridge.start()
            eventually("the service may", lambda: found.allowed(WEB, PROVIDER))
            bridge.await_in_step()
            yield found
            assert bridge.running, bridge.log()[-5:]


def _settings(folder: Path, device: Aws, groups: dict[str, str]) -> dict[str, Any]:
    for word in ("username", "password"):
        (folder / f"aws-{word}").write_text(getattr(device, word))
    return {
        "name": "databases",
        "kind": "aws",
        "url": device.url,
        "credentials": {word: {"file": f"aws-{word}"} for word in ("username", "password")},
        "tls": {"caFile": str(device.ca)},
        "scope": {
            "clusters": {CLUSTER: {"default": {"action": "None", "unknownAddresses": "Pass"}}},
            "aws": {"region": device.region},
        },
        "attach": {
            "mode": "ifEmpty",
            "securityGroups": [{"id": groups[name], "destinations": [prefix]} for name, prefix in BEHIND.items()],
        },
    }


def _write(site: Site) -> None:
    site.team("shop", WEB, SECOND, to=BEHIND["provider"])
    site.pod("shop", "cron-0", CRON)
    site.service("shop", "cron")
    site.external("shop", "some", "192.0.2.18/32")
    site.service_rule("shop", "cron", "some")


@pytest.mark.acceptance(
    "devices: AWS: ingress at the destination: one managed prefix list per group, owner-marked entries on named security groups only"
)
def test_objects(site: Site) -> None:
    name = f"{OWNER}/{CLUSTER}/service/shop/web/ipv4"
    held = site.lists()[name]
    assert {prefix for prefix, _ in held.entries} == {f"{WEB}/32", f"{SECOND}/32"}
    assert dict(held.tags)["fusionbridge.io/object"] == f"group:{CLUSTER}/service/shop/web"
    (entry,) = site.entries("provider")
    assert (entry.peer, entry.protocol, entry.low, entry.high) == (held.id, "tcp", 443, 443)
    assert entry.description == name.removesuffix("/ipv4")
    assert dict(entry.tags) == {"fusionbridge.io/owner": OWNER}
    assert not site.entries("ledger")
    assert not site.allowed(CRON, PROVIDER)
    assert not site.allowed(WEB, PROVIDER, 80)


@pytest.mark.acceptance(
    "devices: AWS: versions: a member comes and goes by a change of its list alone, and a change of somebody else's is seen and put right"
)
def test_members(site: Site) -> None:
    name = f"{OWNER}/{CLUSTER}/service/shop/web/ipv4"
    entries = site.entries("provider")
    site.pod("shop", "web-7", "10.244.1.7")
    eventually("the new pod may", lambda: site.allowed("10.244.1.7", PROVIDER))
    site.delete_pod("shop", "web-7")
    eventually("and no longer than it lives", lambda: not site.allowed("10.244.1.7", PROVIDER))
    eventually("at rest", lambda: site.lists()[name].state == "modify-complete" and site.lists()[name].max_entries == 2)
    held = site.lists()[name]
    form = {"PrefixListId": held.id, "CurrentVersion": str(held.version), "RemoveEntry.1.Cidr": f"{SECOND}/32"}
    site.device.call("ModifyManagedPrefixList", form)
    site.pod("shop", "web-8", "10.244.1.8")
    eventually("both are right", lambda: site.allowed("10.244.1.8", PROVIDER) and site.allowed(SECOND, PROVIDER))
    site.delete_pod("shop", "web-8")
    eventually("as before", lambda: site.lists()[name].entries == held.entries)
    assert site.entries("provider") == entries


@pytest.mark.acceptance(
    "devices: AWS: a rule applies only where it covers the destinations behind a security group wholly, and says where it does not"
)
def test_cover(site: Site) -> None:
    said = site.problem("ServiceEgressRule shop/cron-some")
    assert "part of what stands behind one place" in said, site.bridge.cli("status", codes=(0, 1, 3))
    assert not site.entries("ledger")
    site.external("shop", "some", "192.0.2.16/28")
    eventually("all of it", lambda: site.allowed(CRON, LEDGER))
    assert not site.allowed(WEB, LEDGER)
    site.external("shop", "some", "192.0.2.18/32")
    eventually("again a part", lambda: "part of what stands" in site.problem("ServiceEgressRule shop/cron-some"))
    site.external("shop", "half", "192.0.2.0/29")
    site.namespace_rule("shop", "no-half", "half", "Deny")
    cut = "NamespaceEgressRule shop/no-half leaves of it a part of what stands behind one place"
    eventually("what a Deny leaves", lambda: cut in site.standing("web-provider"))
    assert "Withheld" in site.standing("web-provider")
    eventually("nothing of it is left", lambda: not site.allowed(WEB, PROVIDER))
    site.store.delete("namespaceegressrules", "shop", "no-half")
    eventually("let in again", lambda: site.allowed(WEB, PROVIDER))


@pytest.mark.acceptance(
    "devices: AWS: denies are subtracted from our entries; foreign entries that allow more are reported and left"
)
def test_denies(site: Site) -> None:
    site.namespace_rule(
        "shop", "no-second", "provider", "Deny", **{"from": {"podSelector": {"matchLabels": {"app": "no"}}}}
    )
    site.pod("shop", "web-1", SECOND, app="no")
    eventually("denied", lambda: not site.allowed(SECOND, PROVIDER) and site.allowed(WEB, PROVIDER))
    form = {"GroupId": site.groups["provider"], "IpPermissions.1.IpProtocol": "-1"}
    site.device.call("AuthorizeSecurityGroupIngress", {**form, "IpPermissions.1.IpRanges.1.CidrIp": "10.244.0.0/16"})
    theirs = next(rule for rule in site.entries("provider") if rule.peer == "10.244.0.0/16")
    report = site.bridge.cli("report", "--fresh", codes=(0, 1, 3))["byDevice"][0]
    found = {one["name"]: one["why"] for one in report["lookAlikes"]}
    assert found[theirs.id] == f"lets through more: 10.244.0.0/16 to {site.groups['provider']}, every protocol"
    assert "has a name of ours and not our tags" in " ".join(found.values())
    stays("theirs stands", lambda: theirs in site.entries("provider"), 0.5)
    site.device.call("RevokeSecurityGroupIngress", {"GroupId": form["GroupId"], "SecurityGroupRuleId.1": theirs.id})
    site.store.delete("namespaceegressrules", "shop", "no-second")
    site.pod("shop", "web-1", SECOND)
    eventually("let in again", lambda: site.allowed(SECOND, PROVIDER))


@pytest.mark.acceptance(
    "devices: AWS: limits (60 rules, weight, 100 lists) are planned before the first call: what does not fit is named, all else goes on"
)
def test_limits(site: Site) -> None:
    for number in range(70):
        site.pod("shop", f"cron-{number}", f"10.244.7.{number + 1}")
    site.external("shop", "some", BEHIND["ledger"])
    group = f"group:{CLUSTER}/service/shop/cron"
    eventually("it does not fit", lambda: group in _refused(site))
    assert "would hold 80 rules of IPv4, and its quota is 60" in _refused(site)[group]
    assert not site.allowed("10.244.7.70", LEDGER)
    site.pod("shop", "web-9", "10.244.1.10")
    eventually("all else goes on", lambda: site.allowed("10.244.1.10", PROVIDER))
    refused = [one for one in site.device.requests() if one.status == 400]
    assert not refused, "EC2 had to say what could be known"


def _refused(site: Site) -> dict[str, str]:
    """The objects that the program has named as refused."""
    told = [one["objects"] for one in site.bridge.log() if one["event"] == "objects refused"]
    return {key: why for objects in told for key, why in objects.items()}


@pytest.mark.acceptance("devices: AWS: boto3 is an extra, imported only when it is used")
def test_extra() -> None:
    words = "import sys, bridge.cli.main; from adapters.aws import factory; print('botocore' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "False\n"
