"""The wire: URLs to verbs of the cluster, faults in between."""

import asyncio
import hmac
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from bridge.lab.apiserver import discovery, listing, selectors, watching
from bridge.lab.apiserver.cluster import LabCluster, PatchType
from bridge.lab.apiserver.exchange import Exchange, Message, Receive, Send
from bridge.lab.apiserver.faults import Fault, Faults, RequestLog, Verb
from bridge.lab.apiserver.kinds import Json, Manifest
from bridge.lab.apiserver.objects import Shelf
from bridge.lab.apiserver.refusal import Refusal, bad_request, no_such_path

_BLOCK: Final = 500
_STREAM_FROM: Final = 128  # objects; a longer list goes out piece by piece
_OPEN_PATHS: Final = frozenset({"readyz", "livez", "healthz", "version"})
_PATCHES: Final[dict[str, PatchType]] = {
    "application/merge-patch+json": "merge",
    "application/json-patch+json": "json",
    "application/strategic-merge-patch+json": "strategic",
}
_VERBS: Final[dict[str, Verb]] = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_BEFORE: Final = frozenset({"status", "drop", "hang"})
_IN_LIST: Final = frozenset({"empty", "short", "cut", "stale"})


@dataclass(frozen=True, slots=True)
class Target:
    """What a URL names: a resource, perhaps one namespace, one object, a subresource."""

    shelf: Shelf
    version: str
    namespace: str
    name: str
    subresource: str


