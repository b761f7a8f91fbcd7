"""One policy on devices of every form, by the real program; the suite that every adapter passes; random policies and real packets."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from time import sleep, time
from typing import Any

import pytest

from adapters.conformance import Conformance
from adapters.nftables import factory as nftables_factory
from bridge.lab.devices.aws import Aws
from bridge.lab.devices.aws.rig import verdict as aws_verdict
from bridge.lab.devices.bigip import Bigip
from bridge.lab.devices.bigip.rig import verdict as bigip_verdict
from bridge.lab.devices.fortigate import Fortigate
from bridge.lab.devices.fortigate.rig import verdict as fortigate_verdict
from bridge.lab.devices.memory import AddressSet, Bundle, Entry, EntrySet, MemoryDevice
from bridge.lab.devices.memory.referee import verdict as memory_verdict
from bridge.model.capabilities import Form
from bridge.model.policy import Protocol
from bridge.policy.evaluate import Packet, Verdict
from bridge.policy.feeding import LEAST
from tests.acceptance.fortigate import ANCHOR, POLICY
from tests.acceptance.site import CLUSTER, OWNER, Bridge, ClusterEntry, bigip, eventually
from tests.acceptance.test_bigip_as3 import SETTINGS as AS3
from tests.acceptance.test_bigip_as3 import VIRTUAL as AS3_VIRTUAL
from tests.acceptance.world import Cluster, cluster
from tests.adapters.aws.test_conformance import TestAws as AwsSuite
from tests.adapters.aws.test_forms import test_every_packet_is_decided_as_the_evaluator_decides_it as random_on_aws
from tests.adapters.bigip.test_as3_conformance import TestBigipAs3 as BigipAs3Suite
from tests.adapters.bigip.test_conformance import TestBigip as BigipSuite
from tests.adapters.conformance.mutants import MUTANTS
from tests.adapters.forms import test_forms
from tests.adapters.forms.fleet import drawn, questions
from tests.adapters.forms.test_forms_as3 import (
    test_every_packet_is_decided_as_the_evaluator_decides_it as random_on_as3,
)
from tests.adapters.fortigate.test_call_by_call import TestFortigateCallByCall as SingleCallsSuite
from tests.adapters.fortigate.test_conformance import TestFortigate as FortigateSuite
from tests.adapters.memory.test_conformance import TestAllowOnly as AllowOnlySuite
from tests.adapters.memory.test_conformance import TestFlat as FlatSuite
from tests.adapters.nftables.machine import MISSING, kernel, namespace, nft
from tests.adapters.nftables.referee import Ruleset
from tests.adapters.nftables.rig import config as gateway_config
from tests.adapters.nftables.test_conformance import TestNftables as NftablesSuite
from tests.adapters.nftables.test_flat import TestFlatNftables as FlatNftablesSuite
from tests.adapters.nftables.test_ssh import SSH
from tests.packets import test_moving
from tests.packets.gateway import PODS, WORLD, Gateway
from tests.packets.network import network
from tests.policy.world import ADDRESSES
from tests.policy.world import OUTSIDE as OUTSIDE_ADDRESSES
from tests.policy.world import World as RandomWorld

ROOT = Path(__file__).parents[2]
TABLE, FEED = f"fusion_bridge_{OWNER}", "system/external-resource"
WEB, CRON, FREE, UNKNOWN = "10.244.1.1", "10.244.1.2", "10.244.3.1", "10.244.255.77"
PROVIDER, BLOCKED, OUTSIDE = "192.0.2.1", "192.0.2.9", "203.0.113.1"
EDGE = {
    "scope": {
        "clusters": {CLUSTER: {"default": {"action": "Deny", "unknownAddresses": "Deny"}}},
        "bigip": {"schedules": True},
    }
}
KERNEL = os.environ.get("CI") == "true" or not MISSING


Judge = Callable[[Packet, float], Verdict]
"""What a device does with a packet at a second since 1970."""


@dataclass
class Site(Cluster):
    """A cluster, the program, and devices of every form."""

    bridge: Bridge
    judges: Mapping[str, Judge]
    memory: Mapping[str, MemoryDevice]
    spaces: Mapping[str, str]
    ssh: Path
    fed: Fortigate

    def decides(self, source: str, destination: str, port: int = 443, at: float | None = None) -> dict[str, Verdict]:
        packet = Packet(source, destination, Protocol.TCP, port)
        return {name: judge(packet, time() if at is None else at) for name, judge in self.judges.items()}

    def agreed(self, source: str, destination: str, said: Verdict, port: int = 443) -> bool:
        """Whether every device decides so; where only Allows stand, whatever is no Allow matches nothing."""
        found = self.decides(source, destination, port)
        allowed = {found.pop(name) is Verdict.ALLOW for name in ("cloud", "account")}
        return allowed == {said is Verdict.ALLOW} and set(found.values()) == {said}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Every form of every kind at once. Devices in memory live in files; of the gateways in network namespaces one is reached by ssh."""
    folder = tmp_path_factory.mktemp("unlike")
    memory = {name: MemoryDevice(name, file=folder / f"{name}.json") for name in ("cloud", "list")}
    with ExitStack() as stack:
        made = stack.enter_context(cluster())
        spaces = {name: stack.enter_context(namespace()) for name in ("tiers", "lines") if KERNEL}
        boxes = {name: stack.enter_context(Fortigate()) for name in ("box", "feeds")}
        edges = {name: stack.enter_context(bigip()) for name in ("edge", "edge-as3")}
        account = stack.enter_context(Aws())
        listed = [_memory("cloud", memory["cloud"], "allow-only"), _memory("list", memory["list"], "flat")]
        listed.append(_box("box", boxes["box"], schedules={"timeZone": "UTC"}))
        listed.append(_box("feeds", boxes["feeds"], feeds={"most": 2}))
        listed.append(_account(account))
        if KERNEL:
            # The user of ssh is a credential; a gateway of this machine has no use for one.
            listed.append(
                _device("tiers", "nftables", "local://tiers", networkNamespace=spaces["tiers"], form="tiered")
            )
            listed.append(
                _device("lines", "nftables", "ssh://lines.example", networkNamespace=spaces["lines"], form="flat")
            )
        environment = {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}", "WHO": "gatekeeper"}
        environment |= {f"TOKEN_{name.upper()}": box.password for name, box in boxes.items()}
        environment |= {"KEY": account.username, "SECRET": account.password}
        ssh = folder / "ssh"
        ssh.write_text(SSH)
        ssh.chmod(0o755)
        entry = ClusterEntry(CLUSTER, made.api.kubeconfig)
        bridge = Bridge(folder, edges, [entry], environment=environment, overrides={"edge": EDGE, "edge-as3": AS3})
        bridge.write_settings({"devices": [*bridge.listed(), *listed]})
        stack.callback(bridge.stop)
        judges: dict[str, Judge] = {name: _remembered(one) for name, one in memory.items()}
        judges.update({name: _boxed(box) for name, box in boxes.items()})
        judges.update({name: _gateway(space) for name, space in spaces.items()})
        judges["edge"] = _edged(edges["edge"], "/Common/egress")
        judges["edge-as3"] = _edged(edges["edge-as3"], AS3_VIRTUAL)
        judges["account"] = lambda packet, _at: aws_verdict(account.state(), dict(account.interfaces), packet)
        found = Site(made.name, made.store, made.api, bridge, judges, memory, spaces, ssh, boxes["feeds"])
        _write(found)
        bridge.start()
        eventually(
            "the service may", lambda: found.agreed(WEB, PROVIDER, Verdict.ALLOW), 90
        )  # ten devices from nothing
        bridge.await_in_step(90)
        yield found
        assert bridge.running, bridge.log()[-5:]


