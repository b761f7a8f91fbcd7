"""`held` as a person calls it: what waits, what was decided, what a freeze keeps, and the stops in force."""

from pathlib import Path

import pytest
import yaml

from bridge.model.decisions import Lifted, Stop, StopRecord
from bridge.model.plan import Held
from bridge.state.batch import Batch
from bridge.state.database import Database
from bridge.state.encoding import encode_held
from tests.cli.program import Answer, run
from tests.state.builders import Stores, at, group

HELD = Held(group("web"), frozenset({"10.0.0.2", "10.0.0.1"}), "removal of 2 of 9 members, which no event proves")
_HOLD = """
INSERT INTO held_plan (device, digest, steps, since, state, cluster, kind, by, reason)
VALUES ('edge', %s, %s, %s, %s, 'east', %s, %s, %s)
"""


@pytest.fixture
def stores(database: Database) -> Stores:
    return Stores(database)


def _hold(
    stores: Stores, digest: str, state: str = "held", kind: str = "guard", by: str = "", reason: str = ""
) -> None:
    with stores.database.transaction() as connection:
        connection.execute(_HOLD, [digest, encode_held([HELD]), at(0), state, kind, by, reason])


def _run(folder: Path, url: str, *words: str) -> Answer:
    (folder / "bridge.yaml").write_text(yaml.safe_dump({"database": {"url": url}}))
    return run("--config", folder / "bridge.yaml", "held", *words)


def test_nothing(stores: Stores, database_url: str, tmp_path: Path) -> None:
    answer = _run(tmp_path, database_url)
    assert (answer.code, answer.out.strip()) == (0, "nothing is held, and nothing is stopped")


def test_what_waits_and_how_to_decide(stores: Stores, database_url: str, tmp_path: Path) -> None:
    _hold(stores, "0123456789abcdef")
    _hold(stores, "feedfeedfeedfeed", "done")
    answer = _run(tmp_path, database_url)
    assert answer.code == 3
    assert "0123456789abcdef" in answer.out
    assert "fusion-bridge release DIGEST" in answer.out
    assert "feedfeedfeedfeed" not in answer.out
    assert "feedfeedfeedfeed" in _run(tmp_path, database_url, "--all").out
    assert _run(tmp_path, database_url, "--device", "core").code == 0
    (one,) = _run(tmp_path, database_url, "--output", "json").json["held"]
    assert (one["device"], one["cluster"], one["members"], one["why"]) == ("edge", "east", 2, [HELD.reason])


def test_one_list_with_its_members(stores: Stores, database_url: str, tmp_path: Path) -> None:
    _hold(stores, "0123456789abcdef", "rejected", by="ann", reason="not ours")
    answer = _run(tmp_path, database_url, "0123")
    assert answer.code == 0, "nobody waits for a person"
    assert "rejected by ann: not ours" in answer.out
    assert [line.strip() for line in answer.out.splitlines() if line.startswith("    ")] == ["10.0.0.1", "10.0.0.2"]
    missing = _run(tmp_path, database_url, "beef")
    assert (missing.code, missing.err.strip()) == (1, "nothing is or was held as beef")


def test_what_a_freeze_keeps_waits_for_nobody(stores: Stores, database_url: str, tmp_path: Path) -> None:
    _hold(stores, "0123456789abcdef", kind="freeze")
    answer = _run(tmp_path, database_url)
    assert (answer.code, "freeze" in answer.out) == (0, True)


def test_stops_in_force(stores: Stores, database_url: str, tmp_path: Path) -> None:
    stop = Stop("east", "stop-1", "uid", ("edge",), "ann", "a fire", at(0))
    stores.commit(Batch(at(1), stops=[StopRecord(stop)]))
    answer = _run(tmp_path, database_url)
    assert answer.code == 3
    assert "a fire" in answer.out
    assert [one["name"] for one in _run(tmp_path, database_url, "--output", "json").json["stops"]] == ["stop-1"]
    stores.commit(Batch(at(2), stops=[StopRecord(stop, Lifted("bob", "it is out"))]))
    assert _run(tmp_path, database_url).code == 0
