"""Replicas that are stopped past their lease in the middle of calls to devices, and resumed."""

import contextlib
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import psycopg
from sqlalchemy import make_url

from adapters.nftables.names import Names
from bridge.lab.devices.bigip import Bigip
from bridge.lab.devices.bigip.rig import BigipRig
from bridge.policy.evaluate import Packet, Verdict
from bridge.state.database import Database
from bridge.state.embedded import EmbeddedPostgres
from tests.acceptance.site import Bridge, ClusterEntry
from tests.acceptance.world import cluster
from tests.adapters.nftables.machine import nft
from tests.adapters.nftables.rig import TABLE, NftablesRig
from tests.soak import record
from tests.soak.estate import Post, estate_in_files
from tests.soak.held_calls import Gate, Hold, Way, way
from tests.soak.inspection import Inspection
from tests.soak.judgement import differences
from tests.soak.marks import MARK, Marks
from tests.soak.meaning import CLUSTER, INSIDE, RANGES
from tests.soak.proof import Findings, Order, Proof
from tests.soak.town import Town

_OWNER = "fb"
_REPLICAS = {"term": 2, "renewal": 0.4, "deadline": 1.4}
_MANY = {"percent": 100, "count": 100_000}
_GUARD = {"removalsPerGroup": _MANY, "removalsPerDevice": _MANY, "growthPerGroup": _MANY}  # it has proofs of its own
_DELIVERY = {"auditInterval": 300, "pollInterval": 1, "saveAfter": 0.5, "guard": _GUARD}
_TIMEOUT = 5.0  # seconds for a call to a device
_LATE = 3.5  # seconds after the fence of the new owner at which a call of the one before lands, at most
_PATIENCE = 60.0
_FENCE = "data-group/internal"

Connection = psycopg.Connection[tuple[Any, ...]]

# Every write of what belongs to one owner, by a process that is not the owner while the transaction holds the lease row.
_WATCH = """
CREATE TABLE soak_replica (name text, pid text);
CREATE TABLE soak_stale (at timestamptz DEFAULT clock_timestamp(), who text, what text, owner text);
CREATE FUNCTION soak_note() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE who text := current_setting('soak.replica', true); named text; holder text;
BEGIN
    IF coalesce(who, '') = '' THEN RETURN NEW; END IF;
    named := to_jsonb(NEW) ->> TG_ARGV[1];
    SELECT l.holder INTO holder FROM replica_lease l WHERE l.role = TG_ARGV[0] AND l.name = named;
    IF NOT EXISTS (SELECT FROM soak_replica r WHERE r.name = who AND r.pid = split_part(holder, '/', 2)) THEN
        INSERT INTO soak_stale (who, what, owner) VALUES (who, TG_TABLE_NAME || ' of ' || named, holder);
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER soak AFTER INSERT ON audit FOR EACH ROW EXECUTE FUNCTION soak_note('device', 'device');
CREATE TRIGGER soak AFTER INSERT OR UPDATE ON verified FOR EACH ROW EXECUTE FUNCTION soak_note('device', 'device');
CREATE TRIGGER soak AFTER INSERT OR UPDATE ON held_plan FOR EACH ROW EXECUTE FUNCTION soak_note('device', 'device');
CREATE TRIGGER soak AFTER UPDATE OF applied_generation, applied_digest, verified_at ON device_object
    FOR EACH ROW EXECUTE FUNCTION soak_note('device', 'device');
CREATE TRIGGER soak_cluster AFTER UPDATE OF desired_generation, desired_digest ON device_object
    FOR EACH ROW EXECUTE FUNCTION soak_note('cluster', 'cluster');
CREATE TRIGGER soak AFTER UPDATE OF last_read, last_verified ON device
    FOR EACH ROW EXECUTE FUNCTION soak_note('device', 'name');
CREATE TRIGGER soak AFTER UPDATE OF revision ON cluster FOR EACH ROW EXECUTE FUNCTION soak_note('cluster', 'name');
CREATE TRIGGER soak AFTER INSERT OR UPDATE ON feedback FOR EACH ROW EXECUTE FUNCTION soak_note('cluster', 'cluster');
"""


