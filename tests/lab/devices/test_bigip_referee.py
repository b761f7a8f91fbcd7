"""The referee against hand-made configurations: contexts, actions, lists, ports, protocols."""

from typing import Any

import pytest

from bridge.lab.devices.bigip import Bigip

LIST = "security/firewall/address-list"


@pytest.fixture
def device() -> Bigip:
    """Not started: the referee needs no wire."""
    device = Bigip(tls=False)
    for name in ("global", "domain", "server"):
        device.put_object("security/firewall/policy", {"name": name})
    device.put_object("net/route-domain", {"name": "2", "id": 2})
    device.put_object(
        "ltm/virtual", {"name": "out", "destination": "/Common/0.0.0.0:0", "fwEnforcedPolicy": "/Common/server"}
    )
    device.change_object("security/firewall/global-rules", {"enforcedPolicy": "/Common/global"})
    device.change_object("net/route-domain/~Common~0", {"fwEnforcedPolicy": "/Common/domain"})
    return device


def add(device: Bigip, policy: str, name: str, action: str | None, **more: Any) -> None:  # noqa: ANN401
    body = {"name": name, "place-after": "last"} | ({"action": action} if action else {}) | more
    device.put_object(f"security/firewall/policy/~Common~{policy}/rules", body)


def ask(device: Bigip, source: str = "10.0.0.1", destination: str = "192.0.2.1", **more: Any) -> tuple[str, list[str]]:  # noqa: ANN401
    packet: dict[str, Any] = {"port": 443, "virtual": "/Common/out"} | more
    decision = device.decide(source, destination, **packet)
    return decision.action, [f"{one.context.split()[0]}:{one.rule}" for one in decision.matches]


def test_no_match_is_the_default(device: Bigip) -> None:
    assert ask(device) == ("accept", [])
    device.default_action = "drop"
    assert ask(device) == ("drop", [])


def test_accept_goes_on_to_the_next_context(device: Bigip) -> None:
    add(device, "global", "g", "accept")
    add(device, "domain", "d", "accept")
    add(device, "server", "s", "reject")
    assert ask(device) == ("reject", ["global:g", "route-domain:d", "virtual:s"])
    assert ask(device, virtual=None) == ("accept", ["global:g", "route-domain:d"])


def test_accept_decisively_ends_it(device: Bigip) -> None:
    add(device, "global", "g", "accept-decisively")
    add(device, "domain", "d", "drop")
    assert ask(device) == ("accept-decisively", ["global:g"])


def test_drop_is_final_and_the_first_match_counts(device: Bigip) -> None:
    add(device, "global", "one", "drop", source={"addresses": ["10.0.0.1"]})
    add(device, "global", "two", "accept-decisively", source={"addresses": ["10.0.0.0/24"]})
    assert ask(device) == ("drop", ["global:one"])
    assert ask(device, source="10.0.0.2") == ("accept-decisively", ["global:two"])
    assert ask(device, source="10.0.1.2") == ("accept", [])


def test_disabled_rules_and_staged_policies_do_nothing(device: Bigip) -> None:
    add(device, "global", "g", "drop", status="disabled")
    device.put_object("security/firewall/policy", {"name": "staged"})
    add(device, "staged", "s", "drop")
    device.change_object("security/firewall/global-rules", {"stagedPolicy": "/Common/staged"})
    assert ask(device) == ("accept", [])


def test_nested_lists_ranges_and_names(device: Bigip) -> None:
    device.give_resolver()
    device.put_object(
        LIST, {"name": "inner", "addresses": ["10.0.0.5-10.0.0.9", "2001:db8::/64"], "fqdns": ["api.example"]}
    )
    device.put_object(LIST, {"name": "outer", "addressLists": ["/Common/inner"]})
    add(device, "global", "g", "drop", source={"addressLists": ["/Common/outer"]})
    device.names = {"api.example": ["203.0.113.7"]}
    blocked = ("10.0.0.5", "10.0.0.9", "2001:db8::1", "203.0.113.7")
    assert {ask(device, source=one, destination="192.0.2.1")[0] for one in blocked} == {"drop"}
    assert {ask(device, source=one)[0] for one in ("10.0.0.4", "10.0.0.10", "2001:db9::1", "203.0.113.8")} == {"accept"}


def test_name_that_nobody_resolved_is_not_any(device: Bigip) -> None:
    device.give_resolver()
    add(device, "global", "g", "drop", destination={"fqdns": ["api.example"]})
    assert ask(device) == ("accept", [])


def test_ports_protocols_and_icmp(device: Bigip) -> None:
    device.put_object("security/firewall/port-list", {"name": "web", "ports": ["80", "8000-8010"]})
    add(device, "global", "tcp", "drop", ipProtocol="tcp", destination={"portLists": ["/Common/web"], "ports": ["22"]})
    add(device, "global", "ping", "reject", ipProtocol="icmp", icmp=["8"])
    add(device, "global", "unreachable", "reject", ipProtocol="icmp", icmp=["3:4"])
    assert {ask(device, port=port)[0] for port in (22, 80, 8000, 8010)} == {"drop"}
    assert {ask(device, port=port)[0] for port in (23, 81, 7999, 8011)} == {"accept"}
    assert ask(device, port=80, protocol="udp")[0] == "accept"
    assert ask(device, port=None, protocol="icmp", icmp=(8, 0)) == ("reject", ["global:ping"])
    assert ask(device, port=None, protocol="icmp", icmp=(3, 4)) == ("reject", ["global:unreachable"])
    assert ask(device, port=None, protocol="icmp", icmp=(3, 1))[0] == "accept"


def test_rule_list_stands_for_its_rules(device: Bigip) -> None:
    device.put_object("security/firewall/rule-list", {"name": "rl"})
    rules = "security/firewall/rule-list/~Common~rl/rules"
    device.put_object(
        rules, {"name": "in", "action": "drop", "place-after": "last", "source": {"addresses": ["10.0.0.1"]}}
    )
    add(device, "global", "ref", None, ruleList="/Common/rl")
    add(device, "global", "rest", "reject")
    assert ask(device) == ("drop", ["global:ref/in"])
    assert ask(device, source="10.0.0.2") == ("reject", ["global:rest"])


def test_route_domain_chooses_policy_and_addresses(device: Bigip) -> None:
    add(device, "domain", "d", "drop")
    assert ask(device) == ("drop", ["route-domain:d"])
    assert ask(device, route_domain=2) == ("accept", [])
    add(device, "global", "two", "reject", source={"addresses": ["10.0.0.1%2"]})
    assert ask(device, route_domain=2) == ("reject", ["global:two"])
    assert ask(device) == ("drop", ["route-domain:d"])


def test_rule_without_source_matches_any(device: Bigip) -> None:
    add(device, "global", "g", "drop", destination={"addresses": ["192.0.2.0/24"]})
    assert ask(device, source="198.51.100.1")[0] == "drop"
    assert ask(device, destination="192.0.3.1")[0] == "accept"
