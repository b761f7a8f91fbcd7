"""Transactions: calls that carry X-TRANSACTION-ID wait in a draft, and on commit take effect together or not at all.

`POST /api/v2/cmdb?action=transaction-start {"timeout": 60}` opens one; `transaction-commit` and `transaction-abort` end it;
`transaction-show` and `transaction-list` tell. A table that a transaction touched is locked for everybody else until it ends.
When the time that was asked for is over, everything in it is dropped. Reads see what is in force, with the header or without.

The answer to a start and to a write within one are seen; the shapes of `show` and `list`, what a writer gets for a locked
table, and what a call with an unknown number gets, are of our choice; whether a refused commit ends one, of `Conduct`'s.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NoReturn

from bridge.lab.devices.clock import LabClock
from bridge.lab.devices.fortigate.answers import FortiError, Json
from bridge.lab.devices.fortigate.conduct import Conduct
from bridge.lab.devices.fortigate.configuration import Call, perform
from bridge.lab.devices.fortigate.draft import Draft
from bridge.lab.devices.fortigate.item import Place
from bridge.lab.devices.fortigate.query import single
from bridge.lab.devices.fortigate.store import Author, Store

_LONGEST = 3600


@dataclass(slots=True)
class Transaction:
    """One that is open."""

    number: int
    user: str
    vdom: str
    timeout: int
    ends: float
    draft: Draft
    locks: set[Place] = field(default_factory=set)
    commands: list[Json] = field(default_factory=list)


class Transactions:
    """Those that are open, by number."""

    def __init__(self, store: Store, clock: LabClock, conduct: Conduct) -> None:
        self._store = store
        self._clock = clock
        self._conduct = conduct
        self._open: dict[int, Transaction] = {}
        self._numbers = itertools.count(1)

    def settle(self) -> None:
        """Drop those whose time is over."""
        now = self._clock.now()
        for one in [one for one in self._open.values() if one.ends <= now]:
            del self._open[one.number]

    def forget(self) -> None:
        """Drop all: the box restarts."""
        self._open.clear()

    def waiting(self) -> list[list[Json]]:
        """The calls that wait in each that is open."""
        return [one.commands for one in self._open.values()]

    def __len__(self) -> int:
        return len(self._open)

    def command(self, call: Call, author: Author, vdom: str) -> Json:
        """A call to `/api/v2/cmdb` itself; members of the envelope."""
        action = single(call.given, "action")
        calls: dict[tuple[str, str], Callable[[Call, Author, str], Json]] = {
            ("POST", "transaction-start"): self._start,
            ("POST", "transaction-commit"): self._commit,
            ("POST", "transaction-abort"): self._abort,
            ("GET", "transaction-show"): self._show,
            ("GET", "transaction-list"): self._list,
        }
        found = calls.get((call.method, action))
        if found is None:
            raise FortiError(404 if not action else 405)
        return found(call, author, vdom) | {"action": action}

    def enqueue(self, number: str, call: Call, author: Author, vdom: str) -> Json:
        """A write within a transaction: refused or done in its draft, and nowhere else."""
        one = self._find(number, author)
        place = call.place(vdom)
        if place[1] in self._conduct.refuse_transactions:
            raise FortiError(500, self._conduct.locked_error, "this table can not be changed in a transaction")
        self.check_lock(place, one)
        changes, renamed = dict(one.draft.changes), dict(one.draft.renamed)
        try:
            told = perform(one.draft, call, vdom)
        except FortiError:
            one.draft.changes, one.draft.renamed = changes, renamed
            raise
        one.locks |= {place, *(key[:2] for key in one.draft.touched)}
        one.commands.append({"method": call.method, "path": "/".join(call.segments), "vdom": vdom, "body": call.body})
        return told

    def check_lock(self, place: Place, mine: Transaction | None = None) -> None:
        """Refuse a write to a table that another transaction holds."""
        if any(place in one.locks for one in self._open.values() if one is not mine):
            raise FortiError(500, self._conduct.locked_error, "the table is locked by another transaction")

    def _find(self, number: str, author: Author) -> Transaction:
        found = self._open.get(int(number)) if number.isdecimal() else None
        if found is None or found.user != author.user:
            raise FortiError(424)
        return found

    def _named(self, call: Call, author: Author) -> Transaction:
        given = call.body.get("transaction-id", call.body.get("transaction_id"))
        if given is None:
            given = single(call.given, "transaction-id") or _missing()
        return self._find(str(given), author)

    def _start(self, call: Call, author: Author, vdom: str) -> Json:
        timeout = call.body.get("timeout", 60)
        if not isinstance(timeout, int) or isinstance(timeout, bool) or not 1 <= timeout <= _LONGEST:
            raise FortiError(400)
        number = next(self._numbers)
        self._open[number] = Transaction(
            number, author.user, vdom, timeout, self._clock.now() + timeout, self._store.draft()
        )
        return {"results": {"transaction-id": number}}

    def _commit(self, call: Call, author: Author, _vdom: str) -> Json:
        one = self._named(call, author)
        if self._conduct.refused_commit_ends:
            del self._open[one.number]
        self._store.commit(one.draft, author)
        self._open.pop(one.number, None)
        return {}

    def _abort(self, call: Call, author: Author, _vdom: str) -> Json:
        del self._open[self._named(call, author).number]
        return {}

    def _show(self, call: Call, author: Author, _vdom: str) -> Json:
        one = self._named(call, author)
        return {"results": {"transaction-id": one.number, "commands": list(one.commands)}}

    def _list(self, _call: Call, _author: Author, _vdom: str) -> Json:
        now = self._clock.now()
        told = [
            {"transaction-id": one.number, "vdom": one.vdom, "timeout": one.timeout, "expires-in": int(one.ends - now)}
            for one in self._open.values()
        ]
        return {"results": told}


def _missing() -> NoReturn:
    raise FortiError(400)
