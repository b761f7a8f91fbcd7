"""The reference evaluator: what it is, and that it has nothing of what it judges."""

import ast
import inspect

import pytest
from hypothesis import given

from bridge.policy import evaluate
from tests.policy import reference
from tests.policy.test_evaluate import Scene, _packet
from tests.policy.world import PACKETS, World, worlds

# One sitting: about what a person reads with care in half an hour.
LINES = 300
OF_COMPILERS = (
    "compile",
    "tiered",
    "flat",
    "allow_only",
    "untiered",
    "parts",
    "pieces",
    "lines",
    "region",
    "ground",
    "views",
    "standing",
)


@pytest.mark.acceptance(
    "reference evaluator: short enough to be read in one sitting, and without anything of the compilers that it judges"
)
def test_it_stands_alone() -> None:
    source = inspect.getsource(evaluate)
    assert len(source.splitlines()) <= LINES
    imported = {node.module for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ImportFrom) and node.module}
    assert not imported & {f"bridge.policy.{name}" for name in OF_COMPILERS}


@pytest.mark.acceptance(
    "reference evaluator: decides source as seen, destination, protocol, port, type of ICMP as a second writing of the semantics does"
)
@given(worlds())
def test_it_agrees_with_a_second_writing(world: World) -> None:
    for seen in PACKETS:
        found = evaluate.evaluate(world.policy, world.defaults, Scene(world), _packet(seen))
        assert found.verdict.value == reference.decide(world, seen).value, (seen, found)
