"""The whole file."""

from collections.abc import Callable
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Self

from pydantic import ConfigDict, Field, model_validator

from bridge.errors import StateUnavailable
from bridge.policy.guard import GuardLimits, Threshold
from bridge.settings.api import ApiSettings
from bridge.settings.clusters import ClusterSettings
from bridge.settings.credentials import secret_in
from bridge.settings.devices import DeviceSettings
from bridge.settings.fields import (
    Count,
    DatabaseUrl,
    FilePath,
    Listen,
    NameServer,
    Owner,
    Percent,
    Schedule,
    Seconds,
    Section,
)
from bridge.settings.freezes import FreezeSettings
from bridge.settings.replicas import ReplicasSettings
from bridge.settings.webhook import WebhookSettings


class Level(StrEnum):
    """The least that is logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogFormat(StrEnum):
    """How a line of the log looks."""

    TEXT = "text"
    JSON = "json"


class LogSettings(Section):
    """The log, on standard error."""

    level: Level = Level.INFO
    format: LogFormat = LogFormat.TEXT


class DatabaseSettings(Section):
    """Where the state is. Without a url, an embedded Postgres in the data folder."""

    url: DatabaseUrl | None = Field(
        None, description="postgresql://user:password@host/database; best from the environment."
    )
    password_file: FilePath | None = Field(
        None, description="The password, in place of one in the url; read for each connection, so that it may change."
    )
    pool_size: int = Field(8, ge=1, le=200, description="Connections kept open; at most twice as many are made.")

    @model_validator(mode="after")
    def _of_a_url(self) -> Self:
        if self.password_file and self.url is None:
            raise ValueError("passwordFile needs url: the embedded Postgres has no password")
        return self

    def password(self) -> Callable[[], str] | None:
        """How the password is read, where a file holds it; StateUnavailable naming the file when it cannot be."""
        return None if self.password_file is None else partial(_password, self.password_file)


def _password(path: Path) -> str:
    try:
        return secret_in(path)
    except KeyError as error:
        raise StateUnavailable(f"database.passwordFile: {error.args[0]}") from None


class MonitoringSettings(Section):
    """Metrics and health over HTTP."""

    listen: Listen = Field("127.0.0.1:9808", description="address:port; loopback unless told.")


class ThresholdSettings(Section):
    """Exceeded when a number is above `count` and above `percent` of what was there."""

    percent: Percent
    count: Count

    def threshold(self) -> Threshold:
        """The guard's value."""
        return Threshold(self.percent, self.count)


def _as_settings(threshold: Threshold) -> ThresholdSettings:
    return ThresholdSettings(percent=threshold.percent, count=threshold.count)


_LIMITS = GuardLimits()


class GuardSettings(Section):
    """Changes that no event proves wait for a person beyond these (SEMANTICS 8)."""

    removals_per_group: ThresholdSettings = _as_settings(_LIMITS.removals_per_group)
    removals_per_device: ThresholdSettings = _as_settings(_LIMITS.removals_per_device)
    growth_per_group: ThresholdSettings = _as_settings(_LIMITS.growth_per_group)
    destination: Percent = Field(
        _LIMITS.destination,
        description="Of all addresses of a family: an edit that lets a destination reach more waits.",
    )
    window: float = Field(
        _LIMITS.window,
        ge=0,
        le=86400,
        description="Seconds for which removals that passed count with those that follow.",
    )
    policy_per_cluster: ThresholdSettings = Field(
        _as_settings(_LIMITS.policy_per_cluster),
        description="Policy objects that lists show no longer and nobody saw deleted: beyond this they stay in force.",
    )

    def limits(self) -> GuardLimits:
        """The guard's values."""
        return GuardLimits(
            self.removals_per_group.threshold(),
            self.removals_per_device.threshold(),
            self.growth_per_group.threshold(),
            self.destination,
            self.window,
            self.policy_per_cluster.threshold(),
        )


class PacingSettings(Section):
    """How a device that refuses is left alone; times in seconds."""

    first: Seconds = 0.5
    longest: Seconds = 30.0
    denied: Seconds = 60.0
    failures: int = Field(5, ge=1, le=1000, description="In a row, before a device counts as unreachable.")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.first > self.longest:
            raise ValueError("first must not be above longest")
        return self


