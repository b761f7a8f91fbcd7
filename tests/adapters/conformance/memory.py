"""A small tiered device in memory, spoken to without HTTP, its rig, and an adapter for it that keeps the contract.

An empty group matches everything on it, it checks no reference, and makes each write visible by itself unless told several at once.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from time import time
from typing import Any, ClassVar

from bridge.contract import DeviceConfig
from bridge.errors import Busy, Denied, DeviceError, Drifted, FencedOff, NotOwned, Rejected, Unsupported
from bridge.lab.device import Moment, Trouble
from bridge.model.addresses import canonical_member, overlap
from bridge.model.capabilities import Capabilities, Form, Limits
from bridge.model.examination import Finding, fine
from bridge.model.flows import Flow
from bridge.model.identity import Kind, ObjectKey, Scope
from bridge.model.intent import (
    DeviceObject,
    FenceState,
    Foreign,
    Group,
    Intent,
    Objects,
    Policy,
    Ports,
    ReadScope,
    RuleEntry,
    RuleList,
    Schedule,
    Shard,
    Snapshot,
)
from bridge.model.plan import Fence, Op, Outcome, Plan, Step
from bridge.model.policy import Action, IcmpType, Protocol
from bridge.model.schedules import check_schedule
from bridge.policy.evaluate import Packet, Verdict

PASSWORD = "correct-horse"
PLACEHOLDER = "0.0.0.0/32"
PAGE = "<html>Please log in</html>"
_PORTED = (Protocol.TCP, Protocol.UDP, Protocol.SCTP)
_TIERS = (Scope.CLUSTER, Scope.NAMESPACE, Scope.SERVICE)


@dataclass(frozen=True, slots=True)
class Record:
    """One object on the device: who says that it is his, and what it is."""

    mark: str
    body: Any = None


State = dict[str, Record]


class No(Exception):
    """The device refuses."""

    def __init__(self, status: int, words: str = "", name: str = "") -> None:
        self.status, self.words, self.name = status, words, name
        super().__init__(words)


@dataclass
class Server:
    """The device."""

    records: State = field(default_factory=dict)
    states: list[State] = field(default_factory=list)
    limits: Mapping[str, int] = field(default_factory=dict)
    calls: int = 0
    trouble: Trouble | None = None
    skip: int = 0
    times: int | None = None
    writes_only: bool = False
    hits: int = 0

    def read(self) -> State | str:
        """Everything."""
        return self._call(lambda: dict(self.records), write=False)

    def write(self, changes: Mapping[str, Record | None]) -> State | str:
        """Change these objects at once."""
        return self._call(lambda: self.change(changes), write=True)

    def change(self, changes: Mapping[str, Record | None]) -> State:
        """As `write`, from inside."""
        after = {name: record for name, record in {**self.records, **changes}.items() if record is not None}
        for name, record in changes.items():
            self._check(name, record, after)
        self.records = after
        self.states.append(after)
        return after

    def _check(self, name: str, record: Record | None, after: State) -> None:
        body = record.body if record else None
        groups = sum(isinstance(one.body, Group) for one in after.values())
        counts = {
            "group_members": len(body.members) if isinstance(body, Group) else 0,
            "groups": groups if isinstance(body, Group) and name not in self.records else 0,
            "rules": len(body.entries) if isinstance(body, RuleList) else 0,
        }
        for limit, count in counts.items():
            if count > self.limits.get(limit, count):
                raise No(422, f"too many {limit}", name)

    def _call(self, work: Callable[[], State], *, write: bool) -> State | str:
        self.calls += 1
        trouble = self._met(write)
        if trouble is None:
            return work()
        self.hits += 1
        if trouble is Trouble.LOST:
            work()
        if trouble in (Trouble.LOST, Trouble.CUT):
            raise ConnectionError("gone")
        if trouble is Trouble.SILENCE:
            raise TimeoutError
        if trouble is Trouble.HTML:
            return PAGE
        raise No(_STATUS[trouble], f"cannot serve {PASSWORD}" if trouble is Trouble.ECHO else str(trouble))

    def _met(self, write: bool) -> Trouble | None:
        if self.trouble is None or (self.writes_only and not write) or self.times == 0:
            return None
        if self.skip:
            self.skip -= 1
            return None
        self.times = None if self.times is None else self.times - 1
        return self.trouble


_STATUS = {
    Trouble.UNAUTHORIZED: 401,
    Trouble.FORBIDDEN: 403,
    Trouble.MISSING: 404,
    Trouble.CONFLICT: 409,
    Trouble.TOO_MANY: 429,
    Trouble.UNAVAILABLE: 503,
    Trouble.ECHO: 400,
}
SERVERS: dict[str, Server] = {}


class MemoryAdapter:
    """The contract, step by step; small methods, for a mutant to get one of them wrong."""

    can: ClassVar = Capabilities(Form.TIERED, icmp_types=True, protocols=True, schedules=True)
    most: ClassVar = Limits(name_length=190, batch=4)

    def __init__(self, config: DeviceConfig) -> None:
        self.owner = config.owner
        self.calls = 0
        self._server = SERVERS[config.url]
        self._password = config.credentials.value("password")
        self._permit = config.permit

    device = "edge"

    @property
    def capabilities(self) -> Capabilities:
        return self.can

    @property
    def limits(self) -> Limits:
        return self.most

    # ---- values

    def normalize(self, intent: Intent) -> Objects:
        found, problems = {}, {}
        for key, value in intent.objects.items():
            try:
                found[key] = self.canonical(value)
            except ValueError as error:
                problems[str(key)] = str(error)
        if problems:
            raise Unsupported("edge", problems)
        return found

    def canonical(self, value: DeviceObject) -> DeviceObject:
        match value:
            case Group():
                return replace(value, members=self.members(value.members), fqdns=self.fqdns(value.fqdns))
            case Shard():
                return replace(value, members=self.members(value.members))
            case Ports():
                if not value.ports:
                    raise ValueError("no ports")
                return replace(value, ports=tuple(sorted(set(value.ports))))
            case RuleList():
                return replace(value, entries=tuple(self.entry(entry) for entry in value.entries))
            case Schedule():
                if not self.can.schedules:
                    raise ValueError("no schedules")
                check_schedule(value)
                return value
            case _:
                return value

    def members(self, members: frozenset[str]) -> frozenset[str]:
        return frozenset(canonical_member(member) for member in members)

    def fqdns(self, names: frozenset[str]) -> frozenset[str]:
        if names:
            raise ValueError("no names")
        return names

    def entry(self, entry: RuleEntry) -> RuleEntry:
        if (
            entry.bandwidth
            or (entry.schedule and (entry.action is not Action.ALLOW or not self.can.schedules))
            or not entry.sources
            or not entry.destinations
            or (entry.ports and entry.protocol not in _PORTED)
        ):
            raise ValueError(entry.name)
        sides = [tuple(sorted(set(side))) for side in (entry.sources, entry.destinations)]
        return replace(entry, sources=sides[0], destinations=sides[1], icmp=tuple(sorted(set(entry.icmp))))

    def name(self, key: ObjectKey) -> str:
        return f"{self.owner}_{key}"

    def mark(self, key: ObjectKey | str) -> str:
        return f"fb:{self.owner}:{key}"

    def is_ours(self, name: str, record: Record) -> bool:
        return name.startswith(f"{self.owner}_") and record.mark == self.mark(name.partition("_")[2])

    def body(self, value: DeviceObject) -> DeviceObject:
        if isinstance(value, Group | Shard) and not value.members and not any(value.references()):
            return replace(value, members=frozenset({PLACEHOLDER}))
        return value

    def value(self, body: DeviceObject) -> DeviceObject:
        if isinstance(body, Group | Shard):
            return replace(body, members=body.members - {PLACEHOLDER})
        return body

    # ---- calls

    def ask(self) -> State:
        return self.send(self._server.read, write=False)

    def tell(self, changes: Mapping[str, Record | None]) -> State:
        self.permitted()
        return self.send(lambda: self._server.write(changes), write=True)

    def permitted(self) -> None:
        self._permit()

    def send(self, call: Callable[[], State | str], *, write: bool) -> State:
        self.calls += 1
        try:
            answer = call()
        except No as no:
            problem = self.meaning(no, write=write)
        except (ConnectionError, TimeoutError) as error:
            problem = Busy("edge", f"no answer ({type(error).__name__})")
        else:
            return self.judged(answer)
        raise problem

    def judged(self, answer: State | str) -> State:
        if isinstance(answer, str):
            raise Busy("edge", "a page for people")
        return answer

    def meaning(self, no: No, *, write: bool) -> DeviceError:
        if no.status in (429, 503):
            return Busy("edge", f"answered {no.status}")
        if write and no.status in (404, 409):
            return Drifted("edge", f"answered {no.status}")
        if no.status == 422:
            return Rejected("edge", {no.name.partition("_")[2]: no.words})
        return Denied("edge", f"answered {no.status}")

    # ---- the contract

    def read(self, scope: ReadScope) -> Snapshot:
        state = self.ask()
        keys = {name: ObjectKey.parse(name.partition("_")[2]) for name in state if self.is_object(name, state[name])}
        objects = {key: self.value(state[name].body) for name, key in keys.items()}
        if scope.keys is not None:
            objects = {key: value for key, value in objects.items() if key in scope.keys}
        foreign = [name for name in state if name not in keys and self.looks_ours(name, state[name])]
        return Snapshot("edge", objects, tuple(map(Foreign, foreign)), self.fence(state), complete=scope.everything)

    def is_object(self, name: str, record: Record) -> bool:
        return name != f"{self.owner}_fence" and self.is_ours(name, record)

    def looks_ours(self, name: str, record: Record) -> bool:
        return name != f"{self.owner}_fence" and (
            name.startswith(f"{self.owner}_") or record.mark.startswith(f"fb:{self.owner}:")
        )

    def fence(self, state: State) -> FenceState:
        record = state.get(f"{self.owner}_fence")
        return record.body if record else FenceState()

    def apply(self, plan: Plan, fence: Fence) -> Outcome:
        observed: dict[ObjectKey, DeviceObject | None] = {}
        for steps in self.parts(plan):
            state = self.ask()
            self.check_fence(self.fence(state), fence)
            changes = self.changes([step for step in steps if self.is_open(step, state)])
            if changes:
                self.tell(changes)
            observed.update({step.key: step.after for step in steps})
        return Outcome(observed)

    def parts(self, plan: Plan) -> Iterable[Sequence[Step]]:
        if self.can.atomic:
            return plan.phases
        return [(step,) for step in plan.steps]

    def changes(self, steps: Iterable[Step]) -> dict[str, Record | None]:
        return {
            self.name(step.key): Record(self.mark(step.key), self.body(step.after)) if step.after else None
            for step in steps
        }

    def check_fence(self, state: FenceState, fence: Fence) -> None:
        if not fence.passes(state):
            raise FencedOff("edge", f"epoch {state.epoch}")

    def is_open(self, step: Step, state: State) -> bool:
        """Whether the step is still to be done; an error where it cannot be."""
        name = self.name(step.key)
        record = state.get(name)
        if record is None:
            return self.on_missing(step)
        if not self.is_ours(name, record):
            raise NotOwned("edge", [name], {str(step.key): "not ours"})
        return self.on_standing(step, self.value(record.body))

    def on_missing(self, step: Step) -> bool:
        if step.op is Op.UPDATE:
            raise Drifted("edge", f"{step.key} is gone")
        return step.op is Op.CREATE

    def on_standing(self, step: Step, standing: DeviceObject) -> bool:
        if step.op is Op.CREATE and standing != step.after:
            raise Drifted("edge", f"{step.key} is there")
        return step.op is not Op.CREATE

    def raise_fence(self, fence: Fence) -> None:
        state = self.fence(self.ask())
        self.check_fence(state, fence)
        if state != FenceState(fence.epoch, fence.installation):
            body = FenceState(fence.epoch, fence.installation)
            self.tell({f"{self.owner}_fence": Record(self.mark("fence"), body)})

    def adopt(self, keys: Collection[ObjectKey], fence: Fence) -> None:
        state = self.ask()
        self.check_fence(self.fence(state), fence)
        named = {self.name(key): key for key in keys}
        changes: dict[str, Record | None] = {
            name: Record(self.mark(key), state[name].body)
            for name, key in named.items()
            if name in state and not self.is_ours(name, state[name])
        }
        if changes:
            self.tell(changes)

    def active(self) -> bool:
        return True

    def save(self) -> None:
        return

    def flows(self, sources: Collection[str]) -> Sequence[Flow]:  # noqa: ARG002
        """It tracks none."""
        return ()

    def close_flows(self, flows: Collection[Flow], fence: Fence) -> int:  # noqa: ARG002
        """It tracks none."""
        return 0

    def examine(self) -> Sequence[Finding]:
        return [fine("device", f"it answers, and holds {len(self.ask())} records")]

    def close(self) -> None:
        return


@dataclass
class Factory:
    """Opens one kind of adapter."""

    adapter: type[MemoryAdapter]
    kind: str = "memory"

    def capabilities(self, _config: DeviceConfig) -> Capabilities:
        return self.adapter.can

    def limits(self, _config: DeviceConfig) -> Limits:
        return self.adapter.most

    def problems(self, _config: DeviceConfig) -> dict[str, str]:
        return {}

    def open(self, config: DeviceConfig) -> MemoryAdapter:
        return self.adapter(config)


class MemoryMoment:
    """First match in each tier of the owner "fb"."""

    def __init__(self, state: State) -> None:
        self._bodies = {name.partition("_")[2]: r.body for name, r in state.items() if name.startswith("fb_")}

    def dangling(self) -> Sequence[str]:
        bodies = {key: body for key, body in self._bodies.items() if hasattr(body, "references")}
        return [f"{key} -> {to}" for key, body in bodies.items() for to in body.references() if str(to) not in bodies]

    def verdict(self, packet: Packet, at: float | None = None) -> Verdict:
        now = time() if at is None else at
        for tier in _TIERS:
            action = next(self._actions(tier, packet, now), Action.PASS)
            if action is not Action.PASS:
                return Verdict(action)
        return Verdict.UNMATCHED

    def _actions(self, tier: Scope, packet: Packet, now: float) -> Iterator[Action]:
        policy = self._bodies.get(str(ObjectKey(Kind.POLICY, "", tier)))
        for key in policy.lists if isinstance(policy, Policy) else ():
            for entry in getattr(self._bodies.get(str(key)), "entries", ()):
                ended = entry.schedule and self._bodies[str(entry.schedule)].until.timestamp() <= now
                if not ended and self._matches(entry, packet):
                    yield entry.action

    def _matches(self, entry: RuleEntry, packet: Packet) -> bool:
        sides = ((entry.sources, packet.source), (entry.destinations, packet.destination))
        if not all(any(self._holds(key, address) for key in keys) for keys, address in sides):
            return False
        if entry.protocol is not Protocol.ANY and (entry.protocol, entry.number) != (packet.protocol, packet.number):
            return False
        if entry.icmp and not (packet.icmp and any(_within(one, packet.icmp) for one in entry.icmp)):
            return False
        ports = self._bodies.get(str(entry.ports)) if entry.ports else None
        return ports is None or any(one.first <= packet.port <= one.last for one in ports.ports)

    def _holds(self, key: ObjectKey, address: str) -> bool:
        group = self._bodies.get(str(key))
        if group is None or not (group.members or any(group.references())):
            return True
        parts = [self._bodies.get(str(part)) for part in group.references()]
        members = group.members.union(*(part.members for part in parts if part))
        return not members or overlap(members, (address,))


def _within(wanted: IcmpType, seen: IcmpType) -> bool:
    return wanted.type == seen.type and wanted.code in (None, seen.code)


class MemoryRig:
    """The controls."""

    troubles = frozenset(Trouble)
    limits: Mapping[str, int] = {"group_members": 5, "groups": 4, "rules": 3}

    def __init__(self, url: str) -> None:
        self._url = url
        self.server = SERVERS[url] = Server()

    def config(self, *, owner: str = "fb", batch: int | None = None, timeout: float = 10.0) -> DeviceConfig:
        return DeviceConfig("edge", "memory", self._url, owner, _Login(), {"batch": batch}, timeout=timeout)

    def reset(self) -> None:
        self.server = SERVERS[self._url] = Server()

    def plant(self) -> Collection[str]:
        alike = {"fb_group:prod/service/shop/web2": "site", "copy": "fb:fb:group:prod/service/shop/web"}
        self.server.change(
            {name: Record(mark, Ports(ObjectKey(Kind.PORTS, "", Scope.RULE), ())) for name, mark in alike.items()}
        )
        self.server.change({"unrelated": Record("site")})
        return set(alike)

    def contents(self) -> Mapping[str, bytes]:
        return {name: f"{record.mark} {_text(record.body)}".encode() for name, record in self.server.records.items()}

    def calls(self) -> int:
        return self.server.calls

    def moments(self) -> Sequence[Moment]:
        return [MemoryMoment(state) for state in self.server.states]

    def disturb(self, trouble: Trouble, *, skip: int = 0, times: int | None = None, writes: bool = False) -> None:
        self.server.trouble, self.server.skip, self.server.times, self.server.writes_only = trouble, skip, times, writes

    def calm(self) -> int:
        hits, self.server.hits, self.server.trouble = self.server.hits, 0, None
        return hits

    def narrow(self, limit: str) -> None:
        self.server.limits = {limit: self.limits[limit]}

    def unmark(self, key: ObjectKey) -> str:
        name = f"fb_{key}"
        self.server.change({name: replace(self.server.records[name], mark="mine now")})
        return name

    def tamper(self, key: ObjectKey) -> None:
        record = self.server.records[f"fb_{key}"]
        body = replace(record.body, members=record.body.members | {"10.66.0.66"})
        self.server.change({f"fb_{key}": replace(record, body=body)})

    def secrets(self) -> Collection[str]:
        return {PASSWORD}


class _Login:
    def value(self, name: str) -> str:
        return {"password": PASSWORD}[name]


@contextmanager
def memory_rig() -> Iterator[MemoryRig]:
    url = f"memory:{len(SERVERS)}"
    yield MemoryRig(url)
    SERVERS[url] = Server()


def _text(body: object) -> str:
    """The same for equal bodies: sets have no order of their own."""
    if isinstance(body, Group | Shard):
        return f"{body.key} {sorted(body.members)} {getattr(body, 'shards', 0)}"
    return str(body)
