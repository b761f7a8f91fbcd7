"""What the product is made of: .ci/sbom.py FOLDER writes sbom.cdx.json (CycloneDX 1.6) and licences.txt of requirements/runtime.txt.

Everything is read from the environment that this runs in, which must hold the locked versions; nothing is asked for over the network. Of
the same lock come the same files, byte for byte. What the lock names for other systems only is left out. Ends with 1, after writing, when
a licence is not known or leaves no choice but the GPL.
"""

import json
import re
import sys
import uuid
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

LOCK = Path(__file__).parents[1] / "requirements" / "runtime.txt"
PRODUCT = "fusion-bridge"
UNKNOWN = "unknown"
# What metadata without an SPDX expression says, and which licence that is.
_SPDX = {
    "Apache 2.0": "Apache-2.0",
    "Apache License Version 2.0": "Apache-2.0",
    "ISC License": "ISC",
    "Apache Software License": "Apache-2.0",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
}
_IDENTIFIER = re.compile(r"[A-Za-z0-9.+-]+-[0-9][A-Za-z0-9.+-]*|MIT|ISC")
_EXPRESSION = re.compile(rf"\(*({_IDENTIFIER.pattern})\)*( (AND|OR|WITH) \(*({_IDENTIFIER.pattern})\)*)*")
_GPL = ("GPL", "AGPL", "GNU General Public", "GNU Affero")
_CLASSIFIER = "License :: OSI Approved :: "


def locked(lock: Path) -> Iterator[Requirement]:
    """The requirements of a lock file that apply to this system."""
    for line in lock.read_text().splitlines():
        if line and not line.startswith((" ", "#")):
            found = Requirement(line.removesuffix("\\").strip())
            if found.marker is None or found.marker.evaluate():
                yield found


def installed(requirement: Requirement) -> Distribution:
    """The distribution that a lock names. SystemExit where another version stands in its place, or none."""
    try:
        found = distribution(requirement.name)
    except PackageNotFoundError:
        raise SystemExit(f"{requirement.name} is locked and not installed: make env") from None
    if found.version not in requirement.specifier:
        raise SystemExit(
            f"{requirement.name} is {found.version} here and {requirement.specifier} in the lock: make env"
        )
    return found


def licence(of: Distribution) -> str:
    """An SPDX expression; else the words of the author where they are no more than a name; else "unknown"."""
    told = {field: of.metadata.get_all(field, []) for field in ("License-Expression", "License", "Classifier")}
    kinds = [one.removeprefix(_CLASSIFIER) for one in told.pop("Classifier") if one.startswith(_CLASSIFIER)]
    said = [one for values in (*told.values(), kinds) for one in values]
    words = [_SPDX.get(one, one) for one in said if one and "\n" not in one]
    spdx = next((one for one in words if _EXPRESSION.fullmatch(one)), None)
    return spdx or next(iter(words), UNKNOWN)


def refused(expression: str) -> bool:
    """Whether it is not known, or some part of it leaves no choice but the GPL or AGPL."""
    parts = re.split(r" AND ", re.sub(r"[()]", "", expression))
    return expression == UNKNOWN or any(all(choice.startswith(_GPL) for choice in part.split(" OR ")) for part in parts)


def bill(found: Mapping[str, Distribution], product: Distribution) -> dict[str, Any]:
    """The CycloneDX document."""
    components = [_component(one, "library") for one in found.values()]
    content: dict[str, Any] = {
        "metadata": {"component": _component(product, "application")},
        "components": components,
        "dependencies": [
            {"ref": _reference(one), "dependsOn": sorted(_reference(found[name]) for name in _needs(one, found))}
            for one in (product, *found.values())
        ],
    }
    serial = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(content, sort_keys=True))
    head = {"bomFormat": "CycloneDX", "specVersion": "1.6", "serialNumber": f"urn:uuid:{serial}", "version": 1}
    return {**head, **content}


def _component(of: Distribution, kind: str) -> dict[str, Any]:
    named = licence(of)
    stated = {"expression": named} if _EXPRESSION.fullmatch(named) else {"license": {"name": named}}
    reference = _reference(of)
    name = canonicalize_name(of.metadata["Name"])
    return {
        "type": kind,
        "bom-ref": reference,
        "name": name,
        "version": of.version,
        "purl": reference,
        "licenses": [stated],
    }


def _reference(of: Distribution) -> str:
    return f"pkg:pypi/{canonicalize_name(of.metadata['Name'])}@{of.version}"


def _needs(of: Distribution, known: Iterable[str]) -> set[str]:
    """Which of the known it asks for on this system, with whatever extra: what is in the lock is installed."""
    asked = (Requirement(one) for one in of.requires or ())
    extras = ("", *of.metadata.get_all("Provides-Extra", []))
    met = (one for one in asked if one.marker is None or any(one.marker.evaluate({"extra": extra}) for extra in extras))
    return {str(canonicalize_name(one.name)) for one in met} & set(known)


def main(folder: Path) -> int:
    """Write both files; the exit code."""
    found = {str(canonicalize_name(one.name)): installed(one) for one in locked(LOCK)}
    folder.mkdir(parents=True, exist_ok=True)
    document = json.dumps(bill(found, distribution(PRODUCT)), indent=2)
    (folder / "sbom.cdx.json").write_text(document + "\n")
    rows = {name: licence(one) for name, one in found.items()}
    (folder / "licences.txt").write_text(
        "".join(f"{name} {found[name].version}: {row}\n" for name, row in rows.items())
    )
    bad = [f"{name}: {row}" for name, row in rows.items() if refused(row)]
    print(f"{len(rows)} packages in {folder}/sbom.cdx.json and {folder}/licences.txt")
    if bad:
        print(f"refused: {', '.join(bad)}", file=sys.stderr)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
