"""Whatever is desired, refused, broken or changed by hand: in the end the device holds what is wanted, and nothing opened on the way."""

from collections.abc import Iterable
from dataclasses import replace
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from bridge.delivery.worker import WorkerSettings
from bridge.errors import Busy, DeviceError, Drifted, StateUnavailable
from bridge.model.capabilities import Limits
from bridge.model.identity import Kind, ObjectKey
from bridge.model.intent import DeviceObject, Group, Objects, Policy, RuleList
from bridge.model.policy import Action
from bridge.policy.compile import compile_policy
from bridge.policy.guard import GuardLimits, Threshold
from bridge.state.desired import ObjectState
from tests.delivery.bench import Bench
from tests.delivery.memory import tampered
from tests.policy import device
from tests.policy.reference import Decision
from tests.policy.world import PACKETS, World, worlds

Members = dict[ObjectKey, frozenset[str]]
SEEDS = st.integers(0, 2**32 - 1)


def _without_everything(world: World) -> World:
    """An edit to every address would be held."""
    externals = {
        ref: replace(one, addresses=tuple(a.replace("0.0.0.0/0", "198.51.100.0/24") for a in one.addresses))
        for ref, one in world.externals.items()
    }
    return replace(world, externals=externals)


ONE = worlds(most=4).map(_without_everything)
WORLDS = st.lists(ONE, min_size=1, max_size=3)
TINY = Limits(shard_members=2, batch=4)
ROOMY = Limits(shard_members=4, batch=100)


def _desire(bench: Bench, world: World) -> None:
    """What intake would record of this world, as one batch or as several."""
    compiled = compile_policy(world.policy, world.target())
    objects = device.holdings(compiled, world)
    selected = {key: device.members(objects, key) for key in compiled.groups}
    state = bench.state
    keys = {*compiled.objects, *compiled.groups}
    state.no_longer(*(key for key, row in state.rows.items() if not row.gone and key not in keys))
    for key in selected:
        state.want_group(key)
    moves = [(key, a) for key, members in selected.items() for a in members]
    leaves = [(key, a) for key in selected for a in state.members.get(key, {}) if a not in selected[key]]
    state.move(moves, leaves)
    state.want(*compiled.objects.values())


def _meant(world: World) -> dict[ObjectKey, DeviceObject]:
    return device.holdings(compile_policy(world.policy, world.target()), world)


def _same(have: Objects, want: Objects) -> None:
    """Groups as sets of members, however they are split; lists line by line, whatever the lines are called."""
    kinds = (Kind.GROUP, Kind.PORTS, Kind.RULE_LIST, Kind.POLICY)
    assert {key for key in have if key.kind in kinds} == {key for key in want if key.kind in kinds}
    for key, value in want.items():
        match value, have[key]:
            case Group(), Group():
                assert device.members(have, key) == device.members(want, key), key
            case RuleList() as meant, RuleList() as found:
                assert [entry.name.upper() for entry in meant.entries] == [entry.name for entry in found.entries]
            case Policy() as meant, found:
                assert meant == found
            case meant, found:
                assert meant == found
    assert not device.dangling(have)


def _quiet(bench: Bench) -> None:
    """Nothing more to do: a second look and a restart find nothing."""
    writes = bench.memory.writes
    assert not bench.state.pending
    bench.worker.audit()
    bench.settle()
    bench.restart()
    bench.settle()
    assert bench.memory.writes == writes


@given(WORLDS, st.booleans(), st.sampled_from((TINY, ROOMY)), st.booleans())
def test_the_device_follows_what_is_wanted(through: list[World], atomic: bool, limits: Limits, turns: bool) -> None:
    bench = Bench(atomic=atomic, limits=limits)
    for world in through:
        _desire(bench, world)
        if turns:
            bench.settle()
    bench.settle()
    _same(bench.memory.objects, _meant(through[-1]))
    _quiet(bench)


@given(ONE, ONE, st.sampled_from((TINY, ROOMY)))
def test_nothing_opens_on_the_way(before: World, after: World, limits: Limits) -> None:
    """On a device without transactions, in every state that it goes through from one world to the other."""
    bench = Bench(atomic=False, limits=limits)
    _desire(bench, before)
    bench.settle()
    bench.memory.history.clear()
    _desire(bench, after)
    bench.settle()
    old, new = _meant(before), _meant(after)
    stopped = [p for p in PACKETS if device.decide(old, p).stopped and device.decide(new, p).stopped]
    for objects in bench.memory.history:
        assert all(device.decide(objects, packet).stopped for packet in stopped)


@given(WORLDS, SEEDS, st.booleans())
def test_failures_drift_and_restarts_only_delay(through: list[World], seed: int, atomic: bool) -> None:
    random = Random(seed)
    bench = Bench(atomic=atomic, limits=TINY)
    for world in through:
        _desire(bench, world)
        for _ in range(random.randrange(4)):
            _disturb(bench, random)
            bench.turn()
    _calm(bench)
    _same(bench.memory.objects, _meant(through[-1]))
    _quiet(bench)


