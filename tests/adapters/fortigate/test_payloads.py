"""What the adapter sends, before others who know FortiOS: Fortinet's own Swagger judges it, fortigate-api and pyfgt send it once more.

The Swagger is of 6.4.14 and comes with fortigate-api; the checks are skipped by name where that is not installed.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlencode, urlsplit

import pytest

from adapters.conformance.site import BANK, CART, HTTPS, LATE, LATER, MAIL, SOURCES, WEB, Site, Terms, line, objects
from adapters.fortigate import factory
from adapters.fortigate.client import Client
from bridge.lab.devices.fortigate import Fortigate
from bridge.model.intent import EVERYTHING, Group, Intent, RuleEntry
from bridge.model.plan import Fence
from bridge.model.policy import Action, IcmpType, Protocol
from bridge.policy.diff import diff, plan
from bridge.policy.shard import spread
from tests.adapters.fortigate.rig import ANCHOR, Rig, fortigate_rig
from tests.lab.devices.test_fortigate_schema import YOUNGER, bundled

Untyped = Any
FENCE = Fence(3, "installation-a")
SCOPE: Mapping[str, Any] = {
    "transactions": False,
    "feeds": {"most": 8},
    "policies": {
        "before": ANCHOR,
        "template": {
            "srcintf": ["port1"],
            "dstintf": ["port2"],
            "nat": True,
            "logtraffic": "utm",
            "inspectionMode": "proxy",
            "profiles": {"ips-sensor": "default", "ssl-ssh-profile": "certificate-inspection"},
        },
    },
}


@dataclass(frozen=True)
class Sent:
    """One call that changed something."""

    method: str
    path: str
    body: dict[str, Any] | None
    query: Mapping[str, str] | None


def first(terms: Terms) -> Site:
    """All that the adapter can say."""
    lines = [
        line("web", ports=HTTPS, protocol=Protocol.TCP, log=True),
        line("stop", WEB, Action.DENY, MAIL),
        line("answer", WEB, Action.REJECT, protocol=Protocol.UDP),
        RuleEntry("ping", Action.ALLOW, (CART,), (BANK, MAIL), Protocol.ICMP, icmp=(IcmpType(8, 0),)),
        RuleEntry("ping6", Action.ALLOW, (CART,), (BANK,), Protocol.ICMPV6, icmp=(IcmpType(128, None),)),
        RuleEntry("gre", Action.ALLOW, (WEB,), (BANK,), Protocol.OTHER, number=47),
        line("any", to=MAIL),
        line("till then", WEB, to=MAIL, schedule=LATE.key),
    ]
    more = [
        Group(WEB, frozenset({SOURCES[0], "2001:db8::7", "10.9.0.0/16", "10.8.0.1-10.8.0.9"}), pushed=True),
        *spread(CART, {*SOURCES, "2001:db8::1", "10.5.0.0/24"}, 2),
        LATE,
        Group(MAIL, frozenset({"203.0.113.0/28", "203.0.113.99-203.0.113.101"}), frozenset({"mail.example.com"})),
    ]
    return {**terms.shop(lines=lines), **objects(*more)}


def second(terms: Terms) -> Site:
    """Other members, another order, a feed that becomes objects and a group that becomes a feed."""
    lines = [line("any", to=MAIL), line("web", WEB, ports=HTTPS, protocol=Protocol.SCTP, schedule=LATER.key)]
    more = [Group(WEB, frozenset({SOURCES[1]})), Group(CART, frozenset(SOURCES), pushed=True)]
    site = terms.shop(lines=lines, more=[Group(MAIL, frozenset({"2001:db8:1::/48"})), LATER])
    return {**site, **objects(*more)}


@pytest.fixture(scope="module")
def sent() -> Iterator[tuple[list[Sent], Rig]]:
    """Everything that was sent to build a site, to change it and to take it away; and the box as it stood before the last."""
    found: list[Sent] = []
    write = Client.write

    def noted(
        self: Client, method: str, path: str, body: Untyped = None, query: Untyped = None, transaction: Untyped = None
    ) -> Any:  # noqa: ANN401
        found.append(Sent(method, path, body, query))
        return write(self, method, path, body, query, transaction)

    patch = pytest.MonkeyPatch()
    patch.setattr(Client, "write", noted)
    try:
        with fortigate_rig(**SCOPE) as rig:
            adapter = factory.open(rig.config())
            adapter.raise_fence(FENCE)
            terms = Terms.of(adapter.capabilities)
            for site in (first(terms), {}, first(terms), second(terms)):
                have = adapter.read(EVERYTHING).objects
                steps = diff(have, Intent("edge", adapter.normalize(Intent("edge", site))))
                adapter.apply(plan("edge", steps, have, adapter.capabilities, adapter.limits), FENCE)
                assert adapter.read(EVERYTHING).objects == adapter.normalize(Intent("edge", site))
            adapter.close()
            yield found, rig
    finally:
        patch.undo()


def described(path: str) -> tuple[str, dict[str, Any]]:
    """The table of a call and what Fortinet says of its body."""
    table = "/".join(path.split("/")[1:3])
    topic = table.replace(".", "/").split("/")[0]
    parameters = bundled("cmdb", topic)["paths"][f"/{table}"]["post"]["parameters"]
    return table, parameters[0]["schema"]["properties"]


def check(table: str, name: str, value: object, told: Mapping[str, Any]) -> None:
    """One attribute against what Fortinet says of it."""
    where = f"{table} {name}"
    if told.get("type") == "array":
        assert isinstance(value, list), where
        for row in value:
            for key, one in row.items():
                check(where, key, one, told["items"]["properties"][key])
        assert len(value) <= (told.get("maxItems") or len(value)), where
    elif told.get("type") == "integer":
        assert isinstance(value, int), where
        assert told.get("minimum", value) <= value <= told.get("maximum", value), where
    else:
        assert isinstance(value, str), where
        assert len(value) <= (told.get("maxLength") or len(value)), where
        assert not told.get("enum") or value == "" or value in told["enum"], f"{where}: {value}"


def test_bodies_are_as_fortinet_describes_them(sent: tuple[list[Sent], Rig]) -> None:
    calls, _rig = sent
    tables = set()
    for one in calls:
        if one.body is None or one.path.startswith("monitor/"):
            continue
        table, properties = described(one.path)
        tables.add(table)
        for name, value in one.body.items():
            if name in YOUNGER.get(table, ()):
                continue
            assert name in properties, f"{table} has no {name}"
            check(table, name, value, properties[name])
    assert tables >= {
        "firewall/address",
        "firewall/address6",
        "firewall/addrgrp",
        "firewall/addrgrp6",
        "firewall/policy",
    }
    assert tables >= {"firewall.service/custom", "firewall.schedule/onetime", "system/external-resource"}


def test_paths_are_fortinet_s(sent: tuple[list[Sent], Rig]) -> None:
    calls, _rig = sent
    for one in calls:
        if not one.path.startswith("cmdb/"):
            continue
        parts = one.path.split("/")[1:]
        table = "/".join(parts[:2])
        known = bundled("cmdb", parts[0].replace(".", "/").split("/")[0])["paths"]
        entry = [path for path in known if path.startswith(f"/{table}/{{") and path.count("/") == 3]
        assert one.method.lower() in known[f"/{table}"] if len(parts) == 2 else one.method.lower() in known[entry[0]]


@pytest.fixture
def twin(monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    """Another box, as the first was when it began; its authority is where clients built on requests look for it."""
    with fortigate_rig(**SCOPE) as rig:
        for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
            monkeypatch.setenv(name, str(rig.device.ca))
        yield rig


def test_fortigate_api_sends_the_same_and_gets_the_same_box(sent: tuple[list[Sent], Rig], twin: Rig) -> None:
    library = pytest.importorskip("fortigate_api", reason="fortigate-api is not installed")
    calls, rig = sent
    port = urlsplit(twin.device.url).port
    client: Untyped = library.FortiGate(host="127.0.0.1", port=port, token=twin.device.password, verify=True)
    client.login()
    with client.get_session():
        for one in calls:
            url = f"api/v2/{one.path}{f'?{urlencode(one.query)}' if one.query else ''}"
            arguments = {"url": url} if one.method == "DELETE" else {"url": url, "data": one.body or {}}
            answer = getattr(client, one.method.lower())(**arguments)
            assert answer.status_code == 200, f"{one}: {answer.text}"
        found = library.FortiGateAPI(host="127.0.0.1", port=port, token=twin.device.password, verify=True)
        with found.fortigate.get_session():
            held = {one["name"] for one in found.cmdb.firewall.addrgrp.get()}
            (once,) = found.cmdb.firewall_schedule.onetime.get()
    assert twin.device.digest() == rig.device.digest()
    assert held == set(rig.device.objects("firewall/addrgrp"))
    assert (once["name"], once["end"]) == ("fb_ends-20360525-1231", "12:31 2036/05/25"), (
        "LATER, by the clocks of Berlin"
    )


def test_pyfgt_reads_what_stands_there(sent: tuple[list[Sent], Rig], monkeypatch: pytest.MonkeyPatch) -> None:
    library = pytest.importorskip("pyFGT.fortigate", reason="pyfgt is not installed")
    _calls, rig = sent
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.setenv(name, str(rig.device.ca))
    box: Fortigate = rig.device
    client: Untyped = library.FortiGate(urlsplit(box.url).netloc, apikey=box.password, verify_ssl=True, timeout=5)
    with client.fgt_session:
        client.login()
        _status, told = client.get("/cmdb/firewall/policy", "vdom=root")
        ours = [one["name"] for one in told["results"] if one["comments"].startswith("fb:fb:")]
        feeds = [name for name in box.objects("system/external-resource") if name.startswith("fb_feed_")]
        _status, told = client.get("/monitor/system/external-resource/entry-list", f"mkey={feeds[0]}")
    assert ours
    assert {one["entry"] for one in told["results"]["entries"]} == set(SOURCES)
    assert unquote(feeds[0]) == feeds[0]
