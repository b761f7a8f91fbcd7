"""Transactions: calls that carry X-F5-REST-Coordination-Id wait, and on commit take effect together or not at all.

POST opens one (STARTED); PATCH {"state": "VALIDATING"} commits it (COMPLETED or FAILED with `failureReason`);
`validateOnly` stops before the commit. With `seconds` set, or `asyncExecution` asked for, PATCH answers VALIDATING and the
outcome shows on a later GET. What is not committed in time is gone: 404. Opening one inside another is refused.
"""

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from bridge.lab.devices.bigip import configuration
from bridge.lab.devices.bigip.answers import SYNTAX, ApiError, encode
from bridge.lab.devices.bigip.configuration import Call
from bridge.lab.devices.bigip.fields import Json
from bridge.lab.devices.bigip.show import VERSION
from bridge.lab.devices.bigip.store import Author, Store
from bridge.lab.devices.clock import LabClock
from bridge.lab.devices.message import Request

_LINK = "https://localhost/mgmt/tm/transaction"


@dataclass(slots=True)
class _Transaction:
    number: int
    user: str
    agent: str
    opened: float
    timeout: int
    state: str = "STARTED"
    failure: str = ""
    validate_only: bool = False
    asynchronous: bool = False
    due: float = 0.0
    commands: list[Call] = field(default_factory=list)


