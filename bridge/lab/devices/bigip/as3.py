"""AS3 on a simulated BIG-IP: `/mgmt/shared/appsvcs`, as F5's openapi.yaml and AS3 3.56.0 have it.

One declaration is carried out at a time; another meanwhile is refused (503), or waits where burst handling is on. A task is answered
with 200 while it runs. `seconds` is how long a declaration takes on the device's clock; a call that would wait longer than `patience` is
answered 202, as if it had been asked for. What PATCH and the addresses of single applications do is not simulated, and refused.
"""

import hashlib
import itertools
import json
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from bridge.lab.devices.bigip import as3_check
from bridge.lab.devices.bigip.answers import ApiError, encode
from bridge.lab.devices.bigip.as3_apply import declare_tenant
from bridge.lab.devices.bigip.configuration import read_body
from bridge.lab.devices.bigip.fields import Json
from bridge.lab.devices.bigip.store import Author, Store
from bridge.lab.devices.clock import LabClock
from bridge.lab.devices.message import Answer, Request

VERSION = "3.56.0"
_LINK = "https://localhost/mgmt/shared/appsvcs/task"
_QUERY = frozenset({"async", "show", "showHash", "unchecked", "controls.dryRun", "controls.logLevel", "controls.trace"})
_IN_PROGRESS = "Error: Configuration operation in progress on device (localhost), please try again in 2 minutes"
_STALE = (
    "The hash you submitted does not match the hash on the current Tenant. This usually indicates there was a change to the "
    "Tenant since you pulled this hash. You will want to do a GET and see what the changes are."
)
_KEPT = 25
_QUEUE = 10
_SETTINGS: Json = {
    "asyncTaskStorage": "data-group",
    "betaOptions": {},
    "burstHandlingEnabled": False,
    "encodeDeclarationMetadata": False,
    "performanceTracingEnabled": False,
    "perAppDeploymentAllowed": True,
    "serviceDiscoveryEnabled": True,
    "webhook": "",
}


@dataclass(slots=True)
class _Task:
    name: str
    declaration: Json
    author: Author
    dry: bool
    hashes: bool
    due: float
    response: Json | None = None
    cancelled: bool = False


