"""The tester's own door, `/__lab/`, open without a token: faults, the request log, a summary.

`GET /__lab/` sums up. `GET /__lab/requests` (`verb`, `resource`, `limit`) gives counts and the last requests, `DELETE` forgets them.
`POST /__lab/faults` orders one Fault as JSON, or `{"fault": "end_watches" | "compact" | "down" | "up"}`, `down` with `seconds`;
`GET` lists what stands, `DELETE` withdraws everything.
"""

from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from bridge.lab.apiserver.application import Application
from bridge.lab.apiserver.exchange import Exchange, Message, Receive, Send
from bridge.lab.apiserver.faults import Fault
from bridge.lab.apiserver.kinds import Json, Manifest
from bridge.lab.apiserver.refusal import Refusal, bad_request, no_such_path

_PREFIX: Final = "/__lab/"
Actions = Mapping[str, Callable[[float], None]]


class Control:
    """An ASGI application in front of another: answers `/__lab/`, hands everything else on.

    `actions` are what happens at once, each called with the order's `seconds`.
    """

    def __init__(self, application: Application, actions: Actions) -> None:
        self._application = application
        self._actions = actions

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """One request."""
        if not scope["path"].startswith(_PREFIX):
            return await self._application(scope, receive, send)
        exchange = Exchange(scope, receive, send)
        try:
            answer = self._answer(exchange, exchange.path.removeprefix(_PREFIX), await exchange.body())
        except Refusal as refusal:
            return await exchange.refuse(refusal)
        return await exchange.answer(msgspec.json.encode(answer))

    def _answer(self, exchange: Exchange, name: str, body: Json) -> Json:
        application = self._application
        match name, exchange.method:
            case "", "GET":
                return self._summary()
            case "requests", "GET":
                return self._requests(exchange)
            case "requests", "DELETE":
                application.requests.clear()
                return {}
            case "faults", "GET":
                return application.faults.standing()
            case "faults", "POST":
                return self._order(body)
            case "faults", "DELETE":
                application.faults.clear()
                application.hub.nudge()
                return {}
        raise no_such_path()

    def _summary(self) -> Manifest:
        cluster = self._application.cluster
        with cluster.lock:
            objects = {shelf.kind.name: len(shelf.items) for shelf in cluster.shelves}
            revision = cluster.revision
        return {
            "resourceVersion": str(revision),
            "objects": {name: count for name, count in objects.items() if count},
            "watches": self._application.hub.open(),
            "requests": self._application.requests.counts(),
            "faults": self._application.faults.standing(),
        }

    def _requests(self, exchange: Exchange) -> Manifest:
        query = exchange.query
        entries = self._application.requests.entries(query.get("verb", ""), query.get("resource", ""))
        return {
            "counts": self._application.requests.counts(),
            "bytes": sum(entry.bytes for entry in entries),
            "requests": entries[-(exchange.integer("limit") or 100) :],
        }

    def _order(self, body: Json) -> Manifest:
        if not isinstance(body, dict):
            raise bad_request("a fault is a JSON object")
        if (action := self._actions.get(body.get("fault", ""))) is not None:
            action(float(body.get("seconds", 0.0)))
            return {}
        try:
            number = self._application.faults.add(msgspec.convert(body, Fault))
        except msgspec.ValidationError as error:
            raise bad_request(f"not a fault: {error}") from error
        self._application.hub.nudge()
        return {"number": number}