class Transactions:
    """The open transactions of a device. `timeout` and `seconds` (how long a commit takes) are the lab's to set."""

    def __init__(self, store: Store, clock: LabClock) -> None:
        self._store = store
        self._clock = clock
        self._open: dict[int, _Transaction] = {}
        self._numbers = itertools.count(int(time.time()) * 1000)
        self.timeout = 120
        self.seconds = 0.0

    def forget(self) -> None:
        """All are gone, as after a reboot."""
        self._open.clear()

    def enqueue(self, number: str, request: Request) -> bytes:
        """Keep a call for later; the answer shows the command, not an object."""
        transaction = self._find(number)
        if transaction.state != "STARTED":
            raise ApiError(400, f"transaction {number} is {transaction.state}; no command can be added", SYNTAX)
        if len(transaction.commands) >= self._store.limits.transaction:
            raise ApiError(
                400, f"transaction {number} holds the maximum of {self._store.limits.transaction} commands", SYNTAX
            )
        if request.method not in ("POST", "PATCH", "PUT", "DELETE"):
            raise ApiError(400, f"{request.method} can not be part of a transaction", SYNTAX)
        body = configuration.read_body(request.body)
        transaction.commands.append(Call(request.method, request.path, request.query, request.body))
        return encode(_show_command(transaction, len(transaction.commands)) | {"body": body})

    def handle(self, request: Request, parts: list[str]) -> Any:  # noqa: ANN401
        """Calls to /mgmt/tm/transaction itself."""
        if request.transaction:
            raise ApiError(400, "a transaction can not be part of a transaction", SYNTAX)
        actions: dict[tuple[str, int], Callable[[], Any]] = {
            ("POST", 0): lambda: self._begin(request),
            ("GET", 0): self._list,
            ("GET", 1): lambda: _show(self._find(parts[0])),
            ("PATCH", 1): lambda: self._commit(self._find(parts[0]), request),
            ("DELETE", 1): lambda: self._abort(parts[0]),
            ("GET", 2): lambda: self._commands(self._find(parts[0])),
        }
        action = actions.get((request.method, len(parts)))
        if action is None or (len(parts) == 2 and parts[1] != "commands"):
            raise ApiError(405, f"Operation {request.method} is not supported.", SYNTAX)
        return action()

    def _begin(self, request: Request) -> Json:
        if configuration.read_body(request.body):
            raise ApiError(400, "a transaction is created with an empty object", SYNTAX)
        self._expire()
        transaction = _Transaction(
            next(self._numbers), request.user, request.header("user-agent"), self._clock.now(), self.timeout
        )
        self._open[transaction.number] = transaction
        return _show(transaction)

    def _list(self) -> Json:
        self._expire()
        shown: Json = {"kind": "tm:transactioncollectionstate", "selfLink": f"{_LINK}?ver={VERSION}"}
        return shown | ({"items": [_show(one) for one in self._open.values()]} if self._open else {})

    def _commands(self, transaction: _Transaction) -> Json:
        link = f"{_LINK}/{transaction.number}/commands?ver={VERSION}"
        items = [_show_command(transaction, number + 1) for number in range(len(transaction.commands))]
        return {"kind": "tm:transaction:commandscollectionstate", "selfLink": link, "items": items}

    def _abort(self, number: str) -> None:
        del self._open[self._find(number).number]

    def _commit(self, transaction: _Transaction, request: Request) -> Json:
        body = configuration.read_body(request.body)
        unknown = body.keys() - {"state", "validateOnly", "asyncExecution", "timeoutSeconds"}
        if unknown:
            raise ApiError(400, f'"{min(unknown)}" unknown property', SYNTAX)
        if body.get("state") != "VALIDATING":
            raise ApiError(400, 'invalid property value "state": only VALIDATING can be set', SYNTAX)
        if transaction.state != "STARTED":
            raise ApiError(400, f"transaction {transaction.number} is {transaction.state}", SYNTAX)
        transaction.validate_only = bool(body.get("validateOnly", False))
        transaction.asynchronous = bool(body.get("asyncExecution", False)) or self.seconds > 0
        transaction.state = "VALIDATING"
        transaction.due = self._clock.now() + self.seconds
        if transaction.asynchronous:
            return _show(transaction)
        refusal = self._run(transaction)
        if refusal is not None:
            raise ApiError(refusal.status, f"transaction failed:{refusal.message}", 2)
        return _show(transaction)

    def settle(self) -> None:
        """Finish the commits whose time has come; called before every call, so that they happen in order."""
        if not self._open:
            return
        now = self._clock.now()
        for one in list(self._open.values()):
            if one.state == "VALIDATING" and one.asynchronous and one.due <= now:
                self._run(one)

    def _run(self, transaction: _Transaction) -> ApiError | None:
        """All the commands on one draft. A validated transaction stays open, a failed one stays to be read."""
        draft = self._store.draft()
        try:
            for call in transaction.commands:
                configuration.perform(draft, call, self._store.limits)
            if transaction.validate_only:
                self._store.validate(draft)
            else:
                path = f"/mgmt/tm/transaction/{transaction.number}"
                self._store.commit(draft, Author(transaction.user, transaction.agent, "COMMIT", path))
        except ApiError as refusal:
            transaction.state = "FAILED"
            transaction.failure = refusal.message
            return refusal
        transaction.state = "STARTED" if transaction.validate_only and not transaction.asynchronous else "COMPLETED"
        return None

    def _find(self, number: str) -> _Transaction:
        self._expire()
        found = self._open.get(int(number)) if number.isdecimal() else None
        if found is None:
            raise ApiError(404, f"Transaction {number[:40]} does not exist; it may have expired.", 1)
        return found

    def _expire(self) -> None:
        now = self._clock.now()
        for number, one in list(self._open.items()):
            if one.state != "VALIDATING" and one.opened + one.timeout <= now:
                del self._open[number]


def _show(transaction: _Transaction) -> Json:
    return {
        "transId": transaction.number,
        "state": transaction.state,
        "timeoutSeconds": transaction.timeout,
        "asyncExecution": transaction.asynchronous,
        "validateOnly": transaction.validate_only,
        "executionTimeout": 300,
        "executionTime": 0,
        "failureReason": transaction.failure,
        "kind": "tm:transactionstate",
        "selfLink": f"{_LINK}/{transaction.number}?ver={VERSION}",
    }


def _show_command(transaction: _Transaction, number: int) -> Json:
    command = transaction.commands[number - 1]
    return {
        "method": command.method,
        "uri": f"https://localhost{command.path}",
        "evalOrder": number,
        "commandId": number,
        "transId": transaction.number,
        "kind": "tm:transaction:commandsstate",
        "selfLink": f"{_LINK}/{transaction.number}/commands/{number}?ver={VERSION}",
    }