class DeliverySettings(Section):
    """How devices are kept in step; times in seconds."""

    audit_interval: Seconds = Field(300.0, description="Between two complete readings of a device.")
    poll_interval: Seconds = Field(5.0, description="Between two looks at the state when nothing wakes us.")
    activation_interval: Seconds = Field(0.5, description="Between two questions whether what is stored is enforced.")
    save_after: Seconds = Field(10.0, description="From a change until a device is told to keep it over a restart.")
    guard: GuardSettings = Field(default_factory=GuardSettings)
    pacing: PacingSettings = Field(default_factory=PacingSettings)
    freeze: tuple[FreezeSettings, ...] = Field(
        (), description="Windows in which every device keeps to the policy of their beginning."
    )


class WatchSettings(Section):
    """How clusters are watched."""

    page: int = Field(500, ge=1, le=10_000, description="Objects in one page of a list.")
    pod_page: int = Field(2000, ge=1, le=10_000, description="Pods in one page of a list.")
    inactivity: Seconds = Field(
        120.0, ge=70, description="Seconds of silence after which a watch counts as dead; bookmarks come every minute."
    )


class HistorySettings(Section):
    """How long what ended is remembered."""

    days: int = Field(
        400, ge=1, le=36_500, description="Leases, memberships, audit rows and reports older than this go."
    )


class ReportsSettings(Section):
    """Reports that are made and kept without being asked for."""

    schedule: Schedule = Field(
        "0 6 * * *",
        description="Five fields of cron, in UTC, days of the week by name; or none. History.days keeps them.",
    )


class NameSettings(Section):
    """How names are resolved for devices that take none; times in seconds."""

    servers: tuple[NameServer, ...] = Field(
        (), description="Asked in this order; address, address:port or [address]:port. None: those of the system."
    )
    timeout: Seconds = Field(2.0, description="For one question to one server.")
    attempts: int = Field(
        2, ge=1, le=10, description="How often each server is asked before a question counts as failed."
    )
    shortest: Seconds = Field(5.0, description="An answer is good for at least so long, whatever it says.")
    longest: Seconds = Field(3600.0, description="And for at most so long.")
    grace: float = Field(
        300.0,
        ge=0,
        le=86_400,
        allow_inf_nan=False,
        description="An address that is answered no more stays for so long.",
    )
    most: int = Field(64, ge=1, le=4096, description="Addresses of one name.")
    most_names: int = Field(5000, ge=1, le=100_000, description="Names of one cluster.")
    threads: int = Field(4, ge=1, le=64, description="Names of one cluster that are asked about at a time.")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.shortest > self.longest:
            raise ValueError("shortest must not be above longest")
        return self


class BaseSettings(Section):
    """What every command needs, readable even while the rest of the file is unfinished."""

    model_config = ConfigDict(extra="ignore", title="Fusion Bridge: state and log")

    database: DatabaseSettings = Field(default_factory=DatabaseSettings)
    data_dir: FilePath | None = Field(
        None, description="For the embedded Postgres; without it, the user's data folder."
    )
    log: LogSettings = Field(default_factory=LogSettings)


class Settings(BaseSettings):
    """Everything."""

    model_config = ConfigDict(extra="forbid", title="Fusion Bridge settings")

    owner: Owner = Field(description="Marks what is ours on every device; no default, and never to be changed.")
    monitoring: MonitoringSettings = Field(default_factory=MonitoringSettings)
    api: ApiSettings = Field(default_factory=ApiSettings)
    webhook: WebhookSettings | None = Field(
        None, description="Gates new pods by the label of their namespace; without this section nobody is asked."
    )
    replicas: ReplicasSettings = Field(default_factory=ReplicasSettings)
    delivery: DeliverySettings = Field(default_factory=DeliverySettings)
    watch: WatchSettings = Field(default_factory=WatchSettings)
    names: NameSettings = Field(default_factory=NameSettings)
    history: HistorySettings = Field(default_factory=HistorySettings)
    reports: ReportsSettings = Field(default_factory=ReportsSettings)
    clusters: tuple[ClusterSettings, ...] = Field(min_length=1)
    devices: tuple[DeviceSettings, ...] = Field(
        description="May be empty: then clusters are recorded and nothing is enforced."
    )

    def cluster(self, name: str) -> ClusterSettings:
        """The cluster of this name; KeyError when there is none."""
        return {one.name: one for one in self.clusters}[name]

    def serving(self, cluster: str) -> tuple[DeviceSettings, ...]:
        """The devices in whose scope the cluster is."""
        return tuple(device for device in self.devices if cluster in device.scope.clusters)
