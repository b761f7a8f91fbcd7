"""The permit is asked before each change; withdrawn, it ends the work at once, wherever it is."""

from dataclasses import dataclass, field, replace
from itertools import count, pairwise

import pytest

from adapters.conformance.bench import FENCE, Bench
from adapters.conformance.site import BANK, CART, SOURCES, WEB, Site, line
from bridge.contract import Adapter
from bridge.errors import LostLease
from bridge.lab.device import Rig
from bridge.model.plan import Fence


@dataclass
class Permit:
    """A permit that is withdrawn after it was asked `lasts` times; it notes how the device stood each time."""

    device: Rig
    lasts: int | None = None
    asked: list[int] = field(default_factory=list)  # the moments until then
    calls: int | None = None  # until it was withdrawn

    def __call__(self) -> None:
        if self.lasts is not None and len(self.asked) >= self.lasts:
            self.calls = self.device.calls() if self.calls is None else self.calls
            raise LostLease("the lease was not renewed in time")
        self.asked.append(len(self.device.moments()))


class Permits(Bench):
    """Calls that must not be begun any more."""

    def test_a_permit_is_asked_for_each_change(self) -> None:
        permit = self._built()
        assert permit.asked, "a change without a permit"
        stood = [*permit.asked, len(self.device.moments())]
        for before, after in pairwise(stood):
            assert after - before <= 1, "two changes under one permit"

    def test_no_call_is_made_once_the_permit_is_withdrawn(self) -> None:
        whole = self._built()
        expected = dict(self.device.contents())
        for lasts in count():
            permit = self._built(lasts)
            if permit.calls is None:
                break
            assert self.device.calls() == permit.calls, f"a call after the permit was withdrawn, asked {lasts} times"
            self.converge(self._site())
            assert self.device.contents() == expected, f"withdrawn when it was asked the {lasts + 1}. time"
        assert lasts == len(whole.asked) > 0

    def test_no_fence_is_raised_without_a_permit(self) -> None:
        permit = Permit(self.device, 0)
        moments = len(self.device.moments())
        with pytest.raises(LostLease):
            self._opened_with(permit).raise_fence(Fence(FENCE.epoch + 1, FENCE.installation))
        assert len(self.device.moments()) == moments

    def _site(self) -> Site:
        return self.terms.shop(SOURCES[0], SOURCES[1], lines=[line("a"), line("b", WEB, to=BANK), line("c", CART)])

    def _built(self, lasts: int | None = None) -> Permit:
        """Build the site by small batches, as long as the permit lasts."""
        self.fresh()
        permit = Permit(self.device, lasts)
        adapter = self._opened_with(permit)
        made = self.planned(adapter, self._site())
        try:
            adapter.apply(made, FENCE)
        except LostLease:
            assert permit.calls is not None
        else:
            assert permit.calls is None, "the withdrawal was not told"
        return permit

    def _opened_with(self, permit: Permit) -> Adapter:
        adapter = self.factory.open(replace(self.device.config(batch=2), permit=permit))
        self._opened.append(adapter)
        return adapter
