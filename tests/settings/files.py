"""Settings for tests: a small file that is right, and adapters that have opinions."""

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from bridge.contract import Adapter, DeviceConfig
from bridge.errors import SettingsError
from bridge.model.capabilities import Capabilities, Form, Limits
from bridge.settings import Settings, load

GOOD: dict[str, Any] = {
    "owner": "acme",
    "clusters": [
        {"name": "east", "podRanges": ["10.64.0.0/16"], "serviceRanges": ["10.96.0.0/12"]},
        {"name": "west", "podRanges": ["10.65.0.0/16"], "serviceRanges": ["10.112.0.0/12"]},
    ],
    "devices": [
        {
            "name": "edge",
            "kind": "paper",
            "url": "https://192.0.2.10",
            "credentials": {"username": {"env": "EDGE_USER"}, "password": {"file": "edge-password"}},
            "scope": {
                "clusters": {
                    "east": {"default": {"action": "Deny", "unknownAddresses": "Deny"}},
                    "west": {"default": {"action": "None", "unknownAddresses": "Pass"}},
                },
                "paper": {"colour": "blue"},
            },
        },
    ],
}


class PaperFactory:
    """An adapter that knows one word in its scope and one in attach."""

    kind = "paper"

    def capabilities(self, _config: DeviceConfig) -> Capabilities:
        return Capabilities(Form.TIERED)

    def limits(self, _config: DeviceConfig) -> Limits:
        return Limits()

    def problems(self, config: DeviceConfig) -> Mapping[str, str]:
        found = {f"scope.{key}": "unknown to paper" for key in config.scope if key != "colour"}
        if config.attach.get("mode") not in ("none", "ifEmpty"):
            found["attach.mode"] = "none or ifEmpty"
        return found

    def open(self, _config: DeviceConfig) -> Adapter:
        raise NotImplementedError


class Paper:
    """One adapter that works, and one that does not load."""

    kinds = ("paper", "torn")

    def factory(self, kind: str) -> PaperFactory:
        if kind == "torn":
            raise SettingsError({"torn": "cannot be loaded"}, "the installation")
        return PaperFactory()


def good() -> dict[str, Any]:
    """A copy to spoil."""
    return copy.deepcopy(GOOD)


def changed(path: str, value: object) -> dict[str, Any]:
    """The good settings with one thing set ("devices.0.mode"), or taken out where the value is `...`."""
    raw = good()
    *steps, last = [int(step) if step.isdigit() else step for step in path.split("/")]
    place: Any = raw
    for step in steps:
        place = place.setdefault(step, {}) if isinstance(place, dict) else place[step]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return raw


def loaded(folder: Path, raw: object, environ: Mapping[str, str] | None = None) -> Settings:
    """Written to a file and read from there."""
    path = folder / "bridge.yaml"
    path.write_text(raw if isinstance(raw, str) else yaml.safe_dump(raw), encoding="utf-8")
    return load(path, Paper(), environ or {})


def problems(folder: Path, raw: object, environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """What is wrong with it; empty when nothing is."""
    try:
        loaded(folder, raw, environ)
    except SettingsError as error:
        return error.problems
    return {}
