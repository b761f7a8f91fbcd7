"""The page: whole in one file, escaped, laid out at every width, in the light and in the dark."""

import struct
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest

from bridge.report.model import Report
from bridge.report.page import page
from tests.report.browser import look, picture
from tests.report.samples import calm, full, large, report, silent
from tests.report.test_renderings import HOSTILE, hostile

WIDTHS = (360, 760, 1280)


class Tags(HTMLParser):
    """Every tag with its attributes, and the text between."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def words(found: Report) -> str:
    """The text of the page."""
    return " ".join(" ".join(Tags(page(found)).words).split())


def test_the_page_needs_nothing_besides_itself() -> None:
    found = Tags(page(report(full(), calm(), silent())))
    assert not {tag for tag, _ in found.tags} & {"script", "link", "img", "iframe", "object", "embed", "base", "form"}
    links = [
        value for _, attributes in found.tags for name, value in attributes.items() if name in ("src", "href", "action")
    ]
    assert links
    assert all(value and value.startswith("#device-") for value in links)
    assert "url(" not in page(report(full()))
    assert "@import" not in page(report(full()))


def test_the_first_words_say_how_it_stands() -> None:
    assert "In step Every device holds exactly what it should." in words(report(calm()))
    bad = words(report(full(), silent()))
    assert "Out of step edge: 1 missing and 1 extra in 1 object" in bad
    assert "away: could not be compared: no answer within 30 s" in bad
    assert "No devices" in words(report())
    loose = msgspec.structs.replace(calm(), attached={"service": False})
    assert "In step, and not all of it is enforced calm: the service policy is not attached" in words(report(loose))


def test_everything_is_told() -> None:
    told = words(report(full()))
    for what in (
        "service shop/pay",
        "shop/pay-1",
        "ReplicaSet/pay",
        "10.64.0.2",
        "growth by 2 from 1 members",
        "Digest feed",
        "How to decide: if it is meant, `fusion-bridge release feed",
        "01070712: no",
        "/Common/fb_acme_x",
        "our name without our mark",
        "modify security firewall policy /Common/site rules add { ours }",
        "Drift since report 11 of 2026-03-01T06:00:00Z",
        "changed on the device, not by this bridge",
        "198.51.100.66",
        "repaired",
        "40 changes (4 create, 36 update); 1 refused",
        "TCP 443, 8000-8080",
        "default-deny",
        "everything outside the cluster",
        f"row 41 {'9f' * 32}",
    ):
        assert what in told, what


def test_hostile_names_are_text() -> None:
    found = Tags(page(report(hostile())))
    assert not {tag for tag, _ in found.tags} & {"script", "img"}
    assert not [name for _, attributes in found.tags for name in attributes if name.startswith("on")]
    told = " ".join(found.words)
    assert all(name.replace("\x1b", "") in told.replace("\x1b", "") for name in HOSTILE)


def test_a_large_fleet_is_a_small_page() -> None:
    found = large()
    assert (found.groups, found.members) == (300, 150_000)
    text = page(found)
    assert len(text) < 1_500_000
    assert text.count('<details class="group">') == 300
    assert "488 more members" in text
    assert '<details class="rest-of"><summary>300 groups as they should be' in text


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_in_a_browser(tmp_path: Path, dark: bool) -> None:
    found = look(page(report(full(), calm(), silent(), hostile())), tmp_path, WIDTHS, dark=dark)
    assert found.console == []
    for one in (*found.closed, *found.open):
        where = one["width"]
        assert one["wide"] <= one["width"], where
        assert one["asked"] == [], "nothing is asked for"
        assert one["scripts"] == 0
        assert {what: one[what] for what in ("empty", "outside", "clipped", "faint")} == {
            "empty": [],
            "outside": [],
            "clipped": [],
            "faint": [],
        }, where
        assert one["bars"] > 50
        assert {"Reconciliation report", "Devices", "edge differs", "calm in step", "away unreadable"} <= set(
            one["headings"]
        )
        light = sum(int(part) for part in one["background"][4:-1].split(",")[:3]) > 3 * 128
        assert light is not dark
    assert [one["width"] for one in found.closed] == list(WIDTHS)
    assert all(more["texts"] > less["texts"] for less, more in zip(found.closed, found.open, strict=True))
    assert "shop/pay-1" in found.open[0]["words"]


def test_a_large_fleet_in_a_browser(tmp_path: Path) -> None:
    (found,) = look(page(large(60, 60)), tmp_path, (1280,), opened=False).closed
    assert found["wide"] <= found["width"]
    assert (found["outside"], found["clipped"]) == ([], [])


def test_a_picture_of_it(tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    file.write_text(page(report(full(), calm())), encoding="utf-8")
    taken = picture(file, tmp_path / "report.png", 1280, 1600)
    assert taken[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", taken[16:24]) == (1280, 1600)
    assert len(taken) > 50_000, "something is drawn"