@dataclass
class Replica:
    """A process of the program, and what holds its calls, by device."""

    name: str
    bridge: Bridge
    holds: Mapping[str, Hold]

    def signal(self, number: int) -> None:
        """SIGSTOP or SIGCONT."""
        assert self.bridge.process is not None
        self.bridge.process.send_signal(number)

    @property
    def pid(self) -> str:
        """As in the names of holders."""
        return str(self.bridge.process.pid) if self.bridge.process else ""


@dataclass
class Stand:
    """A cluster, two devices, and two replicas between them."""

    town: Town
    posts: Mapping[str, Post]
    replicas: Sequence[Replica]
    inspection: Inspection
    connection: Connection
    random: Random
    rounds: int = 0
    calls_seen: int = 0
    owner: str = ""
    stranger: int = 0  # calls of others in the reign of `owner`
    figures: dict[str, int] = field(default_factory=dict)

    @property
    def bigip(self) -> Bigip:
        """The device that cannot compare and swap."""
        rig = self.posts["edge"].rig
        assert isinstance(rig, BigipRig)
        return rig.device

    def count(self, what: str, amount: int = 1) -> None:
        """For the figures."""
        self.figures[what] = self.figures.get(what, 0) + amount

    def owners(self) -> dict[tuple[str, str], tuple[str, int, bool]]:
        """Role → pid of the holder, "" where there is none, the epoch, and whether the take-over is not complete."""
        query = """SELECT role, name, split_part(holder, '/', 2), epoch, taking_over, expires_at > clock_timestamp()
            FROM replica_lease"""
        rows = self.connection.execute(query).fetchall()
        return {(role, name): (pid if live else "", epoch, over) for role, name, pid, epoch, over, live in rows}

    def until(self, what: str, holds: Callable[[], object], *, busy: bool = True, seconds: float = _PATIENCE) -> bool:
        """Go on with the town's life until it holds; AssertionError when it does not in time."""
        limit = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > limit:
                raise AssertionError(f"not within {seconds:g} s: {what}")
            if busy:
                self.town.step()
            time.sleep(self.random.uniform(0.01, 0.05))
        return True

    def shared(self) -> bool:
        """Whether each replica acts for a device, and nothing is being handed over."""
        found = self.owners()
        pids = {pid for (role, _), (pid, _, over) in found.items() if role == "device" and pid and not over}
        return pids == {one.pid for one in self.replicas}


def run(order: Order, findings: Findings) -> None:
    """In each round one replica is stopped; what it was about to write is let go when the other has taken over."""
    rounds = order.times(10, 100)
    with stand(order) as made:
        made.inspection.first(findings)
        for number in range(1, rounds + 1):
            if len(findings.wrong) >= 10:
                break
            _round(made, findings, f"round {number}", sorted(made.posts)[number % 3 == 2], held=number % 5 != 0)
            findings.progress(number, rounds)
        findings.wrong += [f"touched, and not ours: {one}" for post in made.posts.values() for one in post.touched()]
        findings.wrong += record.broken(made.connection, ())[:20]
        findings.wrong += record.broken_chains(made.inspection.conninfo)
        stale = made.connection.execute("SELECT who, what, owner FROM soak_stale").fetchall()
        findings.expect(made.figures.get("calls held", 0) > 0, "no call was held: nothing is proven")
        findings.wrong += [f"in Postgres: {who} wrote {what}, which {owner} owns" for who, what, owner in stale[:10]]
        findings.figures |= {"pauses": rounds, "stale in Postgres": len(stale)} | made.figures


