"""Small named states of a cluster, in every order and cut anywhere: the same end as a fresh compile, and nothing opens on the way."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.model.capabilities import Form
from tests.delivery.sequences import STATES, Line, check_end, check_quiet, check_way, meant_by

FORMS = st.sampled_from((Form.TIERED, Form.FLAT, Form.ALLOW_ONLY))
NAMES = st.lists(st.sampled_from(sorted(STATES)), min_size=1, max_size=4)
SHARE = st.sampled_from((0.0, 0.3, 1.0))


@settings(max_examples=150)
@given(FORMS, NAMES, st.integers(0, 2**32 - 1), SHARE, SHARE, st.booleans())
def test_any_order_cut_anywhere(
    form: Form, names: list[str], seed: int, split: float, restart: float, tamper: bool
) -> None:
    line = Line(form, Random(seed))
    for name in names:
        line.go(STATES[name], split=split, restart=restart)
        if tamper and line.random.random() < 0.5:
            line.box.tamper(line.random)
            line.worker.audit()
    line.settle()
    check_end(line, meant_by(STATES[names[-1]], line.target))
    check_quiet(line)


PAIRS = [(one, other) for one in STATES for other in STATES if one != other]


@pytest.mark.parametrize("form", list(Form))
def test_nothing_opens_on_the_way_between_any_two(form: Form) -> None:
    can = Line(form, Random(0)).target
    meant = {name: meant_by(picture, can) for name, picture in STATES.items()}
    for one, other in PAIRS:
        line = Line(form, Random(f"{one} {other}"))
        line.go(STATES[one], split=0.0, restart=0.0)
        line.settle()
        check_end(line, meant[one])
        line.box.forget()
        line.go(STATES[other], split=0.0, restart=0.0)
        line.settle()
        check_way(line, meant[one], meant[other])
        check_end(line, meant[other])
