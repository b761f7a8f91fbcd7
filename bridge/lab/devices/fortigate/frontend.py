"""From an HTTP call to the box's parts and back: who calls, which VDOM, cmdb or monitor, and the envelope around the answer."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from bridge.lab.devices.fortigate.answers import (
    FortiError,
    HtmlRefusal,
    Json,
    envelope,
    html,
    json_answer,
    refusal,
)
from bridge.lab.devices.fortigate.configuration import Call, perform, read_body, segments
from bridge.lab.devices.fortigate.query import arguments, single
from bridge.lab.devices.fortigate.store import Author
from bridge.lab.devices.fortigate.table import GLOBAL, VDOM
from bridge.lab.devices.fortigate.tables import TABLES
from bridge.lab.devices.fortigate.tokens import ApiUser
from bridge.lab.devices.message import Answer, Request

if TYPE_CHECKING:
    from bridge.lab.devices.fortigate.simulator import Fortigate

_METHODS = frozenset({"GET", "POST", "PUT", "DELETE"})
_Handler = Callable[[Request, Call, ApiUser, str], Json]
_FOR_ALL = frozenset({"system/status", "web-ui/state"})
_SESSION = {"session": 4, "session6": 6}


class Frontend:
    """Answers what comes in at the endpoint."""

    def __init__(self, device: "Fortigate") -> None:
        self._device = device

    def handle(self, request: Request) -> Answer:
        """One call, with the lock held."""
        if request.path.startswith("/__lab/"):
            return self._device.laboratory.handle(request)
        most = self._device.limits.in_flight
        if most and self._device.endpoint.in_flight > most:
            return html(429)
        with self._device.changed:
            try:
                return self._route(request)
            except HtmlRefusal as no:
                return html(no.status)

    def call(self, method: str, path: str, query: str, body: Json) -> Call:
        """A call as `configuration` takes it."""
        return Call(method, segments(path), arguments(query), body)

    def _route(self, request: Request) -> Answer:
        device = self._device
        request.transaction = request.header("x-transaction-id") or request.header("x_transaction_id")
        given = arguments(request.query)
        user = device.tokens.authenticate(request, self._query_token(given))
        request.user = user.name
        device.transactions.settle()
        try:
            answer = self._api(request)
            call = self.call(request.method, request.path, request.query, read_body(request.body))
        except FortiError as no:
            place: Json = {"vdom": self._management()}
            return json_answer(no.status, refusal(request.method, place, device.identity.badge, no))
        return self._answers(request, call, user, answer)

    def _api(self, request: Request) -> _Handler:
        """Which half of the API is called, if it is one."""
        if len(request.body) > self._device.limits.body:
            raise FortiError(413)
        halves = {"/api/v2/cmdb": self._cmdb, "/api/v2/monitor": self._monitor}
        answer = halves.get("/".join(request.path.split("/")[:4]))
        if answer is None:
            raise FortiError(404)
        if request.method not in _METHODS:
            raise FortiError(405)
        return answer

    def _query_token(self, given: dict[str, list[str]]) -> str:
        item = self._device.store.state.get(("", GLOBAL, ""))
        taken = item is not None and item.body["rest-api-key-url-query"] == "enable"
        return single(given, "access_token") if taken else ""

    def _management(self) -> str:
        item = self._device.store.state.get(("", GLOBAL, ""))
        return str(item.body["management-vdom"]) if item is not None else "root"

    def _answers(self, request: Request, call: Call, user: ApiUser, answer: _Handler) -> Answer:
        """One answer, or with several VDOMs or `global=1` a list of them."""
        asked = single(call.given, "vdom", self._management())
        wide = single(call.given, "global") in ("1", "true")
        known = list(self._device.store.state.tables.get(("", VDOM), ()))
        vdoms = [one for one in known if user.sees(one)] if asked == "*" else asked.split(",")
        told: list[Json] = []
        for vdom in vdoms[:1] if wide else vdoms:
            try:
                _check_vdom(vdom, known, user)
                told.append(answer(request, call, user, vdom))
            except FortiError as no:
                told.append(self._refusal(call, vdom, no, monitor=answer == self._monitor))
        if len(vdoms) > 1 or asked == "*" or wide:
            return json_answer(200, told)
        return json_answer(int(told[0].get("http_status", 200)), told[0])

    def _refusal(self, call: Call, vdom: str, no: FortiError, *, monitor: bool) -> Json:
        revision = ""
        path = "/".join(call.segments[:2])
        if not monitor and path in TABLES:
            revision = self._device.store.revision(call.place(vdom))
        return refusal(call.method, _place(call, vdom), self._device.identity.badge, no, revision)

    def _cmdb(self, request: Request, call: Call, user: ApiUser, vdom: str) -> Json:
        device = self._device
        author = Author(user.name, request.header("user-agent"), request.method, request.path)
        badge = device.identity.badge
        if not call.segments:
            told = device.transactions.command(call, author, vdom)
            device.recheck(pushed=False)
            device.changed.notify_all()
            return envelope(call.method, {"vdom": vdom}, badge, {"revision_changed": False} | told)
        if call.segments == ("system", "status"):
            return envelope(call.method, _place(call, vdom), badge, {"results": {}})
        user.check(call.table.area, write=call.method != "GET")
        place = call.place(vdom)
        if not place[0] and user.vdoms and call.method != "GET":
            raise FortiError(403)  # an administrator of some VDOMs does not change what is global
        before = device.store.revision(place)
        if call.method == "GET":
            told = {"revision": before} | perform(device.store.draft(), call, vdom)
        elif request.transaction:
            told = device.transactions.enqueue(request.transaction, call, author, vdom)
            told = {"revision": before, "revision_changed": False} | told
        else:
            device.transactions.check_lock(place)
            told = device.write(call, author, vdom)
            after = device.store.revision(place)
            told = {"revision": after, "revision_changed": after != before, "old_revision": before} | told
        return envelope(call.method, _place(call, vdom), badge, told)

    def _monitor(self, request: Request, call: Call, user: ApiUser, vdom: str) -> Json:
        device = self._device
        path = "/".join(call.segments)
        badge = device.identity.badge
        place = _place(call, vdom) | {"action": "/".join(call.segments[2:])}
        if path == "system/external-resource/entry-list" and call.method == "GET":
            user.check("sysgrp.cfg", write=False)
            told = device.feeds.entry_list(call.given, vdom, shared=device.identity.shared_feed_room)
            return envelope("GET", place, badge, {"results": told}, status=None)
        if path == "system/external-resource/dynamic" and call.method == "POST":
            user.check("sysgrp.cfg", write=True)
            author = Author(user.name, request.header("user-agent"), "POST", request.path)
            try:
                device.feeds.push(call.body, author, vdom)
            finally:
                device.recheck(pushed=True)
                device.changed.notify_all()
            return envelope("POST", place, badge, {}, status=None)
        if call.segments[:1] == ("firewall",) and call.segments[1:2] and call.segments[1] in _SESSION:
            return envelope(call.method, place, badge, self._session(call, user, vdom), status=None)
        if path not in _FOR_ALL:
            user.check("sysgrp.cfg", write=False)
        results = device.system.page(path, device.store.state, vdom, user) if call.method == "GET" else None
        if results is None:
            raise FortiError(404)
        return envelope("GET", place, badge, {"results": results}, status=None)

    def _session(self, call: Call, user: ApiUser, vdom: str) -> Json:
        sessions = self._device.sessions
        user.check("sysgrp.cfg", write=call.method != "GET")
        if call.method == "GET" and len(call.segments) == 2:
            return {"results": sessions.show(call.given, vdom)}
        if call.method != "POST" or len(call.segments) != 3:
            raise FortiError(405)
        given = {name: told[-1] for name, told in call.given.items()} | call.body
        sessions.command(_SESSION[call.segments[1]], call.segments[2], given, vdom)
        return {}


def _check_vdom(vdom: str, known: list[str], user: ApiUser) -> None:
    """What a box says to the name of a VDOM that is not there is of our choice."""
    if vdom not in known or not user.sees(vdom):
        raise FortiError(403)


def _place(call: Call, vdom: str) -> Json:
    told: Json = {"vdom": vdom}
    if len(call.segments) > 1:
        told |= {"path": call.segments[0], "name": call.segments[1]}
    return told
