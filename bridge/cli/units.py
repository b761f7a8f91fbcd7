"""From settings to the units that the controller runs."""

from bridge.cli.adapters import InstalledAdapters
from bridge.cli.assembly import cluster_config, governance, secret_store, targets, worker_settings
from bridge.cli.controller import ClusterUnit, ControllerSettings, DeviceUnit
from bridge.settings import Settings


def cluster_units(settings: Settings, adapters: InstalledAdapters) -> tuple[ClusterUnit, ...]:
    """Every cluster, with the devices that serve it. SettingsError for an adapter that cannot be loaded."""
    return tuple(
        ClusterUnit(cluster_config(one), governance(one), targets(settings, one.name, adapters))
        for one in settings.clusters
    )


def device_units(settings: Settings, adapters: InstalledAdapters) -> tuple[DeviceUnit, ...]:
    """Every device, with the clusters that it serves. SettingsError for an adapter that cannot be loaded."""
    secrets = secret_store(settings)
    return tuple(
        DeviceUnit(
            factory=adapters.factory(device.kind),
            config=device.config(settings.owner, secrets),
            clusters=tuple(device.scope.clusters),
            settings=worker_settings(settings.delivery, device),
            audit_interval=settings.delivery.audit_interval,
        )
        for device in settings.devices
    )


def controller_settings(settings: Settings) -> ControllerSettings:
    """What holds for the whole process."""
    return ControllerSettings(history_days=settings.history.days)
