"""The audit chain of a device: each row bears a hash over itself and over the hash before it, so no row can change or vanish unseen."""

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime

GENESIS = ""  # stands before the first row


@dataclass(frozen=True, slots=True)
class Head:
    """The end of a chain: how many rows it has had, and the hash of the last."""

    number: int
    hash: str


@dataclass(frozen=True, slots=True)
class Link:
    """One row of the audit as the chain sees it, exactly as it is stored."""

    device: str
    number: int
    at: datetime
    key: str
    op: str
    cause: str
    before: str
    after: str
    plan_digest: str
    outcome: str
    lag: float | None

    def hash_after(self, previous: str) -> str:
        """SHA-256 in hexadecimal over `previous` and this row; anyone can compute it again from a copy of the table.

        The row is written as a JSON array in the order of the fields, the time in UTC with microseconds, without spaces.
        """
        at = self.at.astimezone(UTC).isoformat(timespec="microseconds")
        content = [self.device, self.number, at, self.key, self.op, self.cause, self.before, self.after]
        row = json.dumps(
            [*content, self.plan_digest, self.outcome, self.lag], separators=(",", ":"), ensure_ascii=False
        )
        return hashlib.sha256(f"{previous}\n{row}".encode()).hexdigest()
