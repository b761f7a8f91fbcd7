"""Calls of AS3: declarations as tasks, and one meaning for each way in which they end.

401                                  log in once more and repeat once, then Denied
403                                  Denied
409, a hash that does not match      Drifted
404 of a task, 429, 5xx, not JSON, a task that was cancelled or goes on, another configuration operation     Busy
any other 4xx, a tenant that failed  Refused: what it means depends on the declaration

Sources: F5's openapi.yaml and AS3 3.56.0 itself. A task is answered with 200 while it runs, and its link names localhost.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar
from urllib.parse import urlencode

import httpx
import msgspec

from adapters.bigip import as3_wire as wire
from adapters.bigip.as3_declare import SCHEMA
from adapters.bigip.client import Client
from adapters.bigip.tokens import retry_after
from bridge.errors import Busy, Denied, DeviceError, Drifted

_T = TypeVar("_T")

_BASE = "/mgmt/shared/appsvcs"
_OTHER = "onfiguration operation in progress"
_STALE = "hash you submitted does not match"
_STARTING = "URI path not registered"
_LOCKED_WAIT = 15.0  # AS3 says two minutes; most declarations are over sooner


class Refused(Exception):
    """AS3 does not take a declaration for what it says; `text` is its own words."""

    def __init__(self, text: str) -> None:
        self.text = text
        super().__init__(text)


class As3:
    """AS3 of one device. `seconds`: how long a task is waited for."""

    def __init__(self, client: Client, seconds: float, sleep: Callable[[float], None] = time.sleep) -> None:
        self._client = client
        self._seconds = seconds
        self._sleep = sleep

    @property
    def device(self) -> str:
        """The device's name in the settings."""
        return self._client.device

    def version(self) -> str:
        """The version that is installed. Denied where there is none, or one that is too old."""
        answer = self._get("info")
        if answer.status_code in (400, 404):
            raise Denied(self.device, "AS3 does not answer: install it on each unit, or choose scope.mode: rest")
        version = self._decoded(self._fine("info", answer), wire.Info).version
        if _numbers(version) < _numbers(SCHEMA):
            raise Denied(
                self.device, f"its AS3 is {version or 'of no version'}; at least {SCHEMA} is needed, on each unit"
            )
        return version

    def declared(self, tenant: str) -> Mapping[str, Any] | None:
        """The tenant as it was declared last, its optimistic lock with it; None where AS3 knows none of that name."""
        answer = self._get(f"declare/{tenant}", {"showHash": "true"})
        if answer.status_code == 204 or (answer.status_code == 404 and _STARTING not in answer.text):
            return None
        found = self._decoded(self._fine("declare", answer), dict[str, Any]).get(tenant)
        return found if isinstance(found, Mapping) else None

    def busy_with(self, declaration: str) -> bool:
        """Whether a declaration of this id, or one that does not tell its id, is still being carried out."""
        running = self._decoded(self._fine("task", self._get("task")), wire.Tasks).items
        return any(one.runs and one.declaration in ("", declaration) for task in running for one in task.results[:1])

    def deploy(self, tenant: str, declaration: Mapping[str, Any]) -> None:
        """Make it true, and wait until it is. Raises Refused, Busy, Denied, Drifted."""
        self._carried_out(tenant, {"class": "AS3", "action": "deploy", "persist": False, "declaration": declaration})

    def objection(self, tenant: str, declaration: Mapping[str, Any]) -> str:
        """What AS3 would say against it, empty for nothing; changes nothing."""
        try:
            self._carried_out(tenant, {"class": "AS3", "action": "dry-run", "declaration": declaration})
        except Refused as refused:
            return refused.text
        return ""

    def _carried_out(self, tenant: str, body: Mapping[str, Any]) -> None:
        answer = self._client.exchange("POST", f"{_BASE}/declare?async=true", body)
        status = answer.status_code
        if status == 404:
            raise Busy(self.device, "AS3 does not take declarations now; read again")
        results = self._decoded(self._fine("declare", answer, 422), wire.Response)
        if status == 202:
            results = self._awaited(results.id)
        self._judge(tenant, results)

    def _awaited(self, task: str) -> wire.Response:
        """The results of a task that is over."""
        waited, pause = 0.0, 0.05
        while True:
            answer = self._get(f"task/{task}")
            if answer.status_code == 404:
                raise Busy(self.device, "a task of AS3 vanished while it was waited for; read again")
            found = self._decoded(self._fine("task", answer), wire.Response)
            if not found.results or not found.results[0].runs:
                return found
            if waited >= self._seconds:
                raise Busy(self.device, f"a task of AS3 is not over after {waited:.0f} s; read again", _LOCKED_WAIT)
            self._sleep(pause)
            waited, pause = waited + pause, min(2 * pause, 5.0)

    def _judge(self, tenant: str, response: wire.Response) -> None:
        """Nothing where our tenant is as declared."""
        own = [one for one in response.results if one.tenant in ("", tenant)] or [response.own]
        failed = next((one for one in own if not one.fine), None)
        if failed is None:
            return
        text = self._client.hide(failed.text)[:500]
        if failed.code in (401, 403):
            raise Denied(self.device, f"AS3 refused with {failed.code}: {text}")
        if _STALE in text:
            raise Drifted(self.device, "the tenant was declared anew since it was read")
        if failed.code == 503 or _OTHER in text:
            raise Busy(self.device, f"AS3: {text}", _LOCKED_WAIT)
        if failed.code in (0, 429) or failed.code >= 500:
            raise Busy(self.device, f"AS3: {text or 'no result'}; read again")
        raise Refused(text)

    def _get(self, path: str, query: Mapping[str, str] | None = None) -> httpx.Response:
        tail = f"?{urlencode(query)}" if query else ""
        return self._client.exchange("GET", f"{_BASE}/{path}{tail}", repeatable=True)

    def _fine(self, what: str, answer: httpx.Response, *also: int) -> bytes:
        """The body of an answer that is none of an error."""
        status = answer.status_code
        if status in (200, 202, 207, *also):
            return answer.content
        raise self._error(what, answer)

    def _error(self, what: str, answer: httpx.Response) -> DeviceError:
        status = answer.status_code
        try:
            found = msgspec.json.decode(answer.content, type=wire.Response).own.text
        except msgspec.MsgspecError:
            found = ""
        text = self._client.hide(found)[:500]
        words = f"AS3's {what} answered {status}: {text or 'no reason given'}"
        if status in (401, 403) or 300 <= status < 400:
            return Denied(self.device, words)
        if status == 409:
            return Drifted(self.device, words)
        if status == 429 or status >= 500 or not text or _STARTING in text:
            return Busy(self.device, words, retry_after(answer) or (_LOCKED_WAIT if _OTHER in text else None))
        return Denied(self.device, words)

    def _decoded(self, raw: bytes, kind: type[_T]) -> _T:
        try:
            return msgspec.json.decode(raw, type=kind)
        except msgspec.MsgspecError as error:
            reason = str(error)
        raise Busy(self.device, f"an answer is cut or not what AS3 says: {reason}")


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdecimal())
