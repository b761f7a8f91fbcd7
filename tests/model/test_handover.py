"""Hand-overs in buckets: counts are exact, the worst is exact, and a quantile is at most a tenth too long."""

from math import ceil

from hypothesis import given
from hypothesis import strategies as st

from bridge.model.handover import Handed, Handovers, buckets, figures

SECONDS = st.floats(0, 100_000, allow_nan=False)


@given(st.lists(st.tuples(SECONDS, st.booleans()), min_size=1, max_size=300))
def test_figures_are_those_of_the_list(given_: list[tuple[float, bool]]) -> None:
    found = figures(buckets(Handed(seconds, both) for seconds, both in given_))
    ordered = sorted(seconds for seconds, _ in given_)
    assert (found.count, found.worst, found.both) == (len(ordered), ordered[-1], sum(both for _, both in given_))
    for part, told in ((0.5, found.p50), (0.99, found.p99)):
        exact = ordered[ceil(len(ordered) * part) - 1]
        assert told is not None
        assert exact <= told <= max(exact * 1.1 + 1e-9, 0.001)


def test_nothing_has_no_figures() -> None:
    assert figures({}) == Handovers(0, None, None, None, 0)
