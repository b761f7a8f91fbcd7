"""Pages that answer questions and take orders, as any browser gets them."""

import html
import re
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from fastapi import Request

from bridge.api.access import Person, Role
from tests.acceptance.site import CLUSTER, DEVICE, eventually
from tests.acceptance.world import World
from tests.api.conftest import Api, api_of
from tests.api.forms import posted, sent, token
from tests.api.test_console import SCRIPT, page, words

TO = "192.0.2.1:443"
GROUP = f"group:{CLUSTER}/service/shop/web"
LIFT = re.compile(r'href="(/stops/[^"]+/lift)"')
ROW = re.compile(rf'href="/audit/{DEVICE}/\d+"')
ANN = {"by": "ann", "reason": "a fire"}


class Known:
    """Everybody is this one."""

    def __init__(self, role: Role) -> None:
        self._role = role

    def person(self, request: Request) -> Person:  # noqa: ARG002
        return Person("joe", self._role)


@pytest.fixture
def viewer(site: World) -> Iterator[Api]:
    with api_of(site, Known(Role.VIEWER)) as found:
        yield found


def test_a_trace_is_drawn_along_its_path(api: Api) -> None:
    found = page(api, f"/trace?from=shop/web-0&to={TO}")
    told = words(found)
    assert "Every device in scope does as policy says" in told
    path = [words(one) for one in re.findall(r"<h4>(.*?)</h4>", found)]
    assert path[0] == "From"
    assert path[-3:] == ["Policy says", "Devices in scope", "To"]
    assert "Service tier" in path
    assert "let through" in told
    assert "not let through" in words(page(api, "/trace?from=shop/web-0&to=198.51.100.1:443"))


def test_a_trace_that_says_nothing_keeps_what_was_written(api: Api) -> None:
    found = page(api, "/trace?from=nobody&to=nowhere%20at%20all", 422)
    assert 'value="nowhere at all"' in found
    assert 'role="alert"' in found
    assert 'role="alert"' not in page(api, "/trace")


def test_words_that_can_mean_several_lead_to_each(api: Api) -> None:
    api.world.team("duo", "10.244.60.1")
    api.world.pod("duo", "web", "10.244.60.2")
    where = f"/trace?to={TO}&from=duo/web"
    eventually("the pod is known", lambda: api.client.get(where).status_code == 422)
    links = [html.unescape(one) for one in re.findall(r'href="(/trace\?[^"]+)"', page(api, where, 422))]
    assert len(links) == 2
    assert any("10.244.60.2" in page(api, link) for link in links)


def test_who_held_an_address_is_drawn_along_a_line(api: Api) -> None:
    found = page(api, "/who?address=10.244.1.1")
    assert "Then: shop/web-0 ( exact )" in words(found)
    assert 'class="sure"' in found
    assert f"/history?subject={quote(GROUP)}" in found
    assert "nobody" in words(page(api, "/who?address=10.244.200.200"))
    assert 'role="alert"' in page(api, "/who?address=nothing", 422)


def test_history_is_told_with_a_line_for_each_row(api: Api) -> None:
    found = page(api, f"/history?subject={quote(GROUP)}")
    assert found.count('class="stretch"') == 2
    assert "10.244.1.1 ( shop/web-0 ): joined" in words(found)
    assert "nothing is recorded" in page(api, "/history?subject=shop/nobody")
    device = page(api, f"/history?subject=device/{DEVICE}")
    assert ROW.search(device)
    address = words(page(api, "/history?subject=10.244.1.1"))
    assert "shop/web-0" in address
    assert "service/shop/web" in address


def test_the_audit_and_its_chain(api: Api) -> None:
    assert ROW.search(page(api, f"/audit/{DEVICE}"))
    assert "No such row" in page(api, "/audit?op=nothing-like-it")
    assert "take-over" in words(page(api, f"/audit/{DEVICE}/1"))
    assert "The chain is whole" in page(api, f"/audit/{DEVICE}/verification")
    wrong = page(api, f"/audit/{DEVICE}/verification?head=1:{'0' * 64}")
    assert "not part of the chain" in wrong
    assert "no row 999999" in page(api, f"/audit/{DEVICE}/999999", 404)


def test_reports_are_made_listed_and_compared(api: Api) -> None:
    for _ in range(2):
        made = sent(api, "/reports")
        assert (made.status_code, made.headers["location"]) == (303, "/reports")
    (first, *_) = re.findall(r'id="report-(\d+)"', page(api, "/reports"))
    assert f"/api/v1/reports/{first}?format=html" in page(api, "/reports")
    same = f"/reports/difference?before={first}&after={first}"
    eventually("compared", lambda: "nothing is otherwise" in page(api, same))
    assert 'role="alert"' in page(api, "/reports/difference?before=999999", 404)


