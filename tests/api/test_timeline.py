"""Times along a line, as pages draw them."""

from datetime import UTC, datetime, timedelta

from bridge.api.console.timeline import WHOLE, Line, Stretch, of_rows
from bridge.api.routes.history import LeaseRow, MemberRow

START = datetime(2026, 3, 1, tzinfo=UTC)


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def lease(
    began: datetime, ended: datetime | None, after: datetime | None = None, gone: datetime | None = None
) -> LeaseRow:
    return LeaseRow(
        cluster="east",
        address="10.0.0.1",
        namespace="shop",
        pod="web",
        uid="1",
        service_account="",
        owner="",
        node="",
        began=began,
        began_after=after,
        ended=ended,
        ended_after=gone,
    )


def test_a_stretch_is_a_share_of_the_line() -> None:
    line = Line(START, at(100), mark=at(50))
    assert line.row(lease(at(25), at(75))) == (Stretch(250, 500, sure=True),)
    assert line.row(lease(at(25), None)) == (Stretch(250, 750, sure=True),)
    assert line.marked == WHOLE // 2


def test_what_nobody_watched_is_not_sure() -> None:
    found = Line(START, at(100)).row(lease(at(20), at(80), after=at(10), gone=at(60)))
    assert found == (Stretch(200, 400, sure=True), Stretch(100, 100, sure=False), Stretch(600, 200, sure=False))


def test_a_moment_can_be_seen_wherever_it_is() -> None:
    line = Line(START, at(100))
    for minutes in (0, 50, 100, 200, -5):
        (found,) = line.row(
            MemberRow(
                object="group:x",
                address="10.0.0.1",
                joined=at(minutes),
                left=at(minutes),
                inferred=False,
                holders=(),
                more=False,
            )
        )
        assert found.width > 0
        assert 0 <= found.x <= WHOLE - found.width


def test_a_line_begins_with_the_earliest_and_may_have_no_length() -> None:
    rows = (lease(at(5), None, after=at(3)), lease(at(4), at(6)))
    assert of_rows(rows, at(9)) == Line(at(3), at(9))
    assert of_rows((), START).row(lease(START, None)) == (Stretch(0, 4, sure=True),)
