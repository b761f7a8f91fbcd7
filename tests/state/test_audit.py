"""The audit chain on the real tables: whatever is done to it behind the bridge's back is found, and where."""

import pytest

from bridge.errors import LostLease
from bridge.model.identity import ObjectKey
from bridge.state.audit_store import AuditStore
from bridge.state.chain import GENESIS, Head, Link
from bridge.state.database import Database
from bridge.state.delivery_store import DeliveryStore
from bridge.state.desired import AuditEntry
from bridge.state.pruning import prune
from bridge.state.report_archive import ReportArchive
from bridge.state.verification import Answer, Claim, Verified
from tests.state.builders import Stores, at, group

WEB = group("web")
ROWS = 12


def _entry(number: int, key: ObjectKey = WEB) -> AuditEntry:
    return AuditEntry(
        key, "update", f"Pod shop/web-{number} at {number}", "-", f"{{10.0.0.{number}}}", "done", 0.1 * number
    )


@pytest.fixture
def store(database: Database) -> AuditStore:
    """Twelve rows of one device, written two by two, an hour between them."""
    stores = Stores(database)
    for number in range(1, ROWS, 2):
        stores.delivery.record("edge", 1, [], [_entry(number), _entry(number + 1)], "plan", at(3600 * number))
    return AuditStore(database)


def _tamper(database: Database, statement: str) -> None:
    with database.transaction() as connection:
        connection.execute(statement.encode())


def _hashes(database: Database) -> dict[int, str]:
    with database.transaction() as connection:
        return {row[0]: row[1] for row in connection.execute("SELECT number, hash FROM audit ORDER BY number")}


def _rewrite(database: Database, since: int, *, head: bool) -> None:
    """What somebody does who knows how the hashes are made."""
    with database.transaction() as connection:
        query = """SELECT device, number, at, key, op, cause, before, after, plan_digest, outcome, lag, hash
            FROM audit ORDER BY number"""
        last = GENESIS
        for *columns, stored in connection.execute(query).fetchall():
            link = Link(*columns)
            last = link.hash_after(last) if link.number >= since else stored
            connection.execute("UPDATE audit SET hash = %s WHERE number = %s", [last, link.number])
        if head:
            connection.execute("UPDATE device SET audit_head = %s", [last])


def test_a_chain_as_the_bridge_wrote_it_is_whole(store: AuditStore, database: Database) -> None:
    found = store.verify("edge")
    assert found.sound
    assert (found.rows, found.head) == (ROWS, Head(ROWS, _hashes(database)[ROWS]))
    assert found.checkpoint is None
    (end,) = store.heads(["edge"])
    assert (end.head, end.at) == (found.head, at(3600 * 11))


def test_a_device_without_changes_has_an_empty_chain_that_is_whole(database: Database) -> None:
    Stores(database)
    found = AuditStore(database).verify("edge")
    assert (found.sound, found.rows, found.head) == (True, 0, Head(0, ""))


TAMPERINGS: list[tuple[str, str, int, str]] = [
    ("a cause", "UPDATE audit SET cause = 'nobody' WHERE number = 5", 5, "row 5 is not as it was written"),
    ("a time", "UPDATE audit SET at = at + interval '1 us' WHERE number = 1", 1, "row 1 is not as it was written"),
    ("a lag", "UPDATE audit SET lag = NULL WHERE number = 12", 12, "row 12 is not as it was written"),
    ("a hash", "UPDATE audit SET hash = repeat('0', 64) WHERE number = 7", 7, "row 7 bears another hash"),
    ("the last hash", "UPDATE audit SET hash = repeat('0', 64) WHERE number = 12", 12, "row 12 bears another hash"),
    ("the first row", "DELETE FROM audit WHERE number = 1", 1, "row 1 is missing"),
    ("rows in the middle", "DELETE FROM audit WHERE number IN (4, 5)", 4, "rows 4 to 5 are missing"),
    ("the last rows", "DELETE FROM audit WHERE number > 10", 11, "rows 11 to 12 are missing at the end"),
    ("all rows", "DELETE FROM audit", 1, "rows 1 to 12 are missing at the end"),
    ("the head", "UPDATE device SET audit_head = repeat('0', 64)", 12, "the head of the device is not the hash"),
    ("the count", "UPDATE device SET audit_number = 11", 12, "row 12 is beyond the head"),
    (
        "a row put at the end",
        """INSERT INTO audit (device, at, key, op, cause, before, after, plan_digest, outcome, number, hash)
        SELECT device, at, key, op, cause, before, after, plan_digest, outcome, 13, hash FROM audit WHERE number = 12""",
        13,
        "row 13 is not as it was written",
    ),
    (
        "a row moved, and the gap closed",
        """DELETE FROM audit WHERE number = 3; UPDATE audit SET number = -number WHERE number > 3;
        UPDATE audit SET number = -number - 1 WHERE number < 0""",
        3,
        "row 3 is not as it was written",
    ),
    (
        "a checkpoint put there",
        """DELETE FROM audit WHERE number <= 6; INSERT INTO audit_checkpoint
        SELECT 'edge', 6, repeat('0', 64), now(), now()""",
        7,
        "row 7 is not as it was written",
    ),
]


