"""kill -9 at random points of a busy run of the real program, each time followed by a restart."""

import contextlib
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from sqlalchemy import make_url

from bridge.lab.devices.bigip.rig import BigipRig
from bridge.state.embedded import EmbeddedPostgres
from tests.acceptance.site import Bridge, ClusterEntry
from tests.acceptance.world import cluster
from tests.soak.estate import Post, estate_in_files
from tests.soak.inspection import Inspection
from tests.soak.meaning import CLUSTER, INSIDE, RANGES
from tests.soak.proof import Findings, Order, Proof
from tests.soak.town import Town

_REPLICAS = {"term": 1.5, "renewal": 0.25, "deadline": 1.0}  # who comes after the dead one waits for its leases to end
_DELIVERY = {"auditInterval": 300, "pollInterval": 1, "saveAfter": 0.5}
_LONGEST = 3.0  # seconds into a run; it is up and at work after about one


@dataclass
class Stand:
    """A cluster, devices, and the program between them."""

    town: Town
    posts: Sequence[Post]
    bridge: Bridge
    inspection: Inspection
    random: Random

    def busy(self, seconds: float, writes: int) -> None:
        """Steps for so long, or until the BIG-IP has been written to so often: a point in the middle of a plan."""
        rig = self.posts[0].rig
        assert isinstance(rig, BigipRig)
        device, until = rig.device, time.monotonic() + seconds
        last = _written(device.writes()) + writes
        while time.monotonic() < until and not (writes and _written(device.writes()) >= last):
            self.town.step()
            device.wait_until(lambda: bool(writes) and _written(device.writes()) >= last, self.random.uniform(0, 0.03))

    def kill(self) -> None:
        """No warning."""
        self.bridge.stop(signal.SIGKILL)


def run(order: Order, findings: Findings) -> None:
    """Of the kills, some meet a program that rests no more, others one that has just begun; whenever it is let live, all comes right."""
    kills, settled = order.times(20, 200), 0
    with stand(order) as made:
        made.bridge.start()
        made.inspection.first(findings)
        for number in range(1, kills + 1):
            if len(findings.wrong) >= 10:
                break
            made.busy(made.random.uniform(0, _LONGEST), made.random.choice((0, 0, made.random.randint(1, 12))))
            made.kill()
            for _ in range(made.random.randrange(12)):
                made.town.step()
            made.bridge.start()
            if number == kills or made.random.random() < 0.6:
                made.busy(0.3, 0)
                made.inspection.judge(findings, made.town.sources(12), f"kill {number}")
                findings.expect(made.bridge.running, f"kill {number}: the program ended: {made.bridge.log()[-3:]}")
                settled += 1
            findings.progress(number, kills)
        made.inspection.conclude(findings)
        findings.figures |= {"kills": kills, "looked at": settled, "steps": made.town.steps, "devices": len(made.posts)}


@contextlib.contextmanager
def stand(order: Order) -> Iterator[Stand]:
    """Everything but the started program."""
    random = Random(order.seed)
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(EmbeddedPostgres(order.folder / "data", durable=False))
        made = stack.enter_context(cluster(CLUSTER))
        posts = stack.enter_context(estate_in_files(order.folder))
        assert isinstance(posts[0].rig, BigipRig)
        posts[0].rig.device.tokens.limit = 1000  # each kill leaves one behind, and twenty minutes are many kills
        town = Town(made, Random(random.random()))
        for _ in range(80):
            town.step()
        town.begin()
        bridge = Bridge(order.folder, {}, [ClusterEntry(CLUSTER, made.api.kubeconfig, RANGES, INSIDE)])
        devices = [_device(order.folder, one) for one in posts]
        bridge.write_settings({"owner": "fb", "devices": devices, "delivery": _DELIVERY, "replicas": _REPLICAS})
        stack.callback(bridge.stop, signal.SIGKILL)
        conninfo = make_url(server.url).set(drivername="postgresql").render_as_string(hide_password=False)
        yield Stand(
            town,
            posts,
            bridge,
            Inspection(town, posts, conninfo, random, lambda: bridge.running, said=lambda: _said(order.folder)),
            random,
        )


def _device(folder: Path, post: Post) -> Mapping[str, Any]:
    """The device as the settings name it."""
    config = post.config()
    for word in ("username", "password"):
        try:
            text = config.credentials.value(word)
        except KeyError:
            text = "unused"
        (folder / f"{post.name}-{word}").write_text(text)
    own: dict[str, Any] = dict(config.scope)
    if config.kind == "memory":
        own["file"] = str(folder / f"{own['form']}.json")
    default = {"action": "Deny", "unknownAddresses": "Deny"}
    return {
        "name": config.name,
        "kind": config.kind,
        "url": config.url,
        "timeout": 5,
        "credentials": {word: {"file": f"{post.name}-{word}"} for word in ("username", "password")},
        "tls": {"verify": False},
        "scope": {"clusters": {CLUSTER: {"default": default}}, config.kind: own},
        "attach": dict(config.attach),
    }


def _written(writes: Sequence[Any]) -> int:
    return int(writes[-1].number) if writes else 0


PROOF = Proof("kill", "kill -9 at random points of a busy run, each followed by a restart", run)


def _said(folder: Path) -> list[str]:
    """The program's log as it stands: a line may be cut short."""
    return (folder / "bridge.log").read_text(encoding="utf-8", errors="replace").splitlines()
