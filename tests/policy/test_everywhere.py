"""What is compiled and planned is the same in every process: nothing of it hangs on the seed by which a process hashes text."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import fields, is_dataclass, replace
from hashlib import sha256
from pathlib import Path

import pytest

from bridge.model.capabilities import Capabilities, Form, Limits
from bridge.model.intent import Intent, Objects
from bridge.model.policy import Action, ExternalService, Protocol, Ref, Rule, Source, SourceKind, Tier, Traffic
from bridge.policy.compile import compile_policy
from bridge.policy.diff import diff, plan
from bridge.policy.reach import difference
from tests.policy import device
from tests.policy.world import ALL_EXTERNALS, World, crowded

ROOT = Path(__file__).parents[2]
SEEDS = ("1", "2", "6")


@pytest.fixture(scope="module")
def told() -> dict[str, list[str]]:
    """What processes of several seeds say of the same worlds, in order."""
    command = [sys.executable, "-m", __name__]
    found = {}
    for seed in SEEDS:
        told = subprocess.run(
            command, cwd=ROOT, env={**os.environ, "PYTHONHASHSEED": seed}, check=True, capture_output=True, text=True
        )
        found[seed] = told.stdout.splitlines()
    return found


def test_every_process_compiles_and_plans_the_same(told: dict[str, list[str]]) -> None:
    """Order included, of everything that has one."""
    first = told[SEEDS[0]]
    assert len(first) == len(Form) * len(list(_worlds()))
    for seed in SEEDS[1:]:
        assert told[seed] == first, f"seed {seed}"


def test_what_is_told_tells_policies_apart(told: dict[str, list[str]]) -> None:
    """Otherwise all of it might be nothing."""
    assert len(set(told[SEEDS[0]])) > len(told[SEEDS[0]]) * 0.9


def _worlds() -> Iterator[World]:
    yield from map(crowded, range(8))
    yield from map(_large, range(2))
    yield _of_prefixes()


def _large(start: int) -> World:
    """More rules than are compiled in one part, most of them free of each other."""
    rules: list[Rule] = []
    for number in range(12):
        for rule in crowded(100 * (start + 1) + number).rules:
            name = f"{rule.ref.name}-{number}"
            action = Action.ALLOW if start or len(rules) % 20 else rule.action
            rules.append(replace(rule, ref=rule.ref._replace(name=name), action=action))
    return replace(crowded(start), rules=tuple(rules))


def _of_prefixes() -> World:
    """Sources that go by one name, taken out of another."""
    world = crowded(0)
    where = Ref("ClusterExternalService", "", "mail")
    sources = [Source(SourceKind.PREFIXES, "shop", prefixes=(f"10.0.0.{number}",)) for number in range(6)]
    rules = [
        Rule(
            Ref("NamespaceEgressRule", "shop", f"rule-{number}"),
            Tier.NAMESPACE,
            1,
            Action.DENY,
            source,
            (where,),
            log=False,
        )
        for number, source in enumerate(sources)
    ]
    whole = Source(SourceKind.NAMESPACE, "shop")
    rules.append(
        Rule(Ref("NamespaceEgressRule", "shop", "rest"), Tier.NAMESPACE, 2, Action.ALLOW, whole, (where,), log=False)
    )
    externals = {ref: ExternalService(ref, ("192.0.2.0/24",), (), (Traffic(Protocol.ANY),)) for ref in ALL_EXTERNALS}
    return replace(world, rules=tuple(rules), externals=externals)


def _tell() -> None:
    """A line for each world and form: of what is compiled, of the plan from the world before, and of what that opens and closes."""
    for form in Form:
        have: Objects = {}
        for number, world in enumerate(_worlds()):
            compiled = compile_policy(world.policy, world.target(form=form))
            want = device.holdings(compiled, world, 2)
            steps = diff(have, Intent("edge", want))
            made = plan("edge", steps, have, Capabilities(form), Limits())
            shifts = difference(have, want, {}).shifts
            print(number, form, *map(_digest, (compiled, steps, shifts)), made.digest)
            have = want


def _digest(value: object) -> str:
    return sha256(_text(value).encode()).hexdigest()[:16]


def _text(value: object) -> str:
    """A value in full: sets sorted, for they have no order; tables, which have one, as they are."""
    if isinstance(value, AbstractSet):
        return f"{{{', '.join(sorted(map(_text, value)))}}}"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{_text(key)}: {_text(one)}' for key, one in value.items())}}}"
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(_text, value))}]"
    if is_dataclass(value):
        return f"{type(value).__name__}{_text([getattr(value, one.name) for one in fields(value)])}"
    return repr(value)


if __name__ == "__main__":
    _tell()
