"""The figures of compiling: their rows exist, are measured for every form of device, and run small."""

import json
import sys
from pathlib import Path

import pytest

from tests.acceptance.world import run

ROOT = Path(__file__).parents[2]


@pytest.mark.acceptance(
    "benchmark rows: 10,000 rules (8,001 of one namespace) compiled from nothing in ≤ 10 s, a pod's change flat from 1,000 to 150,000 "
    "pods, one rule edited in ≤ 50 ms, each form of device (here with fewer)"
)
def test_rows(tmp_path: Path) -> None:
    out, words = tmp_path / "bench.json", ["--only", "policy", "--pods", "1000", "--rules", "500", "--out"]
    done = run(sys.executable, "-m", "tests.bench", *words, out, cwd=ROOT, seconds=300)
    assert done.returncode == 0, done.stderr
    rows = json.loads(out.read_text())
    for form in ("tiered", "flat", "allow-only"):
        of_form = [row for row in rows if row["row"].endswith(f", {form}")]
        assert [row["goal"] for row in of_form] == ["≤ 10 s", "≤ 50 ms", "≤ 1.2 \N{MULTIPLICATION SIGN}"]
        first, edit, change = (row["notes"] for row in of_form)
        assert (first["rules"], first["of_one_namespace"], first["pods"]) == (500, 400, 1_000)
        assert first["members"] >= first["pods"]
        assert first["groups"] >= 200
        assert edit["objects_per_edit"] >= 1
        assert change["us_small"] > 0
    assert all(row["command"] == "python -m tests.bench --only policy --pods 1000 --rules 500" for row in rows)