def _memory(name: str, device: MemoryDevice, form: str) -> dict[str, Any]:
    return _device(name, "memory", f"memory://{name}", file=str(device.file), form=form)


def _device(name: str, kind: str, url: str, **own: object) -> dict[str, Any]:
    default = {"action": "Deny", "unknownAddresses": "Deny"}
    return {
        "name": name,
        "kind": kind,
        "url": url,
        "credentials": {"username": {"env": "WHO"}},
        "scope": {"clusters": {CLUSTER: {"default": default}}, kind: own},
        "attach": "ifEmpty",
    }


def _box(name: str, device: Fortigate, **more: object) -> dict[str, Any]:
    """A FortiGate that keeps our policies before one of the site's own, which never matches."""
    nobody = {"srcaddr": [{"name": "none"}], "dstaddr": [{"name": "none"}], "service": [{"name": "ALL"}]}
    everywhere = {"srcintf": [{"name": "any"}], "dstintf": [{"name": "any"}], "schedule": "always"}
    device.put_object(POLICY, {"name": ANCHOR, **nobody, **everywhere}, user="site")
    settings = _device(name, "fortigate", device.url, mode="policies", policies={"before": ANCHOR}, **more)
    return settings | {"credentials": {"token": {"env": f"TOKEN_{name.upper()}"}}, "tls": {"caFile": str(device.ca)}}


