"""Churn: pods, rules and hands of people at random, over devices of every form at once, with faults all the time."""

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import psycopg
from sqlalchemy import make_url

from bridge.cli.controller import Controller
from bridge.cli.units import ClusterUnit, ControllerSettings, DeviceUnit
from bridge.clock import SystemClock
from bridge.cluster.backoff import BackoffSettings
from bridge.cluster.settings import ClusterConfig, ReflectorSettings
from bridge.delivery.pacing import PacingSettings
from bridge.delivery.worker import WorkerSettings
from bridge.policy.compile import Target
from bridge.state.database import Database
from bridge.state.embedded import EmbeddedPostgres
from tests.acceptance.world import cluster
from tests.soak import record
from tests.soak.estate import Post, estate, sampled
from tests.soak.hands import Hands
from tests.soak.judgement import differences, leaks
from tests.soak.meaning import CLUSTER, DENY, GOVERNANCE
from tests.soak.proof import Findings, Order, Proof
from tests.soak.storm import Storm
from tests.soak.town import Town

_ROUND = 40
_MOMENTS = 12
_PATIENCE = 120.0  # seconds of quiet after which what is not in step counts as lost
_SOON = PacingSettings(first=0.05, longest=0.4, denied=0.3)
_WATCH = ReflectorSettings(backoff=BackoffSettings(first=0.05, longest=0.3, slow=(0.1, 0.3)))


@dataclass
class Stand:
    """All that a churn is made of."""

    town: Town
    posts: Sequence[Post]
    controller: Controller
    storm: Storm
    hands: Hands
    conninfo: str
    random: Random
    checkpoints: list[record.Checkpoint] = field(default_factory=list)

    def settle(self, sources: set[str]) -> list[str]:
        """Wait until all is as it should be; what is not when nothing comes of waiting."""
        until, last = time.monotonic() + _PATIENCE, ["nothing looked at"]
        while time.monotonic() < until:
            last = self._amiss(sources)
            if not last:
                return []
            time.sleep(0.1)
        return last

    def check_way(self, sources: set[str]) -> tuple[int, list[str]]:
        """How many moments of the devices were looked at, and what got through at one of them."""
        count, found = 0, []
        packets = list(self.town.packets(sources - self.hands.added))
        for post in self.posts:
            moments = sampled(post.drain(), _MOMENTS, self.random)
            count += len(moments)
            wrong = leaks(post.form, moments, packets, self.town.during, self.random)
            found += [f"step {self.town.steps}: {post.name}: {one}" for one in wrong]
        return count, found

    def rest(self) -> None:
        """Remember how things are, for when history is judged."""
        with psycopg.connect(self.conninfo, autocommit=True) as connection:
            self.checkpoints.append(record.checkpoint(connection, self.town.reading(), self.town.owners()))

    def history(self) -> list[str]:
        """What is wrong with it."""
        with psycopg.connect(self.conninfo, autocommit=True) as connection:
            return record.broken(connection, self.checkpoints)

    def _amiss(self, sources: set[str]) -> list[str]:
        reading, owners = self.town.reading(), self.town.owners()
        with psycopg.connect(self.conninfo, autocommit=True) as connection:
            found = record.differing(connection, reading, owners)
            if found:
                return found
            if not record.rests(connection):
                return [f"not in step: {[str(row) for row in connection.execute(_WAITING)][:20]}"]
            narrowed = record.narrowed(connection)
        packets = list(self.town.packets(sources | self.hands.added))
        for post in self.posts:
            (now,) = post.rig.moments()[-1:] or (None,)
            if now is None:
                return [f"{post.name} holds nothing"]
            wrong = differences(post.form, now, packets, reading, owners, narrower=bool(narrowed.get(post.name)))
            found += [f"{post.name}: {one}" for one in wrong]
        return found


_WAITING = """SELECT device, key, state, message FROM device_object WHERE applied_generation < desired_generation
    UNION ALL SELECT name, 'device', state, message FROM device WHERE state <> 'ok'"""


def run(order: Order, findings: Findings) -> None:
    """Rounds of steps in a storm, each followed by quiet in which everything must come right."""
    steps = order.times(1_000, 10_000)
    with stand(order) as made:
        sources = made.town.sources(100)
        if not findings.expect(not (wrong := made.settle(sources)), f"from the beginning: {wrong[:10]}"):
            return
        for post in made.posts:
            post.drain()
        moments = 0
        while made.town.steps < steps and len(findings.wrong) < 10:
            made.town.begin()
            made.hands.begin()
            made.storm.begin()
            for _ in range(_ROUND):
                made.town.step()
                made.hands.maybe()
                time.sleep(made.random.uniform(0, 0.02))
            made.storm.end()
            for worker in list(made.controller.workers.values()):
                worker.audit()
            sources = made.town.sources(100 if made.town.steps % (10 * _ROUND) == 0 else 8)
            findings.wrong += [f"step {made.town.steps}: {one}" for one in made.settle(sources)[:10]]
            count, leaked = made.check_way(sources)
            moments += count
            findings.wrong += leaked[:10]
            made.rest()
        findings.wrong += [f"foreign: {one}" for post in made.posts for one in post.touched()]
        findings.wrong += made.history()[:20]
        findings.wrong += record.broken_chains(made.conninfo)
        findings.figures |= {
            "steps": made.town.steps,
            "devices": len(made.posts),
            "faults ordered": made.storm.count.total(),
            "met by devices": sum(post.hits for post in made.posts),
            "by hand": made.hands.count,
            "moments judged": moments,
            "states kept": len(made.checkpoints),
        }


@contextlib.contextmanager
def stand(order: Order) -> Iterator[Stand]:
    """Everything, started."""
    random = Random(order.seed)
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(EmbeddedPostgres(order.folder / "postgres", durable=False))
        made = stack.enter_context(cluster(CLUSTER))
        posts = stack.enter_context(estate())
        database = Database(server.url)
        stack.callback(database.close)
        database.upgrade()
        town = Town(made, Random(random.random()))
        for _ in range(60):
            town.step()
        controller = _controller(database, made.api.kubeconfig, posts)
        stack.callback(controller.stop)
        url = make_url(server.url).set(drivername="postgresql")
        admin = url.set(database="postgres").render_as_string(hide_password=False)
        storm = Storm(posts, made.api, admin, str(url.database), Random(random.random()))
        controller.start()
        hands = Hands(posts, Random(random.random()))
        yield Stand(town, posts, controller, storm, hands, database.conninfo, random)


def _controller(database: Database, kubeconfig: Path, posts: Sequence[Post]) -> Controller:
    targets = tuple(Target(one.name, one.factory.capabilities(one.config()), DENY) for one in posts)
    unit = ClusterUnit(ClusterConfig(CLUSTER, kubeconfig=kubeconfig), GOVERNANCE, targets)
    worker = WorkerSettings(poll_interval=1.0, save_after=1.0, pacing=_SOON)
    devices = [DeviceUnit(one.factory, one.config(), (CLUSTER,), worker, audit_interval=5.0) for one in posts]
    return Controller(database, [unit], devices, SystemClock(), ControllerSettings(retry=0.2, watch=_WATCH))


PROOF = Proof("churn", "pods, rules and hands at random, on every device at once, with faults all the time", run)