def _round(made: Stand, findings: Findings, when: str, device: str, *, held: bool) -> None:
    """Stop the one, let the other take over, resume; look at once when the take-over counts as complete."""
    made.until("each acts for a device", made.shared)
    before = made.owners()
    stopped = next(one for one in made.replicas if one.pid == before["device", device][0])
    other = next(one for one in made.replicas if one is not stopped)
    lost = [role for role, (pid, _, _) in before.items() if pid == stopped.pid]
    holds = [stopped.holds[name] for kind, name in lost if kind == "device"] if held else []
    for one in holds:
        one.arm()
    with contextlib.suppress(AssertionError):
        made.until(
            "a call is held", lambda: holds and all(one.holds for one in holds), seconds=made.random.uniform(0, 3)
        )
    stopped.signal(signal.SIGSTOP)
    made.count("calls held", sum(one.holds for one in holds))
    try:
        made.until("the other takes over", lambda: all(made.owners()[role][0] == other.pid for role in lost))
        for name in (name for kind, name in lost if kind == "device"):
            made.until(f"its fence stands on {name}", partial(_fenced, made, name))
        fenced = time.monotonic()
        with contextlib.suppress(AssertionError):  # what lands on a device at rest is not written over by chance
            made.until("the other has delivered", partial(_delivered, made), busy=False, seconds=2)
        for action in ("go", "resume") if made.random.random() < 0.7 else ("resume", "go"):
            time.sleep(made.random.uniform(0, 0.4))
            if action == "resume":
                stopped.signal(signal.SIGCONT)
            else:
                early = time.monotonic() - fenced < _LATE
                over = [name for kind, name in lost if kind == "device" and not made.owners()["device", name][2]]
                findings.expect(
                    not (early and over), f"{when}: the take-over of {over} is complete before a late call had its time"
                )
                _let_go(made, holds)
    finally:
        stopped.signal(signal.SIGCONT)
    _complete(made, findings, [name for kind, name in lost if kind == "device"], when)
    for one in holds:
        if isinstance(one, Gate) and one.code is not None:
            made.count("late calls refused by compare-and-swap", int(one.code != 0))
            findings.expect(one.code != 0, f"{when}: a stale transaction was taken by the gateway")
    _strangers(made, findings, when)
    made.town.begin()
    findings.expect(all(one.bridge.running for one in made.replicas), f"{when}: a replica ended")


def _let_go(made: Stand, holds: Sequence[Hold]) -> None:
    """What was held lands; whether that changes what packets meet is a figure."""
    packets = list(made.town.packets(made.town.sources(100)))
    for one in holds:
        watched = one.holds and isinstance(one, Way)
        before = _met(made, packets) if watched else []
        one.let_go()
        if watched:
            time.sleep(0.1)
            made.count("late calls that packets met", int(_met(made, packets) != before))


def _met(made: Stand, packets: Sequence[Packet]) -> list[Verdict]:
    """What becomes of these on the BIG-IP."""
    moment = made.posts["edge"].now()
    return [moment.verdict(packet) for packet in packets]


def _delivered(made: Stand) -> bool:
    return not record.waiting(made.connection)


def _complete(made: Stand, findings: Findings, names: Sequence[str], when: str) -> None:
    """When the take-over counts as complete, and nothing that is recorded waits, each device is as it should be: without another look."""

    made.rounds += 1
    marks = Marks(made.town.cluster, made.rounds)
    marks.write()

    def quiet() -> bool:
        over = any(made.owners()["device", name][2] for name in names)
        return not over and marks.recorded(made.connection) and not record.waiting(made.connection)

    made.until("the take-over is complete, and all is recorded and delivered", quiet, busy=False)
    reading, owners = made.town.reading(), made.town.owners()
    packets = list(made.town.packets(made.town.sources(100)))
    narrowed = record.narrowed(made.connection)
    for post in made.posts.values():
        less = [one for one in narrowed.get(post.name, ()) if MARK not in one]
        wrong = differences(post.form, post.now(), packets, reading, owners, narrower=bool(less))
        findings.wrong += [f"{when}: {post.name} when its take-over counted as complete: {one}" for one in wrong[:5]]


def _fenced(made: Stand, device: str) -> bool:
    """Whether the fence of its epoch stands there, or a higher one."""
    _, epoch, _ = made.owners()["device", device]
    if device == "edge":
        found = made.bigip.objects("ltm/data-group/internal", f"/Common/{_OWNER}")
        records = {one["name"]: one["data"] for one in found.get(f"/Common/{_OWNER}/fence", {}).get("records", ())}
        return int(records.get("epoch", 0)) >= epoch
    row = made.connection.execute("SELECT id::text FROM installation").fetchone()
    rig = made.posts[device].rig
    assert isinstance(rig, NftablesRig)
    assert row is not None
    return Names(_OWNER).fence(epoch, str(row[0])) in nft(rig.name, "list", "table", "inet", TABLE, check=False)


