"""The console in headless Chromium: what a page said to its console, what it is made of, and whether everybody can use it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Browser, ConsoleMessage, Dialog, Page, Response, sync_playwright

from tests.report.browser import chromium as installed

DESK, PHONE = (1280, 800), (390, 844)
# Below these, a step of a path is a name, an address, a digest or a number, unless it is a word of the path itself.
_NAMED = {"devices", "groups", "held", "reports", "stops", "audit"}
_WORDS = {"plan", "members", "steps", "release", "reject", "new", "lift", "difference", "verification"}
# Of many rows that are built alike, one is looked at by rules: what they say to read differs, and nothing else.
_ALIKE = r"""() => {
    const met = new Set();
    document.querySelectorAll("main table, main ol, main ul").forEach((list, at) => {
        for (const row of list.querySelectorAll("tbody > tr, :scope > li")) {
            const built = row.outerHTML.replace(/ (id|href|datetime|aria-label)="[^"]+"/g, " $1").replace(/>[^<]*\S[^<]*</g, ">words<");
            if (met.has(at + built)) row.remove();
            met.add(at + built);
        }
    });
}"""
_DEAF = "window.EventSource = class { addEventListener() {} close() {} }"
_AXE = Axe()
_WIDE = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"


@dataclass(frozen=True, slots=True)
class Look:
    """One page: what axe finds, and by how many pixels the page as a whole is wider than a phone."""

    path: str
    barriers: tuple[str, ...]
    sideways: int


@dataclass
class Tab:
    """A page, and what went wrong on it so far: errors in its console, which a refusal of the policy is too, and refused requests."""

    page: Page
    site: str
    wrong: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.wrong.append(f"{self.page.url}: {error}"))
        self.page.on("response", self._answered)
        self.page.on("dialog", self._asked)

    def open(self, path: str) -> None:
        """Open a path, as somebody would who types it."""
        self.page.goto(f"{self.site}{path}", wait_until="load")

    def reopened(self) -> str:
        """The words of the same page, asked for again."""
        self.page.reload(wait_until="load")
        return self.page.locator("main").inner_text()

    @property
    def path(self) -> str:
        """Where it is, with what was asked for."""
        return self.page.url.removeprefix(self.site)

    def click(self, href: str) -> None:
        """Click the first link that leads there, and wait for its page."""
        place = self.page.locator("main a, header a").and_(self.page.locator(f'[href="{_quoted(href)}"]')).first
        with self.page.expect_navigation(wait_until="load"):
            place.click()

    def links(self) -> list[str]:
        """Where it leads to: links within the site, as they are written."""
        found = self.page.eval_on_selector_all(
            "header a[href], main a[href]", "all => all.map(a => a.getAttribute('href'))"
        )
        return [one for one in found if not one.startswith(("#", "http"))]

    def rest(self) -> None:
        """Whatever is opened from now on stays as it came."""
        self.page.add_init_script(_DEAF)

    def look(self, path: str) -> Look:
        """Open a page, which is at rest, and look at it on a phone, then in light and in dark."""
        self.open(path)
        self.page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
        sideways = int(self.page.evaluate(_WIDE))
        self.page.set_viewport_size({"width": DESK[0], "height": DESK[1]})
        self.page.evaluate(_ALIKE)
        found = self.barriers()
        self.page.emulate_media(color_scheme="dark")
        found += self.barriers("color-contrast")
        self.page.emulate_media(color_scheme="light")
        return Look(path, tuple(found), sideways)

    def barriers(self, *rules: str) -> list[str]:
        """What keeps some people out of this page, in the words of axe, by all of its rules unless told."""
        chosen = {"runOnly": list(rules)} if rules else {}
        if not self.page.evaluate("() => 'axe' in window"):
            self.page.evaluate(_AXE.axe_script)
        options = {"resultTypes": ["violations"], **chosen}
        found = self.page.evaluate("options => axe.run(document, options)", options)["violations"]
        return [
            f"{self.path}: {one['id']}: {node['target']}: {node['failureSummary']}"
            for one in found
            for node in one["nodes"][:3]
        ]

    def _asked(self, dialog: Dialog) -> None:
        self.wrong.append(f"{self.page.url}: a dialog")
        dialog.dismiss()

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.wrong.append(f"{self.page.url}: {message.text}")

    def _answered(self, response: Response) -> None:
        if response.status >= 400:
            self.wrong.append(f"{response.url}: {response.status}")


@contextmanager
def chromium() -> Iterator[Browser]:
    """The browser of Debian's package; the test is skipped where there is none."""
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=installed(), args=["--no-sandbox"])
        try:
            yield found
        finally:
            found.close()


@contextmanager
def tab(browser: Browser, site: str, size: tuple[int, int] = DESK, **more: Any) -> Iterator[Tab]:  # noqa: ANN401
    """A tab of its own, closed at the end; `more` goes to Playwright's context."""
    context = browser.new_context(viewport={"width": size[0], "height": size[1]}, **more)
    try:
        yield Tab(context.new_page(), site)
    finally:
        context.close()


def shape(link: str) -> str:
    """Which page a link leads to, whatever it is about: its path without names, and what is asked for."""
    parts = urlsplit(link)
    steps = parts.path.split("/")
    named = ["*" if at > 1 and steps[1] in _NAMED and one not in _WORDS else one for at, one in enumerate(steps)]
    return "?".join(("/".join(named), ",".join(sorted(parse_qs(parts.query)))))


def _quoted(href: str) -> str:
    return href.replace("\\", "\\\\").replace('"', '\\"')
