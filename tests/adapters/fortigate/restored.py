"""The suite on a simulated box that is set back to where a change starts from, not brought there anew for each of its calls."""

from collections.abc import Sequence
from itertools import count

import pytest

from adapters.conformance import Conformance
from adapters.conformance.site import Site
from bridge.errors import Busy
from bridge.lab.device import Moment, Trouble
from bridge.lab.devices.fortigate.item import State
from tests.adapters.fortigate.rig import Rig


class Restored(Conformance):
    """What is checked is the same: the state that a change starts from was reached by the adapter, once in each check.

    An answer is lost to writes alone: a read whose answer is lost leaves what one leaves that was cut, and those are all cut. And where a
    stopped call left the box just as one before did, what a new adapter makes of that is known.
    """

    device: Rig
    _start: State | None = None

    @pytest.mark.parametrize("trouble", [Trouble.CUT, Trouble.LOST])
    def test_an_apply_stopped_at_any_call_converges(self, trouble: Trouble) -> None:
        before, after = self._before(), self._after()
        expected, met = self.built(after), set[str]()
        for call in count():
            first = len(self._begun(before))
            if not self._stopped_at(trouble, call, after):
                break
            left = self.device.left()
            if left in met:
                continue
            met.add(left)
            self.converge(after)
            assert self.device.contents() == expected, f"stopped at call {call}"
            self.check_moments(self.device.moments()[first - 1 :])
        assert len(met) > 1, "no call was stopped"

    def _begun(self, before: Site) -> Sequence[Moment]:
        if self._start is None:
            moments = super()._begun(before)
            self._start = self.device.device.state()
            return moments
        self.device.calm()
        self.check_foreign()
        self._close()
        self.device.restore(self._start)
        self.adapter = self.open(batch=8)
        return self.device.moments()

    def _stopped_at(self, trouble: Trouble, call: int, after: Site) -> bool:
        if trouble is not Trouble.LOST:
            return super()._stopped_at(trouble, call, after)
        made = self.planned(self.adapter, after)
        self.device.disturb(trouble, skip=call, writes=True)
        ended = self.tried(self.adapter, made)
        hits = self.device.calm()
        assert (ended is None) == (hits == 0), "a stopped call was not told"
        assert ended is None or isinstance(ended, Busy), f"{type(ended).__name__} for a call that was stopped"
        return hits > 0
