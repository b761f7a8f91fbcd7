"""Trace: through the program, between a simulated cluster and a simulated BIG-IP."""

import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from bridge.resources import shipped
from tests.acceptance.documented import Document
from tests.acceptance.site import eventually
from tests.acceptance.test_intake import UNKNOWN
from tests.acceptance.world import OUTSIDE, World, world

PARTNER = "203.0.113.9"
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The default Deny for governed and for unknown addresses."""
    with world(tmp_path_factory.mktemp("trace")) as made:
        made.bridge.start()
        eventually("the default is in force", lambda: not made.allowed(UNKNOWN, OUTSIDE), 60)
        yield made
        assert made.bridge.running, made.bridge.log()[-5:]


def trace(site: World, source: str, to: str, *more: str, code: int = 0) -> Any:  # noqa: ANN401
    """What the program answers, which ends so."""
    return site.bridge.cli("trace", "--from", source, "--to", to, *more, codes=(code,))


def text(site: World, source: str, to: str, *more: str) -> str:
    """The same for people, problems included."""
    done = site.bridge.command("trace", "--from", source, "--to", to, *more)
    return done.stdout + done.stderr


def now() -> str:
    """The time, between two changes."""
    time.sleep(0.05)
    found = datetime.now(UTC).isoformat()
    time.sleep(0.05)
    return found


def team(site: World, name: str, *addresses: str) -> None:
    """A governed namespace that may reach the partner by TCP 443, on the device."""
    site.team(name, *addresses)
    site.external(name, "partner", "203.0.113.0/28")
    site.service_rule(name, "web", "partner")
    eventually("it may", lambda: site.allowed(addresses[0], PARTNER))
    site.await_in_step()


def device(found: Any) -> Any:  # noqa: ANN401
    """What is said of the one device."""
    ((one,),) = [answer["devices"] for answer in found["answers"]]
    return one


@pytest.mark.acceptance(
    "language: trace names decision, rule and tier, every rule on the way, and what each device holds"
)
def test_a_packet(site: World) -> None:
    team(site, "first", "10.244.20.1", "10.244.20.2")
    found = trace(site, "first/web-0", f"{PARTNER}:443")
    assert found["headline"] == "Allow by ServiceEgressRule first/web-partner (service tier, priority 1000)"
    (decision,) = found["answers"][0]["decisions"]
    assert (decision["verdict"], decision["tier"], decision["devices"]) == ("Allow", "service", ["edge"])
    one = device(found)
    assert (one["line"], one["member"], one["attached"], one["state"]) == (True, True, True, "ok")
    assert (one["group"], one["address"]) == ("service first/web", ["10.244.20.1"])
    assert one["memberSince"] <= one["provenAt"]
    rules = {each["rule"]: each for each in found["answers"][0]["rules"]}
    assert rules["ServiceEgressRule first/web-partner"]["outcome"] == "decides"
    assert rules["ServiceEgressRule first/web-provider"]["why"] == "not its destination"

    site.namespace_rule("first", "pause", "partner", "Pass", priority=5)
    site.cluster_rule("weekend", "nowhere", "Deny")  # names what is not there: it is not accepted
    site.external("", "partners", "203.0.113.0/24")
    site.cluster_rule("old", "partners", "Deny", notAfter="2020-01-01T00:00:00Z")
    site.await_in_step()
    eventually("Pass is met", lambda: "after the Pass" in trace(site, "first/web-0", f"{PARTNER}:443")["headline"])
    rules = {each["rule"]: each for each in trace(site, "first/web-0", f"{PARTNER}:443")["answers"][0]["rules"]}
    assert next(iter(rules)) == "ClusterEgressRule old"
    assert rules["ClusterEgressRule old"]["reason"] == "Expired"
    assert rules["NamespaceEgressRule first/pause"]["outcome"] == "passes"
    site.namespace_rule("first", "pause", "partner", "Reject", priority=5)
    eventually("refused", lambda: site.action("10.244.20.1", PARTNER) == "reject")
    site.await_in_step()
    found = trace(site, "first/web", f"{PARTNER}:443/tcp")
    assert found["headline"].startswith("Reject by NamespaceEgressRule first/pause (namespace tier, priority 5)")
    assert [len(answer["senders"]) for answer in found["answers"]] == [2], "both pods of the Service, told once"
    later = {each["rule"]: each["outcome"] for each in found["answers"][0]["rules"]}
    assert later["ServiceEgressRule first/web-partner"] == "later"
    for name in ("weekend", "old"):
        site.store.delete("clusteregressrules", "", name)


@pytest.mark.acceptance("language: trace without a port tells which traffic is allowed and what becomes of the rest")
def test_all_traffic(site: World) -> None:
    site.team("whole", "10.244.21.1")
    ports = [{"protocol": "TCP", "port": 443}, {"protocol": "TCP", "port": 8443}, {"protocol": "ICMP", "type": 8}]
    site.put("ExternalService", "whole", "partner", {"addresses": ["203.0.113.0/28"], "ports": ports})
    site.service_rule("whole", "web", "partner")
    eventually("it may", lambda: site.allowed("10.244.21.1", PARTNER))
    site.await_in_step()
    found = trace(site, "pod/whole/web-0", PARTNER)
    told = {one["verdict"]: one["traffic"] for one in found["answers"][0]["decisions"]}
    assert told == {"Allow": "ICMP 8; TCP 443, 8443", "Deny": "everything else"}
    assert trace(site, "whole/web-0", f"{PARTNER}/icmp:8/0")["headline"].startswith("Allow")
    assert trace(site, "whole/web-0", f"{PARTNER}/icmp:0")["headline"].startswith("Deny by default")
    assert trace(site, "whole/web-0", f"{PARTNER}/47")["headline"].startswith("Deny by default")
    assert trace(site, UNKNOWN, f"{PARTNER}:443")["headline"].startswith("Deny by default (the default for addresses")
    outside = trace(site, "198.51.100.1", f"{PARTNER}:443")
    assert "outside the cluster's pod ranges" in outside["headline"]


@pytest.mark.acceptance("language: trace says where a device does not do as policy says, why, and ends with 1")
def test_a_device_that_is_behind(site: World) -> None:
    team(site, "behind", "10.244.22.1")
    site.device.faults.add("cut", times=None)
    try:
        site.pod("behind", "web-9", "10.244.22.9")

        def told() -> Any:  # noqa: ANN401
            done = site.bridge.command("--output", "json", "trace", "--from", "behind/web-9", "--to", f"{PARTNER}:443")
            return done.returncode == 1 and "but edge" in done.stdout

        eventually("recorded, and not on the device", told)
        found = trace(site, "behind/web-9", f"{PARTNER}:443", code=1)
        one = device(found)
        assert (one["line"], one["member"], one["agrees"]) == (True, False, False)
        assert one["state"] in ("Pending", "DeviceUnreachable")
        assert found["headline"].startswith(
            "Allow by ServiceEgressRule behind/web-partner (service tier, priority 1000); but edge"
        )
        assert device(trace(site, "behind/web-0", f"{PARTNER}:443"))["member"] is True

        site.delete_pod("behind", "web-0")
        site.pod("behind", "other-0", "10.244.22.1")

        def still() -> bool:
            done = site.bridge.command(
                "--output", "json", "trace", "--from", "behind/other-0", "--to", f"{PARTNER}:443"
            )
            return done.returncode == 1 and "edge (behind/other-0) still lets 10.244.22.1 through" in done.stdout

        eventually("the address is another's, and the device still lets it through", still)
    finally:
        site.device.faults.clear()
    eventually("in step", lambda: site.allowed("10.244.22.9", PARTNER) and not site.allowed("10.244.22.1", PARTNER), 90)
    site.await_in_step()
    assert trace(site, "behind/web-9", f"{PARTNER}:443")["agrees"]
    assert trace(site, "behind/other-0", f"{PARTNER}:443")["agrees"]


@pytest.mark.acceptance(
    "language: trace --at tells the past: rule edits, an address that another pod holds now, what is deleted, what each device held"
)
def test_the_past(site: World) -> None:
    before = now()
    team(site, "past", "10.244.23.1")
    allowed = now()
    site.namespace_rule("past", "stop", "partner", "Deny")
    eventually("stopped", lambda: not site.allowed("10.244.23.1", PARTNER))
    site.await_in_step()
    denied = now()
    site.store.delete("namespaceegressrules", "past", "stop")
    eventually("again", lambda: site.allowed("10.244.23.1", PARTNER))
    site.delete_pod("past", "web-0")
    site.pod("past", "job-0", "10.244.23.1")
    eventually("another's", lambda: not site.allowed("10.244.23.1", PARTNER))
    site.await_in_step()

    found = trace(site, "past/web-0", f"{PARTNER}:443", "--at", allowed)
    assert found["headline"].startswith("Allow by ServiceEgressRule past/web-partner")
    one = device(found)
    assert (one["line"], one["member"], one["state"], one["agrees"]) == (True, True, "ok", True)
    assert one["row"] > 0
    found = trace(site, "10.244.23.1", f"{PARTNER}:443", "--at", denied)
    assert found["headline"].startswith("Deny by NamespaceEgressRule past/stop")
    assert found["answers"][0]["senders"][0]["pod"] == "web-0"
    assert trace(site, "past/job-0", f"{PARTNER}:443")["headline"].startswith("Deny by default")
    assert trace(site, "10.244.23.1", f"{PARTNER}:443")["answers"][0]["senders"][0]["pod"] == "job-0"
    assert "held no address now" in text(site, "past/web-0", f"{PARTNER}:443")
    assert "held no address at" in text(site, "past/web-0", f"{PARTNER}:443", "--at", before)
    assert "begins at" in text(site, "past/web-0", f"{PARTNER}:443", "--at", "3d")


@pytest.mark.acceptance("language: trace to a host by its name, and to whom the words can mean several things")
def test_words(site: World) -> None:
    site.team("words", "10.244.24.1")
    spec = {"fqdns": ["api.partner.example"], "ports": [{"protocol": "TCP", "port": 443}]}
    site.put("ExternalService", "words", "api", spec)
    site.service_rule("words", "web", "api")
    site.pod("words", "web", "10.244.24.7")
    site.await_in_step()
    assert "can mean several things" in text(site, "words/web", f"{PARTNER}:443")
    assert "is a prefix: ask for one address" in text(site, "words/web-0", "203.0.113.0/24")
    done = site.bridge.command("trace", "--from", "words/web", "--to", f"{PARTNER}:443")
    assert done.returncode == 2
    done = site.bridge.command("trace", "--from", "words", "--to", f"{PARTNER}:443")
    assert done.returncode == 2
    done = site.bridge.command("--output", "json", "trace", "--from", "words/web-0", "--to", "api.partner.example:443")
    assert "Allow by ServiceEgressRule words/web-api" in done.stdout


def example(site: World, *words: str) -> tuple[str, str]:
    """A command and what it prints, at the same time each time."""
    done = site.bridge.command("trace", *words)
    told = "\n".join(line.rstrip() for line in _TIME.sub("2026-03-01T12:00:00Z", done.stdout).splitlines()).rstrip()
    return f"fusion-bridge trace {' '.join(words)}", told


@pytest.mark.acceptance("language: the page about trace shows what the program prints")
def test_the_page(site: World) -> None:
    site.team("shop", "10.244.0.7")
    ports = [{"protocol": "TCP", "port": 443}, {"protocol": "TCP", "port": 8443}]
    site.put("ExternalService", "shop", "bank", {"addresses": ["203.0.113.0/28"], "ports": ports})
    site.service_rule("shop", "web", "bank")
    eventually("it may", lambda: site.allowed("10.244.0.7", PARTNER))
    site.namespace_rule("shop", "no-plain", "bank", "Deny", notAfter="2025-12-31T00:00:00Z")
    site.await_in_step()
    eventually("judged", lambda: "no-plain" in text(site, "shop/web-0", f"{PARTNER}:443"))
    page = Document(shipped("docs/trace.md"), {" in real ": " in east "})
    page.check("allow", *example(site, "--from", "shop/web-0", "--to", f"{PARTNER}:443"))
    page.check("all", *example(site, "--from", "shop/web", "--to", PARTNER))
    moment = now()
    site.delete_pod("shop", "web-0")
    site.pod("shop", "job-0", "10.244.0.7")
    eventually("another's", lambda: not site.allowed("10.244.0.7", PARTNER))
    site.await_in_step()
    command, told = example(site, "--from", "10.244.0.7", "--to", f"{PARTNER}:443", "--at", moment)
    page.check("past", command.replace(moment, "2026-03-01T12:00"), told)
    site.device.faults.add("answer", times=None, status=503, body="{}")
    try:
        site.pod("shop", "web-1", "10.244.0.8")
        words = ("--from", "shop/web-1", "--to", f"{PARTNER}:443")
        eventually("it is said", lambda: "fence answered 503" in "".join(example(site, *words)), 60)
        page.check("behind", *example(site, *words))
    finally:
        site.device.faults.clear()
