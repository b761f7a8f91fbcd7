"""A memory makes compiling quick and nothing else: over any edits the result is that of a fresh mind; and parts decide as the whole."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.dialects.annotations import Groups
from bridge.intake.compiler import outline
from bridge.intake.freezes import Drawing
from bridge.intake.policies import InForce
from bridge.model.capabilities import Form
from bridge.model.identity import Kind, Scope
from bridge.model.policy import ExternalService, Ref, Rule, Validity
from bridge.policy.compile import Target, compile_policy
from bridge.policy.memory import Memory
from bridge.policy.parts import alike, provinces, scattered
from tests.policy.world import CLUSTER, GOVERNANCE, World, rules, worlds

START = datetime(2026, 3, 2, tzinfo=UTC)
FORMS = st.sampled_from((Form.TIERED, Form.FLAT, Form.ALLOW_ONLY))
Policy = tuple[tuple[Rule, ...], Mapping[Ref, ExternalService]]


@st.composite
def histories(draw: st.DrawFn) -> tuple[World, list[Policy]]:
    """A policy, and what edits make of it: a rule comes, goes, or changes; an external service changes or cannot be read."""
    world: World = draw(worlds(names=True, most=6))
    found: list[Policy] = [(world.rules, world.externals)]
    for number in range(draw(st.integers(1, 5))):
        listed, known = list(found[-1][0]), dict(found[-1][1])
        match draw(st.sampled_from(("add", "drop", "edit", "external", "lose", "times"))):
            case "add":
                listed.append(draw(rules(20 + number)))
            case "drop" if listed:
                listed.pop(draw(st.integers(0, len(listed) - 1)))
            case "edit" if listed:
                at = draw(st.integers(0, len(listed) - 1))
                listed[at] = replace(listed[at], priority=draw(st.integers(0, 3)), log=draw(st.booleans()))
            case "times" if listed:
                at = draw(st.integers(0, len(listed) - 1))
                listed[at] = replace(listed[at], validity=Validity(not_before=START + timedelta(hours=number)))
            case "external":
                ref = draw(st.sampled_from(sorted(world.externals)))
                known[ref] = replace(world.externals[ref], addresses=("198.51.100.0/25",))
            case "lose":
                known.pop(draw(st.sampled_from(sorted(world.externals))), None)
        found.append((tuple(listed), known))
    return world, found


def _targets(world: World, form: Form) -> list[Target]:
    plain = world.target(form=form, fqdn=False)
    return [plain, replace(plain, name="shop", namespaces=frozenset({"shop"}))]


@given(histories(), FORMS)
def test_over_any_edits_the_result_is_that_of_a_fresh_mind(history: tuple[World, list[Policy]], form: Form) -> None:
    world, policies = history
    memory = Memory()
    for number, (listed, known) in enumerate(policies):
        in_force = InForce(listed, known, (), {})
        at, names = START + timedelta(hours=number), {"a.example.com": ("192.0.2.1",)} if number % 2 else {}
        drawings = [Drawing(target, target, in_force) for target in _targets(world, form)]
        draw = partial(outline, CLUSTER, GOVERNANCE, drawings, Groups({}, {}), at, names, {})
        assert draw(memory) == draw()


@pytest.mark.parametrize("form", [Form.FLAT, Form.ALLOW_ONLY])
@given(data=st.data())
def test_no_rule_is_in_two_parts_and_none_is_lost(form: Form, data: st.DataObject) -> None:
    world: World = data.draw(worlds(names=True, most=8))
    for parts in (provinces(world.policy, world.target(form=form), Memory()), scattered(alike(world.rules))):
        listed = [rule.ref for part in parts for rule in part]
        assert sorted(listed) == sorted(rule.ref for rule in world.rules)


@given(worlds(most=6), FORMS)
def test_what_nobody_edited_is_the_same_object(world: World, form: Form) -> None:
    memory = Memory()
    first, again = (compile_policy(world.policy, world.target(form=form), memory) for _ in range(2))
    lists = [key for key in first.objects if key.kind is Kind.RULE_LIST and key.scope is not Scope.DEFAULT]
    assert all(first.objects[key] is again.objects[key] for key in lists)
