"""A page in headless Chromium: how it lies at several widths, what it asks for, and pictures to look at."""

import html
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

# The page stands in frames of the test's own page, whole and unchanged; the script that measures is outside of it.
_HARNESS = """<!doctype html><meta charset="utf-8"><body style="margin:0">{frames}
<pre id="found"></pre>
<script>
const shown = e => e.getClientRects().length > 0 && e.checkVisibility();
const luminance = c => {{
  const [r, g, b] = c.map(v => v / 255).map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}};
const colour = text => text.match(/[\\d.]+/g).map(Number);
function behind(e, view) {{
  for (; e; e = e.parentElement) {{
    const c = colour(view.getComputedStyle(e).backgroundColor);
    if (c.length < 4 || c[3] > 0) return c.slice(0, 3);
  }}
  return [255, 255, 255];
}}
function contrast(e, view) {{
  const [a, b] = [luminance(colour(view.getComputedStyle(e).color).slice(0, 3)), luminance(behind(e, view))];
  return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
}}
function measure(frame) {{
  const view = frame.contentWindow, page = view.document, width = page.documentElement.clientWidth;
  const texts = [...page.body.querySelectorAll('*')].filter(e =>
    [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim()) && !e.closest('svg') && shown(e));
  const name = e => `${{e.tagName.toLowerCase()}}.${{e.className}}: ${{e.textContent.trim().slice(0, 60)}}`;
  return {{
    width, wide: page.documentElement.scrollWidth,
    texts: texts.length,
    empty: texts.filter(e => {{ const r = e.getBoundingClientRect(); return r.width < 2 || r.height < 2; }}).map(name),
    outside: texts.filter(e => {{
      const r = e.getBoundingClientRect(), card = e.closest('section')?.getBoundingClientRect();
      return r.left < -1 || r.right > (card ? card.right : width) + 1;
    }}).map(name),
    clipped: texts.filter(e => view.getComputedStyle(e).display !== 'inline' && e.scrollWidth > e.clientWidth + 1).map(name),
    faint: texts.filter(e => contrast(e, view) < 4.5).map(name),
    headings: [...page.querySelectorAll('h1, h2, h3')].filter(shown).map(e => e.textContent.trim().replace(/\\s+/g, ' ')),
    bars: page.querySelectorAll('svg rect').length,
    scripts: page.scripts.length,
    background: view.getComputedStyle(page.body).backgroundColor,
    asked: view.performance.getEntriesByType('resource').map(e => e.name),
    words: page.body.innerText,
  }};
}}
addEventListener('load', () => {{
  const frames = [...document.querySelectorAll('iframe')];
  const closed = frames.map(measure);
  frames.forEach(f => f.contentDocument.querySelectorAll('details').forEach(d => d.open = true));
  const open = {opened} ? frames.map(measure) : [];
  document.getElementById('found').textContent = JSON.stringify({{closed, open}});
}});
</script>"""


@dataclass(frozen=True, slots=True)
class Looked:
    """What was found in each frame, with its details closed and open, and what the console said."""

    closed: list[dict[str, Any]]
    open: list[dict[str, Any]]
    console: list[str]


def chromium() -> str:
    """The browser's program; skips the test where there is none, except in CI."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found:
        return found
    if os.environ.get("CI") == "true":
        pytest.fail("chromium is missing: apt-get install chromium")
    pytest.skip("chromium is not installed")


def look(page: str, folder: Path, widths: Iterable[int], *, dark: bool = False, opened: bool = True) -> Looked:
    """Open the page at these widths, in the light or the dark; measure it with its details `opened` too."""
    frames = "".join(
        f'<iframe style="border:0;height:900px" width="{width}" srcdoc="{html.escape(page)}"></iframe>'
        for width in widths
    )
    file = folder / "harness.html"
    file.write_text(_HARNESS.format(frames=frames, opened=str(opened).lower()), encoding="utf-8")
    done = _run(folder, ["--dump-dom", "--hide-scrollbars", "--window-size=1600,1000"], file, dark=dark)
    found = re.search(r'<pre id="found">(.*?)</pre>', done.stdout, re.DOTALL)
    assert found is not None, done.stderr[-2000:]
    measured = json.loads(html.unescape(found[1]))
    console = [line for line in done.stderr.splitlines() if ":CONSOLE" in line]
    return Looked(measured["closed"], measured["open"], console)


def picture(page: Path, file: Path, width: int, height: int, *, dark: bool = False) -> bytes:
    """A picture of the page itself, as PNG."""
    _run(file.parent, [f"--screenshot={file}", f"--window-size={width},{height}", "--hide-scrollbars"], page, dark=dark)
    return file.read_bytes()


def _run(folder: Path, options: list[str], file: Path, *, dark: bool) -> "subprocess.CompletedProcess[str]":
    line = [
        chromium(),
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--no-first-run",
        "--disable-background-networking",
    ]
    line += ["--disable-dev-shm-usage", "--enable-logging=stderr", f"--user-data-dir={folder / 'profile'}"]
    line += ["--force-dark-mode", "--blink-settings=preferredColorScheme=0"] if dark else []
    return subprocess.run([*line, *options, file.as_uri()], capture_output=True, text=True, timeout=120, check=True)
