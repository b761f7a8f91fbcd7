"""A client of the API, in the API's own types: what a method returns is what the route of that name answers.

    with Client("http://127.0.0.1:9810") as bridge:
        for device in bridge.devices():
            print(device.name, device.state)

Lists are iterators that fetch page after page. Filters are given as the API names them, as keywords. Every method raises ApiProblem for an
answer that is a problem, and ApiUnavailable where there is no answer, or none that makes sense.
"""

import ssl
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar
from urllib.parse import quote

import httpx
import msgspec

from bridge.api.client_answers import ApiProblem, ApiUnavailable, Change, events, require
from bridge.api.documents import Page
from bridge.api.orders import Order
from bridge.api.routes.audit import AuditRow, ChainHead, Verification
from bridge.api.routes.clusters import Cluster, Clusters
from bridge.api.routes.decisions import Decision
from bridge.api.routes.devices import Device, Lag, Object
from bridge.api.routes.groups import Group, Member, Members
from bridge.api.routes.held import HeldList, WaitingMember, WaitingStep
from bridge.api.routes.history import ChangeRow, History, LeaseRow, MemberRow
from bridge.api.routes.overview import Overview
from bridge.api.routes.plan import DevicePlan
from bridge.api.routes.remarks import Remark
from bridge.api.routes.reports import DifferenceRow, Differences, KeptReport
from bridge.api.routes.rules import PolicyRule
from bridge.api.routes.stops import Started, Stop
from bridge.api.routes.who import Who
from bridge.report.model import Report
from bridge.report.trace_model import Trace

__all__ = ["ApiProblem", "ApiUnavailable", "Change", "Client"]

T = TypeVar("T")
R_co = TypeVar("R_co", covariant=True)
Parameter = str | int | bool | None
"""None leaves a filter out."""

_PREFIX = "/api/v1/"
_PAUSE = 2.0  # seconds until a stream is asked for again
_SILENCE = 60.0  # seconds in which not even a heartbeat came


class _Paged(Protocol[R_co]):
    @property
    def rows(self) -> tuple[R_co, ...]: ...
    @property
    def next(self) -> str | None: ...


