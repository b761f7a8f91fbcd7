"""The FortiGate's referee against hand-made configurations: order, addresses, groups, feeds, services, schedules."""

from datetime import UTC, datetime
from typing import Any

import pytest

from bridge.lab.devices.fortigate import Fortigate, Packet
from bridge.lab.devices.fortigate.store import LAB
from tests.lab.devices.fortigate import named, rule


@pytest.fixture
def device() -> Fortigate:
    """Not started: the referee needs no wire."""
    return Fortigate(tls=False, vdoms=("root", "dmz"))


def add(device: Fortigate, **more: Any) -> int:  # noqa: ANN401
    made: int = device.put_object("firewall/policy", rule(**more))["mkey"]
    return made


def push(device: Fortigate, feed: str, *entries: str) -> None:
    body = {"commands": [{"name": feed, "command": "add", "entries": list(entries)}]}
    device.feeds.push(body, LAB, "root")


def ask(
    device: Fortigate,
    source: str = "10.0.0.1",
    destination: str = "192.0.2.1",
    **more: Any,  # noqa: ANN401
) -> tuple[str, int | None]:
    decision = device.decide(source, destination, **({"port": 443} | more))
    return decision.action, decision.policy


def at(text: str) -> float:
    return datetime.strptime(text, "%Y-%m-%d %H:%M").replace(tzinfo=UTC).timestamp()


def test_behind_the_last_policy_stands_deny(device: Fortigate) -> None:
    assert ask(device) == ("deny", None)
    assert device.court(default="unmatched").judge(Packet("10.0.0.1", "192.0.2.1", port=443)).action == "unmatched"


def test_the_first_match_decides_and_disabled_policies_do_not(device: Fortigate) -> None:
    device.put_object("firewall/address", {"name": "a", "subnet": "10.0.0.1/32"})
    first = add(device, srcaddr=named("a"), action="deny")
    second = add(device, name="all", logtraffic="all")
    assert ask(device) == ("deny", first)
    assert ask(device, source="10.0.0.2") == ("accept", second)
    device.change_object(f"firewall/policy/{second}?action=move&before={first}", {})
    assert ask(device) == ("accept", second)
    device.change_object(f"firewall/policy/{second}", {"status": "disable"})
    assert ask(device) == ("deny", first)
    device.change_object(f"firewall/policy/{first}", {"send-deny-packet": "enable"})
    assert ask(device) == ("reject", first)


def test_kinds_of_addresses(device: Fortigate) -> None:
    for body in (
        {"name": "net", "subnet": "10.1.0.0/16"},
        {"name": "range", "type": "iprange", "start-ip": "10.2.0.5", "end-ip": "10.2.0.9"},
        {"name": "host", "type": "fqdn", "fqdn": "api.example"},
    ):
        device.put_object("firewall/address", body)
    device.put_object("firewall/addrgrp", {"name": "inner", "member": named("net", "host")})
    device.put_object("firewall/addrgrp", {"name": "outer", "member": named("inner", "range")})
    device.names = {"api.example": ["203.0.113.7"]}
    add(device, srcaddr=named("outer"))
    allowed = ("10.1.0.1", "10.1.255.255", "10.2.0.5", "10.2.0.9", "203.0.113.7")
    assert {ask(device, source=one)[0] for one in allowed} == {"accept"}
    assert {ask(device, source=one)[0] for one in ("10.2.0.4", "10.2.0.10", "10.0.0.1", "203.0.113.8")} == {"deny"}


def test_members_that_a_group_leaves_out(device: Fortigate) -> None:
    device.put_object("firewall/address", {"name": "net", "subnet": "10.1.0.0/16"})
    device.put_object("firewall/address", {"name": "one", "subnet": "10.1.0.1/32"})
    body = {"name": "g", "member": named("net"), "exclude": "enable", "exclude-member": named("one")}
    device.put_object("firewall/addrgrp", body)
    add(device, srcaddr=named("g"))
    assert (ask(device, source="10.1.0.1")[0], ask(device, source="10.1.0.2")[0]) == ("deny", "accept")


def test_sides_can_be_turned_round(device: Fortigate) -> None:
    device.put_object("firewall/address", {"name": "net", "subnet": "10.1.0.0/16"})
    add(device, srcaddr=named("net"), srcaddr_negate="enable", service=named("HTTPS"), service_negate="enable")
    assert ask(device, source="10.2.0.1", port=80)[0] == "accept"
    assert ask(device, source="10.1.0.1", port=80)[0] == "deny"
    assert ask(device, source="10.2.0.1", port=443)[0] == "deny"


def test_versions_of_ip_meet_their_own_sides(device: Fortigate) -> None:
    device.put_object("firewall/address6", {"name": "six", "ip6": "2001:db8::/64"})
    add(device)
    assert ask(device, source="2001:db8::1", destination="2001:db8:1::1")[0] == "deny"
    add(device, srcaddr=[], dstaddr=[], srcaddr6=named("six"), dstaddr6=named("all"))
    assert ask(device, source="2001:db8::1", destination="2001:db8:1::1")[0] == "accept"
    assert ask(device, source="2001:db8:0:1::1", destination="2001:db8:1::1")[0] == "deny"