def test_the_plan_of_a_device(api: Api) -> None:
    found = page(api, f"/devices/{DEVICE}/plan")
    assert "Who would gain or lose what" in found
    assert "data-still" in found, "it is not read anew whenever something changes"


def test_a_device_is_stopped_and_started_behind_a_page_that_asks(api: Api) -> None:
    where = f"/stops/new?device={DEVICE}"
    assert f"Nothing more will be written to {DEVICE}" in words(page(api, where))
    refused = sent(api, where, device=DEVICE, by="", reason="a fire")
    assert (refused.status_code, 'value="a fire"' in refused.text) == (422, True)
    stopped = sent(api, where, device=DEVICE, **ANN)
    assert (stopped.status_code, stopped.headers["location"]) == (303, "/stops")
    eventually("the bridge has heard it", lambda: LIFT.search(page(api, "/stops")) is not None)
    (lift,) = LIFT.findall(page(api, "/stops"))
    assert "a fire" in page(api, lift)
    started = sent(api, lift, by="bob", reason="it is out")
    assert started.status_code == 303
    eventually("it is over", lambda: "No device is stopped" in page(api, "/stops"))
    assert "bob: it is out" in page(api, "/stops?ended=true")


def test_an_order_is_taken_from_a_page_of_ours_only(api: Api) -> None:
    fields = {"device": DEVICE, **ANN}
    assert posted(api, "/stops/new", fields).status_code == 403
    real = {**fields, "form_token": token(api, "/stops/new")}
    for headers in ({}, {"Origin": "http://elsewhere.example"}):
        assert api.client.post("/stops/new", data=real, headers=headers).status_code == 403
    assert api.every("stops") == []


@pytest.mark.parametrize(
    "path", ["/stops/new", f"/devices/{DEVICE}/plan", f"/held/{DEVICE}/{'0' * 16}/release", "/stops/a/b/lift"]
)
def test_a_viewer_is_told_which_role_it_takes(viewer: Api, path: str) -> None:
    assert "it takes the role" in page(viewer, path, 403)


def test_a_viewer_sees_no_orders(viewer: Api) -> None:
    for path in ("/stops", "/reports", "/held", f"/devices/{DEVICE}"):
        assert 'method="post"' not in page(viewer, path)
        assert "/stops/new" not in page(viewer, path)


def test_nothing_held_is_told(api: Api) -> None:
    assert "Nothing is held" in page(api, f"/held?device={DEVICE}")
    assert "nothing is or was held" in page(api, f"/held/{DEVICE}/{'0' * 16}", 404)


def test_errors_are_pages_for_browsers_and_json_for_programs(api: Api) -> None:
    for path in ("/nothing", "/groups/nothing", "/devices/faraway"):
        found = page(api, path, 404)
        assert "<h1>" in found
        assert 'href="/"' in found
        assert api.client.get(path).headers["content-type"] == "application/problem+json"
    nowhere = words(page(api, "/nothing", 404))
    assert "There is no such page" in nowhere
    assert "viewer" not in nowhere, "nobody was asked who he is"
    told = api.client.get("/api/v1/nothing", headers={"Accept": "text/html"})
    assert told.headers["content-type"] == "application/problem+json"
    assert "what was asked for makes no sense: page" in words(page(api, "/groups?page=!", 422))


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"/trace?to={TO}&from=", 422),
        ("/trace?from=shop/web-0&to=", 422),
        ("/who?address=", 422),
        ("/history?subject=", 200),
        ("/audit?object=", 200),
        ("/audit?op=", 200),
        ("/reports/difference?before=", 422),
        ("/stops/new?device=", 200),
        ("/devices/", 404),
    ],
)
def test_what_is_asked_for_is_text(api: Api, path: str, status: int) -> None:
    word = SCRIPT[: 20 if "difference" in path else None]
    found = api.client.get(path + quote(word.replace("/", ""), safe=""), headers={"Accept": "text/html"})
    assert found.status_code == status
    assert "<script>" not in found.text
    assert "&lt;script&gt;" in found.text


@pytest.mark.parametrize(
    "path", ["/trace", "/who", "/history", "/held", "/stops", "/stops/new", "/reports", "/audit", "/nothing"]
)
def test_a_page_has_nothing_inline_and_one_heading_first(api: Api, path: str) -> None:
    found = api.client.get(path, headers={"Accept": "text/html"}).text
    assert not re.search(r"""\s(style|on\w+)=|<style|<script>|src="http|href="http""", found)
    assert re.findall(r"<h(\d)", found)[0] == "1"
    assert found.count("<h1") == 1
    for one in re.findall(r'<(?:input|select)[^>]* id="([^"]+)"', found):
        assert f'for="{one}"' in found
