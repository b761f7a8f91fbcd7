"""Clusters and devices that a filter names: one that is not there is no empty list, but a mistake that is told."""

from bridge.api.problems import Missing
from bridge.api.site import Site
from bridge.state.device_store import DeviceStore
from bridge.state.report_store import ReportStore


def cluster(site: Site, name: str | None) -> str | None:
    """The name of a cluster of the settings, or of one that is recorded; None for none. Raises Missing."""
    if not name or name in site.traced:
        return name or None
    recorded = {one.name for one in ReportStore(site.database).clusters()}
    if name not in recorded:
        raise Missing(f"there is no cluster {name}; there are {_listed(recorded | set(site.traced))}")
    return name


def device(site: Site, name: str | None) -> str | None:
    """The name of a device of the settings, or of one that is recorded; None for none. Raises Missing."""
    if not name or name in site.devices:
        return name or None
    recorded = set(DeviceStore(site.database).names())
    if name not in recorded:
        raise Missing(f"there is no device {name}; there are {_listed(recorded | set(site.devices))}")
    return name


def _listed(names: set[str]) -> str:
    return ", ".join(sorted(names)) or "none"
