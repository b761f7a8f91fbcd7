"""The plan of a device over the API: read now, told as far as people can read it, and for few at a time."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import httpx
import msgspec
import pytest

from bridge.api.access import Access, Everybody, Person, Role
from bridge.api.application import application
from bridge.api.routes.plan import DevicePlan
from bridge.api.site import Site
from bridge.api.turns import LIVE
from bridge.cli.serving import served
from bridge.errors import Busy
from bridge.report.planned import HeldStep, PlannedDevice, PlannedStep
from bridge.report.reachability import Decider, Reaching
from bridge.state.database import Database
from tests.acceptance.site import DEVICE
from tests.api.conftest import Api

MANY = tuple(f"10.{one // 250}.0.{one % 250}" for one in range(1_000))
STEP = PlannedStep(1, "update", "group:a/service/b/c", "group", "a", "service", "b", "c", "", MANY, MANY, "x" * 10_000)
HELD = HeldStep("group:a/service/b/c", "group", "a", "service", "b", "c", MANY, "why")
NOBODY = Decider("", "", "left")
GAIN = Reaching("gains", (), (), 0, (), NOBODY, NOBODY, "gains: shop/web -> bank")
PLAN = PlannedDevice("far", "bigip", "digest", 300, (STEP,) * 300, (HELD,) * 300, (GAIN,))


class As:
    """Whoever asks has this role."""

    def __init__(self, role: Role) -> None:
        self._role = role

    def person(self, _: object) -> Person:
        """Somebody."""
        return Person("kim", self._role)


def _never(*_: Any) -> Any:  # noqa: ANN401
    raise AssertionError("it is not asked for")


def _planned(name: str) -> PlannedDevice:
    if name == "busy":
        raise Busy(name, "somebody else has its lock")
    return PLAN


def asked(path: str, access: Access) -> httpx.Response:
    """The answer of a site whose devices are only planned for."""
    with closing(Database("postgresql://nobody@127.0.0.1:1/none")) as nowhere:
        site = Site(nowhere, {}, {}, {"east": ("far", "busy")}, _planned, _never, _never, _never)
        with served(application(site, access), "127.0.0.1:0") as where:
            return httpx.get(f"http://{where}/{path}", headers={"Accept": "text/html"}, trust_env=False)


def test_a_device_in_step_has_nothing_to_do(api: Api) -> None:
    found = msgspec.convert(api.get(f"devices/{DEVICE}/plan"), DevicePlan)
    assert (found.plan.device, found.changes, found.plan.steps, found.held_steps, found.cut) == (
        DEVICE,
        0,
        (),
        0,
        False,
    )
    assert DEVICE in api.get("devices/faraway/plan", 404)["detail"]


@pytest.fixture
def crowd() -> Iterator[None]:
    with LIVE.one(), LIVE.one():
        yield


def test_of_a_long_plan_the_beginning_is_told_and_how_much_there_is() -> None:
    found = msgspec.json.decode(asked("api/v1/devices/far/plan?limit=7", Everybody()).content, type=DevicePlan)
    assert (found.changes, found.held_steps, found.turns, found.cut) == (300, 300, 1, True)
    assert (len(found.plan.steps), len(found.plan.held), found.plan.changes) == (7, 7, 300)
    step = found.plan.steps[0]
    assert step.add == MANY[: len(step.add)]
    assert len(asked("api/v1/devices/far/plan?limit=500", Everybody()).content) < 5_000_000


def test_two_are_read_at_a_time(crowd: None) -> None:
    found = asked("api/v1/devices/far/plan", Everybody())
    assert (found.status_code, found.headers["retry-after"]) == (503, "5")


def test_a_device_that_cannot_be_read_is_no_fault_of_whoever_asks() -> None:
    found = asked("api/v1/devices/busy/plan", Everybody())
    assert (found.status_code, found.json()["detail"]) == (502, "busy: somebody else has its lock")


@pytest.mark.parametrize(
    ("role", "path", "status"),
    [
        (Role.VIEWER, "devices/far/plan", 403),
        (Role.OPERATOR, "devices/far/plan", 200),
        (Role.VIEWER, "reports/difference?before=now&after=now", 403),
    ],
)
def test_reading_a_device_takes_an_operator(role: Role, path: str, status: int) -> None:
    assert asked(f"api/v1/{path}", As(role)).status_code == status


def test_who_gains_what_is_told_once() -> None:
    told = asked("devices/far/plan", Everybody()).text
    assert "gains</span>: shop/web -&gt; bank" in told
