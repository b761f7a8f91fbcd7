"""Two reports are compared once, however often somebody asks, and nobody waits longer than he wants to."""

import threading
from datetime import UTC, datetime

import pytest
from starlette.exceptions import HTTPException

from bridge.api.comparisons import Comparisons
from bridge.report.difference import Difference, Side

_AT = datetime(2026, 9, 1, tzinfo=UTC)
NOTHING = Difference(Side(1, _AT), Side(2, _AT), equal=True, by_device=())


class Work:
    """Takes until it is let go."""

    def __init__(self) -> None:
        self.done = 0
        self.go = threading.Event()

    def __call__(self) -> Difference:
        assert self.go.wait(30)
        self.done += 1
        return NOTHING


def test_whoever_does_not_want_to_wait_has_it_later() -> None:
    known, work = Comparisons(), Work()
    assert known.within(0.01, (1, 2), work) is None
    assert known.within(0.01, (1, 2), work) is None
    work.go.set()
    assert known.of((1, 2), work) is NOTHING
    assert known.within(30.0, (1, 2), work) is NOTHING
    assert work.done == 1


def test_what_failed_is_tried_again() -> None:
    known = Comparisons()

    def fails() -> Difference:
        raise LookupError("not there")

    with pytest.raises(LookupError):
        known.of((1, 2), fails)
    assert known.of((1, 2), lambda: NOTHING) is NOTHING


def test_a_few_are_remembered_and_no_more_are_waited_for() -> None:
    known, works = Comparisons(), [Work() for _ in range(6)]
    for number, work in enumerate(works[:4]):
        assert known.within(0.0, (number, 9), work) is None
    with pytest.raises(HTTPException) as refused:
        known.within(0.0, (4, 9), works[4])
    assert (refused.value.status_code, (refused.value.headers or {}).get("Retry-After")) == (503, "5")
    for work in works:
        work.go.set()
    for number, work in enumerate(works):
        assert known.of((number, 9), work) is NOTHING
    assert known.of((0, 9), works[0]) is NOTHING
    assert [work.done for work in works] == [2, 1, 1, 1, 1, 1], "the oldest was forgotten"