def _account(device: Aws) -> dict[str, Any]:
    """A security group before each destination."""
    behind = [f"{one}/32" for one in (PROVIDER, BLOCKED, OUTSIDE)]
    places = [{"id": device.create_group(f"front-{at}", one), "destinations": [one]} for at, one in enumerate(behind)]
    return _device("account", "aws", device.url, region=device.region) | {
        "credentials": {"username": {"env": "KEY"}, "password": {"env": "SECRET"}},
        "tls": {"caFile": str(device.ca)},
        "attach": {"mode": "ifEmpty", "securityGroups": places},
    }


def _remembered(device: MemoryDevice) -> Judge:
    return lambda packet, at: memory_verdict(device.contents, packet, at)


def _edged(device: Bigip, virtual: str) -> Judge:
    """Asked at the virtual server through which the pods' traffic goes."""
    return lambda packet, at: bigip_verdict(device.state(), packet, at, virtual)


def _boxed(device: Fortigate) -> Judge:
    return lambda packet, at: fortigate_verdict(device.court(default="unmatched"), packet, at=at)


def _gateway(space: str) -> Judge:
    def verdict(packet: Packet, at: float) -> Verdict:
        return Ruleset.of(nft(space, "-jn", "list", "table", "inet", TABLE, check=False)).verdict(packet, at)

    return verdict


def _write(site: Site) -> None:
    """A Deny of the cluster, a Pass of the namespace, a Deny below it, and an Allow of the service."""
    site.team("shop", WEB)
    site.pod("shop", "cron-0", CRON)
    site.namespace("free", governed=False)
    site.pod("free", "web-0", FREE)
    site.external("", "blocked", f"{BLOCKED}/32")
    site.cluster_rule("nobody", "blocked", "Deny", log=True)
    site.namespace_rule(
        "shop", "onward", "provider", "Pass", priority=1, **{"from": {"podSelector": {"matchLabels": {"app": "web"}}}}
    )
    site.namespace_rule("shop", "no-more", "provider", "Deny", priority=2)


@pytest.mark.acceptance(
    "devices: one policy means the same on tiered, flat and allow-only devices, pushed by the program and read back from each"
)
def test_one_meaning(site: Site) -> None:
    for source, destination, port, said in (
        (WEB, PROVIDER, 443, Verdict.ALLOW),
        (WEB, PROVIDER, 80, Verdict.DENY),
        (WEB, BLOCKED, 443, Verdict.DENY),
        (CRON, PROVIDER, 443, Verdict.DENY),
        (WEB, OUTSIDE, 443, Verdict.DENY),
        (UNKNOWN, PROVIDER, 443, Verdict.DENY),
        (FREE, OUTSIDE, 443, Verdict.UNMATCHED),
    ):
        assert site.agreed(source, destination, said, port), (
            source,
            destination,
            port,
            site.decides(source, destination, port),
        )


