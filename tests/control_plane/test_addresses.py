"""Addresses are handed out and taken back as each way of reuse says."""

import pytest

from tests.control_plane.addresses import Pool, RangeExhausted, Reuse


@pytest.mark.parametrize(
    ("reuse", "then"),
    [("lowest", ["10.0.0.1", "10.0.0.2"]), ("fifo", ["10.0.0.2", "10.0.0.1"]), ("never", ["10.0.0.4", "10.0.0.5"])],
)
def test_released_addresses(reuse: Reuse, then: list[str]) -> None:
    pool = Pool("10.0.0.0/29", reuse)
    assert [pool.take(uid) for uid in "abc"] == ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
    pool.release("b", "10.0.0.2")
    pool.release("a", "10.0.0.1")
    assert [pool.take(uid) for uid in "de"] == then


def test_last_released_first() -> None:
    pool = Pool("10.0.0.0/29", "lifo")
    for uid in "abc":
        pool.take(uid)
    pool.release("a", "10.0.0.1")
    pool.release("c", "10.0.0.3")
    assert [pool.take(uid) for uid in "def"] == ["10.0.0.3", "10.0.0.1", "10.0.0.4"]


def test_a_short_range_is_used_up_without_its_first_and_last_address() -> None:
    pool = Pool("10.0.0.0/30")
    assert [pool.take(uid) for uid in "ab"] == ["10.0.0.1", "10.0.0.2"]
    with pytest.raises(RangeExhausted):
        pool.take("c")
    assert Pool("fd00::/127").take("a") == "fd00::"
    assert Pool("10.0.0.7/32").take("a") == "10.0.0.7"


def test_a_shared_address_is_free_once_both_let_go() -> None:
    pool = Pool("10.0.0.0/29")
    pool.take("a")
    pool.force("10.0.0.1")
    assert pool.take("b") == "10.0.0.1"
    pool.release("a", "10.0.0.1")
    pool.release("a", "10.0.0.1")
    assert pool.held() == {"10.0.0.1": {"b"}}
    assert pool.take("c") == "10.0.0.2"
    pool.release("b", "10.0.0.1")
    assert pool.take("d") == "10.0.0.1"