def test_feeds_match_what_was_pushed(device: Fortigate) -> None:
    feed = {"name": "f", "type": "address", "update-method": "push", "resource": "x"}
    device.put_object("system/external-resource", feed)
    add(device, srcaddr=named("f"), srcaddr6=named("f"), dstaddr6=named("all"))
    assert ask(device)[0] == "deny"
    push(device, "f", "10.0.0.1", "10.1.0.0/24", "10.2.0.1-10.2.0.3", "2001:db8::1", "nonsense")
    allowed = ("10.0.0.1", "10.1.0.77", "10.2.0.3")
    assert {ask(device, source=one)[0] for one in allowed} == {"accept"}
    assert {ask(device, source=one)[0] for one in ("10.0.0.2", "10.1.1.0", "10.2.0.4")} == {"deny"}
    assert ask(device, source="2001:db8::1", destination="2001:db8:1::1")[0] == "accept"


def test_services(device: Fortigate) -> None:
    for body in (
        {"name": "web", "tcp-portrange": "80 8000-8010:2000-3000"},
        {"name": "six", "protocol": "ICMP6"},
        {"name": "gone", "protocol": "ICMP", "icmptype": 3, "icmpcode": 4},
        {"name": "ospf", "protocol": "IP", "protocol-number": 89},
        {"name": "sctp", "sctp-portrange": "2905"},
    ):
        device.put_object("firewall.service/custom", body)
    device.put_object("firewall.service/group", {"name": "nested", "member": named("web", "DNS")})
    device.put_object(
        "firewall.service/group", {"name": "all-of-it", "member": named("nested", "gone", "ospf", "sctp", "PING")}
    )
    add(device, service=named("all-of-it"))
    let: list[dict[str, Any]] = [
        {"port": 80},
        {"port": 8005, "source_port": 2500},
        {"port": 53, "protocol": "udp"},
        {"port": 53},
        {"protocol": "icmp", "icmp": (8, 0), "port": 0},
        {"protocol": "icmp", "icmp": (3, 4), "port": 0},
        {"protocol": 89, "port": 0},
        {"protocol": "sctp", "port": 2905},
    ]
    assert [ask(device, **one)[0] for one in let] == ["accept"] * len(let)
    stopped: list[dict[str, Any]] = [
        {"port": 81},
        {"port": 8005, "source_port": 1024},
        {"port": 80, "protocol": "udp"},
        {"protocol": "icmp", "icmp": (3, 1), "port": 0},
        {"protocol": "icmp", "icmp": (0, 0), "port": 0},
        {"protocol": 88, "port": 0},
        {"protocol": "sctp", "port": 2906},
    ]
    assert [ask(device, **one)[0] for one in stopped] == ["deny"] * len(stopped)


def test_schedules(device: Fortigate) -> None:
    once = {"name": "once", "start": "08:00 2026/11/23", "end": "10:00 2026/11/23"}
    device.put_object("firewall.schedule/onetime", once)
    night = {"name": "night", "day": "friday", "start": "22:00", "end": "06:00"}
    device.put_object("firewall.schedule/recurring", night)
    device.put_object("firewall.schedule/recurring", {"name": "monday", "day": "monday"})
    device.put_object("firewall.schedule/group", {"name": "either", "member": named("once", "night")})

    def passes(schedule: str, moment: str) -> bool:
        device.change_object("firewall/policy/1", {"schedule": schedule})
        return ask(device, at=at(moment))[0] == "accept"

    add(device)
    assert [passes("once", f"2026-11-23 {time}") for time in ("07:59", "08:00", "09:59", "10:00")] == [
        False,
        True,
        True,
        False,
    ]
    nights = ("2026-11-27 21:59", "2026-11-27 22:00", "2026-11-28 05:59", "2026-11-28 06:00", "2026-11-28 22:00")
    assert [passes("night", one) for one in nights] == [False, True, True, False, False]
    assert [passes("monday", one) for one in ("2026-11-22 23:59", "2026-11-23 00:00", "2026-11-24 00:00")] == [
        False,
        True,
        False,
    ]
    assert [passes("either", one) for one in ("2026-11-23 09:00", "2026-11-28 01:00", "2026-11-24 09:00")] == [
        True,
        True,
        False,
    ]
    assert not passes("none", "2026-11-23 09:00")


def test_the_box_s_clock_counts(device: Fortigate) -> None:
    moment = datetime.fromtimestamp(device.clock.now() + 7200, UTC)
    later = {"name": "later", "start": moment.strftime("%H:%M %Y/%m/%d"), "end": "00:00 2099/01/01"}
    device.put_object("firewall.schedule/onetime", later)
    add(device, schedule="later")
    assert ask(device)[0] == "deny"
    device.clock.advance(7201)
    assert ask(device)[0] == "accept"


def test_interfaces_and_vdoms(device: Fortigate) -> None:
    add(device, srcintf=named("port1"), dstintf=named("port2", "port3"))
    assert ask(device)[0] == "accept"
    assert ask(device, inward="port1", outward="port3")[0] == "accept"
    assert ask(device, inward="port2", outward="port3")[0] == "deny"
    assert ask(device, inward="port1", outward="port4")[0] == "deny"
    assert ask(device, vdom="dmz")[0] == "deny"


def test_past_moments_are_judged_as_they_were(device: Fortigate) -> None:
    add(device)
    device.delete_object("firewall/policy/1")
    seen = Packet("10.0.0.1", "192.0.2.1", port=443)
    assert [device.court(state).judge(seen).action for _, state in device.timeline()] == ["accept", "deny"]