@dataclass(slots=True)
class As3:
    """What is declared, and the tasks. All attributes without an underscore are the lab's to set."""

    store: Store
    clock: LabClock
    changed: Callable[[], None]
    seconds: float = 0.0
    patience: float = 45.0
    installed: bool = True
    version: str = VERSION
    schema: Callable[[Json], list[str]] | None = (
        None  # a second opinion on declarations: F5's own schema, in tests that have it
    )
    settings: Json = field(default_factory=lambda: dict(_SETTINGS))
    _declared: dict[str, Json] = field(default_factory=dict)
    _saved: dict[str, Json] = field(default_factory=dict)
    _tasks: list[_Task] = field(default_factory=list)
    _ages: Iterator[int] = field(default_factory=itertools.count)

    def declared(self, tenant: str) -> Json | None:
        """The tenant as it was declared last."""
        return self._declared.get(tenant)

    def save(self) -> None:
        """What survives a reboot."""
        self._saved = dict(self._declared)

    def reboot(self, *, wiped: bool = False) -> None:
        """Tasks end; what is declared is what was saved, or nothing."""
        for task in self._tasks:
            task.cancelled = task.response is None
        if wiped:
            self._saved, self._tasks = {}, []
        self._declared = dict(self._saved)

    def settle(self) -> None:
        """Carry out what is due; called before every call, so that all happens in order."""
        now = self.clock.now()
        for task in self._tasks:
            if task.response is None and not task.cancelled and task.due <= now:
                task.response = self._carry_out(task)

    def handle(self, request: Request, parts: list[str]) -> Answer:
        """A call below `/mgmt/shared/appsvcs`."""
        if not self.installed:
            return _plain(404, f"Public URI path not registered: {request.path[:80]}")
        query = dict(parse_qsl(request.query))
        unknown = query.keys() - _QUERY
        if unknown:
            return _plain(400, f'unrecognized URL query parameter "{min(unknown)}"')
        calls: dict[tuple[str, str], Callable[[], Answer]] = {
            ("GET", "info"): self._info,
            ("GET", "settings"): lambda: _answer(200, self.settings),
            ("POST", "settings"): lambda: self._set(read_body(request.body)),
            ("GET", "task"): lambda: self._show_tasks(parts[1:]),
            ("GET", "declare"): lambda: self._show(parts[1:], query),
            ("POST", "declare"): lambda: self._submit(request, parts[1:], query),
            ("DELETE", "declare"): lambda: self._remove(request, parts[1:], query),
        }
        call = calls.get((request.method, parts[0] if parts else ""))
        if call is None or len(parts) > 2:
            return _plain(404 if len(parts) < 3 else 400, "not simulated")
        return call()

    # ---- what is told

    def _info(self) -> Answer:
        told = {"version": self.version, "release": "10", "schemaCurrent": self.version, "schemaMinimum": "3.0.0"}
        return _answer(200, told)

    def _set(self, body: Json) -> Answer:
        unknown = body.keys() - self.settings.keys()
        if unknown:
            return _plain(422, f"settings: should NOT have additional property {min(unknown)}")
        self.settings |= body
        return _answer(200, self.settings)

    def _show(self, parts: list[str], query: Mapping[str, str]) -> Answer:
        if not self._declared:
            return Answer(204)
        wanted = parts[0].split(",") if parts else sorted(self._declared)
        missing = [name for name in wanted if name not in self._declared]
        if missing:
            return _plain(404, f"specified Tenant(s) '{','.join(missing)}' not found in declaration")
        shown = {name: self._with_hash(name, query.get("showHash") == "true") for name in wanted}
        controls = {"archiveTimestamp": "2026-01-01T00:00:00.000Z"}
        return _answer(
            200, {**shown, "class": "ADC", "schemaVersion": VERSION, "updateMode": "selective"} | {"controls": controls}
        )

    def _with_hash(self, tenant: str, hashed: bool) -> Json:
        body = self._declared[tenant]
        return {**body, "optimisticLockKey": _hash(body)} if hashed else body

    def _show_tasks(self, parts: list[str]) -> Answer:
        if not parts:
            return _answer(200, {"items": [_shown(task) for task in self._tasks]})
        found = next((task for task in self._tasks if task.name == parts[0]), None)
        return _plain(404, f"No record found with ID of {parts[0]}") if found is None else _answer(200, _shown(found))

    # ---- what is asked for

    def _remove(self, request: Request, parts: list[str], query: Mapping[str, str]) -> Answer:
        names = parts[0].split(",") if parts else list(self._declared)
        body = {"class": "ADC", "schemaVersion": "3.0.0", "id": "remove"} | {
            name: {"class": "Tenant"} for name in names
        }
        return self._take(request, body, dry=False, query=query)

    def _submit(self, request: Request, parts: list[str], query: Mapping[str, str]) -> Answer:
        body = read_body(request.body)
        action = body.get("action", "deploy") if body.get("class") == "AS3" else "deploy"
        problems = as3_check.request(body)
        declaration = body.get("declaration", {}) if body.get("class") == "AS3" else body
        problems = problems or as3_check.declaration(declaration, self.version)
        if not problems and self.schema is not None:
            problems = self.schema(body)
        if problems:
            return _answer(422, _invalid(problems))
        if parts:
            others = as3_check.tenants(declaration) - set(parts[0].split(","))
            declaration = {name: value for name, value in declaration.items() if name not in others}
        dry = (
            action == "dry-run" or query.get("controls.dryRun") == "true" or _controls(declaration).get("dryRun", False)
        )
        return self._take(request, declaration, dry=dry, query=query)

    def _take(self, request: Request, declaration: Json, *, dry: bool, query: Mapping[str, str]) -> Answer:
        waiting = [task for task in self._tasks if task.response is None and not task.cancelled]
        asynchronous = query.get("async") == "true" or self.seconds > self.patience
        now = self.clock.now()
        author = Author(request.user, request.header("user-agent"), request.method, request.path)
        hashes = query.get("showHash") == "true"
        task = _Task(str(uuid.uuid4()), declaration, author, dry, hashes, now + self.seconds)
        if waiting and (not self.settings["burstHandlingEnabled"] or len(waiting) >= _QUEUE):
            task.response = {"code": 503, "message": _IN_PROGRESS}
        elif waiting:
            task.due = max(one.due for one in waiting) + self.seconds
        if task.response is None and (task.due <= now or not asynchronous):
            task.response = self._carry_out(task)
        if not asynchronous and task.response is not None:
            return _answer(_status(task.response), task.response)
        finished = [one for one in self._tasks if one.response is not None][: _KEPT - 1]
        self._tasks = [task, *(one for one in self._tasks if one.response is None or one in finished)]
        return _answer(202, _shown(task, submitted=True))

    # ---- carrying it out

    def _carry_out(self, task: _Task) -> Json:
        names = sorted(as3_check.tenants(task.declaration))
        if not names:
            return {"results": [{"code": 200, "message": "no change", "host": "localhost", "tenant": ""}]}
        results = [self._tenant(task, name) for name in names]
        self.changed()
        shown = {**task.declaration}
        if task.hashes:
            shown |= {name: self._with_hash(name, hashed=True) for name in names if name in self._declared}
        return {"results": results, "declaration": shown}

    def _tenant(self, task: _Task, name: str) -> Json:
        body = dict(task.declaration[name])
        key = body.pop("optimisticLockKey", "")
        result = {"host": "localhost", "tenant": name, "runTime": 1, "declarationId": task.declaration.get("id", "")}
        result |= {"dryRun": True} if task.dry else {}
        if key and name in self._declared and key != _hash(self._declared[name]):
            return {"code": 422, "message": _STALE, **result}
        draft = self.store.draft()
        try:
            changes = declare_tenant(draft, name, body, self.store.limits)
            self.store.validate(draft)
            if changes and not task.dry:
                self.store.commit(draft, task.author)
        except as3_check.InvalidError as invalid:
            return {"code": 422, "message": "declaration is invalid", "errors": [str(invalid)], **result}
        except ApiError as refusal:
            return {"code": 422, "message": "declaration failed", "response": refusal.message, **result}
        if not task.dry:
            if body.keys() == {"class"}:
                self._declared.pop(name, None)
            else:
                self._declared[name] = body
        return {"code": 200, "message": "success" if changes else "no change", **result}


