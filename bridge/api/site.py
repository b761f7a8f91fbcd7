"""What the API is handed: the state, what the settings say of clusters and devices, and the ways to ask something outside of the state."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from bridge.cluster.orders import Orders
from bridge.report.model import Report
from bridge.report.planned import PlannedDevice
from bridge.report.trace import Site as TracedSite
from bridge.state.database import Database


@dataclass(frozen=True, slots=True)
class Site:
    """One installation as the API sees it. `serving` says of each cluster which devices serve it; `pod_ranges` where its pods live.

    `planned`, `reported` and `read` read devices live, each call anew, and raise what adapters raise; what is `reported` is kept too.
    `orders` opens a connection to a cluster with the credentials of the settings, and raises SettingsError for a name that is none.
    """

    database: Database
    traced: Mapping[str, TracedSite]
    pod_ranges: Mapping[str, tuple[str, ...]]
    serving: Mapping[str, tuple[str, ...]]
    planned: Callable[[str], PlannedDevice]
    reported: Callable[[Sequence[str]], Report]
    orders: Callable[[str], AbstractContextManager[Orders]]
    read: Callable[[Sequence[str]], Report]

    @property
    def devices(self) -> tuple[str, ...]:
        """Every device of the settings, by name."""
        return tuple(sorted({one for names in self.serving.values() for one in names}))
