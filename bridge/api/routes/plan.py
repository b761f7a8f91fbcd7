"""What delivery would do to a device now: read from the device, at this moment."""

import msgspec
from fastapi import APIRouter

from bridge.api.access import Operator
from bridge.api.asked import Asked
from bridge.api.documents import Document, Json, answers
from bridge.api.paging import Limit
from bridge.api.parameters import Device
from bridge.api.problems import Missing
from bridge.api.routes.history import clip
from bridge.api.site import Site
from bridge.api.turns import LIVE
from bridge.report.planned import HeldStep, PlannedDevice, PlannedStep
from bridge.report.reachability import Reaching, Workload

router = APIRouter(tags=["devices"])

STEPS = 100  # and other parts of a plan, unless told
_ITEMS = 100  # of one part


class DevicePlan(Document, frozen=True):
    """The beginning of a plan, and how much of each there is in all: `changes` steps, `heldSteps`, `turns` of reachability.

    `cut`: of some part not all is told; `fusion-bridge plan` prints it whole.
    """

    plan: PlannedDevice
    changes: int
    held_steps: int
    turns: int
    cut: bool


@router.get("/devices/{name}/plan", responses=answers(DevicePlan, 404, 502))
def plan(name: Device, site: Asked, _: Operator, limit: Limit = STEPS) -> Json:
    """The ordered changes, what is held of them, and who would gain or lose what; nothing is changed. The device is read for it."""
    return Json(planned(site, name, limit))


def planned(site: Site, name: str, limit: int = STEPS) -> DevicePlan:
    """The same as a value. Raises Missing, what adapters raise, and HTTPException 503 when too many devices are being read."""
    require_device(site, name)
    with LIVE.one():
        whole = site.planned(name)
    told = msgspec.structs.replace(
        whole,
        steps=tuple(map(_step, whole.steps[:limit])),
        held=tuple(map(_held, whole.held[:limit])),
        reachability=tuple(map(_reaching, whole.reachability[:limit])),
        remarks=whole.remarks[:limit],
    )
    return DevicePlan(
        plan=told,
        changes=len(whole.steps),
        held_steps=len(whole.held),
        turns=len(whole.reachability),
        cut=told != whole,
    )


def require_device(site: Site, name: str) -> None:
    """Raises Missing for a device that the settings do not have."""
    if name not in site.devices:
        raise Missing(f"there is no device {name}; there are {', '.join(site.devices) or 'none'}")


def _step(one: PlannedStep) -> PlannedStep:
    return msgspec.structs.replace(one, add=one.add[:_ITEMS], remove=one.remove[:_ITEMS], text=clip(one.text))


def _held(one: HeldStep) -> HeldStep:
    return msgspec.structs.replace(one, members=one.members[:_ITEMS])


def _reaching(one: Reaching) -> Reaching:
    return msgspec.structs.replace(
        one,
        workloads=tuple(map(_workload, one.workloads[:_ITEMS])),
        elsewhere=one.elsewhere[:_ITEMS],
        destinations=one.destinations[:_ITEMS],
        text=clip(one.text),
    )


def _workload(one: Workload) -> Workload:
    return msgspec.structs.replace(one, addresses=one.addresses[:_ITEMS])
