"""The client against the API: each route as a typed method, pages as iterators, problems as errors, changes as an iterator."""

import contextlib
import re
from collections.abc import Callable, Iterator
from ipaddress import ip_address

import httpx
import pytest
import respx

from bridge.api.access import Role
from bridge.api.client import ApiProblem, ApiUnavailable, Client
from bridge.api.routes.history import LeaseRow
from tests.acceptance.site import CLUSTER, DEVICE
from tests.api.conftest import Api, api_of
from tests.api.test_stops import Known

GROUP = f"group:{CLUSTER}/service/shop/web"
BY, WHY = "ann", "a fire"
URL = "http://bridge.example:9810"


@pytest.fixture(scope="module")
def client(api: Api) -> Iterator[Client]:
    with Client(str(api.client.base_url), trust_env=False) as found:
        yield found


def test_what_is_there(client: Client) -> None:
    assert [one.name for one in client.clusters()] == [CLUSTER]
    (device,) = client.devices()
    assert (device.name, device.clusters) == (DEVICE, (CLUSTER,))
    assert client.device(DEVICE).kind == "bigip"
    assert [one.name for one in client.overview().devices] == [DEVICE]
    assert client.lag(DEVICE, hours=1).device == DEVICE
    assert GROUP in {one.object for one in client.objects(DEVICE, kind="group", limit=1)}
    assert client.plan(DEVICE).plan.device == DEVICE
    assert [one.name for one in client.rules(namespace="shop")] == ["web-provider"]
    assert list(client.remarks(namespace="shop")) == []


def test_pages_are_fetched_as_they_are_needed(client: Client) -> None:
    (group,) = [one for one in client.groups(cluster=CLUSTER, limit=1) if one.object == GROUP]
    assert client.group(group.id).members == 2
    found = [one.address for one in client.members(group.id, limit=1)]
    assert found == sorted(found, key=ip_address) == ["10.244.1.1", "10.244.1.2"]


def test_why_and_who(client: Client) -> None:
    assert [one.pod for one in client.trace("shop/web-0", "192.0.2.1:443").answers[0].senders] == ["web-0"]
    (held,) = client.who("10.244.1.1").answers
    assert [one.pod for one in held.holders] == ["web-0"]
    assert isinstance(next(client.history("shop/web-0")), LeaseRow)


def test_what_was_proven(client: Client) -> None:
    made = client.make_report()
    assert client.report(made.number).number == made.number == next(client.reports(limit=1)).number
    client.make_report([DEVICE])
    assert list(client.differences(before=str(made.number), after=str(made.number))) == []
    row = next(client.audit(device=DEVICE, limit=1))
    assert client.audit_row(DEVICE, row.number).hash == row.hash
    (head,) = client.audit_heads()
    assert head.number >= row.number
    assert client.verify(DEVICE, reports=0).sound


def test_a_device_is_stopped_and_started(client: Client) -> None:
    stopped = client.stop_device(DEVICE, WHY, BY, wait=30)
    assert [(one.name, one.by) for one in client.stops()] == [(stopped.name, BY)]
    assert client.stop_named(CLUSTER, stopped.name).reason == WHY
    assert [one.name for one in client.start_device(DEVICE, WHY, BY, wait=30).lifted] == [stopped.name]
    everything = client.stop(CLUSTER, WHY, by=BY, wait=30)
    assert client.lift(CLUSTER, everything.name, WHY, BY, wait=30).state == "Started"
    assert list(client.stops()) == []
    assert {stopped.name, everything.name} <= {one.name for one in client.stops(standing=False)}