@pytest.mark.parametrize(
    ("statement", "number", "words"), [one[1:] for one in TAMPERINGS], ids=[one[0] for one in TAMPERINGS]
)
def test_tampering_is_found_and_placed(
    store: AuditStore, database: Database, statement: str, number: int, words: str
) -> None:
    for one in statement.split(";"):
        _tamper(database, one)
    found = store.verify("edge")
    assert not found.sound
    assert (found.problems[0].number, found.problems[0].what[: len(words)]) == (number, words)


def test_a_row_written_anew_with_its_hash_shows_in_the_next(store: AuditStore, database: Database) -> None:
    _tamper(database, "UPDATE audit SET cause = 'nobody' WHERE number = 5")
    with database.transaction() as connection:
        query = "SELECT device, number, at, key, op, cause, before, after, plan_digest, outcome, lag FROM audit WHERE number = 5"
        link = Link(*(connection.execute(query).fetchone() or ()))
        connection.execute("UPDATE audit SET hash = %s WHERE number = 5", [link.hash_after(_hashes(database)[4])])
    (problem,) = store.verify("edge").problems
    assert problem.number == 6
    assert "row 5 was written anew together with its hash" in problem.what


def test_a_chain_written_anew_to_its_end_shows_in_the_head(store: AuditStore, database: Database) -> None:
    _tamper(database, "UPDATE audit SET cause = 'nobody' WHERE number = 5")
    _rewrite(database, 5, head=False)
    (problem,) = store.verify("edge").problems
    assert problem.what == "the head of the device is not the hash of its last row"


def test_a_chain_written_anew_with_its_head_shows_in_what_others_wrote_down(
    store: AuditStore, database: Database
) -> None:
    hashes = _hashes(database)
    kept = [Claim("report 1", hashes[4], 4, at(0)), Claim("report 2", hashes[9], 9, at(0)), Claim("a note", hashes[12])]
    assert store.verify("edge", kept).sound
    _tamper(database, "UPDATE audit SET cause = 'nobody' WHERE number = 5")
    _rewrite(database, 5, head=True)
    assert store.verify("edge").sound, "whoever writes everything anew is not seen from within"
    found = store.verify("edge", kept)
    assert [one.answer for one in found.answers if one.number == 4] == [Answer.PART]
    assert {one.claim.source: one.answer for one in found.answers} == {
        "report 1": Answer.PART,
        "report 2": Answer.DENIED,
        "a note": Answer.DENIED,
    }
    assert [problem.what for problem in found.problems] == ["report 2 has another hash for row 9"]


def test_rows_that_a_report_has_seen_cannot_be_taken_off_the_end(store: AuditStore, database: Database) -> None:
    claim = Claim("report 1", _hashes(database)[12], 12, at(0))
    _tamper(database, "DELETE FROM audit WHERE number > 10")
    _tamper(database, f"UPDATE device SET audit_number = 10, audit_head = '{_hashes(database)[10]}'")  # noqa: S608
    assert store.verify("edge").sound
    (problem,) = store.verify("edge", [claim]).problems
    assert problem.what == "report 1 has seen row 12, which is not there"


def test_kept_reports_bring_their_heads(store: AuditStore, database: Database) -> None:
    digest = _hashes(database)[4]
    body = f'{{"byDevice": [{{"device": "edge", "audit": {{"number": 4, "hash": "{digest}"}}}}, {{"device": "new"}}]}}'
    number = ReportArchive(database).keep(at(1), body, "{}")
    ReportArchive(database).keep(at(1), "{}", "{}")
    assert store.claims() == {"edge": [Claim(f"report {number}", digest, 4, at(1))]}


# ---- pruning


def _pruned(database: Database, hours: int) -> Verified:
    prune(database, at(3600 * hours))
    return AuditStore(database).verify("edge")


def test_pruning_leaves_a_checkpoint_from_which_the_chain_goes_on(store: AuditStore, database: Database) -> None:
    hashes = _hashes(database)
    claims = [Claim("a", hashes[2], 2, at(0)), Claim("b", hashes[4], 4, at(0)), Claim("c", hashes[5], 5, at(0))]
    found = _pruned(database, 5)
    assert found.sound
    assert found.checkpoint is not None
    assert (found.checkpoint.number, found.checkpoint.hash, found.checkpoint.until) == (4, hashes[4], at(3600 * 3))
    assert (found.rows, found.head) == (ROWS - 4, Head(ROWS, hashes[ROWS]))
    answers = {one.claim.source: one.answer for one in store.verify("edge", claims).answers}
    assert answers == {"a": Answer.BEFORE, "b": Answer.PART, "c": Answer.PART}
    bare = [Claim("old", hashes[2]), Claim("new", hashes[9])]
    answers = {one.claim.source: one.answer for one in store.verify("edge", bare).answers}
    assert answers == {"old": Answer.UNKNOWN, "new": Answer.PART}


