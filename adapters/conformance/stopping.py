"""Stopped after any call, with the call done or not: the next read and plan finish the work, and nothing went wrong meanwhile."""

from collections.abc import Sequence
from itertools import count

import pytest

from adapters.conformance.bench import Bench
from adapters.conformance.site import BANK, CART, MAIL, SOURCES, WEB, Site, group_key, line, objects
from bridge.errors import Busy
from bridge.lab.device import Moment, Trouble
from bridge.model.identity import Scope
from bridge.model.intent import EVERYTHING, Group
from bridge.model.plan import Op, Plan, Step
from bridge.model.policy import Action
from bridge.policy.shard import spread

LONG, LARGE = group_key("x" * 200, Scope.EXTERNAL), group_key("large")


class Stopping(Bench):
    """Calls that do not come back."""

    @pytest.mark.parametrize("trouble", [Trouble.CUT, Trouble.LOST])
    def test_an_apply_stopped_at_any_call_converges(self, trouble: Trouble) -> None:
        before, after = self._before(), self._after()
        expected = self.built(after)
        for call in count():
            first = len(self._begun(before))
            if not self._stopped_at(trouble, call, after):
                break
            self.converge(after)
            assert self.device.contents() == expected, f"stopped at call {call}"
            self.check_moments(self.device.moments()[first - 1 :])
        assert call, "no call was stopped"

    @pytest.mark.parametrize("op", list(Op))
    @pytest.mark.parametrize("trouble", [Trouble.LOST])
    def test_a_write_is_never_repeated_by_itself(self, trouble: Trouble, op: Op) -> None:
        """Its answer lost, it may have been done: only a read can tell."""
        one, other = Group(CART, frozenset({SOURCES[0]})), Group(CART, frozenset({SOURCES[1]}))
        step = Step(op, CART, None if op is Op.CREATE else one, None if op is Op.DELETE else other)
        expected = self.built(objects(step.after) if step.after else {})
        self.fresh()
        self.reconcile(self.adapter, objects(step.before) if step.before else {})
        self.adapter.read(EVERYTHING)
        written = len(self.device.moments())
        self.device.disturb(trouble, times=1, writes=True)
        assert isinstance(self.tried(self.adapter, Plan("edge", ((step,),))), Busy), "the loss was not told"
        assert self.device.calm() == 1
        assert len(self.device.moments()) == written + 1, "the write was repeated"
        self.converge(objects(step.after) if step.after else {})
        assert self.device.contents() == expected

    def _before(self) -> Site:
        more = [
            Group(LONG, frozenset({"192.0.2.1"})),
            Group(MAIL, frozenset({"198.51.100.2"})),
            *spread(LARGE, {"10.5.0.1", "10.5.0.2"}, 2),
        ]
        return self.terms.shop(SOURCES[0], lines=[line("a"), line("b", WEB, self._stop), line("d", to=MAIL)], more=more)

    def _after(self) -> Site:
        lines = [line("d"), line("b", WEB, self._stop, MAIL), line("new", LARGE)]
        more = [
            Group(LONG, frozenset({"192.0.2.2"})),
            Group(LARGE, frozenset({"10.5.0.3"})),
            Group(MAIL, frozenset({"198.51.100.1"})),
        ]
        site = self.terms.shop(SOURCES[1], SOURCES[2], lines=lines, more=more)
        return site | objects(Group(BANK, frozenset({"198.51.100.0/25"})))

    @property
    def _stop(self) -> Action:
        return Action.DENY if self.terms.can.deny else Action.ALLOW

    def _begun(self, before: Site) -> Sequence[Moment]:
        """The site that the change starts from; the moments until then."""
        self.fresh()
        self.adapter = self.open(batch=8)
        self.reconcile(self.adapter, before)
        return self.device.moments()

    def _stopped_at(self, trouble: Trouble, call: int, after: Site) -> bool:
        """Change with every call stopped from the given one on; whether any was."""
        made = self.planned(self.adapter, after)
        self.device.disturb(trouble, skip=call)
        ended = self.tried(self.adapter, made)
        hits = self.device.calm()
        assert (ended is None) == (hits == 0), "a stopped call was not told"
        assert ended is None or isinstance(ended, Busy), f"{type(ended).__name__} for a call that was stopped"
        return hits > 0