@pytest.mark.acceptance(
    "devices: pods that come and go are members on every form of device, and no address stays behind"
)
def test_members(site: Site) -> None:
    site.pod("shop", "web-7", "10.244.1.7")
    eventually("the new pod may", lambda: site.agreed("10.244.1.7", PROVIDER, Verdict.ALLOW))
    site.delete_pod("shop", "web-7")
    eventually("and no longer than it lives", lambda: site.agreed("10.244.1.7", PROVIDER, Verdict.DENY))


@pytest.mark.acceptance(
    "devices: the group with most churn moves to a feed on the FortiGate that has feeds, while it means the same on every other device"
)
@pytest.mark.timeout(180)
def test_a_feed_among_all(site: Site) -> None:
    for turn in range(LEAST // 2 + 1):
        source = f"10.244.2.{turn + 1}"
        site.pod("shop", "web-6", source, uid=f"00000000-0000-4000-8000-{turn:012}")
        eventually("the new pod may", lambda source=source: _listed(site, source) is Verdict.ALLOW)  # type: ignore[misc]
        site.delete_pod("shop", "web-6")
        eventually("and no longer", lambda source=source: _listed(site, source) is Verdict.DENY)  # type: ignore[misc]
    eventually("it is a feed", lambda: WEB in _pushed(site.fed))
    site.bridge.await_in_step()
    assert site.agreed(WEB, PROVIDER, Verdict.ALLOW), site.decides(WEB, PROVIDER)
    site.pod("shop", "web-9", "10.244.1.9")
    eventually("the new pod may", lambda: site.agreed("10.244.1.9", PROVIDER, Verdict.ALLOW))
    assert "10.244.1.9" in _pushed(site.fed)
    site.delete_pod("shop", "web-9")
    eventually("and no longer than it lives", lambda: site.agreed("10.244.1.9", PROVIDER, Verdict.DENY))


@pytest.mark.acceptance(
    "devices: an Allow that is over lets nobody through on a device that knows schedules, though the bridge is down; elsewhere it is over "
    "when the bridge is back"
)
def test_an_end_without_a_bridge(site: Site) -> None:
    temporary = OUTSIDE
    site.external("shop", "partner", f"{temporary}/32")
    site.service_rule("shop", "web", "partner")
    eventually("it may", lambda: site.agreed(WEB, temporary, Verdict.ALLOW))
    end = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=10)
    site.service_rule("shop", "web", "partner", notAfter=end.isoformat())
    eventually("its end is written", lambda: not _without_end(site, temporary, end))
    site.bridge.await_in_step()
    site.bridge.stop(signal.SIGKILL)
    assert site.agreed(WEB, temporary, Verdict.ALLOW), "a bridge that is gone takes nothing away"
    now, later = (site.decides(WEB, temporary, at=end.timestamp() + after) for after in (59, 121))
    assert {name for name, said in now.items() if said is not Verdict.ALLOW} == set(), (
        "no clock ends it before its time"
    )
    left = {name for name, said in later.items() if said is Verdict.ALLOW}
    assert left == {"edge-as3", "feeds", "account"}, "these know no schedules, or their settings want none"
    assert site.decides(WEB, PROVIDER, at=end.timestamp() + 121)["edge"] is Verdict.ALLOW
    sleep(max(0.0, (end - datetime.now(UTC)).total_seconds()))
    site.bridge.start()
    eventually("over everywhere", lambda: site.agreed(WEB, temporary, Verdict.DENY), 90)
    site.bridge.await_in_step(90)


def _without_end(site: Site, destination: str, end: datetime) -> set[str]:
    """The devices that could, and would still let it through two minutes after its end."""
    found = site.decides(WEB, destination, at=end.timestamp() + 121)
    able = set(found) - {"edge-as3", "feeds", "account"}
    return {name for name in able if found[name] is Verdict.ALLOW}


