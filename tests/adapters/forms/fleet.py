"""Many small worlds on one device at once: each in a cluster of its own, whose pods have addresses of their own.

A world's own addresses stand in 10.0.0.0/24 and fd00::/64; as the world of a number they stand in a range of that number. Only who sends is
moved so: rules match senders of their own cluster only, so worlds never meet.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from random import Random

from hypothesis import HealthCheck, Phase, given, seed, settings

from bridge.model.capabilities import Capabilities, Form
from bridge.model.identity import Kind, ObjectKey, Scope
from bridge.model.intent import DeviceObject, Group, Policy, Ports, RuleEntry, RuleList, Shard
from bridge.policy.compile import Target, compile_policy, policies
from bridge.policy.evaluate import Packet, Verdict, evaluate
from bridge.policy.withhold import settle
from tests.policy.device import holdings
from tests.policy.test_evaluate import Scene
from tests.policy.world import PACKETS, World, worlds

_OUTSIDE = (Scope.EXTERNAL, Scope.CLUSTER_EXTERNAL)
_V4 = re.compile(r"^10\.0\.0\.|(?<=-)10\.0\.0\.")
_V6 = re.compile(r"^fd00::|(?<=-)fd00::")
_CLOSED = frozenset({"Unsupported", "Withheld", "OverBroad", "Pending"})


def drawn(number: int, start: int) -> list[World]:
    """So many worlds, the same for the same start."""
    found: list[World] = []

    @seed(start)
    @settings(
        max_examples=number,
        database=None,
        derandomize=False,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(worlds())
    def collect(world: World) -> None:
        found.append(world)

    collect()
    return found


@dataclass(frozen=True)
class Question:
    """A packet of one world, as the device meets it, and what policy says of it."""

    world: int
    packet: Packet
    said: Verdict


def questions(listed: Sequence[World], each: int, chance: Random) -> list[Question]:
    """So many packets of each world, and what the evaluator says."""
    found = []
    for number, world in enumerate(listed):
        scene = Scene(world)
        for seen in chance.sample(PACKETS, each):
            plain = Packet(seen.source, seen.destination, seen.protocol, seen.port, seen.icmp, seen.number)
            said = evaluate(world.policy, world.defaults, scene, plain).verdict
            found.append(Question(number, replace(plain, source=moved(plain.source, number)), said))
    return found


def moved(member: str, number: int) -> str:
    """An address, prefix or range of a sender where the world of that number has it."""
    first, second = divmod(number, 250)
    member = _V4.sub(f"10.{first + 1}.{second}.", member)
    return _V6.sub(f"fd00:0:0:{number + 1:x}::", member)


@dataclass
class Fleet:
    """What one device should hold for all worlds, and which of them it does not hold as they were written."""

    objects: dict[ObjectKey, DeviceObject]
    closed: frozenset[int]

    @classmethod
    def of(cls, listed: Sequence[World], can: Capabilities) -> "Fleet":
        """Every world compiled for a device that can this, one beside the other."""
        objects: dict[ObjectKey, DeviceObject] = {}
        closed = set()
        for number, world in enumerate(listed):
            compiled = compile_policy(world.policy, Target("edge", can, world.defaults))
            if any(remark.reason in _CLOSED for remark in compiled.remarks.values()):
                closed.add(number)
            for value in holdings(compiled, world).values():
                if not isinstance(value, Policy):
                    own = _placed(value, number)
                    objects[own.key] = own
        lists = [key for key in objects if key.kind is Kind.RULE_LIST]
        objects.update((policy.key, policy) for policy in policies(lists))
        return cls(objects, frozenset(closed))

    def wrong(self, form: Form, asked: Iterable[tuple[Question, Verdict]]) -> Iterator[tuple[Question, Verdict]]:
        """The packets that a device of this form decides otherwise than policy, and how.

        An allow-only device has nothing but Allows. Where something is not in force, what the device allows policy allows too.
        """
        for question, found in asked:
            if question.world in self.closed:
                right = found is not Verdict.ALLOW or question.said is Verdict.ALLOW
            elif form is Form.ALLOW_ONLY:
                right = (found is Verdict.ALLOW) == (question.said is Verdict.ALLOW)
            else:
                right = found is question.said
            if not right:
                yield question, found


def _placed(value: DeviceObject, number: int) -> DeviceObject:
    """One object of a world in the cluster of its number."""
    key = _key(value.key, number)
    match value:
        case Group() | Shard():
            held = value.members
            own = held if key.scope in _OUTSIDE else frozenset(moved(member, number) for member in held)
            return replace(value, key=key, members=own)
        case RuleList():
            entries = settle(value, {}).entries
            return replace(value, key=key, entries=tuple(_entry(entry, number) for entry in entries))
        case Ports():
            return replace(value, key=key)
        case _:
            raise TypeError(f"{value.key} is of no world")


def _entry(entry: RuleEntry, number: int) -> RuleEntry:
    return replace(
        entry,
        sources=tuple(_key(key, number) for key in entry.sources),
        destinations=tuple(_key(key, number) for key in entry.destinations),
        ports=_key(entry.ports, number) if entry.ports else None,
    )


def _key(key: ObjectKey, number: int) -> ObjectKey:
    return replace(key, cluster=f"w{number}")
