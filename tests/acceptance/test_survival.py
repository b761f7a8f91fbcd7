"""What the bridge survives, in the short form of each proof; `make soak` runs the long ones."""

import gc
import os
from pathlib import Path

import pytest

from tests.soak import churning, killing, swinging
from tests.soak.proof import Findings, Order, Proof, carry_out
from tests.soak.swinging import Reading, judge

SEED = int(os.environ["BRIDGE_TEST_SEED"])


def prove(proof: Proof, folder: Path) -> None:
    """The proof holds; its line says with which seed, and what it came to."""
    result = carry_out(proof, Order(SEED, long=False, folder=folder))
    print(result.line())
    assert result.passed, "\n".join([f"seed {SEED}", *result.wrong[:20]])


@pytest.mark.timeout(900)
@pytest.mark.slow
@pytest.mark.acceptance(
    "trust: kill -9 at 20 random points of a busy run, each followed by a restart: devices equal intent, history is without gap or "
    "overlap, the audit chain holds, and nothing foreign was touched"
)
def test_kills(tmp_path: Path) -> None:
    prove(killing.PROOF, tmp_path)


@pytest.mark.timeout(900)
@pytest.mark.slow
@pytest.mark.acceptance(
    "trust: random churn over all simulated devices and nftables, with faults all the time: 0 stale, 0 missing, 0 lost, 0 foreign "
    "objects touched, and no packet gets through at any state in between that neither end lets through"
)
@pytest.mark.filterwarnings("ignore:.*psycopg.ServerCursor.* was deleted while still open:ResourceWarning")
def test_churn(tmp_path: Path) -> None:
    """Connections are cut in the middle of a cursor too, which psycopg then cannot close."""
    prove(churning.PROOF, tmp_path)
    gc.collect()


@pytest.mark.timeout(900)
@pytest.mark.slow
@pytest.mark.acceptance(
    "trust: 3 cycles of ±10,000 pods: memory grows by less than 2 % per cycle after warm-up; no thread, file or connection leaks, and no "
    "table that holds what is now grows"
)
def test_swings(tmp_path: Path) -> None:
    prove(swinging.PROOF, tmp_path)


@pytest.mark.acceptance("trust: a proof that finds something, or breaks, does not pass")
def test_a_proof_can_fail(tmp_path: Path) -> None:
    def finds(_order: Order, findings: Findings) -> None:
        findings.expect(holds=False, otherwise="found")

    def breaks(_order: Order, _findings: Findings) -> None:
        raise LookupError("broke")

    found, broke = (carry_out(Proof("x", "", run), Order(1, long=False, folder=tmp_path)) for run in (finds, breaks))
    assert (found.passed, found.wrong) == (False, ("found",))
    assert not broke.passed
    assert "broke" in broke.wrong[0]


@pytest.mark.acceptance("trust: memory, threads, files, connections and tables that grow from cycle to cycle are told")
def test_growth_is_told() -> None:
    steady = [Reading(200 << 20, 24, 26, 6, 5 << 20, number << 20) for number in range(4)]
    findings = Findings()
    judge(steady, findings)
    assert not findings.wrong
    growing = [
        Reading((200 + 6 * n) << 20, 24 + 2 * n, 26 + 2 * n, 6 + 2 * n, (5 + n) << 20, n**3 << 20) for n in range(4)
    ]
    judge(growing, findings)
    told = ("memory grows", "threads", "files", "connections", "tables", "history")
    assert [one.startswith(word) for one, word in zip(findings.wrong, told, strict=True)] == [True] * 6, findings.wrong