@given(WORLDS, SEEDS, st.booleans())
def test_what_is_refused_does_not_hold_up_the_rest_and_is_made_up_for(
    through: list[World], seed: int, atomic: bool
) -> None:
    random = Random(seed)
    bench = Bench(atomic=atomic, limits=Limits(shard_members=4, batch=1000))
    for world in through:
        meant = _meant(world)
        chosen = [key for key in meant if key.kind is not Kind.POLICY and random.random() < 0.2]
        bench.memory.refuses.update(dict.fromkeys(chosen, "not like this"))
        _desire(bench, world)
        bench.settle()
        assert not device.dangling(bench.memory.objects)
        if atomic:  # without transactions a refusal comes to light when part of the plan is done
            _no_new_wrong_allow(bench, meant)
        _groups_in_step(bench, meant)
    bench.memory.refuses.clear()
    bench.worker.audit()
    _calm(bench)
    _same(bench.memory.objects, _meant(through[-1]))
    _quiet(bench)


def _no_new_wrong_allow(bench: Bench, meant: Objects) -> None:
    """No line allows what the whole policy stops, unless it did before. What is refused counts as in force where it only allows."""
    have = _as_if_taken(bench.memory.objects, meant, bench.memory.refuses.keys())
    for packet in PACKETS:
        if device.decide(have, packet) is Decision.ALLOW and device.decide(meant, packet).stopped:
            assert any(device.decide(state, packet) is Decision.ALLOW for state in bench.memory.history[:1])
    bench.memory.history[:] = bench.memory.history[-1:]


def _as_if_taken(have: Objects, meant: Objects, refused: Iterable[ObjectKey]) -> Objects:
    """The device, had it taken those groups and ports that no line stops with."""
    lists = [value for value in (*have.values(), *meant.values()) if isinstance(value, RuleList)]
    stopping = {ref for one in lists for e in one.entries if e.action is not Action.ALLOW for ref in e.references()}
    groups = {key.group for key in refused if key.kind is not Kind.RULE_LIST} - stopping
    return {**have, **{key: value for key, value in meant.items() if key.group in groups}}


def _groups_in_step(bench: Bench, meant: Objects) -> None:
    """A group that is neither refused nor withheld, nor in parts of which one is refused, is as it should be."""
    for key, value in meant.items():
        done = bench.state.applied.get(key)
        if isinstance(value, Group) and done is not None and done.state is ObjectState.PROGRAMMED:
            assert device.members(bench.memory.objects, key) == device.members(meant, key)


def _disturb(bench: Bench, random: Random) -> None:
    memory = bench.memory
    kind = random.choice(("busy", "drifted", "odd", "midway", "state", "tamper", "restart", "audit"))
    if kind in ("busy", "drifted", "odd", "midway"):
        failures: list[Exception] = [
            Busy("edge", "later"),
            Drifted("edge", "moved"),
            DeviceError("edge", "?"),
            KeyError("odd"),
        ]
        memory.failures = [random.choice(failures)]
        memory.fail_after = random.randrange(6) if kind == "midway" else None
    elif kind == "state":
        bench.state.failures = [StateUnavailable("away")] * random.randrange(1, 3)
    elif kind == "tamper":
        tampered(memory, lambda objects: _tamper(objects, random))
    elif kind == "restart":
        bench.restart()
    else:
        bench.worker.audit()


def _tamper(objects: dict[ObjectKey, DeviceObject], random: Random) -> None:
    """Somebody empties a group, rewrites a list, or undoes something that nothing refers to."""
    referred = {ref for value in objects.values() for ref in value.references()}
    for key, value in list(objects.items()):
        if random.random() > 0.2:
            continue
        if isinstance(value, Group) and not value.shards:
            objects[key] = Group(key, frozenset({"203.0.113.1"} if random.random() < 0.5 else ()))
        elif isinstance(value, RuleList):
            objects[key] = RuleList(key, value.entries[::-1])
        elif key not in referred:
            del objects[key]


def _calm(bench: Bench) -> None:
    bench.memory.failures.clear()
    bench.memory.fail_after = None
    bench.state.failures.clear()
    bench.settle()
    bench.worker.audit()
    bench.settle()


@given(st.lists(st.tuples(st.integers(0, 59), st.sampled_from(("join", "leave", "vanish"))), max_size=80), SEEDS)
def test_the_guard_holds_only_what_nothing_proves(events: list[tuple[int, str]], seed: int) -> None:
    """Small limits, one group. What is proven is always gone, who belongs is always in, and nothing is forgotten."""
    random = Random(seed)
    limits = GuardLimits(removals_per_group=Threshold(10, 4), removals_per_device=Threshold(5, 8))
    bench = Bench(settings=WorkerSettings(guard=limits), limits=Limits(shard_members=16, batch=50))
    key = ObjectKey.parse("group:east/service/shop/pay")
    bench.state.want_group(key)
    proven: set[str] = set()
    for number, what in events:
        address = f"10.0.1.{number}"
        if what == "join":
            bench.state.move([(key, address)])
            proven.discard(address)
        elif address in bench.state.members.get(key, ()):
            bench.state.move(leave=[(key, address)], inferred=what == "vanish")
            if what == "leave":
                proven.add(address)
        if random.random() < 0.3:
            bench.settle()
        if random.random() < 0.05:
            bench.restart()
    bench.settle()
    bench.turn()
    here, wanted = bench.members(key), set(bench.state.members.get(key, ()))
    assert here >= wanted
    assert not here & proven
    held = {address for one in bench.state.held for address in one.members}
    assert here - wanted <= held
    assert bool(here - wanted) == bool(held)
