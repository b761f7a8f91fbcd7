"""Names that the bridge resolves: a real name server with its faults, the program, and what the device decides."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

import dns.message
import dns.rcode
import dns.rdatatype
import pytest

from bridge.model.identity import Kind, ObjectKey, Scope
from bridge.state.database import Database
from bridge.state.resolutions import NameHistory
from tests.acceptance.site import CLUSTER, DEVICE, eventually, stays
from tests.acceptance.test_intake import UNKNOWN
from tests.acceptance.test_metrics import value
from tests.acceptance.world import OUTSIDE, World, world
from tests.names.server import NameServer, failing, saying, silent

GRACE = 3
NAMES = {"timeout": 0.5, "attempts": 1, "shortest": 0.3, "longest": 1, "grace": GRACE, "most": 8}
PORTS = [{"protocol": "TCP", "port": 443}]


@dataclass
class Site:
    """A world whose names are served by `names`."""

    world: World
    names: NameServer

    def team(self, namespace: str, address: str, *fqdns: str) -> None:
        """A namespace with one pod, whose service tier has leave to reach the names."""
        self.world.namespace(namespace)
        self.world.service(namespace, "web")
        self.world.pod(namespace, "web-0", address)
        self.external(namespace, *fqdns)
        self.world.service_rule(namespace, "web", "named")

    def external(self, namespace: str, *fqdns: str, name: str = "named") -> None:
        """An external service of names."""
        self.world.put("ExternalService", namespace, name, {"fqdns": list(fqdns), "ports": PORTS})

    def reached(self, source: str, *destinations: str) -> set[str]:
        """Those that the device lets it reach."""
        return {one for one in destinations if self.world.allowed(source, one)}

    def condition(self, namespace: str, name: str = "named", resource: str = "externalservices") -> Mapping[str, str]:
        """The condition Accepted, as it stands on the object."""
        status = self.world.store.get(resource, namespace, name).get("status", {})
        return next((one for one in status.get("conditions", ()) if one["type"] == "Accepted"), {"message": ""})

    def placed(self, kind: str, namespace: str, name: str) -> tuple[str, str]:
        """Reason and message of a rule on the device."""
        query = "SELECT reason, message FROM placement WHERE kind = %s AND namespace = %s AND name = %s"
        rows = self.rows(query, kind, namespace, name)
        return (str(rows[0][0]), str(rows[0][1])) if rows else ("unknown", "")

    def rows(self, query: str, *values: object) -> list[Any]:
        """What the database says."""
        with self.world.bridge.state() as connection:
            return connection.execute(query.encode(), values).fetchall()


def _with_servers(made: World, *servers: NameServer, **more: object) -> None:
    listed = [str(one.server) for one in servers]
    made.bridge.write_settings({"names": {**NAMES, "servers": listed, **more}})


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The default Deny for governed and for unknown addresses."""
    with NameServer() as names, world(tmp_path_factory.mktemp("names")) as made:
        _with_servers(made, names)
        made.bridge.start()
        eventually("the default is in force", lambda: not made.allowed(UNKNOWN, OUTSIDE))
        yield Site(made, names)
        assert made.bridge.running, made.bridge.log()[-5:]


A, B, C = "203.0.113.1", "203.0.113.2", "203.0.113.3"


@pytest.mark.acceptance(
    "names: an Allow by name follows DNS within the time of its answers, and a lost address stays for grace"
)
def test_an_allow_follows_its_name(site: Site) -> None:
    site.names.put("api.follow.example", A, ttl=0)
    site.team("follow", "10.244.1.1", "api.follow.example")
    pod = "10.244.1.1"
    eventually("the answer is allowed", lambda: site.reached(pod, A, B) == {A})
    site.names.put("api.follow.example", B, ttl=0)
    eventually("the new answer is allowed", lambda: B in site.reached(pod, A, B), 10)
    first = time.monotonic()
    assert A in site.reached(pod, A, B), "clients remember the old one"
    eventually("and grace ends", lambda: site.reached(pod, A, B) == {B}, GRACE + 10)
    assert time.monotonic() - first > GRACE / 2
    key = ObjectKey(Kind.GROUP, CLUSTER, Scope.EXTERNAL, "follow", "named")
    causes = [row[0] for row in site.rows("SELECT cause FROM audit WHERE key = %s ORDER BY id", str(key))]
    assert f"name api.follow.example now {A}, {B}" in causes
    assert causes[-1] == f"name api.follow.example now {B}"


