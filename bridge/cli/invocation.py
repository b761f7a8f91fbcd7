"""One call of the program: its global options, and the settings that follow from them, read when a command asks."""

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from bridge.cli.output import Format, Output

if TYPE_CHECKING:
    from bridge.settings import BaseSettings, Settings


class LogLevel(StrEnum):
    """The least that is logged; the settings' own words, known before the settings are."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass
class Invocation:
    """What stands before the command. Reading settings starts the log as they say."""

    config: Path | None = None
    data_dir: Path | None = None
    format: Format = Format.TEXT
    log_level: str | None = None

    @property
    def output(self) -> Output:
        """Where the answer goes."""
        return Output(self.format)

    @property
    def debugging(self) -> bool:
        """Whether tracebacks are wanted."""
        return self.log_level == "debug"

    @cached_property
    def file(self) -> Path | None:
        """The settings file, whether or not it can be read."""
        from bridge.settings import locate

        return locate(self.config)

    @cached_property
    def settings(self) -> "Settings":
        """All settings. SettingsError with every problem."""
        from bridge.cli.adapters import InstalledAdapters
        from bridge.settings import load

        settings = load(self.file, InstalledAdapters())
        self._start_log(settings)
        return settings

    @cached_property
    def base(self) -> "BaseSettings":
        """Database, data folder and log, whatever the state of the rest of the file."""
        from bridge.settings import load_base

        settings = load_base(self.file)
        self._start_log(settings)
        return settings

    def folder(self, settings: "BaseSettings") -> Path:
        """The data folder: `--data-dir`, else the settings', else the platform's."""
        from bridge.state.embedded import default_data_dir

        return self.data_dir or settings.data_dir or default_data_dir()

    def _start_log(self, settings: "BaseSettings") -> None:
        from bridge.cli.log import configure

        configure(self.log_level or settings.log.level.value, settings.log.format.value)


def invocation(context: typer.Context) -> Invocation:
    """The call that a command belongs to."""
    found = context.find_object(Invocation)
    if found is None:
        raise RuntimeError("a command ran without its program")
    return found
