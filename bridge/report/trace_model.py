"""What becomes of a packet and whether each device says the same: the answer of a trace, as values and, in camelCase, as a document.

Where a field is true, false or null, null says that nobody knows. All times are UTC.
"""

from datetime import datetime
from typing import Any

import msgspec

from bridge.report.about import Value

SCHEMA = 1  # rises when a name goes or changes its meaning


class Sender(Value, frozen=True):
    """Who sends: a workload at one address, or an address that nobody is known to hold. `note` tells what is not certain about it."""

    cluster: str
    address: str
    namespace: str = ""
    pod: str = ""
    uid: str = ""
    service_account: str = ""
    workload: str = ""
    node: str = ""
    note: str = ""

    @property
    def name(self) -> str:
        """As people call it."""
        return f"{self.namespace}/{self.pod}" if self.pod else self.address


class Decided(Value, frozen=True):
    """What policy says of the traffic, or of a part of it, on these devices.

    Without a `rule` it is the default, or nothing of ours. `unknown` hangs on the rules in `doubts`: where none of them matches, it is
    `otherwise`.
    """

    verdict: str
    traffic: str
    devices: tuple[str, ...]
    rule: str = ""
    tier: str = ""
    priority: int | None = None
    passed: tuple[str, ...] = ()
    why: str = ""
    doubts: tuple[str, ...] = ()
    otherwise: str = ""


class Remarked(Value, frozen=True):
    """Why a rule is not on one device as it is written."""

    device: str
    reason: str
    message: str


class Looked(Value, frozen=True):
    """A rule on the way: whether its source, destination and traffic match, and whether its time is now (`reason` says why not).

    `outcome` is decides, passes, later (one before it decides), perhaps (nobody knows) or no.
    """

    rule: str
    tier: str
    priority: int
    action: str
    outcome: str
    why: str
    source: bool | None
    destination: bool | None
    traffic: bool | None
    reason: str = ""
    remarks: tuple[Remarked, ...] = ()


class OnDevice(Value, frozen=True):
    """One device and one decision: whether it holds the rule's line, and the sender's address in the line's source.

    `address` is what the device sees of the sender, by `view`. `row` is the row of the device's audit since which it holds the address, or
    does not. `state` is `ok` where all of it is so, else a word of docs/status.md. `agrees`: the device does as policy says. `stale`: no
    decision, but a line by which the device does otherwise although policy has it no more, or not about the sender, or not now;
    where `line` is null, that it is not known whether there is such a line (`verdict` is unknown).
    """

    device: str
    sender: str
    address: tuple[str, ...]
    view: str
    verdict: str
    rule: str
    line: bool | None
    line_since: datetime | None
    lines: tuple[str, ...]
    group: str
    member: bool | None
    member_since: datetime | None
    row: int | None
    attached: bool | None
    state: str
    message: str
    proven_at: datetime | None
    agrees: bool | None
    stale: bool = False


class Answer(Value, frozen=True):
    """The same decisions for all of these senders."""

    senders: tuple[Sender, ...]
    decisions: tuple[Decided, ...]
    rules: tuple[Looked, ...]
    devices: tuple[OnDevice, ...]

    @property
    def disagreements(self) -> tuple[OnDevice, ...]:
        """Where a device is known to do otherwise, or nobody knows what it does."""
        return tuple(one for one in self.devices if not one.agrees)


class Trace(Value, frozen=True):
    """The whole answer. `agrees` is what the exit code of the command says: decided, and every device in scope does as policy says."""

    schema: int
    at: datetime
    past: bool
    cluster: str
    sender: str
    host: str
    address: str
    traffic: str
    agrees: bool
    headline: str
    answers: tuple[Answer, ...]
    notes: tuple[str, ...] = ()


def trace_document(trace: Trace) -> dict[str, Any]:
    """The answer as plain values."""
    document: dict[str, Any] = msgspec.to_builtins(trace)
    return document


def trace_schema() -> dict[str, Any]:
    """A JSON schema of the document."""
    (found,), definitions = msgspec.json.schema_components([Trace], ref_template="#/$defs/{name}")
    title = f"Fusion Bridge trace, schema {SCHEMA}"
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
        **found,
        "$defs": definitions,
    }