@pytest.mark.acceptance("names: answers that take turns add up, and an unchanged answer writes nothing anywhere")
def test_turns(site: Site) -> None:
    # By questions, not by time: whoever asks as often as the answer changes would see one of them only, and for longer than grace.
    turns = {kind: cycle((A, B, C)) for kind in ("A", "AAAA")}

    def turn(question: dns.message.Message, tcp: bool) -> bytes | None:
        kind = dns.rdatatype.to_text(question.question[0].rdtype)
        return saying(("turns.example", 0, "A", (next(turns[kind]),)))(question, tcp)

    site.names.behave("turns.example", turn)
    site.names.put("same.example", A, ttl=0)
    site.team("turns", "10.244.2.1", "turns.example", "same.example")
    eventually("all of them", lambda: site.reached("10.244.2.1", A, B, C) == {A, B, C})
    site.world.await_in_step()
    writes, revision = len(site.world.device.writes()), _revision(site)
    asked = site.names.times_asked("turns.example")
    stays("all of them", lambda: site.reached("10.244.2.1", A, B, C) == {A, B, C}, 2 * GRACE)
    assert site.names.times_asked("turns.example") > asked + 3
    assert (len(site.world.device.writes()), _revision(site)) == (writes, revision)


def _revision(site: Site) -> int:
    return int(site.rows("SELECT revision FROM cluster")[0][0])


@pytest.mark.acceptance(
    "names: SERVFAIL and silence take nothing away and are told on the object, as metrics and in the log"
)
def test_failure_keeps_the_last_answer(site: Site) -> None:
    faults = {"servfail": (failing(), "SERVFAIL"), "silent": (silent, "no answer in time")}
    pods = {fault: f"10.244.3.{number}" for number, fault in enumerate(faults, 1)}
    for fault, pod in pods.items():
        site.names.put(f"{fault}.example", A, ttl=0)
        site.team(fault, pod, f"{fault}.example")
    eventually("allowed", lambda: all(site.reached(pod, A) == {A} for pod in pods.values()))
    for fault, (reply, _) in faults.items():
        site.names.behave(f"{fault}.example", reply)
    began, server = time.monotonic(), site.names.server
    told = {
        fault: f"{fault}.example cannot be resolved, the last answer stays: {server}: {words}"
        for fault, (_, words) in faults.items()
    }
    eventually("told", lambda: all(words in site.condition(one)["message"] for one, words in told.items()))
    assert {site.condition(fault)["status"] for fault in faults} == {"True"}
    assert value(site.world.bridge, "names_failing", cluster=CLUSTER) == 2
    assert value(site.world.bridge, "name_questions_total", cluster=CLUSTER, outcome="failed") >= 4
    left = max(0.5, GRACE + 0.5 - (time.monotonic() - began))
    stays("allowed beyond grace", lambda: all(site.reached(pod, A) == {A} for pod in pods.values()), left)
    logged = {one["name"] for one in site.world.bridge.log() if one["event"] == "name not resolved"}
    assert {f"{fault}.example" for fault in faults} <= logged
    for fault in faults:
        site.names.put(f"{fault}.example", B, ttl=0)
    eventually("goes on", lambda: all(B in site.reached(pod, A, B) for pod in pods.values()))
    eventually("told no more", lambda: not any(words in site.condition(one)["message"] for one, words in told.items()))


@pytest.mark.acceptance("names: NXDOMAIN is an answer: what was allowed goes once grace is over")
def test_a_name_that_ceases_to_exist(site: Site) -> None:
    site.names.put("gone.example", A, ttl=0)
    site.team("gone", "10.244.4.1", "gone.example")
    eventually("allowed", lambda: site.reached("10.244.4.1", A) == {A})
    site.names.behave("gone.example", saying(rcode=dns.rcode.NXDOMAIN, soa=("example", 0)))
    eventually("gone", lambda: not site.reached("10.244.4.1", A), GRACE + 15)