def _listed(site: Site, source: str) -> Verdict:
    return site.memory["list"].verdict(Packet(source, PROVIDER, Protocol.TCP, 443))


def _pushed(device: Fortigate) -> set[str]:
    return {one for name in device.objects(FEED) for one in device.entries(name)}


@pytest.mark.acceptance(
    "memory: allow-only: entries of sets, without order, Deny or log; foreign entries that let through more are reported and left"
)
def test_allow_only(site: Site) -> None:
    cloud = site.memory["cloud"]
    site.bridge.await_in_step()
    entries = [entry for _, entry in cloud.contents.enforced()]
    assert entries
    assert {(entry.action, entry.log) for entry in entries} == {("allow", False)}
    cloud.edit("site-any", "", AddressSet(("0.0.0.0/0",)))
    cloud.edit("site-own", "", EntrySet((Entry("own", ("site-any",), ("site-any",)),)))
    cloud.edit("site", "", Bundle(("site-own",)))
    cloud.put_in_force("site", "site")
    try:
        report = site.bridge.cli("report", "--fresh", codes=(0, 1, 3))
        told = next(one for one in report["byDevice"] if one["device"] == "cloud")
        assert {one["name"]: one["why"] for one in told["lookAlikes"]} == {
            "site-own": "lets through more: site-any to site-any"
        }
        assert cloud.verdict(Packet(UNKNOWN, OUTSIDE, Protocol.TCP, 443)) is Verdict.ALLOW
        assert "site-own" in cloud.contents.objects
    finally:
        cloud.put_in_force("site", "")
        for name in ("site", "site-own", "site-any"):
            cloud.edit(name, "", None)


@kernel
@pytest.mark.acceptance(
    "nftables: one table of our own in the forward path: chains per tier, hash sets for hosts, interval sets for prefixes, counters, "
    "log prefixes that name the rule"
)
def test_gateway(site: Site) -> None:
    site.bridge.await_in_step()
    text = nft(site.spaces["tiers"], "list", "table", "inet", TABLE)
    for part in (
        "chain policy/cluster {",
        "chain policy/namespace {",
        "chain policy/service {",
        "type filter hook forward priority filter - 10; policy accept;",
        f"chain rules/{CLUSTER}/service/shop {{",
        f"counter rules/{CLUSTER}/cluster/nobody_cluster_blocked_tcp {{",
        f'log prefix "{TABLE} {CLUSTER}/cluster nobody_cluster_blocked_tcp: "',
    ):
        assert part in text, part
    listed = json.loads(nft(site.spaces["tiers"], "-j", "list", "table", "inet", TABLE))["nftables"]
    sets = {one["set"]["name"]: one["set"] for one in listed if "set" in one}
    hosts, nets = (
        sets[f"group/{CLUSTER}/service/shop/web.hosts4"],
        sets[f"group/{CLUSTER}/external/shop/provider.nets4"],
    )
    assert (hosts["elem"], hosts.get("flags", [])) == ([WEB], [])
    assert (nets["elem"], nets["flags"]) == ([{"prefix": {"addr": "192.0.2.0", "len": 28}}], ["interval"])
    tables = json.loads(nft(site.spaces["tiers"], "-j", "list", "tables"))["nftables"]
    assert [one["table"]["name"] for one in tables if "table" in one] == [TABLE]


