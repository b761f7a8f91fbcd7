"""How a device stands, in a few words and figures."""

from dataclasses import replace
from typing import Any

import pytest

from bridge.model.baseline import FreezeStanding
from bridge.report.overview import device_stands
from bridge.state.device_store import DeviceView, Drift
from tests.state.builders import at

WELL = DeviceView(
    name="edge",
    kind="bigip",
    state="ok",
    message="",
    identity="serial",
    mode="apply",
    attached={"cluster": True},
    attach_by={},
    last_read=at(1),
    last_verified=at(2),
    stops=0,
    drift=Drift(0, at(0), None, True),
    taking_over=False,
    objects={"Programmed": 3},
)


@pytest.mark.parametrize(
    ("more", "in_step", "summary"),
    [
        ({}, True, "in step"),
        ({"waiting": 2, "oldest": at(90)}, False, "2 objects behind, for 10 s"),
        ({"state": "unreachable", "message": "edge: no route to host"}, False, "unreachable: no route to host"),
        ({"state": "stopped", "waiting": 2, "oldest": at(90), "stops": 1}, False, "stopped"),
        ({"objects": {"Programmed": 1, "Quarantined": 1, "Withheld": 2}}, False, "3 objects not in force"),
        ({"held": 1, "rejected": 2}, True, "in step, 1 change held, 2 changes rejected"),
        ({"mode": "plan", "taking_over": True}, True, "in step, only planned for, being taken over"),
        ({"attached": {"cluster": True, "service": False}}, True, "in step, not attached: service"),
        ({"freezes": (FreezeStanding("east", ("night",), None, at(0)),)}, True, "in step, frozen"),
    ],
)
def test_in_words(more: dict[str, Any], in_step: bool, summary: str) -> None:
    found = device_stands(replace(WELL, **more), at(100))
    assert (found.in_step, found.summary) == (in_step, summary)


def test_in_figures() -> None:
    late = replace(
        WELL, waiting=1, oldest=at(97.5), objects={"Pending": 1, "Quarantined": 2, "Unsupported": 3, "Withheld": 4}
    )
    found = device_stands(late, at(100))
    assert (found.lag_seconds, found.oldest_unapplied) == (2.5, at(97.5))
    assert (found.quarantined, found.unsupported, found.withheld) == (2, 3, 4)
    assert device_stands(late, at(90)).lag_seconds == 0, "the database's clock may be ahead of ours"