@pytest.mark.acceptance(
    "names: answers in loopback, link-local, multicast, metadata or cluster-internal ranges are dropped and reported, the rest counts"
)
def test_forbidden_answers(site: Site) -> None:
    bad = ("127.0.0.1", "169.254.169.254", "169.254.1.1", "224.0.0.1", "10.244.9.9", "10.96.0.1", "::1")
    site.names.put("evil.example", A, *bad, ttl=0)
    site.team("evil", "10.244.5.1", "evil.example")
    outside = bad[:4]  # what is inside the cluster is not the device's to decide
    eventually("the rest is allowed", lambda: site.reached("10.244.5.1", A, *outside) == {A})
    eventually("told", lambda: bad[0] in site.condition("evil")["message"])
    said = site.condition("evil")["message"]
    for address, why in zip(
        bad, ("loopback", "metadata", "link-local", "multicast", "inside", "inside", "loopback"), strict=True
    ):
        assert f"evil.example: the answer {address} is left out: " in said
        assert why in said
    assert site.world.group("external", "evil", "named") == {A}


@pytest.mark.acceptance("names: a name that was never answered is Pending, an Allow by it adds nothing")
def test_not_resolved_yet(site: Site) -> None:
    site.names.behave("late.example", silent)
    site.team("late", "10.244.6.1", "late.example")
    eventually("Pending", lambda: site.placed("ServiceEgressRule", "late", "web-named")[0] == "Pending")
    assert "late.example" in site.placed("ServiceEgressRule", "late", "web-named")[1]
    assert not site.reached("10.244.6.1", A)
    site.names.put("late.example", A)
    eventually("resolved", lambda: site.reached("10.244.6.1", A) == {A}, 30)
    assert site.placed("ServiceEgressRule", "late", "web-named")[0] == ""


@pytest.mark.acceptance("names: a Deny by a name that was never answered withholds the Allows that it overlaps")
def test_a_deny_that_is_not_resolved(site: Site) -> None:
    site.world.team("deny", "10.244.7.1", to="203.0.113.0/28")
    eventually("allowed", lambda: site.reached("10.244.7.1", A, B) == {A, B})
    site.names.behave("deny.example", silent)
    site.external("deny", "deny.example")
    site.world.namespace_rule("deny", "no", "named", "Deny")
    eventually("withheld", lambda: site.placed("ServiceEgressRule", "deny", "web-provider")[0] == "Withheld")
    site.world.await_in_step()
    site.world.pod("deny", "web-1", "10.244.7.2")
    stays("not widened", lambda: not site.reached("10.244.7.2", A, B))
    site.names.put("deny.example", B)
    eventually("in force", lambda: site.reached("10.244.7.2", A, B) == {A}, 30)
    assert site.reached("10.244.7.1", A, B) == {A}


@pytest.mark.acceptance("names: wildcards are Unsupported where the device takes none, and nobody is asked about them")
def test_wildcards(site: Site) -> None:
    site.team("wild", "10.244.8.1", "*.wild.example")
    eventually("Unsupported", lambda: site.placed("ServiceEgressRule", "wild", "web-named")[0] == "Unsupported")
    assert "*.wild.example" in site.placed("ServiceEgressRule", "wild", "web-named")[1]
    assert not any("wild.example" in one.name for one in site.names.asked)


@pytest.mark.acceptance(
    "names: what does not fit comes over TCP, aliases are followed, a name has at most so many addresses"
)
def test_large_answers_and_aliases(site: Site) -> None:
    many = [f"198.51.100.{number}" for number in range(1, 250)]
    site.names.put("large.example", *many)
    site.names.behave("alias.example", saying(("alias.example", 1, "CNAME", ["end.example."])))
    site.names.put("end.example", B)
    site.team("large", "10.244.10.1", "large.example", "alias.example")
    eventually("eight of them", lambda: len(site.reached("10.244.10.1", *many)) == NAMES["most"])
    eventually("the alias", lambda: site.reached("10.244.10.1", B) == {B})
    eventually("told", lambda: "more addresses are answered" in site.condition("large")["message"])


