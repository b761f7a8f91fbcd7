"""The console of a large site in a browser: every page, every kind of link, a decision, pods that move, names that mean harm."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode, urljoin

import pytest
from playwright.sync_api import Browser, expect

from tests.acceptance.browsing import Look, Tab, chromium, shape, tab
from tests.acceptance.site import CLUSTER, eventually
from tests.acceptance.town import CLOUD, CROWD, DOWN, EDGE, LIVELY, LONG, SCRIPT, Town, town

ROOT = Path(__file__).parents[2]
PICTURES = Path(os.environ.get("PICTURES", ROOT / "build" / "console"))  # make pictures: into docs
GROUP = f"/groups/{CLUSTER}~service~{LIVELY}~svc-0"
START = ("/", "/groups", "/rules", "/remarks", "/trace", "/who", "/history", "/held", "/stops", "/reports", "/audit")
PLAN = f"/devices/{DOWN}/plan"  # of a device that does not answer there is none, which another test looks at
MOVED = 40
_TURNED = """behind => {
    Object.defineProperty(document, "hidden", { configurable: true, value: behind });
    document.dispatchEvent(new Event("visibilitychange"));
}"""
MOST = 60  # kinds of pages: were there more, links would lead on without end

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
]  # the town takes its time to be built where three tests run on two cores


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """The town, with a mass change that waits for somebody, and a report of each device that answers."""
    with town(tmp_path_factory.mktemp("town")) as made:
        made.crowd_moves(MOVED)
        made.bridge.cli("report", EDGE, "--keep", codes=(0, 1, 3))
        eventually("it is held", lambda: {one["device"] for one in _waiting(made)} == {EDGE, CLOUD}, 120)
        yield made
        assert made.bridge.running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def pages(site: Town, browser: Browser) -> dict[str, str]:
    """Every kind of page that a person gets to by clicking, and the first of its kind."""
    found: dict[str, str] = {}
    fetched: dict[str, int] = {}
    with tab(browser, site.console) as one:
        waiting = ["/"]
        while waiting:
            path = waiting.pop(0)
            one.open(path)
            for link in one.links():
                target = urljoin(f"{site.console}{path}", link).removeprefix(site.console)
                kind = shape(target)
                if kind in found or kind in fetched or target == PLAN:
                    continue
                if target.startswith("/api/"):  # what a browser saves
                    fetched[kind] = one.page.request.get(f"{site.console}{target}").status
                    continue
                if one.path != path:
                    one.open(path)
                one.click(link)
                found[kind] = one.path
                waiting.append(one.path)
            assert len(found) <= MOST, sorted(found)
        assert one.wrong == [], one.wrong
        assert set(fetched.values()) <= {200}, fetched
    return found


@pytest.fixture(scope="module")
def looks(site: Town, browser: Browser, pages: dict[str, str]) -> list[Look]:
    """Each page as people with other eyes and other screens meet it; those with the longest names too."""
    # Colours that are on their way from light to dark are nobody's.
    with tab(browser, site.console, reduced_motion="reduce") as one:
        one.rest()
        found = [one.look(path) for path in (*pages.values(), f"/rules?namespace={LIVELY}", f"/rules?q={LONG[:60]}")]
        assert one.wrong == [], one.wrong
    return found


def _waiting(site: Town) -> list[dict[str, str]]:
    rows: list[dict[str, str]] = site.answer("held")["rows"]
    return rows


@pytest.mark.acceptance(
    "console: every page and every kind of link of a site of 10,000 pods, 500 groups and 1,000 rules, by clicks: no error, nothing refused"
)
def test_every_page(pages: dict[str, str], site: Town) -> None:
    kinds = {kind.partition("?")[0] for kind in pages}
    assert kinds >= {*START, "/devices/*", "/groups/*", "/held/*/*", "/held/*/*/release"}
    told = site.answer("overview")
    assert {one["name"]: one["state"] for one in told["devices"]} == {EDGE: "ok", CLOUD: "ok", DOWN: "unreachable"}
    assert len(site.store.list("pods")) == 10_000


@pytest.mark.acceptance("console: what a device that is down cannot tell is a page that says why, and leads on")
def test_of_a_device_that_is_down(site: Town, browser: Browser) -> None:
    with tab(browser, site.console) as one:
        one.open(PLAN)
        expect(one.page.locator("main")).to_contain_text("no answer")
        assert one.barriers() == []
        one.click("/")
        expect(one.page.locator("main")).to_contain_text(DOWN)


@pytest.mark.acceptance("console: axe finds nothing on any page, nor fault with any colour in the dark")
def test_no_barriers(looks: list[Look]) -> None:
    assert [barrier for look in looks for barrier in look.barriers] == []


@pytest.mark.acceptance("console: on a phone no page has to be moved sideways, with names of 253 characters neither")
def test_a_phone(looks: list[Look]) -> None:
    assert {look.path: look.sideways for look in looks if look.sideways} == {}


@pytest.mark.acceptance(
    "console: the keyboard comes first to a link that leads to the page itself, then to every entry of the navigation"
)
def test_the_keyboard(site: Town, browser: Browser) -> None:
    with tab(browser, site.console) as one:
        one.open("/")
        reached = []
        for _ in range(8):
            one.page.keyboard.press("Tab")
            reached.append(one.page.evaluate("document.activeElement.textContent"))
        assert reached[0] == "To the page"
        assert reached[1:] == one.page.locator("header nav ul").first.locator("a").all_text_contents()


@pytest.mark.acceptance(
    "console: a name that is a script, and one of 253 characters, are shown as they are written and do nothing"
)
def test_names_do_no_harm(site: Town, browser: Browser) -> None:
    with tab(browser, site.console) as one:
        one.open(f"/remarks?namespace={LIVELY}")
        expect(one.page.locator("main")).to_contain_text(SCRIPT)
        one.open(f"/rules?namespace={LIVELY}&q={LONG[:60]}")
        expect(one.page.locator("main")).to_contain_text(LONG)
        for path in ("/groups", "/rules", "/remarks", "/history", "/who", "/trace", "/devices/" + EDGE):
            for fields in (
                ("q", "subject", "address", "from", "to"),
                ("device",),
            ):  # of no such device there is no more
                one.page.goto(f"{site.console}{path}?{urlencode(dict.fromkeys(fields, SCRIPT))}", wait_until="load")
                assert one.page.locator("img[src=x]").count() == 0
                assert one.page.locator("main script, body > script").count() == 0
                assert "taken" not in one.page.title().partition("<")[0]
        assert [said for said in one.wrong if "dialog" in said or "Content Security" in said] == []


@pytest.mark.acceptance("console: a pod that moves is followed on the page of its group, without a reload")
def test_a_moving_pod(site: Town, browser: Browser) -> None:
    with tab(browser, site.console) as one:
        one.open(GROUP)
        expect(one.page.locator("#live")).to_have_text("live", timeout=30_000)
        one.page.evaluate("window.kept = true")
        pod, seen = "svc-0-roving", []
        for _ in range(3):
            address = next(site.addresses)
            site.pod(LIVELY, pod, address, app="svc-0")
            row = one.page.locator("main tbody tr", has_text=pod)
            expect(row.locator("th")).to_have_text(address, timeout=60_000)
            seen.append(address)
            site.delete_pod(LIVELY, pod)
            expect(row).to_have_count(0, timeout=60_000)
        assert one.page.evaluate("window.kept"), "the page was never left"
        assert len(set(seen)) == 3
        assert one.wrong == []


@pytest.mark.acceptance(
    "console: a page behind others leaves its connection to them, and is as things are when it comes in front"
)
def test_a_page_behind(site: Town, browser: Browser) -> None:
    with tab(browser, site.console) as one:
        one.open(GROUP)
        expect(one.page.locator("#live")).to_have_text("live", timeout=30_000)
        with one.page.expect_event("requestfailed", lambda request: "/changes" in request.url, timeout=30_000):
            one.page.evaluate(_TURNED, True)
        pod, address = "svc-0-unseen", next(site.addresses)
        site.pod(LIVELY, pod, address, app="svc-0")
        one.page.evaluate(_TURNED, False)
        expect(one.page.locator("main tbody tr", has_text=pod).locator("th")).to_have_text(address, timeout=60_000)
        assert one.wrong == []


@pytest.mark.acceptance(
    "console: somebody sees what would change, releases it on a page that asks once more, and it happens on the device"
)
def test_a_release(site: Town, browser: Browser, pages: dict[str, str]) -> None:
    before = site.group("service", CROWD, "svc-0")
    with tab(browser, site.console) as one:
        one.open(f"/held?device={EDGE}")
        one.page.locator("main tbody th a").first.click()
        expect(one.page.locator("main")).to_contain_text("which no event proves")
        expect(one.page.locator("main")).to_contain_text(f"{CROWD}/svc-0-")
        _picture(one, "held")
        one.page.get_by_role("button", name="Release…").or_(one.page.get_by_role("link", name="Release…")).click()
        assert site.group("service", CROWD, "svc-0") == before, "nothing happens before it is said"
        one.page.locator('[name="by"]').fill("ann")
        one.page.locator('[name="reason"]').fill("the crowd moves")
        one.page.get_by_role("button", name="Release it").click()
        expect(one.page.locator("main")).to_contain_text("Release by ann: the crowd moves", timeout=60_000)
        assert one.wrong == []
    eventually("it is done", lambda: len(site.group("service", CROWD, "svc-0")) == 100 - MOVED, 60)


@pytest.mark.acceptance(
    "console: docs/console.md shows pictures that this run has made, and names every entry of the navigation"
)
def test_pictures(site: Town, browser: Browser) -> None:
    roving, pod = next(site.addresses), "svc-1-roving"
    site.pod(LIVELY, pod, roving, app="svc-1")
    with tab(browser, site.console) as one:
        for name, path in {
            "overview": "/",
            "group": GROUP,
            "rules": f"/rules?namespace={LIVELY}&device={EDGE}",
            "trace": f"/trace?from={LIVELY}/svc-0-0&to=192.0.1.9:443",
            "history": f"/history?subject=pod/{LIVELY}/{pod}",
        }.items():
            one.open(path)
            if name == "history":
                eventually("it is told", lambda: roving in one.reopened(), 60)
            _picture(one, name)
        entries = one.page.locator("header nav ul").first.locator("a").all_text_contents()
        assert one.wrong == [], one.wrong
    page = (ROOT / "docs" / "console.md").read_text()
    shown = re.findall(r"pictures/(console-[a-z]+\.png)", page)
    assert len(shown) == 6
    assert [name for name in shown if not (PICTURES / name).exists()] == []
    assert [name for name in shown if not (ROOT / "docs" / "pictures" / name).exists()] == []
    assert [entry for entry in entries if entry not in page] == []


def _picture(one: Tab, name: str) -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    expect(one.page.locator("#live")).to_have_text("live", timeout=30_000)
    one.page.screenshot(path=PICTURES / f"console-{name}.png")