@kernel
@pytest.mark.acceptance(
    "nftables: a change of members is a delta of elements: no rule is written again, no counter begins anew; over ssh as well"
)
def test_deltas(site: Site) -> None:
    site.bridge.await_in_step()
    before = {name: _chains(space) for name, space in site.spaces.items()}
    site.pod("shop", "web-8", "10.244.1.8")
    eventually("the new pod may", lambda: site.agreed("10.244.1.8", PROVIDER, Verdict.ALLOW))
    site.delete_pod("shop", "web-8")
    eventually("and no longer than it lives", lambda: site.agreed("10.244.1.8", PROVIDER, Verdict.DENY))
    assert {name: _chains(space) for name, space in site.spaces.items()} == before
    said = Path(f"{site.ssh}.words").read_text().splitlines()
    assert {"BatchMode=yes", "StrictHostKeyChecking=yes", "lines.example", "gatekeeper"} <= set(said)


def _chains(space: str) -> list[str]:
    """Every rule with its handle, which is never given twice."""
    lines = nft(space, "-s", "-a", "list", "table", "inet", TABLE).splitlines()
    return [line for line in lines if "# handle" in line and ("accept" in line or "drop" in line or "jump" in line)]


@kernel
@pytest.mark.acceptance(
    "nftables: atomic: a transaction that cannot be committed whole changes nothing, and the table of the other form has no chain for Pass"
)
def test_atomic_and_flat(site: Site) -> None:
    space = site.spaces["lines"]
    before = nft(space, "-s", "list", "table", "inet", TABLE)
    assert "next/" not in before
    with pytest.raises(AssertionError, match="No such file"):
        nft(space, "-f", "-", stdin=f"flush table inet {TABLE}\nadd rule inet {TABLE} nowhere drop\n")
    assert nft(space, "-s", "list", "table", "inet", TABLE) == before


# ---- the suite

SUITES: Mapping[str, tuple[type[Conformance], str]] = {
    "BIG-IP": (BigipSuite, "tests/adapters/bigip/test_conformance.py::TestBigip"),
    "BIG-IP with AS3": (BigipAs3Suite, "tests/adapters/bigip/test_as3_conformance.py::TestBigipAs3"),
    "FortiGate": (FortigateSuite, "tests/adapters/fortigate/test_conformance.py::TestFortigate"),
    "FortiGate, call by call": (
        SingleCallsSuite,
        "tests/adapters/fortigate/test_call_by_call.py::TestFortigateCallByCall",
    ),
    "AWS": (AwsSuite, "tests/adapters/aws/test_conformance.py::TestAws"),
    "nftables, tiered": (NftablesSuite, "tests/adapters/nftables/test_conformance.py::TestNftables"),
    "nftables, flat": (FlatNftablesSuite, "tests/adapters/nftables/test_flat.py::TestFlatNftables"),
    "memory, allow-only": (AllowOnlySuite, "tests/adapters/memory/test_conformance.py::TestAllowOnly"),
    "memory, flat": (FlatSuite, "tests/adapters/memory/test_conformance.py::TestFlat"),
}
CHECKS = {
    "read after apply equals normalize, and a second plan is empty": "test_what_is_applied_is_read_and_nothing_is_left_to_do",
    "normalize is pure and idempotent": "test_normalize_is_pure_and_idempotent",
    "an apply stopped after every k-th call converges": "test_an_apply_stopped_at_any_call_converges",
    "nothing without our mark is deleted": "test_nothing_is_deleted_that_lost_its_mark_since_it_was_read",
    "a higher epoch means no write": "test_after_a_higher_epoch_nothing_is_written",
    "limits at n-1, n, n+1": "test_what_fits_is_taken_and_what_does_not_is_named",
    "no rule refers to a missing group and no packet is allowed that neither neighbour allows, at any intermediate state": (
        "test_nothing_dangles_and_nothing_opens_on_the_way"
    ),
    "an empty group matches nothing": "test_an_empty_group_matches_nothing",
    "401, 403, 404, 409, 429, 5xx, time-outs, HTML, cut connections: the right error, no duplicate, no secret": (
        "test_a_plan_in_trouble_says_so"
    ),
    "IPv6 forms": "test_so_is_one_of_ipv6",
    "unsorted and duplicate forms": "test_order_and_repetition_say_nothing",
    "/32 and bare forms": "test_a_member_is_the_same_in_every_form",
    "two owners on one device": "test_two_owners_on_one_device_do_not_meet",
    "the skip list is asserted": "test_skips_are_exactly_what_is_not_declared",
}
QUICK = "test_skips_are_exactly or test_after_a_higher_epoch or test_an_empty_group"


