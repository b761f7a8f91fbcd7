"""The settings of a device in memory: `url`, `scope` and `attach`, checked and as values.

url: memory://edge       # the device of this name in the process
scope:
  form: allow-only       # or flat: an ordered list
  file: /tmp/edge.json   # where it lives, for several processes to see one device; without it in the process alone
  limits: {group_members: 1000, groups: 500, rules: 100}
attach:
  mode: none             # or ifEmpty: in force where nothing else is
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bridge.contract import DeviceConfig
from bridge.model.capabilities import Form

_URL = re.compile(r"memory://([A-Za-z0-9_.-]+)/?\Z")
_FORMS = (Form.ALLOW_ONLY, Form.FLAT)
_LIMITS = ("group_members", "groups", "rules")


@dataclass(frozen=True, slots=True)
class Scope:
    """The settings of one device as values."""

    name: str
    form: Form = Form.ALLOW_ONLY
    file: Path | None = None
    limits: Mapping[str, int] = field(default_factory=dict)
    attach: bool = False

    @classmethod
    def of(cls, config: DeviceConfig) -> "Scope":
        """The values of settings without problems."""
        found = _URL.match(config.url)
        file = config.scope.get("file")
        return cls(
            name=found[1] if found else "",
            form=Form(config.scope.get("form", Form.ALLOW_ONLY)),
            file=Path(file) if file else None,
            limits=dict(config.scope.get("limits", {})),
            attach=config.attach.get("mode", "none") == "ifEmpty",
        )


def problems(config: DeviceConfig) -> dict[str, str]:
    """What is wrong with the settings, by path."""
    found = dict(_scope_problems(config.scope))
    if not _URL.match(config.url):
        found["url"] = "memory://<any name>"
    for name, value in config.attach.items():
        if name != "mode":
            found[f"attach.{name}"] = "unknown; there is mode"
        elif value not in ("none", "ifEmpty"):
            found["attach.mode"] = "none or ifEmpty"
    return found


def _scope_problems(scope: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    for name, value in scope.items():
        if name == "form" and value not in _FORMS:
            yield "scope.form", f"one of {', '.join(_FORMS)}"
        elif name == "file" and not (isinstance(value, str) and value.startswith("/")):
            yield "scope.file", "a full path"
        elif name == "limits" and not _are_limits(value):
            yield "scope.limits", f"numbers of {', '.join(_LIMITS)}"
        elif name not in ("form", "file", "limits"):
            yield f"scope.{name}", "unknown; there are file, form and limits"


def _are_limits(value: object) -> bool:
    if not isinstance(value, Mapping):
        return False
    return all(name in _LIMITS and isinstance(one, int) and one > 0 for name, one in value.items())