def test_each_route_has_its_method(client: Client, api: Api) -> None:
    nothing = "0" * 16
    calls: list[Callable[[], object]] = [
        client.clusters,
        lambda: client.cluster(CLUSTER),
        client.overview,
        lambda: list(client.devices()),
        lambda: client.device("x"),
        lambda: client.lag("x"),
        lambda: list(client.objects("x")),
        lambda: client.plan("x"),
        lambda: client.stop_device("x", WHY),
        lambda: client.start_device("x", WHY),
        lambda: list(client.groups()),
        lambda: client.group("x"),
        lambda: list(client.members("x")),
        lambda: list(client.rules()),
        lambda: list(client.remarks()),
        lambda: client.trace("x", "y"),
        lambda: client.who("x"),
        lambda: list(client.history("x")),
        lambda: list(client.held()),
        lambda: client.held_list("x", nothing),
        lambda: list(client.held_steps("x", nothing)),
        lambda: list(client.held_members("x", nothing)),
        lambda: client.release("x", nothing, WHY),
        lambda: client.reject("x", nothing, WHY),
        lambda: list(client.decisions()),
        lambda: list(client.stops()),
        lambda: client.stop_named("x", "y"),
        lambda: client.stop("x", WHY),
        lambda: client.lift("x", "y", WHY),
        lambda: list(client.audit(limit=500)),
        lambda: list(client.audit_heads()),
        lambda: client.audit_row("x", 1),
        lambda: client.verify("x"),
        lambda: list(client.reports()),
        lambda: client.report(1),
        lambda: client.make_report(["x"]),
        lambda: list(client.differences("x", "y")),
        lambda: next(client.changes("an id of nobody")),
    ]
    asked: list[tuple[str, str]] = []
    client._http.event_hooks["request"] = [lambda request: asked.append((request.method, request.url.path))]
    for call in calls:
        with contextlib.suppress(ApiProblem):  # of nothing that is there
            call()
    paths = api.client.get("/api/v1/openapi.json").json()["paths"]
    routes = [(method.upper(), re.sub(r"\{\w+\}", "[^/]+", path)) for path, each in paths.items() for method in each]
    assert [one for one in routes if not any(one[0] == m and re.fullmatch(one[1], p) for m, p in asked)] == []


def test_changes_come_one_after_another(client: Client, api: Api) -> None:
    changes = client.changes("an id of nobody")
    first = next(changes)
    assert first.moved is not None
    assert first.moved.devices == (DEVICE,)
    api.world.team("client", "10.244.8.1")
    while CLUSTER not in (next(changes).moved or first.moved).clusters:
        pass
    assert next(client.changes(first.id)).moved is not None


def test_problems_are_errors(client: Client) -> None:
    with pytest.raises(ApiProblem, match="404 There is no such thing: there is no device x; there are edge") as raised:
        client.device("x")
    assert (raised.value.problem.status, raised.value.retry_after) == (404, None)
    with pytest.raises(ApiProblem, match="by: nobody is asked to log in here: say who you are"):
        client.stop_device(DEVICE, WHY)


def test_a_token_is_shown_and_never_told(api: Api) -> None:
    with api_of(api.world, Known(Role.VIEWER)) as other, respx.mock(assert_all_mocked=False) as mocked:
        mocked.route().pass_through()
        with Client(str(other.client.base_url), lambda: "sesame", trust_env=False) as client:
            assert client.clusters()
            with pytest.raises(ApiProblem, match="403") as raised:
                client.stop_device(DEVICE, WHY)
        assert {call.request.headers["authorization"] for call in mocked.calls} == {"Bearer sesame"}
        assert "sesame" not in f"{raised.value!r} {client!r} {vars(client)!r}"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (httpx.ConnectError("refused"), "refused"),
        (httpx.Response(502, text="<h1>Bad gateway</h1>"), "502, and not from the API"),
        (httpx.Response(404, text="{", headers={"content-type": "application/problem+json"}), "makes no sense"),
        (httpx.Response(200, json={"clusters": 7}), "makes no sense"),
        (httpx.Response(200, content=b'{"clusters": "\xff"}'), "makes no sense"),
    ],
)
@respx.mock
def test_an_answer_of_somebody_else(answer: httpx.Response | Exception, words: str) -> None:
    respx.get(f"{URL}/api/v1/clusters").mock(side_effect=[answer])
    with Client(URL) as client, pytest.raises(ApiUnavailable, match=words):
        client.clusters()


@respx.mock
def test_a_stream_that_breaks_is_asked_for_again() -> None:
    problem = {"status": 503, "title": "100 listen already: come again"}
    busy = httpx.Response(503, json=problem, headers={"content-type": "application/problem+json", "retry-after": "10"})
    told = 'event: changed\ndata: {"clusters":["a"],"devices":[],"others":[]}\nid: %s\n\n'
    streams: list[httpx.Response | Exception] = [
        httpx.Response(200, text=": hello\n\nid: one\n\n"),
        httpx.ConnectError("refused"),
        busy,
        httpx.Response(200, text=told % "two"),
        httpx.Response(200, text=told % "three" + told.partition("id")[0]),  # one that broke off
        httpx.Response(403, json={**problem, "status": 403}, headers={"content-type": "application/problem+json"}),
    ]
    route = respx.get(f"{URL}/api/v1/changes").mock(side_effect=streams)
    pauses: list[float] = []
    with Client(URL) as client:
        changes = client.changes(pause=pauses.append)
        assert [next(changes).id, next(changes).id] == ["two", "three"]
        with pytest.raises(ApiProblem, match="403"):
            next(changes)
    shown = [call.request.headers.get("last-event-id") for call in route.calls]
    assert shown == [None, "one", "one", "one", "two", "three"]
    assert pauses == [2, 2, 10, 2, 2]
