"""Answers that do not count."""

import pytest
from hypothesis import given
from hypothesis.strategies import ip_addresses

from bridge.names.forbidden import Forbidden

WHY = Forbidden(("10.244.0.0/16", "10.96.0.0/12", "fd00:10:64::/48"))


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("127.0.0.1", "loopback"),
        ("127.255.0.3", "loopback"),
        ("::1", "loopback"),
        ("169.254.1.1", "link-local"),
        ("fe80::1", "link-local"),
        ("224.0.0.251", "multicast"),
        ("ff02::fb", "multicast"),
        ("255.255.255.255", "broadcast"),
        ("0.0.0.0", "unspecified"),  # noqa: S104
        ("0.1.2.3", "unspecified"),
        ("::", "unspecified"),
        ("169.254.169.254", "the cloud's metadata service"),
        ("fd00:ec2::254", "the cloud's metadata service"),
        ("fd20:ce::254", "the cloud's metadata service"),
        ("100.100.100.200", "the cloud's metadata service"),
        ("168.63.129.16", "the cloud's metadata service"),
        ("::ffff:c000:201", "an IPv4 address written as IPv6"),
        ("64:ff9b::7f00:1", "loopback"),
        ("64:ff9b::a9fe:a9fe", "the cloud's metadata service"),
        ("64:ff9b::af4:101", "inside the cluster"),
        ("10.244.1.1", "inside the cluster"),
        ("10.96.0.1", "inside the cluster"),
        ("fd00:10:64::1", "inside the cluster"),
        ("192.0.2.1", ""),
        ("10.0.0.1", ""),
        ("192.168.1.1", ""),
        ("100.100.100.201", ""),
        ("2001:db8::1", ""),
        ("fd00::1", ""),
        ("64:ff9b::c000:201", ""),
    ],
)
def test_why_an_answer_does_not_count(address: str, why: str) -> None:
    assert WHY(address) == why


@given(ip_addresses())
def test_nothing_that_reaches_the_machine_itself_gets_through(address: object) -> None:
    known = address
    told = WHY(str(address))
    for word in ("is_loopback", "is_link_local", "is_multicast", "is_unspecified"):
        if getattr(known, word):
            assert told
