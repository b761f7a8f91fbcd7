"""`fusion-bridge devices`: the kinds that are installed, what they can, and how each device of the settings looks to its adapter."""

import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bridge.cli.errors import FINDINGS
from bridge.cli.invocation import Invocation, invocation
from bridge.errors import BridgeError, LostLease, Refused, SettingsError, Stopped

if TYPE_CHECKING:
    from bridge.cli.adapters import InstalledAdapters
    from bridge.contract import DeviceConfig
    from bridge.model.capabilities import Capabilities, Limits
    from bridge.model.examination import Finding
    from bridge.settings import DeviceSettings, Settings

Told = dict[str, Any]
Devices = Annotated[
    list[str] | None, typer.Argument(metavar="[DEVICE]…", help="All of the settings unless told.", show_default=False)
]
_TRIAL_SECONDS = 600.0


def devices(
    context: typer.Context,
    names: Devices = None,
    kinds: Annotated[
        bool, typer.Option("--kinds", help="The kinds that are installed alone: no settings, no device is asked.")
    ] = False,
    canary: Annotated[
        bool,
        typer.Option(
            "--canary", help="Try each claim on the devices that are named, in a folder of its own, attached nowhere."
        ),
    ] = False,
    clean: Annotated[
        bool, typer.Option("--clean", help="With --canary: first take back what an interrupted trial has left there.")
    ] = False,
) -> None:
    """What each kind of device can, and whether the devices of the settings are fit: version, credentials and their breadth.

    Reads only, unless --canary is given: that writes under an owner of its own (the settings' owner and a "c"), takes everything back
    but the fence of that owner, and is refused (exit code 3) while that owner has anything there. Exit code 1 where something is wrong.
    """
    from bridge.cli.adapters import InstalledAdapters

    asked, installed = invocation(context), InstalledAdapters()
    if canary and (kinds or not names):
        raise SettingsError({"--canary": "name the devices to try it on"}, "the command line")
    if clean and not canary:
        raise SettingsError({"--clean": "goes with --canary"}, "the command line")
    trial = ("clean" if clean else "as it is") if canary else ""
    told_kinds = [_kind(installed, kind) for kind in installed.kinds]
    told = [] if _alone(asked, names, kinds=kinds) else list(_devices(asked, installed, names or (), trial))
    if asked.output.json:
        asked.output.document({"kinds": told_kinds, "devices": told})
    else:
        _tell(asked, () if names else told_kinds, told)
    if any(finding["state"] == "error" for one in told for finding in (*one["findings"], *one["canary"])):
        raise typer.Exit(FINDINGS)


def _alone(asked: Invocation, names: Sequence[str] | None, *, kinds: bool) -> bool:
    """Whether the kinds are all that can be told, or all that was asked for."""
    return kinds or (not names and asked.file is None)


# ---- kinds


def _kind(installed: "InstalledAdapters", kind: str) -> Told:
    """What a kind can by its default settings; a plug-in that cannot say so spoils nothing but its own line."""
    from bridge.cli.adapters import lab_devices
    from bridge.contract import DeviceConfig
    from bridge.settings.credentials import NO_CREDENTIALS

    told: Told = {"kind": kind, "package": installed.package(kind), "simulator": kind in lab_devices(), "problem": ""}
    config = DeviceConfig(kind, kind, "", "bridge", NO_CREDENTIALS)
    try:
        factory = installed.factory(kind)
        return told | _can(factory.capabilities(config), factory.limits(config))
    except SettingsError as error:
        problem = "; ".join(error.problems.values())
    except Exception as error:  # noqa: BLE001 (somebody else's code)
        problem = f"it does not say what it can: {type(error).__name__}: {error}"
    return told | {"problem": problem, "capabilities": {}, "limits": {}}


def _can(can: "Capabilities", limits: "Limits") -> Told:
    return {"capabilities": asdict(can), "limits": asdict(limits)}


# ---- devices


def _devices(asked: Invocation, installed: "InstalledAdapters", names: Sequence[str], trial: str) -> Iterator[Told]:
    from bridge.cli.assembly import secret_store
    from bridge.cli.deciding import chosen

    settings = asked.settings
    found = [chosen(settings, name) for name in names] or list(settings.devices)
    if trial:
        _permitted(found)
    reader = secret_store(settings)
    for device in found:
        config = replace(device.config(settings.owner, reader), permit=_never)
        factory = installed.factory(device.kind)
        findings = [*_way(device), *_examined(installed, config)]
        tried = list(_tried(asked, installed, device, config, clean=trial == "clean")) if trial else []
        yield {
            "device": device.name,
            "kind": device.kind,
            "mode": str(device.mode),
            **_can(factory.capabilities(config), factory.limits(config)),
            "findings": [_finding(one) for one in findings],
            "canary": [_finding(one) for one in tried],
        }