class Application:
    """The ASGI application of one cluster. `token` None lets everybody in; `bookmark_every` is in seconds."""

    def __init__(
        self, cluster: LabCluster, hub: watching.Hub, token: str | None, bookmark_every: float, *, gzip: bool
    ) -> None:
        self.faults = Faults()
        self.requests = RequestLog()
        self.cluster = cluster
        self.hub = hub
        self.bookmark_every = bookmark_every
        self._token = token
        self._gzip = gzip

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """One request."""
        exchange = Exchange(scope, receive, send)
        exchange.gzip = self._gzip
        parts = [part for part in exchange.path.split("/") if part]
        try:
            self._authenticate(exchange, parts)
            if parts and parts[0] in ("api", "apis") and (target := self._target(parts)) is not None:
                await self._resource(exchange, target)
            else:
                await self._other(exchange, parts)
        except Refusal as refusal:
            await exchange.refuse(refusal)
        finally:
            exchange.entry.open = False

    def _authenticate(self, exchange: Exchange, parts: Sequence[str]) -> None:
        if self._token is None or (parts and parts[0] in _OPEN_PATHS):
            return
        given = exchange.headers.get("authorization", "")
        if not hmac.compare_digest(given.encode(), f"Bearer {self._token}".encode()):
            self.requests.start(exchange.entry)
            raise Refusal(401, "Unauthorized", "Unauthorized")

    async def _other(self, exchange: Exchange, parts: Sequence[str]) -> None:
        exchange.entry.verb, exchange.entry.resource = "get", f"/{parts[0] if parts else ''}"
        self.requests.start(exchange.entry)
        if parts and parts[0] in _OPEN_PATHS - {"version"}:
            return await exchange.answer(b"ok")
        return await exchange.answer(msgspec.json.encode(discovery.document(parts, self.cluster.shelves.kinds)))

    def _target(self, parts: Sequence[str]) -> Target | None:
        """What the path names; None for discovery. Raises Refusal 404."""
        group, rest = (
            ("", list(parts[1:])) if parts[0] == "api" else (parts[1] if len(parts) > 1 else "", list(parts[2:]))
        )
        if len(rest) < 2:
            return None
        version, *rest = rest
        namespace = ""
        if rest[0] == "namespaces" and len(rest) > 2 and rest[2] not in ("status", "finalize"):
            namespace, rest = rest[1], rest[2:]
        shelf = self.cluster.shelves.served(group, version, rest[0])
        name, subresource, *extra = [*rest[1:], "", ""][: max(2, len(rest) - 1)]
        if extra or (namespace and not shelf.kind.namespaced) or (name and shelf.kind.namespaced and not namespace):
            raise no_such_path()
        return Target(shelf, version, namespace, name, subresource)

    async def _resource(self, exchange: Exchange, target: Target) -> None:
        plural = target.shelf.kind.plural
        verb = _VERBS.get(exchange.method) or ("get" if target.name else "watch" if exchange.flag("watch") else "list")
        exchange.entry.verb, exchange.entry.resource = verb, plural
        self.requests.start(exchange.entry)
        body = await exchange.body()
        if await self._disturbed(exchange, verb, plural):
            return
        exchange.drip = self.faults.take(frozenset({"drip"}), verb, plural)
        if verb == "list":
            await self._list(exchange, target)
        elif verb == "watch":
            await self._watch(exchange, target)
        else:
            await self._object(exchange, target, verb, body)

    async def _disturbed(self, exchange: Exchange, verb: str, plural: str) -> bool:
        fault = self.faults.take(_BEFORE, verb, plural)
        if fault is None:
            return False
        if fault.fault == "status":
            reason = {429: "TooManyRequests", 503: "ServiceUnavailable", 500: "InternalError"}.get(
                fault.code, "Unknown"
            )
            raise Refusal(fault.code, reason, "ordered for a test", retry_after=fault.retry_after)
        if fault.fault == "hang":
            await self._hang(exchange, fault)
        exchange.reset()
        return True

    async def _hang(self, exchange: Exchange, fault: Fault) -> None:
        gone = asyncio.ensure_future(exchange.gone())
        while self.faults.stands(fault) and not gone.done():
            await asyncio.wait([gone], timeout=0.05)
        gone.cancel()

    # Lists

    async def _list(self, exchange: Exchange, target: Target) -> None:
        query, kind = exchange.query, target.shelf.kind
        fault = self.faults.take(_IN_LIST, "list", kind.plural)
        request = listing.Request(
            target.namespace,
            self._selector(exchange, target),
            exchange.integer("limit"),
            query.get("continue", ""),
            query.get("resourceVersion", ""),
            query.get("resourceVersionMatch", ""),
        )
        if fault is not None and fault.fault == "stale":
            old = max(target.shelf.oldest, self.cluster.revision - fault.back)
            request = listing.Request(request.namespace, request.selector, request.limit, "", str(old), "Exact")
        page = self.cluster.page(target.shelf, request)
        if fault is not None and fault.fault == "empty":
            page = listing.Page(self.cluster.revision, ())
        if fault is not None and fault.fault == "short":
            page = listing.Page(page.revision, page.bodies[: len(page.bodies) // 2])
        parts = _list_parts(target, page)
        if fault is not None and fault.fault == "cut":
            await exchange.open()
            whole = b"".join(parts)
            await exchange.write(whole[: len(whole) * 2 // 3])
            exchange.reset()
        elif len(page.bodies) >= _STREAM_FROM:
            await exchange.stream(parts)
        else:
            await exchange.answer(b"".join(parts))

    def _selector(self, exchange: Exchange, target: Target) -> selectors.Selector | None:
        query = exchange.query
        return selectors.parse(query.get("labelSelector", ""), query.get("fieldSelector", ""), target.shelf.kind.fields)

    # Watches

    async def _watch(self, exchange: Exchange, target: Target) -> None:
        query = exchange.query
        asked = watching.Query(
            target.namespace,
            self._selector(exchange, target),
            query.get("resourceVersion", ""),
            query.get("resourceVersionMatch", ""),
            exchange.flag("allowWatchBookmarks"),
            exchange.flag("sendInitialEvents") if "sendInitialEvents" in query else None,
            exchange.integer("timeoutSeconds"),
        )
        watching.check(asked)
        watch = watching.Watch(
            self.cluster, self.hub, self.faults, target.shelf, target.version, asked, self.bookmark_every
        )
        try:
            initial = watch.start()
        except Refusal as refusal:
            # The real server answers 200 and tells in the stream.
            if refusal.code != 410 or self.faults.take(frozenset({"gone"}), "watch", target.shelf.kind.plural):
                raise
            await exchange.open()
            await exchange.write(watching.error_line(refusal))
            return await exchange.close()
        await exchange.open()
        left = asyncio.ensure_future(exchange.gone())
        left.add_done_callback(lambda _: _end(watch))
        try:
            await watch.run(initial, exchange.write)
            return await exchange.close()
        finally:
            left.cancel()

    # Single objects

    async def _object(self, exchange: Exchange, target: Target, verb: str, body: Json) -> None:
        if verb == "create" and not target.name:
            return await self._answer(exchange, target, self._create(exchange, target, body), 201)
        if verb == "delete":
            return await exchange.answer(self._delete(exchange, target, body))
        if not target.name:
            raise Refusal(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")
        if verb == "get":
            return await self._answer(exchange, target, self._get(target))
        if verb == "update":
            return await self._answer(exchange, target, self._update(exchange, target, body))
        if verb == "patch":
            obj, created = self._patch(exchange, target, body)
            return await self._answer(exchange, target, obj, 201 if created else 200)
        raise no_such_path()

    async def _answer(self, exchange: Exchange, target: Target, obj: Manifest, status: int = 200) -> None:
        obj["apiVersion"] = target.shelf.kind.api_version(target.version)
        await exchange.answer(msgspec.json.encode(obj), status)

    def _get(self, target: Target) -> Manifest:
        if target.subresource not in ("", "status"):
            raise no_such_path()
        return self.cluster.get(target.shelf.kind.name, target.namespace or None, target.name)

    def _create(self, exchange: Exchange, target: Target, body: Json) -> Manifest:
        if not isinstance(body, dict):
            raise bad_request("an object is needed")
        return self.cluster.create(
            target.shelf.kind.name,
            self._converted(target, body),
            namespace=target.namespace or None,
            manager=_manager(exchange),
            bare=True,
            dry_run=bool(exchange.query.get("dryRun")),
        )

    def _update(self, exchange: Exchange, target: Target, body: Json) -> Manifest:
        if not isinstance(body, dict):
            raise bad_request("an object is needed")
        if not target.shelf.kind.builtin and not (body.get("metadata") or {}).get("resourceVersion"):
            why = "metadata.resourceVersion: Invalid value: 0x0: must be specified for an update"
            raise Refusal(422, "Invalid", f'{target.shelf.kind.name} "{target.name}" is invalid: {why}')
        return self.cluster.replace(
            target.shelf.kind.name,
            target.namespace or None,
            target.name,
            self._converted(target, body),
            subresource=target.subresource,
            manager=_manager(exchange),
            dry_run=bool(exchange.query.get("dryRun")),
        )

    def _patch(self, exchange: Exchange, target: Target, body: Json) -> tuple[Manifest, bool]:
        name, home, dry_run = target.shelf.kind.name, target.namespace or None, bool(exchange.query.get("dryRun"))
        if exchange.content_type == "application/apply-patch+yaml":
            if not (manager := exchange.query.get("fieldManager", "")):
                raise bad_request(
                    "PatchOptions.meta.k8s.io is invalid: fieldManager: Required value: is required for apply patch"
                )
            if not isinstance(body, dict):
                raise bad_request("an applied configuration is an object")
            created = target.shelf.kind.key(home, target.name) not in target.shelf.items
            obj = self.cluster.apply(
                name,
                home,
                target.name,
                body,
                manager=manager,
                force=exchange.flag("force"),
                subresource=target.subresource,
                dry_run=dry_run,
            )
            return obj, created
        if (how := _PATCHES.get(exchange.content_type)) is None:
            raise Refusal(
                415,
                "UnsupportedMediaType",
                f"the body of the request was in an unknown format: {exchange.content_type}",
            )
        obj = self.cluster.patch(
            name,
            home,
            target.name,
            body,
            how=how,
            subresource=target.subresource,
            manager=_manager(exchange),
            dry_run=dry_run,
        )
        return obj, False

    def _converted(self, target: Target, body: Manifest) -> Manifest:
        """A body in the version of its URL, as the store's version."""
        if body.get("apiVersion") == target.shelf.kind.api_version(target.version):
            return body | {"apiVersion": target.shelf.kind.api_version()}
        return body

    def _delete(self, exchange: Exchange, target: Target, body: Json) -> bytes:
        options = body if isinstance(body, dict) else {}
        conditions = options.get("preconditions") or {}
        grace = options.get("gracePeriodSeconds", exchange.query.get("gracePeriodSeconds"))
        name, dry_run = target.shelf.kind.name, bool(exchange.query.get("dryRun") or options.get("dryRun"))
        if not target.name:
            return self._delete_all(exchange, target)
        obj, gone = self.cluster.delete(
            name,
            target.namespace or None,
            target.name,
            grace=None if grace is None else int(grace),
            uid=conditions.get("uid") or "",
            version=conditions.get("resourceVersion") or "",
            dry_run=dry_run,
        )
        if not gone or name in ("pods", "services", "namespaces"):
            return msgspec.json.encode(obj)
        details = {
            "name": target.name,
            "group": target.shelf.kind.group,
            "kind": target.shelf.kind.plural,
            "uid": obj["metadata"]["uid"],
        }
        return msgspec.json.encode(
            {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}
        )

    def _delete_all(self, exchange: Exchange, target: Target) -> bytes:
        page = self.cluster.page(target.shelf, listing.Request(target.namespace, self._selector(exchange, target)))
        for body in page.bodies:
            metadata = msgspec.json.decode(body)["metadata"]
            self.cluster.delete(target.shelf.kind.name, metadata.get("namespace"), metadata["name"])
        return b"".join(_list_parts(target, page))


def _end(watch: watching.Watch) -> None:
    watch.ended = True
    watch.event.set()


def _manager(exchange: Exchange) -> str:
    """The field manager of a plain write: as asked, else the first word of the client's name."""
    return (
        exchange.query.get("fieldManager") or exchange.headers.get("user-agent", "unknown").split("/")[0] or "unknown"
    )


def _list_parts(target: Target, page: listing.Page) -> Iterator[bytes]:
    kind = target.shelf.kind
    metadata: dict[str, str | int] = {"resourceVersion": str(page.revision)}
    if page.token:
        metadata["continue"] = page.token
    if page.remaining is not None:
        metadata["remainingItemCount"] = page.remaining
    head = {"kind": f"{kind.kind}List", "apiVersion": kind.api_version(target.version), "metadata": metadata}
    # Items of built-in lists carry no kind and apiVersion, those of custom resources do: as on the real server.
    opening = b"{" if kind.builtin else kind.header(target.version)
    separator = b"," + opening
    yield msgspec.json.encode(head)[:-1] + b',"items":['
    for start in range(0, len(page.bodies), _BLOCK):
        block = separator.join([body[1:] for body in page.bodies[start : start + _BLOCK]])
        yield (separator if start else opening) + block
    yield b"]}"
