"""`audit` as a person calls it, and the question that `report --fresh` puts to a running bridge."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from bridge.cli.fresh import read_now
from bridge.state.audit_store import AuditStore
from bridge.state.database import Database
from bridge.state.desired import AuditEntry, DeviceHealth
from bridge.state.wakeups import Wakeups
from tests.cli.program import Answer, run
from tests.state.builders import Stores, at, group

ENTRY = AuditEntry(group("web"), "drift", "changed on the device, not by this bridge", "-", "{10.0.0.1}", "repaired")


@pytest.fixture
def stores(database: Database) -> Stores:
    """A device with one row."""
    made = Stores(database)
    made.delivery.record("edge", 1, [], [ENTRY], "plan", at(1))
    return made


def _audit(folder: Path, url: str, *words: str) -> Answer:
    (folder / "bridge.yaml").write_text(yaml.safe_dump({"database": {"url": url}}))
    return run("--config", folder / "bridge.yaml", "audit", *words)


def test_a_whole_chain(stores: Stores, database_url: str, tmp_path: Path) -> None:
    (end,) = AuditStore(stores.database).heads(["edge"])
    head = f"1:{end.head.hash}"
    assert head in _audit(tmp_path, database_url, "heads").out
    done = _audit(tmp_path, database_url, "verify", "edge", "--head", head)
    assert done.code == 0
    assert "whole" in done.out
    assert "part of the chain" in done.out
    found = _audit(tmp_path, database_url, "verify", "--head", f"1:{'0' * 64}", "--output", "json")
    assert found.code == 1
    assert found.json["sound"], "the chain is, the head is not"
    assert found.json["asked"][0] | {"hash": ""} == {
        "source": "--head",
        "number": 1,
        "hash": "",
        "at": None,
        "answer": "not part of the chain",
        "row": 1,
        "device": "",
    }


@pytest.mark.parametrize(
    "words", [("verify", "nowhere"), ("heads", "nowhere"), ("verify", "--head", "x:y"), ("verify", "--head", "12")]
)
def test_what_cannot_be_meant(stores: Stores, database_url: str, tmp_path: Path, words: tuple[str, ...]) -> None:
    done = _audit(tmp_path, database_url, *words)
    assert done.code == 2
    assert words[-1] in done.err
    assert stores.delivery.verified("edge")


# ---- fresh


@pytest.fixture
def listening(stores: Stores) -> Iterator[Wakeups]:
    """Somebody who hears the questions."""
    with Wakeups(stores.database) as wakeups:
        assert wakeups.wait_until_listening(20)
        yield wakeups


def test_a_running_bridge_answers_with_what_it_found(stores: Stores, listening: Wakeups) -> None:
    def answer(device: str) -> None:
        stores.delivery.record(device, 1, [], [ENTRY], "plan", at(2))
        stores.delivery.record_health(device, DeviceHealth("ok"))

    listening.register_audits(answer)
    (found,) = read_now(stores.database, ["edge"])
    assert (found.read, found.why) == (True, "")
    assert [one.number for one in found.drift][-1] == 2, "not what was found before the question"


def test_a_reading_that_began_before_the_question_is_no_answer(stores: Stores, listening: Wakeups) -> None:
    listening.register_audits(lambda device: stores.delivery.record_health(device, DeviceHealth("ok"), age=60))
    (found,) = read_now(stores.database, ["edge"], seconds=0.5)
    assert (found.read, found.why) == (False, "it was not read in time: see `fusion-bridge status`")


def test_nobody_is_waited_for_where_nobody_is(stores: Stores) -> None:
    stores.leases.release("device", "edge", "me", 1)
    found = read_now(stores.database, ["edge", "nowhere"], seconds=3600)
    assert [(one.device, one.read) for one in found] == [("edge", False), ("nowhere", False)]
    assert "no bridge has it now" in found[0].why
