"""On the way from any state to any other, on devices of every form that take one write at a time."""

from random import Random

import pytest

from bridge.model.capabilities import Form
from tests.delivery.sequences import STATES, Line, check_end, check_quiet, check_way, meant_by

NAMES = sorted(STATES)


@pytest.mark.acceptance(
    "changing safely: on no device, at no moment, is a packet allowed that neither the state before nor the state after allows"
)
@pytest.mark.parametrize("form", list(Form))
def test_every_moment(form: Form) -> None:
    random = Random(20261123)
    target = Line(form, random).target
    meant = {name: meant_by(picture, target) for name, picture in STATES.items()}
    for _ in range(12):
        one, other = random.sample(NAMES, 2)
        line = Line(form, random)
        line.go(STATES[one], split=0.0, restart=0.0)
        line.settle()
        line.box.forget()
        line.go(STATES[other], split=0.0, restart=0.0)
        line.settle()
        assert line.box.moments(), (one, other)
        check_way(line, meant[one], meant[other])
        check_end(line, meant[other])


@pytest.mark.acceptance(
    "state sequences: pods move, addresses are reused, labels, selectors, rules and hands on the device change, in any order, "
    "split, squashed and restarted: the end is that of a fresh compile"
)
@pytest.mark.parametrize("form", list(Form))
def test_any_order(form: Form) -> None:
    random = Random(20261124)
    for _ in range(6):
        names = random.sample(NAMES, 4)
        line = Line(form, random)
        for name in names:
            line.go(STATES[name], split=random.choice((0.0, 0.5, 1.0)), restart=random.choice((0.0, 0.5)))
            line.box.tamper(random)
            line.worker.audit()
        line.settle()
        check_end(line, meant_by(STATES[names[-1]], line.target))
        check_quiet(line)
