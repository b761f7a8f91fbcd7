"""F5's own schema of AS3 and its examples, which lie beside the checkout; what needs them is skipped by name where they do not."""

import gzip
import json
from collections.abc import Callable
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

DATA = Path(__file__).parents[4] / "shared" / "device-data" / "as3"
_SCHEMA = DATA / "as3-schema-3.56.0.json.gz"

Judge = Callable[[dict[str, Any]], list[str]]


@cache
def judge() -> Judge | None:
    """Says what F5's schema has against a body; None where the schema, or what judges by it, is absent."""
    if not _SCHEMA.exists() or find_spec("jsonschema") is None:
        return None
    validator = import_module("jsonschema").Draft7Validator
    schema = json.loads(gzip.decompress(_SCHEMA.read_bytes()))
    whole = {word: validator({"$ref": f"#/definitions/{word}", **schema}) for word in ("AS3", "ADC")}

    def objections(body: dict[str, Any]) -> list[str]:
        found = whole[body.get("class", "ADC")].iter_errors(body)
        return [f"/{'/'.join(str(part) for part in one.absolute_path)}: {one.message[:200]}" for one in found]

    return objections


def needed() -> Judge:
    """The same, where a test is about nothing else."""
    found = judge()
    if found is None:
        pytest.skip("F5's schema of AS3 is not beside the checkout, or jsonschema is not installed")
    return found


def example(name: str) -> dict[str, Any]:
    """One of F5's examples."""
    if not DATA.exists():
        pytest.skip("F5's examples of AS3 are not beside the checkout")
    found: dict[str, Any] = json.loads((DATA / "examples" / f"{name}.json").read_text())
    return found
