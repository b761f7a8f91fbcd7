"""The audit a page at a time, on real tables."""

from itertools import product

import pytest

from bridge.state import audit_pages
from bridge.state.audit_pages import AuditPages, AuditRow, Sought
from bridge.state.database import Database
from bridge.state.desired import AuditEntry
from tests.state.builders import Stores, at, group

WEB, API = group("web"), group("api")
ROWS = 12


@pytest.fixture
def store(database: Database) -> AuditPages:
    """Twelve rows of one device: every third about another object, every fourth refused, one of drift."""
    stores = Stores(database)
    for number in range(1, ROWS + 1):
        outcome = "refused: no room" if number % 4 == 0 else "done"
        op = "drift" if number == 5 else "update"
        entry = AuditEntry(API if number % 3 == 0 else WEB, op, f"cause {number}", "-", f"{{{number}}}", outcome, 0.5)
        stores.delivery.record("edge", 1, [], [entry], "plan", at(number))
    return AuditPages(database)


def every(store: AuditPages, sought: Sought, limit: int) -> list[AuditRow]:
    """The rows of all pages; none of which has more than the limit."""
    found: list[AuditRow] = []
    before = None
    while True:
        rows, before = store.rows(sought, before, limit)
        assert len(rows) <= limit
        found += rows
        if before is None:
            return found


def test_every_row_comes_once_whatever_the_page(store: AuditPages, monkeypatch: pytest.MonkeyPatch) -> None:
    down = list(range(ROWS, 0, -1))
    for looked_at, limit in product((1, 3, ROWS, 5_000), (1, 5, ROWS, 100)):
        monkeypatch.setattr(audit_pages, "LOOKED_AT", looked_at)
        for sought, numbers in (
            (Sought(), down),
            (Sought("edge"), down),
            (Sought("core"), []),
            (Sought(key=str(API)), [12, 9, 6, 3]),
            (Sought("edge", str(API)), [12, 9, 6, 3]),
            (Sought("core", str(API)), []),
            (Sought(op="drift"), [5]),
            (Sought("edge", refused=True), [12, 8, 4]),
            (Sought(refused=True, key=str(API)), [12]),
            (Sought(since=at(8)), [12, 11, 10, 9, 8]),
            (Sought("edge", op="drift", since=at(6)), []),
        ):
            assert [one.number for one in every(store, sought, limit)] == numbers, (sought, looked_at, limit)


def test_a_long_text_is_cut_in_a_page_and_whole_by_itself(store: AuditPages, database: Database) -> None:
    long = f"{{{'x' * 10_000}}}"
    Stores(database).delivery.record(
        "edge", 1, [], [AuditEntry(WEB, "update", "a cause", "-", long, "done")], "plan", at(99)
    )
    (row, other), _ = store.rows(Sought("edge"), None, 2)
    assert (row.cut, len(row.after), other.cut) == (True, audit_pages.TEXT, False)
    whole = store.row("edge", row.number)
    assert whole is not None
    assert (whole.after, whole.cut) == (long, False)
    assert store.row("edge", 999) is None