@pytest.mark.acceptance("names: only names that some rule needs are asked about")
def test_only_what_is_needed(site: Site) -> None:
    site.names.put("unused.example", A)
    site.world.namespace("unused")
    site.external("unused", "unused.example")
    site.world.service("unused", "web")
    site.world.await_in_step()
    stays("nobody asks", lambda: site.names.times_asked("unused.example") == 0)
    site.world.service_rule("unused", "web", "named")
    eventually("asked", lambda: site.names.times_asked("unused.example") > 0)
    site.world.store.delete("serviceegressrules", "unused", "web-named")
    eventually("forgotten", lambda: not site.rows("SELECT FROM name WHERE name = 'unused.example'"))
    before = site.names.times_asked("unused.example")
    stays("nobody asks any more", lambda: site.names.times_asked("unused.example") <= before + 1)


@pytest.mark.acceptance(
    "names: a restart neither loses nor rewrites anything, though no server answers; history says what a name was"
)
def test_restart(tmp_path: Path) -> None:
    with NameServer() as names, world(tmp_path) as made:
        site = Site(made, names)
        _with_servers(made, names)
        made.bridge.start()
        names.put("api.example.com", A, "127.0.0.1", ttl=0)
        site.team("shop", "10.244.1.1", "api.example.com")
        eventually("allowed", lambda: site.reached("10.244.1.1", A, B) == {A})
        names.put("api.example.com", A, B, ttl=3600)
        eventually("both", lambda: site.reached("10.244.1.1", A, B) == {A, B})
        eventually("told no more", lambda: "127.0.0.1" not in site.condition("shop")["message"], GRACE + 15)
        made.await_in_step()
        before, audit = site.rows(_STAYS), _audited(site)
        made.bridge.stop()
        names.behave("api.example.com", silent)
        made.bridge.start()
        eventually("asked again", lambda: names.asked[-1].name == "api.example.com")
        made.await_in_step(60)
        stays("allowed", lambda: site.reached("10.244.1.1", A, B) == {A, B}, GRACE + 1)
        assert site.rows(_STAYS) == before
        assert _audited(site) == audit, "not one write"
        names.put("api.example.com", B)
        eventually("goes on", lambda: site.reached("10.244.1.1", A, B) == {B}, GRACE + 30)
        _history(site)


_STAYS = "SELECT name, host(address), t1, t2::text FROM name_address ORDER BY name, address, t2"


def _audited(site: Site) -> Sequence[object]:
    return site.rows("SELECT number, key, op FROM audit WHERE op <> 'fence' AND key NOT LIKE 'fence%%' ORDER BY id")


def _history(site: Site) -> None:
    times = {row[0]: row[1] for row in site.rows("SELECT host(address), t1 FROM name_address")}
    with site.world.bridge.state() as connection:
        info = connection.info
        url = f"postgresql://{info.user}@/{info.dbname}?host={info.host}&port={info.port}"
        database = Database(url)
        try:
            history = NameHistory(database)
            assert history.at(CLUSTER, times[B]) == {"api.example.com": (A, B)}
            (last,) = history.of_address(A)
            assert (last.name, last.t2 is not None) == ("api.example.com", True)
        finally:
            database.close()


@pytest.mark.acceptance("names: on the settings every mistake is told")
def test_settings(tmp_path: Path) -> None:
    with world(tmp_path) as made:
        made.bridge.write_settings(
            {"names": {"servers": ["ns.example.com", "192.0.2.53:0"], "shortest": 60, "longest": 5}}
        )
        told = made.bridge.command("config", "check")
        assert told.returncode == 2
        for words in ("names.servers[0]: must be the address", "names.servers[1]: has a port"):
            assert words in told.stderr + told.stdout, json.dumps([told.stdout, told.stderr])
        assert DEVICE in made.bridge.devices
