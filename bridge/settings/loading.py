"""From a file and the environment to Settings, or to every problem at once."""

import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Protocol, TypeVar

from pydantic import BaseModel, ValidationError

from bridge.contract import AdapterFactory, DeviceConfig
from bridge.errors import BridgeError, SettingsError
from bridge.settings import document
from bridge.settings.checks import relations
from bridge.settings.credentials import NO_CREDENTIALS
from bridge.settings.fields import BASE
from bridge.settings.problems import Problems, path_of
from bridge.settings.root import BaseSettings, Settings

Model = TypeVar("Model", bound=BaseModel)

PLACES = (Path("bridge.yaml"), Path("/etc/fusion-bridge/bridge.yaml"))


class Adapters(Protocol):
    """The adapters that are installed; the cli finds them by entry point."""

    @property
    def kinds(self) -> Collection[str]:
        """Their kinds."""
        ...

    def factory(self, kind: str) -> AdapterFactory:
        """The factory of one of them. BridgeError when it cannot be loaded."""
        ...


def locate(option: Path | None, environ: Mapping[str, str] | None = None) -> Path | None:
    """The settings file: `--config`, else FUSION_BRIDGE_CONFIG, else ./bridge.yaml, else /etc/fusion-bridge/bridge.yaml.

    A file that was named is returned whether or not it exists; None when none was named and none is there.
    """
    named = (os.environ if environ is None else environ).get(document.CONFIG, "")
    if option is not None:
        return option
    if named:
        return Path(named)
    return next((place for place in PLACES if place.exists()), None)


def load(path: Path | None, adapters: Adapters, environ: Mapping[str, str] | None = None) -> Settings:
    """All settings, checked. SettingsError holds every problem by its path; nothing but the file has been touched."""
    source, raw, context = _read(path, environ, Settings)
    problems = Problems()
    settings = _validated(Settings, raw, context, problems)
    if settings is None and path is None:
        places = " nor ".join(str(place) for place in PLACES)
        problems.add("--config", f"no settings file: neither named by {document.CONFIG}, nor {places}")
    relations(raw, adapters.kinds, problems)
    _ask_adapters(raw, adapters, problems)
    if settings is None or problems.found:
        raise SettingsError(problems.found, source)
    return settings


def load_base(path: Path | None, environ: Mapping[str, str] | None = None) -> BaseSettings:
    """Database, data folder and log alone, for commands that need no more. SettingsError as `load`."""
    source, raw, context = _read(path, environ, BaseSettings)
    problems = Problems()
    settings = _validated(BaseSettings, raw, context, problems)
    if settings is None:
        raise SettingsError(problems.found, source)
    return settings


def strangers(environ: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """Variables of the environment that look like settings and are none."""
    return document.strangers(os.environ if environ is None else environ, _fields(Settings))


def schema() -> dict[str, Any]:
    """The JSON schema of the settings file."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Settings.model_json_schema()}


def _read(
    path: Path | None, environ: Mapping[str, str] | None, model: type[BaseModel]
) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """Where the settings come from, as they were typed, and the context to check them in."""
    below = document.read(path) if path is not None else {}
    above = document.environment(os.environ if environ is None else environ, _fields(model))
    base = path.absolute().parent if path is not None else Path.cwd()
    return str(path or "the environment"), document.laid_over(below, above), {BASE: base}


def _fields(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


def _validated(model: type[Model], raw: Mapping[str, Any], context: dict[str, Any], problems: Problems) -> Model | None:
    try:
        return model.model_validate(raw, context=context)
    except ValidationError as error:
        problems.take(error, model)
        return None


def _ask_adapters(raw: Mapping[str, Any], adapters: Adapters, problems: Problems) -> None:
    """What only the adapter of a device can judge: its part of the scope, and where it would attach."""
    listed = raw.get("devices")
    for index, device in enumerate(listed if isinstance(listed, list) else []):
        kind = device.get("kind") if isinstance(device, Mapping) else None
        if isinstance(device, Mapping) and "credentials" not in device and not _ambient(kind, adapters):
            problems.add(path_of(("devices", index, "credentials")), "is required")
        if not isinstance(kind, str) or kind not in adapters.kinds:
            continue
        at = path_of(("devices", index))
        try:
            factory, config = adapters.factory(kind), _as_typed(device, kind, raw.get("owner"))
            found = dict(factory.problems(config))
            if device.get("closeFlows") is True and not found and not factory.capabilities(config).close_flows:
                found["closeFlows"] = f"a device of kind {kind} cannot be made to close flows, or not by this version"
        except BridgeError as error:
            problems.add(f"{at}.kind", str(error))
            continue
        for where, words in found.items():
            path = f"{at}.{_typed_at(where, kind)}"
            if where != "owner" and path not in problems.found:  # said once is enough
                problems.add(path, words)


def _ambient(kind: object, adapters: Adapters) -> bool:
    """Whether devices of this kind find their credentials by themselves where the settings state none."""
    try:
        return isinstance(kind, str) and kind in adapters.kinds and getattr(adapters.factory(kind), "ambient", False)
    except BridgeError:
        return False


def _as_typed(device: Mapping[str, Any], kind: str, owner: object) -> DeviceConfig:
    """The device as far as it could be made out, so that a bad field elsewhere hides no problem."""
    scope, attach = device.get("scope"), device.get("attach", "none")
    own = scope.get(kind) if isinstance(scope, Mapping) else None
    attach = {"mode": attach} if isinstance(attach, str) else attach
    return DeviceConfig(
        name=_text(device.get("name")),
        kind=kind,
        url=_text(device.get("url")),
        owner=_text(owner),
        credentials=NO_CREDENTIALS,
        scope=own if isinstance(own, Mapping) else {},
        attach=attach if isinstance(attach, Mapping) else {},
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _typed_at(where: str, kind: str) -> str:
    """Where in the file the adapter's setting stands."""
    first, dot, rest = where.partition(".")
    return f"scope.{kind}{dot}{rest}" if first == "scope" else where