def test_all_rows_may_go_and_the_chain_goes_on(store: AuditStore, database: Database) -> None:
    assert _pruned(database, 100).rows == 0
    with database.transaction() as connection:
        count = connection.execute("SELECT count(*) FROM audit_checkpoint").fetchone()
    assert count == (1,)
    DeliveryStore(database).record("edge", 1, [], [_entry(1)], "plan", at(0))
    assert (store.verify("edge").sound, store.verify("edge").rows) == (True, 1)


def test_pruning_in_pieces_again_and_again_leaves_one_checkpoint(
    store: AuditStore, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.state.pruning._PIECE", 2)
    assert _pruned(database, 3).sound
    assert _pruned(database, 3).sound
    found = _pruned(database, 8)
    assert found.sound
    assert found.checkpoint is not None
    assert (found.checkpoint.number, found.rows) == (8, 4)
    with database.transaction() as connection:
        assert connection.execute("SELECT count(*) FROM audit_checkpoint").fetchone() == (1,)


def test_only_a_beginning_goes_even_if_a_clock_ran_backwards(store: AuditStore, database: Database) -> None:
    _tamper(database, "DELETE FROM audit WHERE number > 0")
    _tamper(database, "UPDATE device SET audit_number = 0, audit_head = ''")
    for seconds in (5, 1, 9):
        DeliveryStore(database).record("edge", 1, [], [_entry(seconds)], "plan", at(seconds))
    prune(database, at(3))
    assert [one.number for one in store.rows("edge")] == [3, 2, 1]
    prune(database, at(6))
    assert [one.number for one in store.rows("edge")] == [3]
    assert store.verify("edge").sound


def test_what_is_put_before_a_checkpoint_is_seen(store: AuditStore, database: Database) -> None:
    _pruned(database, 5)
    _tamper(
        database,
        """INSERT INTO audit (device, at, key, op, cause, before, after, plan_digest, outcome, number, hash)
        SELECT device, at, key, op, cause, before, after, plan_digest, outcome, 2, hash FROM audit WHERE number = 12""",
    )
    (problem,) = store.verify("edge").problems
    assert "stand before the checkpoint" in problem.what


def test_a_checkpoint_that_hides_what_a_later_report_saw_is_seen(store: AuditStore, database: Database) -> None:
    """Somebody writes everything anew and says that the rest was pruned."""
    claim = Claim("report 1", "0" * 64, 3, at(3600 * 24))
    _pruned(database, 5)
    assert not store.verify("edge", [claim]).sound


# ---- reading


def test_rows_come_by_device_object_operation_and_number(store: AuditStore, database: Database) -> None:
    other = group("other")
    drift = AuditEntry(other, "drift", "somebody", "-", "{}", "repaired")
    DeliveryStore(database).record("edge", 1, [], [drift], "", at(99_999))
    assert [one.number for one in store.rows("edge", limit=2)] == [13, 12]
    assert [one.number for one in store.rows("edge", key=other)] == [13]
    assert [one.entry for one in store.rows("edge", op="drift")] == [drift]
    assert [one.number for one in store.rows("edge", after=11)] == [13, 12]
    assert store.rows("elsewhere") == ()


def test_devices_are_known_by_their_audit_when_they_are_gone(store: AuditStore, database: Database) -> None:
    _tamper(database, "DELETE FROM device")
    assert store.devices() == ("edge",)
    assert not store.verify("edge").sound


def test_what_was_verified_follows_the_rows(store: AuditStore, database: Database) -> None:
    delivery = DeliveryStore(database)
    assert set(delivery.verified("edge")) == {WEB}
    gone = AuditEntry(WEB, "delete", "no longer wanted", "{}", "-", "done")
    fence = AuditEntry(ObjectKey.fence(), "take-over", "ours", "-", "epoch 1 of x", "done")
    delivery.record("edge", 1, [], [gone, fence], "plan", at(99_999))
    assert delivery.verified("edge") == {}


def test_progress_is_told_for_long_chains(
    store: AuditStore, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.state.audit_store._PIECE", 5)
    told: list[tuple[int, int]] = []
    store.verify("edge", progress=lambda done, of: told.append((done, of)))
    assert told == [(5, 12), (10, 12)]


def test_what_was_found_is_noted_before_it_is_repaired_and_only_by_the_owner(
    store: AuditStore, database: Database
) -> None:
    delivery, other = DeliveryStore(database), group("other")
    delivery.saw("edge", 1, {WEB: "", other: "0123456789abcdef"})
    assert delivery.verified("edge") == {other: "0123456789abcdef"}
    with pytest.raises(LostLease):
        delivery.saw("edge", 7, {WEB: "x"})
    assert store.verify("edge").rows == ROWS
