"""The bill of materials: what the lock says, in CycloneDX, with a licence for each."""

import json
import re
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from packaging.markers import Marker

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / ".ci" / "sbom.py"
_PINNED = re.compile(r"^([a-z0-9._-]+)==(\S+)(?: ; (.*?))? \\$", re.MULTILINE)


def write(folder: Path) -> subprocess.CompletedProcess[str]:
    """What the script makes of this environment."""
    return subprocess.run([sys.executable, SCRIPT, folder], capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sbom")
    done = write(folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def bill(made: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((made / "sbom.cdx.json").read_text())
    return found


def pinned() -> dict[str, str]:
    """Name and version in the lock, but for what other systems alone need."""
    lock = (ROOT / "requirements/runtime.txt").read_text()
    return {name: version for name, version, marker in _PINNED.findall(lock) if not marker or Marker(marker).evaluate()}


def test_it_is_the_lock(bill: dict[str, Any]) -> None:
    assert len(pinned()) > 40
    assert {one["name"]: one["version"] for one in bill["components"]} == pinned()


def test_every_part_has_a_licence_that_is_known_and_is_not_the_gpl_alone(made: Path, bill: dict[str, Any]) -> None:
    rows = dict(line.split(": ", 1) for line in (made / "licences.txt").read_text().splitlines())
    assert rows.keys() == {f"{name} {version}" for name, version in pinned().items()}
    assert {
        row for row in rows.values() if "unknown" in row.lower() or re.search(r"\bA?GPL|GNU (General|Affero)", row)
    } == set()
    for one in bill["components"]:
        (stated,) = one["licenses"]
        assert rows[f"{one['name']} {one['version']}"] == (stated.get("expression") or stated["license"]["name"])


def test_it_says_what_it_is_a_bill_of(bill: dict[str, Any]) -> None:
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    assert re.fullmatch(r"urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", bill["serialNumber"])
    product = bill["metadata"]["component"]
    assert (product["name"], product["licenses"]) == ("fusion-bridge", [{"expression": "Apache-2.0"}])


def test_what_needs_what_ends_at_parts_that_are_there(bill: dict[str, Any]) -> None:
    needs = {one["ref"]: set(one["dependsOn"]) for one in bill["dependencies"]}
    product = bill["metadata"]["component"]["bom-ref"]
    assert needs.keys() == {product, *(one["bom-ref"] for one in bill["components"])}
    reached: set[str] = set()
    waiting = {product}
    while waiting:
        reached |= waiting
        waiting = {one for each in waiting for one in needs[each]} - reached
    assert reached == needs.keys()


def test_the_same_lock_gives_the_same_files(made: Path, tmp_path: Path) -> None:
    assert write(tmp_path).returncode == 0
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        path.name: path.read_bytes() for path in made.iterdir()
    }


@pytest.mark.parametrize(
    ("licence", "refused"),
    [
        ("MIT", False),
        ("LGPL-3.0-only", False),
        ("MIT OR GPL-3.0-only", False),
        ("MPL-2.0", False),
        ("unknown", True),
        ("GPL-3.0-only", True),
        ("AGPL-3.0-or-later", True),
        ("MIT AND GPL-2.0-only", True),
        ("MIT AND (GPL-2.0-only OR Apache-2.0)", False),
        ("GNU General Public License v3 (GPLv3)", True),
        ("GNU Lesser General Public License v3 (LGPLv3)", False),
    ],
)
def test_which_licences_are_refused(licence: str, refused: bool) -> None:
    judge: Callable[[str], bool] = runpy.run_path(str(SCRIPT))["refused"]
    assert judge(licence) is refused