@pytest.mark.parametrize("kind", SUITES)
@pytest.mark.acceptance(
    "conformance: bound in about ten lines by each adapter, with nothing of it changed; skips only what is not declared, which is asserted"
)
def test_bindings(kind: str) -> None:
    suite, _ = SUITES[kind]
    # Python gives a class its annotations when somebody first asks for them.
    assert set(vars(suite)) <= {"__module__", "__doc__", "__annotations__", "pytestmark", "factory", "rig", "skips"}, (
        "a check is overridden"
    )
    words = {word.partition(" ")[0] for word in suite.skips}
    assert words <= {"atomic", "ipv6", "icmp_types", "protocols", "schedules", "limit"}, suite.skips


@pytest.mark.parametrize(
    "check",
    [
        pytest.param(
            check,
            id=check,
            marks=pytest.mark.acceptance(f"conformance: a check for {point}, which a wrong adapter fails"),
        )
        for point, check in CHECKS.items()
    ],
)
def test_points(check: str) -> None:
    assert hasattr(Conformance, check)
    assert any(check in checks for checks in MUTANTS.values())


@kernel
@pytest.mark.acceptance(
    "conformance: BIG-IP with and without AS3, FortiGate with and without transactions, AWS, and in both forms the Linux gateway on the "
    "real kernel and the device in memory pass it"
)
def test_conformance() -> None:
    """A few of its checks on each, to see that it is bound; the whole of it runs where it is bound, with the tests of the adapter."""
    places = [place for _, place in SUITES.values()]
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=short", *places, "-k", QUICK]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False, timeout=200)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None
    assert int(passed[1]) == 4 * len(places), done.stdout[-3000:]


# ---- proofs


@pytest.fixture(scope="module")
def worlds() -> list[RandomWorld]:
    return drawn(test_forms.AT_ONCE, test_forms.SEED)


@pytest.mark.timeout(120)
@pytest.mark.parametrize(("lend", "_most"), test_forms.DEVICES)
@pytest.mark.acceptance(
    "proof: random policies, fleets and packets: what is compiled for a tiered, a flat and an allow-only device, pushed and read "
    "back, decides as the evaluator does"
)
def test_random(lend: test_forms.Lender, _most: int, worlds: list[RandomWorld]) -> None:
    """A hundred for each; thousands in tests/adapters/forms."""
    asked = [questions(worlds, test_forms.PACKETS, Random(test_forms.SEED))]
    test_forms.check(lend, worlds, asked)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("proof", [random_on_as3, random_on_aws], ids=["flat: BIG-IP with AS3", "allow-only: AWS"])
@pytest.mark.acceptance(
    "proof: random policies, fleets and packets on a BIG-IP with AS3, and on an account whose interfaces are every destination"
)
def test_random_too(proof: Callable[[], None]) -> None:
    proof()


@kernel
@pytest.mark.timeout(120)
@pytest.mark.parametrize("form", [Form.TIERED, Form.FLAT])
@pytest.mark.acceptance(
    "proof: real packets (TCP, UDP, SCTP, ICMP, v4 and v6) between namespaces go exactly as the evaluator says, also while pods move"
)
def test_packets(form: Form) -> None:
    with network(PODS, OUTSIDE_ADDRESSES) as wires:
        for address, pod in zip(ADDRESSES, PODS, strict=True):
            wires.place(address, pod)
        adapter = nftables_factory.open(gateway_config(wires.gateway, form=form.value))
        gateway = Gateway(wires, adapter)
        gateway.enforce(WORLD)
        gateway.check(WORLD)
        adapter.close()
        test_moving.test_nothing_gets_through_that_neither_state_lets_through(wires, form, 2)
