"""A look at the device tells something, changes nothing, and asks for no leave to do so."""

from dataclasses import replace

import pytest

from adapters.conformance.bench import Bench
from adapters.conformance.permits import Permit
from adapters.conformance.site import SOURCES
from bridge.errors import Denied
from bridge.lab.device import Trouble


class Examining(Bench):
    """What `devices` prints of it."""

    def test_a_look_changes_nothing_and_tells_no_secret(self) -> None:
        self.reconcile(self.adapter, self.terms.shop(SOURCES[0]))
        self.adapter.close()
        looker = self.factory.open(replace(self.device.config(), permit=Permit(self.device, 0)))
        self._opened.append(looker)
        before, moments, calls = dict(self.device.contents()), len(self.device.moments()), self.device.calls()
        found = looker.examine()
        assert found, "nothing was said"
        assert all(one.subject and one.message for one in found), "a finding says nothing"
        assert looker.calls == self.device.calls() - calls > 0, "a call was not counted, or none was made"
        assert len(self.device.moments()) == moments, "something was written"
        assert dict(self.device.contents()) == before
        self.check_told(repr(one) for one in found)

    @pytest.mark.parametrize("trouble", [Trouble.UNAUTHORIZED])
    def test_a_look_that_is_refused_says_so(self, trouble: Trouble) -> None:
        self.adapter.close()
        looker = self.open(timeout=1.0)
        self.device.disturb(trouble)
        with self.refused(Denied):
            looker.examine()
        assert self.device.calm()