def _controls(declaration: Json) -> Json:
    controls = declaration.get("controls", {})
    return controls if isinstance(controls, dict) else {}


def _hash(body: Json) -> str:
    return hashlib.sha256(json.dumps(body).encode()).hexdigest()


def _status(response: Json) -> int:
    if "results" not in response:
        return int(response["code"])
    fine = [one["code"] == 200 for one in response["results"]]
    return 200 if all(fine) else 207 if any(fine) else 422


def _shown(task: _Task, *, submitted: bool = False) -> Json:
    words = "Declaration successfully submitted" if submitted else "task cancelled" if task.cancelled else "in progress"
    waiting = {"message": words, "tenant": "", "host": "", "runTime": 0, "code": 0}
    results = [waiting | {"declarationId": task.declaration.get("id", "")}]
    declaration: Json = {}
    if task.response is not None and not submitted:
        results = task.response.get("results", [task.response])
        declaration = task.response.get("declaration", {})
    return {"id": task.name, "results": results, "declaration": declaration, "selfLink": f"{_LINK}/{task.name}"}


def _invalid(errors: list[str]) -> Json:
    return {"code": 422, "errors": errors, "declarationFullId": "", "message": "declaration is invalid"}


def _answer(status: int, body: Any) -> Answer:  # noqa: ANN401 - JSON
    return Answer(status, encode(body))


def _plain(status: int, message: str) -> Answer:
    return _answer(status, {"code": status, "message": message})