class Client:
    """The API at this URL. `token`, or what gives one for each request, is whose token it is that asks; none on loopback.

    `verify` as httpx has it: a context of its own for a private certificate authority. To be closed (a context manager); safe to use from
    several threads.
    """

    def __init__(
        self,
        url: str,
        token: str | Callable[[], str] = "",
        *,
        verify: ssl.SSLContext | bool = True,
        timeout: float = 60.0,
        trust_env: bool = True,
    ) -> None:
        self._token = token if callable(token) else lambda: token
        self._http = httpx.Client(
            base_url=url.rstrip("/") + _PREFIX, verify=verify, timeout=timeout, trust_env=trust_env, auth=self._signed
        )

    def overview(self) -> Overview:
        """Everything in few figures."""
        return self.get("overview", Overview)

    def clusters(self) -> tuple[Cluster, ...]:
        """Every cluster."""
        return self.get("clusters", Clusters).clusters

    def cluster(self, name: str) -> Cluster:
        """One cluster."""
        return self.get(_path("clusters", name), Cluster)

    def devices(self) -> Iterator[Device]:
        """Every device."""
        return self.every("devices", Page[Device])

    def device(self, name: str) -> Device:
        """One device."""
        return self.get(_path("devices", name), Device)

    def lag(self, device: str, hours: int = 24) -> Lag:
        """How far behind a device is, and was."""
        return self.get(_path("devices", device, "lag"), Lag, hours=hours)

    def objects(self, device: str, **filters: Parameter) -> Iterator[Object]:
        """What a device is to hold."""
        return self.every(_path("devices", device, "objects"), Page[Object], **filters)

    def plan(self, device: str, limit: int | None = None) -> DevicePlan:
        """What delivery would do to a device; it is read for that."""
        return self.get(_path("devices", device, "plan"), DevicePlan, limit=limit)

    def groups(self, **filters: Parameter) -> Iterator[Group]:
        """Every group."""
        return self.every("groups", Page[Group], **filters)

    def group(self, group_id: str) -> Group:
        """One group, by the id that a list has of it."""
        return self.get(_path("groups", group_id), Group)

    def members(self, group_id: str, **filters: Parameter) -> Iterator[Member]:
        """The members of a group and whom they stand for."""
        return self.every(_path("groups", group_id, "members"), Members, **filters)

    def rules(self, **filters: Parameter) -> Iterator[PolicyRule]:
        """Rules in the order in which a device asks them."""
        return self.every("rules", Page[PolicyRule], **filters)

    def remarks(self, **filters: Parameter) -> Iterator[Remark]:
        """Objects that are not in force as they were written."""
        return self.every("remarks", Page[Remark], **filters)

    def trace(self, sending: str, to: str, *, at: str | None = None, cluster: str | None = None) -> Trace:
        """What becomes of a packet, and why."""
        return self.get("trace", Trace, **{"from": sending, "to": to, "at": at, "cluster": cluster})

    def who(self, address: str, *, at: str | None = None, cluster: str | None = None) -> Who:
        """Who holds an address, or held it."""
        return self.get("who", Who, address=address, at=at, cluster=cluster)

    def history(self, subject: str, **filters: Parameter) -> Iterator[LeaseRow | MemberRow | ChangeRow]:
        """What happened to something, the last first."""
        return self.every("history", History, subject=subject, **filters)

    def held(self, **filters: Parameter) -> Iterator[HeldList]:
        """Lists of held steps."""
        return self.every("held", Page[HeldList], **filters)

    def held_list(self, device: str, digest: str) -> HeldList:
        """One list."""
        return self.get(_path("held", device, digest), HeldList)

    def held_steps(self, device: str, digest: str) -> Iterator[WaitingStep]:
        """The steps of one list."""
        return self.every(_path("held", device, digest, "steps"), Page[WaitingStep])

    def held_members(self, device: str, digest: str, **filters: Parameter) -> Iterator[WaitingMember]:
        """The members that the steps of one list are about."""
        return self.every(_path("held", device, digest, "members"), Page[WaitingMember], **filters)

    def release(self, device: str, digest: str, reason: str, by: str | None = None, wait: int | None = None) -> Order:
        """Let held steps be done, as far as they are still wanted."""
        return self._decide(device, digest, "Release", reason, by, wait)

    def reject(self, device: str, digest: str, reason: str, by: str | None = None, wait: int | None = None) -> Order:
        """Leave held steps undone as long as the same is wanted."""
        return self._decide(device, digest, "Reject", reason, by, wait)

    def decisions(self, **filters: Parameter) -> Iterator[Decision]:
        """What was decided, the last first."""
        return self.every("decisions", Page[Decision], **filters)

    def stops(self, **filters: Parameter) -> Iterator[Stop]:
        """Stops in force; all with standing=False."""
        return self.every("stops", Page[Stop], **filters)

    def stop_named(self, cluster: str, name: str) -> Stop:
        """One stop."""
        return self.get(_path("stops", cluster, name), Stop)

    def stop(
        self, cluster: str, reason: str, devices: Iterable[str] = (), by: str | None = None, wait: int | None = None
    ) -> Order:
        """Write nothing more to these devices, none named: to all of the cluster."""
        return self.post(
            "stops", Order, {"cluster": cluster, "devices": list(devices), **_signed(reason, by)}, wait=wait
        )

    def lift(self, cluster: str, stop: str, reason: str, by: str | None = None, wait: int | None = None) -> Order:
        """End one stop."""
        return self.post(_path("stops", cluster, stop, "lift"), Order, _signed(reason, by), wait=wait)

    def stop_device(self, device: str, reason: str, by: str | None = None, wait: int | None = None) -> Order:
        """Write nothing more to a device."""
        return self.post(_path("devices", device, "stop"), Order, _signed(reason, by), wait=wait)

    def start_device(self, device: str, reason: str, by: str | None = None, wait: int | None = None) -> Started:
        """Lift the stops of a device."""
        return self.post(_path("devices", device, "start"), Started, _signed(reason, by), wait=wait)

    def audit(self, **filters: Parameter) -> Iterator[AuditRow]:
        """Rows of the audit, the last first."""
        return self.every("audit", Page[AuditRow], **filters)

    def audit_row(self, device: str, number: int) -> AuditRow:
        """One row, whole."""
        return self.get(_path("audit", device, str(number)), AuditRow)

    def audit_heads(self) -> Iterator[ChainHead]:
        """Where the chain of each device ends."""
        return self.every("audit/heads", Page[ChainHead])

    def verify(self, device: str, **filters: Parameter) -> Verification:
        """Go through the whole chain of a device."""
        return self.get(_path("audit", device, "verification"), Verification, **filters)

    def reports(self, **filters: Parameter) -> Iterator[KeptReport]:
        """The reports that are kept, in numbers, the last first."""
        return self.every("reports", Page[KeptReport], **filters)

    def report(self, number: int) -> Report:
        """One report."""
        return self.get(_path("reports", str(number)), Report)

    def make_report(self, devices: Iterable[str] = ()) -> KeptReport:
        """Read devices, none named: all, and keep what comes out."""
        return self.post("reports", KeptReport, {"devices": list(devices)})

    def differences(self, before: str = "previous", after: str = "last") -> Iterator[DifferenceRow]:
        """What is otherwise in one report than in another."""
        return self.every("reports/difference", Differences, before=before, after=after)

    def changes(self, last: str = "", *, pause: Callable[[float], None] = time.sleep) -> Iterator[Change]:
        """Every change from now on, or since the one with this id, without an end: a stream that breaks is asked for again.

        ApiProblem where the API does not let whoever asks listen (any more).
        """
        while True:
            seconds = _PAUSE
            try:
                for change in self._stream(last):
                    last = change.id
                    if change.moved is not None:
                        yield change
            except ApiUnavailable:
                pass
            except ApiProblem as error:
                if error.retry_after is None:
                    raise
                seconds = error.retry_after
            pause(seconds)

    def get(self, path: str, kind: type[T], /, **parameters: Parameter) -> T:
        """What a route answers, as this type."""
        return self._answer(kind, "GET", path, parameters)

    def post(self, path: str, kind: type[T], body: Mapping[str, Any], /, **parameters: Parameter) -> T:
        """Have something done; what the route answers."""
        return self._answer(kind, "POST", path, parameters, body)

    def every(self, path: str, kind: type[_Paged[T]], /, **parameters: Parameter) -> Iterator[T]:
        """The rows of all pages."""
        place: str | None = ""
        while place is not None:
            page = self.get(path, kind, **parameters, page=place or None)
            yield from page.rows
            place = page.next

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _stream(self, last: str) -> Iterator[Change]:
        headers = {"Last-Event-ID": last} if last else {}
        try:
            with self._http.stream("GET", "changes", headers=headers, timeout=_SILENCE) as answer:
                if answer.is_error:
                    answer.read()
                require(answer)
                yield from events(answer.iter_lines())
        except httpx.TransportError as error:
            raise ApiUnavailable(f"{self._http.base_url}: {error}") from error

    def _decide(self, device: str, digest: str, verdict: str, reason: str, by: str | None, wait: int | None) -> Order:
        body = {"verdict": verdict, **_signed(reason, by)}
        return self.post(_path("held", device, digest, "decision"), Order, body, wait=wait)

    def _answer(
        self, kind: type[T], method: str, path: str, parameters: Mapping[str, Parameter], body: object = None
    ) -> T:
        asked = {name: value for name, value in parameters.items() if value is not None}
        try:
            answer = self._http.request(method, path, params=asked, json=body)
        except httpx.TransportError as error:
            raise ApiUnavailable(f"{self._http.base_url}: {error}") from error
        require(answer)
        try:
            return msgspec.json.decode(answer.content, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ApiUnavailable(f"{answer.url.path}: the answer makes no sense: {error}") from error

    def _signed(self, request: httpx.Request) -> httpx.Request:
        token = self._token()
        if token:
            request.headers["Authorization"] = f"Bearer {token}"
        return request


def _path(*parts: str) -> str:
    return "/".join(quote(part, safe="") for part in parts)


def _signed(reason: str, by: str | None) -> dict[str, str]:
    return {"reason": reason, **({} if by is None else {"by": by})}
