"""What a person decides about: one device as it answers now, what this database says of it, and who decides."""

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from bridge.errors import Refused, SettingsError

if TYPE_CHECKING:
    from bridge.contract import Adapter
    from bridge.model.intent import Snapshot
    from bridge.settings import DeviceSettings, Settings
    from bridge.state.recognition import Decision

By = Annotated[str, typer.Option("--by", metavar="NAME", help="Who decides it: it is written down.")]
Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why: it is written down.")]
_LOOK = 1.0  # seconds between two readings


@dataclass(frozen=True, slots=True)
class Seen:
    """A device as it was read."""

    device: str
    snapshot: "Snapshot"

    @property
    def fence(self) -> str:
        """Whose it is, in words."""
        fence = self.snapshot.fence
        return f"epoch {fence.epoch} of installation {fence.installation or 'unknown'}" if fence.epoch else "none"


def decided(by: str, reason: str) -> "Decision":
    """SettingsError where a name or a reason is missing."""
    from bridge.state.recognition import Decision

    empty = {name: "must not be empty" for name, said in (("--by", by), ("--reason", reason)) if not said.strip()}
    if empty:
        raise SettingsError(empty, "the command line")
    return Decision(by.strip(), reason.strip(), datetime.now(UTC))


def chosen(settings: "Settings", name: str) -> "DeviceSettings":
    """The device of the settings. SettingsError for a name that is none."""
    known = {device.name: device for device in settings.devices}
    if name not in known:
        raise SettingsError({name: f"no such device; there are {', '.join(known)}"}, "the command line")
    return known[name]


@contextmanager
def opened_device(settings: "Settings", device: "DeviceSettings") -> Iterator["Adapter"]:
    """Its adapter, which reads and never writes here."""
    from bridge.cli.adapters import InstalledAdapters
    from bridge.cli.assembly import secret_store

    config = device.config(settings.owner, secret_store(settings))
    with closing(InstalledAdapters().factory(device.kind).open(config)) as adapter:
        yield adapter


def seen(settings: "Settings", name: str) -> Seen:
    """The device as it answers now. Raises Busy, Denied."""
    from bridge.model.intent import EVERYTHING

    with opened_device(settings, chosen(settings, name)) as adapter:
        return Seen(name, adapter.read(EVERYTHING))


def watched(settings: "Settings", name: str, seconds: float) -> Seen:
    """The same, after looking for so long that nobody writes there. Refused when somebody does: whoever writes lives."""
    from bridge.model.intent import EVERYTHING

    until = time.monotonic() + seconds
    with opened_device(settings, chosen(settings, name)) as adapter:
        first = Seen(name, adapter.read(EVERYTHING))
        while (left := until - time.monotonic()) > 0:
            time.sleep(min(_LOOK, left))
            again = adapter.read(EVERYTHING)
            if again.fence != first.snapshot.fence or again.objects != first.snapshot.objects:
                raise Refused(
                    f"device {name} was written to just now, under {first.fence}: its owner lives. Stop that bridge first, "
                    "and ask again"
                )
    return first
