"""The adapters and the device simulators that are installed, found by entry point and loaded only when asked for."""

from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any

from bridge.contract import AdapterFactory
from bridge.errors import SettingsError

if TYPE_CHECKING:
    from bridge.lab.device import SimulatorFactory

ADAPTERS = "fusion_bridge.adapters"
LAB_DEVICES = "fusion_bridge.lab_devices"


class InstalledAdapters:
    """By kind."""

    def __init__(self) -> None:
        self._found = {point.name: point for point in entry_points(group=ADAPTERS)}
        self._loaded: dict[str, AdapterFactory] = {}

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of device that can be spoken to."""
        return tuple(sorted(self._found))

    def package(self, kind: str) -> str:
        """The distribution that brings the kind, with its version; "" where nobody says."""
        brought = self._found[kind].dist
        return f"{brought.name} {brought.version}" if brought else ""

    def factory(self, kind: str) -> AdapterFactory:
        """The factory of one kind. SettingsError when there is none, or it cannot be loaded."""
        if kind not in self._loaded:
            if kind not in self._found:
                raise SettingsError({"kind": f"no adapter for {kind}; there are {', '.join(self.kinds)}"})
            self._loaded[kind] = _load(self._found[kind])
        return self._loaded[kind]


def lab_devices() -> tuple[str, ...]:
    """The kinds of device that can be simulated."""
    return tuple(sorted(point.name for point in entry_points(group=LAB_DEVICES)))


def lab_device(kind: str) -> "SimulatorFactory":
    """What makes a simulator of this kind. SettingsError when there is none."""
    for point in entry_points(group=LAB_DEVICES, name=kind):
        made: SimulatorFactory = _load(point)
        return made
    raise SettingsError({"kind": f"no simulator for {kind}; there are {', '.join(lab_devices())}"}, "the command line")


def _load(point: EntryPoint) -> Any:  # noqa: ANN401 (checked by type where it is used)
    load: Callable[[], Any] = point.load
    try:
        return load()
    except (ImportError, AttributeError) as error:
        words = f"the adapter {point.value} cannot be loaded: {error}"
        raise SettingsError({point.name: words}, "the installation") from error
