"""Pages of the console as any browser gets them."""

import re

import msgspec
import pytest

from bridge.api.console import overview
from bridge.api.routes.devices import Device
from tests.acceptance.site import CLUSTER, DEVICE, eventually
from tests.api.conftest import Api

SCRIPT = '"><script>alert(1)</script>'
STATIC = ("vendor/pico.min.css", "vendor/idiomorph.min.js", "live.js", "console.css", "icon.svg")


def page(api: Api, path: str, status: int = 200) -> str:
    """The page as text."""
    found = api.client.get(path, headers={"Accept": "text/html"})
    assert (found.status_code, found.headers["content-type"]) == (status, "text/html; charset=utf-8"), found.text[:500]
    return found.text


def words(html: str) -> str:
    """What a person reads of it."""
    return " ".join(re.sub(r"<[^>]*>", " ", html).split())


def test_a_page_brings_all_it_needs(api: Api) -> None:
    found = page(api, "/")
    for path in STATIC:
        assert f"/static/{path}" in found
        assert api.client.get(f"/static/{path}").status_code == 200
    assert not re.search(r"""\s(style|on\w+)=|<style|src="http|href="http""", found)


def test_the_first_page_says_whether_all_is_well(api: Api) -> None:
    found = words(page(api, "/"))
    assert "Every device is in step, and nothing is held" in found
    assert f"{DEVICE} bigip in step" in found
    assert f"{CLUSTER} all is well" in found


def test_who_is_a_moment_behind_keeps_up(api: Api) -> None:
    device = msgspec.convert(api.get(f"devices/{DEVICE}"), Device)
    late = msgspec.structs.replace(device, state="ok", in_step=False, waiting=2, lag_seconds=0.5)
    assert overview.keeps_up(late), "where pods come and go there is always something on its way"
    for otherwise in ({"lag_seconds": 3.0}, {"state": "unreachable"}, {"withheld": 1}):
        assert not overview.keeps_up(msgspec.structs.replace(late, **otherwise))


def test_so_many_devices_have_a_chart_on_the_first_page(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    assert 'class="chart"' in page(api, "/")
    monkeypatch.setattr(overview, "_CHARTS", 0)
    found = page(api, "/")
    assert (f'href="/devices/{DEVICE}"' in found, 'class="chart"' in found) == (True, False)


def test_a_device(api: Api) -> None:
    found = words(page(api, f"/devices/{DEVICE}"))
    assert "in step" in found
    assert "Programmed" in found
    assert words(page(api, f"/devices/{DEVICE}?kind=rules&q=shop")).count("Programmed") < found.count("Programmed")
    assert "Nothing of that kind" in page(api, f"/devices/{DEVICE}?q=nothing-like-it")


def test_groups_and_their_members(api: Api) -> None:
    found = page(api, "/groups?q=shop")
    (link,) = {one for one in re.findall(r'href="(/groups/[^"]+)"', found) if "web" in one}
    group = words(page(api, link))
    assert "2 members now" in group
    assert "10.244.1.1 shop/web-0" in group
    assert "10.244.1.2 shop/web-1" in group


def test_rules_stand_by_tier(api: Api) -> None:
    found = words(page(api, "/rules?namespace=bank"))
    assert "Service tier" in found
    assert "Allow" in found
    assert "192.0.2.0/28: TCP 443" in found.replace("TCP/443", "TCP 443"), found
    assert f"{DEVICE}: Programmed" in found
    assert "No such rule" in page(api, "/rules?q=nothing-like-it")


def test_what_is_not_in_force_is_told_with_what_to_do(api: Api) -> None:
    api.world.namespace("astray")
    api.world.service("astray", "web")
    api.world.service_rule("astray", "web", "nowhere")
    eventually("told", lambda: "astray" in page(api, "/remarks?namespace=astray").partition("<tbody>")[2])
    assert "nowhere" in words(page(api, "/remarks?namespace=astray"))


def test_lists_go_on_page_by_page(api: Api) -> None:
    for number in range(55):
        api.world.namespace(f"many-{number}")
        api.world.service(f"many-{number}", "web", annotations={"fusionbridge.io/address-group": f"many-{number}"})
    eventually("all there", lambda: len(api.every("groups", q="/many-")) >= 55)
    first = page(api, "/groups?q=%2Fmany-")
    (following,) = re.findall(r'rel="next" href="([^"]+)"', first)
    second = page(api, f"/groups{following.replace('&amp;', '&')}")
    shown = [set(re.findall(r'id="group-([^"]+)"', one)) for one in (first, second)]
    assert len(shown[0]) == 50
    assert shown[1]
    assert not shown[0] & shown[1]


@pytest.mark.parametrize("path", ["/groups?q=", "/rules?q=", "/remarks?q=", f"/devices/{DEVICE}?q="])
def test_what_is_asked_for_is_text(api: Api, path: str) -> None:
    found = page(api, path + SCRIPT)
    assert "<script>alert" not in found
    assert "&lt;script&gt;alert(1)" in found
