"""A BIG-IP that is cut off at any call: what its own log says was written, the audit tells, and no more."""

from collections.abc import Iterator

import pytest

from adapters.bigip.names import Names
from adapters.bigip.records import LONG_NAMES
from bridge.delivery.worker import Worker
from bridge.lab.devices.bigip import Bigip
from bridge.model.identity import Kind, ObjectKey
from bridge.model.intent import EVERYTHING
from bridge.model.rendering import digest_of
from tests.adapters.bigip.site import OPENED, OWNER, open_adapter
from tests.delivery.bench import FakeClock, addresses, bank, group, line, named, rules
from tests.delivery.state import State
from tests.delivery.test_audit import told

PAY, CART = group("pay"), group("cart")
VIRTUAL = "/Common/egress"
ATTACH = {"mode": "ifEmpty", "service": {"virtualServer": VIRTUAL}}


@pytest.fixture(scope="module")
def device() -> Iterator[Bigip]:
    with Bigip(tls=False) as bigip:
        yield bigip
        while OPENED:
            OPENED.pop().close()


class Line:
    """A state, a worker and a device on which everything is loaded and attached."""

    def __init__(self, device: Bigip) -> None:
        self.device, self.state, self.clock = device, State(), FakeClock()
        device.faults.clear()
        device.wipe()
        device.put_object("ltm/virtual", {"name": VIRTUAL, "destination": "0.0.0.0:0", "mask": "any"})
        self.adapter = open_adapter(device, timeout=2.0, attach=ATTACH)
        self.worker = Worker(self.adapter, self.state, self.clock, "installation-a")
        self.state.want_group(PAY)
        self.state.want_group(CART)
        self.state.want(bank(), rules(line(PAY), line(CART)))
        self.state.move(named(PAY, addresses(3)))

    def settle(self) -> None:
        for _ in range(30):
            pause = self.worker.turn(1)
            self.clock.seconds += pause
            if self.worker.in_step.is_set() and pause >= 0.5:
                return
        raise AssertionError(self.worker.pacing.message)

    def change(self) -> None:
        """Something of everything: members, a destination, lines, an object that comes and one that goes."""
        self.state.move(named(CART, addresses(3)), named(PAY, addresses(2)))
        self.state.want(bank("192.0.2.7"), rules(line(CART)))
        self.state.no_longer(PAY)

    def check(self, since: int) -> None:
        """The audit ends with what stands on the device, and has told of everything that was written there."""
        found = self.adapter.read(EVERYTHING).objects
        assert told(self.state.audit) == {key: digest_of(value) for key, value in found.items()}
        assert all(entry.cause for entry in self.state.audit)
        assert not [entry for entry in self.state.audit if entry.op == "drift"]
        names = Names(OWNER)
        explained = {
            names.path(one.key) for one in self.state.audit if one.key.kind not in (Kind.ATTACHMENT, Kind.FENCE)
        }
        written = {path for write in self.device.writes()[since:] for path in write.touched}
        ours = {f"/Common/{path.partition('/Common/')[2]}" for path in written if f"/{OWNER}/" in path}
        assert {path for path in ours if not _bookkeeping(path)} <= explained, written
        assert bool(self.attachments()) == any(
            "/Common/egress" in one or "global-rules" in one for one in self.all_written()
        )

    def all_written(self) -> set[str]:
        return {path for write in self.device.writes() for path in write.touched if write.user != "somebody"}

    def attachments(self) -> set[ObjectKey]:
        return {entry.key for entry in self.state.audit if entry.key.kind is Kind.ATTACHMENT}


def _bookkeeping(path: str) -> bool:
    """The folder, and what is kept in it beside our objects."""
    return path.rpartition("/")[2] in ("fence", LONG_NAMES)


def _runs(device: Bigip, effect: str, *, loading: bool) -> Iterator[Line]:
    """The same change again and again, each time cut at a later call, until none is left to cut."""
    call = 0
    while True:
        site = Line(device)
        if not loading:
            site.settle()
            site.change()
        since = len(device.writes())
        fault = device.faults.add("cut", skip=call, times=2, effect=effect)
        site.settle()
        hit = fault.hits
        device.faults.clear()
        site.check(since)
        yield site
        site.adapter.close()
        if not hit:
            return
        call += 1


@pytest.mark.parametrize("effect", ["before", "after"])
def test_a_change_that_is_cut_at_any_call_is_told_whole(device: Bigip, effect: str) -> None:
    runs = list(_runs(device, effect, loading=False))
    assert len(runs) > 5
    ends = {entry.outcome for site in runs for entry in site.state.audit}
    assert ("done, then interrupted" in ends) == (effect == "after")


def test_a_first_load_that_is_cut_at_any_call_is_told_whole(device: Bigip) -> None:
    runs = list(_runs(device, "after", loading=True))
    assert len(runs) > 10
    assert all(len(site.attachments()) == 3 for site in runs)
