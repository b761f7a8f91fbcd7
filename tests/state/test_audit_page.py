"""The few lines in docs/audit.md by which anybody can check a chain do check it."""

import re
import subprocess
import sys
from pathlib import Path

from bridge.state.audit_store import AuditStore
from bridge.state.database import Database
from bridge.state.desired import AuditEntry
from tests.state.builders import Stores, at, group

PAGE = Path(__file__).parents[2] / "docs" / "audit.md"


def _block(language: str) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    return str(found)


def _check(database: Database, folder: Path) -> subprocess.CompletedProcess[str]:
    (query,) = re.findall(r"\\copy \((.*)\) TO 'audit.csv' CSV HEADER", _block("sql"))
    with database.transaction() as connection, (folder / "audit.csv").open("wb") as file:
        connection.execute("SET LOCAL TimeZone = 'Asia/Kolkata'")
        with connection.cursor().copy(f"COPY ({query}) TO STDOUT CSV HEADER".encode()) as copy:
            for data in copy:
                file.write(data)
    line = [sys.executable, "-W", "ignore::ResourceWarning", "-c", _block("python")]
    return subprocess.run(line, cwd=folder, capture_output=True, text=True, check=False, timeout=60)


def test_a_chain_is_checked_by_hand(database: Database, tmp_path: Path) -> None:
    stores = Stores(database)
    for number, lag in enumerate((None, 0.1, 1e-05, 2.0, 12345.678901)):
        cause = f'Pod shop/"web", über\n{number}'
        entry = AuditEntry(group("web"), "update", cause, "-", "{10.0.0.1}", "done", lag)
        stores.delivery.record("edge", 1, [], [entry], "plan", at(number + 0.25 * number))
    done = _check(database, tmp_path)
    (end,) = AuditStore(database).heads(["edge"])
    assert done.stdout.strip() == f"{end.head.number}:{end.head.hash}", done.stderr
    with database.transaction() as connection:
        connection.execute("UPDATE audit SET outcome = 'refused' WHERE number = 3")
    done = _check(database, tmp_path)
    assert done.returncode == 1
    assert "row 3 does not follow" in done.stderr
