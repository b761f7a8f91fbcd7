"""Each way in which a device says no, or nothing, has one meaning; the work is then finished; and no message holds a secret."""

import logging
import threading

import pytest

from adapters.conformance.bench import Bench
from adapters.conformance.site import CART, SOURCES, WEB, Site, line, objects
from bridge.contract import Adapter
from bridge.errors import Busy, Denied, DeviceError, Drifted, NotOwned
from bridge.lab.device import Trouble
from bridge.model.intent import EVERYTHING, Group
from bridge.model.plan import Op, Plan, Step

READING: dict[Trouble, tuple[type[DeviceError], ...]] = {
    Trouble.UNAUTHORIZED: (Denied,),
    Trouble.FORBIDDEN: (Denied,),
    Trouble.MISSING: (Denied, Drifted, Busy),  # whatever it means, it is not an empty device
    Trouble.CONFLICT: (Denied, Drifted, Busy),
    Trouble.TOO_MANY: (Busy,),
    Trouble.UNAVAILABLE: (Busy,),
    Trouble.HTML: (Busy,),
    Trouble.SILENCE: (Busy,),
    Trouble.CUT: (Busy,),
    Trouble.LOST: (Busy,),
    Trouble.ECHO: (DeviceError,),
}
WRITING = READING | {Trouble.MISSING: (Drifted,), Trouble.CONFLICT: (Drifted, NotOwned)}
_PATIENCE = 2.0  # for an answer that never comes


class Troubles(Bench):
    """Errors of the device and of the way to it."""

    @pytest.fixture
    def log(self, caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
        """All that is logged, to the last detail."""
        caplog.set_level(logging.DEBUG)
        return caplog

    @pytest.mark.parametrize("trouble", list(Trouble))
    def test_a_read_in_trouble_says_so(self, trouble: Trouble, log: pytest.LogCaptureFixture) -> None:
        site = self.terms.shop(SOURCES[0])
        self.reconcile(self.adapter, site)
        reader = self._alone(trouble)
        for _ in ("at the first call", "when it knows the device"):
            self.device.disturb(trouble)
            with self.refused(*READING[trouble]):
                reader.read(EVERYTHING)
            self.device.calm()
            assert reader.read(EVERYTHING).objects == self.wanted(reader, site)
        self._check_log(log)

    @pytest.mark.parametrize("op", list(Op))
    @pytest.mark.parametrize("trouble", list(Trouble))
    def test_a_write_in_trouble_says_so(self, trouble: Trouble, op: Op, log: pytest.LogCaptureFixture) -> None:
        one, other = Group(CART, frozenset({SOURCES[0]})), Group(CART, frozenset({SOURCES[1]}))
        step = Step(op, CART, None if op is Op.CREATE else one, None if op is Op.DELETE else other)
        before, after = objects(step.before) if step.before else {}, objects(step.after) if step.after else {}
        expected = self.built(after)
        ended = self._disturbed(trouble, before, Plan("edge", ((step,),)))
        # Told that it is not there, a deletion may well believe it.
        if not (trouble is Trouble.MISSING and op is Op.DELETE and ended is None):
            assert isinstance(ended, WRITING[trouble]), f"{type(ended).__name__} after {trouble}"
        self.converge(after)
        assert self.device.contents() == expected
        self._check_log(log)

    @pytest.mark.parametrize("trouble", list(Trouble))
    def test_a_plan_in_trouble_says_so(self, trouble: Trouble, log: pytest.LogCaptureFixture) -> None:
        before = self.terms.shop(SOURCES[0], lines=[line("a"), line("b", WEB)])
        after = self.terms.shop(SOURCES[1], lines=[line("b", WEB), line("c")])
        expected = self.built(after)
        ended = self._disturbed(trouble, before, self._plan(before, after))
        assert isinstance(ended, (*WRITING[trouble], *READING[trouble])), f"{type(ended).__name__} after {trouble}"
        self.converge(after)
        assert self.device.contents() == expected
        self._check_log(log)

    def test_nothing_shows_a_secret(self, log: pytest.LogCaptureFixture) -> None:
        self.reconcile(self.adapter, self.terms.shop(SOURCES[0]))
        self.check_told((repr(self.adapter), str(self.adapter), repr(self.factory), repr(self.device.config())))
        self.adapter.close()
        self._check_log(log)

    def _alone(self, trouble: Trouble) -> Adapter:
        """An adapter that waits no longer than this trouble needs, and no other that is logged in."""
        self.adapter.close()
        return self.open(timeout=_PATIENCE) if trouble is Trouble.SILENCE else self.open()

    def _plan(self, before: Site, after: Site) -> Plan:
        self.fresh()
        self.reconcile(self.adapter, before)
        return self.planned(self.adapter, after)

    def _disturbed(self, trouble: Trouble, before: Site, made: Plan) -> DeviceError | None:
        """Build, then apply with every write disturbed; how that ended."""
        self.fresh()
        self.reconcile(self.adapter, before)
        adapter = self._alone(trouble)
        adapter.read(EVERYTHING)
        self.device.disturb(trouble, writes=True)
        ended = self.tried(adapter, made)
        assert self.device.calm(), "no write was disturbed"
        return ended

    def _check_log(self, log: pytest.LogCaptureFixture) -> None:
        """What this thread wrote; a simulated device writes logs of its own in others."""
        ours = (record for record in log.records if record.thread == threading.get_ident())
        self.check_told(record.getMessage() for record in ours)
