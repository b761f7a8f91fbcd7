"""A simulated cluster, devices of every kind and form, and the bridge between them in this process; each device tells every moment."""

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

from bridge.cli.controller import Controller
from bridge.cli.units import ClusterUnit, ControllerSettings, DeviceUnit
from bridge.clock import SystemClock
from bridge.cluster.settings import ClusterConfig
from bridge.delivery.worker import WorkerSettings
from bridge.lab.device import Moment
from bridge.model.policy import Protocol
from bridge.policy.compile import Target
from bridge.policy.evaluate import Packet, Verdict
from bridge.policy.freeze import Freeze
from bridge.state.database import Database
from bridge.state.embedded import EmbeddedPostgres
from tests.acceptance.site import eventually
from tests.acceptance.world import Cluster, cluster
from tests.soak.estate import Post, estate
from tests.soak.meaning import CLUSTER, DENY, GOVERNANCE


@dataclass
class Wall(SystemClock):
    """The machine's clock, ahead by as much as a test says."""

    ahead: timedelta = timedelta(0)

    def now(self) -> datetime:
        """The wall clock in UTC."""
        return super().now() + self.ahead


@dataclass
class Stand:
    """All of it. `freezes` are those of each device, as of the next start."""

    made: Cluster
    posts: Sequence[Post]
    database: Database
    freezes: dict[str, tuple[Freeze, ...]] = field(default_factory=dict)
    clock: Wall = field(default_factory=Wall)
    controller: Controller | None = None

    def start(self) -> None:
        """The bridge begins."""
        targets = [Target(one.name, one.factory.capabilities(one.config()), DENY) for one in self.posts]
        targets = [replace(one, freezes=self.freezes.get(one.name, ())) for one in targets]
        unit = ClusterUnit(ClusterConfig(CLUSTER, kubeconfig=self.made.api.kubeconfig), GOVERNANCE, tuple(targets))
        worker = WorkerSettings(poll_interval=1.0, save_after=1.0)
        devices = [
            DeviceUnit(one.watched(), one.config(), (CLUSTER,), worker, audit_interval=3600.0) for one in self.posts
        ]
        self.controller = Controller(self.database, [unit], devices, self.clock, ControllerSettings(retry=0.2))
        self.controller.start()

    def stop(self) -> None:
        """It ends."""
        if self.controller is not None:
            self.controller.stop()
            self.controller = None

    def post(self, name: str) -> Post:
        """One device."""
        return next(one for one in self.posts if one.name == name)

    def await_all(self, wanted: Mapping[tuple[str, str], bool], *but: str, seconds: float = 60.0) -> None:
        """Until every device, but these, lets through just what it should: by source and destination."""
        for post in self.posts:
            if post.name not in but:
                self.await_one(post.name, wanted, seconds)

    def await_one(self, name: str, wanted: Mapping[tuple[str, str], bool], seconds: float = 60.0) -> None:
        """Until this device does."""
        post = self.post(name)
        eventually(f"{name} does as it should: {wanted}", lambda: lets(post.now(), wanted) == dict(wanted), seconds)


def passes(moment: Moment, source: str, destination: str) -> bool:
    """Whether a device lets an HTTPS request through."""
    return moment.verdict(Packet(source, destination, Protocol.TCP, 443)) is Verdict.ALLOW


def lets(moment: Moment, asked: Iterable[tuple[str, str]]) -> dict[tuple[str, str], bool]:
    """What of this a device lets through."""
    return {(source, to): passes(moment, source, to) for source, to in asked}


@contextlib.contextmanager
def stand(folder: Path) -> Iterator[Stand]:
    """Everything but the bridge, started."""
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(EmbeddedPostgres(folder / "postgres", durable=False))
        made = stack.enter_context(cluster(CLUSTER))
        posts = stack.enter_context(estate())
        database = Database(server.url)
        stack.callback(database.close)
        database.upgrade()
        found = Stand(made, posts, database)
        stack.callback(found.stop)
        yield found