def _way(device: "DeviceSettings") -> "Iterator[Finding]":
    """What the settings themselves say of the way there."""
    from bridge.model.examination import doubtful

    if device.url.startswith("http://"):
        yield doubtful("way", "http: whoever is in between reads the credentials")
    elif device.url.startswith("https://") and not device.tls.verify:
        yield doubtful("way", "its certificate is not verified: whoever answers is trusted")


def _examined(installed: "InstalledAdapters", config: "DeviceConfig") -> "list[Finding]":
    from bridge.model.examination import wrong

    try:
        with closing(installed.factory(config.kind).open(config)) as adapter:
            return list(adapter.examine())
    except LostLease as error:
        return [wrong("adapter", str(error))]
    except BridgeError as error:
        return [wrong("device", str(error).removeprefix(f"{config.name}: "))]


def _never() -> None:
    """The permit of whoever only looks."""
    raise LostLease("it was asked to look, and tried to write")


def _finding(one: "Finding") -> Told:
    return {"subject": one.subject, "state": str(one.condition), "message": one.message}


# ---- the canary


def _permitted(found: "Sequence[DeviceSettings]") -> None:
    from bridge.settings.devices import Mode

    for device in found:
        if device.mode is not Mode.APPLY:
            raise Refused(f"device {device.name} is in mode plan: nothing is written there, and so nothing is tried")


def _tried(
    asked: Invocation,
    installed: "InstalledAdapters",
    device: "DeviceSettings",
    config: "DeviceConfig",
    *,
    clean: bool,
) -> "Iterator[Finding]":
    from bridge.cli.canary import Canary, Leave
    from bridge.clock import SystemClock
    from bridge.model.examination import wrong

    clock = SystemClock()
    with _stops(asked, asked.settings, device) as check:
        check()
        leave = Leave(clock, _TRIAL_SECONDS, check)
        canary = Canary(installed.factory(device.kind), config, leave, clock, clean=clean)
        try:
            with _ended_by_terminate():
                yield from canary.run()
        except Refused:
            raise
        except BridgeError as error:
            yield wrong("canary", str(error).removeprefix(f"{config.name}: "))


@contextmanager
def _ended_by_terminate() -> Iterator[None]:
    """SIGTERM ends what is under way as an interrupt does: what a trial has made is taken back first."""

    def end(_signal: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _stops(asked: Invocation, settings: "Settings", device: "DeviceSettings") -> Iterator[Callable[[], None]]:
    """What raises Stopped while somebody wants nothing to be written there. Where there is no state yet nobody can have said so."""
    from bridge.cli.state import opened
    from bridge.errors import StateUnavailable
    from bridge.state.decisions import control

    folder = asked.folder(settings)
    if settings.database.url is None and not (folder.expanduser() / "postgres" / "data").exists():
        yield _nobody
        return
    clusters = list(device.scope.clusters)
    with opened(settings, folder) as database:

        def check() -> None:
            try:
                with database.transaction() as connection:
                    stops = control(connection, device.name, clusters).stops
            except StateUnavailable:
                return
            if stops:
                raise Stopped(f"{device.name}: {'; '.join(map(str, stops))}")

        yield check


def _nobody() -> None:
    """Nobody has stopped anything."""


# ---- words


def _tell(asked: Invocation, kinds: Sequence[Told], told: Sequence[Told]) -> None:
    rows = [
        (
            one["kind"],
            str(one["capabilities"].get("form", "-")),
            one["problem"] or _words(one["capabilities"]),
            _figures(one["limits"]) or "-",
            "yes" if one["simulator"] else "no",
            one["package"],
        )
        for one in kinds
    ]
    if rows:
        asked.output.table("Kinds", ("kind", "form", "can", "limits", "simulator", "from"), rows)
    for one in told:
        title = f"{one['device']} ({one['kind']}, {one['capabilities']['form']}, mode {one['mode']})"
        asked.output.line(f"{title}: {_words(one['capabilities'])}; {_figures(one['limits'])}")
        for name, heading in (("findings", "Looked at"), ("canary", "Tried")):
            lines = [(finding["subject"], finding["state"], finding["message"]) for finding in one[name]]
            if lines:
                asked.output.table(f"{heading}: {one['device']}", ("what", "", "told"), lines)


def _words(capabilities: Told) -> str:
    """What it can, in the words of the contract."""
    flags = [name.replace("_", " ") for name, value in capabilities.items() if value is True]
    named = [
        f"{name}: {', '.join(value)}" for name, value in capabilities.items() if isinstance(value, tuple) and value
    ]
    return ", ".join((*flags, *named)) or "allow"


def _figures(limits: Told) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in limits.items() if value)
