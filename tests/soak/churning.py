"""Churn: pods, rules and hands of people at random, over devices of every form at once, with faults all the time."""

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from sqlalchemy import make_url

from bridge.cli.controller import Controller
from bridge.cli.units import ClusterUnit, ControllerSettings, DeviceUnit
from bridge.clock import SystemClock
from bridge.cluster.backoff import BackoffSettings
from bridge.cluster.settings import ClusterConfig, ReflectorSettings
from bridge.delivery.pacing import PacingSettings
from bridge.delivery.worker import WorkerSettings
from bridge.lab.apiserver import ApiServer
from bridge.policy.compile import Target
from bridge.state.database import Database
from bridge.state.embedded import EmbeddedPostgres
from tests.acceptance.world import cluster
from tests.soak import absence
from tests.soak.estate import Post, estate
from tests.soak.hands import Hands
from tests.soak.inspection import Inspection
from tests.soak.meaning import CLUSTER, DENY, GOVERNANCE
from tests.soak.proof import Findings, Order, Proof
from tests.soak.storm import Storm
from tests.soak.town import Town

_SOON = PacingSettings(first=0.05, longest=0.4, denied=0.3)
_WATCH = ReflectorSettings(backoff=BackoffSettings(first=0.05, longest=0.3, slow=(0.1, 0.3)))


@dataclass
class Stand:
    """All that a churn is made of."""

    town: Town
    api: ApiServer
    database: Database
    posts: Sequence[Post]
    controller: Controller
    storm: Storm
    hands: Hands
    inspection: Inspection
    random: Random


def run(order: Order, findings: Findings) -> None:
    """Rounds of steps in a storm, each followed by quiet in which everything must come right."""
    steps, each = order.times(1_000, 10_000), order.times(50, 100)
    with stand(order) as made:
        inspection = made.inspection
        inspection.first(findings)
        rounds = 0
        while made.town.steps < steps and len(findings.wrong) < 10:
            # Every other time nobody changes anything by hand and nothing is refused for good: then no audit is to be needed.
            audited = made.random.random() < 0.5
            made.storm.begin(refusing=audited)
            longest = made.random.choice((0.02, 0.02, 0.0))  # all at once makes one large plan
            for _ in range(each):
                made.town.step()
                if audited:
                    made.hands.maybe()
                time.sleep(made.random.uniform(0, longest))
            made.storm.end()
            for worker in list(made.controller.workers.values()) if audited else ():
                worker.audit()
            rounds += 1
            sources = made.town.sources(100 if rounds % 10 == 0 else 8)
            inspection.judge(findings, sources, f"step {made.town.steps}")
            findings.progress(made.town.steps, steps)
        if not findings.wrong:
            absence.episode(inspection, made.api, made.database, findings)
        inspection.conclude(findings)
        findings.figures |= {
            "steps": made.town.steps,
            "devices": len(made.posts),
            "faults ordered": made.storm.count.total(),
            "met by devices": sum(post.hits for post in made.posts),
            "by hand": made.hands.count,
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
        inspection = Inspection(town, posts, database.conninfo, random)
        yield Stand(town, made.api, database, posts, controller, storm, hands, inspection, random)


def _controller(database: Database, kubeconfig: Path, posts: Sequence[Post]) -> Controller:
    targets = tuple(Target(one.name, one.factory.capabilities(one.config()), DENY) for one in posts)
    unit = ClusterUnit(ClusterConfig(CLUSTER, kubeconfig=kubeconfig), GOVERNANCE, targets)
    worker = WorkerSettings(poll_interval=1.0, save_after=1.0, pacing=_SOON)
    devices = [DeviceUnit(one.watched(), one.config(), (CLUSTER,), worker, audit_interval=3600.0) for one in posts]
    return Controller(database, [unit], devices, SystemClock(), ControllerSettings(retry=0.2, watch=_WATCH))


PROOF = Proof("churn", "pods, rules and hands at random, on every device at once, with faults all the time", run)