def _strangers(made: Stand, findings: Findings, when: str) -> None:
    """Calls that change something, by another than the one whose fence stands: one at most after each take-over."""
    for call in [one for one in made.bigip.requests() if one.number > made.calls_seen]:
        made.calls_seen = call.number
        if call.method == "GET" or not call.path.startswith("/mgmt/tm/") or not 200 <= call.status < 300:
            continue
        if _FENCE in call.path and call.user != made.owner:
            made.owner, made.stranger = call.user, 0
        elif call.user != made.owner:
            made.stranger += 1
            made.count("stale calls that a device took")
            findings.expect(made.stranger <= 1, f"{when}: {call.user} went on: {call.method} {call.path}")


@contextlib.contextmanager
def stand(order: Order) -> Iterator[Stand]:
    """Everything, with both replicas running."""
    random = Random(order.seed)
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(EmbeddedPostgres(order.folder / "data", durable=False))
        made = stack.enter_context(cluster(CLUSTER))
        every = stack.enter_context(estate_in_files(order.folder))
        posts = {one.name: one for one in every if one.name in ("edge", "gateway-tiered")}
        town = Town(made, Random(random.random()))
        for _ in range(60):
            town.step()
        town.begin()
        conninfo = make_url(server.url).set(drivername="postgresql").render_as_string(hide_password=False)
        connection = stack.enter_context(_watched(conninfo))
        replicas = [_replica(stack, order, name, conninfo, made.api.kubeconfig, posts) for name in ("first", "second")]
        for one in replicas:
            one.bridge.start()
            stack.callback(one.bridge.stop, signal.SIGKILL)
            connection.execute("INSERT INTO soak_replica VALUES (%s, %s)", [one.name, one.pid])
        inspection = Inspection(town, list(posts.values()), conninfo, random, lambda: replicas[0].bridge.running)
        yield Stand(town, posts, replicas, inspection, connection, random)


@contextlib.contextmanager
def _watched(conninfo: str) -> Iterator[Connection]:
    """A connection to the database with all tables, which notes who writes what is not his."""
    database = Database(conninfo)
    database.upgrade()
    database.close()
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute(_WATCH.encode())
        yield connection


def _replica(
    stack: contextlib.ExitStack,
    order: Order,
    name: str,
    conninfo: str,
    kubeconfig: Path,
    posts: Mapping[str, Post],
) -> Replica:
    folder = order.folder / name
    folder.mkdir()
    holds: dict[str, Hold] = {}
    devices = []
    for post in posts.values():
        config = post.config()
        url, own = config.url, dict(config.scope)
        if isinstance(post.rig, BigipRig):
            post.rig.device.tokens.add_user(name, f"of-{name}")
            holds[post.name] = made = stack.enter_context(way(url))
            url = made.url
        else:
            holds[post.name] = gate = Gate(folder / "gate")
            own["program"] = gate.program
        for word, text in (("username", name), ("password", f"of-{name}")):
            (folder / word).write_text(text)
        default = {"action": "Deny", "unknownAddresses": "Deny"}
        devices.append(
            {
                "name": post.name,
                "kind": config.kind,
                "url": url,
                "timeout": _TIMEOUT,
                "credentials": {word: {"file": word} for word in ("username", "password")},
                "tls": {"verify": False},
                "scope": {"clusters": {CLUSTER: {"default": default}}, config.kind: own},
                "attach": dict(config.attach),
            }
        )
    mine = f"{conninfo}{'&' if '?' in conninfo else '?'}options=-c%20soak.replica%3D{name}"
    environment = {"FUSION_BRIDGE_DATABASE_URL": mine}
    bridge = Bridge(folder, {}, [ClusterEntry(CLUSTER, kubeconfig, RANGES, INSIDE)], environment=environment)
    bridge.write_settings({"owner": _OWNER, "devices": devices, "delivery": _DELIVERY, "replicas": _REPLICAS})
    return Replica(name, bridge, holds)


PROOF = Proof("pause", "a replica stopped past its lease in the middle of a device call, then resumed", run)
